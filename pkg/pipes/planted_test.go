//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// Anybody may put a file at the name of another user's retained file, as many as there
// are users, each as long as it likes. None of them is opened.
func TestPlantedRetainedFileIsNotOpened(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	noLeaks(t)
	dir := worldDir(t)
	writeRetained(t, dir, nobody, 3)
	for uid := 100; uid < 110; uid++ {
		text := document(&format.Document{Snapshot: tallied(1000).Lasting()})
		give(t, writeFile(t, filepath.Join(dir, retainedName(uid)), text), stranger)
	}
	opened := watchFor(t, unix.IN_OPEN, dir)
	collection := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience}))
	if names := opened(); !slices.Equal(names, []string{retainedName(nobody)}) {
		t.Errorf("opened are %q", names)
	}
	checkCount(t, collection, 3)
	if n := len(collection.Sources); n != 1 {
		t.Errorf("there are %d sources", n)
	}
	if n := len(collection.PassedOver); n != 10 || !strings.Contains(collection.PassedOver[0].Why, fmt.Sprint("it belongs to user ", stranger)) {
		t.Errorf("%d are passed over: %+v", n, collection.PassedOver)
	}
}

// A typed pipe is deleted, as what cleans up /tmp does, and before its program puts it
// back, somebody else takes its name. What was counted goes on under another one.
func TestPlantedAtADeletedTypedPipe(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	noLeaks(t)
	dir := worldDir(t)
	var counted tally
	counted.add(1000)
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: 50 * time.Millisecond}, &counted)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
	checkCount(t, tidied(t, c), 1000)
	id := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.id
	}
	before := id()
	p.mu.Lock()
	path := filepath.Join(dir, p.typedName())
	noErr(t, os.Remove(path))
	give(t, mkfifo(t, path), stranger)
	p.mu.Unlock()
	eventually(t, "it begins anew", func() bool { return id() != before })
	checkCount(t, tidied(t, c), 1000)
}

// Somebody puts typed pipes and .live files beside another's plain pipe, other ones each
// time. What that says is in every collection.
func TestNewcomersOfAnotherHideNoPlainPipe(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	noLeaks(t)
	path, aside := memoryDir(t), memoryDir(t)
	publishPlain(t, path, "web", says("n: 5\n"))
	stop, ended := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for err == nil && !isClosed(stop) {
			id := newID()
			fifo, file := filepath.Join(aside, "fifo"), filepath.Join(aside, "file")
			typed, live := filepath.Join(path, typedName("web", id)), filepath.Join(path, liveName("web", id))
			err = errors.Join(unix.Mkfifo(fifo, 0o644), os.Chown(fifo, stranger, -1), os.Rename(fifo, typed))
			err = errors.Join(err, os.WriteFile(file, nil, 0o644), os.Chown(file, stranger, -1), os.Rename(file, live))
			err = errors.Join(err, os.Remove(typed), os.Remove(live))
		}
		ended <- err
	}()
	c := newCollector(t, CollectorOptions{Dir: path, Deadline: patience})
	for range scaled(300) {
		if got := text(collect(t, c).Total()); got != "n: 5\n" {
			t.Errorf("the host has %q", got)
			break
		}
	}
	close(stop)
	noErr(t, <-ended)
}

// Whose path has gone, and so must have a retained file read once more, waits for no other
// user's: that may be as large, and as new, as anybody likes.
func TestOnlyTheRetainedFilesThatAreWantedAreRead(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	path := worldDir(t)
	writeRetained(t, path, nobody, 3)
	writeRetained(t, path, stranger, 5)
	dir := openTestDir(t, path)
	l, err := dir.list()
	noErr(t, err)
	c := newCollector(t, CollectorOptions{Dir: path})
	opened := watchFor(t, unix.IN_OPEN, path)
	files, err := c.readRetained(dir, l, func(uid int) bool { return uid == nobody })
	noErr(t, err)
	if names := opened(); !slices.Equal(names, []string{retainedName(nobody)}) {
		t.Errorf("opened are %q", names)
	}
	if len(files.sources) != 1 || files.sources[0].UID != nobody {
		t.Errorf("the sources are %+v", files.sources)
	}
}

// A path that is gone, and stays so, is worth one more look, whoever puts something there
// after that.
func TestPathThatIsGoneIsLookedForOnceMore(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	dir := openTestDir(t, memoryDir(t))
	gone := Source{Name: "web", ID: someID, Kind: TypedSource, UID: nobody, Path: filepath.Join(dir.path, typedName("web", someID))}
	c := newCollector(t, CollectorOptions{Dir: dir.path})
	st := &settling{Collector: c, dir: dir, inTime: true, looks: make(map[string]int), late: make(map[int]int)}
	look := func(isClear bool) {
		t.Helper()
		st.before, st.after = must(dir.list()), must(dir.list())
		counting, got, err := st.judge([]Source{gone}, false)
		if len(counting) > 0 || got != isClear || err != nil {
			t.Errorf("judge: %v, %v, %v", counting, got, err)
		}
	}
	look(false)
	give(t, mkfifo(t, gone.Path), stranger)
	look(true)
}

