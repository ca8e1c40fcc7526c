package format

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// distribution returns a distribution of the default labels.
func distribution(template string, window ...Value) Stat {
	return Stat{Name: template, Kind: Distribution, Dist: &Samples{
		Count: int64(len(window)), Labels: DefaultLabels(), Window: window,
	}}
}

// names returns the names of the stats, in their order.
func names(s *Snapshot) string {
	var all []string
	for _, stat := range s.Stats {
		all = append(all, stat.Name)
	}
	return strings.Join(all, " ")
}

func TestKindString(t *testing.T) {
	f := func(k Kind, want string) {
		t.Helper()
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) is %q, want %q", k, got, want)
		}
	}
	f(Untyped, "untyped")
	f(Counter, "counter")
	f(Gauge, "gauge")
	f(Distribution, "distribution")
	f(Kind(99), "untyped")
	f(Stat{}.Kind, "untyped")
}

var lookupSnapshot = &Snapshot{Stats: []Stat{
	{Name: "", Value: Int(9)},
	{Name: "a", Kind: Counter, Value: Int(1)},
	{Name: "b", Kind: Gauge, Value: Float(2)},
	{Name: "b", Kind: Gauge, Value: Float(3)},
	distribution("c.{0}", ints(4)...),
	{Name: "\xff", Value: Int(5)},
}}

func TestLookupSuccess(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if v, ok := lookupSnapshot.Lookup(name); !ok || v.String() != want {
			t.Errorf("Lookup(%q) = %v, %v, want %s", name, v, ok, want)
		}
	}
	f("", "9")
	f("a", "1")
	f("b", "2.0") // the first of its name
	f("\xff", "5")
}

func TestLookupFailure(t *testing.T) {
	f := func(s *Snapshot, name string) {
		t.Helper()
		if v, ok := s.Lookup(name); ok || v != (Value{}) {
			t.Errorf("Lookup(%q) = %v, %v", name, v, ok)
		}
	}
	f(lookupSnapshot, "A")
	f(lookupSnapshot, "aa")
	f(lookupSnapshot, "c.{0}")    // a distribution
	f(lookupSnapshot, "c.median") // not before Flatten
	f(lookupSnapshot, "\xff\xff")
	f(&Snapshot{}, "a")
	f(&Snapshot{}, "")
}

func TestFilterKeepsOrderAndSkipped(t *testing.T) {
	s := &Snapshot{Skipped: 3, Stats: []Stat{
		{Name: "a", Kind: Counter, Value: Int(1)},
		{Name: "b", Value: Int(2)},
		{Name: "b", Value: Int(3)},
		distribution("b.{0}", ints(4)...),
		{Name: "c", Value: Int(5)},
	}}
	f := func(prefix, want string) {
		t.Helper()
		got := s.Filter(func(name string) bool { return strings.HasPrefix(name, prefix) })
		if names(got) != want || got.Skipped != 3 {
			t.Errorf("Filter(%q): got %q, skipped %d, want %q, 3", prefix, names(got), got.Skipped, want)
		}
	}
	f("", "a b b b.{0} c")
	f("b", "b b b.{0}")
	f("b.", "b.{0}")
	f("x", "")
	if kept := s.Filter(func(name string) bool { return name == "a" }); kept.Stats[0] != s.Stats[0] {
		t.Errorf("got %+v, want %+v", kept.Stats[0], s.Stats[0])
	}
	if names(s) != "a b b b.{0} c" {
		t.Errorf("Filter changed its snapshot to %q", names(s))
	}
}

