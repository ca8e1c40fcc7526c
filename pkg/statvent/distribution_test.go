package statvent

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func samplesOf(t *testing.T, r *Registry) *format.Samples {
	t.Helper()
	stat := onlyStat(t, r)
	if stat.Kind != format.Distribution {
		t.Fatalf("%s is a %s, want a distribution", stat.Name, stat.Kind)
	}
	return stat.Dist
}

func ints(from, to int64) []format.Value {
	var values []format.Value
	for n := from; n < to; n++ {
		values = append(values, format.Int(n))
	}
	return values
}

func TestDistributionShowsWhatTheFirstStatventShowed(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("latency.{0}")
	for n := range int64(150) {
		d.Record(n)
	}
	checkText(t, r,
		"latency.100th: 149",
		"latency.95th: 144",
		"latency.99th: 148",
		"latency.mean: 99.5",
		"latency.median: 99")
	s := samplesOf(t, r)
	if s.Count != 150 {
		t.Errorf("the count is %d, want 150", s.Count)
	}
	checkValue(t, "the sum", s.Sum, format.Int(11175))
	if !slices.Equal(s.Window, ints(50, 150)) {
		t.Errorf("the window is %v", s.Window)
	}
	if !slices.Equal(s.Labels, format.DefaultLabels()) {
		t.Errorf("the labels are %v", s.Labels)
	}
}

func TestDistributionOfOneValueShowsIt(t *testing.T) {
	r := NewRegistry()
	r.NewDistribution("d").Record(7)
	checkText(t, r, "d.100th: 7", "d.95th: 7", "d.99th: 7", "d.mean: 7.0", "d.median: 7")
}

func TestDistributionShowsNothingBeforeTheFirstValue(t *testing.T) {
	r := NewRegistry()
	r.NewDistribution("ordinary")
	r.NewDistribution("calculated", WithCalculation(func([]float64) map[string]float64 {
		t.Error("a calculation over nothing")
		return nil
	}))
	checkText(t, r)
}

func TestDistributionKeepsIntegersUntilTheFirstFloat(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("d", WithWindow(4), WithLabels(Percentile("max", 100), Mean("mean")))
	check := func(sum format.Value, window ...format.Value) {
		t.Helper()
		s := samplesOf(t, r)
		checkValue(t, "the sum", s.Sum, sum)
		if !slices.Equal(s.Window, window) {
			t.Errorf("the window is %v, want %v", s.Window, window)
		}
	}
	d.Record(-3)
	d.Record(5)
	check(format.Int(2), format.Int(-3), format.Int(5))
	checkText(t, r, "d.max: 5", "d.mean: 1.0")
	d.RecordFloat(0.5)
	check(format.Float(2.5), format.Float(-3), format.Float(5), format.Float(0.5))
	checkText(t, r, "d.max: 5.0", "d.mean: 0.8333333333333334")
	d.Record(6)
	check(format.Float(8.5), format.Float(-3), format.Float(5), format.Float(0.5), format.Float(6))
	for range 4 { // the float leaves the window
		d.Record(1)
	}
	check(format.Float(12.5), format.Float(1), format.Float(1), format.Float(1), format.Float(1))
}

func TestDistributionKeepsAllBitsOfIntegers(t *testing.T) {
	r := NewRegistry()
	r.NewDistribution("d", WithLabels(Percentile("max", 100), Mean("mean"))).Record(math.MaxInt64 - 1)
	checkText(t, r, "d.max: 9223372036854775806", "d.mean: 9.223372036854776e+18")
}

func TestDistributionTurnsAFullRingToFloatsInOrder(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("d", WithWindow(4))
	for n := range int64(6) {
		d.Record(n)
	}
	d.RecordFloat(6.5)
	want := []format.Value{format.Float(3), format.Float(4), format.Float(5), format.Float(6.5)}
	if got := samplesOf(t, r).Window; !slices.Equal(got, want) {
		t.Errorf("the window is %v, want %v", got, want)
	}
}

func TestDistributionSumBeyondInt64GoesOnAsFloat(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("d")
	d.Record(math.MaxInt64)
	d.Record(math.MaxInt64)
	s := samplesOf(t, r)
	checkValue(t, "the sum", s.Sum, format.Float(1<<64))
	checkValue(t, "a value", s.Window[1], format.Int(math.MaxInt64))
}

func TestDistributionTakesFloatsThatAreNoNumbers(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("d", WithLabels(Percentile("min", 0), Percentile("max", 100), Mean("mean")))
	d.RecordFloat(math.Inf(1))
	d.RecordFloat(1)
	checkText(t, r, "d.max: inf", "d.mean: inf", "d.min: 1.0")
	d.RecordFloat(math.NaN())
	checkText(t, r, "d.max: inf", "d.mean: nan", "d.min: nan")
}

