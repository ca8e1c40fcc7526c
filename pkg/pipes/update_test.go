//go:build linux

package pipes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

func init() {
	helpers["update"] = helpUpdate
	helpers["update-many"] = helpUpdateMany
	helpers["update-crash"] = helpUpdateCrash
	helpers["update-full-disk"] = helpUpdateFullDisk
	helpers["update-busy"] = helpUpdateBusy
}

// changesOf returns changes that are made now and written as "incr a 1, set b 2,
// record d 3, delete a".
func changesOf(text string) *format.Changes {
	c := &format.Changes{At: time.Now()}
	if text == "" {
		return c
	}
	for change := range strings.SplitSeq(text, ", ") {
		words := append(strings.Fields(change), "0") // no number is said of what is deleted
		v := must(format.ParseValue(words[2]))
		switch words[0] {
		case "incr":
			c.Increment(words[1], v)
		case "set":
			c.Set(words[1], v)
		case "record":
			c.Record(words[1], v)
		case "delete":
			c.Delete(words[1])
		default:
			panic("what is " + change)
		}
	}
	return c
}

// expiring returns changes for a while only.
func expiring(ttl time.Duration, text string) *format.Changes {
	c := changesOf(text)
	c.TTL = ttl
	return c
}

// patiently makes changes that are stored at once, unless something is broken.
func patiently(dir string, changes *format.Changes) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return Update(ctx, dir, changes, patience, unconfigured)
}

func update(t testing.TB, dir, changes string) {
	t.Helper()
	noErr(t, patiently(dir, changesOf(changes)))
}

// checkTotal collects once, with a Collector of its own that changes nothing, and
// fails the test unless all is together what is written as "a: 1, b: 2".
func checkTotal(t testing.TB, dir, want string) *Collection {
	t.Helper()
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	collection := collect(t, c)
	if got := oneLine(collection.Total()); got != want {
		t.Errorf("the total is %q, want %q%s", got, want, describe(collection))
	}
	return collection
}

func oneLine(s *format.Snapshot) string {
	return strings.ReplaceAll(strings.TrimSuffix(text(s), "\n"), "\n", ", ")
}

// retainedText returns the lines about stats of this user's retained file.
func retainedText(t testing.TB, dir string) string {
	t.Helper()
	return document(&format.Document{Snapshot: retainedDoc(t, dir).Snapshot})
}

// keptFile is the path of this user's retained file.
func keptFile(dir string) string { return filepath.Join(dir, kept()[0]) }

// filesOf says what is in a directory, and in its files.
func filesOf(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range entries(t, dir) {
		path := filepath.Join(dir, name)
		info := stat(t, path)
		fmt.Fprintf(&b, "%s %+v\n", name, info)
		if info.mode.IsRegular() {
			fmt.Fprintf(&b, "%s\n", must(os.ReadFile(path)))
		}
	}
	return b.String()
}

// holdLock takes the lock on this user's retained file, which anybody who asks
// first gives back at the end of the test.
func holdLock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	lock, got, err := openTestDir(t, path).lockRetained(os.Geteuid())
	if err != nil || !got {
		t.Fatal(got, err)
	}
	unlock = sync.OnceFunc(func() { unlockRetained(lock) })
	t.Cleanup(unlock)
	return unlock
}

// A waiter is an Update that waits for a lock that the test holds.
type waiter struct {
	ended  chan struct{}
	err    error
	cancel func()
}

// startWaiting begins an Update, and returns when it has asked for the lock more
// than once.
func startWaiting(t *testing.T, dir string, changes *format.Changes) *waiter {
	t.Helper()
	opened := watchFor(t, unix.IN_OPEN, dir)
	ctx, cancel := context.WithCancel(t.Context())
	w := &waiter{ended: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(w.ended)
		w.err = Update(ctx, dir, changes, patience, unconfigured)
	}()
	t.Cleanup(func() { cancel(); await(t, "the Update ends", w.ended) })
	asked := 0
	eventually(t, "the Update waits", func() bool {
		for _, name := range opened() {
			if name == kept()[1] {
				asked++
			}
		}
		return asked > 1 || isClosed(w.ended)
	})
	if isClosed(w.ended) {
		t.Fatalf("it did not wait: %v", w.err)
	}
	return w
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// checkWaits fails the test unless an Update waits for the lock that the test
// holds, and changes nothing when it gives up.
func checkWaits(t *testing.T, dir string, changes *format.Changes) {
	t.Helper()
	before := filesOf(t, dir)
	w := startWaiting(t, dir, changes)
	w.cancel()
	await(t, "the Update gives up", w.ended)
	var pathError *fs.PathError
	if !errors.Is(w.err, ErrLocked) || !errors.As(w.err, &pathError) || pathError.Path != filepath.Join(dir, kept()[1]) {
		t.Errorf("Update: %v", w.err)
	}
	if after := filesOf(t, dir); after != before {
		t.Errorf("in the directory was\n%s\nand is\n%s", before, after)
	}
}

func TestUpdateIsPartOfTheNextCollection(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	f := func(changes, want string) {
		t.Helper()
		update(t, dir, changes)
		checkTotal(t, dir, want)
		if got := oneLine(tidied(t, c).Total()); got != want {
			t.Errorf("%q: the total is %q, want %q", changes, got, want)
		}
		checkEntries(t, dir, kept()...)
	}
	f("incr a 1", "a: 1")
	f("incr a 2, incr b 0.5", "a: 3, b: 0.5")
	f("set g 7", "a: 3, b: 0.5, g: 7")
	f("incr a -1, incr g 1", "a: 2, b: 0.5, g: 8")
	f("delete b", "a: 2, g: 8")
	f("delete g, incr g 1", "a: 2, g: 1")
	f("record d 3, record d 1", "a: 2, d.100th: 3, d.95th: 1, d.99th: 1, d.mean: 2.0, d.median: 1, g: 1")
	f("delete a, delete g, record d 8", "d.100th: 8, d.95th: 3, d.99th: 3, d.mean: 4.0, d.median: 1")
	f("delete d", "")
	f("", "")
}

func TestUpdateIsBesideWhatProgramsCount(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{n: 3})
	noErr(t, Retain(dir, tallied(4)))
	update(t, dir, "incr n 5, set g 6")
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	check := func(want string) {
		t.Helper()
		for _, collection := range []*Collection{tidied(t, c), collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience}))} {
			total := collection.Total()
			n, _ := total.Lookup("n")
			g, _ := total.Lookup("g")
			if got := fmt.Sprintf("n: %v, g: %v", n, g); got != want {
				t.Errorf("the total is %s, want %s", got, want)
			}
		}
	}
	check("n: 12, g: 11") // its gauge is 5
	noErr(t, p.Close())
	check("n: 12, g: 6")
	update(t, dir, "delete n")
	check("n: 0, g: 6")
}

