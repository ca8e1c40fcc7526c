package format

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// renderDocument returns all that a document says.
func renderDocument(d *Document) string {
	b := fmt.Appendf(nil, "id %q pid %d folded %q skipped %d\n", d.ID, d.PID, d.Folded, d.Snapshot.Skipped)
	if d.Source != "" {
		b = fmt.Appendf(b, "source %q\n", d.Source)
	}
	for _, stat := range d.Snapshot.Stats {
		b = fmt.Appendf(b, "%v %q %v", stat.Kind, stat.Name, stat.Value)
		if dist := stat.Dist; dist != nil {
			b = fmt.Appendf(b, " of %d with the sum %v: %v", dist.Count, dist.Sum, dist.Window)
			for _, label := range dist.Labels {
				b = fmt.Appendf(b, " %q %v", label.Name, label.Percentile+0) // -0 is 0
			}
		}
		b = append(b, '\n')
	}
	return string(b)
}

func renderDocuments(documents []*Document) string {
	var all []string
	for _, d := range documents {
		all = append(all, renderDocument(d))
	}
	return strings.Join(all, "\n")
}

// readTyped returns what a text has, and its error.
func readTyped(text string) (string, error) {
	var p TypedParser
	if _, err := p.Write([]byte(text)); err != nil {
		return "", err
	}
	documents, err := p.Documents()
	return renderDocuments(documents), err
}

const exampleText = `statvent: 1
id 9f86d081884c7d65: 1
pid: 3435
counter app.requests: 42
gauge app.users: 7
distribution latency.{0}: 150
sum latency.{0}: 11175
label median latency.{0}: 50
label mean latency.{0}: -1
sample latency.{0}: 50
sample latency.{0}: 51
end 11: 3
`

func exampleDocument() *Document {
	return &Document{
		ID:  "9f86d081884c7d65",
		PID: 3435,
		Snapshot: &Snapshot{Stats: []Stat{
			{Name: "app.requests", Kind: Counter, Value: Int(42)},
			{Name: "app.users", Kind: Gauge, Value: Int(7)},
			{Name: "latency.{0}", Kind: Distribution, Dist: &Samples{
				Count:  150,
				Sum:    Int(11175),
				Labels: []Label{{"median", 50}, {"mean", Mean}},
				Window: ints(50, 51),
			}},
		}},
	}
}

func TestTypedExample(t *testing.T) {
	if got := string(AppendTyped([]byte("before\n"), exampleDocument())); got != "before\n"+exampleText {
		t.Errorf("got\n%s\nwant\n%s", got, exampleText)
	}
	if got, err := readTyped(exampleText); err != nil || got != renderDocument(exampleDocument()) {
		t.Errorf("got\n%s\n%v, want\n%s", got, err, renderDocument(exampleDocument()))
	}
}

