//go:build linux

package pipes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
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

const nobody = 65534

// tallyOf collects once, with a Collector of its own that changes nothing, and
// fails the test unless the tallies have counted so much together.
func tallyOf(t testing.TB, dir string, want int64) *Collection {
	t.Helper()
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	collection := collect(t, c)
	checkCount(t, collection, want)
	return collection
}

func fold(t testing.TB, path string, uid int, killed map[string]*format.Snapshot) error {
	t.Helper()
	_, err := openTestDir(t, path).fold(uid, killed)
	return err
}

// retainedDoc returns what this user's retained file holds.
func retainedDoc(t testing.TB, path string) *format.Document {
	t.Helper()
	doc, _, err := openTestDir(t, path).readRetained(os.Geteuid())
	noErr(t, err)
	return doc
}

func TestFinalsAreFoldedOnce(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	finals := scaled(1000)
	for i := range finals {
		writeFile(t, filepath.Join(dir, typedName(strconv.Itoa(i%7), newID())), finalOf("", int64(i)))
	}
	want := int64(finals) * int64(finals-1) / 2
	tallyOf(t, dir, want)
	together(t, 4, func(int) error { return fold(t, dir, os.Geteuid(), nil) })
	tallyOf(t, dir, want)
	eventually(t, "all are folded", func() bool { // a busy machine takes more than one round
		noErr(t, fold(t, dir, os.Geteuid(), nil))
		return len(entries(t, dir)) == len(kept())
	})
	checkEntries(t, dir, kept()...)
	tallyOf(t, dir, want)
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	tallyOf(t, dir, want)
}

// Who folds may be killed after the rewrite and before the paths are unlinked.
func TestWhatIsNotedIsNotFoldedAgain(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	uid := os.Geteuid()
	final := writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 3))
	killed := mkfifo(t, filepath.Join(dir, typedName("web", otherID)))
	live := writeFile(t, filepath.Join(dir, liveName("web", otherID)), "pid: 1\n")
	seen := map[string]*format.Snapshot{filepath.Base(killed): tallied(4).Lasting()}
	retained := document(&format.Document{Folded: []string{someID, otherID}, Snapshot: tallied(10).Lasting()})
	writeFile(t, filepath.Join(dir, retainedName(uid)), retained)
	tallyOf(t, dir, 10)

	noErr(t, fold(t, dir, uid, seen))
	checkEntries(t, dir, append(kept(), filepath.Base(live))...)
	if exists(final) || exists(killed) {
		t.Error("what is noted is still there")
	}
	tallyOf(t, dir, 10)

	// The next rewrite drops the notes of what isn't there any more. Who cleans up after
	// a recorder locks its .live file, as the recorder itself had: whoever has read that a
	// moment ago must find the note.
	var now int64 = 10
	foldNext := func(alsoNoted ...string) {
		t.Helper()
		next := newID()
		writeFile(t, filepath.Join(dir, typedName("1", next)), finalOf(next, 1))
		noErr(t, fold(t, dir, uid, nil))
		if doc := retainedDoc(t, dir); !slices.Equal(doc.Folded, append([]string{next}, alsoNoted...)) {
			t.Errorf("noted are %q, want %q and %q", doc.Folded, next, alsoNoted)
		}
		now++
		tallyOf(t, dir, now)
	}
	foldNext(otherID)
	foldNext(otherID)
	if uid == 0 { // another's says nothing, or the file could be made to grow for ever
		give(t, live, nobody)
		foldNext()
	}
	noErr(t, os.Remove(live))
	foldNext()
}

// Another user's pipe of a noted id is none of that user's: neither folded nor
// removed.
func TestPipeOfAnotherUserIsNotTheOneThatIsNoted(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, retainedName(0)), document(&format.Document{Folded: []string{someID}, Snapshot: tallied(10).Lasting()}))
	noErr(t, os.Chown(mkfifo(t, filepath.Join(dir, typedName("web", someID))), nobody, -1)) // planted
	writeFile(t, filepath.Join(dir, liveName("web", someID)), "pid: 1\n")
	writeFile(t, filepath.Join(dir, typedName("1", otherID)), finalOf(otherID, 1))
	noErr(t, fold(t, dir, 0, nil))
	checkEntries(t, dir, append(kept(), typedName("web", someID), liveName("web", someID))...)
	tallyOf(t, dir, 11)
}