// What a file says is what is read of it: kinds, samples and times.
func TestUpdateInTheRetainedFile(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	first := changesOf("incr a 1, set g 2.5, record d 3, record d 4")
	noErr(t, patiently(dir, first))
	const later = time.Minute
	second := expiring(later, "incr a 1, incr b 1")
	noErr(t, patiently(dir, second))
	const want = `statvent: 1
counter a: 2
counter b: 1
distribution d.{0}: 2
sum d.{0}: 7
label median d.{0}: 50
label 95th d.{0}: 95
label 99th d.{0}: 99
label 100th d.{0}: 100
label mean d.{0}: -1
sample d.{0}: 3
sample d.{0}: 4
gauge g: 2.5
end 13: 4
`
	if got := retainedText(t, dir); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	in := func(changes *format.Changes) format.Emitted {
		e := format.Emitted{At: changes.At.Truncate(time.Microsecond)}
		if changes.TTL != 0 {
			e.Expires = changes.At.Add(changes.TTL).Truncate(time.Microsecond)
		}
		return e
	}
	marks := map[string]format.Emitted{"a": in(second), "b": in(second), "d.{0}": in(first), "g": in(first)}
	checkMarks := func() {
		t.Helper()
		s := find(t, checkTotal(t, dir, oneLine(retainedDoc(t, dir).Snapshot)), "retained-"+strconv.Itoa(os.Geteuid()))
		equal := func(a, b format.Emitted) bool { return a.At.Equal(b.At) && a.Expires.Equal(b.Expires) }
		if !maps.EqualFunc(s.Emitted, marks, equal) || s.State != Retained || s.Err != nil {
			t.Errorf("the source is %+v, want %v", s, marks)
		}
	}
	checkMarks()
	// One without an end ends it.
	third := changesOf("incr a 1, set g 1")
	noErr(t, patiently(dir, third))
	marks["a"], marks["g"] = in(third), in(third)
	checkMarks()
	// What else is folded leaves the times alone.
	noErr(t, Retain(dir, &format.Snapshot{Stats: []format.Stat{{Name: "a", Kind: format.Counter, Value: format.Int(7)}}}))
	checkMarks()
	update(t, dir, "delete a")
	delete(marks, "a")
	checkMarks()
}

func TestUpdateMakesTheDirectory(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(memoryDir(t), "a", "b")
	update(t, dir, "set g 1")
	checkTotal(t, dir, "g: 1")
	if info := must(os.Stat(dir)); info.Mode() != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("its mode is %v", info.Mode())
	}
	for i, want := range []fs.FileMode{0o644, 0o600} {
		if got := stat(t, filepath.Join(dir, kept()[i])).mode; got != want {
			t.Errorf("the mode of %s is %v, want %v", kept()[i], got, want)
		}
	}
	// It is the one that the environment names.
	t.Setenv(DirVariable, dir)
	update(t, "", "set g 2")
	checkTotal(t, dir, "g: 2")
}

func TestUpdateFollowsNoLinkAndWritesToNoFile(t *testing.T) {
	noLeaks(t)
	base := memoryDir(t)
	target, link, file := filepath.Join(base, "target"), filepath.Join(base, "link"), filepath.Join(base, "file")
	noErr(t, os.Mkdir(target, 0o755))
	noErr(t, os.Symlink(target, link))
	writeFile(t, file, "text")
	for _, changes := range []string{"incr a 1", "set a 1", ""} {
		if err := patiently(link, changesOf(changes)); !errors.Is(err, ErrSymlink) || !strings.Contains(err.Error(), link) {
			t.Errorf("%q: %v", changes, err)
		}
		if err := patiently(file, changesOf(changes)); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", changes, err)
		}
	}
	checkEntries(t, target)
	if got := string(must(os.ReadFile(file))); got != "text" {
		t.Errorf("the file has become %q", got)
	}
}

// Nobody rewrites the file when the time of a stat is over, and whoever has read
// it before knows.
func TestStatsExpireForWhoHasReadThem(t *testing.T) {
	noLeaks(t)
	for _, d := range append([]damage{{what: "an unchanged file"}}, torn...) {
		t.Run(d.what, func(t *testing.T) {
			const all, left = "a: 1, b: 5, x: 2, y: 3, z.100th: 4, z.95th: 4, z.99th: 4, z.mean: 4.0, z.median: 4", "a: 1, b: 5"
			var over time.Time // as the file says
			see := func(c *Collector) bool {
				t.Helper()
				before := time.Now()
				collection := collect(t, c)
				after := time.Now()
				got := oneLine(collection.Total())
				s := find(t, collection, "retained-"+strconv.Itoa(os.Geteuid()))
				if got == left && !after.Before(over) && len(s.Emitted) == 2 {
					return true
				}
				if got != all || !before.Before(over) || len(s.Emitted) != 5 {
					t.Fatalf("%v before the time is over, the total is %q, with the times %v", over.Sub(after), got, s.Emitted)
				}
				return false
			}
			begin := func(ttl time.Duration) (dir string, c *Collector) {
				dir = memoryDir(t)
				update(t, dir, "incr a 1")
				short := expiring(ttl, "incr x 2, set y 3, record z 4")
				noErr(t, patiently(dir, short))
				noErr(t, patiently(dir, expiring(time.Hour, "set b 5")))
				over = short.At.Add(short.TTL).Truncate(time.Microsecond)
				return dir, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
			}
			ttl := 300 * time.Millisecond
			dir, c := begin(ttl)
			for see(c) { // that was too late
				ttl *= 2
				dir, c = begin(ttl)
			}
			fresh := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
			if d.do != nil {
				whole := string(must(os.ReadFile(keptFile(dir))))
				noErr(t, os.Remove(keptFile(dir)))
				d.do(t, keptFile(dir), whole)
			}
			before := filesOf(t, dir)
			eventually(t, "the time is over", func() bool { return see(c) })
			if d.do == nil {
				eventually(t, "the time is over for somebody else", func() bool { return see(fresh) })
			}
			tidied(t, c)
			if after := filesOf(t, dir); after != before {
				t.Errorf("in the directory was\n%s\nand is\n%s", before, after)
			}
		})
	}
}

