//go:build linux

package pipes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadPID returns the pid of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	for range 10 {
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if pid := cmd.Process.Pid; unix.Kill(pid, 0) == unix.ESRCH {
			return pid
		}
	}
	t.Fatal("every pid is taken again at once")
	return 0
}

// The deadline of Collectors whose sources are made to miss it, and where others are
// not to, on a busy machine either.
const (
	shortDeadline = 500 * time.Millisecond
	ampleDeadline = 4 * shortDeadline
)

// collectWithin collects, and checks that it took no longer than that.
func collectWithin(t *testing.T, c *Collector, limit time.Duration) *Collection {
	t.Helper()
	began := time.Now()
	collection := collect(t, c)
	if took := time.Since(began); took > limit {
		t.Errorf("the collection took %v, want %v at the most", took, limit)
	} else if collection.Took > took {
		t.Errorf("the collection says it took %v, which was %v", collection.Took, took)
	}
	return collection
}

// waited and notWaited are how long a collection may take that waits for its
// deadline, and one that doesn't.
const (
	waited    = shortDeadline*12/10 + slack
	notWaited = shortDeadline / 2
)

// collectAtOnce collects some times, gives each collection to check, and fails
// the test if all of them waited for somebody. On a machine with other work some may
// take as long without waiting.
func collectAtOnce(t *testing.T, c *Collector, check func(c *Collection)) {
	t.Helper()
	best := time.Hour
	for n := 0; n < 3 || n < 20 && best > notWaited; n++ {
		collection := collect(t, c)
		check(collection)
		best = min(best, collection.Took)
	}
	if best > notWaited {
		t.Errorf("the collections took %v at the best, want %v", best, notWaited)
	}
}

// goodSources starts publishers whose numbers every collection must have.
func goodSources(t *testing.T, dir string) (check func(c *Collection)) {
	t.Helper()
	for i := range 3 {
		publish(t, PublisherOptions{Dir: dir, Name: fmt.Sprintf("good-%c", 'a'+i)}, renderText(fmt.Sprintf("x: %d\n", i)))
	}
	return func(c *Collection) {
		t.Helper()
		for i := range 3 {
			checkLive(t, c, fmt.Sprintf("good-%c", 'a'+i), fmt.Sprintf("x: %d\n", i))
		}
	}
}

func TestCollectionHasAllSources(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	began := time.Now()
	own := publish(t, PublisherOptions{Dir: dir}, renderText("x: 40\nours: 1\n"))
	web := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 2\n"))
	publishPlain(t, dir, "shell", says("y: 1.5\n"))
	c := newCollector(t, CollectorOptions{Dir: dir})
	collection := collect(t, c)
	checkLive(t, collection, ownStem(), "ours: 1\nx: 40\n")
	checkLive(t, collection, "web", "x: 2\n")
	checkLive(t, collection, "shell", "y: 1.5\n")
	if got := text(collection.Total()); got != "ours: 1\nx: 42\ny: 1.5\n" {
		t.Errorf("the total is %q", got)
	}
	if len(collection.Sources) != 3 || len(collection.PassedOver) != 0 || len(collection.Silent()) != 0 {
		t.Errorf("the collection is %+v", collection)
	}
	if collection.Dir != dir || collection.Time.Before(began) || collection.Took <= 0 {
		t.Errorf("it is of %s, began %v and took %v", collection.Dir, collection.Time, collection.Took)
	}
	check := func(name, file, id string, kind SourceKind, pid int) {
		t.Helper()
		s := find(t, collection, name)
		if s.PID != pid || s.UID != os.Geteuid() || s.Path != filepath.Join(dir, file) || s.Err != nil || s.Kind != kind || s.ID != id {
			t.Errorf("source %s is %+v", name, s)
		}
		if since := kind == TypedSource; s.Since.IsZero() == since || since && time.Since(s.Since) > time.Minute {
			t.Errorf("source %s began %v", name, s.Since)
		}
		if s.At.Before(collection.Time) || s.At.After(collection.Time.Add(collection.Took)) {
			t.Errorf("source %s answered %v, the collection began %v", name, s.At, collection.Time)
		}
	}
	check(ownStem(), ours(own)[1], own.id, TypedSource, os.Getpid())
	check("web", ours(web)[1], web.id, TypedSource, os.Getpid())
	check("shell", "shell.stats", "", PlainSource, 0)
}

func TestCollectFailsWithoutADirectory(t *testing.T) {
	noLeaks(t)
	base := t.TempDir()
	check := func(dir string, want error) {
		t.Helper()
		c := newCollector(t, CollectorOptions{Dir: dir})
		collection, err := c.Collect(t.Context())
		var pathError *fs.PathError
		if collection != nil || !errors.Is(err, want) || !errors.As(err, &pathError) || pathError.Path != dir {
			t.Errorf("%s: %v, want %v", dir, err, want)
		}
	}
	check(filepath.Join(base, "nothing"), fs.ErrNotExist)
	check(writeFile(t, filepath.Join(base, "file"), ""), syscall.ENOTDIR)
	link := filepath.Join(base, "link")
	noErr(t, os.Symlink(base, link))
	check(link, ErrSymlink)
}

func TestCollectionOfAnEmptyDirectoryIsEmpty(t *testing.T) {
	noLeaks(t)
	c := newCollector(t, CollectorOptions{Dir: t.TempDir()})
	collection := collectWithin(t, c, DefaultDeadline/2)
	if len(collection.Sources) != 0 || len(collection.PassedOver) != 0 || len(collection.Total().Stats) != 0 {
		t.Errorf("the collection is %+v", collection)
	}
}

// A misbehaviour is what a source does after it has a reader, until stopped is
// closed, or release, from when on it goes on as it should.
type misbehaviour func(w int, release, stopped <-chan struct{})

func sayNothing(_ int, release, stopped <-chan struct{}) {
	select {
	case <-release:
	case <-stopped:
	}
}

func stallInALine(w int, release, stopped <-chan struct{}) {
	_ = writeAll(w, []byte("early: 1\nlate"))
	sayNothing(w, release, stopped)
	_ = writeAll(w, []byte("r: 5\n"))
}