// A retained file may have as many notes as it likes. Once it is read they cost nothing.
func TestNotesOfAFileThatStaysTheSame(t *testing.T) {
	dir := memoryDir(t)
	doc := &format.Document{Snapshot: tallied(3).Lasting()}
	for i := range 50_000 {
		doc.Folded = append(doc.Folded, inOrder(i))
	}
	path := writeFile(t, filepath.Join(dir, retainedName(os.Geteuid())), document(doc))
	old := time.Now().Add(-time.Hour)
	noErr(t, os.Chtimes(path, old, old))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	checkCount(t, collect(t, c), 3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	collect(t, c)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("a collection allocates %d bytes", n)
	}
}

// What goes between the listing and the look at it is remembered no longer than it stands.
func TestRetainedFilesThatComeAndGoAreForgotten(t *testing.T) {
	dir := openTestDir(t, t.TempDir())
	c := newCollector(t, CollectorOptions{Dir: dir.path})
	l := new(listing)
	for uid := range 1000 {
		l.retained = append(l.retained, 100_000+uid)
	}
	must(c.readRetained(dir, l, func(int) bool { return true }))
	collect(t, c)
	if n := len(c.retained); n > 0 {
		t.Errorf("%d are remembered", n)
	}
}

// Root makes room where somebody has planted a directory, and keeps its hands off what
// is in there.
func TestPlantedDirectoryIsPutAside(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	for _, name := range []string{retainedName(nobody), retainedLockName(nobody)} {
		dir := worldDir(t)
		path := filepath.Join(dir, name)
		noErr(t, os.Mkdir(path, 0o755))
		mine := stat(t, writeFile(t, filepath.Join(path, "mine"), "mine"))
		give(t, path, stranger)
		final := writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 3))
		give(t, final, nobody)
		noErr(t, fold(t, dir, nobody, nil))
		tallyOf(t, dir, 3)
		if info := stat(t, path); !info.mode.IsRegular() || info.uid != nobody {
			t.Errorf("%s is %+v", name, info)
		}
		aside, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%s%d-*", tmpPrefix, stranger), "mine"))
		if err != nil || len(aside) != 1 || stat(t, aside[0]) != mine {
			t.Errorf("what was in the directory is at %q, %v", aside, err)
		}
	}
}

// A pipe with two names would count twice, and may be one that isn't for us.
func TestPipeWithAnotherNameIsNotRead(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	publish(t, PublisherOptions{Dir: dir, Name: "good"}, &tally{n: 3})
	secret := mkfifo(t, filepath.Join(filepath.Dir(dir), "secret-"+filepath.Base(dir)))
	t.Cleanup(func() { _ = os.Remove(secret) })
	for _, name := range []string{statsName("evil"), typedName("evil", someID)} {
		noErr(t, os.Link(secret, filepath.Join(dir, name)))
	}
	opened := watchFor(t, unix.IN_OPEN, dir)
	collection := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline}))
	checkCount(t, collection, 3)
	for _, name := range opened() {
		if _, id, _ := parseName(name, typedSuffix); name == statsName("evil") || id == someID {
			t.Errorf("%s was opened", name)
		}
	}
	if s := find(t, collection, "evil"); s.State != Failed || s.UID != os.Geteuid() || collection.Took >= shortDeadline || !errors.Is(s.Err, errTwoNames) {
		t.Errorf("what is planted is %+v", s)
	}
}

// Where a publisher makes its pipe, the directory's owner may have put something else.
func TestModeOfWhatIsPutInAPipesPlaceIsLeftAlone(t *testing.T) {
	noLeaks(t)
	dir := openTestDir(t, t.TempDir())
	check := func(what string, plant func(path string)) {
		t.Helper()
		path := filepath.Join(dir.path, what)
		plant(path)
		before := stat(t, path)
		if f, err := dir.newFIFO(what, "x.stats", 0o644); err == nil {
			f.close()
			t.Errorf("%s passes for a pipe just made", what)
		}
		if after := stat(t, path); after != before {
			t.Errorf("%s was %+v and is %+v", what, before, after)
		}
	}
	check("a file", func(path string) {
		writeFile(t, path, "secret")
		noErr(t, os.Chmod(path, 0o600))
	})
	check("a directory", func(path string) { noErr(t, os.Mkdir(path, 0o700)) })
	check("a pipe with two names", func(path string) {
		noErr(t, unix.Mkfifo(path, 0o600))
		noErr(t, os.Link(path, path+" too"))
	})
	if os.Geteuid() == 0 {
		check("another's pipe", func(path string) {
			noErr(t, unix.Mkfifo(path, 0o600))
			give(t, path, nobody)
		})
	}
}