func TestNextRewriteDropsWhatHasExpired(t *testing.T) {
	noLeaks(t)
	past := func() *format.Changes { // changes that are over already
		c := expiring(time.Second, "incr x 2, set y 3, record z 4")
		c.At = c.At.Add(-time.Minute)
		return c
	}
	for what, rewrite := range map[string]func(dir string) error{
		"an Update": func(dir string) error { return patiently(dir, changesOf("incr a 1")) },
		"a fold": func(dir string) error {
			return Retain(dir, &format.Snapshot{Stats: []format.Stat{{Name: "a", Kind: format.Counter, Value: format.Int(1)}}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := memoryDir(t)
			noErr(t, patiently(dir, past()))
			checkTotal(t, dir, "")
			if got := string(must(os.ReadFile(keptFile(dir)))); !strings.Contains(got, "counter x: 2\n") {
				t.Errorf("the file is %s", got)
			}
			noErr(t, rewrite(dir))
			checkTotal(t, dir, "a: 1")
			for _, line := range []string{" x: ", " y: ", " z."} {
				if got := string(must(os.ReadFile(keptFile(dir)))); strings.Contains(got, line) {
					t.Errorf("the file is %s", got)
				}
			}
		})
	}
	// What has expired is not what changes are made to.
	dir := memoryDir(t)
	noErr(t, patiently(dir, past()))
	update(t, dir, "incr x 1, incr y 1")
	if got := retainedText(t, dir); got != "statvent: 1\ncounter x: 1\ncounter y: 1\nend 3: 2\n" {
		t.Errorf("it says %s", got)
	}
}

// What only counts is stored while somebody else has the lock, and is part of
// every collection.
func TestUpdateThatCountsDoesNotWait(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	update(t, dir, "incr a 1, set g 2, record d 3")
	noErr(t, patiently(dir, expiring(time.Hour, "incr x 1")))
	before := string(must(os.ReadFile(keptFile(dir))))
	unlock := holdLock(t, dir)
	counting := changesOf("incr a 2, incr b 3.5")
	noErr(t, patiently(dir, counting))
	update(t, dir, "incr d 4, incr a 0")
	finals := slices.DeleteFunc(entries(t, dir), func(name string) bool { return slices.Contains(kept(), name) })
	if len(finals) != 2 {
		t.Errorf("beside the file are %q", finals)
	}
	for _, name := range finals {
		doc, info, err := openTestDir(t, dir).readTypedFile(name, Limits{}.withDefaults(), nil)
		noErr(t, err)
		if !strings.HasPrefix(name, "."+ownStem()+".") || doc.PID != os.Getpid() || doc.ID == "" || name != typedName(ownStem(), doc.ID) || info.mode != 0o644 {
			t.Errorf("beside the file is %s %+v: %+v", name, info, doc)
		}
	}
	const want = "a: 3, b: 3.5, d: 4, d.100th: 3, d.95th: 3, d.99th: 3, d.mean: 3.0, d.median: 3, g: 2, x: 1"
	checkTotal(t, dir, want)
	if after := string(must(os.ReadFile(keptFile(dir)))); after != before {
		t.Errorf("the file was %s\nand is %s", before, after)
	}
	// They are folded when the lock is free.
	unlock()
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	for range 2 {
		if got := oneLine(tidied(t, c).Total()); got != want {
			t.Errorf("the total is %q, want %q", got, want)
		}
	}
	checkEntries(t, dir, kept()...)
	checkTotal(t, dir, want)
	doc := retainedDoc(t, dir)
	if got := doc.Emitted["b"]; !got.At.Equal(counting.At.Truncate(time.Microsecond)) || !got.Expires.IsZero() {
		t.Errorf("the times of b are %v, it was made at %v", got, counting.At)
	}
	if got := doc.Emitted["x"]; got.Expires.IsZero() {
		t.Errorf("the times of x are %v", got)
	}
}

func TestNextUpdateFoldsWhatWasStoredBeside(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	unlock := holdLock(t, dir)
	for range 3 {
		update(t, dir, "incr a 1")
	}
	unlock()
	update(t, dir, "incr b 1")
	checkEntries(t, dir, kept()...)
	checkTotal(t, dir, "a: 3, b: 1")
}

func TestUpdateOfMoreThanCountersWaitsForTheLock(t *testing.T) {
	for _, changes := range []string{
		"set a 1", "incr a -1", "incr new -1", "record d 1", "delete a", "delete nothing",
		"incr a 1, set b 1", "delete a, incr a 1", "incr a 1, record d 1",
	} {
		t.Run(changes, func(t *testing.T) {
			noLeaks(t)
			dir := memoryDir(t)
			update(t, dir, "incr a 5")
			unlock := holdLock(t, dir)
			checkWaits(t, dir, changesOf(changes))
			checkTotal(t, dir, "a: 5")
			unlock()
			checkTotal(t, dir, "a: 5") // nor later
		})
	}
	t.Run("an end", func(t *testing.T) {
		noLeaks(t)
		dir := memoryDir(t)
		update(t, dir, "incr a 5")
		holdLock(t, dir)
		checkWaits(t, dir, expiring(time.Hour, "incr a 1"))
		checkTotal(t, dir, "a: 5")
	})
}

// Beside the file an increment would not do what it says.
func TestIncrementOfWhatIsMoreThanACounterWaitsForTheLock(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	update(t, dir, "incr a 5, set g 6")
	noErr(t, patiently(dir, expiring(time.Hour, "incr x 7")))
	unlock := holdLock(t, dir)
	const before = "a: 5, g: 6, x: 7"
	for _, changes := range []string{"incr g 1", "incr x 1", "incr a 1, incr g 1", "incr a 1, incr x 1"} {
		checkWaits(t, dir, changesOf(changes))
		checkTotal(t, dir, before)
	}
	// When the lock is free they are stored.
	w := startWaiting(t, dir, changesOf("incr a 1, incr g 1, incr x 1"))
	unlock()
	await(t, "the Update ends", w.ended)
	noErr(t, w.err)
	checkTotal(t, dir, "a: 6, g: 7, x: 8")
	if kind := retainedDoc(t, dir).Snapshot.Stats[1].Kind; kind != format.Gauge {
		t.Errorf("g has become a %v", kind)
	}
}

// What has expired is nothing that an increment is added to.
func TestIncrementOfWhatHasExpiredDoesNotWait(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	past := expiring(time.Second, "incr x 5, set y 6")
	past.At = past.At.Add(-time.Minute)
	noErr(t, patiently(dir, past))
	unlock := holdLock(t, dir)
	update(t, dir, "incr x 1, incr y 2")
	checkTotal(t, dir, "x: 1, y: 2")
	unlock()
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	checkTotal(t, dir, "x: 1, y: 2")
	checkEntries(t, dir, kept()...)
	if got := retainedText(t, dir); got != "statvent: 1\ncounter x: 1\ncounter y: 2\nend 3: 2\n" {
		t.Errorf("it says %s", got)
	}
}

func TestUpdateIsStoredWhenTheLockIsFree(t *testing.T) {
	for changes, want := range map[string]string{
		"set a 1":            "a: 1, b: 1",
		"incr a -1":          "a: 4, b: 1",
		"delete a":           "b: 1",
		"record a 2":         "a: 5, a.100th: 2, a.95th: 2, a.99th: 2, a.mean: 2.0, a.median: 2, b: 1",
		"incr a 1, set g 2":  "a: 6, b: 1, g: 2",
		"delete b, set b 20": "a: 5, b: 20",
	} {
		t.Run(changes, func(t *testing.T) {
			noLeaks(t)
			dir := memoryDir(t)
			update(t, dir, "incr a 5")
			unlock := holdLock(t, dir)
			w := startWaiting(t, dir, changesOf(changes))
			checkTotal(t, dir, "a: 5")
			update(t, dir, "incr b 1") // meanwhile, beside
			unlock()
			await(t, "the Update ends", w.ended)
			noErr(t, w.err)
			checkTotal(t, dir, want)
			checkEntries(t, dir, kept()...)
		})
	}
}

// It tries at least once.
func TestUpdateWithoutTime(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	noErr(t, Update(ctx, dir, changesOf("set a 1"), patience, unconfigured))
	checkTotal(t, dir, "a: 1")
	holdLock(t, dir)
	if err := Update(ctx, dir, changesOf("set a 2"), patience, unconfigured); !errors.Is(err, ErrLocked) {
		t.Errorf("Update: %v", err)
	}
	noErr(t, Update(ctx, dir, changesOf("incr b 1"), patience, unconfigured))
	checkTotal(t, dir, "a: 1, b: 1")
}

// putCounter makes the final of a program that has counted so much.
func putCounter(t testing.TB, dir, name string, n int64) {
	t.Helper()
	id := newID()
	doc := &format.Document{ID: id, PID: 1, Snapshot: &format.Snapshot{Stats: []format.Stat{{Name: name, Kind: format.Counter, Value: format.Int(n)}}}}
	writeFile(t, filepath.Join(dir, typedName("1", id)), document(doc))
}

// What has ended before the changes is added before them, in the same rewrite.
func TestUpdateFoldsFinalsBeforeTheChanges(t *testing.T) {
	f := func(before, changes, want string) {
		t.Helper()
		t.Run(changes, func(t *testing.T) {
			noLeaks(t)
			dir := memoryDir(t)
			update(t, dir, before)
			putCounter(t, dir, "a", 5)
			putCounter(t, dir, "a", 6)
			putCounter(t, dir, "b", 7)
			moved := watchFor(t, unix.IN_MOVED_TO, dir)
			update(t, dir, changes)
			if names := moved(); !slices.Equal(names, kept()[:1]) {
				t.Errorf("written are %q", names)
			}
			checkEntries(t, dir, kept()...)
			checkTotal(t, dir, want)
			if doc := retainedDoc(t, dir); len(doc.Folded) != 3 {
				t.Errorf("noted are %q", doc.Folded)
			}
			update(t, dir, "incr z 0")
			checkTotal(t, dir, want+", z: 0")
			if doc := retainedDoc(t, dir); len(doc.Folded) != 0 {
				t.Errorf("noted are %q, which are gone", doc.Folded)
			}
		})
	}
	f("incr a 1", "incr a 1", "a: 13, b: 7")
	f("incr a 1", "incr a -1", "a: 11, b: 7")
	f("incr a 1", "set a 2", "a: 2, b: 7")
	f("incr c 1", "set a 2, incr a 1", "a: 3, b: 7, c: 1")
	f("incr a 1", "delete a", "b: 7")
	f("incr a 1", "delete a, incr a 2", "a: 2, b: 7")
	f("incr c 1", "incr c 1", "a: 11, b: 7, c: 2")
}

// A name that is a gauge stays one, whatever programs count under it.
func TestFinalOfACounterThatIsKeptAsAGauge(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	update(t, dir, "set a 2")
	check := func(want string) {
		t.Helper()
		collection := checkTotal(t, dir, want)
		total := collection.Total()
		if len(total.Stats) == 0 || total.Stats[0].Kind != format.Gauge {
			t.Errorf("the stats are %+v", total.Stats)
		}
	}
	putCounter(t, dir, "a", 5)
	check("a: 2")
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	check("a: 2")
	update(t, dir, "incr a 1")
	check("a: 3")
	// One that was stored beside before somebody set it.
	unlock := holdLock(t, dir)
	update(t, dir, "incr b 5")
	retained := retainedDoc(t, dir)
	noErr(t, changesOf("set b 1").Apply(retained))
	noErr(t, openTestDir(t, dir).putFile(kept()[0], os.Geteuid(), []byte(document(retained))))
	unlock()
	check("a: 3, b: 1")
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	checkEntries(t, dir, kept()...)
	check("a: 3, b: 1")
	update(t, dir, "incr b -2")
	check("a: 3, b: -1")
}

// The end of a stat is that which it had, whenever it is counted.
func TestFinalOfWhatHasAnEnd(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	noErr(t, patiently(dir, expiring(time.Hour, "incr a 1")))
	expires := retainedDoc(t, dir).Emitted["a"].Expires
	putCounter(t, dir, "a", 5)
	noErr(t, fold(t, dir, os.Geteuid(), nil))
	checkTotal(t, dir, "a: 6")
	if got := retainedDoc(t, dir).Emitted["a"].Expires; !got.Equal(expires) || got.IsZero() {
		t.Errorf("it expires at %v, was at %v", got, expires)
	}
}

func TestUpdateBesideADamagedRetainedFile(t *testing.T) {
	for _, d := range append(slices.Concat(planted, torn), plantedFIFO) {
		t.Run(d.what, func(t *testing.T) {
			noLeaks(t)
			name := retainedName(os.Geteuid())
			checkUntouched(t, d, name, func(dir string) {
				var before []byte
				if stat(t, keptFile(dir)).mode.IsRegular() {
					before = must(os.ReadFile(keptFile(dir)))
				}
				update(t, dir, "incr a 1")
				update(t, dir, "incr a 2, incr b 3")
				left := entries(t, dir)
				for _, changes := range []string{"set a 1", "incr a -1", "record d 1", "delete a", "incr a 1, set b 2"} {
					if err := patiently(dir, changesOf(changes)); err == nil || errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), keptFile(dir)) {
						t.Errorf("%q: %v", changes, err)
					}
				}
				if err := patiently(dir, expiring(time.Hour, "incr a 1")); err == nil || !strings.Contains(err.Error(), keptFile(dir)) {
					t.Errorf("with an end: %v", err)
				}
				checkEntries(t, dir, left...)
				checkTotal(t, dir, "a: 3, b: 3")
				if stat(t, keptFile(dir)).mode.IsRegular() && !bytes.Equal(must(os.ReadFile(keptFile(dir))), before) {
					t.Errorf("it was %q and is %q", before, must(os.ReadFile(keptFile(dir))))
				}
			})
		})
	}
}

