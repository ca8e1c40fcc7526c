package format

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// someTime is when the changes of tests are made, to the microsecond.
var someTime = time.UnixMicro(1_700_000_000_123_456)

// changesOf returns changes that are written as "incr a 1, set b 2.5, record d 3,
// delete a".
func changesOf(t *testing.T, text string) *Changes {
	t.Helper()
	c := &Changes{At: someTime}
	makeChanges(t, c, text)
	return c
}

func makeChanges(t *testing.T, c *Changes, text string) {
	t.Helper()
	if text == "" {
		return
	}
	for change := range strings.SplitSeq(text, ", ") {
		words := append(strings.Fields(change), "0") // no number is said of what is deleted
		v, err := ParseValue(words[2])
		if err != nil {
			t.Fatal(err)
		}
		madeChange{words[0], words[1], v}.make(c)
	}
}

// apply makes the changes to a document.
func apply(t *testing.T, c *Changes, doc *Document) {
	t.Helper()
	if err := c.Apply(doc); err != nil {
		t.Fatal(err)
	}
}

// keptDocument returns a document with a snapshot as a retained file has it: see
// typedSnapshot.
func keptDocument(t *testing.T, kept string) *Document {
	t.Helper()
	return &Document{Snapshot: typedSnapshot(t, "ended "+kept)}
}

// defaults are the lines of the default labels of a distribution d.{0}.
const defaults = "label median d.{0}: 50, label 95th d.{0}: 95, label 99th d.{0}: 99, label 100th d.{0}: 100, label mean d.{0}: -1"

// changedLine is typedLine, with the lines of default labels shortened.
func changedLine(s *Snapshot) string { return strings.ReplaceAll(typedLine(s), defaults, "defaults") }

