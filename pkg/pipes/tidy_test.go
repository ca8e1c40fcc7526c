//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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

	"github.com/statvent/statvent/pkg/format"
)

// checkTally fails the test unless the source of that name is in that state and
// has counted 3, with its gauge and its samples if it is to have them.
func checkTally(t *testing.T, c *Collection, name string, state State, whole bool) {
	t.Helper()
	const n = 3
	s := find(t, c, name)
	if s.State != state || (s.Err == nil) != (state == Live || state == Ended) || s.Snapshot == nil {
		t.Errorf("%s is %s (%v) and has %v, want %s", name, s.State, s.Err, s.Snapshot, state)
		return
	}
	if got, err := countOf(s.Snapshot); got != n || err != nil {
		t.Errorf("%s has counted %d, want %d: %v", name, got, n, err)
	}
	_, hasGauge := s.Snapshot.Lookup("g")
	hasSamples := strings.Contains(text(s.Snapshot), "d.median: 2\n")
	if hasGauge != whole || hasSamples != whole {
		t.Errorf("%s said %q last; its gauge and samples are there: %v, %v, want %v", name, text(s.Snapshot), hasGauge, hasSamples, whole)
	}
}

func TestStoppedProcessCountsWithWhatItSaidLast(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, "web")
	c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StaleAfter: time.Nanosecond})
	checkTally(t, first, "web", Live, true)
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	began := time.Now()
	for range 3 {
		collection := tidied(t, c)
		checkTally(t, collection, "web", Unresponsive, true)
		checkCount(t, collection, 3)
		if at := find(t, collection, "web").At; !at.Before(began) {
			t.Errorf("what it said last is of %v", at)
		}
	}
	if len(entries(t, dir)) != 3 {
		t.Errorf("in the directory are %q", entries(t, dir))
	}
	// Killed while it is stopped, it has only what lasts.
	h.kill()
	eventually(t, "it is stale", func() bool { // it isn't waited for
		collection := tidied(t, c)
		checkCount(t, collection, 3)
		if find(t, collection, "web").State != Stale {
			return false
		}
		checkTally(t, collection, "web", Stale, false)
		return true
	})
	checkEntries(t, dir, kept()...)
	checkCount(t, tidied(t, c), 3)
}

// As in a container whose first process waits for nobody: the pid stays taken.
func TestKilledProcessThatNobodyHasWaitedFor(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, "") // its pid is its name
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	checkCount(t, tidied(t, c), 3)
	h.signal(t, syscall.SIGKILL)
	eventually(t, "it has ended", func() bool { return !processExists(h.cmd.Process.Pid) })
	collection := tidied(t, c)
	checkCount(t, collection, 3)
	if len(collection.Sources) != 1 || collection.Sources[0].State != Stale {
		t.Errorf("the sources are %s", describe(collection))
	}
	checkEntries(t, dir, kept()...)
}

func TestCountersOfAKilledProcessStay(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, "web")
	ended := startTally(t, 10, dir, "ended")
	reader := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	two := []*Collector{
		newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true}),
		newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true}),
	}
	for _, c := range append(two, reader) {
		checkTally(t, tidied(t, c), "web", Live, true)
	}
	h.kill()
	ended.end(t)
	left := entries(t, dir)
	for range 3 { // folded by none that doesn't tidy
		collection := collect(t, reader)
		checkTally(t, collection, "web", Stale, false)
		checkCount(t, collection, 13)
		if _, ok := collection.Total().Lookup("g"); ok {
			t.Error("a gauge goes on")
		}
	}
	checkEntries(t, dir, left...)
	together(t, len(two), func(i int) error { // and by two of them once
		for range 20 {
			collection, err := two[i].Collect(t.Context())
			if err != nil {
				return err
			}
			if n, err := countOf(collection.Total()); n != 13 || err != nil {
				return fmt.Errorf("counted are %d, %w:%s", n, err, describe(collection))
			}
		}
		return nil
	})
	for _, c := range two {
		tidied(t, c)
	}
	checkEntries(t, dir, kept()...)
	for _, c := range append(two, reader) {
		checkCount(t, tidied(t, c), 13)
	}
	if folded := collect(t, two[0]).Folded + collect(t, two[1]).Folded; folded != 1 { // the other did so itself
		t.Errorf("%d recorders have been folded", folded)
	}
	tallyOf(t, dir, 13)
	checkForgotten(t, append(two, reader)...)
}