// dribble writes a line now and then, for ever.
func dribble(w int, release, stopped <-chan struct{}) {
	for writeAll(w, []byte("drip: 0\n")) == nil {
		select {
		case <-release:
			return
		case <-stopped:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestSlowSourceCostsOthersOneDeadlineAtTheMost(t *testing.T) {
	check := func(what string, misbehave misbehaviour, wantLate func(text string) bool) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			dir := t.TempDir()
			checkGood := goodSources(t, dir)
			release := make(chan struct{})
			var readers atomic.Int32
			source := publishPlain(t, dir, ownStem(), func(w int, stopped <-chan struct{}) {
				if readers.Add(1) == 1 {
					misbehave(w, release, stopped)
					_ = writeAll(w, []byte("late: 1\n"))
					return
				}
				<-time.After(shortDeadline / 10) // somewhat slow, and waited for
				_ = writeAll(w, []byte("x: 7\n"))
			})
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: ampleDeadline, Tidy: true, StaleAfter: time.Nanosecond})

			first := collectWithin(t, c, 2*ampleDeadline)
			checkGood(first)
			checkState(t, first, ownStem(), Unresponsive)
			if first.Took < ampleDeadline {
				t.Errorf("the source was waited for %v only", first.Took)
			}
			collectAtOnce(t, c, func(next *Collection) {
				checkGood(next)
				checkState(t, next, ownStem(), Unresponsive)
			})
			if missing := collect(t, c).Silent(); len(missing) != 1 {
				t.Errorf("missing are %+v", missing)
			}

			close(release)
			if late := awaitReading(t, c, ownStem()); late.err != nil || !wantLate(text(late.answer.Snapshot)) {
				t.Errorf("what came late is %q, %v", text(late.answer.Snapshot), late.err)
			}
			eventually(t, "the source has a pipe again", func() bool { return source.again.Load() > 0 })

			// It answers again, and is asked for what it has now.
			again := collectWithin(t, c, 2*ampleDeadline)
			checkGood(again)
			checkLive(t, again, ownStem(), "x: 7\n")
		})
	}
	is := func(want string) func(string) bool { return func(got string) bool { return got == want } }
	check("it says nothing", sayNothing, is("late: 1\n"))
	check("it stalls in a line", stallInALine, is("early: 1\nlate: 1\nlater: 5\n"))
	check("it goes on for ever, slowly", dribble, func(got string) bool { return strings.HasSuffix(got, "drip: 0\nlate: 1\n") })
}

// awaitReading waits until the reading of a source that is under way has ended.
func awaitReading(t *testing.T, c *Collector, stem string) *reading {
	t.Helper()
	c.mu.Lock()
	var r *reading
	for _, s := range c.sources {
		if s.stem == stem {
			r = s.reading
		}
	}
	c.mu.Unlock()
	if r == nil {
		t.Fatalf("no reading of %s is under way", stem)
	}
	await(t, "the reading ends", r.done)
	return r
}

func TestSourceThatNobodyWritesToIsWaitedForOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	path := mkfifo(t, filepath.Join(dir, ownStem()+".stats"))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: ampleDeadline})
	first := collectWithin(t, c, 2*ampleDeadline)
	checkGood(first)
	checkState(t, first, ownStem(), Unresponsive)
	collectAtOnce(t, c, func(next *Collection) {
		checkGood(next)
		checkState(t, next, ownStem(), Unresponsive)
	})
	// Another pipe in its place is waited for.
	noErr(t, os.Remove(path))
	mkfifo(t, path)
	changed := collectWithin(t, c, 2*ampleDeadline)
	if changed.Took < ampleDeadline {
		t.Errorf("the fresh pipe was waited for %v only", changed.Took)
	}
	checkState(t, changed, ownStem(), Unresponsive)
	collectAtOnce(t, c, func(next *Collection) { checkState(t, next, ownStem(), Unresponsive) })
}

func TestSourceThatSendsTooMuchFails(t *testing.T) {
	check := func(what string, limits Limits, words string, send func(w int)) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			dir := t.TempDir()
			checkGood := goodSources(t, dir)
			source := publishPlain(t, dir, ownStem(), func(w int, _ <-chan struct{}) { send(w) })
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits})
			for i := range int32(3) {
				eventually(t, "the source has a pipe", func() bool { return source.again.Load() >= i })
				collection := collect(t, c)
				checkGood(collection)
				checkState(t, collection, ownStem(), Failed)
				if err := find(t, collection, ownStem()).Err; !strings.Contains(err.Error(), words) {
					t.Errorf("the error is %q, want %q in it", err, words)
				}
			}
		})
	}
	forever := func(text string) func(w int) {
		block := bytes.Repeat([]byte(text), 64<<10/len(text))
		return func(w int) {
			for writeAll(w, block) == nil {
			}
		}
	}
	check("lines for ever", Limits{MaxBytes: 1 << 20}, "sent more than 1MiB (max_source_bytes)", forever(strings.Repeat("x", 100)+": 1\n"))
	check("one line for ever", Limits{MaxBytes: 1 << 20}, "sent more than 1MiB (max_source_bytes)", forever("x"))
	check("empty lines for ever", Limits{MaxBytes: 1 << 20}, "sent more than 1MiB (max_source_bytes)", forever("\n"))
	check("zero bytes for ever, by default", Limits{}, "sent more than 64MiB (max_source_bytes)", forever("\x00"))
	check("stats for ever", Limits{MaxStats: 1000}, "sent more than 1000 stats (max_source_stats)", forever("x: 1\n"))
	check("one byte too many", Limits{MaxBytes: 499}, "sent more than 499 bytes (max_source_bytes)", says2(strings.Repeat("x: 1\n", 100)))
	check("one stat too many", Limits{MaxStats: 1}, "sent more than 1 stats (max_source_stats)", says2("x: 1\ny: 2\n"))
}

func says2(text string) func(w int) { return func(w int) { _ = writeAll(w, []byte(text)) } }

func TestLinesThatCannotBeReadCostNoOther(t *testing.T) {
	check := func(what string, limits Limits, send func(w int), want string, skipped int) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			dir := t.TempDir()
			checkGood := goodSources(t, dir)
			publishPlain(t, dir, ownStem(), func(w int, _ <-chan struct{}) { send(w) })
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits})
			for range 2 {
				collection := collect(t, c)
				checkGood(collection)
				checkLive(t, collection, ownStem(), want)
				if s := find(t, collection, ownStem()); s.Snapshot != nil && s.Snapshot.Skipped != skipped {
					t.Errorf("%d lines were skipped, want %d", s.Snapshot.Skipped, skipped)
				}
			}
		})
	}
	check("garbage", Limits{}, says2("a: 1\ngarbage\n\x00\xff\x1b[2J\n: : :\nb: 2\nc: 0x10\n\n\nd: 4\n"), "a: 1\nb: 2\nd: 4\n", 6)
	check("no line break at the end", Limits{}, says2("a: 1\nb: 123"), "a: 1\n", 1)
	check("nothing", Limits{}, func(int) {}, "", 0)
	check("nothing but garbage", Limits{}, says2("garbage"), "", 1)
	name := strings.Repeat("x", 30) // longer lines than those of the others
	check("as much as it may send", Limits{MaxBytes: 3400, MaxStats: 100, MaxLine: 33},
		says2(strings.Repeat(name+": 1\n", 100)), name+": 100\n", 0)
	check("a line that is too long", Limits{MaxLine: 33}, says2(name+": 1\n"+name+": 12\ny: 2\n"), name+": 1\ny: 2\n", 1)
	size := scaled(100 << 20)
	check("a line of 100 MB", Limits{MaxBytes: 200 << 20, MaxHostBytes: 400 << 20}, func(w int) {
		_ = writeAll(w, []byte("a: 1\n"))
		for block, left := bytes.Repeat([]byte("x"), 1<<20), size; left > 0; left -= len(block) {
			if writeAll(w, block) != nil {
				return
			}
		}
		_ = writeAll(w, []byte(": 2\nb: 3\n"))
	}, "a: 1\nb: 3\n", 1)
}