func TestChanges(t *testing.T) {
	f := func(kept, changes, want string) {
		t.Helper()
		kept = strings.ReplaceAll(kept, "defaults", defaults)
		doc := keptDocument(t, kept)
		apply(t, changesOf(t, changes), doc)
		if got := changedLine(doc.Snapshot); got != want || !doc.Snapshot.Ended {
			t.Errorf("%q, when there was %q:\ngot  %q, ended %v\nwant %q", changes, kept, got, doc.Snapshot.Ended, want)
		}
	}
	f("", "", "")
	f("counter a: 1, gauge b: 2", "", "counter a: 1, gauge b: 2")

	// What is new is a counter.
	f("", "incr a 1", "counter a: 1")
	f("", "incr a 0", "counter a: 0")
	f("", "incr a 1, incr a 2", "counter a: 3")
	f("", "incr b 1, incr a 2", "counter a: 2, counter b: 1")
	// Increments are added to a counter, and to a gauge.
	f("counter a: 5", "incr a 1", "counter a: 6")
	f("gauge a: 5", "incr a 1", "gauge a: 6")
	f("counter a: 5, counter b: 7", "incr a 1", "counter a: 6, counter b: 7")
	f("untyped a: 5", "incr a 1", "gauge a: 6")
	// Once a float, always a float.
	f("counter a: 5", "incr a 1.5", "counter a: 6.5")
	f("counter a: 5", "incr a 1.0", "counter a: 6.0")
	f("counter a: 5.0", "incr a 1", "counter a: 6.0")
	f("gauge a: 5.0", "incr a 1", "gauge a: 6.0")
	f("gauge a: 5.0", "set a 1", "gauge a: 1")
	// No increment is lost, however big the counter is.
	f("counter a: 1e+100", "incr a 1", "counter a: 1.0, counter a: 1e+100")
	f("counter a: 1.0, counter a: 1e+100", "incr a 1", "counter a: 2.0, counter a: 1e+100")
	f("counter a: 9223372036854775807", "incr a 1", "counter a: 9.223372036854776e+18")
	f("counter a: 9223372036854775807", "incr a 2", "counter a: 1.0, counter a: 9.223372036854776e+18")
	f("counter a: 9007199254740992", "incr a 1", "counter a: 9007199254740993")

	// A negative increment makes a gauge, which it stays.
	f("", "incr a -1", "gauge a: -1")
	f("", "incr a -0.5", "gauge a: -0.5")
	f("", "incr a -0.0", "counter a: 0.0")
	f("counter a: 5", "incr a -1", "gauge a: 4")
	f("counter a: 5", "incr a -1, incr a 1", "gauge a: 5")
	f("counter a: 5", "incr a 1, incr a -1", "gauge a: 5")
	f("counter a: 5", "incr a 1, incr a -1, incr a 1", "gauge a: 6")
	f("gauge a: 5", "incr a -7", "gauge a: -2")
	f("counter a: 1.0, counter a: 1e+100", "incr a -1", "gauge a: 1e+100")

	// Set replaces a counter and a gauge, and what was done before.
	f("", "set a 3", "gauge a: 3")
	f("counter a: 5", "set a 3", "gauge a: 3")
	f("gauge a: 5", "set a 3", "gauge a: 3")
	f("untyped a: 5", "set a 3", "gauge a: 3")
	f("counter a: 1.0, counter a: 1e+100", "set a 3", "gauge a: 3")
	f("counter a: 5, gauge a: 6", "set a 3", "gauge a: 3")
	f("counter a: 5", "set a 3, incr a 2", "gauge a: 5")
	f("counter a: 5", "incr a 2, set a 3", "gauge a: 3")
	f("counter a: 5", "incr a -2, set a 3", "gauge a: 3")
	f("counter a: 5", "set a 1, set a 3", "gauge a: 3")
	f("counter a: 5", "set a 1.5, set a 3", "gauge a: 3")
	f("counter a: 5", "set a 1, incr a 2, set a 3, incr a 4", "gauge a: 7")

	// Delete removes it, and what is done after that begins anew.
	f("", "delete a", "")
	f("counter a: 5, counter b: 7", "delete a", "counter b: 7")
	f("gauge a: 5", "delete a", "")
	f("untyped a: 5", "delete a", "")
	f("counter a: 5, gauge a: 6", "delete a", "")
	f("counter a: 1.0, counter a: 1e+100", "delete a", "")
	f("gauge a: 5", "delete a, incr a 1", "counter a: 1")
	f("counter a: 5", "delete a, incr a -1", "gauge a: -1")
	f("counter a: 5", "delete a, set a 3", "gauge a: 3")
	f("counter a: 5", "incr a 1, delete a", "")
	f("counter a: 5", "set a 1, delete a", "")
	f("counter a: 5", "set a 1, delete a, incr a 2", "counter a: 2")
	f("counter a: 5", "incr a -1, delete a, incr a 2", "counter a: 2")
	f("counter a: 5", "delete a, incr a 2, delete a", "")
	f("counter a: 5", "delete a, delete a", "")

	// A distribution is removed by its template, and by its name without the place
	// of the label.
	f("distribution d.{0}: 1, sum d.{0}: 2, sample d.{0}: 2, counter a: 1", "delete d.{0}", "counter a: 1")
	f("distribution d.{0}: 1, sum d.{0}: 2, sample d.{0}: 2, counter a: 1", "delete d", "counter a: 1")
	f("distribution {0}.d: 1, sum {0}.d: 2, counter a: 1", "delete {0}.d", "counter a: 1")
	f("distribution {0}.d: 1, sum {0}.d: 2", "delete d", "distribution {0}.d: 1, sum {0}.d: 2")
	f("distribution d.{0}: 1, sum d.{0}: 1.0, distribution d.{0}: 0, sum d.{0}: 1e+100", "delete d", "")
	f("counter d: 1, distribution d.{0}: 1, sum d.{0}: 2", "delete d", "")
	f("distribution d.{0}: 9, sum d.{0}: 9, label max d.{0}: 100, sample d.{0}: 9", "delete d, record d 3",
		"distribution d.{0}: 1, sum d.{0}: 3, defaults, sample d.{0}: 3")
	f("distribution d.{0}: 9, sum d.{0}: 9", "record d 3, delete d", "")
	f("distribution d.{0}: 9, sum d.{0}: 9", "delete d, record d 3, delete d", "")
	f("distribution d.{0}: 9, sum d.{0}: 9", "delete d, incr d 3", "counter d: 3")

	// Record adds to a distribution, which it makes with the default labels.
	f("", "record d 3", "distribution d.{0}: 1, sum d.{0}: 3, defaults, sample d.{0}: 3")
	f("", "record d.{0} 3", "distribution d.{0}: 1, sum d.{0}: 3, defaults, sample d.{0}: 3")
	f("", "record d 3, record d.{0} -1, record d 2.5",
		"distribution d.{0}: 3, sum d.{0}: 4.5, defaults, sample d.{0}: 3, sample d.{0}: -1, sample d.{0}: 2.5")
	f("distribution d.{0}: 7, sum d.{0}: 8, defaults, sample d.{0}: 4, sample d.{0}: 3", "record d 1, record d 2",
		"distribution d.{0}: 9, sum d.{0}: 11, defaults, sample d.{0}: 4, sample d.{0}: 3, sample d.{0}: 1, sample d.{0}: 2")
	f("distribution d.{0}: 7, sum d.{0}: 8, label max d.{0}: 100", "record d 1", // own labels stay
		"distribution d.{0}: 8, sum d.{0}: 9, label max d.{0}: 100, sample d.{0}: 1")
	// Several parts of one name are one distribution.
	f("distribution d.{0}: 2, sum d.{0}: 1.0, label max d.{0}: 100, sample d.{0}: 5, distribution d.{0}: 0, sum d.{0}: 1e+100", "record d 1",
		"distribution d.{0}: 3, sum d.{0}: 2.0, label max d.{0}: 100, sample d.{0}: 5, sample d.{0}: 1, distribution d.{0}: 0, sum d.{0}: 1e+100")
	f("distribution d.{0}: 2, sum d.{0}: 1.0, sample d.{0}: 5, distribution d.{0}: 3, sum d.{0}: 2.0, label max d.{0}: 100, sample d.{0}: 6", "record d 1",
		"distribution d.{0}: 6, sum d.{0}: 4.0, label max d.{0}: 100, sample d.{0}: 5, sample d.{0}: 6, sample d.{0}: 1")
	f("distribution d.{0}: 2, sum d.{0}: 1e+100", "record d 1.0",
		"distribution d.{0}: 3, sum d.{0}: 1.0, defaults, sample d.{0}: 1.0, distribution d.{0}: 0, sum d.{0}: 1e+100")

	// A distribution and something else of the same name don't touch each other.
	f("counter d.{0}: 1, distribution d.{0}: 1, sum d.{0}: 2", "incr d.{0} 1",
		"distribution d.{0}: 1, sum d.{0}: 2, counter d.{0}: 2")
	f("counter d.{0}: 1, distribution d.{0}: 1, sum d.{0}: 2", "set d.{0} 5",
		"distribution d.{0}: 1, sum d.{0}: 2, gauge d.{0}: 5")
	f("counter d: 1, counter d.{0}: 1, distribution d.{0}: 1, sum d.{0}: 2", "record d 5",
		"counter d: 1, counter d.{0}: 1, distribution d.{0}: 2, sum d.{0}: 7, defaults, sample d.{0}: 5")
	f("", "incr d 1, record d 5", "counter d: 1, distribution d.{0}: 1, sum d.{0}: 5, defaults, sample d.{0}: 5")

	// Counters beside a gauge of the same name don't count.
	f("counter a: 5, gauge a: 2", "incr a 1", "gauge a: 3")
	f("gauge a: 2, counter a: 5", "incr a 1", "gauge a: 3")
	f("gauge a: 2, counter a: 5", "incr a -1", "gauge a: 1")
	f("gauge a: 2, counter a: 5, gauge a: 3", "incr a 1", "gauge a: 6")
	f("gauge a: 2, counter a: 5", "incr b 1", "gauge a: 2, counter a: 5, counter b: 1")
}

