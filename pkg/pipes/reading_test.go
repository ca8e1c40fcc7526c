//go:build linux

package pipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

func TestReadFIFOReadsWhatOnePublisherSays(t *testing.T) {
	noLeaks(t)
	check := func(said, want string) {
		t.Helper()
		dir := t.TempDir()
		ours := publish(t, PublisherOptions{Dir: dir, Name: "ours"}, renderText(said))
		paths := []string{ours.Path(), typedPath(ours)}
		if said != "" { // a plain one that says nothing is like one that said it to others
			paths = append(paths, publishPlain(t, dir, "plain", says(said)).path)
		}
		for _, path := range paths {
			snapshot, err := readFIFO(path)
			if err != nil || text(snapshot) != want {
				t.Errorf("%s says %q, which is read as %q, %v", filepath.Base(path), said, text(snapshot), err)
			}
		}
	}
	check("x: 1\n", "x: 1\n")
	check("b: 2\na: 1.5\n", "a: 1.5\nb: 2\n")
	check("", "")
	check("garbage\n", "")
	check("x: 1\ny: 2", "x: 1\n")
}

func TestReadFIFOFollowsLinks(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	path := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n")).Path()
	base := t.TempDir()
	noErr(t, os.Symlink(dir, filepath.Join(base, "dir")))
	noErr(t, os.Symlink(path, filepath.Join(base, "pipe")))
	if snapshot, err := readFIFO(filepath.Join(base, "dir", "web.stats")); err != nil || text(snapshot) != "x: 1\n" {
		t.Errorf("through a linked directory: %q, %v", text(snapshot), err)
	}
	if snapshot, err := readFIFO(filepath.Join(base, "pipe")); err != nil || text(snapshot) != "x: 1\n" {
		t.Errorf("through a link: %q, %v", text(snapshot), err)
	}
	t.Chdir(dir)
	if snapshot, err := readFIFO("web.stats"); err != nil || text(snapshot) != "x: 1\n" {
		t.Errorf("by its name alone: %q, %v", text(snapshot), err)
	}
}

func TestReadFIFOFails(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	check := func(path string, want error) {
		t.Helper()
		began := time.Now()
		if snapshot, err := readFIFO(path); !errors.Is(err, want) || snapshot != nil {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("%s: it took %v", path, took)
		}
	}
	check(filepath.Join(dir, "nothing"), fs.ErrNotExist)
	check(filepath.Join(dir, "no", "thing"), fs.ErrNotExist)
	check(writeFile(t, filepath.Join(dir, "file"), "x: 1\n"), errNotFIFO)
	check(dir, errNotFIFO)
	check("/dev/null", errNotFIFO)
	check(mksocket(t, filepath.Join(dir, "socket")), errNotFIFO)
}

func TestReadFIFOWaitsUntilItsContextIsOver(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	check := func(what, path string) {
		t.Helper()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), shortDeadline/5)
		defer cancel()
		snapshot, err := ReadFIFO(ctx, path, Limits{})
		took := time.Since(began)
		var pathError *fs.PathError
		if snapshot != nil || !errors.As(err, &pathError) {
			t.Errorf("%s: %q, %v", what, text(snapshot), err)
		}
		if what != "a pipe that another reader holds" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v isn't that of the context", what, err)
		}
		if took > patience/2 {
			t.Errorf("%s: it took %v", what, took)
		}
		if what != "a pipe that another reader holds" && took < shortDeadline/5 {
			t.Errorf("%s: it took %v only", what, took)
		}
	}
	check("a pipe without a writer", mkfifo(t, filepath.Join(dir, "silent")))
	locked := mkfifo(t, filepath.Join(dir, "locked"))
	lockFile(t, locked)
	check("a pipe that another reader holds", locked)
	check("a writer that stalls", publishPlain(t, dir, "stalled", func(w int, stopped <-chan struct{}) {
		stallInALine(w, nil, stopped)
	}).path)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if snapshot, err := ReadFIFO(ctx, filepath.Join(dir, "silent"), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %q", text(snapshot))
	}
}

// Without a deadline it waits for as long as the writer takes.
func TestReadFIFOWaitsForItsWriter(t *testing.T) {
	noLeaks(t)
	path := mkfifo(t, filepath.Join(t.TempDir(), "late"))
	type result struct {
		text string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		snapshot, err := ReadFIFO(t.Context(), path, Limits{})
		read <- result{text(snapshot), err}
	}()
	var w int
	within(t, "there is a reader", func() {
		for {
			var err error
			if w, err = unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}, func() {})
	for _, part := range []string{"x: 1\ny", ": ", "2\n"} {
		if err := writeAll(w, []byte(part)); err != nil {
			t.Error(err)
		}
		select {
		case r := <-read:
			t.Fatalf("it did not wait for the end: %q, %v", r.text, r.err)
		default:
		}
	}
	closeFD(w)
	within(t, "it returns", func() {
		if r := <-read; r.err != nil || r.text != "x: 1\ny: 2\n" {
			t.Errorf("it read %q, %v", r.text, r.err)
		}
	}, func() {})
}

// A plain publisher may leave its pipe where it is, and have nothing to say.
func TestReadFIFOOfAWriterThatSaysNothingIsEmpty(t *testing.T) {
	noLeaks(t)
	path := mkfifo(t, filepath.Join(t.TempDir(), "empty"))
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		if w, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			closeFD(w)
		}
	}()
	snapshot, err := readFIFO(path)
	if err != nil || text(snapshot) != "" || snapshot.Skipped != 0 {
		t.Errorf("it read %q, %v", text(snapshot), err)
	}
	await(t, "the writer ends", opened)
}

