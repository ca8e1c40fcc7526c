package format

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// ints returns integer values.
func ints(is ...int64) []Value {
	var values []Value
	for _, i := range is {
		values = append(values, Int(i))
	}
	return values
}

// floats returns float values.
func floats(fs ...float64) []Value {
	var values []Value
	for _, f := range fs {
		values = append(values, Float(f))
	}
	return values
}

// count returns the integers from first to last.
func count(first, last int64) []Value {
	var values []Value
	for i := first; i <= last; i++ {
		values = append(values, Int(i))
	}
	return values
}

func labelValues(values []LabelValue) string {
	var texts []string
	for _, lv := range values {
		texts = append(texts, lv.Label+" "+lv.Value.String())
	}
	return strings.Join(texts, ", ")
}

func TestComputeDefaultLabels(t *testing.T) {
	f := func(window []Value, want string) {
		t.Helper()
		s := Samples{Labels: DefaultLabels(), Window: window}
		if got := labelValues(s.Compute()); got != want {
			t.Errorf("%v: got %s, want %s", window, got, want)
		}
	}
	// 0 to 149 were recorded, of which the last 100 are there.
	f(count(50, 149), "median 99, 95th 144, 99th 148, 100th 149, mean 99.5")
	f(count(1, 100), "median 50, 95th 95, 99th 99, 100th 100, mean 50.5")
	f(nil, "")
	f(ints(7), "median 7, 95th 7, 99th 7, 100th 7, mean 7.0")
	f(ints(7, 5), "median 5, 95th 5, 99th 5, 100th 7, mean 6.0")
	f(ints(9, 5, 7), "median 5, 95th 7, 99th 7, 100th 9, mean 7.0")
	f(ints(4, 3, 2, 1), "median 2, 95th 3, 99th 3, 100th 4, mean 2.5")
	f(ints(-1, -3, -2), "median -3, 95th -2, 99th -2, 100th -1, mean -2.0")
	f(ints(5, 5, 5), "median 5, 95th 5, 99th 5, 100th 5, mean 5.0")
}

func TestComputeFloatInWindowMakesFloats(t *testing.T) {
	f := func(window []Value, want string) {
		t.Helper()
		s := Samples{Labels: DefaultLabels(), Window: window}
		if got := labelValues(s.Compute()); got != want {
			t.Errorf("%v: got %s, want %s", window, got, want)
		}
	}
	f(append(ints(1, 2, 3), Float(4)), "median 2.0, 95th 3.0, 99th 3.0, 100th 4.0, mean 2.5")
	f(append(floats(0.5), ints(3, 1)...), "median 0.5, 95th 1.0, 99th 1.0, 100th 3.0, mean 1.5")
	f(floats(0.25), "median 0.25, 95th 0.25, 99th 0.25, 100th 0.25, mean 0.25")
	f(floats(inf, 1, 2), "median 1.0, 95th 2.0, 99th 2.0, 100th inf, mean inf")
	f(floats(inf, -inf), "median -inf, 95th -inf, 99th -inf, 100th inf, mean nan")
	f(floats(1, nan, 2), "median nan, 95th 1.0, 99th 1.0, 100th 2.0, mean nan")
}

func TestComputeIntegersBeyond53BitsStayExact(t *testing.T) {
	f := func(window []Value, want string) {
		t.Helper()
		s := Samples{Labels: []Label{{"min", 0}, {"max", 100}, {"mean", Mean}}, Window: window}
		if got := labelValues(s.Compute()); got != want {
			t.Errorf("%v: got %s, want %s", window, got, want)
		}
	}
	f(ints(1<<53+1, 1<<53), "min 9007199254740992, max 9007199254740993, mean 9007199254740992.0")
	f(ints(1<<53+3, 1<<53+1), "min 9007199254740993, max 9007199254740995, mean 9007199254740994.0")
	f(ints(math.MaxInt64, math.MaxInt64-1), "min 9223372036854775806, max 9223372036854775807, mean 9.223372036854776e+18")
	f(ints(math.MinInt64, math.MinInt64), "min -9223372036854775808, max -9223372036854775808, mean -9.223372036854776e+18")
	f(ints(1<<53+1, -1<<53), "min -9007199254740992, max 9007199254740993, mean 0.5") // a sum of floats is 0
}

