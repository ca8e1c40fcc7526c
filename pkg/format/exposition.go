package format

import (
	"math"
	"slices"
	"strings"
)

// A Syntax is a version of what Prometheus reads.
type Syntax uint8

// The syntaxes.
const (
	PrometheusText  Syntax = iota // text/plain; version=0.0.4
	PrometheusText1               // text/plain; version=1.0.0: metric names may be quoted
	OpenMetrics                   // application/openmetrics-text; version=1.0.0
)

// An Escaping says what becomes of a name that isn't of the letters, digits,
// underscores and colons that Prometheus once had metric names made of.
type Escaping uint8

// The escapings, as Prometheus' documentation has them under "Content
// negotiation".
const (
	EscapeUnderscores Escaping = iota // each other character is an underscore
	EscapeDots                        // a dot is _dot_, an underscore two, and so is each other character
	EscapeValues                      // U__, and each other character's number in hex between underscores
	EscapeNothing                     // allow-utf-8: the name is quoted
)

var escapingNames = [...]string{"underscores", "dots", "values", "allow-utf-8"}

// An Exposition is a way to expose stats to Prometheus and to what reads its
// formats. The zero Exposition is that of its text format, version 0.0.4, which
// everything reads.
type Exposition struct {
	Syntax   Syntax
	Escaping Escaping // EscapeNothing takes a syntax that can quote names
}

// ContentType returns the media type of what Append appends.
func (e Exposition) ContentType() string {
	types := [...]string{
		PrometheusText:  "text/plain; version=0.0.4; charset=utf-8; escaping=",
		PrometheusText1: "text/plain; version=1.0.0; charset=utf-8; escaping=",
		OpenMetrics:     "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=",
	}
	return types[e.Syntax] + escapingNames[e.Escaping]
}

// Append appends the stats of own and of s, in this order. A counter has _total at
// the end of its name. A distribution is a summary: its percentiles are quantiles,
// and its other labels gauges beside it, LATENCY_mean; "{0}" in its name goes.
//
// A name that is a series, requests_total{method="GET"}, is that series. Any other
// is the name of a metric as a whole, as the Escaping has it. Where two become the
// same, they have their own in the label "stat", but for one that is as it was. A
// stat that would stand in a summary of another, or under a name of own or of
// Prometheus', is a value of statvent_clashing, with its name in that label, and, of
// a distribution, the value's in the label "value". So whatever the names
// are, the result can be read and has every value. What is not UTF-8 in a name, or
// a control character, becomes \xHH.
//
// own is what the caller has to say itself, in names that are series; help has a
// text for its metrics, by their names. Both may be nil.
func (e Exposition) Append(b []byte, s, own *Snapshot, help map[string]string) []byte {
	f := newFamilies(e.Escaping)
	if own != nil {
		f.add(own, true)
	}
	f.add(s, false)
	for _, family := range f.sorted() {
		b = e.appendFamily(b, f, family, help)
	}
	if e.Syntax == OpenMetrics {
		b = append(b, "# EOF\n"...)
	}
	return b
}

func (e Exposition) appendFamily(b []byte, f *families, one *family, help map[string]string) []byte {
	if one.kind == Distribution {
		return e.appendSummary(b, f, one, help)
	}
	name, kind := one.name, one.kind
	if e.Syntax == OpenMetrics && kind == Counter {
		name = one.openMetricsName()
		if f.taken[name] != nil || f.hasCreated(name) {
			name, kind = one.name, Untyped
		}
	}
	b = e.appendHead(b, name, kind, help[one.name])
	for _, s := range one.samples {
		b = appendSample(b, one.name, s.labels, s.value)
	}
	return b
}

// appendSummary appends a summary; in OpenMetrics as metrics of unknown type where
// another has a name that a summary may use, or a value is negative, which it may
// not be there.
func (e Exposition) appendSummary(b []byte, f *families, one *family, help map[string]string) []byte {
	kind := Distribution
	if e.Syntax == OpenMetrics && (f.hasCreated(one.name) || slices.ContainsFunc(one.samples, sample.isNegative)) {
		kind = Untyped
	}
	quantiles := func(s *sample) {
		for i, q := range s.quantiles {
			labels := `quantile="` + q + `"`
			if s.labels != "" {
				labels = s.labels + "," + labels
			}
			b = appendSample(b, one.name, labels, s.values[i])
		}
	}
	sum := func(s *sample) { b = appendSample(b, one.name+sumSuffix, s.labels, s.dist.Sum) }
	count := func(s *sample) { b = appendSample(b, one.name+countSuffix, s.labels, Int(s.dist.Count)) }

	b = e.appendHead(b, one.name, kind, help[one.name])
	if kind == Distribution {
		for i := range one.samples {
			s := &one.samples[i]
			quantiles(s)
			sum(s)
			count(s)
		}
		return b
	}
	for i := range one.samples {
		quantiles(&one.samples[i])
	}
	b = e.appendHead(b, one.name+sumSuffix, kind, "")
	for i := range one.samples {
		sum(&one.samples[i])
	}
	b = e.appendHead(b, one.name+countSuffix, kind, "")
	for i := range one.samples {
		count(&one.samples[i])
	}
	return b
}

// appendHead appends the lines before the samples of a metric.
func (e Exposition) appendHead(b []byte, name string, kind Kind, help string) []byte {
	line := func(keyword, text string) {
		b = append(b, keyword...)
		if isMetricName(name) {
			b = append(b, name...)
		} else {
			b = appendQuoted(b, name)
		}
		b = append(b, ' ')
		b = append(b, text...)
		b = append(b, '\n')
	}
	if help != "" {
		line("# HELP ", help)
	}
	types := [...]string{Untyped: "untyped", Counter: "counter", Gauge: "gauge", Distribution: "summary"}
	if e.Syntax == OpenMetrics && kind == Untyped {
		line("# TYPE ", "unknown")
	} else {
		line("# TYPE ", types[kind])
	}
	return b
}

func appendSample(b []byte, name, labels string, v Value) []byte {
	switch {
	case !isMetricName(name):
		b = append(b, '{')
		b = appendQuoted(b, name)
		if labels != "" {
			b = append(b, ',')
			b = append(b, labels...)
		}
		b = append(b, '}')
	case labels == "":
		b = append(b, name...)
	default:
		b = append(b, name...)
		b = append(b, '{')
		b = append(b, labels...)
		b = append(b, '}')
	}
	b = append(b, ' ')
	switch f := v.Float64(); {
	case f != f:
		b = append(b, "NaN"...)
	case math.IsInf(f, 1):
		b = append(b, "+Inf"...)
	case math.IsInf(f, -1):
		b = append(b, "-Inf"...)
	default:
		b = v.Append(b)
	}
	return append(b, '\n')
}

// sorted returns the families by name, the caller's own first, each with its
// samples by their labels.
func (f *families) sorted() []*family {
	if len(f.clashing.samples) > 0 {
		f.list = append(f.list, &f.clashing)
	}
	for _, one := range f.list {
		slices.SortFunc(one.samples, func(a, b sample) int { return strings.Compare(a.labels, b.labels) })
	}
	slices.SortFunc(f.list, func(a, b *family) int {
		switch {
		case a.own && !b.own:
			return -1
		case b.own && !a.own:
			return 1
		default:
			return strings.Compare(a.name, b.name)
		}
	})
	return f.list
}
