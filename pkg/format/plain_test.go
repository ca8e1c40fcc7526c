package format

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/plain/*.expected")

// render returns all that a parsed snapshot says, as the .expected files have
// it: names that came several times are there several times.
func render(s *Snapshot) string {
	b := fmt.Appendf(nil, "skipped %d\n", s.Skipped)
	for _, stat := range s.Stats {
		b = appendLine(b, stat.Name, stat.Value)
	}
	return string(b)
}

// write writes text in pieces of the sizes that next returns.
func write(p io.Writer, text []byte, next func() int) error {
	for len(text) > 0 {
		n := min(next(), len(text))
		if _, err := p.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

func onePiece() int      { return 1 << 30 }
func byteByByte() int    { return 1 }
func threeBytes() int    { return 3 }
func thousand() int      { return 1000 }
func fourKilobytes() int { return 1 << 12 }
func growing() func() int {
	n := 0
	return func() int { n++; return n * n * n }
}

// randomPieces returns sizes of which many are 0 to 3.
func randomPieces(r *rand.Rand) func() int {
	return func() int { return r.IntN(1 << r.IntN(9)) }
}

// The cases are the files of testdata/plain: CASE.input is what a pipe gave,
// CASE.expected how many lines of it were skipped and what was read.
func TestPlainCases(t *testing.T) {
	inputs, _ := filepath.Glob("testdata/plain/*.input")
	expected, _ := filepath.Glob("testdata/plain/*.expected")
	if len(inputs) < 20 || len(inputs) != len(expected) && !*update {
		t.Fatalf("%d .input and %d .expected files", len(inputs), len(expected))
	}
	r := freshRand(t)
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".input"), func(t *testing.T) {
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			read := func(pieces func() int) *Snapshot {
				var p PlainParser
				if err := write(&p, text, pieces); err != nil {
					t.Fatal(err)
				}
				return p.Snapshot()
			}
			whole := read(onePiece)
			expectedFile := strings.TrimSuffix(input, ".input") + ".expected"
			if *update {
				if err := os.WriteFile(expectedFile, []byte(render(whole)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expectedFile)
			if err != nil {
				t.Fatal(err)
			}
			if got := render(whole); got != string(want) {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
			if got := render(read(byteByByte)); got != string(want) {
				t.Errorf("byte by byte: got\n%q\nwant\n%q", got, want)
			}
			if got := render(read(randomPieces(r))); got != string(want) {
				t.Errorf("in random pieces: got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func TestAppendPlain(t *testing.T) {
	f := func(want string, stats ...Stat) {
		t.Helper()
		if got := string(AppendPlain([]byte("before\n"), &Snapshot{Stats: stats, Skipped: 5})); got != "before\n"+want {
			t.Errorf("got %q, want %q after what was there", got, want)
		}
	}
	f("")
	f("a.b.c.d: 42\n", Stat{Name: "a.b.c.d", Kind: Counter, Value: Int(42)})
	f("My Nice Stat: 123.45\n", Stat{Name: "My Nice Stat", Kind: Gauge, Value: Float(123.45)})
	f("another[one]: 0\n", Stat{Name: "another[one]"})
	f("a: 1.0\nb: -2\nc: inf\n", Stat{Name: "a", Value: Float(1)}, Stat{Name: "b", Value: Int(-2)}, Stat{Name: "c", Value: Float(inf)})
	f("a: 3\nb: 0\n", Stat{Name: "a", Value: Int(1)}, Stat{Name: "a", Value: Int(2)}, Stat{Name: "b"})
	f(": 1\n", Stat{Name: "", Value: Int(1)})
	f("\xff\x00: 1\n", Stat{Name: "\xff\x00", Value: Int(1)})
	// A distribution's lines stand where their names sort.
	f("l.100th: 3\nl.95th: 2\nl.99th: 2\nl.a: 7\nl.mean: 2.0\nl.median: 1\nz: 0\n",
		Stat{Name: "l.a", Value: Int(7)}, distribution("l.{0}", ints(3, 2, 1)...), Stat{Name: "z"})
	f("a: 1\n", Stat{Name: "a", Value: Int(1)}, distribution("l.{0}")) // nothing recorded yet
}

func TestPlainParserNeedsNoStart(t *testing.T) {
	var p PlainParser
	if s := p.Snapshot(); len(s.Stats) != 0 || s.Skipped != 0 {
		t.Errorf("got %+v", s)
	}
	if n, err := p.Write(nil); n != 0 || err != nil {
		t.Errorf("Write(nil) = %d, %v", n, err)
	}
	if s := p.Snapshot(); len(s.Stats) != 0 || s.Skipped != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestPlainParserStatsAreUntyped(t *testing.T) {
	s := snapshotOf(t, "a: 1, b: 2.5")
	want := []Stat{{Name: "a", Kind: Untyped, Value: Int(1)}, {Name: "b", Kind: Untyped, Value: Float(2.5)}}
	if len(s.Stats) != 2 || s.Stats[0] != want[0] || s.Stats[1] != want[1] {
		t.Errorf("got %+v, want %+v", s.Stats, want)
	}
}

func TestPlainParserWritesAll(t *testing.T) {
	var p PlainParser
	f := func(text string) {
		t.Helper()
		if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("Write(%q) = %d, %v", text, n, err)
		}
	}
	f("a: 1\nb: 2\n")
	f("c")
	f("")
	f(": ")
	f("3\nd: 4\ne")
	f("\n")
	f("bad\n\n\n")
	f(strings.Repeat("x", DefaultMaxLine+1))
	f("still that line")
	f("\nf: 6\n")
	if got, want := render(p.Snapshot()), "skipped 5\na: 1\nb: 2\nc: 3\nd: 4\nf: 6\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainParserKeepsNothingOfCallersBuffer(t *testing.T) {
	var p PlainParser
	buf := make([]byte, 8)
	for _, piece := range []string{"aa: 1\nbb", "bb: 2\ncc", "cccccccc", ": 3\ndd: ", "4\n"} {
		n := copy(buf, piece)
		if _, err := p.Write(buf[:n]); err != nil {
			t.Fatal(err)
		}
		for i := range buf {
			buf[i] = '#'
		}
	}
	if got, want := render(p.Snapshot()), "skipped 0\naa: 1\nbbbb: 2\ncccccccccc: 3\ndd: 4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainParserIsReadyForAnotherText(t *testing.T) {
	p := PlainParser{MaxLine: 10, MaxStats: 2}
	f := func(text, want string) {
		t.Helper()
		if _, err := p.Write([]byte(text)); err != nil {
			t.Errorf("Write(%q): %v", text, err)
		}
		if got := render(p.Snapshot()); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("a: 1\nb: 2\n", "skipped 0\na: 1\nb: 2\n")
	f("c: 3\nbad\n", "skipped 1\nc: 3\n")
	f("cut: 1", "skipped 1\n")
	f("d: 4\n", "skipped 0\nd: 4\n") // not "cut: 1d: 4"
	f("far too long to be kept", "skipped 1\n")
	f("e: 5\n", "skipped 0\ne: 5\n")
	f("", "skipped 0\n")

	if _, err := p.Write([]byte("a: 1\nb: 2\nc: 3\n")); !errors.Is(err, ErrTooManyStats) {
		t.Errorf("got error %v", err)
	}
	if got, want := render(p.Snapshot()), "skipped 0\na: 1\nb: 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f("f: 6\n", "skipped 0\nf: 6\n")
}

func TestPlainParserSnapshotIsNotTouchedByNextText(t *testing.T) {
	var p PlainParser
	p.Write([]byte("a: 1\nb"))
	p.Write([]byte(": 2\n"))
	first := p.Snapshot()
	p.Write([]byte("c: 3\nd"))
	p.Write([]byte(": 4\n"))
	p.Snapshot()
	if got, want := render(first), "skipped 0\na: 1\nb: 2\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainParserSkipsLineBeyondMaxLine(t *testing.T) {
	// line returns a line of n bytes, its line break not counted.
	line := func(n int) string { return strings.Repeat("x", n-len(": 1")) + ": 1" }
	r := freshRand(t)
	f := func(maxLine, n int, kept bool) {
		t.Helper()
		text := []byte("a: 1\n" + line(n) + "\nb: 2\n" + line(n) + "\nc: 3\n")
		want := "skipped 2\na: 1\nb: 2\nc: 3\n"
		if kept {
			want = "skipped 0\na: 1\nb: 2\nc: 3\n" + line(n) + "\n" + line(n) + "\n"
		}
		for i, pieces := range []func() int{
			onePiece, byteByByte, threeBytes, thousand, fourKilobytes, growing(), randomPieces(r),
		} {
			p := PlainParser{MaxLine: maxLine}
			if err := write(&p, text, pieces); err != nil {
				t.Fatal(err)
			}
			if got := render(p.Snapshot()); got != want {
				t.Errorf("line of %d bytes, at most %d, pieces %d: got %d bytes %.60q, want %d bytes %.60q",
					n, maxLine, i, len(got), got, len(want), want)
			}
		}
	}
	f(10, 9, true)
	f(10, 10, true)
	f(10, 11, false)
	f(10, 1000, false)
	f(4, 4, true)
	f(4, 5, false)
	f(4096, 4096, true)
	f(4096, 4097, false)
	f(0, DefaultMaxLine, true)
	f(0, DefaultMaxLine+1, false)
	f(0, 3*DefaultMaxLine, false)
	f(2*DefaultMaxLine, 2*DefaultMaxLine, true)
	f(2*DefaultMaxLine, 2*DefaultMaxLine+1, false)
}

func TestPlainParserCountsCutLineOnce(t *testing.T) {
	f := func(text string, want string) {
		t.Helper()
		for _, pieces := range []func() int{onePiece, byteByByte, threeBytes} {
			p := PlainParser{MaxLine: 8}
			if err := write(&p, []byte(text), pieces); err != nil {
				t.Fatal(err)
			}
			if got := render(p.Snapshot()); got != want {
				t.Errorf("%q: got %q, want %q", text, got, want)
			}
		}
	}
	f("a: 1\nx: 123", "skipped 1\na: 1\n")
	f("a: 1\nx", "skipped 1\na: 1\n")
	f("a: 1\n ", "skipped 1\na: 1\n")
	f("a: 1\n", "skipped 0\na: 1\n")
	f("a: 1\nbad", "skipped 1\na: 1\n")
	f("a: 1\nlonger than eight", "skipped 1\na: 1\n")
	f("longer than eight", "skipped 1\n")
	f("longer than eight\nanother: 12345678", "skipped 2\n")
}

func TestPlainParserTooManyStats(t *testing.T) {
	f := func(maxStats int, text string, want error) {
		t.Helper()
		for _, pieces := range []func() int{onePiece, byteByByte, threeBytes} {
			p := PlainParser{MaxStats: maxStats}
			if err := write(&p, []byte(text), pieces); !errors.Is(err, want) {
				t.Errorf("at most %d, %.40q: got error %v, want %v", maxStats, text, err, want)
			}
			if n := len(p.Snapshot().Stats); want != nil && n != maxStats {
				t.Errorf("at most %d, %.40q: %d stats are kept", maxStats, text, n)
			}
		}
	}
	f(1, "a: 1\n", nil)
	f(1, "a: 1\nb: 2\n", ErrTooManyStats)
	f(2, "a: 1\nb: 2\n", nil)
	f(2, "a: 1\nb: 2\nc: 3\n", ErrTooManyStats)
	f(2, "a: 1\na: 1\na: 1\n", ErrTooManyStats) // one name, but three stats
	f(2, "a: 1\nb: 2\nc: 3", nil)               // cut, so none
	f(2, "a: 1\nbad\nworse\n\nb: 2\nbad\n", nil)
}

func TestPlainParserDefaultMaxStats(t *testing.T) {
	text := bytes.Repeat([]byte("a: 1\n"), DefaultMaxStats)
	var p PlainParser
	if _, err := p.Write(text); err != nil {
		t.Errorf("%d stats: %v", DefaultMaxStats, err)
	}
	if _, err := p.Write([]byte("bad\n")); err != nil {
		t.Errorf("a bad line after %d stats: %v", DefaultMaxStats, err)
	}
	if n, err := p.Write([]byte("a: 1\n")); !errors.Is(err, ErrTooManyStats) || n == 5 {
		t.Errorf("%d stats: Write = %d, %v", DefaultMaxStats+1, n, err)
	}
	if s := p.Snapshot(); len(s.Stats) != DefaultMaxStats || s.Skipped != 1 {
		t.Errorf("got %d stats, skipped %d", len(s.Stats), s.Skipped)
	}
}

// The stat that is one too many could be read well: it isn't skipped, whatever
// pieces it came in.
func TestPlainParserTooManyStatsInPiecesSkipsNothing(t *testing.T) {
	for i, pieces := range []func() int{onePiece, byteByByte, threeBytes} {
		p := PlainParser{MaxStats: 1}
		if err := write(&p, []byte("a: 1\nb: 2\n"), pieces); !errors.Is(err, ErrTooManyStats) {
			t.Errorf("pieces %d: got error %v", i, err)
		}
		if got, want := render(p.Snapshot()), "skipped 0\na: 1\n"; got != want {
			t.Errorf("pieces %d: got %q, want %q", i, got, want)
		}
	}
}

func TestAnyPiecesOfAnyTextGiveTheSame(t *testing.T) {
	parts := []string{
		"a", "name with blanks", ":", ": ", "::", " ", "\t", "\r", "\r\n", "\n", "\n\n", ": 1\n", ": 2.5\r\n", ":-3 \n",
		"0", "-", "12345678901234567890", "1e999", "nan", "inf", "0x1", "\xff", "\x00", "é", "x: 1\ny: 2\n", strings.Repeat("long ", 8),
	}
	r := freshRand(t)
	for range randomRounds / 4 {
		var text []byte
		for range r.IntN(30) {
			text = append(text, parts[r.IntN(len(parts))]...)
		}
		maxLine := r.IntN(60)
		read := func(pieces func() int) *Snapshot {
			p := PlainParser{MaxLine: maxLine}
			if err := write(&p, text, pieces); err != nil {
				t.Fatal(err)
			}
			return p.Snapshot()
		}
		whole := read(onePiece)
		if got, want := render(read(byteByByte)), render(whole); got != want {
			t.Fatalf("%q, byte by byte, lines of at most %d: got %q, want %q", text, maxLine, got, want)
		}
		if got, want := render(read(randomPieces(r))), render(whole); got != want {
			t.Fatalf("%q, in pieces, lines of at most %d: got %q, want %q", text, maxLine, got, want)
		}
		if got, want := len(whole.Stats)+whole.Skipped, countLines(text); got != want {
			t.Fatalf("%q: %d stats and %d skipped, but %d lines", text, len(whole.Stats), whole.Skipped, want)
		}
	}
}

// countLines counts a last line without line break as well.
func countLines(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

func TestAnyStatsRoundTrip(t *testing.T) {
	r := freshRand(t)
	for range 500 {
		s := &Snapshot{}
		for range r.IntN(30) {
			name := make([]byte, r.IntN(10))
			for i := range name {
				name[i] = byte(r.Uint32())
			}
			s.Stats = append(s.Stats, Stat{Name: CleanName(string(name)), Value: randomValue(r)})
		}
		s.Sort()
		s = s.Flatten() // each name once
		var p PlainParser
		if err := write(&p, AppendPlain(nil, s), randomPieces(r)); err != nil {
			t.Fatal(err)
		}
		got := p.Snapshot()
		if got.Skipped != 0 || len(got.Stats) != len(s.Stats) {
			t.Fatalf("%q is read as %q", render(s), render(got))
		}
		for i, stat := range got.Stats {
			if stat.Name != s.Stats[i].Name || !sameValue(stat.Value, s.Stats[i].Value) {
				t.Fatalf("%+v is read as %+v", s.Stats[i], stat)
			}
		}
	}
}

// shuffled returns the snapshot with other values, and some of its names at other
// places.
func shuffled(s *Snapshot, seed uint64) *Snapshot {
	random := rand.New(rand.NewPCG(seed, 1))
	other := &Snapshot{Stats: slices.Clone(s.Stats)}
	for i := range other.Stats {
		other.Stats[i].Value = Int(random.Int64())
		if random.IntN(4) == 0 {
			j := random.IntN(len(other.Stats))
			other.Stats[i].Name, other.Stats[j].Name = other.Stats[j].Name, other.Stats[i].Name
		}
		if random.IntN(8) == 0 {
			other.Stats[i].Kind = Counter
		}
	}
	return other
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte(""), uint8(0), uint64(0))
	f.Add([]byte("a.b.c.d: 42\nMy Nice Stat: 123.45\nanother[one]: 0\n"), uint8(0), uint64(1))
	f.Add([]byte("a: b: 1\r\n\n:\n: 2\nbad\nx: 123"), uint8(6), uint64(2))
	f.Add([]byte("\xff\x00:nan\nb:1e999\nb: -0.0\n c\t:\v12345678901234567890 \n"), uint8(20), uint64(3))
	f.Fuzz(func(t *testing.T, text []byte, maxLine uint8, seed uint64) {
		whole := PlainParser{MaxLine: int(maxLine)}
		if _, err := whole.Write(text); err != nil {
			return // ErrTooManyStats: hundreds of kilobytes
		}
		s := whole.Snapshot()
		if got, want := len(s.Stats)+s.Skipped, countLines(text); got != want {
			t.Errorf("%d stats and %d skipped, but %d lines", len(s.Stats), s.Skipped, want)
		}

		pieces := PlainParser{MaxLine: int(maxLine)}
		if err := write(&pieces, text, randomPieces(rand.New(rand.NewPCG(seed, 0)))); err != nil {
			t.Fatal(err)
		}
		if got, want := render(pieces.Snapshot()), render(s); got != want {
			t.Errorf("in pieces: got %q, want %q", got, want)
		}

		// Whatever the snapshot is like, it makes no difference, and what is read
		// isn't part of the text.
		for _, like := range []*Snapshot{s, shuffled(s, seed)} {
			liked := PlainParser{MaxLine: int(maxLine), Like: like}
			buf := bytes.Clone(text)
			_, err := liked.Write(buf)
			clear(buf)
			if got, want := render(liked.Snapshot()), render(s); got != want || err != nil {
				t.Errorf("like an earlier one: got %q, %v, want %q", got, err, want)
			}
		}

		plain := AppendPlain(nil, s)
		again := PlainParser{MaxLine: 2*len(plain) + 1} // "a:1e15" is longer when it is written
		if _, err := again.Write(plain); err != nil {
			t.Fatal(err)
		}
		s.Skipped = 0
		if got, want := render(again.Snapshot()), render(s.Flatten()); got != want {
			t.Errorf("written and read again: got %q, want %q", got, want)
		}
	})
}

func TestParseLine(t *testing.T) {
	// A PlainParser must read the same in the line.
	check := func(line string, want ...Stat) {
		t.Helper()
		var p PlainParser
		if err := write(&p, []byte(line+"\n"), onePiece); err != nil {
			t.Fatal(err)
		}
		if stats := p.Snapshot().Stats; len(stats) != len(want) ||
			len(want) > 0 && (stats[0].Name != want[0].Name || !sameValue(stats[0].Value, want[0].Value)) {
			t.Errorf("%q: a PlainParser reads %+v, want %+v", line, stats, want)
		}
	}
	good := func(line, name string, v Value) {
		t.Helper()
		gotName, got, err := ParseLine(line)
		if err != nil || gotName != name || !sameValue(got, v) {
			t.Errorf("%q: got %q, %s, %v, want %q, %s", line, gotName, got, err, name, v)
		}
		check(line, Stat{Name: name, Value: v})
	}
	bad := func(line, reason string) {
		t.Helper()
		if name, v, err := ParseLine(line); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: got %q, %s, %v, want an error that says %q", line, name, v, err, reason)
		}
		check(line)
	}
	good("a: 1", "a", Int(1))
	good("a.b.c.d: 42", "a.b.c.d", Int(42))
	good("My Nice Stat: 123.45", "My Nice Stat", Float(123.45))
	good("a:1", "a", Int(1))
	good("a: -1", "a", Int(-1))
	good("a: +1", "a", Int(1))
	good("a: 1.0", "a", Float(1))
	good("a: 1e3", "a", Float(1000))
	good("a: 9007199254740993", "a", Int(9007199254740993))
	good("a: 9223372036854775808", "a", Float(9223372036854775808))
	good("a: inf", "a", Float(inf))
	good("a: -Infinity", "a", Float(-inf))
	good("a: 1e999", "a", Float(inf))
	good("a: nan", "a", Float(math.NaN()))
	good(" \ta b\t :\v 1 \r", "a b", Int(1))
	good("a: b:: 1", "a: b:", Int(1))
	good("a\rb: 1", "a\rb", Int(1))
	good(": 1", "", Int(1))
	good(" : 1", "", Int(1))
	good("\xff\x00: 1", "\xff\x00", Int(1))
	good("a\u00a0: 1", "a\u00a0", Int(1)) // no blank of the format

	bad("", "no colon")
	bad(" ", "no colon")
	bad("a", "no colon")
	bad("a 1", `"a 1"`)
	bad("a\x1b[2J", `\x1b`)
	bad(":", "not a number")
	bad("a:", "not a number")
	bad("a: ", "not a number")
	bad("a: b", `"b"`)
	bad("a: 1 2", "not a number")
	bad("a: 1,5", "not a number")
	bad("a: 0x1", "not a number")
	bad("a: 1_000", "not a number")
	bad("a: 1\u00a0", "not a number")
	bad("a: 1:", "not a number")
}