func TestChangedNamesAreCleaned(t *testing.T) {
	doc := keptDocument(t, "counter a b: 1, gauge c: 2, distribution d e.{0}: 1, sum d e.{0}: 4")
	c := &Changes{At: someTime}
	c.Increment(" a\nb\t", Int(2))
	c.Increment("a\r\nb", Int(3))
	c.Delete("\tc\n")
	c.Record("d\ne ", Int(5))
	c.Record("d\re.{0} ", Int(5))
	c.Set(" \n", Int(7))
	apply(t, c, doc)
	want := "gauge : 7, counter a b: 6, " + strings.ReplaceAll("distribution d.{0}: 3, sum d.{0}: 14, "+defaults+", sample d.{0}: 5, sample d.{0}: 5", "d.{0}", "d e.{0}")
	if got := typedLine(doc.Snapshot); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if names := slices.Sorted(maps.Keys(doc.Emitted)); !slices.Equal(names, []string{"", "a b", "d e.{0}"}) {
		t.Errorf("changed are %q", names)
	}
}

// Of one name the last 100 values are kept, oldest first.
func TestRecordedWindow(t *testing.T) {
	record := func(c *Changes, first, last int64) {
		for _, v := range count(first, last) {
			c.Record("d", v)
		}
	}
	check := func(doc *Document, n int64) {
		t.Helper()
		dist := doc.Snapshot.Stats[0].Dist
		if dist.Count != n || dist.Sum != Int(n*(n+1)/2) || !slices.Equal(dist.Window, count(max(1, n-99), n)) {
			t.Errorf("of %d: count %d, sum %v, window %v", n, dist.Count, dist.Sum, dist.Window)
		}
	}
	for _, n := range []int64{1, 2, 99, 100, 101, 199, 200, 201, 299, 300, 1234} {
		all, apart := &Changes{At: someTime}, keptDocument(t, "")
		for from := int64(1); from <= n; {
			to := min(n, from+n/3+7)
			record(all, from, to)
			var some Changes
			record(&some, from, to)
			apply(t, &some, apart)
			check(apart, to)
			from = to + 1
		}
		doc := keptDocument(t, "")
		apply(t, all, doc)
		check(doc, n)
	}
}

