package statvent

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/statvent/statvent/pkg/format"
)

func upper(name, label string) string { return strings.ToUpper(name + "." + label) }

func TestRegistryMethodsRecordTheirStats(t *testing.T) {
	r := NewRegistry()
	checkText(t, r)
	r.Incr("incr")
	r.Incr("incr")
	r.IncrBy("incr by", 5)
	r.IncrByFloat("incr by float", 0.5)
	r.Set("set", -7)
	r.SetFloat("set float", 2)
	r.NewDistribution("record", WithLabels(Percentile("max", 100)))
	r.Record("record", 3)
	r.NewDistribution("record float", WithLabels(Percentile("max", 100)))
	r.RecordFloat("record float", 3)
	r.SetFunc("set func", func() float64 { return 4 })
	checkText(t, r,
		"incr: 2",
		"incr by: 5",
		"incr by float: 0.5",
		"record float.max: 3.0",
		"record.max: 3",
		"set: -7",
		"set float: 2.0",
		"set func: 4.0")
}

func TestSnapshotIsSortedAndSaysTheKinds(t *testing.T) {
	r := NewRegistry()
	r.SetFunc("e", func() float64 { return 1 })
	r.Record("d", 1)
	r.Set("c", 1)
	r.Incr("b")
	r.IncrBy("a", -1)
	var got []string
	for _, stat := range r.Snapshot().Stats {
		got = append(got, stat.Kind.String()+" "+stat.Name)
	}
	if want := []string{"gauge a", "counter b", "gauge c", "distribution d.{0}", "gauge e"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRegistriesKnowNothingOfEachOther(t *testing.T) {
	a, b := NewRegistry(), NewRegistry()
	a.Incr("x")
	checkText(t, b)
	b.IncrBy("x", 5)
	checkText(t, a, "x: 1")
}

func TestNewTwiceIsTheSameStat(t *testing.T) {
	r := NewRegistry()
	counter, gauge := r.NewCounter("n"), r.NewGauge("n")
	if counter != r.NewCounter("n") || gauge != r.NewGauge("n") {
		t.Error("the second handle is of another stat")
	}
	counter.Incr()
	gauge.Incr()
	r.Incr("n")
	checkText(t, r, "n: 3")

	r = NewRegistry()
	d := r.NewDistribution("d", WithLabels(Mean("mean")), WithWindow(2))
	for _, again := range []*Distribution{
		r.NewDistribution("d"),
		r.NewDistribution("d", WithLabels(Mean("other")), WithWindow(7)),
		r.NewDistribution("d.{0}"),
		r.NewDistribution(" d\n"),
		r.distributionBy("d", upper),
	} {
		if again != d {
			t.Error("the second distribution is another one")
		}
	}
	for range 3 {
		d.Record(2)
	}
	checkText(t, r, "d.mean: 2.0")
	if n := len(onlyStat(t, r).Dist.Window); n != 2 {
		t.Errorf("the window is of %d values", n)
	}
}

func TestFirstFormatOfANameIsKept(t *testing.T) {
	r := NewRegistry()
	d := r.distributionBy("d", upper)
	if r.distributionBy("d", func(string, string) string { return "other" }) != d || r.NewDistribution("d") != d {
		t.Error("the second distribution is another one")
	}
	d.Record(1)
	checkText(t, r, "D.100TH: 1", "D.95TH: 1", "D.99TH: 1", "D.MEAN: 1.0", "D.MEDIAN: 1")
}

// Two goroutines that miss the name at the same time make it one after the
// other, and the second finds what the first made.
func TestDistributionMadeByTwoAtOnceIsOne(t *testing.T) {
	check := func(name string, first, second []DistributionOption) {
		t.Helper()
		r := NewRegistry()
		if r.addDistribution(name, first...) != r.addDistribution(name, second...) {
			t.Errorf("%q is two distributions", name)
		}
	}
	format := []DistributionOption{WithFormat(upper)}
	check("d", nil, nil)
	check("d", nil, format)
	check("d", format, nil)
	check("d", format, format)
	check("d.{0}", nil, format)
	check("d.{0}", format, nil)
}

func TestStatMadeByManyAtOnceIsOne(t *testing.T) {
	for range 200 {
		r := NewRegistry()
		together(append(
			times(4, func() {
				r.Incr("c")
				r.Record("d", 2)
			}),
			times(4, func() {
				r.Incr("\tc\n")
				r.Record(" d.{0} ", 2)
			})...)...)
		c, d := r.Snapshot().Stats[0], r.Snapshot().Stats[1]
		if c.Value != format.Int(8) || d.Dist.Count != 8 || d.Dist.Sum != format.Int(16) {
			t.Fatalf("c is %s; d has %d values, in all %s", c.Value, d.Dist.Count, d.Dist.Sum)
		}
	}
}

func TestSnapshotsBesideNewStats(t *testing.T) {
	const n = 500
	r := NewRegistry()
	stop := make(chan struct{})
	together(
		func() {
			defer close(stop)
			for i := range n {
				name := strings.Repeat("x", i)
				r.Incr("c" + name)
				r.Record("d"+name, 1)
				r.SetFunc("f"+name, func() float64 { return 1 })
			}
		},
		func() {
			for {
				s := r.Snapshot()
				if !slices.IsSortedFunc(s.Stats, func(a, b format.Stat) int { return strings.Compare(a.Name, b.Name) }) {
					t.Error("a snapshot isn't sorted")
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	if got := len(r.Snapshot().Stats); got != 3*n {
		t.Errorf("there are %d stats, want %d", got, 3*n)
	}
}

// A stat is a gauge before it falls, for a snapshot in between as well.
func TestSnapshotNeverHasACounterThatFell(t *testing.T) {
	for range 10_000 {
		r := NewRegistry()
		c := r.NewCounter("x")
		together(func() { c.IncrBy(-1) }, func() {
			for range 5 {
				if stat := r.Snapshot().Stats[0]; stat.Kind == format.Counter && stat.Value.Int64() < 0 {
					t.Errorf("it is a counter of %s", stat.Value)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestFunctionIsCalledOnceForEachSnapshot(t *testing.T) {
	r := NewRegistry()
	calls := 0
	r.SetFunc("calls", func() float64 { calls++; return float64(calls) })
	if calls != 0 {
		t.Error("it was called before anybody read")
	}
	checkText(t, r, "calls: 1.0")
	checkText(t, r, "calls: 2.0")
	if kind := onlyStat(t, r).Kind; kind != format.Gauge {
		t.Errorf("it is a %s", kind)
	}
}

func TestFunctionIsReplacedAndRemoved(t *testing.T) {
	value := func(x float64) func() float64 { return func() float64 { return x } }
	r := NewRegistry()
	r.SetFunc("f", nil)
	checkText(t, r)
	r.SetFunc("f", value(1))
	r.SetFunc("g", value(math.NaN()))
	checkText(t, r, "f: 1.0", "g: nan")
	r.SetFunc("f", value(2))
	checkText(t, r, "f: 2.0", "g: nan")
	r.SetFunc(" f\n", value(3))
	checkText(t, r, "f: 3.0", "g: nan")
	r.SetFunc("f ", nil)
	checkText(t, r, "g: nan")
	r.SetFunc("f", value(4))
	checkText(t, r, "f: 4.0", "g: nan")
}

func TestFunctionMayUseTheRegistry(t *testing.T) {
	r := NewRegistry()
	r.SetFunc("f", func() float64 {
		r.Incr("a new counter")
		r.Record("a new distribution", 1)
		r.SetFunc("a new function", func() float64 { return 5 })
		return 1
	})
	within(t, "a snapshot", func() { r.Snapshot() })
	v, ok := r.Snapshot().Lookup("a new counter")
	if !ok {
		t.Fatal("there is no new counter")
	}
	checkValue(t, "the new counter", v, format.Int(1)) // the second read counts after it was read
	v, _ = r.Snapshot().Lookup("a new function")
	checkValue(t, "the new function", v, format.Float(5))
}

// roundTrip writes the registry in the plain format and reads it back.
func roundTrip(t *testing.T, r *Registry) *format.Snapshot {
	t.Helper()
	p := format.PlainParser{MaxLine: 2 << 20}
	if _, err := p.Write([]byte(plainText(r))); err != nil {
		t.Fatal(err)
	}
	return p.Snapshot()
}

func TestNamesOfAnyKindAreReadBack(t *testing.T) {
	check := func(name, want string) {
		t.Helper()
		for _, record := range []func(r *Registry){
			func(r *Registry) { r.Incr(name) },
			func(r *Registry) { r.Set(name, 1) },
			func(r *Registry) { r.SetFunc(name, func() float64 { return 1 }) },
			func(r *Registry) { r.NewDistribution(name+"{0}", WithLabels(Percentile("", 50))).Record(1) },
		} {
			r := NewRegistry()
			record(r)
			s := roundTrip(t, r)
			if s.Skipped != 0 || len(s.Stats) != 1 {
				t.Errorf("%.50q: %d stats and %d lines that can't be read", name, len(s.Stats), s.Skipped)
				continue
			}
			if got := s.Stats[0]; got.Name != want || got.Value.Float64() != 1 {
				t.Errorf("%.50q is read as %.50q with the value %s", name, got.Name, got.Value)
			}
		}
	}
	check("a.b.c.d", "a.b.c.d")
	check("My Nice Stat", "My Nice Stat")
	check("another[one]", "another[one]")
	check("", "")
	check(" ", "")
	check("\n", "")
	check(" \t\r\n\v\fx \t\r\n\v\f", "x")
	check("two\nlines", "two lines")
	check("two\r\nlines", "two lines")
	check("two\rlines", "two lines")
	check("x: 5\ny", "x: 5 y")
	check("x\n\ny", "x  y")
	check("a  b\tc", "a  b\tc")
	check("a: b: c", "a: b: c")
	check("a:", "a:")
	check(": 5", ": 5")
	check(`"quotes" and \backslashes`, `"quotes" and \backslashes`)
	check("größe.日本", "größe.日本")
	check("\xff\xfe\x80", "\xff\xfe\x80")
	check("zero\x00byte", "zero\x00byte")
	check("\x1b[31mred", "\x1b[31mred")
	check("%s%d%!", "%s%d%!")
	check(strings.Repeat("long ", 200_000)+"!", strings.Repeat("long ", 200_000)+"!")
	check(strings.Repeat("x\n", 500_000)+"!", strings.Repeat("x ", 500_000)+"!")
}

func TestSpellingsOfOneNameAreOneStat(t *testing.T) {
	r := NewRegistry()
	for _, name := range []string{"a b", " a b", "a b\n", "a\nb", "a\r\nb", "a\rb\t", "a b"} {
		r.Incr(name)
		if r.NewCounter(name) != r.NewCounter("a b") {
			t.Errorf("%q is another stat", name)
		}
	}
	checkText(t, r, "a b: 7")
}

func TestSpellingsOfOneNameAreOneDistribution(t *testing.T) {
	check := func(names ...string) {
		t.Helper()
		r := NewRegistry()
		for _, name := range names {
			r.Record(name, 1)
		}
		if n := onlyStat(t, r).Dist.Count; n != int64(len(names)) {
			t.Errorf("%q: the count is %d, want %d", names, n, len(names))
		}
	}
	check("a b", " a b", "a b\n", "a\nb", "a\r\nb", "a\rb\t", "a b", "a b.{0}", " a b.{0}")
	check("a b.{0}", "a\nb")
	check(" a{0}", "a{0}\n", "a{0}")
}

func TestSpellingsOfOneNameAreOneDistributionWithAFormat(t *testing.T) {
	check := func(names ...string) {
		t.Helper()
		r := NewRegistry()
		for _, name := range names[:len(names)-1] {
			r.distributionBy(name, upper).Record(1)
		}
		r.Record(names[len(names)-1], 1)
		if n := len(r.stats.distributions); n != 1 {
			t.Errorf("%q are %d distributions", names, n)
		}
	}
	check("d", "d")
	check("d", " d", "d")
	check(" d", "d")
	check("d", " d")
	check("d\n", " d")
	check("d{0}", " d{0}")
}

// A scalar and a distribution are found apart, whatever they are called.
func TestCounterAndDistributionOfOneNameAreTwoStats(t *testing.T) {
	r := NewRegistry()
	r.Incr("x")
	r.NewDistribution("x", WithLabels(Mean("mean"))).Record(4)
	r.Incr("x")
	checkText(t, r, "x: 2", "x.mean: 4.0")
}

func TestNameInABufferThatIsUsedAgain(t *testing.T) {
	check := func(record func(r *Registry, name string), lines ...string) {
		t.Helper()
		r := NewRegistry()
		buf := make([]byte, 4)
		for _, text := range []string{"aaaa", "bbbb", " cc\n", "aaaa", "d\ndd", "bbbb", "aaaa", " cc\n"} {
			copy(buf, text)
			record(r, unsafe.String(&buf[0], len(buf)))
		}
		copy(buf, "????")
		checkText(t, r, lines...)
	}
	check(func(r *Registry, name string) { r.Incr(name) },
		"aaaa: 3", "bbbb: 2", "cc: 2", "d dd: 1")
	check(func(r *Registry, name string) { r.NewCounter(name).Incr() },
		"aaaa: 3", "bbbb: 2", "cc: 2", "d dd: 1")
	check(func(r *Registry, name string) { r.Set(name, 5) },
		"aaaa: 5", "bbbb: 5", "cc: 5", "d dd: 5")
	check(func(r *Registry, name string) { r.SetFunc(name, func() float64 { return 1 }) },
		"aaaa: 1.0", "bbbb: 1.0", "cc: 1.0", "d dd: 1.0")
	count := func(sorted []float64) map[string]float64 {
		return map[string]float64{"n": float64(len(sorted))}
	}
	check(func(r *Registry, name string) { r.NewDistribution(name, WithCalculation(count)).Record(1) },
		"aaaa.n: 3.0", "bbbb.n: 2.0", "cc.n: 2.0", "d dd.n: 1.0")
	check(func(r *Registry, name string) {
		r.NewDistribution(name, WithFormat(upper), WithCalculation(count)).Record(1)
	}, "AAAA.N: 3.0", "BBBB.N: 2.0", "CC.N: 2.0", "D DD.N: 1.0")
}

func TestRecordingNeverPanics(t *testing.T) {
	r := NewRegistry()
	for _, name := range []string{"", "\n", "{0}", "{", "\xff", ":", "x"} {
		for _, n := range []int64{0, 1, -1, math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64} {
			r.Incr(name)
			r.IncrBy(name, n)
			r.Record(name, n)
			r.Set(name, n)
			r.IncrBy("sum"+name, n)
		}
		for _, x := range []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
			r.IncrByFloat(name, x)
			r.RecordFloat(name, x)
			r.SetFloat(name, x)
		}
	}
	if s := roundTrip(t, r); s.Skipped > 0 {
		t.Errorf("%d lines can't be read", s.Skipped)
	}
}