func TestSortIsByBytesAndKeepsOrderOfOneName(t *testing.T) {
	s := &Snapshot{}
	for i, name := range []string{"b", "\xff", "a.b", "B", "a", "é", "b", "", "a b", "b", "10", "9"} {
		s.Stats = append(s.Stats, Stat{Name: name, Value: Int(int64(i))})
	}
	s.Sort()
	want := `skipped 0
: 7
10: 10
9: 11
B: 3
a: 4
a b: 8
a.b: 2
b: 0
b: 6
b: 9
é: 5
` + "\xff: 1\n"
	if got := render(s); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestFlattenPutsLabelsInPlaceOfDistributions(t *testing.T) {
	s := &Snapshot{Skipped: 2, Stats: []Stat{
		{Name: "a", Kind: Counter, Value: Int(1)},
		{Name: "l.a", Kind: Gauge, Value: Int(2)},
		distribution("l.empty.{0}"),
		{Name: "l.median", Value: Int(3)},
		distribution("l.{0}", ints(1, 2, 3)...),
		distribution("{0} of b", floats(0.5)...),
	}}
	before := slices.Clone(s.Stats)
	flat := s.Flatten()
	want := []Stat{
		{Name: "100th of b", Value: Float(0.5)},
		{Name: "95th of b", Value: Float(0.5)},
		{Name: "99th of b", Value: Float(0.5)},
		{Name: "a", Kind: Counter, Value: Int(1)},
		{Name: "l.100th", Value: Int(3)},
		{Name: "l.95th", Value: Int(2)},
		{Name: "l.99th", Value: Int(2)},
		{Name: "l.a", Kind: Gauge, Value: Int(2)},
		{Name: "l.mean", Value: Float(2)},
		{Name: "l.median", Value: Int(4)}, // of both
		{Name: "mean of b", Value: Float(0.5)},
		{Name: "median of b", Value: Float(0.5)},
	}
	if !slices.Equal(flat.Stats, want) || flat.Skipped != 2 {
		t.Errorf("got %+v, skipped %d\nwant %+v, 2", flat.Stats, flat.Skipped, want)
	}
	if !reflect.DeepEqual(s.Stats, before) {
		t.Errorf("Flatten changed its snapshot to %+v", s.Stats)
	}
	if again := flat.Flatten(); again != flat {
		t.Errorf("Flatten of a flat snapshot is another one: %+v", again)
	}
}

func TestFlattenPutsEachNameOnce(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s := typedSnapshot(t, text)
		if got := typedLine(s.Flatten()); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if got := typedLine(s); got != text {
			t.Errorf("Flatten changed %s to %s", text, got)
		}
	}
	f("counter a: 1, gauge b: 2.0", "counter a: 1, gauge b: 2.0")
	f("counter a: 1, counter a: 2, counter b: 3", "counter a: 3, counter b: 3")
	f("counter a: 1, counter b: 2, counter b: 3.0, counter c: 4", "counter a: 1, counter b: 5.0, counter c: 4")
	f("gauge a: -1, gauge a: 1", "gauge a: 0")
	f("counter a: 1, gauge a: 2", "gauge a: 3")
	f("gauge a: 1, untyped a: 2, counter a: 3", "untyped a: 6")
	// The sum is exact, as the parts of a counter are that no float holds.
	f("counter a: 0.1, counter a: 0.2, counter a: 0.3, counter a: -0.3, counter a: -0.2", "counter a: 0.1")
	f("counter a: 1.0, counter a: 1e+100, counter a: 1.0, counter a: -1e+100", "counter a: 2.0")
	// One alone is what it was.
	f("gauge a: -0.0, gauge b: nan", "gauge a: -0.0, gauge b: nan")
	// The labels of two distributions of one name, and of two that only share a label.
	f("distribution a.{0}: 1, sum a.{0}: 1, label max a.{0}: 100, sample a.{0}: 1, "+
		"distribution a.{0}: 1, sum a.{0}: 2, label max a.{0}: 100, sample a.{0}: 2", "untyped a.max: 3")
	f("distribution a.b.{0}: 1, sum a.b.{0}: 1, label max a.b.{0}: 100, sample a.b.{0}: 1, "+
		"distribution a.{0}: 1, sum a.{0}: 2, label b.max a.{0}: 100, sample a.{0}: 2", "untyped a.b.max: 3")
}

func TestFilterAndFlattenKeepWhatElseSnapshotSays(t *testing.T) {
	s := &Snapshot{
		Stats:   []Stat{{Name: "a"}, {Name: "a"}},
		Skipped: 1, Ended: true, Conflicts: []Conflict{{"a", []Kind{Counter, Gauge}}},
	}
	f := func(got *Snapshot) {
		t.Helper()
		if got == s || got.Skipped != 1 || !got.Ended || len(got.Conflicts) != 1 {
			t.Errorf("got %+v", got)
		}
	}
	f(s.Filter(func(string) bool { return true }))
	f(s.Flatten())
}

func TestLastingIsWhatNeverFalls(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s := typedSnapshot(t, text)
		if got := s.Lasting(); typedLine(got) != want || !got.Ended {
			t.Errorf("%s: got %s, ended %v, want %s", text, typedLine(got), got.Ended, want)
		}
		if got := typedLine(s); got != text || s.Ended {
			t.Errorf("Lasting changed %s to %s, ended %v", text, got, s.Ended)
		}
	}
	f("", "")
	f("counter a: 1, counter b: 2.5", "counter a: 1, counter b: 2.5")
	f("counter a: 1, counter a: 2, gauge b: 3, untyped c: 4", "counter a: 1, counter a: 2")
	f("distribution d.{0}: 150, sum d.{0}: 11175, label median d.{0}: 50, sample d.{0}: 7, sample d.{0}: 9",
		"distribution d.{0}: 150, sum d.{0}: 11175, label median d.{0}: 50")
}