// checkForgotten fails the test if a Collector remembers what is gone.
func checkForgotten(t *testing.T, collectors ...*Collector) {
	t.Helper()
	for _, c := range collectors {
		c.mu.Lock()
		if len(c.sources) > 0 {
			t.Errorf("%d sources are remembered", len(c.sources))
		}
		c.mu.Unlock()
	}
}

// Without its .live file a publisher is known by its pid, as a plain one is.
func TestProcessWithoutItsLiveFile(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, "")
	name := strconv.Itoa(h.cmd.Process.Pid)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StaleAfter: time.Nanosecond})
	checkTally(t, tidied(t, c), name, Live, true)
	for _, live := range must(filepath.Glob(filepath.Join(dir, ".*.live"))) {
		noErr(t, os.Remove(live))
	}
	checkTally(t, tidied(t, c), name, Live, true)
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	checkTally(t, tidied(t, c), name, Unresponsive, true)
	h.kill()
	for range 3 { // it might be another one's pid that is gone
		checkTally(t, tidied(t, c), name, Stale, false)
	}
	for _, s := range c.sources {
		s.missed = s.missed.Add(-unreadAfter)
	}
	eventually(t, "it is folded", func() bool {
		checkCount(t, tidied(t, c), 3)
		return len(entries(t, dir)) == len(kept())
	})
	checkEntries(t, dir, kept()...)
	checkCount(t, tidied(t, c), 3)
}

// One that this Collector never read may have been read by another.
func TestKilledProcessThatWasNeverReadIsKeptAnHour(t *testing.T) {
	dir := t.TempDir()
	startTally(t, 3, dir, "web").kill()
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	missedFor := func(d time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.sources {
			s.missed = time.Now().Add(-d)
		}
	}
	left := slices.DeleteFunc(entries(t, dir), func(name string) bool { return name == "web.stats" })
	for range 2 {
		checkState(t, tidied(t, c), "web", Stale)
	}
	checkEntries(t, dir, left...)
	missedFor(unreadAfter - time.Minute)
	checkState(t, tidied(t, c), "web", Stale)
	checkEntries(t, dir, left...)
	missedFor(unreadAfter)
	checkState(t, tidied(t, c), "web", Stale)
	tidied(t, c)
	checkEntries(t, dir)
	tidied(t, c)
	checkForgotten(t, c)
}

// Anybody may put a typed pipe under another's stem. It is a source of its own,
// and hides nothing.
func TestPlantedTypedPipeHidesNobody(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	check := func(what string, live bool, start func(t *testing.T, dir string)) {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			start(t, dir)
			pipe := mkfifo(t, filepath.Join(dir, typedName("web", someID)))
			noErr(t, os.Chown(pipe, nobody, -1))
			if live {
				file := writeFile(t, filepath.Join(dir, liveName("web", someID)), "pid: 1\n")
				noErr(t, os.Chown(file, nobody, -1))
				lockFile(t, file)
			}
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
			for range 3 {
				collection := tidied(t, c)
				if got, ok := collection.Total().Lookup("n"); !ok || got.Int64() != 3 {
					t.Errorf("the victim has %v:%s", got, describe(collection))
				}
				if len(collection.Sources) != 2 {
					t.Errorf("the sources are%s", describe(collection))
				}
			}
		})
	}
	plain := func(t *testing.T, dir string) { publishPlain(t, dir, "web", says("n: 3\n")) }
	ours := func(t *testing.T, dir string) { publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{n: 3}) }
	check("over a plain one", false, plain)
	check("over a plain one, alive", true, plain)
	check("over a publisher", false, ours)
	check("over a publisher, alive", true, ours)
}

// Nor in the moment in which the plain one has no pipe.
func TestPlantedTypedPipeHidesNobodyWithoutAPipe(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	c, p, listed, back := absentPublisher(t, "web", patience)
	pipe := mkfifo(t, filepath.Join(filepath.Dir(p.path), typedName("web", someID)))
	noErr(t, os.Chown(pipe, nobody, -1))
	file := writeFile(t, filepath.Join(filepath.Dir(p.path), liveName("web", someID)), "pid: 1\n")
	noErr(t, os.Chown(file, nobody, -1))
	go func() {
		<-listed
		close(back)
	}()
	checkLive(t, collect(t, c), "web", "x: 7\n")
}