func TestRetainIsPartOfEveryCollection(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	noErr(t, Retain(dir, tallied(0)))
	for range 3 {
		noErr(t, Retain(dir, tallied(7)))
	}
	checkEntries(t, dir, kept()...)
	collection := tallyOf(t, dir, 21)
	s := find(t, collection, "retained-"+strconv.Itoa(os.Geteuid()))
	if s.State != Retained || s.Kind != RetainedSource || s.Err != nil || time.Since(s.At) > time.Minute || s.UID != os.Geteuid() {
		t.Errorf("the source is %+v", s)
	}
	if _, ok := collection.Total().Lookup("g"); ok {
		t.Error("a gauge was retained")
	}
}

func TestRetainOfNothingLeavesNothing(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	noErr(t, Retain(dir, &format.Snapshot{Stats: []format.Stat{{Name: "g", Kind: format.Gauge, Value: format.Int(1)}}}))
	checkEntries(t, dir)
}

func TestRetainFailsWhereNothingCanBeWritten(t *testing.T) {
	noLeaks(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	if err := Retain(file, tallied(1)); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), file) {
		t.Errorf("Retain: %v", err)
	}
}

func TestKeptFilesHaveTheirModesWhateverTheUmask(t *testing.T) {
	noLeaks(t)
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		dir := t.TempDir()
		old := syscall.Umask(umask)
		err := Retain(dir, tallied(1))
		syscall.Umask(old)
		noErr(t, err)
		for i, want := range []fs.FileMode{0o644, 0o600} {
			if got := stat(t, filepath.Join(dir, kept()[i])).mode; got != want {
				t.Errorf("umask %#o: the mode of %s is %v, want %v", umask, kept()[i], got, want)
			}
		}
	}
}

// A damage is something that stands where one of the kept files or a final
// should, and isn't one.
type damage struct {
	what string
	do   func(t *testing.T, path, text string)
}

// outside is what planted links point to, beside the directory.
func outside(path string) string { return filepath.Join(filepath.Dir(filepath.Dir(path)), "outside") }

var planted = []damage{
	{"a symbolic link", func(t *testing.T, path, _ string) { noErr(t, os.Symlink(outside(path), path)) }},
	{"a dangling link", func(t *testing.T, path, _ string) { noErr(t, os.Symlink("nowhere", path)) }},
	{"a directory", func(t *testing.T, path, _ string) { noErr(t, os.Mkdir(path, 0o755)) }},
	{"a hard link", func(t *testing.T, path, _ string) { noErr(t, os.Link(outside(path), path)) }},
	{"one that the group may write", func(t *testing.T, path, text string) {
		writeFile(t, path, text)
		noErr(t, os.Chmod(path, 0o664))
	}},
	{"one that all may write", func(t *testing.T, path, text string) {
		writeFile(t, path, text)
		noErr(t, os.Chmod(path, 0o606))
	}},
	{"a socket", func(t *testing.T, path, _ string) { mksocket(t, path) }},
}

var plantedFIFO = damage{"a FIFO", func(t *testing.T, path, _ string) { mkfifo(t, path) }}

var torn = []damage{
	{"an empty file", func(t *testing.T, path, _ string) { writeFile(t, path, "") }},
	{"garbage", func(t *testing.T, path, _ string) { writeFile(t, path, "\x00\xff: 1\n") }},
	{"a torn one", func(t *testing.T, path, text string) { writeFile(t, path, text[:len(text)/2]) }},
	{"one of another version", func(t *testing.T, path, text string) {
		writeFile(t, path, strings.Replace(text, "statvent: 1", "statvent: 2", 1))
	}},
	{"two in one", func(t *testing.T, path, text string) { writeFile(t, path, text+text) }},
}