// A rewrite that nobody could read isn't made.
func TestUpdateOfAFullRetainedFile(t *testing.T) {
	check := func(what string, lower func(size int) Limits) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			defer func() { unconfigured = Limits{} }()
			dir := memoryDir(t)
			update(t, dir, "incr a 1, set b 2")
			before := filesOf(t, dir)
			unconfigured = lower(len(must(os.ReadFile(keptFile(dir)))))
			for _, changes := range []string{"set other 1", "incr other 1", "set a 3, set other 1"} {
				if err := patiently(dir, changesOf(changes)); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), keptFile(dir)) {
					t.Errorf("%q: %v", changes, err)
				}
				if after := filesOf(t, dir); after != before {
					t.Errorf("%q: in the directory was\n%s\nand is\n%s", changes, before, after)
				}
			}
			update(t, dir, "incr a 1, set b 3")
			checkTotal(t, dir, "a: 2, b: 3")
			update(t, dir, "delete b, incr o 1") // there is room for that
			checkTotal(t, dir, "a: 2, o: 1")
		})
	}
	check("stats", func(int) Limits { return Limits{MaxRetainedStats: 2} })
	check("bytes", func(size int) Limits { return Limits{MaxRetainedBytes: size + 20} }) // times have more digits or less
}

// What has ended counts where it is until there is room for it.
func TestUpdateOfAFullRetainedFileBesideFinals(t *testing.T) {
	noLeaks(t)
	defer func() { unconfigured = Limits{} }()
	dir := memoryDir(t)
	update(t, dir, "incr a 1, set b 2")
	doc := retainedDoc(t, dir)
	doc.Folded = []string{someID} // which is in it
	writeFile(t, keptFile(dir), document(doc))
	noted := writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 1000))
	putCounter(t, dir, "c", 5)
	unconfigured.MaxRetainedStats = 2
	checkTotal(t, dir, "a: 1, b: 2, c: 5")
	update(t, dir, "incr a 1, set b 3")
	checkTotal(t, dir, "a: 2, b: 3, c: 5")
	if len(entries(t, dir)) != 3 || exists(noted) {
		t.Errorf("in the directory are %q", entries(t, dir))
	}
	if err := patiently(dir, changesOf("set d 1")); !errors.Is(err, ErrFull) {
		t.Errorf("Update: %v", err)
	}
	checkTotal(t, dir, "a: 2, b: 3, c: 5")
	update(t, dir, "delete b")
	checkTotal(t, dir, "a: 2, c: 5")
	checkEntries(t, dir, kept()...)
}