// A window that another writer has made longer is cut, but only of what is
// recorded.
func TestRecordCutsLongWindow(t *testing.T) {
	doc := &Document{Snapshot: &Snapshot{Stats: []Stat{
		{Name: "d.{0}", Kind: Distribution, Dist: &Samples{Count: 500, Window: count(1, 500)}},
		{Name: "e.{0}", Kind: Distribution, Dist: &Samples{Count: 500, Window: count(1, 500)}},
	}}}
	apply(t, changesOf(t, "record d 501"), doc)
	if got := doc.Snapshot.Stats[0].Dist.Window; !slices.Equal(got, count(402, 501)) {
		t.Errorf("the window is %v", got)
	}
	if got := doc.Snapshot.Stats[1].Dist.Window; !slices.Equal(got, count(1, 500)) {
		t.Errorf("the window of the other is %v", got)
	}
}

// sumsOf returns the exact sum of all stats of a name, and of their sums.
func sumsOf(s *Snapshot, name string) (exact *big.Rat, count int64) {
	var values []Value
	for _, stat := range s.Stats {
		switch {
		case stat.Name != name:
		case stat.Kind == Distribution:
			values = append(values, stat.Dist.Sum)
			count += stat.Dist.Count
		default:
			values = append(values, stat.Value)
		}
	}
	return exactly(values), count
}

func TestChangesAddUpExactly(t *testing.T) {
	r := freshRand(t)
	const n = 1000
	once, apart := &Changes{At: someTime}, keptDocument(t, "")
	var counted, recorded []Value
	for range n {
		v := Float(math.Ldexp(r.Float64(), r.IntN(160)-80))
		w := v
		if r.IntN(2) == 0 {
			w = Float(-v.Float64())
		}
		counted, recorded = append(counted, v), append(recorded, w)
		var one Changes
		for _, c := range []*Changes{once, &one} {
			c.Increment("c", v)
			c.Record("d", w)
		}
		apply(t, &one, apart)
	}
	all := keptDocument(t, "")
	apply(t, once, all)
	for what, doc := range map[string]*Document{"at once": all, "one by one": apart} {
		if sum, _ := sumsOf(doc.Snapshot, "c"); sum.Cmp(exactly(counted)) != 0 {
			t.Errorf("%s: counted are %v, want %v", what, sum, exactly(counted))
		}
		if sum, count := sumsOf(doc.Snapshot, "d.{0}"); sum.Cmp(exactly(recorded)) != 0 || count != n {
			t.Errorf("%s: the sum of %d is %v, want %v", what, count, sum, exactly(recorded))
		}
		total := Combine(doc.Snapshot)
		if got, _ := total.Lookup("c"); got != rounded(exactly(counted), true) {
			t.Errorf("%s: the total is %v, want %v", what, got, rounded(exactly(counted), true))
		}
	}
	// A gauge is rounded once.
	once.Increment("c", Int(-1))
	apply(t, once, all)
	want := exactly(append(append(slices.Clone(counted), counted...), Int(-1)))
	if got, _ := all.Snapshot.Lookup("c"); got != rounded(want, true) || all.Snapshot.Stats[0].Kind != Gauge {
		t.Errorf("the gauge is %v, want %v", got, rounded(want, true))
	}
}