// checkUntouched does something with a directory in which a damage stands, and
// fails the test unless that is as it was.
func checkUntouched(t *testing.T, d damage, name string, do func(dir string)) {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "pipes")
	noErr(t, os.Mkdir(dir, 0o755))
	text := document(&format.Document{Snapshot: tallied(1000).Lasting()})
	elsewhere := writeFile(t, filepath.Join(base, "outside"), text)
	path := filepath.Join(dir, name)
	d.do(t, path, text)
	before, link := stat(t, path), stat(t, elsewhere)
	do(dir)
	if after := stat(t, path); after != before {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	if after := stat(t, elsewhere); after != link || string(must(os.ReadFile(elsewhere))) != text {
		t.Errorf("what it points to was %+v and is %+v", link, after)
	}
}

func TestDamagedRetainedFileIsLeftAsItIsAndNothingIsLost(t *testing.T) {
	for _, d := range append(slices.Concat(planted, torn), plantedFIFO) {
		t.Run(d.what, func(t *testing.T) {
			noLeaks(t)
			name := retainedName(os.Geteuid())
			checkUntouched(t, d, name, func(dir string) {
				final := writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 3))
				if err := fold(t, dir, os.Geteuid(), nil); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("fold: %v", err)
				}
				if err := Retain(dir, tallied(4)); err != nil {
					t.Errorf("Retain, which can store it: %v", err)
				}
				c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
				for round := range 2 {
					collection := tidied(t, c)
					checkCount(t, collection, 7)
					checkState(t, collection, "retained-"+strconv.Itoa(os.Geteuid()), Failed)
					if round > 0 && len(collection.Troubles) != 1 {
						t.Errorf("the troubles are %v", collection.Troubles)
					}
				}
				if !exists(final) {
					t.Error("the final is gone")
				}
			})
		})
	}
}

func TestDamagedFinalIsLeftAsItIs(t *testing.T) {
	for _, d := range slices.Concat(planted, torn) {
		t.Run(d.what, func(t *testing.T) {
			noLeaks(t)
			checkUntouched(t, d, typedName("1", someID), func(dir string) {
				writeFile(t, filepath.Join(dir, typedName("1", otherID)), finalOf(otherID, 3))
				noErr(t, fold(t, dir, os.Geteuid(), nil)) // and it comes to an end
				c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
				for range 2 {
					collection := tidied(t, c)
					checkCount(t, collection, 3)
					silent := collection.Silent()
					isFile := stat(t, filepath.Join(dir, typedName("1", someID))).mode.IsRegular()
					if isFile && (len(silent) != 1 || silent[0].State != Failed || silent[0].ID != someID) {
						t.Errorf("silent are %+v", silent)
					}
					if !isFile && (len(silent) != 0 || len(collection.PassedOver) != 1) {
						t.Errorf("silent are %+v, passed over %+v", silent, collection.PassedOver)
					}
				}
			})
		})
	}
}

// Root removes what stands where its lock should be; nobody else can.
func TestPlantedLock(t *testing.T) {
	lockModes := damage{"one that others may open", func(t *testing.T, path, _ string) { writeFile(t, path, "") }}
	for _, d := range append(planted, plantedFIFO, lockModes) {
		t.Run(d.what, func(t *testing.T) {
			noLeaks(t)
			dir := worldDir(t)
			noErr(t, os.Chmod(filepath.Dir(dir), 0o777))
			elsewhere := writeFile(t, outside(filepath.Join(dir, "x")), "secret")
			lock := filepath.Join(dir, retainedLockName(os.Geteuid()))
			d.do(t, lock, "")
			before := stat(t, lock)
			final := filepath.Join(dir, typedName("1", someID))
			writeFile(t, final, finalOf(someID, 3))
			err := fold(t, dir, os.Geteuid(), nil)
			if os.Geteuid() == 0 {
				noErr(t, err)
				checkEntries(t, dir, kept()...)
				if info := stat(t, lock); info.mode != 0o600 || info.links != 1 {
					t.Errorf("the lock is %+v", info)
				}
			} else if err == nil || !strings.Contains(err.Error(), filepath.Base(lock)) || !exists(final) || stat(t, lock) != before {
				t.Errorf("fold: %v; in the directory are %q", err, entries(t, dir))
			}
			tallyOf(t, dir, 3)
			if string(must(os.ReadFile(elsewhere))) != "secret" {
				t.Error("what it points to was written")
			}
		})
	}
}