func TestLineOf100MBFailsByDefault(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	publishPlain(t, dir, ownStem(), func(w int, _ <-chan struct{}) {
		_ = writeAll(w, []byte("a: 1\n"))
		for block, i := bytes.Repeat([]byte("x"), 1<<20), 0; i < 100; i++ {
			if writeAll(w, block) != nil {
				return
			}
		}
	})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	collection := collect(t, c)
	checkGood(collection)
	checkState(t, collection, ownStem(), Failed)
}

func TestPlainPublisherIsInEveryCollection(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	n := newNumbered(50, 40)
	publishPlain(t, dir, ownStem(), func(w int, _ <-chan struct{}) { _ = writeAll(w, n.render(nil)) })
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	collections := scaled(500)
	answered := 0
	var last int64
	for i := range collections {
		for _, s := range collect(t, c).Sources {
			if s.State != Live {
				t.Errorf("collection %d: the source is %s: %v", i, s.State, s.Err)
				continue
			}
			serial, err := n.wholeSnapshot(s.Snapshot)
			if err != nil {
				t.Errorf("collection %d: %v", i, err)
			}
			if serial <= last {
				t.Errorf("collection %d has snapshot %d after %d", i, serial, last)
			}
			last = serial
			answered++
		}
	}
	// The first collection can't know of one whose pipe isn't there just then.
	if answered < collections-1 {
		t.Errorf("the publisher was in %d collections of %d", answered, collections)
	}
}

// absentPublisher starts a plain publisher whose pipe, after its first reader,
// is away until back is closed. It returns a Collector that has seen it once,
// and a channel in which the name of each source is sent when it is listed.
func absentPublisher(t *testing.T, stem string, deadline time.Duration) (c *Collector, p *plainPublisher, listed <-chan string, back chan<- struct{}) {
	t.Helper()
	dir := t.TempDir()
	publish(t, PublisherOptions{Dir: dir, Name: "other"}, renderText("x: 1\n"))
	absent, backChannel := make(chan struct{}, 10), make(chan struct{})
	p = newPlain(t, dir, stem, says("x: 7\n"))
	p.absent = func() {
		absent <- struct{}{}
		select {
		case <-backChannel:
		case <-p.stopped:
		}
	}
	p.start(t)
	names := make(chan string, 100)
	c = newCollector(t, CollectorOptions{Dir: dir, Deadline: deadline, Select: func(name string, _ int) bool {
		names <- name
		return true
	}})
	checkLive(t, collect(t, c), stem, "x: 7\n")
	within(t, "the pipe is away", func() { <-absent }, func() {})
	for len(names) > 0 {
		<-names
	}
	return c, p, names, backChannel
}

func TestPlainPublisherWithoutAPipeForAMomentIsWaitedFor(t *testing.T) {
	for _, stem := range []string{ownStem(), "web"} {
		t.Run(stem, func(t *testing.T) {
			noLeaks(t)
			c, _, listed, back := absentPublisher(t, stem, patience)
			go func() {
				<-listed // the other one: the listing has been made
				close(back)
			}()
			collection := collect(t, c)
			checkLive(t, collection, stem, "x: 7\n")
			checkLive(t, collection, "other", "x: 1\n")
		})
	}
}

func TestPlainPublisherThatEndedIsWaitedForOnce(t *testing.T) {
	noLeaks(t)
	c, _, _, _ := absentPublisher(t, ownStem(), shortDeadline)
	collectWithin(t, c, waited)
	collectAtOnce(t, c, func(next *Collection) {
		if len(next.Sources) != 1 {
			t.Errorf("the sources are %+v, want the other one", next.Sources)
		}
		checkLive(t, next, "other", "x: 1\n")
	})
}

func TestPlainPublisherOfADeadProcessIsNotWaitedForWithoutAPipe(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	stem := strconv.Itoa(deadPID(t))
	publish(t, PublisherOptions{Dir: dir, Name: "other"}, renderText("x: 1\n"))
	answered := make(chan struct{}, 10)
	p := newPlain(t, dir, stem, says("x: 7\n"))
	p.absent = func() {
		answered <- struct{}{}
		<-p.stopped
	}
	p.start(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	checkLive(t, collect(t, c), stem, "x: 7\n")
	within(t, "the pipe is away", func() { <-answered }, func() {})
	if collection := collectWithin(t, c, patience/10); len(collection.Sources) != 1 {
		t.Errorf("the sources are %+v, want the other one", collection.Sources)
	}
}

// A collection that was given up leaves readings that wait for a pipe to come
// back, while the next collection notes what it has listed.
func TestCollectionGivenUpWhileAPlainPublisherHasNoPipe(t *testing.T) {
	noLeaks(t)
	c, p, listed, back := absentPublisher(t, ownStem(), patience)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-listed
		eventually(t, "the absent pipe is waited for", func() bool { return runtimeHas("pipes.(*reading).nap") })
		cancel()
	}()
	if _, err := c.Collect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Collect: %v", err)
	}
	close(back)
	eventually(t, "the pipe is back", func() bool { return exists(p.path) })
	checkLive(t, collect(t, c), ownStem(), "x: 7\n")
}

// What a plain publisher said late is taken even if its pipe is just away.
func TestLateAnswerCountsWhileThePipeIsAway(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	release, absent := make(chan struct{}), make(chan struct{}, 10)
	p := newPlain(t, dir, ownStem(), func(w int, stopped <-chan struct{}) {
		sayNothing(w, release, stopped)
		_ = writeAll(w, []byte("late: 1\n"))
	})
	p.absent = func() {
		absent <- struct{}{}
		<-p.stopped
	}
	p.start(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	checkState(t, collect(t, c), ownStem(), Unresponsive)
	close(release)
	awaitReading(t, c, ownStem())
	within(t, "the pipe is away", func() { <-absent }, func() {})
	checkLive(t, collect(t, c), ownStem(), "late: 1\n")
}

func TestLateAnswerCountsWhileItsSourceStallsAgain(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	release := make(chan struct{})
	readers := 0
	p := publishPlain(t, dir, ownStem(), func(w int, stopped <-chan struct{}) {
		readers++
		sayNothing(w, release, stopped) // until one more may go on
		_ = writeAll(w, fmt.Appendf(nil, "late: %d\n", readers))
	})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	checkState(t, collect(t, c), ownStem(), Unresponsive)
	for i := range int32(2) {
		within(t, "the source goes on", func() { release <- struct{}{} }, func() {})
		awaitReading(t, c, ownStem())
		eventually(t, "it has a pipe again", func() bool { return p.again.Load() > i })
		late := collectWithin(t, c, waited)
		checkLive(t, late, ownStem(), fmt.Sprintf("late: %d\n", i+1))
		if at := find(t, late, ownStem()).At; !at.Before(late.Time) {
			t.Errorf("what came late is of %v, the collection of %v", at, late.Time)
		}
		last := fmt.Sprintf("late: %d\n", i+1)
		collectAtOnce(t, c, func(next *Collection) { checkLast(t, next, ownStem(), Unresponsive, last) })
	}
}

// A publisher that lives and has lost its pipe has not ended.
func TestPublisherWhosePipeWasDeletedIsUnresponsive(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: time.Hour}, renderText("x: 1\n"))
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StaleAfter: time.Nanosecond}
	c := newCollector(t, opts)
	checkLive(t, collect(t, c), "web", "x: 1\n")
	noErr(t, os.Remove(p.Path()))
	checkLive(t, collectWithin(t, c, patience/2), "web", "x: 1\n") // by the other pipe
	opts.Deadline = shortDeadline
	c.Change(opts)
	noErr(t, os.Remove(typedPath(p)))
	check := func(collection *Collection) {
		t.Helper()
		checkLast(t, collection, "web", Unresponsive, "x: 1\n")
		if err := find(t, collection, "web").Err; !strings.Contains(err.Error(), "deleted") {
			t.Errorf("the error is %q", err)
		}
	}
	check(collectWithin(t, c, waited))
	collectAtOnce(t, c, check)
	p.check()
	opts.Deadline = patience
	c.Change(opts)
	checkLive(t, collect(t, c), "web", "x: 1\n")
	noErr(t, p.Close())
	if collection := collect(t, c); len(collection.Sources) != 0 {
		t.Errorf("after its end the sources are %+v", collection.Sources)
	}
}

