//go:build linux

package pipes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// inOrder returns an id.
func inOrder(n int) string { return fmt.Sprintf("%0*x", idLen, n) }

// Anybody may make any number of files for one stem. What it takes to look at them grows
// no faster than they do: comparing each with each would take minutes.
func TestThousandsOfFilesOfOneStem(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	publishPlain(t, dir, "web", says("n: 5\n"))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StaleAfter: time.Nanosecond})
	checkLive(t, tidied(t, c), "web", "n: 5\n") // and so has a place
	const n = 40_000
	for i := range n {
		writeFile(t, filepath.Join(dir, typedName("x", inOrder(i))), "")
		writeFile(t, filepath.Join(dir, liveName("x", inOrder(n+i))), "")
	}
	mkfifo(t, filepath.Join(dir, statsName("x")))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var before, after unix.Rusage
	noErr(t, unix.Getrusage(unix.RUSAGE_SELF, &before))
	for range 2 {
		collection, err := c.Collect(ctx)
		noErr(t, err)
		checkLive(t, collection, "web", "n: 5\n")
		c.tidying.Wait()
	}
	noErr(t, unix.Getrusage(unix.RUSAGE_SELF, &after))
	if spent := time.Duration(after.Utime.Nano() - before.Utime.Nano()); spent > 10*time.Second {
		t.Errorf("it took %v of the processor", spent)
	}
}

// A stale pipe with thousands of .live files takes no more descriptors than a few.
func TestThousandsOfDeadFilesTakeFewDescriptors(t *testing.T) {
	dir := memoryDir(t)
	d := openTestDir(t, dir)
	var ids []string
	for i := range 1000 {
		ids = append(ids, inOrder(i))
		writeFile(t, filepath.Join(dir, liveName("x", inOrder(i))), "")
	}
	mkfifo(t, filepath.Join(dir, statsName("x")))
	var before unix.Rlimit
	noErr(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	noErr(t, limitDescriptors(uint64(d.fd+3*maxSpeaking)))
	defer func() { noErr(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	removed, err := d.removeDead("x", ids, nil)
	noErr(t, err)
	if !removed || exists(filepath.Join(dir, statsName("x"))) {
		t.Error("the pipe is not removed")
	}
}

// What one user leaves to be folded keeps nobody waiting, and takes no more memory than a
// few of the largest: the rest is folded in the rounds that come.
func TestFinalsAreFoldedAFewAtATime(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	d := openTestDir(t, dir)
	const finals, stats = 12, 30_000
	left := func() int { return len(must(d.list()).typed["x"]) }
	for i := range finals {
		s := &format.Snapshot{}
		for j := range stats {
			s.Stats = append(s.Stats, format.Stat{Name: fmt.Sprintf("s.%05d", j), Kind: format.Counter, Value: format.Int(1)})
		}
		writeFile(t, filepath.Join(dir, typedName("x", inOrder(i))), document(&format.Document{Snapshot: s}))
	}
	f := folding{dir: d, uid: os.Geteuid(), unreadable: make(map[string]bool)}
	for rounds := 0; left() > 0; rounds++ {
		before := left()
		lock, got, err := d.lockRetained(f.uid)
		if err != nil || !got {
			t.Fatal(got, err)
		}
		noErr(t, f.foldLocked(lock))
		unlockRetained(lock)
		if taken := before - left(); taken == 0 || taken*stats > maxFoldedStats+stats {
			t.Fatalf("%d finals are folded at once", taken)
		}
	}
	doc := retainedDoc(t, dir)
	if len(doc.Snapshot.Stats) != stats || doc.Snapshot.Stats[0].Value != format.Int(finals) {
		t.Errorf("%d stats are retained, the first is %v", len(doc.Snapshot.Stats), doc.Snapshot.Stats[0])
	}
}

// Files that take long to read, and are none, delay what can be folded, and not for long.
func TestFinalsThatTakeLongAreReadAFewAtATime(t *testing.T) {
	dir := memoryDir(t)
	const n = 300
	for i := range n {
		path := writeFile(t, filepath.Join(dir, typedName("x", inOrder(i))), "statvent: 1\n")
		noErr(t, os.Truncate(path, DefaultMaxBytes))
	}
	opened := watchFor(t, unix.IN_OPEN, dir)
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	read := 0
	for _, name := range opened() {
		if _, _, ok := parseName(name, typedSuffix); ok {
			read++
		}
	}
	if read == 0 || read > n/2 {
		t.Errorf("%d of %d are read", read, n)
	}
}
