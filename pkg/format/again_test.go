package format

import (
	"testing"
	"unsafe"
)

// The names of the snapshot before are used again: a reader of many processes holds
// each name of a process once, and makes none of them twice.
func TestNamesAreUsedAgain(t *testing.T) {
	text := "statvent: 1\ncounter requests: 1\ngauge users now: 2.5\nuntyped x: y: 3\nend: 3\n"
	first := parseOne(t, text)
	p := TypedParser{Like: first}
	p.Write([]byte(text))
	documents, err := p.Documents()
	if err != nil {
		t.Fatal(err)
	}
	sameNames(t, documents[0].Snapshot, first)

	plain := AppendPlain(nil, first)
	var q PlainParser
	q.Write(plain)
	first = q.Snapshot()
	q.Like = first
	q.Write(plain)
	sameNames(t, q.Snapshot(), first)
}

func sameNames(t *testing.T, got, want *Snapshot) {
	t.Helper()
	if len(got.Stats) != len(want.Stats) {
		t.Fatalf("%d stats, want %d", len(got.Stats), len(want.Stats))
	}
	for i := range got.Stats {
		if name := got.Stats[i].Name; unsafe.StringData(name) != unsafe.StringData(want.Stats[i].Name) {
			t.Errorf("%q is another string than before", name)
		}
	}
}

// What only begins like the expected line is another one.
func TestLinesThatAreNearlyAsExpected(t *testing.T) {
	like := &Snapshot{Stats: []Stat{{Name: "a", Kind: Counter, Value: Int(1)}, {Name: "b", Kind: Gauge, Value: Int(1)}}}
	for _, lines := range []string{
		"counter a: b: 5\ngauge b: 1\n",
		"counter a : 5\ngauge  b: 1\n",
		"counter a:5\ngauge b:  1\n",
		"counter aa: 5\ngauge b: 1 \n",
		"counter a: 5\r\ngauge b: nan\n",
		"gauge a: 5\ncounter b: 1\n",
		"counters a: 5\ngauge b: 0x1\n",
		"counter a: \ngauge b: 1e3\n",
		"counter a\ngauge b: 12345678901234567890\n",
		"counter a: 1.\ngauge b: .5\n",
	} {
		text := []byte("statvent: 1\n" + lines + "end: 2\n")
		parse := func(p TypedParser) string {
			p.Write(text)
			documents, err := p.Documents()
			return renderDocuments(documents) + " " + errorText(err)
		}
		if got, want := parse(TypedParser{Like: like}), parse(TypedParser{}); got != want {
			t.Errorf("%q: got %s, want %s", lines, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