func TestUpdateMakesNothingInfinite(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	update(t, dir, "incr a 1e308, set b 2")
	before := filesOf(t, dir)
	check := func(want error) {
		t.Helper()
		for _, changes := range []string{"incr a inf", "set a nan", "set b 3, incr a -inf", "incr c 1e308, incr c 1e308"} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := Update(ctx, dir, changesOf(changes), patience, unconfigured); !errors.Is(err, want) {
				t.Errorf("%q: %v", changes, err)
			}
			if after := filesOf(t, dir); after != before {
				t.Errorf("%q: in the directory was\n%s\nand is\n%s", changes, before, after)
			}
		}
	}
	check(format.ErrInfinite)
	if err := patiently(dir, changesOf("incr a 1e308")); !errors.Is(err, format.ErrInfinite) {
		t.Errorf("Update: %v", err)
	}
	unlock := holdLock(t, dir)
	check(ErrLocked) // none of them is left beside the file
	unlock()
	checkEntries(t, dir, kept()...)
	checkTotal(t, dir, "a: 1e+308, b: 2")
	putCounter(t, dir, "b", 1)
	if err := patiently(dir, changesOf("set a inf")); !errors.Is(err, format.ErrInfinite) {
		t.Errorf("beside a final: %v", err)
	}
	update(t, dir, "set a 1")
	checkTotal(t, dir, "a: 1, b: 2")
	checkEntries(t, dir, kept()...)
}