// What one user plants for another is removed by root when it folds, and
// what root makes for that user belongs to that user.
func TestRootFoldsForAnotherUser(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	const victim, stranger = nobody, 1
	check := func(what string, prepare func(dir string)) {
		t.Run(what, func(t *testing.T) {
			dir := worldDir(t)
			noErr(t, os.Chmod(filepath.Dir(dir), 0o777))
			elsewhere := writeFile(t, outside(filepath.Join(dir, "x")), "secret")
			prepare(dir)
			h := startTally(t, 3, dir, "web", "nobody")
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
			checkCount(t, tidied(t, c), 3)
			h.kill()
			final := writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 4))
			noErr(t, os.Chown(final, victim, -1))
			for range 2 {
				checkCount(t, tidied(t, c), 7)
			}
			checkEntries(t, dir, retainedName(victim), retainedLockName(victim))
			for name, mode := range map[string]fs.FileMode{retainedName(victim): 0o644, retainedLockName(victim): 0o600} {
				if info := stat(t, filepath.Join(dir, name)); info.uid != victim || info.mode != mode {
					t.Errorf("%s is %+v", name, info)
				}
			}
			// That user goes on with it.
			startTally(t, 5, dir, "web", "nobody").end(t)
			checkCount(t, tidied(t, c), 12)
			checkEntries(t, dir, retainedName(victim), retainedLockName(victim))
			if string(must(os.ReadFile(elsewhere))) != "secret" {
				t.Error("what was planted was written")
			}
		})
	}
	check("nothing planted", func(string) {})
	for _, name := range []string{retainedName(victim), retainedLockName(victim)} {
		for _, d := range append(slices.Concat(planted, torn), plantedFIFO) {
			check(d.what+" at "+name, func(dir string) {
				path := filepath.Join(dir, name)
				d.do(t, path, document(&format.Document{Snapshot: tallied(1000).Lasting()}))
				noErr(t, os.Lchown(path, stranger, -1))
			})
		}
		check("whole, at "+name, func(dir string) {
			writeFile(t, filepath.Join(dir, name), document(&format.Document{Snapshot: tallied(1000).Lasting()}))
			noErr(t, os.Lchown(filepath.Join(dir, name), stranger, -1))
		})
	}
}

// Whoever may not write a user's files leaves them to those who may, and is
// right all the same.
func TestOrdinaryUserFoldsNobodyElses(t *testing.T) {
	needsRoot(t, "it takes two users")
	dir := worldDir(t)
	writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 4))
	mkfifo(t, filepath.Join(dir, typedName("web", otherID)))
	writeFile(t, filepath.Join(dir, liveName("web", otherID)), "pid: 1\n")
	runHelper(t, "without-rights", "fold", dir)
	checkEntries(t, dir, typedName("1", someID), typedName("web", otherID), liveName("web", otherID),
		retainedName(nobody), retainedLockName(nobody))
	tallyOf(t, dir, 7)
}

func checkFoldsOwnOnly(dir string) error {
	c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	defer c.Close()
	if err := Retain(dir, tallied(3)); err != nil {
		return err
	}
	for range 3 {
		collection, err := c.Collect(context.Background())
		if err != nil {
			return err
		}
		c.tidying.Wait()
		if n, err := countOf(collection.Total()); n != 7 || err != nil || len(collection.Troubles) > 0 {
			return fmt.Errorf("counted %d, %w:%s", n, err, describe(collection))
		}
	}
	return nil
}

// A recorder that had lost its pipe puts its final there when the listing is made, and its
// .live file goes before anybody looks: it hasn't gone without a trace, as one has whose
// pipe was there.
func TestFinalInThePlaceOfALostPipeIsFoundAfterTheListing(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	lock, got, err := dir.lockRetained(os.Geteuid()) // or it would be folded
	if err != nil || !got {
		t.Fatal(got, err)
	}
	defer unlockRetained(lock)
	p := publish(t, PublisherOptions{Dir: path, Name: "web"}, &tally{n: 3})
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: patience})
	checkCount(t, collect(t, c), 3)
	name := typedName("web", p.id)
	noErr(t, os.Remove(filepath.Join(path, name)))
	l, err := dir.list()
	noErr(t, err)
	s := c.sources[name]
	s.lost = true
	s.reading = newReading(dir.share(), name, typedText, Limits{}, time.Now())
	s.reading.err = fs.ErrNotExist
	close(s.reading.done)
	dir.close() // as that reading would have

	noErr(t, p.Close())
	collection := &Collection{Dir: path, Time: time.Now()}
	c.conclude(collection, dir, l, s, newChores())
	if _, err := c.settle(t.Context(), dir, collection); err != nil {
		t.Fatal(err)
	}
	checkCount(t, collection, 3)
	checkCount(t, collect(t, c), 3)
}

