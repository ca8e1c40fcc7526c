//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// withoutDescriptors calls f with none left.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var before unix.Rlimit
	noErr(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	lowest := must(unix.Dup(0))
	closeFD(lowest)
	noErr(t, limitDescriptors(uint64(lowest)))
	f()
	noErr(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
}

// What can't be loaded for a moment isn't replaced, and counts as soon as it can.
func TestStateThatCannotBeLoadedJustNowIsLoadedLater(t *testing.T) {
	dir, stateDir := t.TempDir(), t.TempDir()
	h := startTally(t, 3, dir, "web")
	before := newSaver(t, dir, stateDir)
	checkCount(t, collect(t, before), 3)
	noErr(t, before.Close())
	h.kill()
	var after *Collector
	withoutDescriptors(t, func() { after = newSaver(t, dir, stateDir) })
	if !errors.Is(after.stateErr, syscall.EMFILE) {
		t.Errorf("it is loaded: %v", after.stateErr)
	}
	after.mu.Lock()
	after.save(after.savedAt)
	after.mu.Unlock()
	checkCount(t, tidied(t, after), 3)
	noErr(t, after.Close())
}

// Whose a recorder is can't be told for a moment, and so not what was saved of it: the
// host has no numbers then, and none is lost.
func TestWhatWasSavedWaitsUntilItIsKnownWhoseItIs(t *testing.T) {
	needsRoot(t, "it looks as another user")
	dir, stateDir := worldDir(t), t.TempDir()
	h := startTally(t, 3, dir, "web")
	before := newSaver(t, dir, stateDir)
	checkCount(t, collect(t, before), 3)
	noErr(t, before.Close())
	after := newSaver(t, dir, stateDir)
	h.kill()
	noErr(t, os.Chmod(dir, 0o744)) // others may list it, and look at nothing
	runtime.LockOSThread()
	_, err := unix.SetfsuidRetUid(nobody) // of this thread
	noErr(t, err)
	_, err = after.Collect(t.Context())
	_, resetErr := unix.SetfsuidRetUid(0)
	runtime.UnlockOSThread()
	noErr(t, resetErr)
	if !cannotTell(err) || !strings.Contains(fmt.Sprint(err), typedSuffix) {
		t.Errorf("Collect: %v", err)
	}
	noErr(t, after.Close())
	after = newSaver(t, dir, stateDir)
	checkCount(t, tidied(t, after), 3)
	checkCount(t, tidied(t, after), 3)
}

// A lock that root can't open for a moment isn't taken for what somebody has planted.
func TestLockThatCannotBeOpenedJustNowIsNotRemoved(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	lock, got, err := dir.lockRetained(os.Geteuid())
	if err != nil || !got {
		t.Fatalf("lockRetained: %v, %v", got, err)
	}
	defer unlockRetained(lock)
	withoutDescriptors(t, func() {
		if _, got, err := dir.lockRetained(os.Geteuid()); got || !errors.Is(err, syscall.EMFILE) {
			t.Errorf("lockRetained: %v, %v", got, err)
		}
	})
	checkEntries(t, path, retainedLockName(os.Geteuid()))
	if held, err := statFD(int(lock.Fd())); err != nil || held.links == 0 {
		t.Errorf("the lock is gone: %v", err)
	}
}

// No counter falls while a retained file can't be read into which somebody folds who
// can, and none counts twice when it can be read again.
func TestFoldingIntoAFileThatCannotBeRead(t *testing.T) {
	dir, elsewhere := memoryDir(t), memoryDir(t)
	noErr(t, Retain(dir, tallied(100)))
	noErr(t, Retain(elsewhere, tallied(105)))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	file := filepath.Join(dir, retainedName(os.Geteuid()))
	h := startTally(t, 5, dir, "web")
	checkCount(t, collect(t, c), 105)
	noErr(t, os.Chmod(file, 0o666)) // which nobody trusts
	h.end(t)
	checkCount(t, collect(t, c), 105)
	finals := must(filepath.Glob(filepath.Join(dir, ".web.*.typed")))
	if len(finals) != 1 {
		t.Fatalf("there is no final: %q", finals)
	}
	text := must(os.ReadFile(filepath.Join(elsewhere, retainedName(os.Geteuid()))))
	noErr(t, os.WriteFile(file, text, 0)) // it is there
	noErr(t, os.Remove(finals[0]))
	for range 3 {
		collection := collect(t, c)
		checkCount(t, collection, 105)
		if s := find(t, collection, fmt.Sprint("retained-", os.Geteuid())); s.State != Failed {
			t.Errorf("the file is %s", s.State)
		}
	}
	noErr(t, os.Chmod(file, 0o644))
	for range 2 {
		checkCount(t, collect(t, c), 105)
	}
}

// Where a retained file can't be read that has many stats, thousands may go that nobody
// has folded: its user can bring that about, and it holds up nobody.
func TestManyThatGoBesideAFileThatCannotBeRead(t *testing.T) {
	dir := memoryDir(t)
	kept := tallied(100)
	for _, name := range numberedNames("kept", 20_000) {
		kept.Stats = append(kept.Stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(1)})
	}
	noErr(t, Retain(dir, kept))
	var finals []string
	for range 1000 {
		id := newID()
		finals = append(finals, writeFile(t, filepath.Join(dir, typedName("web", id)), finalOf(id, 1)))
	}
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	checkCount(t, collect(t, c), 1100)
	file := filepath.Join(dir, retainedName(os.Geteuid()))
	noErr(t, os.Chmod(file, 0o666)) // which nobody trusts
	for _, path := range finals {
		noErr(t, os.Remove(path))
	}
	for range 2 {
		collection := collect(t, c)
		checkCount(t, collection, 1100)
		if collection.Took > patience {
			t.Errorf("it took %v", collection.Took)
		}
	}
	if last := c.retained[os.Geteuid()].doc; len(last.Folded) > 0 || len(c.departed[os.Geteuid()]) > 0 {
		t.Errorf("it remembers %d of those that are gone", len(last.Folded)+len(c.departed[os.Geteuid()]))
	}
	noErr(t, os.Chmod(file, 0o644))
	checkCount(t, collect(t, c), 100) // what there is
}

