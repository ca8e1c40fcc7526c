package screen

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
)

// changes returns what is written when these texts, a line each, are drawn one after
// the other on one screen, beginning with the last change.
func changes(t *testing.T, texts ...string) string {
	t.Helper()
	const width, height = 10, 2
	shown := NewGrid(width, height)
	var written string
	for _, text := range texts {
		g := NewGrid(width, height)
		p := painter{g, true}
		for y, line := range strings.Split(text, "\n") {
			p.put(0, y, width, line, 0)
		}
		written = string(g.appendChanges(nil, shown, ""))
		shown.copyFrom(g)
	}
	return written
}

func TestOnlyWhatChangesIsWritten(t *testing.T) {
	is := func(want string, texts ...string) {
		t.Helper()
		got := changes(t, texts...)
		if want != "" {
			want = beginFrame + want + endFrame
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", texts, got, want)
		}
	}
	is("\x1b[1;1H\x1b[0mab", "ab")
	is("", "ab", "ab")
	is("\x1b[1;2H\x1b[0mx", "abc", "axc")
	is("\x1b[1;2H\x1b[0m  \x1b[2;1Hz", "abc\n", "a\nz")
	is("\x1b[1;2H\x1b[0m本\x1b[1;4Hc", "a日", "a本c") // after what may be wider elsewhere the place is said
	is("\x1b[1;2H\x1b[0mbc", "a日", "abc")
	is("\x1b[1;2H\x1b[0m日", "abc", "a日")
}

func TestTextIsCutAtItsColumns(t *testing.T) {
	put := func(text string, columns int, want string) {
		t.Helper()
		g := NewGrid(8, 1)
		p := painter{g, true}
		used := p.put(0, 0, columns, text, 0)
		var got strings.Builder
		for _, c := range g.cells {
			got.WriteString(c.text)
		}
		if strings.TrimRight(got.String(), " ") != want || used != p.widthOf(want) {
			t.Errorf("%q in %d: got %q, %d columns", text, columns, got.String(), used)
		}
	}
	put("abc", 8, "abc")
	put("abc", 2, "ab")
	put("a日本", 4, "a日") // no half of a character
	put("日本日本日本", 8, "日本日本")
	put("e\u0301a", 2, "e\u0301a") // an accent takes no column
	put("👩‍👩‍👧x", 3, "👩‍👩‍👧x")
	put("abcdefghijkl", 20, "abcdefgh")
}

func TestNamesAreCutInTheMiddle(t *testing.T) {
	cut := func(utf8 bool, text string, columns int, want string) {
		t.Helper()
		p := painter{NewGrid(20, 1), utf8}
		if got := p.cut(text, columns); got != want {
			t.Errorf("%q in %d: got %q, want %q", text, columns, got, want)
		}
	}
	cut(true, "abcdefghij", 10, "abcdefghij")
	cut(true, "abcdefghij", 7, "ab…ghij")
	cut(false, "abcdefghij", 7, "a..ghij")
	cut(true, "日本日本日本", 7, "日…日本")
	cut(true, "abc", 1, "a")
	cut(true, "abc", 0, "")
	cut(false, "größe", 9, "gr..00dfe")
}

func TestTrends(t *testing.T) {
	is := func(want string, base bool, values ...float64) {
		t.Helper()
		if got := spark(values, base, asciiLevels); got != want {
			t.Errorf("%v: got %q, want %q", values, got, want)
		}
	}
	is("", true)
	is("   ", true, nan, nan, nan)
	is("_.-=+*%#", true, 0, 1, 2, 3, 4, 5, 6, 7)
	is("_#", false, 5, 6)
	is("*#", true, 5, 6)
	is("++", false, 5, 5)
	is("__", true, 0, 0)
	is("##", true, 5, 5)
	is("_.#", true, 0, 0.001, 100) // something isn't nothing
	is("_ #", false, -1, nan, 1)
}

func TestSentencesAreCutAtTheirEnd(t *testing.T) {
	cut := func(utf8 bool, text string, columns int, want string) {
		t.Helper()
		p := painter{NewGrid(20, 1), utf8}
		if got := p.cutEnd(text, columns); got != want {
			t.Errorf("%q in %d: got %q, want %q", text, columns, got, want)
		}
	}
	cut(true, "abcdefghij", 10, "abcdefghij")
	cut(true, "abcdefghij", 7, "abcdef…")
	cut(false, "abcdefghij", 7, "abcde..")
	cut(true, "日本日本日本", 6, "日本…")
	cut(true, "abc", 1, "…")
	cut(true, "abc", 0, "")
	cut(false, "größe", 9, "gr\\u00f..")
}

// What a screen has no room for costs next to nothing, however long a name is.
func TestLongNamesAreDrawnAsFastAsOthers(t *testing.T) {
	cost := func(length int) time.Duration {
		m := watch.New(nil, time.Second)
		s := &format.Snapshot{}
		for i := range 30 {
			name := fmt.Sprintf("%02d%s", i, strings.Repeat("é", length))
			s.Stats = append(s.Stats, format.Stat{Name: name, Kind: format.Counter})
		}
		m.Take(&watch.Update{Time: start, Total: s})
		least := time.Hour
		for _, look := range []Look{plain, ascii} {
			g := NewGrid(120, 40)
			for range 10 {
				began := time.Now()
				Draw(g, m, &look)
				least = min(least, time.Since(began))
			}
		}
		return least
	}
	// The longer ones have fifty times as many bytes.
	if long, usual := cost(30_000), cost(600); long > 5*usual {
		t.Errorf("a screen of long names takes %v, of others %v", long, usual)
	}
}

