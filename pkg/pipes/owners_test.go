//go:build linux

package pipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// stranger is a user beside root and nobody.
const stranger = 1

// checkLeftOut fails the test unless so many sources of each user are left out:
// "0: 2" are two of root's.
func checkLeftOut(t *testing.T, c *Collection, want ...string) {
	t.Helper()
	var got []string
	for _, l := range c.LeftOut {
		got = append(got, fmt.Sprintf("%d: %d", l.UID, l.Sources))
	}
	if !slices.Equal(got, want) {
		t.Errorf("left out are %q, want %q", got, want)
	}
}

// give makes the file another user's.
func give(t *testing.T, path string, uid int) {
	t.Helper()
	noErr(t, os.Lchown(path, uid, -1))
}

// writeRetained makes the retained file of a user whose tally was n.
func writeRetained(t *testing.T, dir string, uid int, n int64) {
	t.Helper()
	text := document(&format.Document{Snapshot: tallied(n).Lasting()})
	give(t, writeFile(t, filepath.Join(dir, retainedName(uid)), text), uid)
}

// Nothing but what belongs to the owners counts, and of the rest no pipe, no final
// and no retained file is so much as opened.
func TestOnlyTheOwnersCount(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	startTally(t, 3, dir, "mine")
	startTally(t, 4, dir, "theirs", "nobody")
	for uid, n := range map[int]int64{0: 100, nobody: 200, stranger: 400} {
		writeRetained(t, dir, uid, n)
	}
	writeFile(t, filepath.Join(dir, typedName("ended", someID)), finalOf(someID, 1000))
	give(t, mkfifo(t, filepath.Join(dir, statsName("plain"))), stranger)

	opened := watchFiles(t, dir)
	is := func(want int64, leftOut []string, users ...int) {
		t.Helper()
		opts := CollectorOptions{Dir: dir, Deadline: patience, Owners: users}
		if slices.Contains(users, stranger) {
			opts.Deadline = DefaultDeadline // for the one that doesn't answer
		}
		opened()
		collection := collect(t, newCollector(t, opts))
		checkCount(t, collection, want)
		checkLeftOut(t, collection, leftOut...)
		for _, name := range opened() {
			info, err := statPath(filepath.Join(dir, name))
			if err == nil && !strings.HasSuffix(name, liveSuffix) && !owners(users).have(info.uid) {
				t.Errorf("with %v, %s of %d was opened", users, name, info.uid)
			}
		}
	}
	is(204, []string{"0: 3", "1: 2"}, nobody)
	is(1103, []string{"1: 2", "65534: 2"}, 0)
	is(1307, []string{"1: 2"}, 0, nobody)
	is(400, []string{"0: 3", "65534: 2"}, stranger)
	is(0, []string{"0: 3", "1: 2", "65534: 2"}, 4242)
	is(1707, nil, 0, stranger, nobody)
	is(1707, nil, 0, nobody, stranger, 4242)
}