func TestChangesSayWhenAndForHowLong(t *testing.T) {
	f := func(ttl time.Duration, kept map[string]Emitted, changes string, want map[string]Emitted) {
		t.Helper()
		doc := keptDocument(t, "counter a: 1, gauge b: 2, distribution d.{0}: 1, sum d.{0}: 2")
		doc.Emitted = kept
		c := changesOf(t, changes)
		c.TTL = ttl
		apply(t, c, doc)
		if !maps.Equal(doc.Emitted, want) {
			t.Errorf("%q for %v, when there was %v: got %v, want %v", changes, ttl, kept, doc.Emitted, want)
		}
	}
	type marks = map[string]Emitted
	const ttl = time.Minute
	now, later := Emitted{At: someTime}, Emitted{At: someTime, Expires: someTime.Add(ttl)}
	before := Emitted{At: someTime.Add(-time.Hour), Expires: someTime.Add(time.Hour)}
	f(0, nil, "", marks{})
	f(ttl, nil, "", marks{})
	f(0, nil, "incr a 1", marks{"a": now})
	f(0, nil, "incr a 1, set b 1, record d 1, incr new 1", marks{"a": now, "b": now, "d.{0}": now, "new": now})
	f(ttl, nil, "incr a 1, set b 1, record d 1, incr new 1", marks{"a": later, "b": later, "d.{0}": later, "new": later})
	f(0, marks{"a": before, "b": before}, "incr a 1", marks{"a": now, "b": before}) // no TTL ends an earlier one
	f(ttl, marks{"a": before, "b": before}, "incr a 1", marks{"a": later, "b": before})
	f(0, marks{"d.{0}": before}, "record d 1", marks{"d.{0}": now})
	f(ttl, nil, "delete a, incr a 1", marks{"a": later})
	f(ttl, nil, "delete a", marks{})
	f(ttl, nil, "incr c 1, delete c", marks{})
}

// What is infinite stays so for good, and so does the sum of the host.
func TestChangesMakeNothingInfinite(t *testing.T) {
	f := func(kept, changes, name string) {
		t.Helper()
		doc := keptDocument(t, kept)
		doc.Emitted = map[string]Emitted{"a": {At: someTime.Add(-time.Hour)}}
		before := *doc
		c := changesOf(t, changes)
		if err := c.Apply(doc); !errors.Is(err, ErrInfinite) || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%q, when there was %q: error %v", changes, kept, err)
		}
		if doc.Snapshot != before.Snapshot || len(doc.Emitted) != 1 || doc.Emitted["a"].At.Equal(someTime) {
			t.Errorf("%q, when there was %q: the document has become %+v", changes, kept, doc)
		}
		if got := typedLine(doc.Snapshot); got != kept {
			t.Errorf("%q, when there was %q: there is %q", changes, kept, got)
		}
	}
	for _, v := range []string{"inf", "-inf", "nan"} {
		f("", "set a "+v, "a")
		f("counter a: 1", "set a "+v, "a")
		f("", "incr a "+v, "a")
		f("counter a: 1", "incr a "+v, "a")
		f("counter a: 1, counter b: 2, counter c: 3", "incr a 1, incr b "+v+", incr c 1, record d 1, delete c", "b") // none is made
		f("gauge a: "+v, "incr a 1", "a")
	}
	f("counter a: 1e+308", "incr a 1e308", "a")
	f("gauge a: 1e+308", "incr a 1e308", "a")
	f("gauge a: -1e+308", "incr a -1e308", "a")
	f("", "incr a 1e308, incr a 1e308", "a")
	f("", "set a 1e308, incr a 1e308", "a")

	g := func(kept, changes, want string) {
		t.Helper()
		doc := keptDocument(t, kept)
		apply(t, changesOf(t, changes), doc)
		if got := typedLine(doc.Snapshot); got != want {
			t.Errorf("%q, when there was %q: got %q, want %q", changes, kept, got, want)
		}
	}
	g("", "set a inf, set a 1", "gauge a: 1")
	g("", "set a nan, delete a", "")
	g("gauge a: nan", "set a 1", "gauge a: 1")
	g("gauge a: nan", "delete a", "")
	g("gauge a: nan", "incr b 1", "gauge a: nan, counter b: 1")
	g("counter a: 1e+308", "incr a -1e308", "gauge a: 0.0")
}

