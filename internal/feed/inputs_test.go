package feed

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// fake is an input that says what a test sends, or what it was told to say always.
type fake struct {
	name   string
	next   chan inputResult
	always *inputResult
}

func (f *fake) Name() string { return f.name }

func (f *fake) read(ctx context.Context, _ bool) (*said, error) {
	if f.always != nil {
		return f.always.said, f.always.err
	}
	select {
	case r := <-f.next:
		return r.said, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// counted is what an input says that has counted so many.
func counted(name string, n int64) *inputResult {
	s := &format.Snapshot{Stats: []format.Stat{{Name: "n", Kind: format.Counter, Value: format.Int(n)}}}
	return &inputResult{said: saidBy(name, []*format.Snapshot{s})}
}

func failed(why string) *inputResult { return &inputResult{err: errors.New(why)} }

func feedOf(t *testing.T, inputs ...Input) *Inputs {
	f := NewInputs(format.Combiner{}, inputs...)
	t.Cleanup(f.Close)
	return f
}

func next(t *testing.T, f *Inputs) *watch.Update {
	t.Helper()
	update, err := f.Next(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return update
}

func total(u *watch.Update) int64 {
	n, _ := u.Total.Lookup("n")
	return n.Int64()
}

// states are those of the sources, in one line.
func states(u *watch.Update) string {
	var said []string
	report := u.Report()
	for i, s := range u.Sources {
		if report.Sources[i].Name != s.Name || report.Sources[i].State != s.State {
			return "the report is about others"
		}
		said = append(said, s.Name+" "+string(s.State))
	}
	return strings.Join(said, ", ")
}

func TestInputsAreAddedUp(t *testing.T) {
	a, b := &fake{name: "a", always: counted("a", 40)}, &fake{name: "b", always: counted("b", 2)}
	u := next(t, feedOf(t, a, b))
	if total(u) != 42 || states(u) != "a live, b live" || u.Partial || u.Nobody || len(u.Problems) > 0 {
		t.Errorf("%d of %s, %+v", total(u), states(u), u)
	}
}

func TestInputThatFailsKeepsItsValues(t *testing.T) { synctest.Test(t, inputThatFailsKeepsItsValues) }

func inputThatFailsKeepsItsValues(t *testing.T) {
	a, b := &fake{name: "a", always: counted("a", 1)}, &fake{name: "b", always: counted("b", 10)}
	f := feedOf(t, a, b)
	if u := next(t, f); !u.Others || total(u) != 11 {
		t.Fatalf("at first: %d, others %v", total(u), u.Others)
	}
	if u := next(t, f); u.Others {
		t.Error("there are others, and nothing has changed")
	}
	a.always, b.always = counted("a", 2), failed("refused")
	time.Sleep(3 * time.Second)
	u := next(t, f)
	if total(u) != 12 || u.Others || !u.Partial || states(u) != "a live, b failed, b live" {
		t.Errorf("while one fails: %d of %s, %+v", total(u), states(u), u)
	}
	if len(u.Problems) != 1 || !strings.HasPrefix(u.Problems[0], "b: refused (its values are of 3s ago)") {
		t.Errorf("the problems are %q", u.Problems)
	}
	b.always = counted("b", 1010)
	if u := next(t, f); total(u) != 1012 || !u.Others || u.Partial || len(u.Problems) > 0 {
		t.Errorf("when it is back: %d, others %v, %q", total(u), u.Others, u.Problems)
	}
}

func TestInputThatNeverSaidAnything(t *testing.T) {
	a, b := &fake{name: "a", always: counted("a", 1)}, &fake{name: "b", always: failed("refused")}
	u := next(t, feedOf(t, a, b))
	if total(u) != 1 || states(u) != "a live, b failed" || len(u.Problems) != 1 || u.Problems[0] != "b: refused" {
		t.Errorf("%d of %s, %q", total(u), states(u), u.Problems)
	}
}

func TestAllInputsFail(t *testing.T) {
	a, b := &fake{name: "a", always: counted("a", 1)}, &fake{name: "b", always: failed("refused")}
	f := feedOf(t, a, b)
	next(t, f)
	a.always = failed("gone")
	if _, err := f.Next(t.Context(), false); err == nil || !strings.Contains(err.Error(), "a: gone (its values") || !strings.Contains(err.Error(), "; b: refused") {
		t.Errorf("the error is %v", err)
	}
}

// One that hangs is waited for once.
func TestInputThatHangs(t *testing.T) { synctest.Test(t, inputThatHangs) }

func inputThatHangs(t *testing.T) {
	a, b := &fake{name: "a", always: counted("a", 1)}, &fake{name: "b", next: make(chan inputResult)}
	f := feedOf(t, a, b)
	began := time.Now()
	u := next(t, f)
	if took := time.Since(began); took != patience {
		t.Errorf("it was waited for %v", took)
	}
	if total(u) != 1 || states(u) != "a live, b unresponsive" || len(u.Problems) != 1 || u.Problems[0] != "b: no answer yet" {
		t.Errorf("%d of %s, %q", total(u), states(u), u.Problems)
	}
	began = time.Now()
	a.always = counted("a", 2)
	if u := next(t, f); total(u) != 2 || time.Since(began) != 0 {
		t.Errorf("beside one that hangs: %d, after %v", total(u), time.Since(began))
	}
	b.next <- *counted("b", 10)
	for u = next(t, f); total(u) != 12; u = next(t, f) { // until the answer is there
		if total(u) != 2 || u.Others {
			t.Fatalf("%d, others %v", total(u), u.Others)
		}
	}
	if !u.Others || u.Partial {
		t.Errorf("when it has answered: others %v, partial %v", u.Others, u.Partial)
	}
}

func TestInputsAreCanceled(t *testing.T) {
	f := feedOf(t, &fake{name: "a", next: make(chan inputResult)})
	f.patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Next(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestNobodyAndOddities(t *testing.T) {
	if u := next(t, feedOf(t, &fake{name: "a", always: &inputResult{said: &said{}}})); !u.Nobody {
		t.Error("there is somebody")
	}
	odd := counted("a", 1)
	odd.said.snapshots[0].Skipped = 2
	gauge := &format.Snapshot{Stats: []format.Stat{{Name: "n", Kind: format.Gauge, Value: format.Int(1)}}}
	u := next(t, feedOf(t, &fake{name: "a", always: odd}, &fake{name: "b", always: &inputResult{said: saidBy("b", []*format.Snapshot{gauge})}}))
	if want := "2 lines could not be read and were skipped|n is counter here and gauge there"; strings.Join(u.Problems, "|") != want || u.Partial || u.Nobody {
		t.Errorf("the problems are %q", u.Problems)
	}
}

// typed are documents of a counter.
func typed(values ...int64) string {
	var text []byte
	for _, n := range values {
		text = format.AppendTyped(text, &format.Document{Snapshot: counted("", n).said.snapshots[0]})
	}
	return string(text)
}

func TestStreamHasOneDocumentAfterTheOther(t *testing.T) {
	r, w := io.Pipe()
	f := feedOf(t, NewStream(r))
	write := func(text string) {
		for _, piece := range []string{text[:len(text)/3], text[len(text)/3:]} {
			_, _ = io.WriteString(w, piece) // what isn't written isn't seen
		}
	}
	go write(typed(1))
	first := next(t, f)
	if total(first) != 1 || states(first) != "standard input live" {
		t.Fatalf("%d of %s", total(first), states(first))
	}
	go write(typed(2))
	if u := next(t, f); total(u) != 2 || u.Others || !u.Time.After(first.Time) {
		t.Errorf("the second is %d, others %v", total(u), u.Others)
	}
	// What is torn is said, and costs no other.
	go write(strings.Replace(typed(3), "counter", "count\ncount", 1))
	if _, err := f.Next(t.Context(), false); err == nil || !strings.Contains(err.Error(), "torn") {
		t.Errorf("the error is %v", err)
	}
	go write(typed(4))
	if u := next(t, f); total(u) != 4 {
		t.Errorf("after it: %d", total(u))
	}
	w.Close()
	if _, err := f.Next(t.Context(), false); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Whoever asks seldom sees the newest.
func TestStreamForgetsWhatIsReplaced(t *testing.T) {
	r, w := io.Pipe()
	f := feedOf(t, NewStream(r))
	for n := range int64(100) {
		if _, err := io.WriteString(w, typed(n)); err != nil {
			t.Fatal(err)
		}
	}
	// All but the last has been taken in: a pipe holds nothing.
	if u := next(t, f); total(u) < 98 {
		t.Errorf("the newest is %d", total(u))
	}
}

func TestLastDocumentComesBeforeTheEnd(t *testing.T) {
	f := feedOf(t, NewStream(strings.NewReader(typed(1, 2, 3))))
	u := next(t, f)
	for total(u) != 3 {
		u = next(t, f)
	}
	if _, err := f.Next(t.Context(), false); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Beside others, a stream that is silent is as it was.
func TestStreamBesideOthers(t *testing.T) {
	r, w := io.Pipe()
	f := feedOf(t, &fake{name: "a", always: counted("a", 1)}, NewStream(r))
	go func() { _, _ = io.WriteString(w, typed(10)) }() // what isn't written isn't seen
	if u := next(t, f); total(u) != 11 {
		t.Fatalf("at first: %d", total(u))
	}
	f.patience = 300 * time.Millisecond // for the other one, on a busy machine
	if u := next(t, f); total(u) != 11 || u.Partial || len(u.Problems) > 0 {
		t.Errorf("while it is silent: %d, %q", total(u), u.Problems)
	}
	w.Close()
	for u := next(t, f); ; u = next(t, f) {
		if total(u) != 11 {
			t.Fatalf("after its end: %d", total(u))
		}
		if u.Partial {
			break
		}
	}
}

func TestWhatIsNoStream(t *testing.T) {
	says := func(text, want string) {
		t.Helper()
		_, err := feedOf(t, NewStream(strings.NewReader(text))).Next(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
	says("", pipes.ErrEmpty.Error())
	says("a: 1\n", "not in the typed format")
	says("\n", "not in the typed format")
	says("statvent: 1\ncounter a: 1\n", "within a document")
	says("statvent: 1", "within a document")
}
