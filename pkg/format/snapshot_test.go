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
	want := `: 7
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
	if got := string(AppendPlain(nil, s)); got != want {
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
		{Name: "l.median", Value: Int(3)},
		{Name: "l.median", Value: Int(1)},
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