// Who has never read it says the same. The plain pipe would do, but what it says can't
// be told from what is folded when the publisher ends a moment later.
func TestPublisherWithoutTypedPipeIsNotReadAsPlain(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: time.Hour}, &tally{})
	noErr(t, os.Remove(typedPath(p)))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	for range 2 {
		s := find(t, collectWithin(t, c, waited), "web")
		if s.Kind != TypedSource || s.ID != p.id || s.State != Unresponsive || s.Snapshot != nil || !errors.Is(s.Err, errNoPipe) {
			t.Errorf("the source is %+v", s)
		}
	}
	p.check()
	c.Change(CollectorOptions{Deadline: patience})
	checkLive(t, collect(t, c), "web", "g: 5\nn: 0\n")
}

// A plain pipe whose name was that of a dead publisher may have become that of another
// one since the listing, which is none of the collection's.
func TestPlainPipeThatAPublisherHasTakenIsNotRead(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	turn := make(turn, 1)
	read := func() error {
		s := source{name: statsName("web"), stem: "web", owner: os.Geteuid()}
		r := s.newReading(dir, CollectorOptions{}, turn, time.Now().Add(patience))
		r.run()
		if len(turn) > 0 {
			t.Error("it has its turn for ever")
		}
		return r.err
	}
	plain := newPlain(t, path, "web", says("n: 5\n"))
	go plain.run()
	noErr(t, read())
	plain.stop()
	p := publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{})
	before := stat(t, p.Path())
	if err := read(); !errors.Is(err, errTaken) {
		t.Errorf("the error is %v", err)
	}
	if now := stat(t, p.Path()); now.id != before.id {
		t.Error("it was read")
	}
}

// A Publisher may take the name after the listing and before its pipe is looked at.
func TestPlainPipeThatAPublisherTakesAfterTheListingIsNotRead(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: patience})
	check := func(l *listing, want int) {
		t.Helper()
		c.serial++
		must(c.remember(dir, l))
		noErr(t, c.ask(t.Context(), dir, time.Now()))
		collection := &Collection{Time: time.Now()}
		for _, s := range c.sources {
			c.conclude(collection, dir, l, s, newChores())
		}
		if n := len(collection.Sources); n != want {
			t.Errorf("the sources are %+v", collection.Sources)
		}
	}
	plain := newPlain(t, path, "web", says("n: 5\n"))
	l := must(dir.list())
	go plain.run()
	check(l, 1)
	plain.stop()
	publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{n: 3})
	check(l, 0)
	check(must(dir.list()), 1)
}

// On a machine that is much too busy a reading may not have begun when the deadline comes.
func TestSourceThatWasNotReadInTimeIsUnresponsive(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: shortDeadline})
	publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{n: 3})
	writeFile(t, filepath.Join(path, typedName("final", someID)), finalOf(someID, 3))
	l := must(dir.list())
	must(c.remember(dir, l))
	for _, s := range c.sources {
		s.reading = newReading(dir.share(), s.name, typedText, Limits{}, time.Now())
		if s.stem == "final" {
			s.reading.pipe = stat(t, filepath.Join(path, s.name)) // so far it has come
		}
		collection := &Collection{Dir: path, Time: time.Now()}
		c.conclude(collection, dir, l, s, newChores())
		if found := find(t, collection, s.stem); found.State != Unresponsive || found.Err == nil {
			t.Errorf("%s is %s: %v", s.stem, found.State, found.Err)
		}
		dir.close() // as that reading would have
	}
}

// A plain pipe that is gone for all of a collection has no values, also where its pid is
// somebody's, and where the reading hasn't said so yet when the deadline comes.
func TestPlainPipeThatStaysAwayHasNoValues(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: shortDeadline})
	plain := newPlain(t, path, ownStem(), says("n: 5\n"))
	go plain.run()
	checkLive(t, collect(t, c), ownStem(), "n: 5\n")
	plain.stop()
	l := must(dir.list())
	c.forgetUnlisted(dir, l, must(c.remember(dir, l)))
	s := c.sources[statsName(ownStem())]
	s.reading = newReading(dir.share(), s.name, plainText, Limits{}, time.Now())
	collection := &Collection{Dir: path, Time: time.Now()}
	c.conclude(collection, dir, l, s, newChores())
	if len(collection.Sources) > 0 {
		t.Errorf("the sources are %+v", collection.Sources)
	}
	dir.close() // as that reading would have
}

// A .live file beside a plain publisher's pipe would say that it is a Publisher's, which
// counts elsewhere.
func TestPublisherThatFindsANameTakenLeavesNoTraceThere(t *testing.T) {
	dir := t.TempDir()
	mkfifo(t, filepath.Join(dir, statsName("web")))
	made := watchFor(t, unix.IN_CREATE|unix.IN_MOVED_TO, dir)
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{})
	want := []string{liveName("web-2", p.id), typedName("web-2", p.id), statsName("web-2")}
	got := slices.DeleteFunc(made(), func(name string) bool { return strings.HasPrefix(name, tmpPrefix) })
	if !slices.Equal(got, want) {
		t.Errorf("made are %q, want %q", got, want)
	}
}

