package format

import (
	"slices"
	"strconv"
	"strings"
)

// Suffixes of names that mean something to Prometheus.
const (
	totalSuffix   = "_total"
	sumSuffix     = "_sum"
	countSuffix   = "_count"
	createdSuffix = "_created"
)

// clashingName is the metric of the stats that have no name of their own.
const clashingName = "statvent_clashing"

// prometheusNames are the metrics that Prometheus adds to what it scrapes. Where
// there is one already, that counts: a program could say that serve is down, or up.
var prometheusNames = []string{
	"up", "scrape_body_size_bytes", "scrape_duration_seconds", "scrape_sample_limit",
	"scrape_samples_post_metric_relabeling", "scrape_samples_scraped", "scrape_series_added", "scrape_timeout_seconds",
}

// Labels of what is exposed under another name than its own.
const (
	statLabel  = "stat"  // its own
	valueLabel = "value" // which of the values of a distribution it is
)

// families are the metrics that stats are exposed as.
type families struct {
	escaping Escaping
	list     []*family
	taken    map[string]*family // by each name that a family's samples have
	series   map[string]int     // where in its family each sample is, by name and labels
	clashing family
}

// A family is one metric: what has one name and one type.
type family struct {
	name    string // of its samples; of a summary's without suffixes
	kind    Kind
	own     bool
	samples []sample
}

// A sample is what one stat is exposed as.
type sample struct {
	labels string // as they stand between braces
	value  Value

	dist      *Samples // of a summary; else nil
	quantiles []string // from "0.0" to "1.0"
	values    []Value  // of the quantiles
}

// isNegative tells whether something of a summary is below zero, or its sum no
// number.
func (s sample) isNegative() bool {
	return !(s.dist.Sum.Float64() >= 0) || slices.ContainsFunc(s.values, func(v Value) bool { return v.Float64() < 0 })
}

// A candidate is a stat on its way to a family.
type candidate struct {
	stat   Stat
	part   string // of a distribution, the label that it is the value of; else empty
	metric string
	labels []seriesLabel
	series string // what tells its sample from all others: the metric and the labels
	rank   rank
	sample sample
}

// rank says who keeps a name that several want.
type rank uint8

const (
	asItIs   rank = iota // the stat's own name
	suffixed             // the same with a suffix
	escaped
)

func newFamilies(escaping Escaping) *families {
	f := &families{
		escaping: escaping,
		taken:    make(map[string]*family),
		series:   make(map[string]int),
		clashing: family{name: clashingName, own: true},
	}
	f.taken[clashingName] = &f.clashing
	return f
}

// add adds the stats of a snapshot, as far as there is a name for them: first
// those that have it as it is, then the others, of equal ones the first by name.
func (f *families) add(s *Snapshot, own bool) {
	candidates := make([]candidate, 0, len(s.Stats))
	for i := range s.Stats {
		candidates = f.appendCandidates(candidates, &s.Stats[i])
	}
	// Those who want the same series know it before one has it.
	wanted := make(map[string]int, len(candidates))
	for i := range candidates {
		candidates[i].setSeries()
		wanted[candidates[i].series]++
	}
	for rank := asItIs; rank <= escaped; rank++ {
		for i := range candidates {
			c := &candidates[i]
			if c.rank != rank {
				continue
			}
			shared := wanted[c.series] > 1 && rank != asItIs
			if shared && !c.addStatLabel() || !f.place(c, own) {
				f.clash(c)
			}
		}
	}
}

// clash exposes a candidate that there is no place for; of a distribution each of
// its values.
func (f *families) clash(c *candidate) {
	if c.stat.Kind != Distribution {
		f.addClashing(c.stat.Name, c.part, c.stat.Value)
		return
	}
	for _, v := range c.stat.Dist.Compute() {
		f.addClashing(c.stat.Name, v.Label, v.Value)
	}
	f.addClashing(c.stat.Name, "sum", c.stat.Dist.Sum)
	f.addClashing(c.stat.Name, "count", Int(c.stat.Dist.Count))
}

func (f *families) addClashing(name, part string, v Value) {
	labels := []seriesLabel{{statLabel, exposedText(name)}, {valueLabel, exposedText(part)}}
	if part == "" {
		labels = labels[:1]
	}
	s := sample{labels: string(appendSeriesLabels(nil, labels)), value: v}
	key := clashingName + "{" + s.labels
	if i, ok := f.series[key]; ok { // two stats of one name
		f.clashing.samples[i].value = f.clashing.samples[i].value.Add(v)
		return
	}
	f.series[key] = len(f.clashing.samples)
	f.clashing.samples = append(f.clashing.samples, s)
}

// openMetricsName returns the name that OpenMetrics has a counter by: without its
// suffix.
func (one *family) openMetricsName() string { return strings.TrimSuffix(one.name, totalSuffix) }

// hasCreated tells whether another metric of OpenMetrics has the name at which a
// counter or a summary may say when it was made.
func (f *families) hasCreated(name string) bool {
	name += createdSuffix
	if f.taken[name] != nil {
		return true
	}
	counter := f.taken[name+totalSuffix]
	return counter != nil && counter.kind == Counter
}

