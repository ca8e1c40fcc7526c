package format

import (
	"bytes"
	"runtime"
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

// Text that says nothing takes no more memory than its size suggests.
func TestEmptyTextTakesLittleMemory(t *testing.T) {
	check := func(what string, limit uint64, parse func()) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		parse()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > limit {
			t.Errorf("%s took %d bytes, want %d at the most", what, took, limit)
		}
	}
	large := &Snapshot{Stats: make([]Stat, 5000)}
	documents := bytes.Repeat([]byte("statvent: 1\nend: 0\n"), 50_000)
	check("many documents", 100<<20, func() {
		p := TypedParser{Like: large}
		for piece := documents; len(piece) > 0; piece = piece[min(len(piece), 64<<10):] {
			p.Write(piece[:min(len(piece), 64<<10)])
		}
		_, _ = p.Documents()
	})
	lines := bytes.Repeat([]byte("\n"), 16<<20)
	check("many line breaks", 32<<20, func() {
		var p PlainParser
		p.Write(lines)
		p.Snapshot()
	})
}