// Who has the snapshot that was there goes on with it.
func TestApplyLeavesWhatWasThereAlone(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		snapshot := randomSnapshot(r)
		emitted := map[string]Emitted{"a": {At: someTime, Expires: someTime}, "z": {At: someTime}}
		doc := &Document{ID: "x", Snapshot: snapshot, Emitted: emitted}
		shown := func() string { return fmt.Sprintln(typedLine(snapshot), snapshot.Skipped, snapshot.Ended, emitted) }
		before := shown()
		c := &Changes{At: someTime.Add(time.Second), TTL: time.Hour}
		for range r.IntN(12) {
			randomChange(r).make(c)
		}
		failed := c.Apply(doc) != nil // there may have been infinite ones
		if (doc.Snapshot == snapshot) != failed || doc.ID != "x" || doc.Snapshot.Ended != snapshot.Ended || doc.Snapshot.Skipped != snapshot.Skipped {
			t.Fatalf("the document has become %+v", doc)
		}
		if !failed {
			for i, stat := range doc.Snapshot.Stats { // what is done to the result stays there, too
				if _, changed := c.distributions[stat.Name]; changed && stat.Dist != nil {
					stat.Dist.Window = append(stat.Dist.Window, Int(1))
					stat.Dist.Window[0] = Int(99)
					stat.Dist.Labels = append(stat.Dist.Labels, Label{"changed", 1})
					stat.Dist.Labels[0] = Label{"changed", 1}
					stat.Dist.Count = -1
				}
				doc.Snapshot.Stats[i] = Stat{Name: "changed"}
			}
			doc.Emitted["a"] = Emitted{}
		}
		if after := shown(); after != before {
			t.Fatalf("%v was\n%s\nand has become\n%s", c, before, after)
		}
	}
}

// Whoever could not store them tries again.
func TestChangesCanBeAppliedAgain(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		c := &Changes{At: someTime}
		for range r.IntN(200) {
			randomChange(r).make(c)
		}
		snapshot := randomSnapshot(r)
		doc := &Document{Snapshot: snapshot}
		err := c.Apply(doc)
		want := typedLine(doc.Snapshot)
		for _, stat := range doc.Snapshot.Stats {
			if err == nil && stat.Dist != nil && c.distributions[stat.Name] != nil {
				clear(stat.Dist.Window)
			}
		}
		_, _ = c.Counted()
		again := &Document{Snapshot: snapshot}
		_ = c.DependOn(again)
		errAgain := c.Apply(again)
		if got := typedLine(again.Snapshot); got != want || (err == nil) != (errAgain == nil) {
			t.Fatalf("got\n%s\n%v\nthe first time\n%s\n%v", got, errAgain, want, err)
		}
	}
}

func TestCounted(t *testing.T) {
	f := func(ttl time.Duration, changes, want string) {
		t.Helper()
		c := changesOf(t, changes)
		c.TTL = ttl
		doc, ok := c.Counted()
		if ok != (want != "no") {
			t.Errorf("%q for %v: got %v", changes, ttl, ok)
		}
		if !ok {
			return
		}
		if got := typedLine(doc.Snapshot); got != want || !doc.Snapshot.Ended {
			t.Errorf("%q: got %q, ended %v, want %q", changes, got, doc.Snapshot.Ended, want)
		}
		for _, stat := range doc.Snapshot.Stats {
			if doc.Emitted[stat.Name] != (Emitted{At: someTime}) {
				t.Errorf("%q: the marks are %v", changes, doc.Emitted)
			}
		}
	}
	f(0, "", "")
	f(0, "incr a 1", "counter a: 1")
	f(0, "incr a 1, incr b 2.5, incr a 0", "counter a: 1, counter b: 2.5")
	f(0, "incr a 1.0, incr a 1e100", "counter a: 1.0, counter a: 1e+100")
	f(0, "incr a -1", "no")
	f(0, "incr a 1, incr b 3, incr b -1", "no")
	f(0, "incr a inf", "no")
	f(0, "incr a 1, incr b nan", "no")
	f(0, "incr a 1e308, incr a 1e308", "no")
	f(0, "set a 1", "no")
	f(0, "incr a 1, set b 1", "no")
	f(0, "record d 1", "no")
	f(0, "incr a 1, record d 1", "no")
	f(0, "delete a", "no")
	f(0, "delete a, incr a 1", "no")
	f(0, "incr a 1, delete b", "no")
	f(time.Second, "incr a 1", "no")
	f(time.Second, "", "no")
}