func TestStoppedProcessIsUnresponsiveAndKeepsItsPipe(t *testing.T) {
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	h := startHelper(t, "publish", dir, "web")
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: ampleDeadline, Tidy: true, StaleAfter: time.Nanosecond})
	checkLive(t, collect(t, c), "web", "x: 1\n")
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	before := stat(t, filepath.Join(dir, "web.stats"))
	check := func(collection *Collection) {
		t.Helper()
		checkGood(collection)
		checkLast(t, collection, "web", Unresponsive, "x: 1\n")
		if s := find(t, collection, "web"); s.PID != h.cmd.Process.Pid {
			t.Errorf("its pid is %d, want %d", s.PID, h.cmd.Process.Pid)
		}
	}
	check(collectWithin(t, c, 2*ampleDeadline))
	collectAtOnce(t, c, check)
	if after := stat(t, filepath.Join(dir, "web.stats")); after.id != before.id {
		t.Error("its pipe is another one")
	}
	h.signal(t, syscall.SIGCONT)
	eventually(t, "it is back", func() bool {
		collection := collect(t, c)
		checkGood(collection)
		return find(t, collection, "web").State == Live
	})
	checkLive(t, collect(t, c), "web", "x: 1\n")
	h.end(t)
	if collection := collect(t, c); len(collection.Sources) != 3 {
		t.Errorf("after its end the sources are %+v", collection.Sources)
	}
}

// What it said late, and before it died, is the last that is known of it; its gauges have
// gone with it.
func TestProcessThatAnswersLateAndIsKilledIsStale(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, "web")
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	checkState(t, collectWithin(t, c, waited), "web", Unresponsive)
	h.signal(t, syscall.SIGCONT)
	awaitReading(t, c, "web")
	h.kill()
	checkLast(t, collect(t, c), "web", Stale, "n: 3\n")
}

func TestKilledProcessIsStaleAtOnceAndRemoved(t *testing.T) {
	check := func(seenBefore, remove bool) {
		t.Helper()
		dir := t.TempDir()
		checkGood := goodSources(t, dir)
		h := startHelper(t, "publish", dir, "")
		name := strconv.Itoa(h.cmd.Process.Pid)
		c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: remove})
		checkStale := func(collection *Collection) {
			t.Helper()
			if seenBefore {
				checkLast(t, collection, name, Stale, "") // it has nothing that lasts
			} else {
				checkState(t, collection, name, Stale)
			}
		}
		if seenBefore {
			checkLive(t, tidied(t, c), name, "x: 1\n")
		}
		h.kill()
		collection := collectWithin(t, c, patience/10)
		c.tidying.Wait()
		checkGood(collection)
		checkStale(collection)
		left := must(filepath.Glob(filepath.Join(dir, "*"+name+"*"))) // dot files as well
		want := 3
		if remove && seenBefore {
			want = 0
		} else if remove {
			want = 2 // another Collector may have seen it
		}
		if len(left) != want {
			t.Errorf("where stale files are removed (%v) it left %q", remove, left)
		}
		collection = collectWithin(t, c, patience/10)
		checkGood(collection)
		if want == 0 && len(collection.Sources) > 4 { // and the retained file
			t.Errorf("after the removal the sources are %+v", collection.Sources)
		}
		if want > 0 {
			checkStale(collection)
		}
	}
	check(true, true)
	check(false, true)
	check(true, false)
}

// The kernel drops the lock when the process becomes another program, which
// knows nothing of the pipe.
func TestProcessThatExecutesAnotherProgramIsStale(t *testing.T) {
	dir := t.TempDir()
	h := startHelper(t, "exec", dir)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	checkLive(t, tidied(t, c), "web", "x: 1\n")
	h.say(t, "exec")
	h.await(t, "executed")
	collection := collectWithin(t, c, patience/10)
	checkLast(t, collection, "web", Stale, "")
	c.tidying.Wait()
	checkEntries(t, dir, retainedLockName(os.Geteuid())) // it had counted nothing
	h.end(t)
}

// helpExec publishes, and becomes a shell when it is told to.
func helpExec(args []string) error {
	_, err := Publish(PublisherOptions{Dir: args[0], Name: "web"}, renderText("x: 1\n"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 100))
	return syscall.Exec("/bin/sh", []string{"sh", "-c", "echo executed; cat >/dev/null"}, os.Environ())
}

func TestPlainPipeOfADeadProcessIsRemovedAfterAWhile(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	pid := deadPID(t)
	var names []string
	for _, name := range []string{strconv.Itoa(pid), strconv.Itoa(pid) + "-2"} {
		mkfifo(t, filepath.Join(dir, name+".stats"))
		names = append(names, name)
	}
	const staleAfter = 2 * shortDeadline
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StaleAfter: staleAfter})
	began := time.Now()
	first := collectWithin(t, c, waited)
	checkGood(first)
	for _, name := range names {
		checkState(t, first, name, Unresponsive)
		if s := find(t, first, name); s.PID != pid || !strings.Contains(s.Err.Error(), strconv.Itoa(pid)) {
			t.Errorf("the source is %+v", s)
		}
	}
	best := time.Hour
	eventually(t, "the pipes are removed", func() bool {
		collection := collect(t, c)
		c.tidying.Wait()
		checkGood(collection)
		best = min(best, collection.Took)
		names = slices.DeleteFunc(names, func(name string) bool {
			gone := !exists(filepath.Join(dir, name+".stats"))
			want := Unresponsive
			if gone {
				want = Stale
			}
			checkState(t, collection, name, want)
			return gone
		})
		return len(names) == 0
	})
	if took := time.Since(began); took < staleAfter {
		t.Errorf("the pipes were removed after %v already", took)
	}
	if best > notWaited {
		t.Errorf("the collections took %v at the best, want %v", best, notWaited)
	}
	if last := collect(t, c); len(last.Sources) != 3 {
		t.Errorf("after the removal the sources are %+v", last.Sources)
	}
}

func TestPlainPipesThatStay(t *testing.T) {
	check := func(what, stem string, want State, opts CollectorOptions) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			opts.Dir, opts.Deadline, opts.StaleAfter = t.TempDir(), shortDeadline/5, time.Nanosecond
			path := mkfifo(t, filepath.Join(opts.Dir, stem+".stats"))
			c := newCollector(t, opts)
			for range 3 {
				checkState(t, tidied(t, c), stem, want)
			}
			if !exists(path) {
				t.Error("it was removed")
			}
		})
	}
	pid := strconv.Itoa(deadPID(t))
	check("nobody removes", pid, Stale, CollectorOptions{})
	check("its process lives", ownStem(), Unresponsive, CollectorOptions{Tidy: true})
	check("another user's process lives", "1", Unresponsive, CollectorOptions{Tidy: true})
	check("it has no pid", "web", Unresponsive, CollectorOptions{Tidy: true})
	check("it has a pid and more", pid+"-web", Unresponsive, CollectorOptions{Tidy: true})
}