func TestReadFIFOKeepsToItsLimits(t *testing.T) {
	noLeaks(t)
	path := publish(t, PublisherOptions{Dir: t.TempDir()}, renderText("x: 1\nlonger: 2\n")).Path()
	good := func(limits Limits, want string, skipped int) {
		t.Helper()
		snapshot, err := ReadFIFO(t.Context(), path, limits)
		if err != nil || text(snapshot) != want || snapshot.Skipped != skipped {
			t.Errorf("%+v: %q, %v", limits, text(snapshot), err)
		}
		plain, err := readOneText(strings.NewReader("x: 1\nlonger: 2\n"), limits)
		if err != nil || text(plain) != want || plain.Skipped != skipped {
			t.Errorf("%+v: ReadText: %q, %v", limits, text(plain), err)
		}
	}
	bad := func(limits Limits) {
		t.Helper()
		if snapshot, err := ReadFIFO(t.Context(), path, limits); err == nil {
			t.Errorf("%+v: %q", limits, text(snapshot))
		}
		if snapshot, err := readOneText(strings.NewReader("x: 1\nlonger: 2\n"), limits); err == nil {
			t.Errorf("%+v: ReadText: %q", limits, text(snapshot))
		}
	}
	const size = len("x: 1\nlonger: 2\n")
	good(Limits{}, "longer: 2\nx: 1\n", 0)
	good(Limits{MaxBytes: size}, "longer: 2\nx: 1\n", 0)
	bad(Limits{MaxBytes: size - 1})
	good(Limits{MaxStats: 2}, "longer: 2\nx: 1\n", 0)
	bad(Limits{MaxStats: 1})
	good(Limits{MaxLine: 9}, "longer: 2\nx: 1\n", 0)
	good(Limits{MaxLine: 8}, "x: 1\n", 1)
	good(Limits{MaxLine: 1}, "", 2)
}

// readOneText reads a text that is one snapshot.
func readOneText(r io.Reader, limits Limits) (*format.Snapshot, error) {
	snapshots, err := ReadText(r, limits)
	if err != nil || len(snapshots) != 1 {
		return nil, cmp.Or(err, fmt.Errorf("there are %d snapshots", len(snapshots)))
	}
	return snapshots[0], nil
}

func TestReadTextReadsAnythingPlain(t *testing.T) {
	check := func(said, want string, skipped int) {
		t.Helper()
		for name, r := range map[string]func() (string, int, error){
			"at once": func() (string, int, error) {
				s, err := readOneText(strings.NewReader(said), Limits{})
				return text(s), s.Skipped, err
			},
			"byte by byte": func() (string, int, error) {
				s, err := readOneText(iotest.OneByteReader(strings.NewReader(said)), Limits{})
				return text(s), s.Skipped, err
			},
		} {
			if got, n, err := r(); got != want || n != skipped || err != nil {
				t.Errorf("%q %s is %q with %d lines skipped, %v", said, name, got, n, err)
			}
		}
	}
	check("\n", "", 1)
	check("x: 1\n", "x: 1\n", 0)
	check("x: 1\nbad\ny: 2", "x: 1\n", 2)

	broken := errors.New("broken")
	if s, err := readOneText(iotest.ErrReader(broken), Limits{}); !errors.Is(err, broken) || s != nil {
		t.Errorf("a broken reader: %q, %v", text(s), err)
	}
}

func TestReaderWhoseSnapshotWasTakenGetsTheNext(t *testing.T) {
	noLeaks(t)
	for _, pathOf := range []func(p *Publisher) string{(*Publisher).Path, typedPath} {
		n := numbered12kB()
		readBesideAThief(t, pathOf(publish(t, PublisherOptions{Dir: memoryDir(t)}, n)), n)
	}
}

func readBesideAThief(t *testing.T, path string, n *numbered) {
	t.Helper()
	stop := make(chan struct{})
	thieves := make(chan struct{})
	go func() {
		defer close(thieves)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, _ = readBlocking(path)
		}
	}()
	for range scaled(300) {
		snapshot, err := readFIFO(path)
		if err != nil {
			t.Error(err)
			break
		}
		if _, err := n.wholeSnapshot(snapshot); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	await(t, "the other reader ends", thieves)
}

// panicking is a mistake in whatever reads a text.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("oops") }

// A mistake in what reads one text costs that text alone.
func TestNoPanicLeavesAReading(t *testing.T) {
	const said = "a mistake of whoever reads it: oops"
	if s, err := ReadText(panicking{}, Limits{}); err == nil || err.Error() != said || s != nil {
		t.Errorf("a text is %v, %v", s, err)
	}
	r := newReading(openTestDir(t, t.TempDir()), "none.stats", plainText, Limits{}, time.Now().Add(patience))
	r.hopeful = func() bool { panic("oops") }
	go r.run()
	<-r.done
	if r.err == nil || r.err.Error() != said || r.answer != nil {
		t.Errorf("a reading is %v, %v", r.answer, r.err)
	}
}