// Somebody else who is at the retained file folds what comes meanwhile.
func TestCloseLeavesItsFinalToWhoeverHasTheLock(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	lock, got, err := dir.lockRetained(os.Geteuid())
	if err != nil || !got {
		t.Fatal(got, err)
	}
	stats := &tally{n: 3}
	p := publish(t, PublisherOptions{Dir: path, Name: "web"}, stats)
	tidy := newCollector(t, CollectorOptions{Dir: path, Deadline: patience, Tidy: true})
	checkCount(t, tidied(t, tidy), 3)
	noErr(t, p.Close())
	final := typedName("web", p.id)
	checkEntries(t, path, final, retainedLockName(os.Geteuid()))
	if info := stat(t, filepath.Join(path, final)); info.mode != 0o644 {
		t.Errorf("the final is %+v", info)
	}
	for range 2 {
		for _, collection := range []*Collection{tidied(t, tidy), tallyOf(t, path, 3)} {
			checkCount(t, collection, 3)
			s := find(t, collection, "web")
			if s.State != Ended || s.Kind != TypedSource || s.Err != nil || s.ID != p.id {
				t.Errorf("the source is %+v", s)
			}
			if _, ok := collection.Total().Lookup("g"); ok {
				t.Error("its gauge goes on")
			}
		}
	}
	unlockRetained(lock)
	checkCount(t, tidied(t, tidy), 3)
	checkEntries(t, path, kept()...)
	checkCount(t, tidied(t, tidy), 3)
}

// Publishers that end at once leave no final: who gives up the lock looks again.
func TestNoFinalStaysBehind(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const atOnce = 8
	rounds := scaled(100)
	together(t, atOnce, func(i int) error {
		for range rounds {
			p, err := Publish(PublisherOptions{Dir: dir, Name: fmt.Sprintf("p%d", i)}, &tally{n: 1})
			if err != nil {
				return err
			}
			if err := p.Close(); err != nil && !strings.Contains(err.Error(), "woken") {
				return err
			}
		}
		return nil
	})
	checkEntries(t, dir, kept()...)
	tallyOf(t, dir, int64(atOnce*rounds))
}

// A crasher is a helper that writes retained files until it is killed, and what
// it has said.
type crasher struct {
	h    *helper
	done atomic.Int64
	end  chan struct{}
}

// helpCrash retains a 1 again and again, in either way, and writes a line each
// time that is done.
func helpCrash(args []string) error {
	fmt.Println("ready")
	for i := 0; ; i++ {
		if i%2 == 0 {
			if err := Retain(args[0], tallied(1)); err != nil {
				return err
			}
		} else {
			p, err := Publish(PublisherOptions{Dir: args[0]}, &tally{n: 1})
			if err != nil {
				return err
			}
			_ = p.Close() // late goroutines are no matter here
		}
		if _, err := os.Stdout.WriteString("\n"); err != nil {
			return err
		}
	}
}

// startCrasher starts a helper that writes a line each time it has stored something.
func startCrasher(t *testing.T, helper, dir string) *crasher {
	t.Helper()
	c := &crasher{h: startHelper(t, helper, dir), end: make(chan struct{})}
	go func() {
		defer close(c.end)
		for lines := bufio.NewReader(c.h.lines); ; {
			if _, err := lines.ReadByte(); err != nil {
				return
			}
			c.done.Add(1)
		}
	}()
	return c
}

// kill kills it and returns how much it has retained at least: it was at the
// next one.
func (c *crasher) kill(t *testing.T) int64 {
	t.Helper()
	_ = c.h.cmd.Process.Kill()
	_ = c.h.cmd.Wait()
	await(t, "all that it said is read", c.end)
	c.h.kill()
	return c.done.Load()
}