func TestOnlyOldLitterIsRemoved(t *testing.T) {
	noLeaks(t)
	old := time.Now().Add(-2 * time.Minute)
	const kept, gone = true, false
	check := func(name string, remove, wantKept bool, plant func(path string)) {
		t.Helper()
		dir := t.TempDir()
		plant(filepath.Join(dir, name))
		c := newCollector(t, CollectorOptions{Dir: dir, Tidy: remove, Deadline: shortDeadline / 5})
		for range 2 {
			if collection := tidied(t, c); len(collection.Sources)+len(collection.PassedOver)+len(collection.Troubles) != 0 {
				t.Errorf("%s is seen: %+v", name, collection)
			}
		}
		if got := exists(filepath.Join(dir, name)); got != wantKept {
			t.Errorf("%s, where stale files are removed (%v), is there: %v", name, remove, got)
		}
	}
	file := func(path string) { writeFile(t, path, "pid: 1\n") }
	oldFile := func(path string) { file(path); noErr(t, os.Chtimes(path, old, old)) }
	oldPipe := func(path string) { mkfifo(t, path); noErr(t, os.Chtimes(path, old, old)) }
	locked := func(path string) { oldFile(path); lockFile(t, path) }
	tmp := ".tmp-" + strconv.Itoa(os.Geteuid()) + "-" + someID
	check(tmp, true, gone, oldFile)
	check(tmp, true, gone, oldPipe)
	check(tmp, true, kept, file)
	check(tmp, true, kept, func(path string) { mkfifo(t, path) })
	check(tmp, false, kept, oldFile)
	check(".tmp-x", true, kept, oldFile)
	check(".tmp-my-notes", true, kept, oldFile)
	check(".tmp-1-"+someID, true, kept, func(path string) { // not that user's
		oldFile(path)
		if os.Geteuid() == 0 {
			noErr(t, os.Chown(path, 2, -1))
			noErr(t, os.Chtimes(path, old, old))
		}
	})
	check(tmp, true, kept, func(path string) { noErr(t, os.Mkdir(path, 0o755)); noErr(t, os.Chtimes(path, old, old)) })
	check(liveName("web", someID), true, gone, file)
	check(liveName("web", someID), true, gone, oldFile)
	check(liveName("web", someID), false, kept, oldFile)
	check(liveName("web", someID), true, kept, locked)
	check(liveName("web", someID), true, kept, func(path string) { noErr(t, os.Symlink("/etc/hostname", path)) })
	check(liveName("web", someID[1:]), true, kept, oldFile)
	check(".hidden", true, kept, oldFile)
	check(".web.stats", true, kept, oldPipe)
}

// A stem that begins like a temporary file's name is no temporary file.
func TestPublisherCalledTmpIsNotLitter(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "tmp-web"}, renderText("x: 1\n"))
	live := filepath.Join(dir, liveName("tmp-web", p.id))
	old := time.Now().Add(-2 * time.Minute)
	noErr(t, os.Chtimes(live, old, old))
	c := newCollector(t, CollectorOptions{Dir: dir, Tidy: true})
	collection := tidied(t, c)
	checkLive(t, collection, "tmp-web", "x: 1\n")
	if s := find(t, collection, "tmp-web"); s.PID != os.Getpid() {
		t.Errorf("its pid is %d, want %d", s.PID, os.Getpid())
	}
	if !exists(live) {
		t.Error("the .live file of a publisher that lives was removed")
	}
}

func TestThousandsThatArePassedOverAreCounted(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	for i := range MaxPassedOver + 10 {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("%03d", i)), "")
	}
	collection := collect(t, newCollector(t, CollectorOptions{Dir: dir}))
	if n := len(collection.PassedOver); n != MaxPassedOver || collection.PassedOver[n-1].Name != fmt.Sprintf("%03d", n-1) || collection.MorePassedOver != 10 {
		t.Errorf("passed over are %d and %d more", n, collection.MorePassedOver)
	}
	// Who asks for one by name is told about it.
	all := func(string, int) bool { return true }
	if n := len(collect(t, newCollector(t, CollectorOptions{Dir: dir, Select: all})).PassedOver); n != MaxPassedOver+10 {
		t.Errorf("passed over are %d", n)
	}
}

func TestWhatIsNoPipeIsPassedOverUnopened(t *testing.T) {
	noLeaks(t)
	dir, elsewhere := t.TempDir(), t.TempDir()
	checkGood := goodSources(t, dir)
	target := mkfifo(t, filepath.Join(elsewhere, "fifo"))
	targetFile := writeFile(t, filepath.Join(elsewhere, "file"), "x: 1000\n")
	why := map[string]string{
		"11.stats": "it is a symbolic link, not a named pipe",
		"12.stats": "it is a symbolic link, not a named pipe",
		"13.stats": "it is a symbolic link, not a named pipe",
		"14.stats": "it is a symbolic link, not a named pipe",
		"15.stats": "it is a symbolic link, not a named pipe",
		"16.stats": "it is a socket, not a named pipe",
		"17.stats": "it is a directory, not a named pipe",
		"18.stats": "it is a regular file, not a named pipe",
		"README":   `its name does not end in ".stats"`,
		"fifo":     `its name does not end in ".stats"`,
		"x.stats~": `its name does not end in ".stats"`,
		"x.STATS":  `its name does not end in ".stats"`,
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	noErr(t, os.Symlink(targetFile, at("11.stats")))
	noErr(t, os.Symlink("/dev/zero", at("12.stats")))
	noErr(t, os.Symlink(target, at("13.stats")))
	noErr(t, os.Symlink("good-a.stats", at("14.stats")))
	noErr(t, os.Symlink("nowhere", at("15.stats")))
	mksocket(t, at("16.stats"))
	noErr(t, os.Mkdir(at("17.stats"), 0o755))
	writeFile(t, at("18.stats"), "x: 1000\n")
	noErr(t, os.Truncate(at("18.stats"), 1<<40))
	writeFile(t, at("README"), "x: 1000\n")
	mkfifo(t, at("fifo"))
	writeFile(t, at("x.stats~"), "x: 1000\n")
	mkfifo(t, at("x.STATS"))
	mkfifo(t, at(".hidden.stats"))
	writeFile(t, at(".retained-x.typed"), "x: 1000\n")
	if os.Geteuid() == 0 {
		for name, dev := range map[string]uint64{"21.stats": unix.Mkdev(1, 3), "22.stats": unix.Mkdev(1, 5)} {
			if err := unix.Mknod(at(name), unix.S_IFCHR|0o666, int(dev)); err == nil {
				why[name] = "it is a device, not a named pipe"
			}
		}
	}
	before := entries(t, dir)
	opened := watchFiles(t, dir, elsewhere)

	c := newCollector(t, CollectorOptions{Dir: dir, Tidy: true, StaleAfter: time.Nanosecond, Deadline: patience})
	for range 2 {
		collection := collectWithin(t, c, patience/10)
		c.tidying.Wait()
		checkGood(collection)
		if len(collection.Sources) != 3 {
			t.Errorf("the sources are %+v", collection.Sources)
		}
		if !slices.IsSortedFunc(collection.PassedOver, func(a, b PassedOver) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("%+v is not sorted", collection.PassedOver)
		}
		got := make(map[string]string)
		for _, p := range collection.PassedOver {
			got[p.Name] = p.Why
		}
		for name, want := range why {
			if got[name] != want {
				t.Errorf("%s is passed over because %q, want %q", name, got[name], want)
			}
		}
		if len(got) != len(why) {
			t.Errorf("passed over are %q", got)
		}
	}
	touched := opened()
	for _, name := range touched {
		_, passedOver := why[name]
		if passedOver || name == "file" || name == ".hidden.stats" || strings.HasPrefix(name, ".retained") {
			t.Errorf("%s was opened or removed", name)
		}
	}
	if !slices.ContainsFunc(touched, func(name string) bool { return strings.HasPrefix(name, ".good-a.") }) {
		t.Errorf("the watch saw only %q", touched)
	}
	for _, name := range before {
		if !strings.HasPrefix(name, ".good") && !exists(at(name)) {
			t.Errorf("%s was removed", name)
		}
	}
}

// What an entry is may change between the listing and the opening.
func TestEntryThatChangesAfterTheListing(t *testing.T) {
	check := func(what string, change func(path string), wantPassedOver string) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			dir := t.TempDir()
			path := mkfifo(t, filepath.Join(dir, "web.stats"))
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Select: func(string, int) bool {
				noErr(t, os.Remove(path))
				change(path)
				return true
			}})
			collection := collectWithin(t, c, patience/10)
			if len(collection.Sources) != 0 {
				t.Errorf("the sources are %+v", collection.Sources)
			}
			why := ""
			for _, p := range collection.PassedOver {
				why = p.Why
			}
			if why != wantPassedOver {
				t.Errorf("it is passed over because %q, want %q", why, wantPassedOver)
			}
		})
	}
	check("it goes", func(string) {}, "")
	check("a file comes", func(path string) { writeFile(t, path, "x: 1\n") }, "it is a regular file, not a named pipe")
	check("a link comes", func(path string) { noErr(t, os.Symlink("/dev/zero", path)) }, "it is a symbolic link, not a named pipe")
}

