package emit

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// patience bounds every wait for something that happens in no time unless it
// is broken.
const patience = 20 * time.Second

var errRefused = errors.New("refused")

// refused tells whether a line is one that the tests refuse.
func refused(line string) bool { return strings.HasPrefix(line, "bad") }

// events reads lines and returns what was said of them, in order: "LINE" of one
// that is good, "NUMBER: REASON" of one that is bad.
func events(r io.Reader) (said []string, good int, err error) {
	good, err = ReadLines(r, func(line string) error {
		if refused(line) {
			return errRefused
		}
		said = append(said, line)
		return nil
	}, func(number int, err error) {
		said = append(said, fmt.Sprintf("%d: %v", number, err))
	})
	return said, good, err
}

func TestReadLines(t *testing.T) {
	f := func(text string, good int, want ...string) {
		t.Helper()
		for how, r := range map[string]io.Reader{
			"at once":      strings.NewReader(text),
			"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"with its end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			said, n, err := events(r)
			if n != good || err != nil || !slices.Equal(said, want) {
				t.Errorf("%.40q %s: got %d, %v, %.200q; want %d, %.200q", text, how, n, err, said, good, want)
			}
		}
	}
	const cut = "it has no line break at its end, and may have been cut"
	tooLong := errTooLong.Error()
	x := func(n int) string { return strings.Repeat("x", n) }

	f("", 0)
	f("a: 1\n", 1, "a: 1")
	f("a: 1\nb: 2\na: 1\n", 3, "a: 1", "b: 2", "a: 1")
	f(" a\t\n", 1, " a\t") // as it is
	f("\x00\n\xff\n", 2, "\x00", "\xff")

	// Blank lines are nothing, but they have their numbers.
	f("\n", 0)
	f("\n\n \n\t\r\n", 0)
	f("\na\n\n\nbad\n \nb\n", 2, "a", "5: refused", "b")

	// What is refused costs no other line.
	f("bad\n", 0, "1: refused")
	f("a\nbad 1\nb\nbad 2\nbad 3\nc\n", 3, "a", "2: refused", "b", "4: refused", "5: refused", "c")

	f("a\r\nb\r\n\r\n", 2, "a\r", "b\r")
	f("a\rb\n", 1, "a\rb")

	f("a", 0, "1: "+cut)
	f("a\nb", 1, "a", "2: "+cut)
	f("a\nbad", 1, "a", "2: "+cut)
	f("a\r", 0, "1: "+cut)
	f("\n\na: 12", 0, "3: "+cut)

	const most = format.DefaultMaxLine
	f(x(most-1)+"\na\n", 2, x(most-1), "a")
	f(x(most)+"\na\n", 2, x(most), "a")
	f(x(most+1)+"\na\n", 1, "1: "+tooLong, "a")
	f(x(most+2)+"\na\n", 1, "1: "+tooLong, "a")
	f(x(most-1)+"\r\na\n", 2, x(most-1)+"\r", "a")
	f(x(most)+"\r\na\n", 1, "1: "+tooLong, "a")
	f("a\n"+x(5*most)+"\nb\n"+x(most)+"\n"+x(most+1)+"\nc\n", 4, "a", "2: "+tooLong, "b", x(most), "5: "+tooLong, "c")
	f(strings.Repeat(" ", most+1)+"\na\n", 1, "1: "+tooLong, "a")

	// A last line that is too long and has no line break is bad once.
	f("a\n"+x(most), 1, "a", "2: "+cut)
	f("a\n"+x(most+2), 1, "a", "2: "+tooLong)
	f("a\n"+x(3*most), 1, "a", "2: "+tooLong)
	f(x(2*(most+1)), 0, "1: "+tooLong)
	said, n, err := events(strings.NewReader("a\n" + x(most+1)))
	if want := []string{"a", "2: " + tooLong}; n != 1 || err != nil || !slices.Equal(said, want) {
		t.Errorf("a last line of one byte too many: got %d, %v, %.200q, want %q", n, err, said, want)
	}
}

func TestTooLongLineNamesTheLimit(t *testing.T) {
	if want := fmt.Sprint(format.DefaultMaxLine); !strings.Contains(errTooLong.Error(), want) {
		t.Errorf("%q does not say %s", errTooLong, want)
	}
}

// What can't be read as NAME: VALUE is bad under its number.
func TestBadLinesOfEveryKind(t *testing.T) {
	text := "a: 1\n\nno colon\nb: x\n: 1\nc: nan\nc: -inf\na: 2\nc: 3"
	want := []string{"3: ", "4: ", "5: ", "6: ", "7: ", "9: "}
	targets, has := newTargets()
	for kind, target := range targets {
		var got []string
		good, err := ReadLines(strings.NewReader(text), func(line string) error {
			return Increment.Line(target, line)
		}, func(number int, err error) {
			if err == nil {
				t.Errorf("%s: line %d is bad without a reason", kind, number)
			}
			got = append(got, fmt.Sprintf("%d: ", number))
		})
		if good != 2 || err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %d, %v, %q, want 2 and %q", kind, good, err, got, want)
		}
		if got, want := describe(has[kind]()), "counter a: 3\n"; got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}