func TestDependOn(t *testing.T) {
	f := func(changes, kept string, want bool) {
		t.Helper()
		doc := keptDocument(t, kept)
		doc.Emitted = map[string]Emitted{
			"emitted": {At: someTime},
			"expires": {At: someTime, Expires: someTime.Add(-time.Hour)},
			"gone":    {At: someTime, Expires: someTime},
		}
		if got := changesOf(t, changes).DependOn(doc); got != want {
			t.Errorf("%q, when there is %q: got %v", changes, kept, got)
		}
	}
	f("", "", false)
	f("incr a 1", "", false)
	f("incr a 1", "counter a: 1, gauge b: 2", false)
	f("incr a 1, incr b 1", "counter a: 1, gauge b: 2", true)
	f("incr a 1", "gauge a: 1", true)
	f("incr a 1", "untyped a: 1", true)
	f("incr a 1", "counter a: 1, gauge a: 1", true)
	f("incr a 1", "gauge a: 1, counter a: 1", true)
	f("incr a 1", "distribution a.{0}: 1, sum a.{0}: 1", false)
	f("incr emitted 1", "counter emitted: 1", false)
	f("incr expires 1", "counter expires: 1", true)
	f("incr a 1", "counter a: 1, counter expires: 1", false)
	f("incr gone 1", "counter a: 1", false)
}

// A madeChange is one that a test makes, and can make again.
type madeChange struct {
	verb string
	name string
	v    Value
}

func (m madeChange) make(c *Changes) {
	switch m.verb {
	case "incr":
		c.Increment(m.name, m.v)
	case "set":
		c.Set(m.name, m.v)
	case "record":
		c.Record(m.name, m.v)
	case "delete":
		c.Delete(m.name)
	default:
		panic("what is " + m.verb)
	}
}

// randomChange returns a change of one of a few names. Sums of its values are
// exact where they are rounded each time, which those of gauges are.
func randomChange(r *rand.Rand) madeChange {
	v := Int(r.Int64N(41) - 10)
	if r.IntN(3) == 0 {
		v = Float(v.Float64() / 8)
	}
	m := madeChange{"incr", string("ab"[r.IntN(2)]), v}
	switch r.IntN(10) {
	case 0:
		m.verb = "set"
	case 1:
		m.verb, m.name = "delete", []string{"a", "b", "c", "d", "d.{0}"}[r.IntN(5)]
	case 2, 3, 4: // any float: counters and distributions are exact
		m.name, m.v = "c", Float(math.Ldexp(r.Float64(), r.IntN(120)-60))
	case 5, 6:
		m.verb, m.name, m.v = "record", []string{"a", "d", "d.{0}", "d"}[r.IntN(4)], Float(math.Ldexp(r.Float64()-0.5, r.IntN(120)-60))
	}
	return m
}

// An oracle is what stats should be, by name: those of which a window is known are
// distributions.
type oracle map[string]*oracleStat

type oracleStat struct {
	kind    Kind
	sum     *big.Float
	isFloat bool
	count   int64
	window  []Value
}

func (o oracle) of(name string, kind Kind) *oracleStat {
	if o[name] == nil {
		o[name] = &oracleStat{kind: kind, sum: new(big.Float).SetPrec(1000)}
	}
	return o[name]
}

func (o oracle) make(m madeChange) {
	template := m.name
	if !strings.Contains(template, "{0}") {
		template += ".{0}"
	}
	var stat *oracleStat
	switch m.verb {
	case "delete":
		delete(o, m.name)
		delete(o, template)
		return
	case "record":
		stat = o.of(template, Distribution)
		stat.count++
		stat.window = append(stat.window, m.v)
		stat.window = stat.window[max(0, len(stat.window)-100):]
	case "set":
		delete(o, m.name)
		stat = o.of(m.name, Gauge)
	default:
		stat = o.of(m.name, Counter)
		if m.v.Float64() < 0 {
			stat.kind = Gauge
		}
	}
	stat.isFloat = stat.isFloat || m.v.IsFloat()
	stat.sum.Add(stat.sum, big.NewFloat(m.v.Float64()))
}