// However processes are killed while they rewrite the retained file, that is
// whole, what they have completed is in it, and no Collector sees a total fall.
func TestKilledWritersLoseAndDoubleNothing(t *testing.T) {
	noLeaks(t)
	kills := scaled(1000)
	if withRace {
		kills = scaled(200)
	}
	const atOnce = 2
	dir := memoryDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	var completed, killed atomic.Int64
	var killers sync.WaitGroup
	killers.Go(func() {
		var running []*crasher
		for i := range kills {
			if i == 0 || len(running) < atOnce {
				running = append(running, startCrasher(t, "crash", dir))
			}
			oldest := running[0]
			before := oldest.done.Load()
			for oldest.done.Load() < before+rand.Int64N(3) {
				time.Sleep(50 * time.Microsecond)
			}
			time.Sleep(rand.N(2 * time.Millisecond)) // and at any moment of the next
			completed.Add(oldest.kill(t))
			killed.Add(1)
			running = running[1:]
		}
		for _, rest := range running {
			completed.Add(rest.kill(t))
			killed.Add(1)
		}
	})
	ended := waitDone(&killers)
	var last int64
	for over := false; !over && !t.Failed(); {
		select {
		case <-ended:
			over = true
		default:
		}
		low := completed.Load()
		collection := collect(t, c)
		n, err := countOf(collection.Total())
		if err != nil || n < last || n < low {
			t.Errorf("counted are %d after %d, %d are completed: %v%s", n, last, low, err, describe(collection))
		}
		last = n
		for _, s := range collection.Sources {
			if s.Kind == RetainedSource && s.Err != nil {
				t.Errorf("after %d kills: %v", killed.Load(), s.Err)
			}
		}
	}
	await(t, "all are killed", ended)
	c.tidying.Wait()
	last, err := countOf(tidied(t, c).Total())
	if low, high := completed.Load(), completed.Load()+killed.Load(); last < low || last > high || err != nil {
		t.Errorf("counted are %d, want %d to %d: %v", last, low, high, err)
	}
	tidied(t, c)
	names := entries(t, dir)
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, tmpPrefix) })
	t.Logf("%d kills, %d completed, %d counted, %d entries", killed.Load(), completed.Load(), last, len(names))
	// A recorder may have been killed before it was read, and its files stay for
	// an hour.
	for _, name := range names {
		info, err := statPath(filepath.Join(dir, name))
		if err == nil && info.mode.IsRegular() && strings.HasSuffix(name, typedSuffix) && name != kept()[0] {
			t.Errorf("the final %s was left", name)
		}
	}
	tallyOf(t, dir, last)
}

// The lock file of somebody who is gone is no hindrance.
func TestLockOfAKilledHolderIsFree(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 3))
	lock := filepath.Join(dir, retainedLockName(os.Geteuid()))
	fd := must(unix.Open(lock, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600))
	closeFD(fd)
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	checkEntries(t, dir, kept()...)
}

// A rewrite that nobody could read isn't made.
func TestFullRetainedFileIsLeftAsItIsAndNothingIsLost(t *testing.T) {
	check := func(what string, lower func(size int) Limits) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			defer func() { unconfigured = Limits{} }()
			dir := t.TempDir()
			noErr(t, Retain(dir, tallied(3)))
			path := filepath.Join(dir, kept()[0])
			before := stat(t, path)
			unconfigured = lower(len(must(os.ReadFile(path))))
			other := tallied(4).Lasting()
			other.Stats = append(other.Stats, format.Stat{Name: "other", Kind: format.Counter, Value: format.Int(1)})
			noErr(t, Retain(dir, other))
			if err := fold(t, dir, os.Geteuid(), nil); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), path) {
				t.Errorf("fold: %v", err)
			}
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, Limits: unconfigured})
			checkCount(t, tidied(t, c), 7)
			collection := tallyOf(t, dir, 7)
			if s := find(t, collection, "retained-"+strconv.Itoa(os.Geteuid())); s.State != Retained {
				t.Errorf("the file is %s: %v", s.State, s.Err)
			}
			if collection := tidied(t, c); len(collection.Troubles) != 1 || !errors.Is(collection.Troubles[0], ErrFull) {
				t.Errorf("the troubles are %v", collection.Troubles)
			}
			if after := stat(t, path); after != before {
				t.Errorf("it was %+v and is %+v", before, after)
			}
			c.Change(CollectorOptions{Deadline: patience})
			checkCount(t, tidied(t, c), 7)
			checkEntries(t, dir, kept()...)
			tallyOf(t, dir, 7)
		})
	}
	check("stats", func(int) Limits { return Limits{MaxRetainedStats: 2} })
	check("bytes", func(size int) Limits { return Limits{MaxRetainedBytes: size + 1} })
}