// What is kept of those who go beside a file that can't be read is no more than that may
// have: its user can bring that about for as long as it pleases.
func TestMuchThatGoesBesideAFileThatCannotBeRead(t *testing.T) {
	for _, test := range []struct {
		what   string
		limits Limits
		stats  func(i int) []format.Stat // of the one that goes as number i
	}{
		{"long names", Limits{MaxRetainedBytes: 20_000}, func(i int) []format.Stat {
			return []format.Stat{{Name: strconv.Itoa(i) + strings.Repeat("x", 5_000), Kind: format.Counter, Value: format.Int(1)}}
		}},
		{"labels", Limits{MaxRetainedBytes: 20_000}, func(i int) []format.Stat {
			label := format.Label{Name: strconv.Itoa(i) + strings.Repeat("x", 5_000), Percentile: 50}
			return []format.Stat{{Name: "e.{0}", Kind: format.Distribution, Dist: &format.Samples{Labels: []format.Label{label}}}}
		}},
		{"names", Limits{MaxRetainedStats: 10}, func(i int) []format.Stat {
			return said(0, "", numberedNames(strconv.Itoa(i)+".", 3)...).Snapshot.Stats
		}},
	} {
		t.Run(test.what, func(t *testing.T) {
			noLeaks(t)
			dir := memoryDir(t)
			writeFile(t, filepath.Join(dir, retainedName(os.Geteuid())), "damaged")
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: test.limits})
			const many = 20
			goes := func(i int, stats []format.Stat) {
				t.Helper()
				doc := &format.Document{Snapshot: tallied(1).Lasting()}
				doc.Snapshot.Stats = append(doc.Snapshot.Stats, stats...)
				path := writeFile(t, filepath.Join(dir, typedName("web", inOrder(i))), document(doc))
				collect(t, c)
				noErr(t, os.Remove(path))
				collect(t, c)
			}
			for i := range many {
				goes(i, test.stats(i))
			}
			kept := c.retained[os.Geteuid()].doc
			n, err := countOf(kept.Snapshot)
			noErr(t, err)
			bytes, stats := len(document(kept)), len(kept.Snapshot.Stats)
			if err := test.limits.withDefaults().checkRetained(bytes, stats); err != nil || n < 1 || n >= many {
				t.Errorf("of %d there are %d, %d bytes and %d stats: %v", many, n, bytes, stats, err)
			}
			goes(many, nil) // for which there is room
			if after, _ := countOf(c.retained[os.Geteuid()].doc.Snapshot); after != n+1 {
				t.Errorf("%d were kept, and %d when one has gone that takes none", n, after)
			}
		})
	}
}

// Who owns a file may keep us from opening it, not from looking at it.
func TestWhatMayNotBeLookedAtCannotBeTold(t *testing.T) {
	if cannotTell(unix.EACCES) {
		t.Error("what may not be opened can't be told")
	}
	for _, errno := range []error{unix.EACCES, unix.EPERM} {
		if err := statError(errno); !cannotTell(err) || !errors.Is(err, errno) {
			t.Errorf("%v: what may not be looked at can be told", err)
		}
	}
	if _, err := statAt(unix.AT_FDCWD, filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, fs.ErrNotExist) || cannotTell(err) {
		t.Errorf("what isn't there: %v", err)
	}
}
