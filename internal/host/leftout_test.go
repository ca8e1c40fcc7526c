package host

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

func TestLeftOutText(t *testing.T) {
	is := func(want string, leftOut ...LeftOut) {
		t.Helper()
		if got := (&Report{LeftOut: leftOut}).LeftOutText(); got != want {
			t.Errorf("%v: got %q, want %q", leftOut, got, want)
		}
	}
	is("")
	is("1 source of alice is left out: owner names others", LeftOut{"alice", 1})
	is("2 sources of alice are left out: owner names others", LeftOut{"alice", 2})
	is("1 source of alice and 1 of root are left out: owner names others", LeftOut{"alice", 1}, LeftOut{"root", 1})
	is("3 sources of alice and 1 of root are left out: owner names others", LeftOut{"root", 1}, LeftOut{"alice", 3})
	is("3 sources of c, 2 of b and 1 of a are left out: owner names others", LeftOut{"a", 1}, LeftOut{"b", 2}, LeftOut{"c", 3})
	is("9 sources of e, 4 of d, 3 of c and 1 of 1 other are left out: owner names others",
		LeftOut{"b", 1}, LeftOut{"c", 3}, LeftOut{"d", 4}, LeftOut{"e", 9})
	is("9 sources of e, 4 of d, 3 of c and 2 of 2 others are left out: owner names others",
		LeftOut{"a", 1}, LeftOut{"b", 1}, LeftOut{"c", 3}, LeftOut{"d", 4}, LeftOut{"e", 9})
}

func TestReportSaysWhoIsLeftOut(t *testing.T) {
	r := Describe(&pipes.Collection{Time: time.Now(), LeftOut: []pipes.LeftOut{{UID: 0, Sources: 2}, {UID: 42424242, Sources: 3}}}, &format.Snapshot{})
	text, err := json.Marshal(r.LeftOut)
	const want = `[{"user":"root","sources":2},{"user":"42424242","sources":3}]`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}