// A plain publisher may have the stem of one that was killed.
func TestPlainPublisherAtTheStemOfAKilledProcess(t *testing.T) {
	check := func(what string, seenBefore, tidy bool) {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			h := startTally(t, 3, dir, ownStem())
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: tidy})
			want := int64(0)
			if seenBefore {
				checkCount(t, tidied(t, c), 3)
				want = 3
			}
			h.kill()
			noErr(t, os.Remove(filepath.Join(dir, ownStem()+".stats")))
			publishPlain(t, dir, ownStem(), says("other: 4\n"))
			for range 5 {
				eventually(t, "it waits for a reader", blocked)
				collection := tidied(t, c)
				if got, ok := collection.Total().Lookup("other"); !ok || got.Int64() != 4 {
					t.Errorf("the plain one has %v:%s", got, describe(collection))
				}
				checkCount(t, collection, want)
			}
		})
	}
	check("seen before", true, false)
	check("never seen", false, false)
	check("seen before, folded", true, true)
	check("never seen, kept", false, true)
}

// A plain publisher at such a stem may take its time: what the other one left
// behind doesn't speak for it, and its process lives.
func TestSlowPlainPublisherAtTheStemOfAKilledProcessLives(t *testing.T) {
	dir := t.TempDir()
	h := startTally(t, 3, dir, ownStem())
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline / 5, Tidy: true})
	h.kill()
	noErr(t, os.Remove(filepath.Join(dir, ownStem()+".stats")))
	pipe := mkfifo(t, filepath.Join(dir, ownStem()+".stats"))
	for range 2 {
		collection := tidied(t, c)
		if !slices.ContainsFunc(collection.Sources, func(s Source) bool { return s.Kind == PlainSource && s.State == Unresponsive }) {
			t.Errorf("the sources are%s", describe(collection))
		}
		if !exists(pipe) {
			t.Fatal("the pipe of a process that lives was removed")
		}
	}
}

// fakeTyped starts what looks like a publisher and answers as it is told to.
func fakeTyped(t *testing.T, dir, stem string, answer func(w int)) {
	t.Helper()
	lockFile(t, writeFile(t, filepath.Join(dir, liveName(stem, someID)), "pid: 1\n"))
	p := &plainPublisher{
		path:    mkfifo(t, filepath.Join(dir, typedName(stem, someID))),
		stopped: make(chan struct{}),
		done:    make(chan struct{}),
		answer:  answer,
	}
	p.start(t)
}

func TestPlainPipeIsReadWhereTheTypedOneIsOfAnotherVersion(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	fakeTyped(t, dir, "web", says2("statvent: 2\nnovelty x: 1000\nend: 1\n"))
	publishPlain(t, dir, "web", says("x: 7\n"))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	for range 5 {
		collection := collect(t, c)
		checkLive(t, collection, "web", "x: 7\n")
		if len(collection.Sources) != 1 {
			t.Errorf("the sources are%s", describe(collection))
		}
	}
}

func TestTornTypedSnapshotIsReadAgain(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	whole := finalOf(someID, 3)
	var readers atomic.Int32
	fakeTyped(t, dir, "web", func(w int) {
		text := whole
		if readers.Add(1)%5 != 0 {
			text = whole[:len(whole)*int(readers.Load()%5)/5]
		}
		_ = writeAll(w, []byte(text))
	})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	for range 3 {
		checkCount(t, collect(t, c), 3)
	}
	if got := readers.Load(); got < 15 {
		t.Errorf("it was read %d times", got)
	}
}

func TestTypedSourceThatIsAlwaysTornIsUnresponsive(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	whole := finalOf(someID, 3)
	fakeTyped(t, dir, "web", says2(whole[:len(whole)-1]))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	for range 2 {
		checkState(t, collect(t, c), "web", Unresponsive)
	}
}