func TestPublisherThatClosesAfterTheListingIsNoSource(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir}, renderText("x: 1\n")) // under our pid, which lives
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Select: func(string, int) bool {
		_ = p.Close()
		return true
	}})
	if collection := collectWithin(t, c, patience/10); len(collection.Sources) != 0 {
		t.Errorf("the sources are %+v", collection.Sources)
	}
}

func TestSelectRestrictsTheSources(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	unread := newNumbered(10, 40)
	publish(t, PublisherOptions{Dir: dir, Name: "db"}, unread)
	mkfifo(t, filepath.Join(dir, "4000000.stats"))
	pids := make(map[string]int)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Select: func(name string, pid int) bool {
		pids[name] = pid
		return name == "web"
	}})
	for range 2 {
		collection := collectWithin(t, c, patience/10)
		if len(collection.Sources) != 1 {
			t.Errorf("the sources are %+v", collection.Sources)
		}
		checkLive(t, collection, "web", "x: 1\n")
	}
	if got := unread.serial.Load(); got != 0 {
		t.Errorf("one that wasn't selected was read %d times", got)
	}
	if pids["web"] != os.Getpid() || pids["db"] != os.Getpid() || pids["4000000"] != 4000000 {
		t.Errorf("the pids are %v", pids)
	}
}

func TestTwoCollectorsAtOnceBothGetWholeAnswers(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	numbers := map[string]*numbered{"a": numbered12kB(), "b": numbered300kB(), "c": newNumbered(1, 20)}
	for name, n := range numbers {
		publish(t, PublisherOptions{Dir: dir, Name: name}, n)
	}
	together(t, 2, func(int) error {
		c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience})
		defer c.Close()
		for range scaled(100) {
			collection, err := c.Collect(t.Context())
			if err != nil {
				return err
			}
			for name, n := range numbers {
				s := find(t, collection, name)
				if s.State != Live {
					return fmt.Errorf("%s is %s: %w", name, s.State, s.Err)
				}
				if _, err := n.wholeSnapshot(s.Snapshot); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	})
}

func TestOneCollectorIsUsedByManyAtOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	together(t, 4, func(int) error {
		for range scaled(50) {
			collection, err := c.Collect(t.Context())
			if err != nil {
				return err
			}
			checkGood(collection)
		}
		return nil
	})
}

func TestSilentPipeThatAnotherReaderHolds(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	checkGood := goodSources(t, dir)
	path := mkfifo(t, filepath.Join(dir, ownStem()+".stats"))
	unlock := lockFile(t, path)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StaleAfter: time.Nanosecond})
	first := collectWithin(t, c, waited)
	checkGood(first)
	checkState(t, first, ownStem(), Unresponsive)
	collectAtOnce(t, c, func(next *Collection) {
		checkGood(next)
		checkState(t, next, ownStem(), Unresponsive)
	})
	unlock()
	w := make(chan int, 1)
	go func() {
		fd, _ := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		_ = writeAll(fd, []byte("x: 1\n"))
		closeFD(fd)
		w <- fd
	}()
	eventually(t, "it answers", func() bool { return find(t, collect(t, c), ownStem()).State == Live })
	<-w
}

func TestCollectEndsWithItsContext(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	asked := make(chan struct{}, 10)
	release := make(chan struct{})
	publishPlain(t, dir, ownStem(), func(w int, stopped <-chan struct{}) {
		asked <- struct{}{}
		sayNothing(w, release, stopped)
		_ = writeAll(w, []byte("x: 1\n"))
	})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	began := time.Now()
	if _, err := c.Collect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Collect: %v, want %v", err, context.Canceled)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	// The reading goes on, and what it brings is taken.
	close(release)
	checkLive(t, func() *Collection { awaitReading(t, c, ownStem()); return collect(t, c) }(), ownStem(), "x: 1\n")

	if _, err := c.Collect(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Collect with a context that is over: %v", err)
	}
}

func TestCloseEndsReadingsUnderWay(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	for i := range 5 {
		mkfifo(t, filepath.Join(dir, fmt.Sprintf("silent-%d.stats", i)))
		lockFile(t, mkfifo(t, filepath.Join(dir, fmt.Sprintf("locked-%d.stats", i))))
		publishPlain(t, dir, fmt.Sprintf("stalled-%d", i), func(w int, stopped <-chan struct{}) {
			stallInALine(w, nil, stopped)
		})
	}
	publishPlain(t, dir, "endless", func(w int, stopped <-chan struct{}) { dribble(w, nil, stopped) })
	c := NewCollector(CollectorOptions{Dir: dir, Deadline: shortDeadline / 2})
	collection := collect(t, c)
	for _, s := range collection.Sources {
		checkState(t, collection, s.Name, Unresponsive)
	}
	if len(collection.Sources) != 16 {
		t.Errorf("there are %d sources", len(collection.Sources))
	}
	c.mu.Lock()
	var underWay []*reading
	for _, s := range c.sources {
		if s.reading != nil {
			underWay = append(underWay, s.reading)
		}
	}
	c.mu.Unlock()
	if len(underWay) < 11 { // those of the locked pipes have given up
		t.Errorf("%d readings are under way", len(underWay))
	}
	c.Close()
	c.Close()
	for _, r := range underWay {
		await(t, "the reading ends", r.done)
	}
}