// What counts is counted once and for good while others come, end and are killed
// beside it, and what those leave is left to somebody else.
func TestOthersEndBesideTheOwners(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	dir := worldDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: t.TempDir(), Owners: []int{nobody}})
	count := func(want int64) *Collection {
		t.Helper()
		tidied(t, c)
		collection := tidied(t, c)
		checkCount(t, collection, want)
		return collection
	}
	startTally(t, 1, dir, "stays", "nobody")
	killed := startTally(t, 2, dir, "killed", "nobody")
	ended := startTally(t, 4, dir, "ended", "nobody")
	rootsKilled := startTally(t, 1000, dir, "roots-killed")
	rootsEnded := startTally(t, 2000, dir, "roots-ended")
	give(t, mkfifo(t, filepath.Join(dir, statsName("99999999"))), stranger) // there is no such process
	checkLeftOut(t, count(7), "0: 2", "1: 1")

	rootsEnded.end(t) // which folds it
	checkLeftOut(t, count(7), "0: 2", "1: 1")
	killed.kill()
	checkLeftOut(t, count(7), "0: 2", "1: 1")
	rootsKilled.kill() // and stays as it is
	checkLeftOut(t, count(7), "0: 2", "1: 1")
	ended.end(t)
	count(7)
	for _, name := range []string{"99999999.stats", "roots-killed.stats", "stays.stats", retainedName(0), retainedName(nobody)} {
		if !exists(filepath.Join(dir, name)) {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range []string{"killed.stats", "ended.stats"} {
		if exists(filepath.Join(dir, name)) {
			t.Errorf("there is a %s", name)
		}
	}
}

// Programs of both users come, count, end and are killed: of those that count, what
// is counted never falls and is right at the end.
func TestOwnersTotalNeverFallsAmongOthers(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	dir := worldDir(t)
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: t.TempDir(), Owners: []int{nobody}}
	c := newCollector(t, opts)
	stop, looked := make(chan struct{}), make(chan error, 1)
	go func() {
		var last int64
		for {
			select {
			case <-stop:
				looked <- nil
				return
			default:
			}
			collection, err := c.Collect(context.Background())
			if err != nil {
				looked <- err
				return
			}
			n, err := countOf(collection.Total())
			if err != nil || n < last || n >= 1000 {
				looked <- fmt.Errorf("after %d came %d, %w:%s", last, n, err, describe(collection))
				return
			}
			last = n
		}
	}()
	var want int64
	for round := range scaled(50) {
		theirs := startTally(t, 2, dir, fmt.Sprint("theirs-", round), "nobody")
		stats := new(tally)
		stats.add(100_000)
		p, err := Publish(PublisherOptions{Dir: dir, Name: fmt.Sprint("mine-", round)}, stats)
		noErr(t, err)
		want += 2
		if round%2 == 0 {
			checkCount(t, collect(t, c), want) // and so it is seen
			theirs.kill()
			noErr(t, p.Close())
		} else {
			noErr(t, p.Close())
			theirs.end(t)
		}
	}
	close(stop)
	noErr(t, <-looked)
	checkCount(t, tidied(t, c), want)
	opts.Owners = nil
	c.Change(opts)
	checkCount(t, tidied(t, c), want+int64(scaled(50))*100_000)
}

// The owner is that of the pipe that is opened, not only of the one that stood
// there before.
func TestPipeThatChangesItsOwnerWhileItIsOpened(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	path := worldDir(t)
	fifo := mkfifo(t, filepath.Join(path, statsName("x")))
	final := writeFile(t, filepath.Join(path, typedName("x", someID)), finalOf(someID, 1))
	reading := func(name string, format textFormat) *reading {
		r := newReading(openTestDir(t, path), name, format, Limits{}, time.Now().Add(patience))
		r.owners = owners{nobody}
		return r
	}
	refuses := func(what string, err error) {
		t.Helper()
		if others := new(OwnerError); !errors.As(err, &others) || others.UID != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
	give(t, fifo, nobody)
	before := stat(t, fifo)
	give(t, fifo, 0)
	_, err := reading(statsName("x"), plainText).open(before)
	refuses("a pipe, after it was opened", err)
	_, err = reading(statsName("x"), plainText).readOnce()
	refuses("a pipe, before", err)
	_, err = reading(typedName("x", someID), typedText).readOnce()
	refuses("a final", err)
	give(t, final, nobody)
	if doc, err := reading(typedName("x", someID), typedText).readOnce(); err != nil || len(doc.Snapshot.Stats) == 0 {
		t.Errorf("a final that is the owner's: %v, %v", doc, err)
	}
}

// Who takes the place of a source that counted has neither its numbers nor its name.
func TestSourceWhosePlaceAnotherUserTakes(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, Owners: []int{nobody}})
	h := startTally(t, 3, dir, "web", "nobody")
	checkCount(t, tidied(t, c), 3)
	source := find(t, collect(t, c), "web")
	noErr(t, os.Remove(source.Path))
	noErr(t, os.Remove(filepath.Join(dir, statsName("web"))))
	writeFile(t, source.Path, finalOf(source.ID, 1000))
	h.kill()
	checkCount(t, tidied(t, c), 0) // its own counters have gone with its pipe
	checkLeftOut(t, tidied(t, c), "0: 1")
	if !exists(source.Path) {
		t.Error("what belongs to another was removed")
	}
}

// A plain pipe and a typed one of one stem and of two users are two sources if but
// one of them counts.
func TestTypedPipeThatIsLeftOutHidesNoPlainOne(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	h := startTally(t, 3, dir, "web")
	noErr(t, os.Remove(filepath.Join(dir, statsName("web"))))
	p := newPlain(t, dir, "web", says("n: 5\n"))
	give(t, p.path, nobody)
	p.start(t)
	checkLive(t, collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Owners: []int{nobody}})), "web", "n: 5\n")
	h.kill()
}