// Beside the file nobody would read more stats or bytes than one source may have.
func TestUpdateOfVeryManyCountersWaitsForTheLock(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	counted := func(name string, n int) *format.Changes {
		c := changesOf("")
		for i := range n {
			c.Increment(name+strconv.Itoa(i), format.Int(1))
		}
		return c
	}
	update(t, dir, "incr z 1")
	holdLock(t, dir)
	checkWaits(t, dir, counted("a", format.DefaultMaxStats+1))
	const long = 60_000 // bytes of a name, which comes twice
	checkWaits(t, dir, counted(strings.Repeat("a", long), DefaultMaxBytes/long/2+1))
	noErr(t, patiently(dir, counted("b", format.DefaultMaxStats)))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: Limits{MaxHostStats: 1_000_000}})
	if n := len(collect(t, c).Total().Stats); n != 1+format.DefaultMaxStats {
		t.Errorf("there are %d stats, want %d", n, 1+format.DefaultMaxStats)
	}
}

func TestUpdateOnAFullDiskChangesNothing(t *testing.T) {
	runInOwnMounts(t, "update-full-disk", t.TempDir())
}

// helpUpdateFullDisk updates in file systems that have no room for one more file,
// and none for its text.
func helpUpdateFullDisk(args []string) error {
	dir := args[0]
	if err := mountSmall(dir); err != nil {
		return err
	}
	if err := checkFullDisk(dir, func() error { return fillDisk(dir) }); err != nil {
		return fmt.Errorf("no files left: %w", err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=128k,mode=1777"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	fill := func() error {
		err := os.WriteFile(filepath.Join(dir, "filler-0"), make([]byte, 1<<20), 0o644)
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("it isn't full: %w", err)
		}
		return nil
	}
	if err := checkFullDisk(dir, fill); err != nil {
		return fmt.Errorf("no bytes left: %w", err)
	}
	return nil
}

func checkFullDisk(dir string, fill func() error) error {
	check := func(when, want string) error {
		c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience})
		defer c.Close()
		collection, err := c.Collect(context.Background())
		if err != nil {
			return err
		}
		if got := oneLine(collection.Total()); got != want {
			return fmt.Errorf("%s the total is %q, want %q", when, got, want)
		}
		return nil
	}
	if err := patiently(dir, changesOf("incr a 1, set b 2")); err != nil {
		return err
	}
	before := must(os.ReadFile(keptFile(dir)))
	if err := fill(); err != nil {
		return err
	}
	names := must(filepath.Glob(filepath.Join(dir, ".*")))
	for _, changes := range []string{"set a 1", "incr b 1", "incr a 1", "record d 1", "delete a", "incr a 1, set b 1"} {
		var pathError *fs.PathError
		if err := patiently(dir, changesOf(changes)); !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &pathError) {
			return fmt.Errorf("%s: %w", changes, err)
		}
		if after := must(os.ReadFile(keptFile(dir))); !bytes.Equal(after, before) {
			return fmt.Errorf("%s: the file was %q and is %q", changes, before, after)
		}
		if left := must(filepath.Glob(filepath.Join(dir, ".*"))); !slices.Equal(left, names) {
			return fmt.Errorf("%s: it left %q", changes, left)
		}
	}
	if err := checkFullDiskLocked(dir); err != nil {
		return err
	}
	if err := check("on the full disk", "a: 1, b: 2"); err != nil {
		return err
	}
	for _, name := range must(filepath.Glob(filepath.Join(dir, "filler-*"))) {
		_ = os.Remove(name)
	}
	if err := patiently(dir, changesOf("incr a 1, set b 3")); err != nil {
		return err
	}
	return check("when there is room", "a: 2, b: 3")
}

// checkFullDiskLocked increments while another has the lock, for which it is of no
// use to wait.
func checkFullDiskLocked(dir string) error {
	d, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer d.close()
	lock, got, err := d.lockRetained(os.Geteuid())
	if err != nil || !got {
		return fmt.Errorf("the lock: %v, %w", got, err)
	}
	defer unlockRetained(lock)
	if err := patiently(dir, changesOf("incr a 1")); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("with the lock held: %w", err)
	}
	return nil
}

// What is stored is done, whatever else could not be.
func TestUpdateThatCannotRemoveAFinal(t *testing.T) {
	runInOwnMounts(t, "update-busy", t.TempDir())
}

// helpUpdateBusy updates where a final can't be removed, because something is
// mounted there.
func helpUpdateBusy(args []string) error {
	dir := args[0]
	if err := mountSmall(dir); err != nil {
		return err
	}
	final := filepath.Join(dir, typedName("1", someID))
	if err := os.WriteFile(final, []byte(finalOf(someID, 5)), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(final, final, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := Retain(dir, tallied(1)); err != nil {
		return err
	}
	for i := range 3 {
		if err := patiently(dir, changesOf("incr a 1, set g 1")); err != nil {
			return err
		}
		c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience})
		collection, err := c.Collect(context.Background())
		c.Close()
		if err != nil {
			return err
		}
		a, _ := collection.Total().Lookup("a")
		if n, err := countOf(collection.Total()); n != 6 || a != format.Int(int64(i+1)) || err != nil {
			return fmt.Errorf("counted are %d and %v, %w:%s", n, a, err, describe(collection))
		}
	}
	if !exists(final) {
		return errors.New("the final was removed: this shows nothing")
	}
	return nil
}

// helpUpdate makes changes, as nobody if that is asked for, and says of each how
// that went.
func helpUpdate(args []string) error {
	if args[1] == "nobody" {
		if err := dropRights(); err != nil {
			return err
		}
	}
	for _, changes := range args[2:] {
		if err := patiently(args[0], changesOf(changes)); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("stored")
		}
	}
	return nil
}

