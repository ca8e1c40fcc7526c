package conformance

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/statvent/statvent/pkg/format"
)

// expose returns what a scraper with that Accept header gets.
func expose(accept string, stats ...format.Stat) (body []byte, contentType string) {
	s := &format.Snapshot{Stats: slices.Clone(stats)}
	s.Sort()
	exposition := format.ParseAccept(accept)
	return exposition.Append(nil, s, nil, nil), exposition.ContentType()
}

// The syntaxes and escapings, as a scraper asks for them.
const (
	text004 = "text/plain;version=0.0.4"
	text100 = "text/plain;version=1.0.0"
	open100 = "application/openmetrics-text;version=1.0.0"
)

// An asked is one of all combinations of them.
type asked struct {
	accept string
	scheme model.EscapingScheme
}

func (a asked) String() string { return a.accept }

func (a asked) isOpenMetrics() bool { return strings.HasPrefix(a.accept, open100) }

// escape escapes a name as expfmt does: one that needs none stays what it is.
func (a asked) escape(name string) string {
	if model.LegacyValidation.IsValidMetricName(name) {
		return name
	}
	return model.EscapeName(name, a.scheme)
}

// everyFormat returns all combinations.
func everyFormat() []asked {
	formats := []asked{{text004, model.UnderscoreEscaping}}
	for _, syntax := range []string{text004, text100, open100} {
		for _, scheme := range []model.EscapingScheme{model.NoEscaping, model.UnderscoreEscaping, model.DotsEscaping, model.ValueEncodingEscaping} {
			if scheme != model.NoEscaping || syntax != text004 { // which had no names in quotes
				formats = append(formats, asked{syntax + ";escaping=" + scheme.String(), scheme})
			}
		}
	}
	return formats
}

func inEveryFormat(t *testing.T, test func(t *testing.T, a asked)) {
	for _, a := range everyFormat() {
		t.Run(a.String(), func(t *testing.T) { test(t, a) })
	}
}

// A sample is a line of an exposition, as Prometheus reads it.
type sample struct {
	family string // what the last TYPE line before it named
	kind   model.MetricType
	labels labels.Labels
	value  float64
}

func (s sample) name() string { return s.labels.Get(model.MetricNameLabel) }

func (s sample) String() string { return fmt.Sprint(s.labels, " ", s.value) }

// scrape reads a body as Prometheus does, and returns what is wrong with it.
func scrape(body []byte, contentType string) (samples []sample, err error) {
	parser, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	var current sample
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return samples, nil
		}
		if err != nil {
			return samples, fmt.Errorf("after %d samples, the last of which is %v: %w", len(samples), samples[max(0, len(samples)-1):], err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := parser.Type()
			// This name is as it is written, without the quotes around it.
			current.family, current.kind = unescape.Replace(string(name)), kind
		case textparse.EntrySeries:
			_, timestamp, value := parser.Series()
			if timestamp != nil {
				return samples, errors.New("a sample has a timestamp")
			}
			current.value = value
			parser.Labels(&current.labels)
			samples = append(samples, current)
		case textparse.EntryHelp, textparse.EntryComment, textparse.EntryUnit:
		case textparse.EntryInvalid, textparse.EntryHistogram:
			return samples, fmt.Errorf("an entry of the type %v", entry)
		}
	}
}

var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

// suffixes are what the names of a family's samples may have behind its name.
func suffixes(kind model.MetricType, openMetrics bool) []string {
	switch kind {
	case model.MetricTypeCounter:
		if openMetrics {
			return []string{"_total"}
		}
		return []string{""}
	case model.MetricTypeSummary:
		return []string{"", "_sum", "_count"}
	default:
		return []string{""}
	}
}

// reserved are the names that no other family may have or give to its samples.
func reserved(family string, kind model.MetricType, openMetrics bool) (names []string) {
	names = []string{family}
	for _, suffix := range suffixes(kind, openMetrics) {
		names = append(names, family+suffix)
	}
	if openMetrics && (kind == model.MetricTypeCounter || kind == model.MetricTypeSummary) {
		names = append(names, family+"_created")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// faults returns what is wrong with an exposition, by the rules of its format.
func faults(samples []sample, a asked) (wrong []string) {
	complain := func(s sample, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%v (family %s, %s): ", s, s.family, s.kind)+fmt.Sprintf(format, args...))
	}
	names := model.LegacyValidation
	if a.scheme == model.NoEscaping {
		names = model.UTF8Validation
	}
	owners := make(map[string]string) // of names, by family
	series := make(map[string]bool)
	last := ""
	for _, s := range samples {
		if s.kind == "" {
			complain(s, "no TYPE")
		}
		if s.family != last {
			last = s.family
			for _, name := range reserved(s.family, s.kind, a.isOpenMetrics()) {
				if owner, taken := owners[name]; taken {
					complain(s, "%s is taken by the family %s", name, owner)
				}
				owners[name] = s.family
			}
		}
		if !slices.ContainsFunc(suffixes(s.kind, a.isOpenMetrics()), func(suffix string) bool { return s.name() == s.family+suffix }) {
			complain(s, "not one of its family")
		}
		if series[s.labels.String()] {
			complain(s, "is there twice")
		}
		series[s.labels.String()] = true
		if !s.labels.IsValid(names) {
			complain(s, "is no valid series")
		}
		if duplicate, twice := s.labels.HasDuplicateLabelNames(); twice {
			complain(s, "has the label %s twice", duplicate)
		}
		if quantile := s.labels.Get("quantile"); quantile != "" && s.kind == model.MetricTypeSummary && s.name() == s.family {
			var q float64
			if _, err := fmt.Sscan(quantile, &q); err != nil || q < 0 || q > 1 {
				complain(s, "has the quantile %s", quantile)
			}
		}
		if a.isOpenMetrics() && s.kind == model.MetricTypeCounter && !(s.value >= 0) {
			complain(s, "is a counter")
		}
	}
	return wrong
}

// check scrapes the stats in a format, says what is wrong, and returns the samples.
func check(t testing.TB, a asked, stats ...format.Stat) []sample {
	t.Helper()
	body, contentType := expose(a.accept, stats...)
	samples, err := scrape(body, contentType)
	if err != nil {
		t.Errorf("%v: %v\n%s", a, err, clip(body))
	}
	for i, fault := range faults(samples, a) {
		t.Errorf("%v: %s", a, fault)
		if i == 5 {
			break
		}
	}
	if !a.isOpenMetrics() {
		checkExpfmt(t, a, body, len(samples))
	}
	return samples
}

// checkExpfmt reads the text with the parser that everything but Prometheus uses.
func checkExpfmt(t testing.TB, a asked, body []byte, want int) {
	t.Helper()
	names := model.LegacyValidation
	if a.scheme == model.NoEscaping {
		names = model.UTF8Validation
	}
	parser := expfmt.NewTextParser(names)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Errorf("%v: expfmt: %v", a, err)
	}
	got := 0
	for _, family := range families {
		for _, metric := range family.Metric {
			if metric.Summary == nil {
				got++
				continue
			}
			got += len(metric.Summary.Quantile)
			if metric.Summary.SampleSum != nil {
				got++
			}
			if metric.Summary.SampleCount != nil {
				got++
			}
		}
	}
	if got != want {
		t.Errorf("%v: expfmt reads %d samples, Prometheus %d", a, got, want)
	}
}

func clip(body []byte) []byte { return body[:min(len(body), 4000)] }

// same tells whether two floats are, NaN and the sign of 0 included.
func same(a, b float64) bool {
	return a == b && math.Signbit(a) == math.Signbit(b) || a != a && b != b
}
