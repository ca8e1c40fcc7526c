package format

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// snapshotOf returns the snapshot of plain lines that are written as "a: 1, b: 2".
func snapshotOf(t *testing.T, text string) *Snapshot {
	t.Helper()
	var p PlainParser
	if text != "" {
		if _, err := p.Write([]byte(strings.ReplaceAll(text, ", ", "\n") + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	return p.Snapshot()
}

// oneLine is the reverse of snapshotOf.
func oneLine(s *Snapshot) string {
	text := strings.TrimSuffix(string(AppendPlain(nil, s)), "\n")
	return strings.ReplaceAll(text, "\n", ", ")
}

var statLine = regexp.MustCompile(`(?m)(^|, )(counter|gauge|untyped|distribution) `)

// typedSnapshot returns the snapshot of lines of the typed format that are
// written as "counter a: 1, gauge b: 2"; "ended" before them says that its
// processes have.
func typedSnapshot(t *testing.T, text string) *Snapshot {
	t.Helper()
	text, ended := strings.CutPrefix(text, "ended ")
	var p TypedParser
	p.Write([]byte(document(text, len(statLine.FindAllString(text, -1)))))
	documents, err := p.Documents()
	if err != nil || len(documents) != 1 || documents[0].Snapshot.Skipped > 0 {
		t.Fatalf("%q is no snapshot: %v", text, err)
	}
	s := documents[0].Snapshot
	s.Ended = ended
	return s
}

func typedSnapshots(t *testing.T, texts []string) []*Snapshot {
	t.Helper()
	var snapshots []*Snapshot
	for _, text := range texts {
		snapshots = append(snapshots, typedSnapshot(t, text))
	}
	return snapshots
}

// typedLine is the reverse of typedSnapshot, and shows conflicts as well.
func typedLine(s *Snapshot) string {
	lines := strings.Split(string(AppendTyped(nil, &Document{Snapshot: s})), "\n")
	lines = lines[1 : len(lines)-2] // the first says the version, the last that nothing is missing
	for _, conflict := range s.Conflicts {
		lines = append(lines, conflict.String())
	}
	return strings.Join(lines, ", ")
}

// inAnyOrder returns what combining the snapshots gives, and fails if another
// order of them gives something else.
func inAnyOrder(t *testing.T, c Combiner, snapshots []*Snapshot) string {
	t.Helper()
	got := typedLine(c.Combine(snapshots...))
	for range snapshots {
		for i := range len(snapshots) - 1 {
			snapshots[i], snapshots[i+1] = snapshots[i+1], snapshots[i]
			if other := typedLine(c.Combine(snapshots...)); other != got {
				t.Errorf("got %q, in another order %q", got, other)
			}
		}
	}
	return got
}

func TestCombine(t *testing.T) {
	f := func(want string, sources ...string) {
		t.Helper()
		var snapshots []*Snapshot
		for _, source := range sources {
			snapshots = append(snapshots, snapshotOf(t, source))
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
	// Floats are rounded once, at the end.
	f("a: 0.6", "a: 0.1", "a: 0.2", "a: 0.3")
	f("a: 2.0", "a: 1.0", "a: 1e100", "a: 1.0", "a: -1e100")
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
			snapshots = append(snapshots, snapshotOf(t, source))
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

func TestCombineByKinds(t *testing.T) {
	f := func(want string, sources ...string) {
		t.Helper()
		if got := inAnyOrder(t, Combiner{}, typedSnapshots(t, sources)); got != want {
			t.Errorf("%q: got %q, want %q", sources, got, want)
		}
	}
	// Counters: the live and the ended.
	f("counter a: 3", "counter a: 1", "counter a: 2")
	f("counter a: 6", "counter a: 1", "counter a: 2", "ended counter a: 3")
	f("counter a: 3", "ended counter a: 1", "ended counter a: 2")
	f("counter a: 10", "counter a: 1, counter a: 2", "ended counter a: 3, counter a: 4")
	f("counter a: 1, counter b: 2", "counter a: 1", "ended counter b: 2")
	f("counter a: 1.5", "counter a: 1", "ended counter a: 0.5")
	// Gauges: what a script set stays.
	f("gauge a: 3", "gauge a: 1", "gauge a: 2")
	f("gauge a: 6", "gauge a: 1, gauge a: 2", "ended gauge a: 3")
	f("gauge a: 2", "ended gauge a: 2")
	// Untyped.
	f("untyped a: 6", "untyped a: 1, untyped a: 2", "ended untyped a: 3")
	// A counter here, a gauge there: a gauge, of what is live.
	f("gauge a: 3, a is counter here and gauge there", "counter a: 1", "gauge a: 2")
	f("gauge a: 3, a is counter here and gauge there", "counter a: 1, gauge a: 2")
	f("gauge a: 3, a is counter here and gauge there", "counter a: 1", "gauge a: 2", "ended counter a: 4")
	f("gauge a: 2, a is counter here and gauge there", "gauge a: 2", "ended counter a: 4")
	f("gauge a: 2, a is counter here and gauge there", "ended gauge a: 2", "ended counter a: 4")
	f("gauge a: 2, a is counter here and gauge there", "ended gauge a: 2, counter a: 4.5")
	// Other kinds are added and untyped.
	f("untyped a: 3, a is untyped here and counter there", "untyped a: 1", "counter a: 2")
	f("untyped a: 5, a is untyped here and counter there", "untyped a: 1", "ended counter a: 4")
	f("untyped a: 3, a is untyped here and gauge there", "untyped a: 1", "gauge a: 2")
	f("untyped a: 7, a is untyped here and counter here and gauge there", "untyped a: 1", "counter a: 2", "gauge a: 4")
	f("untyped a: 5, a is untyped here and counter here and gauge there", "untyped a: 1", "ended counter a: 2", "gauge a: 4")
	// Conflicts are sorted, and cost no other name.
	f("gauge a: 3, counter b: 2, gauge c: 3, gauge d: 3, gauge e: 3, a is counter here and gauge there, "+
		"c is counter here and gauge there, d is counter here and gauge there, e is counter here and gauge there",
		"counter a: 1, counter b: 2, counter c: 1, counter d: 1, counter e: 1", "gauge a: 2, gauge c: 2, gauge d: 2, gauge e: 2")
}

func TestCombinePoolsDistributions(t *testing.T) {
	f := func(want string, sources ...string) {
		t.Helper()
		if got := typedLine(Combine(typedSnapshots(t, sources)...)); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", sources, got, want)
		}
	}
	// Count and sum are added, the samples are those of all.
	f("distribution d: 30, sum d: 12, label max d: 100, sample d: 1, sample d: 2, sample d: 3",
		"distribution d: 10, sum d: 4, label max d: 100, sample d: 1, sample d: 2",
		"distribution d: 20, sum d: 8, label max d: 100, sample d: 3")
	// Labels are the union.
	f("distribution d: 3, sum d: 0, label max d: 100, label min d: 0, label mean d: -1",
		"distribution d: 1, sum d: 0, label max d: 100, label min d: 0",
		"distribution d: 1, sum d: 0, label mean d: -1",
		"distribution d: 1, sum d: 0, label mean d: -1, label max d: 100")
	// Where the process has ended, the samples have as well.
	f("distribution d: 30, sum d: 12.5, label max d: 100, sample d: 1",
		"distribution d: 10, sum d: 4, label max d: 100, sample d: 1",
		"ended distribution d: 20, sum d: 8.5")
	f("distribution d: 3, sum d: 6", "ended distribution d: 1, sum d: 2, distribution d: 2, sum d: 4")
	f("distribution d: 2, sum d: 0.1", "distribution d: 1, sum d: 1e100", "distribution d: 1, sum d: 0.1", "distribution d: 0, sum d: -1e100")
	// More than can be counted.
	f("distribution d: 9223372036854775807, sum d: 0", "distribution d: 9223372036854775807", "distribution d: 1")
	// A distribution here and something else there stay two.
	f("gauge d: 2, distribution d: 1, sum d: 3, d is gauge here and distribution there",
		"distribution d: 1, sum d: 3", "gauge d: 2")
}

func TestPooledPercentilesAreThoseOfAllSamples(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		var all []float64
		var snapshots []*Snapshot
		percentile := r.IntN(101)
		labels := []Label{{"p", float64(percentile)}, {"mean", Mean}}
		for range 1 + r.IntN(5) {
			dist := &Samples{Labels: labels}
			for range r.IntN(100) {
				x := float64(r.IntN(2000)-1000) / 2 // whose sums are exact
				all = append(all, x)
				dist.Window = append(dist.Window, Float(x))
			}
			snapshots = append(snapshots, &Snapshot{Stats: []Stat{{Name: "d.{0}", Kind: Distribution, Dist: dist}}})
		}
		want := ""
		if n := len(all); n > 0 {
			sum := 0.0
			for _, x := range all {
				sum += x
			}
			slices.Sort(all)
			want = fmt.Sprintf("d.mean: %v, d.p: %v", Float(sum/float64(n)), Float(all[max(0, n*percentile/100-1)]))
		}
		if got := oneLine(Combine(snapshots...)); got != want {
			t.Fatalf("percentile %d of %v: got %q, want %q", percentile, all, got, want)
		}
	}
}

func TestNameOfLabelAndOfAnotherStatIsConflict(t *testing.T) {
	const dist = "distribution d.{0}: 1, sum d.{0}: 7, label max d.{0}: 100, sample d.{0}: 7"
	f := func(wantFlat, wantConflicts string, sources ...string) {
		t.Helper()
		snapshots := typedSnapshots(t, sources)
		inAnyOrder(t, Combiner{}, snapshots)
		total := Combine(snapshots...)
		if got := oneLine(total); got != wantFlat {
			t.Errorf("%q: got %q, want %q", sources, got, wantFlat)
		}
		if got := strings.TrimSuffix(fmt.Sprintln(total.Conflicts), "\n"); got != wantConflicts {
			t.Errorf("%q: got %s, want %s", sources, got, wantConflicts)
		}
	}
	f("d.max: 7, d.min: 1", "[]", dist, "counter d.min: 1")
	f("d.max: 8", "[d.max is counter here and distribution there]", dist, "counter d.max: 1")
	f("d.max: 8", "[d.max is untyped here and distribution there]", "untyped d.max: 1", dist)
	f("d.max: 8", "[d.max is gauge here and distribution there]", dist+", gauge d.max: 1")
}

func TestNameOfLabelAndOfOtherKindsIsConflictOfAll(t *testing.T) {
	const dist = "distribution d.{0}: 1, sum d.{0}: 7, label max d.{0}: 100, sample d.{0}: 7"
	got := inAnyOrder(t, Combiner{}, typedSnapshots(t, []string{"counter d.max: 1", "gauge d.max: 2", dist}))
	if want := "gauge d.max: 3, " + dist + ", d.max is counter here and gauge here and distribution there"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCombineGaugesByAggregate(t *testing.T) {
	f := func(sum, least, most, avg string, sources ...string) {
		t.Helper()
		for aggregate, want := range map[Aggregate]string{
			AggregateSum: sum, AggregateMin: least, AggregateMax: most, AggregateAvg: avg,
		} {
			c := Combiner{Aggregate: func(name string) Aggregate {
				if name == "a" {
					return aggregate
				}
				return AggregateSum
			}}
			if got, _, _ := strings.Cut(inAnyOrder(t, c, typedSnapshots(t, sources)), ", "); got != want {
				t.Errorf("%s of %q: got %q, want %q", aggregate, sources, got, want)
			}
		}
	}
	f("gauge a: 5", "gauge a: 5", "gauge a: 5", "gauge a: 5.0", "gauge a: 5")
	f("gauge a: 6", "gauge a: 1", "gauge a: 3", "gauge a: 2.0", "gauge a: 1", "gauge a: 2", "gauge a: 3")
	f("gauge a: -1", "gauge a: -3", "gauge a: 2", "gauge a: -0.5", "gauge a: 2", "gauge a: -3")
	f("gauge a: 0", "gauge a: 0", "gauge a: 0", "gauge a: 0.0", "gauge a: 0", "gauge a: 0")
	// Those of one snapshot are one.
	f("gauge a: 7", "gauge a: 3", "gauge a: 4", "gauge a: 3.5", "gauge a: 1, gauge a: 2", "gauge a: 4")
	// What a script set takes part.
	f("gauge a: 5", "gauge a: 2", "gauge a: 3", "gauge a: 2.5", "gauge a: 2", "ended gauge a: 3")
	// Once a float, always a float.
	f("gauge a: 3.5", "gauge a: 1.0", "gauge a: 2.5", "gauge a: 1.75", "gauge a: 1", "gauge a: 2.5")
	f("gauge a: 3.5", "gauge a: 0.5", "gauge a: 3.0", "gauge a: 1.75", "gauge a: 0.5", "gauge a: 3")
	f("gauge a: inf", "gauge a: 1.0", "gauge a: inf", "gauge a: inf", "gauge a: inf", "gauge a: 1")
	f("gauge a: nan", "gauge a: -inf", "gauge a: inf", "gauge a: nan", "gauge a: inf", "gauge a: -inf")
	f("gauge a: nan", "gauge a: nan", "gauge a: 1.0", "gauge a: nan", "gauge a: nan", "gauge a: 1") // NaN is the least
	// A counter there takes part while it lives.
	f("gauge a: 3", "gauge a: 1", "gauge a: 2", "gauge a: 1.5", "counter a: 1", "gauge a: 2", "ended counter a: 9")
	// Only gauges have aggregates.
	f("counter a: 3", "counter a: 3", "counter a: 3", "counter a: 3", "counter a: 1", "counter a: 2")
	f("untyped a: 3", "untyped a: 3", "untyped a: 3", "untyped a: 3", "untyped a: 1", "untyped a: 2")
	f("untyped a: 3", "untyped a: 3", "untyped a: 3", "untyped a: 3", "untyped a: 1", "gauge a: 2")
	f("gauge b: 3", "gauge b: 3", "gauge b: 3", "gauge b: 3", "gauge b: 1", "gauge b: 2")
}

// That their sum is beyond int64 makes no floats of the gauges.
func TestLeastAndMostOfBigIntegersAreIntegers(t *testing.T) {
	f := func(aggregate Aggregate, want string, sources ...string) {
		t.Helper()
		c := Combiner{Aggregate: func(string) Aggregate { return aggregate }}
		if got := typedLine(c.Combine(typedSnapshots(t, sources)...)); got != want {
			t.Errorf("%s of %q: got %q, want %q", aggregate, sources, got, want)
		}
	}
	f(AggregateMin, "gauge a: 9007199254740993", "gauge a: 9007199254740993", "gauge a: 9007199254740994")
	f(AggregateMin, "gauge a: 9223372036854775806", "gauge a: 9223372036854775807", "gauge a: 9223372036854775806")
	f(AggregateMax, "gauge a: 9223372036854775807", "gauge a: 9223372036854775807", "gauge a: 9223372036854775806")
}

func TestParseAggregate(t *testing.T) {
	for _, name := range []string{"sum", "min", "max", "avg"} {
		if a, err := ParseAggregate(name); err != nil || string(a) != name {
			t.Errorf("ParseAggregate(%q) = %q, %v", name, a, err)
		}
	}
	for _, name := range []string{"", "Sum", "mean", "sum "} {
		if a, err := ParseAggregate(name); err == nil || a != "" || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("ParseAggregate(%q) = %q, %v", name, a, err)
		}
	}
}

// randomSnapshot returns a snapshot of few names, so that they meet others.
func randomSnapshot(r *rand.Rand) *Snapshot {
	s := &Snapshot{Skipped: r.IntN(3), Ended: r.IntN(3) == 0}
	labels := []Label{{"max", 100}, {"median", 50}, {"mean", Mean}, {"", 10}}
	for range r.IntN(12) {
		stat := Stat{Name: fmt.Sprintf("%c", 'a'+r.IntN(6)), Kind: Kind(r.IntN(4))}
		if stat.Kind != Distribution {
			stat.Value = tameValue(r)
			s.Stats = append(s.Stats, stat)
			continue
		}
		stat.Name += ".{0}"
		stat.Dist = &Samples{Count: r.Int64N(1000), Sum: tameValue(r)}
		for _, label := range labels {
			if r.IntN(2) == 0 {
				stat.Dist.Labels = append(stat.Dist.Labels, label)
			}
		}
		for range r.IntN(5) {
			stat.Dist.Window = append(stat.Dist.Window, tameValue(r))
		}
		s.Stats = append(s.Stats, stat)
	}
	s.Sort()
	return s
}

// tameValue returns any value that isn't so big that a sum of many is infinite.
func tameValue(r *rand.Rand) Value {
	for {
		if v := randomValue(r); math.IsInf(v.Float64(), 0) || !(math.Abs(v.Float64()) > 1e300) {
			return v
		}
	}
}

func TestCombineAnySnapshotsInAnyOrder(t *testing.T) {
	// shown has all of a snapshot but the order of labels and samples.
	shown := func(s *Snapshot) string {
		lines := strings.Split(typedLine(s), ", ")
		slices.Sort(lines)
		return fmt.Sprintln(oneLine(s), lines, s.Skipped)
	}
	r := freshRand(t)
	for range 1000 {
		var snapshots []*Snapshot
		for range r.IntN(6) {
			snapshots = append(snapshots, randomSnapshot(r))
		}
		aggregates := []Aggregate{AggregateSum, AggregateMin, AggregateMax, AggregateAvg}
		c := Combiner{Aggregate: func(name string) Aggregate { return aggregates[int(name[0])%len(aggregates)] }}
		total := shown(c.Combine(snapshots...))
		r.Shuffle(len(snapshots), func(i, j int) { snapshots[i], snapshots[j] = snapshots[j], snapshots[i] })
		if other := shown(c.Combine(snapshots...)); other != total {
			t.Fatalf("got\n%s\nin another order\n%s", total, other)
		}
	}
}

func TestCombineAndFoldLeaveTheirInputsAlone(t *testing.T) {
	r := freshRand(t)
	shown := func(snapshots []*Snapshot) (all string) {
		for _, s := range snapshots {
			all += fmt.Sprintln(typedLine(s), s.Skipped, s.Ended)
		}
		return all
	}
	for range 500 {
		snapshots := []*Snapshot{randomSnapshot(r), randomSnapshot(r), randomSnapshot(r)}
		before := shown(snapshots)
		for _, total := range []*Snapshot{Combine(snapshots...), Combine(snapshots[0]), Fold(snapshots[0], snapshots[1:]...)} {
			for i, stat := range total.Stats { // what is done to the result stays there, too
				if stat.Dist != nil {
					stat.Dist.Window = append(stat.Dist.Window, Int(1))
					for j := range stat.Dist.Window {
						stat.Dist.Window[j] = Int(99)
					}
					stat.Dist.Labels = append(stat.Dist.Labels, Label{"changed", 1})
					stat.Dist.Labels[0] = Label{"changed", 1}
					stat.Dist.Count = -1
				}
				total.Stats[i] = Stat{Name: "changed"}
			}
			if after := shown(snapshots); after != before {
				t.Fatalf("the inputs were\n%s\nand have become\n%s", before, after)
			}
		}
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

func TestFold(t *testing.T) {
	f := func(want, kept string, ended ...string) {
		t.Helper()
		got := Fold(typedSnapshot(t, kept), typedSnapshots(t, ended)...)
		if typedLine(got) != want || !got.Ended {
			t.Errorf("%q into %q:\ngot  %q, ended %v\nwant %q", ended, kept, typedLine(got), got.Ended, want)
		}
	}
	f("", "")
	f("counter a: 1", "", "counter a: 1")
	f("counter a: 6, counter b: 5", "ended counter a: 1", "counter a: 2, counter b: 5", "counter a: 3")
	// What no float holds is several.
	f("counter a: 1.0, counter a: 1e+100", "counter a: 1e+100", "counter a: 1")
	f("counter a: 2.0, counter a: 1e+100", "counter a: 1.0, counter a: 1e+100", "counter a: 1")
	f("counter a: 1.0, counter a: 9.223372036854776e+18", "counter a: 9223372036854775807", "counter a: 2")
	// Only what lasts goes in, and what is there stays.
	f("gauge a: 1, untyped b: 2, counter c: 7", "gauge a: 1, untyped b: 2, counter c: 3", "gauge a: 8, untyped b: 9, counter c: 4")
	f("gauge a: 1, counter a: 2", "gauge a: 1", "counter a: 2")
	f("counter a: 1, gauge b: 2", "gauge b: 2", "counter a: 1")
	// Distributions.
	f("distribution d: 3, sum d: 7.0, label max d: 100, label min d: 0",
		"distribution d: 1, sum d: 3, label max d: 100", "distribution d: 2, sum d: 4.0, label min d: 0")
	f("distribution d: 3, sum d: 1.0, label max d: 100, distribution d: 0, sum d: 1e+100",
		"distribution d: 1, sum d: 1e+100, label max d: 100", "distribution d: 2, sum d: 1.0, label max d: 100")
	f("counter d: 1, distribution d: 3, sum d: 4", "counter d: 1", "distribution d: 3, sum d: 4")
}

// throughText returns what a retained file says of a snapshot.
func throughText(t *testing.T, s *Snapshot) *Snapshot {
	t.Helper()
	var p TypedParser
	p.Write(AppendTyped(nil, &Document{Snapshot: s}))
	documents, err := p.Documents()
	if err != nil {
		t.Fatal(err)
	}
	documents[0].Snapshot.Ended = true
	return documents[0].Snapshot
}

// lastingSnapshot returns what a process may have counted.
func lastingSnapshot(r *rand.Rand) *Snapshot {
	s := new(Snapshot)
	for name := range 3 {
		v := Int(randomInt(r) & math.MaxInt64)
		if name > 0 || r.IntN(20) == 0 {
			v = Float(math.Abs(math.Ldexp(r.Float64(), r.IntN(120)-60)))
		}
		s.Stats = append(s.Stats, Stat{Name: fmt.Sprint(name), Kind: Counter, Value: v})
	}
	return &Snapshot{Ended: true, Stats: append(s.Stats, Stat{Name: "d.{0}", Kind: Distribution, Dist: &Samples{
		Count: r.Int64N(100), Sum: Float(math.Ldexp(r.Float64()-0.5, r.IntN(120)-60)), Labels: DefaultLabels(),
	}})}
}

func TestFoldInAnyGroupsIsSameTotal(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		var snapshots []*Snapshot
		for range 1 + r.IntN(8) {
			snapshots = append(snapshots, lastingSnapshot(r))
		}
		want := typedLine(Combine(snapshots...))
		for len(snapshots) > 1 {
			r.Shuffle(len(snapshots), func(i, j int) { snapshots[i], snapshots[j] = snapshots[j], snapshots[i] })
			n := 1 + r.IntN(len(snapshots))
			folded := throughText(t, Fold(snapshots[0], snapshots[1:n]...))
			snapshots = append(snapshots[n:], folded)
			if got := typedLine(Combine(snapshots...)); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			if n == 1 && r.IntN(2) == 0 {
				break
			}
		}
	}
}

// A counter of many processes that end one after the other has the same value
// all the time. With plain addition it would have fallen now and then.
func TestTotalNeverFallsWhenProcessesEnd(t *testing.T) {
	r := freshRand(t)
	fallen := 0
	for range 200 {
		var live []*Snapshot
		for range 2 + r.IntN(10) {
			live = append(live, &Snapshot{Stats: []Stat{{Name: "a", Kind: Counter, Value: Float(r.Float64() * 10)}}})
		}
		kept, naivelyKept := &Snapshot{Ended: true}, 0.0
		naive := func() float64 {
			sum := naivelyKept
			for _, s := range live {
				sum += s.Stats[0].Value.Float64()
			}
			return sum
		}
		want, naiveBefore := typedLine(Combine(live...)), naive()
		for len(live) > 0 {
			i := r.IntN(len(live))
			kept = throughText(t, Fold(kept, live[i].Lasting()))
			naivelyKept += live[i].Stats[0].Value.Float64()
			live = slices.Delete(live, i, i+1)
			if got := typedLine(Combine(append(slices.Clone(live), kept)...)); got != want {
				t.Fatalf("with %d left: got %s, want %s", len(live), got, want)
			}
			if now := naive(); now < naiveBefore {
				fallen++
			}
		}
	}
	if fallen == 0 {
		t.Error("plain addition hasn't fallen: these numbers show nothing")
	}
}

// What would spoil a sum for good is left out, and costs no other.
func TestCombineLeavesOutCountersThatAreNone(t *testing.T) {
	f := func(want string, skipped int, sources ...string) {
		t.Helper()
		snapshots := typedSnapshots(t, sources)
		if got := inAnyOrder(t, Combiner{}, snapshots); got != want {
			t.Errorf("%q: got %q, want %q", sources, got, want)
		}
		if got := Combine(snapshots...).Skipped; got != skipped {
			t.Errorf("%q: skipped %d, want %d", sources, got, skipped)
		}
	}
	for _, value := range []string{"nan", "inf", "-inf"} {
		f("", 1, "counter a: "+value)
		f("", 1, "ended counter a: "+value)
		f("counter a: 3, counter b: 4", 2, "counter a: 1, counter b: 4", "counter a: 2, counter a: "+value, "ended counter a: "+value)
		f("gauge a: 2", 1, "counter a: "+value, "gauge a: 2") // and no conflict
		f("distribution d: 3, sum d: 4", 0, "distribution d: 1, sum d: 4", "distribution d: 2, sum d: "+value)
		f("distribution d: 3, sum d: 0", 0, "ended distribution d: 3, sum d: "+value)
	}
	for _, value := range []string{"-1", "-0.5", "-9223372036854775808"} {
		f("counter a: 1", 1, "counter a: 1", "counter a: "+value)
	}
	f("counter a: 0.0", 0, "counter a: -0.0")
	// Parts of a sum may be negative, and those of distributions.
	f("counter a: 2", 0, "counter a: 3", "ended counter a: -1")
	f("counter a: 1e+100", 0, "ended counter a: -1.0, counter a: 1e+100")
	f("distribution d: 3, sum d: -2", 0, "distribution d: 1, sum d: -3", "ended distribution d: 2, sum d: 1")
	// Others may be what they like.
	f("gauge a: -inf, untyped b: nan", 0, "gauge a: 1, untyped b: nan", "gauge a: -inf")
}

// What is kept for good must not be spoiled either.
func TestFoldKeepsNoCounterThatIsNone(t *testing.T) {
	for _, value := range []string{"nan", "inf", "-inf"} {
		f := func(want, kept string, ended ...string) {
			t.Helper()
			if got := typedLine(Fold(typedSnapshot(t, kept), typedSnapshots(t, ended)...)); got != want {
				t.Errorf("%q into %q: got %q, want %q", ended, kept, got, want)
			}
		}
		f("", "counter a: "+value)
		f("", "", "counter a: "+value)
		f("counter a: 3, counter b: 1", "counter a: 1", "counter a: 2, counter b: 1", "counter a: "+value)
		f("counter a: 2", "counter a: "+value, "counter a: 2")
		f("distribution d: 3, sum d: 1", "distribution d: 1, sum d: 1", "distribution d: 2, sum d: "+value)
	}
}

// The counters of names without a value of their own are added up exactly, those of
// ended snapshots in all their parts; of other kinds there is no sum.
func TestOverflow(t *testing.T) {
	counter := func(name string, v Value) Stat { return Stat{Name: name, Kind: Counter, Value: v} }
	live := &Snapshot{Stats: []Stat{
		counter("a", Int(1)), counter("b", Int(2)), counter("c", Float(0.1)),
		{Name: "g", Kind: Gauge, Value: Int(100)},
		{Name: "u", Value: Int(1000)},
		{Name: "z", Kind: Gauge, Value: Int(5)},
		{Name: "d", Kind: Distribution, Dist: &Samples{Count: 3, Sum: Int(3)}},
	}}
	ended := &Snapshot{Ended: true, Stats: []Stat{counter("a", Int(10)), counter("b", Float(1e16)), counter("b", Float(-1e16)), counter("b", Int(20))}}
	is := func(want string, own ...string) {
		t.Helper()
		for _, snapshots := range [][]*Snapshot{{live, ended}, {ended, live}} {
			total := Combiner{Own: func(*Snapshot) func(string) bool {
				return func(name string) bool { return slices.Contains(own, name) }
			}}.Combine(snapshots...)
			if got := string(AppendPlain(nil, total)); got != want {
				t.Errorf("of those that have their own %q: got %q, want %q", own, got, want)
			}
		}
	}
	is("statvent.overflow: 33.1\n")
	is("a: 11\nstatvent.overflow: 22.1\nz: 5\n", "a", "z")
	is("a: 11\nb: 22.0\nc: 0.1\ng: 100\nstatvent.overflow: 0\nu: 1000\nz: 5\n", "a", "b", "c", "g", "u", "z")
	// What programs themselves publish under that name is in it.
	live.Stats = append(live.Stats, counter(Overflow, Int(1000)))
	is("statvent.overflow: 1033.1\n")
}

// A name may be one snapshot's own and not another's: its value is then that of the
// snapshots whose own it is, however the values of others become one.
func TestOverflowOfSomeSnapshots(t *testing.T) {
	snapshot := func(n int64) *Snapshot {
		return &Snapshot{Stats: []Stat{
			{Name: "c", Kind: Counter, Value: Int(n)},
			{Name: "d.{0}", Kind: Distribution, Dist: &Samples{Count: n, Window: []Value{Int(n)}, Labels: []Label{{"max", 100}}}},
			{Name: "g", Kind: Gauge, Value: Int(n)},
			{Name: "u", Value: Int(n)},
		}}
	}
	a, b, refused := snapshot(1), snapshot(3), snapshot(50)
	refused.Stats = append(refused.Stats, Stat{Name: "v", Kind: Counter, Value: Int(100)})
	combiner := Combiner{
		Aggregate: func(string) Aggregate { return AggregateAvg },
		Own: func(of *Snapshot) func(string) bool {
			if of != refused {
				return nil
			}
			return func(name string) bool { return name == "v" }
		},
	}
	for _, snapshots := range [][]*Snapshot{{a, b, refused}, {refused, a, b}, {b, refused, a}} {
		total := combiner.Combine(snapshots...)
		want := "c: 4\nd.max: 3\ng: 2.0\nstatvent.overflow: 50\nu: 4\nv: 100\n"
		if got := string(AppendPlain(nil, total)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if len(total.Conflicts) > 0 {
			t.Errorf("conflicts are %v", total.Conflicts)
		}
	}
}