// updateAs makes changes as that user, and returns how each of them went.
func updateAs(t *testing.T, dir, user string, changes ...string) []string {
	t.Helper()
	cmd := helperCommand(t, "update", append([]string{dir, user}, changes...)...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	noErr(t, cmd.Start())
	awaitEnd(t, cmd, &output)
	said := strings.Split(strings.TrimSuffix(output.String(), "\n"), "\n")
	if len(said) != len(changes) {
		t.Fatalf("%q went %q", changes, said)
	}
	return said
}

func TestEachUserHasStatsOfTheirOwn(t *testing.T) {
	needsRoot(t, "it takes two users")
	noLeaks(t)
	dir := worldDir(t)
	update(t, dir, "incr a 1, set g 2")
	if said := updateAs(t, dir, "nobody", "incr a 10, set g 20", "incr g -1"); !slices.Equal(said, []string{"stored", "stored"}) {
		t.Errorf("it went %q", said)
	}
	checkEntries(t, dir, append(kept(), retainedName(nobody), retainedLockName(nobody))...)
	for name, mode := range map[string]fs.FileMode{retainedName(nobody): 0o644, retainedLockName(nobody): 0o600} {
		if info := stat(t, filepath.Join(dir, name)); info.uid != nobody || info.mode != mode {
			t.Errorf("%s is %+v", name, info)
		}
	}
	collection := checkTotal(t, dir, "a: 11, g: 21")
	for name, want := range map[string]string{"retained-0": "a: 1\ng: 2\n", "retained-65534": "a: 10\ng: 19\n"} {
		if s := find(t, collection, name); text(s.Snapshot) != want || len(s.Emitted) != 2 {
			t.Errorf("%s has %q, with the times %v", name, text(s.Snapshot), s.Emitted)
		}
	}
	update(t, dir, "delete a, delete g")
	checkTotal(t, dir, "a: 10, g: 19")
}

// What somebody else has planted holds up nobody who only counts, and says what
// it is to others.
func TestUpdateBesideWhatAnotherUserHasPlanted(t *testing.T) {
	needsRoot(t, "it takes two users")
	const stranger = 1
	thousand := document(&format.Document{Snapshot: &format.Snapshot{Stats: []format.Stat{{Name: "a", Kind: format.Counter, Value: format.Int(1000)}}}})
	check := func(name, text string, owner, perm int, why string) {
		t.Run(fmt.Sprintf("%s of %d, %#o", name, owner, perm), func(t *testing.T) {
			noLeaks(t)
			dir := worldDir(t)
			path := writeFile(t, filepath.Join(dir, name), text)
			noErr(t, os.Chmod(path, fs.FileMode(perm)))
			noErr(t, os.Chown(path, owner, -1))
			before := stat(t, path)
			said := updateAs(t, dir, "nobody", "incr a 1", "set a 5", "incr a 2, incr b 3", "delete a", "record d 1")
			for i, line := range said {
				isCounted := i == 0 || i == 2
				if isCounted != (line == "stored") || !isCounted && (!strings.Contains(line, path) || !strings.Contains(line, why)) {
					t.Errorf("number %d went %q", i, line)
				}
			}
			if after := stat(t, path); after != before || string(must(os.ReadFile(path))) != text {
				t.Errorf("it was %+v and is %+v", before, after)
			}
			const want = "a: 3, b: 3"
			checkTotal(t, dir, want)
			// Root removes it, and folds.
			c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
			for range 2 {
				if got := oneLine(tidied(t, c).Total()); got != want {
					t.Errorf("the total is %q, want %q", got, want)
				}
			}
			checkEntries(t, dir, retainedName(nobody), retainedLockName(nobody))
			if said := updateAs(t, dir, "nobody", "set a 5"); said[0] != "stored" {
				t.Errorf("then it went %q", said)
			}
			checkTotal(t, dir, "a: 5, b: 3")
		})
	}
	check(retainedName(nobody), thousand, stranger, 0o644, "belongs to user 1")
	check(retainedName(nobody), thousand, 0, 0o644, "belongs to user 0")
	check(retainedName(nobody), thousand, stranger, 0o600, "belongs to user 1")
	check(retainedLockName(nobody), "", stranger, 0o600, "permission denied")
	check(retainedLockName(nobody), "", stranger, 0o644, "somebody else has made it")
	check(retainedLockName(nobody), "", 0, 0o644, "somebody else has made it")
	check(retainedLockName(nobody), "", stranger, 0o666, "others than its owner may write it")
}

// Root removes what another user has planted for it.
func TestUpdateOfRootIsStoredWhateverIsPlanted(t *testing.T) {
	needsRoot(t, "it takes two users")
	for _, name := range kept() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			dir := worldDir(t)
			text := document(&format.Document{Snapshot: &format.Snapshot{Stats: []format.Stat{{Name: "a", Kind: format.Counter, Value: format.Int(1000)}}}})
			noErr(t, os.Chown(writeFile(t, filepath.Join(dir, name), text), nobody, -1))
			update(t, dir, "set a 1")
			checkTotal(t, dir, "a: 1")
			for _, name := range kept() {
				if info := stat(t, filepath.Join(dir, name)); info.uid != 0 {
					t.Errorf("%s is %+v", name, info)
				}
			}
		})
	}
}

// updateOften makes many changes, and returns an error if one fails.
func updateOften(dir, own string, rounds int) error {
	for i := range rounds {
		for _, changes := range []string{
			"incr n 1, incr " + own + " 1",
			"incr n 1, incr " + own + " 1, record d 1, incr ups 2, incr ups -1",
			fmt.Sprintf("set last.%s %d", own, i+1),
			"incr n 1",
		} {
			if err := patiently(dir, changesOf(changes)); err != nil {
				return fmt.Errorf("%s: %w", changes, err)
			}
		}
	}
	return nil
}

