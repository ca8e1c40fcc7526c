package format

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// The names of the snapshot before are used again: a reader of many processes holds
// each name of a process once, and makes none of them twice.
func TestNamesAreUsedAgain(t *testing.T) {
	text := document("counter requests: 1\ngauge users now: 2.5\nuntyped x: y: 3\ngauge y: 0.12345678901234567\ndistribution z: 1\nsample z: 2", 5)
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

// The distributions of a document mostly have the same labels.
func TestLabelsAreUsedAgain(t *testing.T) {
	s := parseOne(t, document("distribution a: 1\nlabel b a: 1\nlabel %41 a: 2\ndistribution b: 1\nlabel b b: 3\nlabel A b: 4\nlabel c b: 5", 2))
	a, b := s.Stats[0].Dist.Labels, s.Stats[1].Dist.Labels
	if !slices.Equal(b, []Label{{"b", 3}, {"A", 4}, {"c", 5}}) {
		t.Errorf("labels: %v", b)
	}
	for i := range a {
		if unsafe.StringData(a[i].Name) != unsafe.StringData(b[i].Name) {
			t.Errorf("%q is there twice", a[i].Name)
		}
	}
}

func TestReadingTheSameNamesMakesNoneAnew(t *testing.T) {
	const n = 1000
	var plain, typed strings.Builder
	for i := range n {
		fmt.Fprintf(&plain, "name %04d: 0.12345678901234%03d\n", i, i)
		fmt.Fprintf(&typed, "counter name %04d: 0.12345678901234%03d\n", i, i)
	}
	texts := map[string]string{"plain": plain.String(), "typed": document(strings.TrimSuffix(typed.String(), "\n"), n)}
	for what, s := range texts {
		text := []byte(s)
		like := readLike(text, nil).Snapshot
		allocs := testing.AllocsPerRun(5, func() { readLike(text, like) })
		if allocs > 20 {
			t.Errorf("%s: %v allocations for %d names", what, allocs, n)
		}
	}
}

// readLike returns the only document of a text in either format, which comes in pieces
// as from a pipe.
func readLike(text []byte, like *Snapshot) *Document {
	pipeful := func() int { return 64 << 10 }
	if !IsTyped(text) {
		p := PlainParser{Like: like}
		_ = write(&p, text, pipeful)
		return &Document{Snapshot: p.Snapshot()}
	}
	p := TypedParser{Like: like}
	_ = write(&p, text, pipeful)
	documents, _ := p.Documents()
	return documents[0]
}

// A name may be used again for as long as its source is there, and longer by others: it
// must not keep the text that it came in.
func TestDocumentKeepsNoText(t *testing.T) {
	const n, most = 200, 200_000
	tests := []struct {
		what     string
		readings int
		lines    string // of each name
	}{
		{"plain names that change", 180, "NAME: 1\n"},
		{"counters that change", 180, "counter NAME: 1\n"},
		{"distributions that change", 180, "distribution NAME: 1\nlabel NAME NAME: 50\n"},
		{"plain names in long lines", 1, "PADDINGNAME: 1\n"},
		{"counters in long lines", 1, "counter PADDINGNAME: 1\n"},
		{"distributions in long lines", 1, "distribution PADDINGNAME: 1\n"},
		{"labels in long lines", 1, "distribution NAME: 1\nlabel NAME PADDINGNAME: 50\n"},
		{"times in long lines", 1, "counter NAME: 1\nemitted PADDINGNAME: 1700000000\n"},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			padding := strings.Repeat(" ", 10_000)
			text := func(reading int) []byte {
				var b strings.Builder
				for i := range n {
					// The last twenty that have changed change again, but for one, which stays as it is.
					changed := 0
					if at := n - 1 - i; at < reading+20 {
						changed = min(at, reading)
					}
					name := fmt.Sprintf("%04d.%04d", i, changed)
					b.WriteString(strings.NewReplacer("NAME", name, "PADDING", padding).Replace(test.lines))
				}
				if strings.HasPrefix(test.lines, "NAME") || strings.HasPrefix(test.lines, "PADDING") {
					return []byte(b.String())
				}
				return []byte(document(strings.TrimSuffix(b.String(), "\n"), n))
			}
			before := heapInUse()
			read := &Document{}
			for reading := range test.readings {
				read = readLike(text(reading), read.Snapshot)
			}
			if held := heapInUse() - before; held > most {
				t.Errorf("%d bytes are held for %d names", held, n)
			}
			if len(read.Snapshot.Stats) != n || read.Snapshot.Skipped > 0 {
				t.Errorf("%d stats, %d skipped", len(read.Snapshot.Stats), read.Snapshot.Skipped)
			}
		})
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what is pooled goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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
