package format

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// lines returns the snapshot of plain lines that are written as "a: 1, b: 2".
func lines(t *testing.T, text string) *Snapshot {
	t.Helper()
	var p PlainParser
	if text != "" {
		if _, err := p.Write([]byte(strings.ReplaceAll(text, ", ", "\n") + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	return p.Snapshot()
}

// oneLine is the reverse of lines.
func oneLine(s *Snapshot) string {
	text := strings.TrimSuffix(string(AppendPlain(nil, s)), "\n")
	return strings.ReplaceAll(text, "\n", ", ")
}

func TestCombine(t *testing.T) {
	f := func(want string, sources ...string) {
		t.Helper()
		var snapshots []*Snapshot
		for _, source := range sources {
			snapshots = append(snapshots, lines(t, source))
		}
		if got := oneLine(Combine(snapshots...)); got != want {
			t.Errorf("%q: got %q, want %q", sources, got, want)
		}
	}
	f("")
	f("", "")
	f("", "", "")
	f("a: 1", "a: 1")
	f("a: 3", "a: 1", "a: 2")
	f("a: 6", "a: 1", "a: 2", "a: 3")
	f("a: -1", "a: 1", "a: -2")
	f("a: 0", "a: 1", "a: -1")
	f("a: 1, b: 2", "a: 1", "b: 2")
	f("a: 1, b: 2", "b: 2", "a: 1")
	f("a: 1, b: 5, c: 4", "b: 2, a: 1", "c: 4, b: 3")
	f("a: 1", "a: 1", "")
	// Names are bytes.
	f("A: 1, a: 2, a : b: 3", "a: 2", "A: 1", "a : b: 3")
	f(": 3, \xfe: 2, \xff: 5", "\xff: 5", ": 1", ": 2", "\xfe: 2")
	// Several of one name in one snapshot.
	f("a: 3", "a: 1, a: 2")
	f("a: 10, b: 1", "a: 1, b: 1, a: 2", "a: 3, a: 4")
	// Once a float, always a float.
	f("a: 3.0", "a: 1", "a: 2.0")
	f("a: 3.0", "a: 1.0", "a: 2")
	f("a: 6.0", "a: 1.0", "a: 2", "a: 3")
	f("a: 1.0, b: 1", "a: 0.5, b: 0", "a: 0.5, b: 1")
	f("a: inf", "a: inf", "a: 1")
	f("a: nan", "a: inf", "a: -inf")
	f("a: nan, b: 2", "a: nan, b: 1", "a: 1, b: 1")
	// Integers are exact to the end, and beyond it go on as floats.
	f("a: 9007199254740993", "a: 9007199254740992", "a: 1")
	f("a: 9223372036854775807", "a: 9223372036854775806", "a: 1")
	f("a: 9.223372036854776e+18", "a: 9223372036854775807", "a: 1")
	f("a: -9.223372036854776e+18", "a: -9223372036854775808", "a: -1")
	f("a: 1.8446744073709552e+19", "a: 9223372036854775807", "a: 9223372036854775807", "a: 1")
	f("a: 1.8446744073709552e+19", "a: 9223372036854775807, a: 9223372036854775807")
}

func TestCombineAddsSkippedLines(t *testing.T) {
	f := func(want int, sources ...string) {
		t.Helper()
		var snapshots []*Snapshot
		for _, source := range sources {
			snapshots = append(snapshots, lines(t, source))
		}
		if got := Combine(snapshots...).Skipped; got != want {
			t.Errorf("%q: skipped %d, want %d", sources, got, want)
		}
	}
	f(0)
	f(0, "a: 1", "a: 2")
	f(1, "bad", "a: 2")
	f(3, "bad, worse", "a: 1", "a: 2, bad")
}

func TestCombineTakesDistributionsByTheirLabels(t *testing.T) {
	f := func(want string, stats ...Stat) {
		t.Helper()
		var snapshots []*Snapshot
		for _, stat := range stats {
			snapshots = append(snapshots, &Snapshot{Stats: []Stat{stat}, Skipped: 1})
		}
		got := Combine(snapshots...)
		if oneLine(got) != want || got.Skipped != len(stats) {
			t.Errorf("got %q, skipped %d, want %q, %d", oneLine(got), got.Skipped, want, len(stats))
		}
		if same := Combine(&Snapshot{Stats: stats}); oneLine(same) != want {
			t.Errorf("in one snapshot: got %q, want %q", oneLine(same), want)
		}
	}
	f("a.100th: 3, a.95th: 2, a.99th: 2, a.mean: 2.0, a.median: 1", distribution("a.{0}", ints(1, 2, 3)...))
	f("a.100th: 7, a.95th: 6, a.99th: 6, a.mean: 6.0, a.median: 5",
		distribution("a.{0}", ints(1, 2, 3)...), distribution("a.{0}", ints(4)...))
	f("100th: 5.5, 95th: 5.5, 99th: 5.5, mean: 5.5, median: 5.5",
		distribution("{0}", ints(5)...), distribution("{0}", floats(0.5)...))
	f("", distribution("a.{0}"))
	f("m.100th: 2, m.95th: 2, m.99th: 2, m.mean: 3.0, m.median: 12",
		distribution("m.{0}", ints(2)...), Stat{Name: "m.mean", Kind: Gauge, Value: Int(1)}, Stat{Name: "m.median", Value: Int(10)})
}

func TestCombineKeepsKindThatSourcesAgreeOn(t *testing.T) {
	f := func(want Kind, kinds ...Kind) {
		t.Helper()
		var snapshots []*Snapshot
		for _, kind := range kinds {
			snapshots = append(snapshots, &Snapshot{Stats: []Stat{{Name: "a", Kind: kind, Value: Int(1)}}})
		}
		got := Combine(snapshots...)
		if wantStats := []Stat{{Name: "a", Kind: want, Value: Int(int64(len(kinds)))}}; !slices.Equal(got.Stats, wantStats) {
			t.Errorf("%v: got %+v, want %+v", kinds, got.Stats, wantStats)
		}
	}
	f(Counter, Counter)
	f(Gauge, Gauge)
	f(Untyped, Untyped)
	f(Counter, Counter, Counter)
	f(Gauge, Gauge, Gauge, Gauge)
	f(Untyped, Counter, Untyped)
	f(Untyped, Untyped, Gauge)
	f(Untyped, Gauge, Untyped, Gauge)
	f(Untyped, Counter, Untyped, Counter)
}

func TestCombineCounterHereAndGaugeThereIsGauge(t *testing.T) {
	f := func(kinds ...Kind) {
		t.Helper()
		var snapshots []*Snapshot
		for _, kind := range kinds {
			snapshots = append(snapshots, &Snapshot{Stats: []Stat{{Name: "a", Kind: kind, Value: Int(1)}}})
		}
		if got := Combine(snapshots...).Stats[0].Kind; got != Gauge {
			t.Errorf("%v: got %v", kinds, got)
		}
	}
	f(Counter, Gauge)
	f(Gauge, Counter)
	f(Counter, Gauge, Counter)
	f(Counter, Counter, Gauge)
}

func TestCombineLeavesItsInputsAlone(t *testing.T) {
	input := func() *Snapshot {
		return &Snapshot{Skipped: 1, Stats: []Stat{
			{Name: "a", Kind: Counter, Value: Int(1)},
			{Name: "a", Kind: Gauge, Value: Int(2)},
			{Name: "b", Value: Int(3)},
		}}
	}
	withDistribution := input()
	withDistribution.Stats = append(withDistribution.Stats, distribution("c.{0}", ints(3, 1, 2)...))
	inputs := []*Snapshot{input(), withDistribution, input()}
	want := []*Snapshot{input(), {Skipped: 1, Stats: slices.Clone(withDistribution.Stats)}, input()}
	want[1].Stats[3] = distribution("c.{0}", ints(3, 1, 2)...)

	for i := range inputs {
		for _, total := range []*Snapshot{Combine(inputs...), Combine(inputs[i])} {
			for j := range total.Stats { // what is done to the sum stays there, too
				total.Stats[j] = Stat{Name: "changed"}
			}
			total.Skipped = 99
		}
	}
	if !reflect.DeepEqual(inputs, want) {
		t.Errorf("the inputs have become %+v", inputs)
	}
}

func TestCombineOfAnySnapshotsIsSumByName(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		var snapshots []*Snapshot
		sums := make(map[string]int64)
		for range r.IntN(6) {
			s := &Snapshot{}
			for range r.IntN(20) {
				name, n := fmt.Sprint(r.IntN(12)), r.Int64N(1<<40)-1<<39
				s.Stats = append(s.Stats, Stat{Name: name, Value: Int(n)})
				sums[name] += n
			}
			s.Sort()
			snapshots = append(snapshots, s)
		}
		var want []Stat
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			want = append(want, Stat{Name: name, Value: Int(sums[name])})
		}
		total := Combine(snapshots...)
		if !slices.Equal(total.Stats, want) {
			t.Fatalf("got %v, want %v", total.Stats, want)
		}
		if again := Combine(total); !slices.Equal(again.Stats, want) {
			t.Fatalf("combined again: got %v, want %v", again.Stats, want)
		}
	}
}