// appendCandidates appends what the stat is to be exposed as: several things if
// it is a distribution with labels that are no quantiles.
func (f *families) appendCandidates(to []candidate, stat *Stat) []candidate {
	if stat.Kind != Distribution {
		c := f.newCandidate(stat.Name, stat.Kind)
		c.stat, c.sample.value = *stat, stat.Value
		return append(to, c)
	}
	base := withoutLabelPlace(stat.Name)
	c := f.newCandidate(base, Distribution)
	c.stat = *stat
	c.stat.Dist = &Samples{Count: stat.Dist.Count, Sum: stat.Dist.Sum, Window: stat.Dist.Window}
	c.sample.dist = stat.Dist
	values := stat.Dist.Compute()
	has := make(map[string]bool) // quantiles
	for i, label := range stat.Dist.Labels {
		quantile, ok := quantileText(label.Percentile)
		if ok {
			c.stat.Dist.Labels = append(c.stat.Dist.Labels, label)
		}
		switch {
		case len(values) == 0 || has[quantile]:
		case ok:
			has[quantile] = true
			c.sample.quantiles = append(c.sample.quantiles, quantile)
			c.sample.values = append(c.sample.values, values[i].Value)
		default:
			beside := f.newCandidate(base, Gauge, "_"+label.Name)
			beside.stat, beside.part = Stat{Name: stat.Name, Kind: Gauge, Value: values[i].Value}, label.Name
			beside.sample.value = values[i].Value
			to = append(to, beside)
		}
	}
	return append(to, c)
}

// newCandidate returns one with the metric and the labels that a name stands for,
// with the suffixes that it is given and that its kind has.
func (f *families) newCandidate(name string, kind Kind, suffixes ...string) candidate {
	metric, labels, isSeries := parseSeries(name)
	if kind == Distribution && slices.ContainsFunc(labels, func(l seriesLabel) bool { return l.name == "quantile" }) {
		isSeries = false
	}
	c := candidate{metric: metric, labels: labels}
	if !isSeries {
		c.metric, c.labels = name, nil
	}
	for _, suffix := range suffixes {
		c.metric += suffix
		c.rank = suffixed
	}
	if c.metric == "" {
		return c
	}
	if kind == Counter && (!strings.HasSuffix(c.metric, totalSuffix) || c.metric == totalSuffix) {
		c.metric += totalSuffix
		c.rank = suffixed
	}
	for i := range c.labels {
		c.labels[i].value = exposedText(c.labels[i].value)
	}
	c.metric = exposedText(c.metric)
	if f.escaping != EscapeNothing && !isMetricName(c.metric) {
		c.metric = escapeMetricName(c.metric, f.escaping)
		c.rank = escaped
	}
	return c
}

// addStatLabel adds the name of the stat as a label, unless there is one of that
// name.
func (c *candidate) addStatLabel() bool {
	at, found := slices.BinarySearchFunc(c.labels, statLabel, func(l seriesLabel, name string) int {
		return strings.Compare(l.name, name)
	})
	if found {
		return false
	}
	c.labels = slices.Insert(c.labels, at, seriesLabel{statLabel, exposedText(c.stat.Name)})
	c.setSeries()
	return true
}

// setSeries sets what follows from the metric and the labels.
func (c *candidate) setSeries() {
	c.series = c.metric
	if len(c.labels) > 0 {
		c.sample.labels = string(appendSeriesLabels(nil, c.labels))
		c.series = c.metric + "{" + c.sample.labels
	}
}

// place puts the candidate into the family that its name belongs to, if that is
// one for it.
func (f *families) place(c *candidate, own bool) bool {
	if c.metric == "" || slices.Contains(prometheusNames, c.metric) {
		return false
	}
	if _, ok := f.series[c.series]; ok {
		return false
	}
	one := f.taken[c.metric]
	switch {
	case one == nil:
		one = f.newFamily(c, own)
	case one.own != own || one.name != c.metric || (one.kind == Distribution) != (c.stat.Kind == Distribution):
		one = nil
	case one.kind != c.stat.Kind:
		one.kind = Untyped
	}
	if one == nil {
		return false
	}
	f.series[c.series] = len(one.samples)
	one.samples = append(one.samples, c.sample)
	return true
}

// newFamily returns a new family for the candidate; nil if another has one of its
// names.
func (f *families) newFamily(c *candidate, own bool) *family {
	names := []string{c.metric}
	if c.stat.Kind == Distribution {
		names = append(names, c.metric+sumSuffix, c.metric+countSuffix)
	}
	for _, name := range names {
		if f.taken[name] != nil {
			return nil
		}
	}
	one := &family{name: c.metric, kind: c.stat.Kind, own: own}
	for _, name := range names {
		f.taken[name] = one
	}
	f.list = append(f.list, one)
	return one
}

// withoutLabelPlace returns the name of a distribution without the place of its
// label: "{0}" with a separator beside it, or a label of a series that it is the
// value of.
func withoutLabelPlace(name string) string {
	left := name
	for _, place := range []string{
		`,quantile="{0}"`, `quantile="{0}",`, `quantile="{0}"`,
		".{0}", "_{0}", " {0}", "{0}.", "{0}_", "{0} ", labelPlace,
	} {
		left = strings.ReplaceAll(left, place, "")
	}
	if left = CleanName(left); left == "" {
		return name
	}
	return left
}

// quantileText returns a percentile as the value of the label quantile, if it is
// one: 99.9 is 0.999, which 99.9/100 is not. It has a point, as newer versions of
// Prometheus store it in any case.
func quantileText(percentile float64) (string, bool) {
	if !(0 <= percentile && percentile <= 100) {
		return "", false
	}
	shifted, err := strconv.ParseFloat(strconv.FormatFloat(percentile, 'f', -1, 64)+"e-2", 64)
	return Float(shifted).String(), err == nil
}
