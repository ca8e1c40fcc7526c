//go:build linux

package pipes

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// steal makes the typed pipe of that stem and id a stranger's, who lives if alive
// says so, and answers nobody.
func steal(t *testing.T, dir, stem, id string, alive bool) (path string) {
	t.Helper()
	path = mkfifo(t, filepath.Join(dir, typedName(stem, id)))
	give(t, path, stranger)
	if alive {
		live := writeFile(t, filepath.Join(dir, liveName(stem, id)), "pid: 1\n")
		give(t, live, stranger)
		lockFile(t, live)
	}
	return path
}

// An id stands in a name, and anybody can make a pipe with that id in its name. What
// was saved of the one who has it is neither given to the other nor lost.
func TestSavedStateIsNotThatOfAnotherWithTheSameID(t *testing.T) {
	needsRoot(t, "it takes three users")
	check := func(what string, users ...int) {
		t.Run(what, func(t *testing.T) {
			dir, stateDir := worldDir(t), t.TempDir()
			opts := CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StateDir: stateDir, Owners: users}
			victim := startTally(t, 3, dir, "web", "nobody")
			c, first := acquainted(t, opts)
			checkCount(t, first, 3)
			steal(t, dir, "evil", find(t, first, "web").ID, true)
			for range 3 {
				checkCount(t, tidied(t, c), 3)
			}
			c.Close() // which saves
			victim.kill()
			for range 3 {
				c = newCollector(t, opts)
				checkCount(t, tidied(t, c), 3)
				checkCount(t, tidied(t, c), 3)
				c.Close()
			}
		})
	}
	check("all count")
	check("one user counts", nobody)
}

// Somebody takes the name of a recorder that was killed, as soon as that is folded
// and its pipe has gone. What it counted is in the retained file, and nowhere else.
func TestNameOfOneThatIsFoldedHasNothingOfIt(t *testing.T) {
	needsRoot(t, "it takes three users")
	for _, alive := range []bool{true, false} {
		dir := worldDir(t)
		victim := startTally(t, 3, dir, "web", "nobody")
		c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
		checkCount(t, first, 3)
		source := find(t, first, "web")
		victim.kill()
		checkCount(t, tidied(t, c), 3)
		if exists(source.Path) {
			t.Fatal("it is not folded")
		}
		steal(t, dir, "web", source.ID, alive)
		startTally(t, 5, dir, "another", "nobody").end(t) // which drops the note
		for range 3 {
			collection := tidied(t, c)
			checkCount(t, collection, 8)
			if got := find(t, collection, "web"); got.UID != stranger || got.Snapshot != nil {
				t.Errorf("the thief is %+v", got)
			}
		}
		if !exists(source.Path) {
			t.Error("what was never read is removed")
		}
	}
}

// The same with a plain pipe, whose values end with it.
func TestPlainNameHasNothingOfTheOneBefore(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	dir := t.TempDir()
	p := newPlain(t, dir, ownStem(), says("n: 3\n"))
	go p.run()
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	checkLive(t, collect(t, c), ownStem(), "n: 3\n")
	p.stop()
	give(t, mkfifo(t, p.path), stranger)
	for range 2 {
		checkState(t, collect(t, c), ownStem(), Unresponsive)
	}
	noErr(t, os.Remove(p.path))
	publishPlain(t, dir, ownStem(), says("n: 3\n"))
	checkLive(t, collect(t, c), ownStem(), "n: 3\n")
}

// Somebody takes the name and the id of a recorder that has ended cleanly, with a .live
// file and a plain pipe, and has another one killed, so that the directory is looked at
// twice.
func TestIDOfOneThatHasEndedHasNothingOfIt(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	dir := worldDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{n: 3})
	other := startTally(t, 4, dir, "other", "nobody")
	checkCount(t, collect(t, c), 7)
	id := p.id
	noErr(t, p.Close())
	live := writeFile(t, filepath.Join(dir, liveName("web", id)), "pid: 1\n")
	give(t, live, stranger)
	lockFile(t, live)
	give(t, mkfifo(t, filepath.Join(dir, statsName("web"))), stranger)
	other.kill()
	for range 2 {
		collection := collect(t, c)
		checkCount(t, collection, 7)
		if got := find(t, collection, "web"); got.UID != stranger || got.Snapshot != nil {
			t.Errorf("the thief is %+v", got)
		}
	}
}

// The same within one collection, when the note has gone as well: the path is the thief's.
func TestPathOfOneThatIsFoldedIsNotItsOwn(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	path := worldDir(t)
	dir := openTestDir(t, path)
	p := publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{n: 3})
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: patience})
	l := must(dir.list())
	c.serial++
	must(c.remember(dir, l))
	noErr(t, c.ask(t.Context(), dir, time.Now()))
	collection := &Collection{Dir: path, Time: time.Now()}
	for _, s := range c.sources {
		c.conclude(collection, dir, l, s, newChores())
	}
	id := p.id
	noErr(t, p.Close())
	noErr(t, Retain(path, tallied(1))) // which drops the note
	give(t, mkfifo(t, filepath.Join(path, typedName("web", id))), stranger)
	must(c.settle(t.Context(), dir, collection))
	checkCount(t, collection, 4)
}

// Whose an entry is that wasn't there when its owner was looked for shows when it is
// read. It is no other's then.
func TestSourceThatWasAwayForAMomentIsItsOwnersStill(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	h := startTally(t, 3, path, "web")
	c := newSaver(t, path, t.TempDir())
	l := must(dir.list())
	name := filepath.Join(path, typedName("web", l.typed["web"][0]))
	noErr(t, os.Rename(name, name+"-"))
	c.serial++
	c.hasLooked = true
	must(c.remember(dir, l))
	noErr(t, os.Rename(name+"-", name))
	noErr(t, c.ask(t.Context(), dir, time.Now()))
	for _, s := range c.sources {
		c.conclude(&Collection{Time: time.Now()}, dir, l, s, newChores())
		if s.last == nil {
			t.Fatalf("the source is %+v", s)
		}
	}
	c.mu.Lock()
	c.save(time.Now())
	c.mu.Unlock()
	if saved := must(c.state.load()); saved[savedID(os.Geteuid(), l.typed["web"][0])].snapshot == nil {
		t.Errorf("what is saved is %v", saved)
	}
	h.kill()
	checkCount(t, collect(t, c), 3)
}

// A typed pipe in a version that isn't known stands for the plain one of its own user.
func TestLaterVersionOfAnotherIsNotReadAsOnesPlainPipe(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	dir := t.TempDir()
	publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{n: 3})
	path := steal(t, dir, "web", someID, false)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	var written sync.WaitGroup
	written.Go(func() {
		if w, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			_, _ = w.WriteString("statvent: 99\n")
			_ = w.Close()
		}
	})
	collection := collect(t, c)
	written.Wait()
	checkCount(t, collection, 3)
	if len(collection.Sources) != 2 {
		t.Errorf("the sources are%s", describe(collection))
	}
	for _, s := range collection.Sources {
		if s.ID == someID && (s.Snapshot != nil || !errors.Is(s.Err, format.ErrVersion)) {
			t.Errorf("the thief has what another publishes:%s", describe(collection))
		}
	}
}