// Who is asked for by name and is left out is no stranger to the one who asks.
func TestSelectedSourceThatIsLeftOut(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	startTally(t, 3, dir, "mine")
	h := startTally(t, 4, dir, "theirs", "nobody")
	for _, ask := range []func(name string, pid int) bool{
		func(name string, _ int) bool { return name == "theirs" },
		func(_ string, pid int) bool { return pid == h.cmd.Process.Pid },
	} {
		c := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Owners: []int{0}, Select: ask}))
		s := find(t, c, "theirs")
		if others := new(OwnerError); len(c.Sources) != 1 || !errors.As(s.Err, &others) || others.UID != nobody || s.Snapshot != nil {
			t.Errorf("got %s", describe(c))
		}
	}
}

// Other settings are in force from the next collection on, and who counts again has
// lost nothing by not having counted.
func TestChange(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	dir, stateDir := worldDir(t), t.TempDir()
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: stateDir}
	c := newCollector(t, opts)
	startTally(t, 1, dir, "mine")
	h := startTally(t, 4, dir, "theirs", "nobody")
	checkCount(t, tidied(t, c), 5)

	opts.Owners = []int{0}
	opts.Aggregate = func(string) format.Aggregate { return format.AggregateMax }
	opts.Deadline, opts.StaleAfter = 2*patience, time.Hour
	c.Change(opts)
	checkCount(t, tidied(t, c), 1)
	if c.opts.Deadline != 2*patience || c.opts.StaleAfter != time.Hour || collect(t, c).combiner.Aggregate == nil {
		t.Errorf("in force are %+v", c.opts)
	}
	h.kill() // while it doesn't count
	tidied(t, c)
	c.Close()

	c = newCollector(t, opts) // which knows of it what the one before has saved
	checkCount(t, tidied(t, c), 1)
	c.Close()
	c = newCollector(t, opts)
	checkCount(t, tidied(t, c), 1)
	opts.Owners = nil
	c.Change(opts)
	checkCount(t, tidied(t, c), 5)
	checkCount(t, tidied(t, c), 5)
	if exists(filepath.Join(dir, statsName("theirs"))) {
		t.Error("it isn't folded")
	}
}

// What was seen of those who don't count any more is saved also by a collector that
// ends before another collection.
func TestCloseAfterChange(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	opts := CollectorOptions{Dir: worldDir(t), Deadline: patience, Tidy: true, StateDir: t.TempDir()}
	c := newCollector(t, opts)
	h := startTally(t, 4, opts.Dir, "theirs", "nobody")
	checkCount(t, tidied(t, c), 4)
	h.kill()
	all := opts
	opts.Owners = []int{0}
	c.Change(opts)
	c.Close()
	checkCount(t, tidied(t, newCollector(t, all)), 4)
}

// A recorder that lives and has lost its pipe is another's as well.
func TestChangeLeavesOutWhoHasNoPipe(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	opts := CollectorOptions{Dir: dir, Deadline: DefaultDeadline}
	c := newCollector(t, opts)
	h := startTally(t, 4, dir, "theirs", "nobody")
	source := find(t, collect(t, c), "theirs")
	noErr(t, os.Remove(source.Path))
	checkCount(t, collect(t, c), 4)
	opts.Owners = []int{0}
	c.Change(opts)
	checkCount(t, collect(t, c), 0)
	h.kill()
}

func TestChangeWaitsForTheCollectionUnderWay(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	mkfifo(t, filepath.Join(dir, statsName(ownStem())))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	ctx, cancel := context.WithCancel(t.Context())
	collected := make(chan error)
	go func() {
		_, err := c.Collect(ctx)
		collected <- err
	}()
	eventually(t, "it reads", func() bool { return runtimeHas("pipes.(*Collector).ask(") })
	changed := make(chan struct{})
	go func() {
		c.Change(CollectorOptions{Deadline: time.Millisecond})
		close(changed)
	}()
	cancel()
	if err := <-collected; !errors.Is(err, context.Canceled) {
		t.Errorf("the collection: %v", err)
	}
	await(t, "the change is made", changed)
	if collection := collect(t, c); collection.Took > patience/2 || collection.Dir != dir {
		t.Errorf("the next one took %v of %s", collection.Took, collection.Dir)
	}
}
