package format

import (
	"slices"
	"strings"
	"testing"
)

// FuzzAccept reads an Accept header, and what is answered as one: the client that asks
// for that gets it. An alternative that nobody understands makes no difference.
func FuzzAccept(f *testing.F) {
	for _, accept := range []string{
		"", "*/*", "text/plain;version=0.0.4;q=0.2,*/*;q=0.1", "application/openmetrics-text;version=\"1.0.0\";escaping=values", "text/plain; version=1.0.0; escaping=allow-utf-8",
		"application/openmetrics-text;q=nan", "a;;=,;q=1e999", "TEXT/PLAIN;ESCAPING=DOTS", "text/*;q=-1", ",,,",
	} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		e := ParseAccept(accept)
		if e.Syntax < PrometheusText || e.Syntax > OpenMetrics || e.Escaping < EscapeUnderscores || e.Escaping > EscapeNothing ||
			e.Syntax == PrometheusText && e.Escaping == EscapeNothing {
			t.Fatalf("%q: got %+v", accept, e)
		}
		if again := ParseAccept(e.ContentType()); again != e {
			t.Errorf("%q: %s is read as %s", accept, e.ContentType(), again.ContentType())
		}
		if with := ParseAccept("application/x-odd," + accept + ",image/png;q=1"); with != e {
			t.Errorf("%q: got %s, and beside others %s", accept, e.ContentType(), with.ContentType())
		}
	})
}

// FuzzSeries reads a series, writes it and reads it again, with its labels in another
// order.
func FuzzSeries(f *testing.F) {
	for _, s := range []string{
		"a", "a{}", `a{b="c"}`, `a { b = "c" , }`, `a{b="c",b="d"}`, `a{b=""}`, `a{b="\\\"\n"}`, `a{__b="c"}`, `{b="c"}`, `a{b="c"`, `a{b="c"}x`, "a:b", `a{b="größe",a="\xff"}`, `a{b='c'}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		metric, labels, ok := parseSeries(s)
		if !ok {
			return
		}
		if !isMetricName(metric) {
			t.Errorf("%q is of %q", s, metric)
		}
		if !slices.IsSortedFunc(labels, func(a, b seriesLabel) int { return strings.Compare(a.name, b.name) }) {
			t.Errorf("%q has %v", s, labels)
		}
		var written []string
		for _, l := range labels {
			if l.value == "" || !isLabelName(l.name) {
				t.Errorf("%q has the label %+v", s, l)
			}
			written = append(written, l.name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(l.value)+`"`)
		}
		slices.Reverse(written)
		text := metric + "{" + strings.Join(written, ",") + "}"
		again, others, ok := parseSeries(text)
		if !ok || again != metric || !slices.Equal(others, labels) {
			t.Errorf("%q is written %q, and read %q, %v, %v", s, text, again, others, ok)
		}
	})
}