// The samples of one that has ended have ended as well, whatever wrote its final.
func TestSamplesOfAFinalAreNotRetained(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, typedName("1", someID)), document(&format.Document{ID: someID, Snapshot: tallied(3)}))
	check := func(s *format.Snapshot) {
		t.Helper()
		for _, stat := range s.Stats {
			if stat.Kind == format.Gauge || stat.Dist != nil && len(stat.Dist.Window) > 0 {
				t.Errorf("there is %+v", stat)
			}
		}
	}
	check(tallyOf(t, dir, 3).Total())
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	check(retainedDoc(t, dir).Snapshot)
	tallyOf(t, dir, 3)
}

// Nothing is folded into a damaged file: what was read of it before is all of it.
func TestCollectorGoesOnWithWhatItHadOfADamagedRetainedFile(t *testing.T) {
	for _, d := range slices.Concat(planted, torn) {
		t.Run(d.what, func(t *testing.T) {
			noLeaks(t)
			dir := filepath.Join(t.TempDir(), "pipes")
			path := filepath.Join(dir, kept()[0])
			writeFile(t, outside(path), document(&format.Document{Snapshot: tallied(1000).Lasting()}))
			noErr(t, Retain(dir, tallied(3)))
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
			checkCount(t, tidied(t, c), 3)
			noErr(t, os.Remove(path))
			d.do(t, path, document(&format.Document{Snapshot: tallied(1000).Lasting()}))
			noErr(t, Retain(dir, tallied(4)))
			name := "retained-" + strconv.Itoa(os.Geteuid())
			for range 2 {
				collection := tidied(t, c)
				checkCount(t, collection, 7)
				s := find(t, collection, name)
				if s.State != Failed || s.Err == nil || !strings.Contains(s.Err.Error(), "until somebody removes it") {
					t.Errorf("the file is %s: %v", s.State, s.Err)
				}
			}
			checkState(t, tallyOf(t, dir, 4), name, Failed)
		})
	}
}

// Somebody else may have made another lock file by now, and hold that.
func TestNothingIsWrittenWithALockThatHasLostItsName(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(t *testing.T, path string)
		left []string
	}{
		{"deleted", func(t *testing.T, path string) { noErr(t, os.Remove(path)) }, nil},
		{"moved, and another made", func(t *testing.T, path string) {
			noErr(t, os.Rename(path, filepath.Join(t.TempDir(), "aside")))
			writeFile(t, path, "")
		}, kept()[1:]},
	} {
		t.Run(c.what, func(t *testing.T) {
			noLeaks(t)
			path := t.TempDir()
			dir := openTestDir(t, path)
			noErr(t, Retain(path, tallied(1)))
			lock, got, err := dir.lockRetained(os.Geteuid())
			if err != nil || !got {
				t.Fatal(got, err)
			}
			defer unlockRetained(lock)
			c.do(t, filepath.Join(path, kept()[1]))
			writeFile(t, filepath.Join(path, typedName("1", someID)), finalOf(someID, 3))
			before := stat(t, filepath.Join(path, kept()[0]))
			f := folding{dir: dir, uid: os.Geteuid(), unreadable: make(map[string]bool)}
			if err := f.foldLocked(lock); !errors.Is(err, errUnlocked) || !strings.Contains(err.Error(), kept()[0]) {
				t.Errorf("foldLocked: %v", err)
			}
			checkEntries(t, path, append(c.left, kept()[0], typedName("1", someID))...)
			if after := stat(t, filepath.Join(path, kept()[0])); after != before {
				t.Errorf("it was %+v and is %+v", before, after)
			}
			tallyOf(t, path, 4)
			noErr(t, fold(t, path, os.Geteuid(), nil))
			tallyOf(t, path, 4)
		})
	}
}