// However far values are apart, or how close to nothing, each has a level.
func TestTrendsOfAnyNumbers(t *testing.T) {
	is := func(want string, base bool, values ...float64) {
		t.Helper()
		if got := spark(values, base, asciiLevels); got != want {
			t.Errorf("%v: got %q, want %q", values, got, want)
		}
	}
	is("_#", false, -math.MaxFloat64, math.MaxFloat64)
	is("_#", true, -math.MaxFloat64, math.MaxFloat64)
	is("_#", false, 0, math.SmallestNonzeroFloat64)
	is("_#", true, 0, math.SmallestNonzeroFloat64)
	is("+ +", false, 1, math.Inf(1), 1)
	is("_=#", false, -3e38, 0, 3e38)
	is("#_ ", false, math.MaxFloat64, -math.MaxFloat64, math.Inf(-1))
}

var nan = math.NaN()

func TestKeysOfATerminal(t *testing.T) {
	is := func(text string, want ...watch.Key) {
		t.Helper()
		for _, size := range []int{len(text), 1} { // at once, and byte by byte
			var in input
			var got []watch.Key
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				got = append(got, in.feed([]byte(rest[:n]))...)
				rest = rest[n:]
			}
			got = append(got, in.flush()...)
			if len(got) != len(want) {
				t.Errorf("%q: got %v, want %v", text, got, want)
				continue
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%q: got %v, want %v", text, got, want)
					break
				}
			}
		}
	}
	is("aß日", 'a', 'ß', '日')
	is("\x1b[A\x1bOB\x1b[5~\x1b[6~", watch.Up, watch.Down, watch.PageUp, watch.PageDown)
	is("\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH\x1b[7~", watch.Home, watch.End, watch.Home, watch.End, watch.Home, watch.Home)
	is("\x1b[1;5A\x1b[6;2~q", watch.Up, watch.PageDown, 'q') // with Ctrl, with Shift
	is("\r\n\t\x7f\b", watch.Enter, watch.Enter, watch.Tab, watch.Backspace, watch.Backspace)
	is("\x03\x0c\x15\x17\x1a", ctrlC, ctrlL, watch.CtrlU, watch.CtrlW, ctrlZ)
	is("\x01\x00x", 'x')
	is("\x1b[200~\x1b[?1;2c\x1b[99;99Hx", 'x') // what nobody asked for
	is("\x1bqx", watch.Escape, 'q', 'x')       // Esc, and a key in the same packet
	is("\x1b\x03", watch.Escape, ctrlC)
	is("\x1b[\x03\x1b[1\rx", ctrlC, watch.Enter, 'x') // a sequence that is broken off
	is("\x1b[1\x1b[A", watch.Up)
	is("\x1bOM", watch.Enter)
	is("\x1b[M !!q\x1b[M\r\r\rx", 'q', 'x') // a mouse of old
	is("\x1b[<0;10;20Mx\x1b[32;10;20Mx\x1b[1;1;1Mx", 'x', 'x', 'x')
	is("\x1b[1;2~\x1b[1;5H", watch.Home, watch.Home)
	is("\x1b["+strings.Repeat("1;", 100)+"Ax", 'x')
	is("\x1b["+strings.Repeat("1;", 100)+"\r\x1b[Ax", watch.Enter, watch.Up, 'x')
	is("\xff\xfex", 'x')
	is("\x1b", watch.Escape)
	is("\x1b\x1b", watch.Escape, watch.Escape)
	is("\x1b[", watch.Escape)
}

// FuzzInput reads what a terminal sends, at once and in pieces, and with a key behind it.
func FuzzInput(f *testing.F) {
	for _, text := range []string{
		"a\x1b[1;5Aß\x1b", "q\r\t\x7f", "\x1b[200~paste\x1b[201~", "\x1bOH\x1b[6;2~", "\x1b\x1b[A", "\xff\xc3", "\x1b[" + strings.Repeat("1;", 20) + "Ax", "\x1b[<0;10;10M", "\x1bq日本",
	} {
		f.Add([]byte(text), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		var in, pieces input
		keys := in.feed(bytes.Clone(text))
		if len(in.rest) > maxSequence {
			t.Errorf("%d bytes are kept", len(in.rest))
		}
		random := rand.New(rand.NewPCG(seed, 0))
		var inPieces []watch.Key
		for rest := text; len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), 8))
			inPieces = append(inPieces, pieces.feed(bytes.Clone(rest[:n]))...)
			rest = rest[n:]
		}
		if !slices.Equal(inPieces, keys) || !bytes.Equal(pieces.rest, in.rest) {
			t.Errorf("%q is %q and %q, and in pieces %q and %q", text, keys, in.rest, inPieces, pieces.rest)
		}
		for _, key := range keys {
			if key == noKey {
				t.Errorf("%q is %q", text, keys)
			}
		}
		in.flush()
		if in.waits() {
			t.Error("there is a rest after flush")
		}
		if got := in.feed([]byte("x")); !slices.Equal(got, []watch.Key{'x'}) {
			t.Errorf("x is %q after %q", got, text)
		}
	})
}