func TestDistributionRemembersItsWindowOldestFirst(t *testing.T) {
	check := func(size int) {
		t.Helper()
		r := NewRegistry()
		d := r.NewDistribution("d", WithWindow(size))
		for n := int64(1); n <= int64(2*size+size/2+1); n++ {
			d.Record(n)
			s := samplesOf(t, r)
			if want := ints(max(n-int64(size), 0)+1, n+1); !slices.Equal(s.Window, want) {
				t.Fatalf("after %d values a window of %d holds %v", n, size, s.Window)
			}
			if s.Count != n || s.Sum.Int64() != n*(n+1)/2 {
				t.Fatalf("after %d values the count is %d and the sum %s", n, s.Count, s.Sum)
			}
		}
	}
	check(1)
	check(7)
	check(DefaultWindow)
	check(1000)
}

func TestWindowSizesAreKeptInBounds(t *testing.T) {
	check := func(size, want int) {
		t.Helper()
		if d := NewRegistry().NewDistribution("d", WithWindow(size)); d.size != want {
			t.Errorf("WithWindow(%d) remembers %d, want %d", size, d.size, want)
		}
	}
	check(math.MinInt, 1)
	check(-1, 1)
	check(0, 1)
	check(1, 1)
	check(1<<20, 1_048_576)
	check(1<<20+1, 1_048_576)
	check(math.MaxInt, 1_048_576)
	if d := NewRegistry().NewDistribution("d"); d.size != 100 {
		t.Errorf("the window is of %d values", d.size)
	}
}

func TestSnapshotIsNotTouchedByLaterValues(t *testing.T) {
	r := NewRegistry()
	d := r.NewDistribution("d", WithWindow(2))
	d.Record(1)
	d.Record(2)
	before := samplesOf(t, r)
	d.RecordFloat(3.5)
	if want := ints(1, 3); before.Count != 2 || !slices.Equal(before.Window, want) {
		t.Errorf("now the snapshot has %d values, %v", before.Count, before.Window)
	}
}

func TestLabelsInPlaceOfTheOrdinaryOnes(t *testing.T) {
	check := func(labels []Label, lines ...string) {
		t.Helper()
		r := NewRegistry()
		d := r.NewDistribution("d", WithLabels(labels...))
		for n := range int64(10) {
			d.Record(n)
		}
		checkText(t, r, lines...)
	}
	check([]Label{Percentile("p90", 90)}, "d.p90: 8")
	check([]Label{Mean("avg")}, "d.avg: 4.5")
	check([]Label{Percentile("min", 0), Mean("avg"), Percentile("max", 100)}, "d.avg: 4.5", "d.max: 9", "d.min: 0")
	check([]Label{Percentile("p99.9", 99.9)}, "d.p99.9: 8")
	check([]Label{Percentile("below", -1), Percentile("above", 101)}, "d.above: 9", "d.below: 0")
	check([]Label{Percentile("nan", math.NaN())}, "d.nan: 0")
	check([]Label{Percentile("", 50)}, "d.: 4")
	check([]Label{Percentile("{0}", 50)}, "d.{0}: 4")
	check(nil, "d.100th: 9", "d.95th: 8", "d.99th: 8", "d.mean: 4.5", "d.median: 4")
}