// checkOften fails the test unless so many updaters have all made their changes.
func checkOften(t *testing.T, dir string, updaters, rounds int) {
	t.Helper()
	want := map[string]string{"n": strconv.Itoa(3 * updaters * rounds), "ups": strconv.Itoa(updaters * rounds)}
	for i := range updaters {
		want[fmt.Sprintf("own%d", i)] = strconv.Itoa(2 * rounds)
		want[fmt.Sprintf("last.own%d", i)] = strconv.Itoa(rounds)
	}
	total := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})).Total()
	for _, stat := range total.Stats {
		switch {
		case stat.Dist != nil && (stat.Name != "d.{0}" || stat.Dist.Count != int64(updaters*rounds) || stat.Dist.Sum != format.Int(stat.Dist.Count)):
			t.Errorf("%s has %d values with the sum %v", stat.Name, stat.Dist.Count, stat.Dist.Sum)
		case stat.Dist == nil && want[stat.Name] != stat.Value.String():
			t.Errorf("%s is %v, want %s", stat.Name, stat.Value, want[stat.Name])
		}
		delete(want, stat.Name)
	}
	if len(want) > 0 || len(total.Conflicts) > 0 {
		t.Errorf("missing are %v, and %v", want, total.Conflicts)
	}
}

func TestUpdatesAtOnceLoseAndDoubleNothing(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const atOnce = 8
	rounds := scaled(50)
	together(t, atOnce, func(i int) error { return updateOften(dir, fmt.Sprintf("own%d", i), rounds) })
	checkOften(t, dir, atOnce, rounds)
}

// Whoever has the lock looks once more when giving it up, and whoever could not
// get it tries once more.
func TestNoIncrementStaysBesideTheFile(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const atOnce = 4
	rounds := scaled(500)
	for range rounds {
		began := time.Now()
		together(t, atOnce, func(int) error { return patiently(dir, changesOf("incr a 1")) })
		if time.Since(began) < foldingTime { // nobody has lost patience
			checkEntries(t, dir, kept()...)
		}
	}
	checkTotal(t, dir, fmt.Sprintf("a: %d", atOnce*rounds))
}

// helpUpdateMany is updateOften when it is told to.
func helpUpdateMany(args []string) error {
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return updateOften(args[0], args[1], must(strconv.Atoi(args[2])))
}

func TestUpdatesOfProcessesAtOnceLoseAndDoubleNothing(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const atOnce = 4
	rounds := scaled(50)
	var running []*helper
	for i := range atOnce {
		running = append(running, startHelper(t, "update-many", dir, fmt.Sprintf("own%d", i), strconv.Itoa(rounds)))
	}
	for _, h := range running {
		_ = h.stdin.Close() // go
	}
	for _, h := range running {
		h.end(t)
	}
	checkOften(t, dir, atOnce, rounds)
}

// helpUpdateCrash adds 1 to n and to m again and again, half of the times with what
// can't be stored beside, and writes a line each time that is done.
func helpUpdateCrash(args []string) error {
	fmt.Println("ready")
	for i := 0; ; i++ {
		changes := "incr n 1, incr m 1"
		if i%2 == 0 {
			changes += ", record d 1, incr up 2, incr up -1, set g 1"
		}
		if err := patiently(args[0], changesOf(changes)); err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString("\n"); err != nil {
			return err
		}
	}
}

// watchBlocking returns a function that waits until something has happened in the
// directory since, and says how much.
func watchBlocking(t *testing.T, dir string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skipf("needs inotify: %v", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { _ = events.Close() })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_ALL_EVENTS); err != nil {
		t.Fatal(err)
	}
	return func() int {
		_ = events.SetReadDeadline(time.Now().Add(patience))
		n, err := events.Read(make([]byte, 1<<10))
		if err != nil {
			t.Errorf("nothing happens: %v", err)
		}
		return max(n, 1) / unix.SizeofInotifyEvent
	}
}

// However processes are killed while they update, the retained file is whole,
// what they have done is in it, all of it or nothing, and no counter falls.
func TestKilledUpdatesAreDoneOrNot(t *testing.T) {
	noLeaks(t)
	kills := scaled(300)
	if withRace {
		kills = scaled(100)
	}
	const atOnce = 2
	dir := memoryDir(t)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	var completed, killed atomic.Int64
	happened := watchBlocking(t, dir)
	var killers sync.WaitGroup
	killers.Go(func() {
		var running []*crasher
		for i := 0; i < kills && !t.Failed(); i++ {
			for len(running) < atOnce {
				running = append(running, startCrasher(t, "update-crash", dir))
			}
			for events := rand.IntN(200); events > 0 && !t.Failed(); {
				events -= happened()
			}
			completed.Add(running[0].kill(t))
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
	count := func() {
		low := completed.Load()
		collection := collect(t, c)
		total := collection.Total()
		n, _ := total.Lookup("n")
		m, _ := total.Lookup("m")
		up, _ := total.Lookup("up")
		var recorded int64
		for _, stat := range total.Stats {
			if stat.Dist != nil {
				recorded = stat.Dist.Count
			}
		}
		if n.Int64() < last || n.Int64() < low || n != m || up.Int64() != recorded || recorded > n.Int64() {
			t.Errorf("n is %v after %d, %d are completed, m is %v; up is %v, recorded are %d%s", n, last, low, m, up, recorded, describe(collection))
		}
		for _, s := range collection.Sources {
			if s.Kind == RetainedSource && s.Err != nil {
				t.Errorf("after %d kills: %v", killed.Load(), s.Err)
			}
		}
		last = n.Int64()
	}
	for !isClosed(ended) && !t.Failed() {
		count()
	}
	await(t, "all are killed", ended)
	count()
	if low, high := completed.Load(), completed.Load()+killed.Load(); last < low || last > high {
		t.Errorf("counted are %d, want %d to %d", last, low, high)
	}
	t.Logf("%d kills, %d completed, %d counted", killed.Load(), completed.Load(), last)
	before := last
	update(t, dir, "set g 1") // and it goes on
	tidied(t, c)
	count()
	if last != before {
		t.Errorf("counted were %d and are %d", before, last)
	}
	for _, name := range entries(t, dir) {
		if !strings.HasPrefix(name, tmpPrefix) && !slices.Contains(kept(), name) {
			t.Errorf("%s was left", name)
		}
	}
}