// When reading fails, what was read before counts, and what had begun doesn't.
func TestReaderThatFails(t *testing.T) {
	errBroken := errors.New("broken")
	f := func(text string, good int, want ...string) {
		t.Helper()
		said, n, err := events(io.MultiReader(strings.NewReader(text), iotest.ErrReader(errBroken)))
		if n != good || !errors.Is(err, errBroken) || !slices.Equal(said, want) {
			t.Errorf("%.40q: got %d, %v, %.200q; want %d, %.200q", text, n, err, said, good, want)
		}
	}
	long := strings.Repeat("x", format.DefaultMaxLine)
	f("", 0)
	f("a\n", 1, "a")
	f("a\nbad\nb\n", 2, "a", "2: refused", "b")
	f("a\nb", 1, "a")
	f("a\n"+long, 1, "a")
	f("a\n"+long+"x", 1, "a")
	f("a\n"+long+long+long, 1, "a")

	empty := 0
	stuck := readerFunc(func([]byte) (int, error) {
		if empty++; empty > 10_000 {
			return 0, errBroken
		}
		return 0, nil
	})
	if _, n, err := events(io.MultiReader(strings.NewReader("a\n"), stuck)); n != 1 || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: got %d, %v", n, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Each line is given as soon as it is complete, though its writer goes on.
func TestLinesAreGivenAsTheyCome(t *testing.T) {
	r, w := io.Pipe()
	said := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		_, err := ReadLines(r, func(line string) error {
			said <- line
			return nil
		}, func(number int, _ error) {
			said <- fmt.Sprintf("%d is bad", number)
		})
		ended <- err
		close(said)
	}()
	t.Cleanup(func() { w.Close() })
	write := func(text string, want ...string) {
		t.Helper()
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(w, text)
			written <- err
		}()
		for _, line := range want {
			if got := next(t, said); got != line {
				t.Fatalf("got %.40q, want %.40q", got, line)
			}
		}
		if err := next(t, written); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n", "a")
	write("b")
	write("c")
	write("\n", "bc")
	write("d\ne\nf", "d", "e")
	write("\n\n\n", "f")
	write(strings.Repeat("x", format.DefaultMaxLine+1))
	write("\n", "8 is bad")
	write("g\n", "g")
	w.Close()
	if err := next(t, ended); err != nil {
		t.Error(err)
	}
	if line, ok := <-said; ok {
		t.Errorf("%.40q came at the end", line)
	}
}

// next waits for what a channel gives.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing comes")
		panic("not reached")
	}
}

// pieces returns a reader that gives the text in pieces of any size.
func pieces(text string, r *rand.Rand) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if text == "" {
			return 0, io.EOF
		}
		n := copy(b, text[:min(1+r.IntN(1<<r.IntN(17)), len(text))])
		text = text[n:]
		return n, nil
	})
}

// Each "#" of the text stands for a long run of letters. A line that begins with
// "bad" is refused.
func FuzzReadLines(f *testing.F) {
	f.Add("", uint32(0), uint64(0))
	f.Add("a: 1\nb: 2\r\n\n \nbad\nc: 3", uint32(0), uint64(1))
	f.Add("#\n#x\nx#\r\n##\n", uint32(format.DefaultMaxLine), uint64(2))
	f.Add("a\n#", uint32(format.DefaultMaxLine+1), uint64(3))
	f.Add("#\n\xff\x00\n\nbad#", uint32(3*format.DefaultMaxLine-1), uint64(4))
	f.Fuzz(func(t *testing.T, text string, long uint32, seed uint64) {
		long %= 3 * format.DefaultMaxLine
		text = strings.Replace(text, "#", strings.Repeat("x", int(long)), 4)

		lines := strings.SplitAfter(text, "\n")
		if last := len(lines) - 1; lines[last] == "" {
			lines = lines[:last]
		}
		var want []string
		wantGood, wantBad, blank := 0, 0, 0
		for i, line := range lines {
			content, whole := strings.CutSuffix(line, "\n")
			switch {
			case len(content) > format.DefaultMaxLine || !whole:
				want = append(want, fmt.Sprint(i+1))
				wantBad++
			case strings.TrimSpace(content) == "":
				blank++
			case refused(content):
				want = append(want, "given "+content, fmt.Sprint(i+1))
				wantBad++
			default:
				want = append(want, "given "+content)
				wantGood++
			}
		}

		var got []string
		bad := 0
		good, err := ReadLines(pieces(text, rand.New(rand.NewPCG(seed, 0))), func(line string) error {
			got = append(got, "given "+line)
			if refused(line) {
				return errRefused
			}
			return nil
		}, func(number int, err error) {
			if err == nil {
				t.Errorf("line %d is bad without a reason", number)
			}
			got = append(got, fmt.Sprint(number))
			bad++
		})
		if err != nil {
			t.Fatal(err)
		}
		if good+bad+blank != len(lines) || good != wantGood || bad != wantBad {
			t.Errorf("%d lines are good, %d bad, %d blank, of %d; want %d and %d",
				good, bad, blank, len(lines), wantGood, wantBad)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %.500q, want %.500q", got, want)
		}
	})
}
