package format

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func TestUnexpired(t *testing.T) {
	doc := keptDocument(t, "counter a: 1, counter b: 2, gauge b: 3, distribution d.{0}: 1, sum d.{0}: 4, gauge e: 5")
	doc.ID, doc.PID, doc.Folded, doc.Snapshot.Skipped = "x", 7, []string{"y"}, 3
	at := someTime.Add(-time.Hour)
	doc.Emitted = map[string]Emitted{
		"a":       {At: at},
		"b":       {At: at, Expires: someTime},
		"d.{0}":   {At: at, Expires: someTime.Add(time.Second)},
		"nothing": {At: at, Expires: someTime.Add(time.Second)},
	}
	text, marks := typedLine(doc.Snapshot), maps.Clone(doc.Emitted)
	f := func(now time.Time, want string, names ...string) {
		t.Helper()
		left := doc.Unexpired(now)
		if got := typedLine(left.Snapshot); got != want {
			t.Errorf("at %v: got %q, want %q", now, got, want)
		}
		if got := slices.Sorted(maps.Keys(left.Emitted)); !slices.Equal(got, names) {
			t.Errorf("at %v: the marks are of %q, want %q", now, got, names)
		}
		for name, mark := range left.Emitted {
			if mark != marks[name] {
				t.Errorf("at %v: the mark of %s is %v", now, name, mark)
			}
		}
		if left.ID != "x" || left.PID != 7 || !slices.Equal(left.Folded, doc.Folded) || !left.Snapshot.Ended || left.Snapshot.Skipped != 3 {
			t.Errorf("at %v: what else it says is %+v, %+v", now, left, left.Snapshot)
		}
		if got := typedLine(doc.Snapshot); got != text || !maps.Equal(doc.Emitted, marks) {
			t.Errorf("at %v: the document has become %q, %v", now, got, doc.Emitted)
		}
		if isSame := left == doc; isSame != (want == text) {
			t.Errorf("at %v: it is the same document: %v", now, isSame)
		}
	}
	f(time.Time{}, text, "a", "b", "d.{0}", "nothing")
	f(someTime.Add(-1), text, "a", "b", "d.{0}", "nothing")
	f(someTime, "counter a: 1, distribution d.{0}: 1, sum d.{0}: 4, gauge e: 5", "a", "d.{0}", "nothing")
	f(someTime.Add(1), "counter a: 1, distribution d.{0}: 1, sum d.{0}: 4, gauge e: 5", "a", "d.{0}", "nothing")
	f(someTime.Add(time.Second-1), "counter a: 1, distribution d.{0}: 1, sum d.{0}: 4, gauge e: 5", "a", "d.{0}", "nothing")
	f(someTime.Add(time.Second), "counter a: 1, gauge e: 5", "a")
	f(someTime.Add(1e6*time.Hour), "counter a: 1, gauge e: 5", "a")
}

func TestUnexpiredWithoutMarksIsTheSame(t *testing.T) {
	doc := keptDocument(t, "counter a: 1")
	if got := doc.Unexpired(someTime); got != doc {
		t.Errorf("got %+v", got)
	}
}

func TestFoldOfDocuments(t *testing.T) {
	type marks = map[string]Emitted
	at := func(seconds int) time.Time { return someTime.Add(time.Duration(seconds) * time.Second) }
	f := func(want, kept marks, ended ...marks) {
		t.Helper()
		doc := keptDocument(t, "counter a: 1, gauge b: 2")
		doc.ID, doc.PID, doc.Folded, doc.Emitted = "x", 7, []string{"y"}, maps.Clone(kept)
		var others []*Document
		for _, m := range ended {
			other := keptDocument(t, "counter a: 10, gauge b: 20, counter c: 30")
			other.ID, other.PID, other.Folded, other.Emitted = "z", 8, []string{"w"}, maps.Clone(m)
			others = append(others, other)
		}
		folded := doc.Fold(others...)
		snapshots := make([]*Snapshot, len(others))
		for i, other := range others {
			snapshots[i] = other.Snapshot
			if !maps.Equal(other.Emitted, ended[i]) {
				t.Errorf("%v was added and has become %v", ended[i], other.Emitted)
			}
		}
		if got, want := typedLine(folded.Snapshot), typedLine(Fold(doc.Snapshot, snapshots...)); got != want || !folded.Snapshot.Ended {
			t.Errorf("got %q, want %q", got, want)
		}
		if !maps.Equal(folded.Emitted, want) {
			t.Errorf("%v into %v: got %v, want %v", ended, kept, folded.Emitted, want)
		}
		if folded.ID != "x" || folded.PID != 7 || !slices.Equal(folded.Folded, []string{"y"}) {
			t.Errorf("what else it says is %+v", folded)
		}
		folded.Emitted["new"] = Emitted{}
		if folded == doc || !maps.Equal(doc.Emitted, kept) || typedLine(doc.Snapshot) != "counter a: 1, gauge b: 2" {
			t.Errorf("the document has become %+v", doc)
		}
	}
	f(marks{}, nil)
	f(marks{}, nil, nil, nil)
	f(marks{"a": {At: at(1)}}, marks{"a": {At: at(1)}}, nil)
	f(marks{"a": {At: at(1)}}, nil, marks{"a": {At: at(1)}})
	// The later one counts, whoever has it.
	f(marks{"a": {At: at(2)}}, marks{"a": {At: at(1)}}, marks{"a": {At: at(2)}})
	f(marks{"a": {At: at(2)}}, marks{"a": {At: at(2)}}, marks{"a": {At: at(1)}})
	f(marks{"a": {At: at(3)}}, marks{"a": {At: at(1)}}, marks{"a": {At: at(3)}}, marks{"a": {At: at(2)}})
	f(marks{"a": {At: at(1)}, "b": {At: at(2)}, "c": {At: at(3)}}, marks{"a": {At: at(1)}}, marks{"b": {At: at(2)}}, marks{"c": {At: at(3)}})
	// How long it is kept is what it was.
	f(marks{"a": {at(2), at(9)}}, marks{"a": {at(1), at(9)}}, marks{"a": {At: at(2)}})
	f(marks{"a": {at(2), at(9)}}, marks{"a": {at(2), at(9)}}, marks{"a": {At: at(1)}})
	f(marks{"a": {At: at(2)}}, marks{"a": {At: at(1)}}, marks{"a": {at(2), at(9)}})
	f(marks{"a": {at(2), at(5)}}, marks{"a": {at(1), at(5)}}, marks{"a": {at(2), at(9)}})
}