// A line break in a label would make two lines of one, the first of them a lie.
func TestLabelWithALineBreakIsOneLine(t *testing.T) {
	label := Percentile("p50: 1\nother", 50)
	check := func(what string, opts ...DistributionOption) {
		t.Helper()
		r := NewRegistry()
		r.NewDistribution("d", opts...).Record(7)
		if got, want := plainText(r), "d.p50: 1 other: 7\n"; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	check("by default", WithLabels(label))
	check("with a format", WithLabels(label), WithFormat(func(name, label string) string { return name + "." + label }))
}

func TestDistributionNameWithoutPlaceGetsOneAppended(t *testing.T) {
	check := func(name, template, line string) {
		t.Helper()
		r := NewRegistry()
		r.NewDistribution(name, WithLabels(Percentile("median", 50))).Record(1)
		if stat := onlyStat(t, r); stat.Name != template {
			t.Errorf("%q is called %q, want %q", name, stat.Name, template)
		}
		checkText(t, r, line)
	}
	check("d", "d.{0}", "d.median: 1")
	check("d.", "d..{0}", "d..median: 1")
	check("", ".{0}", ".median: 1")
	check("d{1}", "d{1}.{0}", "d{1}.median: 1")
	check("{0}", "{0}", "median: 1")
	check("{0}.d", "{0}.d", "median.d: 1")
	check("a.{0}.b.{0}", "a.{0}.b.{0}", "a.median.b.median: 1")
	check("a[{0}]", "a[{0}]", "a[median]: 1")
}

func TestFormatThatIsATemplateTravelsAsADistribution(t *testing.T) {
	check := func(f FormatFunc, template string, lines ...string) {
		t.Helper()
		r := NewRegistry()
		d := r.NewDistribution("d{0}", WithFormat(f), WithLabels(Percentile("median", 50), Percentile("max", 100)))
		d.Record(1)
		d.Record(2)
		if stat := onlyStat(t, r); stat.Name != template || stat.Kind != format.Distribution {
			t.Errorf("it is the %s %q, want the distribution %q", stat.Kind, stat.Name, template)
		}
		checkText(t, r, lines...)
	}
	check(func(name, label string) string { return "d/" + label },
		"d/{0}", "d/max: 2", "d/median: 1")
	check(func(name, label string) string { return label + " of " + label },
		"{0} of {0}", "max of max: 2", "median of median: 1")
	check(func(name, label string) string { return "d\n" + label + "\r\nx " },
		"d {0} x", "d max x: 2", "d median x: 1")
}

func TestFormatThatIsNoTemplateTravelsAsValues(t *testing.T) {
	check := func(f FormatFunc, lines ...string) {
		t.Helper()
		r := NewRegistry()
		d := r.NewDistribution("d{0}", WithFormat(f), WithLabels(Percentile("median", 50), Mean("mean")))
		d.Record(1)
		d.Record(2)
		for _, stat := range r.Snapshot().Stats {
			if stat.Kind != format.Untyped {
				t.Errorf("%q is a %s, want it untyped", stat.Name, stat.Kind)
			}
		}
		checkText(t, r, lines...)
	}
	check(func(name, label string) string { return strings.ToUpper(label) },
		"MEAN: 1.5", "MEDIAN: 1")
	check(func(name, label string) string { return name[:1] + "." + label[:3] },
		"d.mea: 1.5", "d.med: 1")
	check(func(name, label string) string { return strings.ToUpper(label) + "\n" + label + ": 5\n" },
		"MEAN mean: 5: 1.5", "MEDIAN median: 5: 1")
	check(func(name, label string) string {
		if label == "mean" {
			return "average"
		}
		return "d." + label
	}, "average: 1.5", "d.median: 1")
}

func TestFormatGetsTheNameAsItIs(t *testing.T) {
	check := func(name, want string) {
		t.Helper()
		r := NewRegistry()
		r.NewDistribution(name, WithFormat(func(name, label string) string {
			if name != want {
				t.Errorf("the format function got %q, want %q", name, want)
			}
			return name + label
		})).Record(1)
		r.Snapshot()
	}
	check("plain", "plain")
	check("with.{0}", "with.{0}")
	check(" blanks\nand breaks ", "blanks and breaks")
}

func TestNoFormatIsTheOrdinaryOne(t *testing.T) {
	r := NewRegistry()
	r.NewDistribution("d", WithFormat(nil), WithCalculation(nil), WithLabels(Mean("mean"))).Record(1)
	checkText(t, r, "d.mean: 1.0")
}

func TestCalculationGetsTheLastValuesSorted(t *testing.T) {
	r := NewRegistry()
	var got []float64
	d := r.NewDistribution("d", WithWindow(3), WithCalculation(func(sorted []float64) map[string]float64 {
		got = slices.Clone(sorted)
		for i := range sorted {
			sorted[i] = -1 // the slice is the function's own
		}
		return map[string]float64{"range": got[len(got)-1] - got[0], "n": float64(len(got))}
	}))
	d.Record(100)
	d.Record(9)
	d.RecordFloat(2.5)
	d.Record(4)
	for range 2 {
		checkText(t, r, "d.n: 3.0", "d.range: 6.5")
		if want := []float64{2.5, 4, 9}; !slices.Equal(got, want) {
			t.Errorf("it got %v, want %v", got, want)
		}
	}
	for _, stat := range r.Snapshot().Stats {
		if stat.Kind != format.Untyped {
			t.Errorf("%s is a %s, want it untyped", stat.Name, stat.Kind)
		}
	}
}

func TestCalculationNamesItsValuesByTheFormat(t *testing.T) {
	check := func(calculated map[string]float64, f FormatFunc, lines ...string) {
		t.Helper()
		r := NewRegistry()
		r.NewDistribution("d", WithFormat(f), WithCalculation(func([]float64) map[string]float64 { return calculated })).Record(1)
		checkText(t, r, lines...)
	}
	check(map[string]float64{"b": 1, "a": 2}, func(name, label string) string { return name + "/" + label }, "d/a: 2.0", "d/b: 1.0")
	check(map[string]float64{"b": 1, "a": 2}, func(name, label string) string { return label + "\n" }, "a: 2.0", "b: 1.0")
	check(map[string]float64{"b\nx: 9": 1}, nil, "d.b x: 9: 1.0")
	check(map[string]float64{"nan": math.NaN(), "inf": math.Inf(-1)}, nil, "d.inf: -inf", "d.nan: nan")
	check(map[string]float64{}, nil)
	check(nil, nil)
}

func TestPanicCostsOnlyItsOwnStat(t *testing.T) {
	check := func(fail func()) {
		t.Helper()
		r := NewRegistry()
		r.Incr("counter")
		r.NewDistribution("a").Record(1)
		r.NewDistribution("broken format", WithFormat(func(string, string) string { fail(); return "" })).Record(1)
		r.NewDistribution("broken late", WithFormat(func(name, label string) string {
			if label == "mean" { // after others were shown
				fail()
			}
			return strings.ToUpper(name + "." + label)
		})).Record(1)
		r.NewDistribution("broken calculation", WithCalculation(func([]float64) map[string]float64 { fail(); return nil })).Record(1)
		r.NewDistribution("broken format of a calculation", WithFormat(func(string, string) string { fail(); return "" }),
			WithCalculation(func([]float64) map[string]float64 { return map[string]float64{"x": 1, "y": 2} })).Record(1)
		r.SetFunc("broken function", func() float64 { fail(); return 0 })
		r.SetFunc("function", func() float64 { return 1 })
		r.NewDistribution("z", WithLabels(Mean("mean"))).Record(1)
		for range 2 {
			checkText(t, r,
				"a.100th: 1", "a.95th: 1", "a.99th: 1", "a.mean: 1.0", "a.median: 1",
				"counter: 1", "function: 1.0", "z.mean: 1.0")
		}
	}
	var nothing map[string]float64
	check(func() { panic("on purpose") })
	check(func() { panic(errors.New("on purpose")) })
	check(func() { nothing["x"] = 1 })
	check(func() { panic(nil) })
}

// What makes a panic is the program's own, and may be repaired in time.
func TestStatThatPanickedOnceIsBackWhenItDoesNot(t *testing.T) {
	r := NewRegistry()
	broken := true
	r.SetFunc("f", func() float64 {
		if broken {
			panic("on purpose")
		}
		return 1
	})
	checkText(t, r)
	broken = false
	checkText(t, r, "f: 1.0")
}

func TestFunctionsOfTheProgramMayUseTheRegistry(t *testing.T) {
	r := NewRegistry()
	var d *Distribution
	d = r.NewDistribution("d", WithWindow(1),
		WithFormat(func(name, label string) string {
			r.Incr("formatted." + label)
			r.NewDistribution("by the format").Record(1)
			return name + "." + label
		}),
		WithCalculation(func(sorted []float64) map[string]float64 {
			d.Record(2)
			r.Incr("calculated")
			return map[string]float64{"x": sorted[0]}
		}))
	d.Record(1)
	within(t, "a snapshot", func() { r.Snapshot() })
	s := r.Snapshot()
	for _, name := range []string{"calculated", "d.x", "formatted.x"} {
		if _, ok := s.Lookup(name); !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestDistributionCountsConcurrentValuesExactly(t *testing.T) {
	const each = 5000
	r := NewRegistry()
	d := r.NewDistribution("d", WithWindow(10))
	record := func() {
		for range each {
			d.Record(3)
		}
	}
	recordFloats := func() {
		for i := range each {
			if i < each/2 {
				d.Record(3)
			} else {
				d.RecordFloat(0.5)
			}
		}
	}
	var seen int64
	together(record, record, recordFloats, recordFloats, func() {
		for range 100 {
			var s format.Samples
			if !d.copyTo(&s) {
				continue
			}
			if s.Count < seen || len(s.Window) != int(min(s.Count, 10)) {
				t.Errorf("a reader saw %d values in the window of %d, and %d before", len(s.Window), s.Count, seen)
			}
			for _, v := range s.Window {
				if f := v.Float64(); f != 3 && f != 0.5 {
					t.Errorf("a reader saw %s in the window", v)
				}
			}
			seen = s.Count
		}
	})
	s := samplesOf(t, r)
	if s.Count != 4*each {
		t.Errorf("the count is %d, want %d", s.Count, 4*each)
	}
	checkValue(t, "the sum", s.Sum, format.Float(3*each*3+each*0.5))
}