// check says what is wrong with stats that should be these.
func (o oracle) check(s *Snapshot) error {
	found := make(oracle)
	for _, stat := range s.Stats {
		v := stat.Value
		one := found.of(stat.Name, stat.Kind)
		if one.kind != stat.Kind {
			return fmt.Errorf("%s is %v and %v", stat.Name, one.kind, stat.Kind)
		}
		if stat.Dist != nil {
			v = stat.Dist.Sum
			one.count += stat.Dist.Count
			one.window = append(one.window, stat.Dist.Window...)
		}
		one.isFloat = one.isFloat || v.IsFloat()
		one.sum.Add(one.sum, big.NewFloat(v.Float64()))
	}
	if got, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(o)); !slices.Equal(got, want) {
		return fmt.Errorf("there are %q, want %q", got, want)
	}
	for name, want := range o {
		got := found[name]
		if got.kind != want.kind || got.sum.Cmp(want.sum) != 0 || got.isFloat != want.isFloat || got.count != want.count || !slices.Equal(got.window, want.window) {
			return fmt.Errorf("%s is %+v, want %+v", name, *got, *want)
		}
	}
	return nil
}

// However changes are grouped, they come to the same, and to what they say.
func TestAnyChangesAtOnceAreThoseOneByOne(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		var made []madeChange
		want := make(oracle)
		atOnce, apart := keptDocument(t, ""), keptDocument(t, "")
		for range 1 + r.IntN(4) {
			changes := &Changes{At: someTime}
			for range r.IntN(30) {
				m := randomChange(r)
				made = append(made, m)
				one := &Changes{At: someTime}
				m.make(changes)
				m.make(one)
				want.make(m)
				apply(t, one, apart)
				if r.IntN(5) == 0 { // as a retained file is read and written
					apart = parseDocument(t, string(AppendTyped(nil, apart.Fold())))
					apart.Snapshot.Ended = true
				}
			}
			apply(t, changes, atOnce)
			if err := want.check(atOnce.Snapshot); err != nil {
				t.Fatalf("at once: %v\n%v", err, made)
			}
			if err := want.check(apart.Snapshot); err != nil {
				t.Fatalf("one by one: %v\n%v", err, made)
			}
			if got, want := typedLine(Combine(apart.Snapshot)), typedLine(Combine(atOnce.Snapshot)); got != want {
				t.Fatalf("one by one:\n%s\nat once:\n%s\n%v", got, want, made)
			}
			for _, stat := range atOnce.Snapshot.Stats {
				if got := atOnce.Emitted[stat.Name]; got != (Emitted{At: someTime}) {
					t.Fatalf("the mark of %s is %v", stat.Name, got)
				}
			}
		}
	}
}

// What Counted returns does what the changes do, where they don't depend on what
// is there.
func TestCountedIsWhatTheChangesDo(t *testing.T) {
	r := freshRand(t)
	seen := make(map[bool]int)
	for range 2000 {
		c := &Changes{At: someTime}
		for range 1 + r.IntN(3) {
			m := randomChange(r)
			m.v = Float(math.Abs(m.v.Float64()))
			m.make(c)
		}
		counted, ok := c.Counted()
		kept := &Document{Snapshot: lastingSnapshot(r)}
		kept.Snapshot.Stats = append(kept.Snapshot.Stats, Stat{Name: string("abc"[r.IntN(3)]), Kind: Kind(1 + r.IntN(2)), Value: Int(5)})
		kept.Snapshot.Sort()
		ok = ok && !c.DependOn(kept)
		seen[ok]++
		if !ok {
			continue
		}
		folded := kept.Fold(counted)
		apply(t, c, kept)
		if got, want := typedLine(Combine(folded.Snapshot)), typedLine(Combine(kept.Snapshot)); got != want {
			t.Fatalf("folded:\n%s\napplied:\n%s", got, want)
		}
	}
	if seen[true] < 100 || seen[false] < 100 {
		t.Errorf("of the changes these only count: %v", seen)
	}
}