func TestComputeCustomPercentiles(t *testing.T) {
	f := func(n int64, percentile float64, want string) {
		t.Helper()
		s := Samples{Labels: []Label{{"p", percentile}}, Window: count(1, n)}
		if got := labelValues(s.Compute()); got != "p "+want {
			t.Errorf("percentile %g of 1 to %d: got %s, want %s", percentile, n, got, want)
		}
	}
	f(100, 0, "1")
	f(100, 1, "1")
	f(100, 2, "2")
	f(100, 25, "25")
	f(100, 99.9, "99")
	f(1000, 99.9, "999")
	f(1000, 99.99, "999")
	f(1000, 0.1, "1")
	f(1000, 0.2, "2")
	f(10, 95, "9")
	f(10, 9.999, "1")
	f(4, 74.9, "2")
	f(4, 75, "3")
	// Percentiles that are none.
	f(10, -2, "1")
	f(10, -0.5, "1")
	f(10, 100.1, "10")
	f(10, 110, "10")
	f(10, 1e308, "10")
	f(10, -1e308, "1")
	f(10, inf, "10")
	f(10, -inf, "1")
	f(10, nan, "1")
	f(1, 200, "1")
	f(10, Mean, "5.5")
}

func TestComputeAnyWindowIsSeedsArithmetic(t *testing.T) {
	var labels []Label
	for p := range 101 {
		labels = append(labels, Label{fmt.Sprint(p), float64(p)})
	}
	r := freshRand(t)
	for n := 1; n <= 200; n++ {
		window := count(0, int64(n)-1)
		r.Shuffle(n, func(i, j int) { window[i], window[j] = window[j], window[i] })
		recorded := slices.Clone(window)
		s := Samples{Labels: labels, Window: window}
		for p, lv := range s.Compute() {
			if want := Int(int64(max(0, n*p/100-1))); lv.Value != want || lv.Label != labels[p].Name {
				t.Fatalf("percentile %d of %d values: got %s %v, want %v", p, n, lv.Label, lv.Value, want)
			}
		}
		if !slices.Equal(window, recorded) {
			t.Fatalf("Compute changed the window %v to %v", recorded, window)
		}
	}
}

func TestComputeWithoutLabelsIsNothing(t *testing.T) {
	s := Samples{Count: 3, Sum: Int(6), Window: ints(1, 2, 3)}
	if got := s.Compute(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestComputeLabelsInTheirOrder(t *testing.T) {
	s := Samples{Labels: []Label{{"z", 100}, {"a", 0}, {"z", Mean}, {"", 50}}, Window: ints(3, 1, 2)}
	if got, want := labelValues(s.Compute()), "z 3, a 1, z 2.0,  1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaultLabelsAreTheCallersOwn(t *testing.T) {
	DefaultLabels()[0].Name = "changed"
	if got := DefaultLabels()[0]; got != (Label{"median", 50}) {
		t.Errorf("got %v", got)
	}
}

func TestExpandLabel(t *testing.T) {
	f := func(template, label, want string) {
		t.Helper()
		if got := ExpandLabel(template, label); got != want {
			t.Errorf("ExpandLabel(%q, %q) = %q, want %q", template, label, got, want)
		}
	}
	f("latency.{0}", "95th", "latency.95th")
	f("{0}", "mean", "mean")
	f("{0} of a[{0}]", "median", "median of a[median]")
	f("{0}{0}", "x", "xx")
	f("a.{0}", "", "a.")
	f("a.{0}", "{0}", "a.{0}")
	f("a", "mean", "a.mean")
	f("a.{1}", "mean", "a.{1}.mean")
	f("a.{ 0 }{}", "mean", "a.{ 0 }{}.mean")
	f("\xff{0}\xfe", "\x80", "\xff\x80\xfe")
	f("", "mean", ".mean")
}

func TestLabelTemplate(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := LabelTemplate(name); got != want {
			t.Errorf("LabelTemplate(%q) = %q, want %q", name, got, want)
		}
	}
	f("latency", "latency.{0}")
	f("latency.{0}", "latency.{0}")
	f("{0}", "{0}")
	f("{0}.latency", "{0}.latency")
	f("{0}{0}", "{0}{0}")
	f("latency{1}", "latency{1}.{0}")
	f("latency{}", "latency{}.{0}")
	f("", ".{0}")
}