func TestCollectorForgetsWhatIsGone(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	path := mkfifo(t, filepath.Join(dir, "silent.stats"))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline / 5})
	checkState(t, collect(t, c), "silent", Unresponsive)
	noErr(t, os.Remove(path))
	if collection := collect(t, c); len(collection.Sources) != 0 {
		t.Errorf("the sources are %+v", collection.Sources)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sources) != 0 {
		t.Errorf("%d sources are remembered", len(c.sources))
	}
}

func TestManySourcesAreCollectedWhileOthersReadThem(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const readers = 3
	publishers := scaled(200)
	for i := range publishers {
		publish(t, PublisherOptions{Dir: dir, Name: fmt.Sprintf("p%03d", i)}, renderText("x: 1\n"))
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for r := range readers {
		others.Go(func() {
			for i := r; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = readFIFO(filepath.Join(dir, fmt.Sprintf("p%03d.stats", i%publishers)))
			}
		})
	}
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	for range scaled(10) {
		collection := collect(t, c)
		if got, want := text(collection.Total()), fmt.Sprintf("x: %d\n", publishers); got != want {
			t.Errorf("the total is %q, want %q; missing are %+v", got, want, collection.Silent())
		}
	}
	close(stop)
	await(t, "the other readers end", waitDone(&others))
}

func TestPipeWithoutTheRightToReadItFails(t *testing.T) {
	dir := worldDir(t)
	if os.Geteuid() == 0 {
		runHelper(t, "without-rights", "collect", dir)
		return
	}
	if err := checkUnreadable(dir); err != nil {
		t.Error(err)
	}
}

func TestPublishWithoutTheRightToWriteFails(t *testing.T) {
	dir := worldDir(t)
	noErr(t, os.Chmod(dir, 0o555))
	if os.Geteuid() == 0 {
		runHelper(t, "without-rights", "publish", dir)
	} else if err := checkUnwritable(dir); err != nil {
		t.Error(err)
	}
	checkEntries(t, dir)
}

// The publisher needs its pipe as well, to write to it and to end.
func TestModeThatShutsOutItsOwner(t *testing.T) {
	dir := worldDir(t)
	if os.Geteuid() == 0 {
		runHelper(t, "without-rights", "modes", dir)
	} else if err := checkModesWithoutOwner(dir); err != nil {
		t.Error(err)
	}
	checkEntries(t, dir)
}

func checkModesWithoutOwner(dir string) error {
	for _, mode := range []fs.FileMode{0o044, 0o200, 0o400} {
		p, err := Publish(PublisherOptions{Dir: dir, Name: "web", Mode: mode}, renderText("x: 1\n"))
		if err != nil {
			continue // it may well refuse
		}
		for began := time.Now(); mode&0o200 != 0 && !blocked() && time.Since(began) < patience; {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		err = p.Close()
		if took := time.Since(began); err != nil || took > patience/2 {
			return fmt.Errorf("with mode %#o Close took %v: %w", mode, took, err)
		}
		select {
		case <-p.stats.done:
		case <-time.After(patience):
			return fmt.Errorf("with mode %#o the publisher's goroutine does not end", mode)
		}
	}
	return nil
}

func checkUnwritable(dir string) error {
	for _, dir := range []string{dir, filepath.Join(dir, "new")} {
		p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
		var pathError *fs.PathError
		if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &pathError) {
			return fmt.Errorf("Publish in %s: %v, %w", dir, p, err)
		}
	}
	return nil
}

// helpWithoutRights does it as somebody who has no right to everything.
func helpWithoutRights(args []string) error {
	if err := dropRights(); err != nil {
		return err
	}
	switch args[0] {
	case "publish":
		return checkUnwritable(args[1])
	case "fold":
		return checkFoldsOwnOnly(args[1])
	case "modes":
		return checkModesWithoutOwner(args[1])
	default:
		return checkUnreadable(args[1])
	}
}

func checkUnreadable(dir string) error {
	good, err := Publish(PublisherOptions{Dir: dir, Name: "good"}, renderText("x: 1\n"))
	if err != nil {
		return err
	}
	defer good.Close()
	secret := filepath.Join(dir, "secret.stats")
	if err := unix.Mkfifo(secret, 0o200); err != nil {
		return err
	}
	c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StaleAfter: time.Nanosecond})
	defer c.Close()
	for range 2 {
		collection, err := c.Collect(context.Background())
		if err != nil {
			return err
		}
		if len(collection.Sources) != 2 || text(collection.Total()) != "x: 1\n" || collection.Took > patience/10 {
			return fmt.Errorf("the collection took %v and has %+v", collection.Took, collection.Sources)
		}
		for _, s := range collection.Sources {
			if s.Name == "secret" && (s.State != Failed || !errors.Is(s.Err, fs.ErrPermission)) {
				return fmt.Errorf("the secret source is %s: %w", s.State, s.Err)
			}
		}
		if _, err := readFIFO(secret); !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("ReadFIFO of the secret source: %w", err)
		}
	}
	return nil
}

func TestStalePipesOfOthersStay(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	mkfifo(t, filepath.Join(dir, "web.stats"))
	writeFile(t, filepath.Join(dir, liveName("web", someID)), "pid: 1\n")
	mkfifo(t, filepath.Join(dir, typedName("db", someID)))
	writeFile(t, filepath.Join(dir, liveName("db", someID)), "pid: 1\n")
	mkfifo(t, filepath.Join(dir, strconv.Itoa(deadPID(t))+".stats"))
	before := entries(t, dir)
	runHelper(t, "nothing-removed", dir)
	checkEntries(t, dir, before...)
}

// helpNothingRemoved collects as somebody who may not remove what is stale.
func helpNothingRemoved(args []string) error {
	if err := dropRights(); err != nil {
		return err
	}
	c := NewCollector(CollectorOptions{Dir: args[0], Deadline: shortDeadline, Tidy: true, StaleAfter: time.Nanosecond})
	defer c.Close()
	for round := range 2 {
		collection, err := c.Collect(context.Background())
		if err != nil {
			return err
		}
		c.tidying.Wait()
		if len(collection.Sources) != 3 || len(collection.Troubles) > 0 {
			return fmt.Errorf("the sources are %+v, the troubles %w", collection.Sources, errors.Join(collection.Troubles...))
		}
		for _, s := range collection.Sources {
			if s.State != Stale || s.Err == nil {
				return fmt.Errorf("in collection %d source %s is %s: %w", round, s.Name, s.State, s.Err)
			}
		}
	}
	// Nor does a newcomer take the name.
	p, err := Publish(PublisherOptions{Dir: args[0], Name: "web"}, renderText("x: 1\n"))
	if err != nil {
		return err
	}
	if got := filepath.Base(p.Path()); got != "web-2.stats" {
		return fmt.Errorf("the newcomer is called %s", got)
	}
	return p.Close()
}