// However many processes come and go, nothing grows.
func TestManyShortLivedPublishersLeaveTwoFiles(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	took := func() time.Duration {
		best := time.Hour
		for range 20 {
			best = min(best, tidied(t, c).Took)
		}
		return best
	}
	made := int64(0)
	run := func(n int) {
		const atOnce = 10
		together(t, atOnce, func(int) error {
			for range n / atOnce {
				p, err := Publish(PublisherOptions{Dir: dir}, &tally{n: 1})
				if err != nil {
					return err
				}
				if err := p.Close(); err != nil && !strings.Contains(err.Error(), "woken") {
					return err
				}
			}
			return nil
		})
		made += int64(n)
	}
	run(100)
	checkEntries(t, dir, kept()...)
	first := took()
	for range 10 {
		run(scaled(1000))
		checkCount(t, tidied(t, c), made)
	}
	checkEntries(t, dir, kept()...)
	if last := took(); last > 5*first+slack/10 {
		t.Errorf("a collection took %v at first, and %v after %d publishers", first, last, made)
	}
	if size := must(os.Stat(filepath.Join(dir, kept()[0]))).Size(); size > 4<<10 {
		t.Errorf("the retained file has %d bytes", size)
	}
	checkCount(t, collect(t, c), made)
	checkForgotten(t, c)
}

// Publishers come, count and go while Collectors read without a pause: no total
// falls, and none is more than what was counted.
func TestTotalsNeverFall(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	var counted atomic.Int64
	stop := make(chan struct{})
	over := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	var publishers, readers sync.WaitGroup
	for i := range 4 {
		publishers.Go(func() {
			for !over() && !t.Failed() {
				stats := new(tally)
				p, err := Publish(PublisherOptions{Dir: dir, Name: fmt.Sprintf("p%d", i%3)}, stats)
				if err != nil {
					t.Error(err)
					return
				}
				for range i * 20 {
					counted.Add(1) // before it is seen
					stats.add(1)
				}
				if err := p.Close(); err != nil && !strings.Contains(err.Error(), "woken") {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
	var collections atomic.Int32
	collectors := []*Collector{
		newCollector(t, CollectorOptions{Dir: dir, Deadline: patience}),
		newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true}),
		newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true}),
	}
	for _, c := range collectors {
		readers.Go(func() {
			for last := int64(0); !over() && !t.Failed(); collections.Add(1) {
				collection, err := c.Collect(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				high := counted.Load()
				n, err := countOf(collection.Total())
				if err != nil || n < last || n > high {
					t.Errorf("counted are %d after %d, %d at the most: %v%s", n, last, high, err, describe(collection))
				}
				if len(collection.Silent())+len(collection.Troubles) > 0 {
					t.Errorf("silent are %+v, the troubles %v", collection.Silent(), collection.Troubles)
				}
				last = n
			}
		})
	}
	eventually(t, "there are many collections", func() bool { return t.Failed() || collections.Load() > int32(scaled(10_000)) })
	close(stop)
	await(t, "the publishers end", waitDone(&publishers))
	await(t, "the readers end", waitDone(&readers))
	for _, c := range collectors {
		checkCount(t, tidied(t, c), counted.Load())
	}
	checkEntries(t, dir, kept()...)
	for _, c := range collectors {
		tidied(t, c)
	}
	checkForgotten(t, collectors...)
}

// The pipes of the dead are kept open by nobody who tidies up.
func TestTidyingLeavesAPipeThatIsAnothersByNow(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	pipe := filepath.Join(path, "web.stats")
	old := stat(t, mkfifo(t, pipe))
	held := must(unix.Open(pipe, unix.O_PATH|unix.O_CLOEXEC, 0))
	defer closeFD(held) // lest its inode number is used again
	noErr(t, os.Remove(pipe))
	mkfifo(t, pipe)
	ch := newChores()
	ch.plain["web.stats"] = old.id
	ch.unread["web.stats"] = old.id
	_, errs := ch.do(dir, nil)
	noErr(t, errors.Join(errs...))
	checkEntries(t, path, "web.stats")
}

// A source that had lost its pipe may be read as a final and folded in the same
// collection.
func TestSourceThatLostItsPipeAndEndsIsCountedOnce(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	p := publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{n: 5})
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: patience})
	checkCount(t, collect(t, c), 5)
	waits(t, p)
	noErr(t, os.Remove(p.Path()))
	noErr(t, os.Remove(typedPath(p)))
	slow := mkfifo(t, filepath.Join(path, ownStem()+".stats")) // the collection is as long as that takes
	wasRead := watchFor(t, unix.IN_CLOSE_NOWRITE, path)
	collected := make(chan *Collection, 1)
	var failed error
	go func() {
		defer close(collected)
		collection, err := c.Collect(t.Context())
		failed = err
		collected <- collection
	}()
	var w int
	within(t, "the slow pipe is read", func() { w = must(unix.Open(slow, unix.O_WRONLY|unix.O_CLOEXEC, 0)) }, func() {})
	lock, got, err := dir.lockRetained(os.Geteuid())
	if err != nil || !got {
		t.Fatal(got, err)
	}
	noErr(t, p.Close())
	eventually(t, "the final is read", func() bool { return slices.Contains(wasRead(), typedName("web", p.id)) })
	eventually(t, "that reading is over, and the slow one is not", func() bool { return goroutinesIn("pipes.(*reading).run(") == 1 })
	unlockRetained(lock)
	must(dir.fold(os.Geteuid(), nil))
	noErr(t, Retain(path, tallied(1))) // which drops its note
	noErr(t, writeAll(w, []byte("x: 1\n")))
	closeFD(w)
	noErr(t, os.Remove(slow))
	var collection *Collection
	within(t, "the collection ends", func() { collection = <-collected }, func() {})
	noErr(t, failed)
	checkCount(t, collection, 6)
	checkLive(t, collection, ownStem(), "x: 1\n")
	tallyOf(t, path, 6)
}