func TestAppendTyped(t *testing.T) {
	f := func(want string, d Document, stats ...Stat) {
		t.Helper()
		d.Snapshot = &Snapshot{Stats: stats, Skipped: 5}
		got := string(AppendTyped(nil, &d))
		if want = "statvent: 1\n" + want; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f("end 1: 0\n", Document{})
	f("id x: 1\nfolded y: 1\nfolded z: 1\nend 4: 0\n", Document{ID: "x", Folded: []string{"y", "z"}})
	f("untyped a: 1\ncounter a: 2.0\ngauge a: nan\nend 4: 3\n", Document{},
		Stat{Name: "a", Value: Int(1)}, Stat{Name: "a", Kind: Counter, Value: Float(2)}, Stat{Name: "a", Kind: Gauge, Value: Float(nan)})
	f("distribution d: 0\nsum d: 0\nend 3: 1\n", Document{}, Stat{Name: "d", Kind: Distribution, Dist: &Samples{}})
	// Names of any bytes, and labels, in which % stands for what would end them.
	f("gauge : 1\ngauge GET http://host:80/ %41: 2\nend 3: 2\n", Document{},
		Stat{Kind: Gauge, Value: Int(1)}, Stat{Name: "GET http://host:80/ %41", Kind: Gauge, Value: Int(2)})
	f("distribution d e: 0\nsum d e: 0\n"+
		"label  d e: 50\nlabel a%20b:c d e: 99.9\nlabel %25%0A%00\x7f\xff d e: nan\nlabel - d e: inf\nend 7: 1\n", Document{},
		Stat{Name: "d e", Kind: Distribution, Dist: &Samples{
			Labels: []Label{{"", 50}, {"a b:c", 99.9}, {"%\n\x00\x7f\xff", nan}, {"-", inf}},
		}})
}

// randomName returns any name that is clean.
func randomName(r *rand.Rand) string {
	parts := []string{"a", "b", " ", ":", "%", "{0}", "\x00", "\xff", "é", "\t", "\r", "\n", "1", ": 1", "end", "end 3: 3", "counter x"}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return CleanName(b.String())
}

func randomLabel(r *rand.Rand) Label {
	name := make([]byte, r.IntN(4))
	for i := range name {
		name[i] = byte(r.Uint32())
		if r.IntN(2) == 0 {
			name[i] = " %:\n\t{"[r.IntN(6)]
		}
	}
	return Label{string(name), randomFloat(r)}
}

func randomValues(r *rand.Rand, n int) []Value {
	var values []Value
	for range n {
		values = append(values, randomValue(r))
	}
	return values
}

func randomDocument(r *rand.Rand) *Document {
	d := &Document{PID: r.IntN(3), Snapshot: &Snapshot{}}
	if r.IntN(2) == 0 {
		d.ID = fmt.Sprintf("%016x", r.Uint64())
	}
	for range r.IntN(3) {
		d.Folded = append(d.Folded, fmt.Sprintf("%016x", r.Uint64()))
	}
	for range r.IntN(8) {
		stat := Stat{Name: randomName(r), Kind: Kind(r.IntN(4))}
		if stat.Kind != Distribution {
			stat.Value = randomValue(r)
		} else {
			stat.Dist = &Samples{Count: r.Int64N(200), Sum: randomValue(r), Window: randomValues(r, r.IntN(4))}
			for range r.IntN(4) {
				stat.Dist.Labels = append(stat.Dist.Labels, randomLabel(r))
			}
		}
		d.Snapshot.Stats = append(d.Snapshot.Stats, stat)
	}
	d.Snapshot.Sort()
	return d
}

func TestAnyDocumentsRoundTripInAnyPieces(t *testing.T) {
	r := freshRand(t)
	var p TypedParser // the same for all: it is ready for another text each time
	for range randomRounds / 20 {
		var documents []*Document
		var text []byte
		for range 1 + r.IntN(3) {
			d := randomDocument(r)
			documents = append(documents, d)
			text = AppendTyped(text, d)
		}
		for _, pieces := range []func() int{onePiece, byteByByte, threeBytes, growing(), randomPieces(r)} {
			if err := write(&p, text, pieces); err != nil {
				t.Fatal(err)
			}
			got, err := p.Documents()
			if want := renderDocuments(documents); err != nil || renderDocuments(got) != want {
				t.Fatalf("%q\nis read as %s\n%v, want %s", text, renderDocuments(got), err, want)
			}
		}
	}
}

// Who reads every pipe as the seed does can read these as well.
func TestEveryTypedLineIsPlain(t *testing.T) {
	r := freshRand(t)
	for range randomRounds / 20 {
		text := AppendTyped(nil, randomDocument(r))
		var p PlainParser
		p.Write(text)
		s := p.Snapshot()
		if n := bytes.Count(text, []byte("\n")); s.Skipped != 0 || len(s.Stats) != n {
			t.Fatalf("%q\nhas %d lines, %d stats, skipped %d", text, n, len(s.Stats), s.Skipped)
		}
		for _, stat := range s.Stats {
			if stat.Name == "" {
				t.Fatalf("%q\nhas a line without a keyword", text)
			}
		}
	}
}

func TestTypedTextThatEndsEarlyIsTorn(t *testing.T) {
	r := freshRand(t)
	for range 20 {
		first, second := randomDocument(r), randomDocument(r)
		text := string(AppendTyped(nil, first))
		border := len(text)
		text = string(AppendTyped([]byte(text), second))
		for i := range len(text) {
			got, err := readTyped(text[:i])
			want, wantErr := "", ErrTorn
			if i >= border {
				want = renderDocument(first)
			}
			if i == border {
				wantErr = nil
			}
			if got != want || !errors.Is(err, wantErr) {
				t.Fatalf("%q, of which %d bytes came, is read as %s, %v, want %s, %v", text, i, got, err, want, wantErr)
			}
		}
	}
}

// When somebody else reads from the same pipe, a part in the middle is missing.
// With any line break that is missing the lines are too few. What can't be seen
// is a part of one line.
func TestTypedTextWithPartMissingIsTorn(t *testing.T) {
	want := renderDocument(exampleDocument())
	for from := range exampleText {
		for to := from + 1; to <= len(exampleText); to++ {
			got, err := readTyped(exampleText[:from] + exampleText[to:])
			if errors.Is(err, ErrTorn) || errors.Is(err, ErrVersion) {
				if got != "" {
					t.Fatalf("without %q: error %v, and %s", exampleText[from:to], err, got)
				}
				continue
			}
			inOneLine := !strings.Contains(exampleText[from:to], "\n")
			if err != nil || got != want && !inOneLine {
				t.Fatalf("without %q: error %v, %s", exampleText[from:to], err, got)
			}
		}
	}
}

// No whole line of a stat can go together with that line: the stats are counted
// once more at the end.
func TestTypedTextWithStatMissingIsTorn(t *testing.T) {
	lines := strings.SplitAfter(strings.TrimSuffix(exampleText, "\n"), "\n")
	for from := range lines {
		for to := from + 1; to <= len(lines); to++ {
			missing := strings.Join(lines[from:to], "")
			got, err := readTyped(strings.Join(slices.Concat(lines[:from], lines[to:]), ""))
			if statLine.MatchString(missing) && (err == nil || got != "") {
				t.Errorf("without %q: %s", missing, got)
			}
		}
	}
}

// document returns the text of lines that are written as "counter a: 1, gauge b: 2".
func document(lines string, stats any) string {
	if lines != "" {
		lines = strings.ReplaceAll(lines, ", ", "\n") + "\n"
	}
	return fmt.Sprintf("statvent: 1\n%send %d: %v\n", lines, strings.Count(lines, "\n")+1, stats)
}

func TestTypedMarks(t *testing.T) {
	f := func(text string, whole bool) {
		t.Helper()
		if _, err := readTyped(text); (err == nil) != whole || err != nil && !errors.Is(err, ErrTorn) {
			t.Errorf("%q: got error %v", text, err)
		}
	}
	f(document("counter a: 1, counter b: 2", 2), true)
	f(document("counter a: 1, counter b: 2", 1), false)
	f(document("counter a: 1, counter b: 2", 3), false)
	f(document("counter a: 1, counter b: 2", "2.0"), false)
	f(document("counter a: 1, counter b: 2", "x"), false)
	f(document("counter a: 1, counter b: 2", -2), false)
	f("statvent: 1\ncounter a: 1\nend 2: 1\n", true)
	f("statvent: 1\ncounter a: 1\nend 1: 1\n", false)
	f("statvent: 1\ncounter a: 1\nend 3: 1\n", false)
	f("statvent: 1\ncounter a: 1\nend 2.0: 1\n", false)
	f("statvent: 1\ncounter a: 1\nend x: 1\n", false)
	f("statvent: 1\ncounter a: 1\nend 02: 1\n", false)
	f("statvent: 1\ncounter a: 1\nend: 1\n", true) // other writers need not count lines
	// A line that could not be read, and one that isn't known, may be a stat.
	f(document("counter a: 1, counter b: x", 1), true)
	f(document("counter a: 1, counter b: x", 2), true)
	f(document("counter a: 1, counter b: x", 3), false)
	f(document("counter a: 1, histogram b: 2", 1), true)
	f(document("counter a: 1, histogram b: 2", 2), true)
	f(document("counter a: 1, histogram b: 2", 3), false)
	f(document("counter a: 1, histogram b: 2", 0), false)
	f(document("distribution d: 1, sum d: x, sum e: 1", 2), false) // those are none
}

func TestTypedVersions(t *testing.T) {
	whole := document("counter a: 1", 1)
	other := strings.Replace(whole, "statvent: 1", "statvent: 2", 1)
	f := func(text string, wantErr error, names ...string) {
		t.Helper()
		var p TypedParser
		p.Write([]byte(text))
		documents, err := p.Documents()
		var got []string
		for _, d := range documents {
			got = append(got, d.Snapshot.Stats[0].Name)
		}
		if !errors.Is(err, wantErr) || !slices.Equal(got, names) {
			t.Errorf("%q: got %q, error %v, want %q, %v", text, got, err, names, wantErr)
		}
	}
	f(whole, nil, "a")
	f(whole+document("counter b: 1", 1), nil, "a", "b")
	f(strings.ReplaceAll(whole, "\n", "\r\n"), nil, "a")
	f("", ErrTorn)
	f("statvent: 1", ErrTorn)
	f("statvent: 1\n", ErrTorn)
	// Other versions, and other texts.
	f(other, ErrVersion)
	f("statvent: 2\n", ErrVersion)
	f("statvent: 1.0\nend: 0\n", ErrVersion)
	f("statvent : 1\nend: 0\n", ErrVersion)
	f("a: 1\n", ErrVersion)
	f("\n", ErrVersion)
	f("counter a: 1\nend 1: 1\n", ErrVersion)
	// One that isn't good costs no other, and the error is about the first.
	f(other+whole, ErrVersion, "a")
	f(whole+other, ErrVersion, "a")
	f(other+"statvent: 1\n", ErrVersion)
	f("statvent: 1\n"+other, ErrTorn)
	f("a: 1\n"+whole, ErrVersion, "a")
	f(whole+"a: 1\n", ErrVersion, "a")
	f(whole+"cut", ErrTorn, "a")
	f("statvent: 1\ncounter c: 1\n"+whole, ErrTorn, "a")
	f(document("counter c: 1", 2)+whole, ErrTorn, "a")
}

func TestTypedBadLineIsSkippedAndCostsNoOther(t *testing.T) {
	const want = "id \"\" pid 0 folded [] skipped %d\ncounter \"a\" 1\ndistribution \"d\" 0 of 1 with the sum 2: [3] \"max\" 100\n"
	f := func(skipped int, line string) {
		t.Helper()
		got, err := readTyped(document("counter a: 1, distribution d: 1, "+line+", sum d: 2, label max d: 100, sample d: 3", 2))
		if want := fmt.Sprintf(want, skipped); err != nil || got != want {
			t.Errorf("%q: got %s, error %v, want %s", line, got, err, want)
		}
	}
	f(1, "counter b: x")
	f(1, "counter b:")
	f(1, "gauge b: 0x1")
	f(1, "untyped: ?")
	f(1, "distribution e: x")
	f(1, "pid: x")
	f(1, "sum d: x")
	f(1, "sum e: 1")
	f(1, "sum : 1")
	f(1, "sample d: x")
	f(1, "sample e: 1")
	f(1, "sample a: 1") // no distribution
	f(1, "label max e: 100")
	f(1, "label max d: x")
	f(1, "label d: 100")
	f(1, "label %4 d: 100")
	f(1, "label % d: 100")
	f(1, "label %4G d: 100")
	f(1, "label %+1 d: 100")
	f(1, strings.Repeat("x", DefaultMaxLine+1))
	// A keyword that isn't known is passed over.
	f(0, "expires a: 1700000000")
	f(0, "note: 1")
	f(0, "note a b c: d: 1")
	f(0, "Counter b: 1")
	f(0, "statvent x: 1")
}

func TestTypedLineWithoutColonIsSkipped(t *testing.T) {
	f := func(line string) {
		t.Helper()
		got, err := readTyped(document("counter a: 1, "+line, 1))
		if want := "id \"\" pid 0 folded [] skipped 1\ncounter \"a\" 1\n"; err != nil || got != want {
			t.Errorf("%q: got %s, error %v, want %s", line, got, err, want)
		}
	}
	f("counter b")
	f("what is this")
	f("")
}

// It is counted as one that could not be read, so nothing of it is taken.
func TestTypedSkippedLineSaysNothing(t *testing.T) {
	f := func(line string) {
		t.Helper()
		got, err := readTyped(document("id x: 1, pid: 7, counter a: 1, "+line, 1))
		if want := "id \"x\" pid 7 folded [] skipped 1\ncounter \"a\" 1\n"; err != nil || got != want {
			t.Errorf("%q: got %s, error %v, want %s", line, got, err, want)
		}
	}
	f("pid: x")
	f("id y: x")
	f("folded y: x")
}

func TestTypedBlanksAroundNameGo(t *testing.T) {
	got, err := readTyped(document("counter  a\t:\t1\r, distribution d e :1, sum \td e: 2, label max  d e : 100 , sample d e\r: 3", 2))
	want := "id \"\" pid 0 folded [] skipped 0\ncounter \"a\" 1\ndistribution \"d e\" 0 of 1 with the sum 2: [3] \"max\" 100\n"
	if err != nil || got != want {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
}

func TestTypedDetailsAreOfLastDistributionOfName(t *testing.T) {
	got, err := readTyped(document("distribution d: 1, sum d: 2, distribution e: 3, sample d: 4, "+
		"distribution d: 5, sample d: 6, label max e: 100, sum d: 7, sum e: 8.0", 3))
	want := `id "" pid 0 folded [] skipped 0
distribution "d" 0 of 1 with the sum 2: [4]
distribution "d" 0 of 5 with the sum 7: [6]
distribution "e" 0 of 3 with the sum 8.0: [] "max" 100
`
	if err != nil || got != want {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
}

func TestTypedParserMaxLine(t *testing.T) {
	text := []byte(document("counter 12345: 1, counter 123456: 1, counter b: 1, 123456789012345678901234567890", 3))
	want := "id \"\" pid 0 folded [] skipped 2\ncounter \"12345\" 1\ncounter \"b\" 1\n"
	for _, pieces := range []func() int{onePiece, byteByByte, threeBytes} {
		p := TypedParser{MaxLine: len("counter 12345: 1")}
		if err := write(&p, text, pieces); err != nil {
			t.Fatal(err)
		}
		if documents, err := p.Documents(); err != nil || renderDocuments(documents) != want {
			t.Errorf("got %s, error %v, want %s", renderDocuments(documents), err, want)
		}
	}
}

func TestTypedParserMaxStats(t *testing.T) {
	f := func(maxStats int, text string, want error, documents int) {
		t.Helper()
		for _, pieces := range []func() int{onePiece, byteByByte, threeBytes} {
			p := TypedParser{MaxStats: maxStats}
			if err := write(&p, []byte(text), pieces); !errors.Is(err, want) {
				t.Errorf("at most %d, %.80q: got error %v, want %v", maxStats, text, err, want)
			}
			if got, err := p.Documents(); len(got) != documents || (err == nil) != (want == nil) {
				t.Errorf("at most %d, %.80q: got %d documents, error %v", maxStats, text, len(got), err)
			}
			// It has forgotten them, and nothing else.
			p.Write([]byte(document("gauge a: 1", 1)))
			if got, err := p.Documents(); len(got) != 1 || err != nil || p.MaxStats != maxStats {
				t.Errorf("at most %d, after %.80q: got %d documents, error %v, at most %d", maxStats, text, len(got), err, p.MaxStats)
			}
		}
	}
	one := document("counter a: 1", 1)
	f(1, one, nil, 1)
	f(1, one+one, ErrTooManyStats, 1)
	f(2, one+one, nil, 2)
	f(1, document("counter a: 1, counter a: 1", 2), ErrTooManyStats, 0)
	f(2, document("folded a: 1, counter a: 1, folded b: 1, counter b: 1", 2), nil, 1)
	f(2, document("folded a: 1, folded b: 1, folded c: 1", 0), ErrTooManyStats, 0)
	f(2, document("counter a: 1, counter a: x, what b: 1, distribution d: 1, sum d: 1, label p d: 1, sample d: 1", 2), nil, 1)
	f(0, "statvent: 1\n"+strings.Repeat("gauge a: 1\n", DefaultMaxStats)+fmt.Sprintf("end %d: %d\n", DefaultMaxStats+1, DefaultMaxStats), nil, 1)
	f(0, "statvent: 1\n"+strings.Repeat("gauge a: 1\n", DefaultMaxStats+1), ErrTooManyStats, 0)
}

func TestTypedParserKeepsNothingOfCallersBuffer(t *testing.T) {
	var p TypedParser
	buf := make([]byte, 64)
	for text := exampleText; text != ""; {
		n := copy(buf, text)
		if m, err := p.Write(buf[:n]); m != n || err != nil {
			t.Fatalf("Write = %d, %v", m, err)
		}
		text = text[n:]
		for i := range buf {
			buf[i] = '#'
		}
	}
	first, err := p.Documents()
	p.Write([]byte(document("counter b: 2, distribution latency.{0}: 1, sample latency.{0}: 1", 2))) // the next touches nothing of it
	if second, err := p.Documents(); err != nil || len(second) != 1 {
		t.Errorf("got %d documents, %v", len(second), err)
	}
	if got := renderDocuments(first); err != nil || got != renderDocument(exampleDocument()) {
		t.Errorf("got %s, error %v", got, err)
	}
}

func TestIsTyped(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := IsTyped([]byte(text)); got != want {
			t.Errorf("IsTyped(%.60q) = %v", text, got)
		}
	}
	f(exampleText, true)
	f("statvent: 1\n", true)
	f("statvent: 1\r\n", true)
	f("statvent:2\nwhatever", true) // of any version
	f("statvent: 123456789\n", true)
	f("statvent:"+strings.Repeat(" ", 29)+"1\n", true) // 40 bytes
	f("statvent:"+strings.Repeat(" ", 30)+"1\n", false)
	f("", false)
	f("\n", false)
	f("statvent: 1", false) // cut
	f("statvent: x\n", false)
	f("statvent: 1.0\n", false)
	f("statvent\n", false)
	f("statvent.requests: 1\n", false)
	f("a: 1\nstatvent: 1\n", false)
	f(" statvent: 1\n", false)
	f(strings.Repeat("x", 1000), false)
}

func FuzzTypedParser(f *testing.F) {
	f.Add([]byte(""), uint8(0), uint64(0))
	f.Add([]byte(exampleText), uint8(0), uint64(1))
	f.Add([]byte(exampleText+document("untyped %: -0.0, gauge : nan, what x: 1, x", 2)), uint8(20), uint64(2))
	f.Add([]byte("a: 1\nstatvent: 2\nend: 0\nstatvent: 1\nfolded: 1\nid  x : 1\nsource %zz: 1\nsource a%20b : 1\npid: 1e300\nend: 0\n"), uint8(0), uint64(3))
	f.Add([]byte("statvent: 1\ndistribution d: 1.5\nlabel %00%fF d: nan\nlabel  d\t: 1e300\nlabel \t d: -0\nend: 1\ncut"), uint8(0), uint64(4))
	f.Fuzz(func(t *testing.T, text []byte, maxLine uint8, seed uint64) {
		whole := TypedParser{MaxLine: int(maxLine)}
		if _, err := whole.Write(text); err != nil {
			return // ErrTooManyStats: hundreds of kilobytes
		}
		documents, err := whole.Documents()
		want := renderDocuments(documents)

		pieces := TypedParser{MaxLine: int(maxLine)}
		if err := write(&pieces, text, randomPieces(rand.New(rand.NewPCG(seed, 0)))); err != nil {
			t.Fatal(err)
		}
		if inPieces, errInPieces := pieces.Documents(); renderDocuments(inPieces) != want || !errors.Is(errInPieces, err) {
			t.Errorf("in pieces: got %s, error %v, want %s, %v", renderDocuments(inPieces), errInPieces, want, err)
		}
		if len(documents) == 0 {
			if err == nil {
				t.Error("neither a document nor an error")
			}
			return
		}
		for _, d := range documents {
			for _, like := range []*Snapshot{d.Snapshot, shuffled(d.Snapshot, seed)} {
				liked := TypedParser{MaxLine: int(maxLine), Like: like}
				buf := bytes.Clone(text)
				_, _ = liked.Write(buf)
				clear(buf)
				if got, likedErr := liked.Documents(); renderDocuments(got) != want || !errors.Is(likedErr, err) {
					t.Errorf("like an earlier one: got %s, error %v, want %s, %v", renderDocuments(got), likedErr, want, err)
				}
			}
		}
		if err == nil && maxLine == 0 && !IsTyped(text) && bytes.IndexByte(text, '\n') < maxFirstLine {
			t.Error("IsTyped says no")
		}

		var typed []byte
		for _, d := range documents {
			d.Snapshot.Skipped = 0
			typed = AppendTyped(typed, d)
		}
		again := TypedParser{MaxLine: len(typed)}
		again.Write(typed)
		read, err := again.Documents()
		if got, want := renderDocuments(read), renderDocuments(documents); err != nil || got != want {
			t.Errorf("written as %q and read again: got %s, error %v, want %s", typed, got, err, want)
		}
	})
}

func FuzzTypedRoundTrip(f *testing.F) {
	f.Add("a", "median", 50.0, uint64(42), uint8(1))
	f.Add("", "", -1.0, math.Float64bits(nan), uint8(7))
	f.Add("end 3: 3", "a b:%", 99.9, math.Float64bits(negativeZero), uint8(15))
	f.Add("\xff\x00 {0}", "\n\r %41\xff", math.Inf(1), uint64(1)<<63, uint8(3))
	f.Fuzz(func(t *testing.T, name, label string, percentile float64, bits uint64, kind uint8) {
		v := Value{bits: bits, float: kind&4 != 0}
		stat := Stat{Name: CleanName(name), Kind: Kind(kind & 3), Value: v}
		if stat.Kind == Distribution {
			stat.Value = Value{}
			stat.Dist = &Samples{Count: int64(bits), Sum: v, Window: []Value{v, Int(1)}, Labels: []Label{{label, percentile}, {"max", 100}}}
		}
		d := &Document{PID: int(kind), Source: label, Snapshot: &Snapshot{Stats: []Stat{stat, stat}}}
		text := AppendTyped(nil, d)
		p := TypedParser{MaxLine: len(text)}
		p.Write(text)
		got, err := p.Documents()
		if stat.Dist != nil && !(&openedDocument{maxName: len(text)}).mayMake([]byte(stat.Name), []byte(label)) {
			return // the label is skipped
		}
		if want := renderDocument(d); err != nil || renderDocuments(got) != want {
			t.Errorf("%q is read as %s, error %v, want %s", text, renderDocuments(got), err, want)
		}
		if v.IsFloat() && stat.Dist == nil && !sameValue(got[0].Snapshot.Stats[0].Value, v) {
			t.Errorf("%v is read as %v", v, got[0].Snapshot.Stats[0].Value)
		}
	})
}

// parseOne returns the only document of a text.
func parseOne(t *testing.T, text string) *Snapshot {
	t.Helper()
	var p TypedParser
	p.Write([]byte(text))
	documents, err := p.Documents()
	if err != nil || len(documents) != 1 {
		t.Fatalf("%.80q: %d documents, %v", text, len(documents), err)
	}
	return documents[0].Snapshot
}

func TestTypedParserBoundsWhatADistributionHas(t *testing.T) {
	check := func(name, line string, n, labels, samples, skipped int) {
		t.Helper()
		text := "statvent: 1\ndistribution " + name + ": 1\n" + strings.Repeat(line+" "+name+": 7\n", n) + "end: 1\n"
		s := parseOne(t, text)
		if d := s.Stats[0].Dist; len(d.Labels) != labels || len(d.Window) != samples || s.Skipped != skipped {
			t.Errorf("%d times %.20q for %.20q: %d labels and %d samples, skipped %d, want %d, %d, %d",
				n, line, name, len(d.Labels), len(d.Window), s.Skipped, labels, samples, skipped)
		}
	}
	check("d", "label x", 256, 256, 0, 0)
	check("d", "label x", 300, 256, 0, 44)
	check("d", "sample", 1<<20, 0, 1<<20, 0)
	check("d", "sample", 1<<20+3, 0, 1<<20, 3)
	// A label in several places of a name: what it makes is no longer than a line,
	places := func(n int) string { return strings.Repeat("{0}", n) }
	label := func(length int) string { return "label " + strings.Repeat("x", length) }
	check(places(4), label(DefaultMaxLine/4), 2, 2, 0, 0)
	check(places(4)+"x", label(DefaultMaxLine/4), 2, 0, 0, 2)
	check(places(10_000), label(7), 1, 0, 0, 1)
	check(places(10_000), label(6), 1, 1, 0, 0)
	// and than four times the name and the label.
	check("ab"+places(5), label(66), 2, 2, 0, 0)
	check("ab"+places(5), label(67), 2, 0, 0, 2)
}

// Each distribution has its own bounds, and other lines of it go on.
func TestTypedParserSkipsOnlyWhatIsTooMuch(t *testing.T) {
	labels := func(name string) string { return strings.Repeat("label x "+name+": 7\n", 256) }
	text := "statvent: 1\ndistribution d: 1\ndistribution e: 2\n" + labels("d") + "label y d: 7\n" + labels("e") + "sum d: 5\nsample d: 5\nend: 2\n"
	s := parseOne(t, text)
	d, e := s.Stats[0].Dist, s.Stats[1].Dist
	if len(d.Labels) != 256 || len(e.Labels) != 256 || s.Skipped != 1 || d.Sum != Int(5) || !slices.Equal(d.Window, ints(5)) {
		t.Errorf("%d and %d labels, skipped %d, the sum %v of %v", len(d.Labels), len(e.Labels), s.Skipped, d.Sum, d.Window)
	}
}

// Labels that are in many places of a name make little more than was sent, of one
// document and of a host.
func TestLabelsMakeNoMoreThanFourTimesTheText(t *testing.T) {
	for _, places := range []int{1, 4, 5, 20, 140, 5000} {
		for _, length := range []int{4, 12, 15, 60, 440, 2000} {
			var snapshots []*Snapshot
			sent := 0
			for source := range 2 {
				var b strings.Builder
				for d := range 3 {
					name := fmt.Sprint(d, strings.Repeat("{0}", places))
					fmt.Fprintf(&b, "distribution %s: 1\nsample %s: 1\n", name, name)
					for i := range 100 {
						fmt.Fprintf(&b, "label %0*d %s: 50\n", length, 100*source+i, name)
					}
				}
				text := document(strings.TrimSuffix(b.String(), "\n"), 3)
				snapshots = append(snapshots, parseOne(t, text))
				sent += len(text)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			total := Combine(snapshots...)
			flat := total.Flatten()
			runtime.ReadMemStats(&after)
			made := 0
			for _, stat := range flat.Stats {
				made += len(stat.Name)
			}
			allocated := int(after.TotalAlloc - before.TotalAlloc)
			if made > 4*sent || allocated > 10*sent+500*len(flat.Stats) {
				t.Errorf("%d labels of %d bytes in %d places make %d bytes of %d, and allocate %d", len(flat.Stats), length, places, made, sent, allocated)
			}
			if few := places <= 4 || length <= 12; few && (len(flat.Stats) != 600 || total.Skipped > 0) {
				t.Errorf("%d labels of %d bytes in %d places, %d are skipped", len(flat.Stats), length, places, total.Skipped)
			}
		}
	}
}

// parseDocument returns the only document of a text.
func parseDocument(t *testing.T, text string) *Document {
	t.Helper()
	var p TypedParser
	p.Write([]byte(text))
	documents, err := p.Documents()
	if err != nil || len(documents) != 1 {
		t.Fatalf("%.80q: %d documents, %v", text, len(documents), err)
	}
	return documents[0]
}

// Behind the first line of a name stands when a script changed it, and behind all
// that there is of the stat.
func TestAppendTypedTimes(t *testing.T) {
	seconds := func(s float64) time.Time { return time.UnixMicro(int64(s * 1e6)) }
	doc := &Document{
		Snapshot: &Snapshot{Stats: []Stat{
			{Name: "a", Kind: Counter, Value: Int(1)},
			{Name: "a", Kind: Gauge, Value: Int(2)},
			{Name: "b", Kind: Counter, Value: Int(3)},
			{Name: "c d", Kind: Gauge, Value: Int(4)},
			{Name: "d.{0}", Kind: Distribution, Dist: &Samples{Count: 1, Sum: Int(5), Labels: []Label{{"max", 100}}, Window: ints(5)}},
			{Name: "d.{0}", Kind: Distribution, Dist: &Samples{Sum: Float(1e100)}},
			{Name: "e", Kind: Gauge, Value: Int(6)},
			{Name: "f", Kind: Gauge, Value: Int(7)},
		}},
		Emitted: map[string]Emitted{
			"a":       {At: seconds(1.5), Expires: seconds(2)},
			"c d":     {At: seconds(1700000000.123456)},
			"d.{0}":   {At: seconds(-1.25), Expires: seconds(0.000001)},
			"e":       {Expires: seconds(3)},
			"f":       {},
			"nothing": {At: seconds(4), Expires: seconds(5)},
		},
	}
	const want = `statvent: 1
counter a: 1
emitted a: 1.5
expires a: 2.0
gauge a: 2
counter b: 3
gauge c d: 4
emitted c d: 1700000000.123456
distribution d.{0}: 1
sum d.{0}: 5
label max d.{0}: 100
sample d.{0}: 5
emitted d.{0}: -1.25
expires d.{0}: 1e-06
distribution d.{0}: 0
sum d.{0}: 1e+100
gauge e: 6
expires e: 3.0
gauge f: 7
end 19: 8
`
	if got := string(AppendTyped(nil, doc)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got := parseDocument(t, want)
	delete(doc.Emitted, "f") // which says nothing
	delete(doc.Emitted, "nothing")
	if got.Snapshot.Skipped != 0 || !maps.Equal(got.Emitted, doc.Emitted) {
		t.Errorf("read are %v, skipped %d, want %v", got.Emitted, got.Snapshot.Skipped, doc.Emitted)
	}
	if again := string(AppendTyped(nil, got)); again != want {
		t.Errorf("written again it is\n%s\nwant\n%s", again, want)
	}
}

func TestTypedTimesRoundTripToTheMicrosecond(t *testing.T) {
	check := func(at, expires int64) {
		t.Helper()
		want := Emitted{At: time.UnixMicro(at), Expires: time.UnixMicro(expires)}
		doc := &Document{Snapshot: &Snapshot{Stats: []Stat{{Name: "a", Kind: Gauge}}}, Emitted: map[string]Emitted{"a": want}}
		got := parseDocument(t, string(AppendTyped(nil, doc)))
		if got.Emitted["a"] != want || len(got.Emitted) != 1 || got.Snapshot.Skipped != 0 {
			t.Fatalf("%v is read as %v, skipped %d", want, got.Emitted, got.Snapshot.Skipped)
		}
	}
	check(0, 1)
	check(-1, 999_999)
	check(1_700_000_000_123_456, 1_700_000_000_123_457)
	check(1<<33*1_000_000-1_000_000, -1<<33*1_000_000+1_000_000)
	r := freshRand(t)
	const year2106 = 1 << 32 * 1_000_000
	for range randomRounds / 20 {
		check(r.Int64N(2*year2106)-year2106, r.Int64N(year2106))
	}
	// What is less than a microsecond goes.
	at := time.Unix(1_700_000_000, 123_456_789)
	doc := &Document{Snapshot: &Snapshot{Stats: []Stat{{Name: "a"}}}, Emitted: map[string]Emitted{"a": {At: at}}}
	if got := parseDocument(t, string(AppendTyped(nil, doc))).Emitted["a"].At; !got.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("%v is read as %v", at, got)
	}
}

func TestTypedTimes(t *testing.T) {
	f := func(lines string, stats, skipped int, want string) {
		t.Helper()
		got := parseDocument(t, document(lines, stats))
		shown := ""
		for _, name := range slices.Sorted(maps.Keys(got.Emitted)) {
			shown += name
			for _, at := range []time.Time{got.Emitted[name].At, got.Emitted[name].Expires} {
				if at.IsZero() {
					shown += " -"
				} else {
					shown += fmt.Sprintf(" %v", float64(at.UnixMicro())/1e6)
				}
			}
			shown += ", "
		}
		if shown = strings.TrimSuffix(shown, ", "); shown != want || got.Snapshot.Skipped != skipped || len(got.Snapshot.Stats) != stats {
			t.Errorf("%q: got %q, skipped %d, with %d stats, want %q, %d", lines, shown, got.Snapshot.Skipped, len(got.Snapshot.Stats), want, skipped)
		}
	}
	f("counter a: 1", 1, 0, "")
	f("counter a: 1, emitted a: 2", 1, 0, "a 2 -")
	f("counter a: 1, expires a: 3", 1, 0, "a - 3")
	f("counter a: 1, emitted a: 2, expires a: 3", 1, 0, "a 2 3")
	f("counter a: 1, expires a: 3, emitted a: 2", 1, 0, "a 2 3")
	f("counter a: 1, emitted a: 2, emitted a: 4", 1, 0, "a 4 -") // the last counts
	f("counter a: 1, emitted  a\t: 2.5\r", 1, 0, "a 2.5 -")
	f("counter a b: 1, emitted a b: 2", 1, 0, "a b 2 -")
	f("distribution d.{0}: 1, emitted d.{0}: 2, sum d.{0}: 3, sample d.{0}: 3", 1, 0, "d.{0} 2 -")
	f("counter a: 1, counter b: 2, expires b: 3, expires a: 4", 2, 0, "a - 4, b - 3")
	f("gauge a: 1, emitted a: 0", 1, 0, "a 0 -")
	f("gauge a: 1, emitted a: -2.5", 1, 0, "a -2.5 -")
	// Times that are none, or too far away.
	for _, far := range []string{"nan", "inf", "-inf", "1e300", "-1e300", "8589934592", "-8589934592", "9223372036854775807", "x", ""} {
		f("counter a: 1, emitted a: "+far, 1, 1, "")
		f("counter a: 1, emitted a: 2, expires a: "+far, 1, 1, "a 2 -")
		f("counter a: 1, expires a: "+far+", emitted a: 2", 1, 1, "a 2 -")
		f("counter a: 1, emitted a: 2, expires a: "+far+", expires a: 3", 1, 1, "a 2 3")
	}
	f("counter a: 1, emitted a: 8589934591", 1, 0, "a 8.589934591e+09 -")
	// The time of what is no stat costs no stat, and no time of those before and
	// behind it.
	f("counter a: 1, emitted a: 2, expires x: 3, expires a: 4, gauge b: 5, emitted b: 6", 2, 1, "a 2 4, b 6 -")
	f("expires x: 3, counter a: 1, emitted a: 2", 1, 1, "a 2 -")
	f("counter a: x, emitted a: 2, counter b: 1, emitted b: 3", 1, 2, "b 3 -")
	f("emitted x: 1, expires x: 1", 0, 2, "")
}

// A few lines must not become very many times.
func TestTypedTimesAreNoMoreThanStats(t *testing.T) {
	for stats := range 4 {
		var lines []string
		for i := range stats {
			lines = append(lines, fmt.Sprintf("gauge a%d: 1, emitted a%d: 2", i, i))
		}
		for i := range 1000 {
			lines = append(lines, fmt.Sprintf("emitted x%d: 3, expires y%d: 4", i, i))
		}
		got := parseDocument(t, document(strings.Join(lines, ", "), stats))
		if len(got.Emitted) != stats || got.Snapshot.Skipped != 2000 {
			t.Errorf("of %d stats: %d times, skipped %d", stats, len(got.Emitted), got.Snapshot.Skipped)
		}
		for i := range stats {
			if got := got.Emitted[fmt.Sprintf("a%d", i)]; !got.At.Equal(time.Unix(2, 0)) {
				t.Errorf("of %d stats: the time of a%d is %v", stats, i, got)
			}
		}
	}
}

// What isn't a stat is not written, so no file grows by it.
func TestTypedTimeOfNoStatIsNotWritten(t *testing.T) {
	doc := parseDocument(t, document("counter a: 1, emitted x: 1, expires x: 2", 1))
	const want = "statvent: 1\ncounter a: 1\nend 2: 1\n"
	if got := string(AppendTyped(nil, doc)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnyTimesRoundTripInAnyPieces(t *testing.T) {
	r := freshRand(t)
	var p TypedParser
	for range randomRounds / 20 {
		d := randomDocument(r)
		d.Emitted = make(map[string]Emitted)
		for _, stat := range d.Snapshot.Stats {
			if r.IntN(2) == 0 {
				d.Emitted[stat.Name] = Emitted{At: time.UnixMicro(r.Int64N(1 << 51))}
			}
			if r.IntN(3) == 0 {
				d.Emitted[stat.Name] = Emitted{At: d.Emitted[stat.Name].At, Expires: time.UnixMicro(r.Int64N(1 << 51))}
			}
		}
		text := AppendTyped(nil, d)
		for _, pieces := range []func() int{onePiece, byteByByte, randomPieces(r)} {
			if err := write(&p, text, pieces); err != nil {
				t.Fatal(err)
			}
			got, err := p.Documents()
			if err != nil || renderDocuments(got) != renderDocument(d) || !maps.Equal(got[0].Emitted, d.Emitted) {
				t.Fatalf("%q\nis read as %s\n%v, %v, want %s\n%v", text, renderDocuments(got), got[0].Emitted, err, renderDocument(d), d.Emitted)
			}
		}
	}
}