// What was killed is noted already, and whoever noted it was killed before it
// could remove anything: then the plain pipe goes first, or it would be read as
// that of a plain publisher.
func TestPlainPipeOfAKilledProcessGoesBeforeItsTypedOne(t *testing.T) {
	noLeaks(t)
	leave := func(stem string) (dir string) {
		dir = t.TempDir()
		mkfifo(t, filepath.Join(dir, typedName(stem, someID)))
		mkfifo(t, filepath.Join(dir, statsName(stem)))
		writeFile(t, filepath.Join(dir, liveName(stem, someID)), "pid: 1\n")
		writeFile(t, filepath.Join(dir, retainedName(os.Geteuid())),
			document(&format.Document{Folded: []string{someID}, Snapshot: tallied(3).Lasting()}))
		return dir
	}
	dir := leave("web")
	removed := watchFor(t, unix.IN_DELETE, dir)
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	if got, want := removed(), []string{statsName("web"), typedName("web", someID)}; !slices.Equal(got, want) {
		t.Errorf("%q were removed, want %q", got, want)
	}
	tallyOf(t, dir, 3)

	// It may be another program's by now, whose pid the stem is.
	dir = leave(ownStem())
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	checkEntries(t, dir, append(kept(), statsName(ownStem()), typedName(ownStem(), someID), liveName(ownStem(), someID))...)
}

// What isn't ours to remove is no trouble, and hides none.
func TestTroublesAreInTheSameOrderEachTime(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	const forbidden = "/proc/self/status" // to everybody
	ch := newChores()
	ch.plain[forbidden] = stat(t, forbidden).id
	var want []string
	for i := range 8 {
		name := strconv.Itoa(i) + ".stats"
		noErr(t, os.Mkdir(filepath.Join(path, name), 0o755)) // which can't be unlinked
		ch.plain[name] = stat(t, filepath.Join(path, name)).id
		want = append(want, filepath.Join(path, name))
	}
	doc := &format.Document{Snapshot: tallied(3).Lasting()}
	for range 8 { // which come as one error
		doc.Folded = append(doc.Folded, newID())
		name := filepath.Join(path, typedName("web", doc.Folded[len(doc.Folded)-1]))
		noErr(t, os.Mkdir(name, 0o755))
		want = append(want, name)
	}
	writeFile(t, filepath.Join(path, retainedName(os.Geteuid())), document(doc))
	ch.fold(os.Geteuid())
	slices.Sort(want)
	for range 5 {
		var got []string
		_, errs := ch.do(openTestDir(t, path), nil)
		for _, err := range errs {
			if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
				got = append(got, pathErr.Path)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("the troubles are with %q, want %q", got, want)
		}
	}
}

func TestErrorOfAnothersFileHidesNoOther(t *testing.T) {
	err, other := errors.New("a"), errors.New("b")
	forbidden := &fs.PathError{Op: "remove", Path: "x", Err: syscall.EPERM}
	check := func(all error, want ...error) {
		t.Helper()
		if got := ownErrors(all); !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", all, got, want)
		}
	}
	check(nil)
	check(err, err)
	check(forbidden)
	check(errors.Join(forbidden, err), err)
	check(errors.Join(errors.Join(err, forbidden), forbidden, other), err, other)
}
