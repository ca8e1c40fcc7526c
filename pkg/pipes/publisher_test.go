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
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// checkSoon looks for the pipe so often that a test needn't wait for it.
const checkSoon = 5 * time.Millisecond

func TestPipeIsNamedAfterThePid(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir}, renderText("x: 1\n"))
	want := strconv.Itoa(os.Getpid())
	if got := p.Path(); got != filepath.Join(dir, want+".stats") {
		t.Errorf("the pipe is %s, want %s.stats in %s", got, want, dir)
	}
	checkEntries(t, dir, want+".stats", typedName(want, p.id), liveName(want, p.id))
	if got := string(must(os.ReadFile(filepath.Join(dir, liveName(want, p.id))))); got != "pid: "+want+"\n" {
		t.Errorf("the .live file says %q", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestPipeGoesWhereTheEnvironmentSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	t.Setenv(DirVariable, dir)
	p := publish(t, PublisherOptions{Name: "web"}, renderText("x: 1\n"))
	if got, want := p.Path(), filepath.Join(dir, "web.stats"); got != want {
		t.Errorf("the pipe is %s, want %s", got, want)
	}
}

func TestModesHoldWhateverTheUmask(t *testing.T) {
	noLeaks(t)
	check := func(umask int, mode, want fs.FileMode) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "pipes")
		old := syscall.Umask(umask)
		defer syscall.Umask(old)
		p, err := Publish(PublisherOptions{Dir: dir, Name: "web", Mode: mode}, renderText("x: 1\n"))
		if err != nil {
			t.Errorf("umask %#o: %v", umask, err)
			return
		}
		defer p.Close()
		modes := func(when string) {
			t.Helper()
			if got := stat(t, p.Path()).mode.Perm(); got != want {
				t.Errorf("umask %#o: the pipe's mode is %#o %s, want %#o", umask, got, when, want)
			}
			if got := stat(t, filepath.Join(dir, liveName("web", p.id))).mode.Perm(); got != 0o644 {
				t.Errorf("umask %#o: the .live file's mode is %#o %s, want 0644", umask, got, when)
			}
			if got := must(os.Stat(dir)).Mode(); got != fs.ModeDir|fs.ModeSticky|0o777 {
				t.Errorf("umask %#o: the directory's mode is %v %s, want 1777", umask, got, when)
			}
		}
		modes("at first")
		if _, err := readFIFO(p.Path()); err != nil {
			t.Error(err)
		}
		modes("after a reader")
	}
	check(0o022, 0, 0o644)
	check(0, 0, 0o644)
	check(0o077, 0, 0o644)
	check(0o777, 0, 0o644)
	check(0o022, 0o600, 0o600)
	check(0, 0o640, 0o640)
	check(0o777, 0o666, 0o666)
	check(0, fs.ModeSetuid|fs.ModeSticky|0o604, 0o604)
}

func TestDirectoryOfSomebodyElseKeepsItsMode(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	publish(t, PublisherOptions{Dir: dir}, renderText("x: 1\n"))
	if got := must(os.Stat(dir)).Mode(); got != fs.ModeDir|0o700 {
		t.Errorf("the directory's mode is %v, want 0700", got)
	}
}

func TestPublishFails(t *testing.T) {
	noLeaks(t)
	check := func(opts PublisherOptions, want error, words string) {
		t.Helper()
		p, err := Publish(opts, renderText("x: 1\n"))
		if err == nil {
			p.Close()
		}
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
			t.Errorf("Publish in %s: %v, want %v and %q", opts.Dir, err, want, words)
		}
		var pathError *fs.PathError
		if want != nil && !errors.As(err, &pathError) {
			t.Errorf("%v is no *fs.PathError", err)
		}
	}
	base := t.TempDir()
	link := filepath.Join(base, "link")
	real := filepath.Join(base, "real")
	if err := os.Mkdir(real, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	check(PublisherOptions{Dir: link}, ErrSymlink, link)
	dangling := filepath.Join(base, "dangling")
	if err := os.Symlink(filepath.Join(base, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	check(PublisherOptions{Dir: dangling}, ErrSymlink, dangling)
	file := writeFile(t, filepath.Join(base, "file"), "")
	check(PublisherOptions{Dir: file}, syscall.ENOTDIR, file)
	check(PublisherOptions{Dir: filepath.Join(file, "pipes")}, syscall.ENOTDIR, file)
	check(PublisherOptions{Dir: mkfifo(t, filepath.Join(base, "fifo"))}, syscall.ENOTDIR, "fifo")
	check(PublisherOptions{Dir: real, Name: "a/b"}, nil, "slash")
	check(PublisherOptions{Dir: real, Name: ".a"}, nil, "dot")
	checkEntries(t, real)
	checkEntries(t, base, "dangling", "fifo", "file", "link", "real")
}

func TestDirectoryBehindALinkedParentIsFine(t *testing.T) {
	noLeaks(t)
	base := t.TempDir()
	real := filepath.Join(base, "real")
	if err := os.Mkdir(real, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	publish(t, PublisherOptions{Dir: filepath.Join(base, "link", "pipes"), Name: "web"}, renderText("x: 1\n"))
	if !stat(t, filepath.Join(real, "pipes", "web.stats")).isFIFO() {
		t.Error("there is no pipe")
	}
}

func TestStemOfALivePublisherIsRespected(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	var all []*Publisher
	for i, want := range []string{"web.stats", "web-2.stats", "web-3.stats"} {
		p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText(fmt.Sprintf("x: %d\n", i)))
		if got := filepath.Base(p.Path()); got != want {
			t.Errorf("publisher %d is called %s, want %s", i, got, want)
		}
		all = append(all, p)
	}
	for i, p := range all {
		if got := string(must(readBlocking(p.Path()))); got != fmt.Sprintf("x: %d\n", i) {
			t.Errorf("publisher %d says %q", i, got)
		}
	}
	// What the first leaves free goes to the next.
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 4\n"))
	if got := filepath.Base(p.Path()); got != "web.stats" {
		t.Errorf("the newcomer is called %s", got)
	}
}

func TestStemOfAStoppedPublisherIsRespected(t *testing.T) {
	dir := t.TempDir()
	h := startHelper(t, "publish", dir, "web")
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 2\n"))
	if got := filepath.Base(p.Path()); got != "web-2.stats" {
		t.Errorf("the newcomer is called %s, want web-2.stats", got)
	}
	h.signal(t, syscall.SIGCONT)
	h.end(t)
}

func TestStemOfAPlainPublisherIsRespected(t *testing.T) {
	noLeaks(t)
	check := func(plant func(path string)) {
		t.Helper()
		dir := t.TempDir()
		path := filepath.Join(dir, "web.stats")
		plant(path)
		before := stat(t, path)
		p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
		if got := filepath.Base(p.Path()); got != "web-2.stats" {
			t.Errorf("beside %s the newcomer is called %s, want web-2.stats", before.kind(), got)
		}
		if after := stat(t, path); after != before {
			t.Errorf("%s was touched: %+v, before %+v", before.kind(), after, before)
		}
		checkEntries(t, dir, append(ours(p), "web.stats")...)
	}
	check(func(path string) { mkfifo(t, path) })
	check(func(path string) { writeFile(t, path, "x: 1\n") })
	check(func(path string) { noErr(t, os.Symlink("/dev/zero", path)) })
	check(func(path string) { noErr(t, os.Symlink("nowhere", path)) })
	check(func(path string) { noErr(t, os.Mkdir(path, 0o755)) })
}

func TestStemOfADeadPublisherIsReplaced(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	dead := stat(t, mkfifo(t, filepath.Join(dir, "web.stats")))
	held, err := unix.Open(filepath.Join(dir, "web.stats"), unix.O_PATH|unix.O_CLOEXEC, 0)
	noErr(t, err)
	defer closeFD(held) // lest its inode number is used again
	for range 3 {       // it may have died more than once
		writeFile(t, filepath.Join(dir, liveName("web", newID())), "pid: 1\n")
	}
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	if got := filepath.Base(p.Path()); got != "web.stats" {
		t.Errorf("the newcomer is called %s, want web.stats", got)
	}
	if stat(t, p.Path()).id == dead.id {
		t.Error("the dead one's pipe is still there")
	}
	checkEntries(t, dir, ours(p)...)
	if got := string(must(readBlocking(p.Path()))); got != "x: 1\n" {
		t.Errorf("it says %q", got)
	}
}

func TestStemOfAKilledProcessIsReplaced(t *testing.T) {
	dir := t.TempDir()
	h := startHelper(t, "publish", dir, "web")
	h.kill()
	left := entries(t, dir)
	if len(left) != 3 {
		t.Fatalf("the killed process left %q", left)
	}
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	if got := filepath.Base(p.Path()); got != "web.stats" {
		t.Errorf("the newcomer is called %s", got)
	}
	checkEntries(t, dir, append(ours(p), left[:2]...)...) // what it counted is for whoever folds it
}

func TestStemIsNotReplacedBecauseOfAStrangersLiveFile(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	check := func(pipeOwner, liveOwner int, want string) {
		t.Helper()
		dir := t.TempDir()
		noErr(t, os.Chown(mkfifo(t, filepath.Join(dir, "web.stats")), pipeOwner, -1))
		noErr(t, os.Chown(writeFile(t, filepath.Join(dir, liveName("web", someID)), "pid: 1\n"), liveOwner, -1))
		p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
		if got := filepath.Base(p.Path()); got != want {
			t.Errorf("a pipe of %d and a .live file of %d: the newcomer is called %s, want %s", pipeOwner, liveOwner, got, want)
		}
	}
	check(1000, 1000, "web.stats")
	check(1000, 0, "web.stats")
	check(1000, 2000, "web-2.stats")
	check(0, 2000, "web-2.stats")
}

func TestNamesEndAtAThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("tries a thousand names, which takes seconds")
	}
	noLeaks(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "web.stats"), "")
	for n := 2; n <= maxStems; n++ {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("web-%d.stats", n)), "")
	}
	if p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, renderText("")); err == nil {
		t.Errorf("it is called %s", p.Path())
		p.Close()
	} else if !strings.Contains(err.Error(), "web.stats") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error is %q", err)
	}
	if got := len(entries(t, dir)); got != maxStems {
		t.Errorf("there are %d entries, want %d", got, maxStems)
	}
}

func TestNewcomersAtOnceAllGetNamesOfTheirOwn(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	const newcomers = 8
	var mu sync.Mutex
	said := make(map[string]string)
	all := make([]*Publisher, newcomers)
	together(t, newcomers, func(i int) (err error) {
		all[i], err = Publish(PublisherOptions{Dir: dir, Name: "web"}, renderText(fmt.Sprintf("x: %d\n", i)))
		return err
	})
	for i, p := range all {
		if p == nil {
			continue
		}
		defer p.Close()
		text := string(must(readBlocking(p.Path())))
		if text != fmt.Sprintf("x: %d\n", i) {
			t.Errorf("publisher %d at %s says %q", i, p.Path(), text)
		}
		mu.Lock()
		if other, taken := said[p.Path()]; taken {
			t.Errorf("%s is the pipe of two, one of which says %q", p.Path(), other)
		}
		said[p.Path()] = text
		mu.Unlock()
	}
}

// answers waits until the publisher's pipe is one that answers with x: 1.
func answers(t *testing.T, path string) {
	t.Helper()
	eventually(t, path+" answers", func() bool {
		snapshot, err := readFIFO(path)
		return err == nil && text(snapshot) == "x: 1\n"
	})
}

func TestWhatIsDeletedComesBack(t *testing.T) {
	noLeaks(t)
	check := func(what string, damage func(p *Publisher)) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "pipes")
		p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: checkSoon}, renderText("x: 1\n"))
		damage(p)
		hidden := func() []string { return must(filepath.Glob(filepath.Join(dir, ".web.*"))) } // .live and .typed
		eventually(t, "after "+what+" the files are back", func() bool { return exists(p.Path()) && len(hidden()) == 2 })
		answers(t, p.Path())
		if p.Path() != filepath.Join(dir, "web.stats") {
			t.Errorf("after %s the pipe is at %s", what, p.Path())
		}
		c := newCollector(t, CollectorOptions{Dir: dir})
		checkLive(t, collect(t, c), "web", "x: 1\n")
		if err := p.Close(); err != nil {
			t.Errorf("Close after %s: %v", what, err)
		}
		checkEntries(t, dir)
	}
	check("the deletion of the pipe", func(p *Publisher) { noErr(t, os.Remove(p.Path())) })
	check("the deletion of the typed pipe", func(p *Publisher) { noErr(t, os.Remove(typedPath(p))) })
	check("the deletion of all", func(p *Publisher) {
		for _, name := range ours(p) {
			_ = os.Remove(filepath.Join(p.opts.Dir, name)) // or it has another one by now
		}
	})
	check("the deletion of the .live file", func(p *Publisher) {
		p.mu.Lock() // or a check may come in between
		defer p.mu.Unlock()
		noErr(t, os.Remove(filepath.Join(p.opts.Dir, liveName("web", p.id))))
	})
	check("the deletion of the directory", func(p *Publisher) { noErr(t, os.RemoveAll(p.opts.Dir)) })
	check("the deletion of the directory's parent", func(p *Publisher) {
		noErr(t, os.RemoveAll(filepath.Dir(p.opts.Dir)))
	})
	check("a new directory at the path", func(p *Publisher) {
		noErr(t, os.Rename(p.opts.Dir, p.opts.Dir+".old"))
		noErr(t, os.Mkdir(p.opts.Dir, 0o755))
	})
	check("a file in the directory's place", func(p *Publisher) {
		noErr(t, os.RemoveAll(p.opts.Dir))
		writeFile(t, p.opts.Dir, "")
		eventually(t, "the publisher could not get its place", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.dir == nil
		})
		noErr(t, os.Remove(p.opts.Dir))
	})
	check("two deletions", func(p *Publisher) {
		noErr(t, os.Remove(p.Path()))
		eventually(t, "the pipe is back", func() bool { return exists(p.Path()) })
		noErr(t, os.Remove(p.Path()))
	})
}

func TestOldDirectoryIsLeftTidyWhenAnotherTakesItsPlace(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: checkSoon}, renderText("x: 1\n"))
	noErr(t, os.Rename(dir, dir+".old"))
	noErr(t, os.Mkdir(dir, 0o755))
	eventually(t, "the pipe is in the new directory", func() bool { return exists(p.Path()) })
	checkEntries(t, dir+".old")
}

func TestForeignPipeAtThePlaceIsLeftThere(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: checkSoon}, renderText("x: 1\n"))
	planted := mkfifo(t, filepath.Join(dir, "planted"))
	foreign := stat(t, planted).id
	noErr(t, os.Rename(planted, filepath.Join(dir, "web.stats"))) // over ours
	eventually(t, "the publisher has another name", func() bool { return filepath.Base(p.Path()) == "web-2.stats" })
	answers(t, p.Path())
	if got := stat(t, filepath.Join(dir, "web.stats")).id; got != foreign {
		t.Error("the foreign pipe was replaced")
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkEntries(t, dir, "web.stats")
}

// A reader that came to the pipe before it was deleted is still answered, and
// then it is back at once.
func TestPipeIsBackAfterTheReaderOfADeletedOne(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	handle, err := unix.Open(p.Path(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(handle)
	noErr(t, os.Remove(p.Path()))
	var got []byte
	within(t, "the reader of the deleted pipe is answered", func() { got, err = readBlocking(procPath(handle)) }, func() {})
	if err != nil || string(got) != "x: 1\n" {
		t.Errorf("it got %q, %v", got, err)
	}
	answers(t, p.Path())
}

func TestReaderOfAPipeThatWasMovedAwayIsAnswered(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	noErr(t, os.Rename(p.Path(), filepath.Join(dir, "moved")))
	within(t, "the reader is answered", func() {
		if got, err := readBlocking(filepath.Join(dir, "moved")); err != nil || string(got) != "x: 1\n" {
			t.Errorf("it got %q, %v", got, err)
		}
	}, func() {})
	answers(t, p.Path())
}

func TestReaderOfAPipeWhosePlaceWasTakenIsAnswered(t *testing.T) {
	noLeaks(t)
	check := func(take func(path string)) {
		t.Helper()
		dir := t.TempDir()
		p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
		place := p.Path()
		noErr(t, os.Rename(place, filepath.Join(dir, "moved")))
		take(place)
		foreign := stat(t, place)
		within(t, "the reader is answered", func() {
			if got, err := readBlocking(filepath.Join(dir, "moved")); err != nil || string(got) != "x: 1\n" {
				t.Errorf("it got %q, %v", got, err)
			}
		}, func() {})
		eventually(t, "the publisher has another name", func() bool { return p.Path() != place })
		answers(t, p.Path())
		if got := stat(t, place); got.id != foreign.id {
			t.Errorf("%s was replaced", foreign.kind())
		}
	}
	check(func(path string) { mkfifo(t, path) })
	check(func(path string) { writeFile(t, path, "x: 1\n") })
}

// waits waits until the publisher waits for a reader, or is just about to.
func waits(t *testing.T, p *Publisher) {
	t.Helper()
	eventually(t, "the publisher waits for a reader", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.stats.waiting != nil && p.stats.waiting == p.stats.current
	})
}

func TestCloseReturnsAtOnceAndLeavesNothing(t *testing.T) {
	check := func(what string, prepare func(p *Publisher)) {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			n := numbered300kB()
			closesAtOnce(t, func() *Publisher {
				p := publish(t, PublisherOptions{Dir: t.TempDir(), Name: "web"}, n)
				prepare(p)
				return p
			})
		})
	}
	check("just started", func(*Publisher) {})
	check("waiting", func(p *Publisher) { waits(t, p) })
	check("after a reader", func(p *Publisher) { readWhole(t, p.Path(), numbered300kB()) })
	check("after a reader that left", func(p *Publisher) {
		fd, _ := readSome(t, p.Path(), 10)
		closeFD(fd)
	})
	check("with its pipe deleted", func(p *Publisher) {
		waits(t, p)
		noErr(t, os.Remove(p.Path()))
	})
	check("with its typed pipe deleted", func(p *Publisher) {
		waits(t, p)
		noErr(t, os.Remove(typedPath(p)))
	})
	check("with its .live file deleted", func(p *Publisher) {
		noErr(t, os.Remove(filepath.Join(p.opts.Dir, liveName("web", p.id))))
	})
	check("with its directory emptied and made anew", func(p *Publisher) {
		waits(t, p)
		noErr(t, os.RemoveAll(p.opts.Dir))
		noErr(t, os.Mkdir(p.opts.Dir, 0o755))
	})
	check("while it is read", func(p *Publisher) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				for _, name := range ours(p)[:2] {
					if _, err := readFIFO(filepath.Join(p.opts.Dir, name)); err != nil {
						return // the pipe is gone
					}
				}
			}
		}()
		t.Cleanup(func() { await(t, "the reader ends", done) })
		waits(t, p)
	})
}

func TestCloseLeavesWhatIsNotOurs(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	planted := mkfifo(t, filepath.Join(dir, "planted"))
	noErr(t, os.Rename(planted, p.Path()))
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkEntries(t, dir, "web.stats")
}

func TestCloseTwiceAndAtOnceIsFine(t *testing.T) {
	noLeaks(t)
	for range scaled(50) {
		dir := t.TempDir()
		p := publish(t, PublisherOptions{Dir: dir}, renderText("x: 1\n"))
		together(t, 4, func(int) error { return p.Close() })
		if err := p.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		checkEntries(t, dir)
	}
}

func TestCloseWhileTheChecksRun(t *testing.T) {
	noLeaks(t)
	for range scaled(100) {
		dir := t.TempDir()
		p := publish(t, PublisherOptions{Dir: dir, checkEvery: time.Microsecond}, renderText("x: 1\n"))
		_ = os.Remove(p.Path()) // Path is that of the pipe before the check
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		checkEntries(t, dir)
	}
}

func TestCloseDoesNotWaitForARenderThatHangs(t *testing.T) {
	noLeaks(t)
	best := time.Hour
	for range 3 {
		dir := t.TempDir()
		rendering, release := make(chan struct{}), make(chan struct{})
		p, err := Publish(PublisherOptions{Dir: dir}, rendered(func(b []byte) []byte {
			close(rendering)
			<-release
			return append(b, "x: 1\n"...)
		}))
		if err != nil {
			t.Fatal(err)
		}
		path := p.Path()
		var got []byte
		read := make(chan struct{})
		go func() {
			defer close(read)
			got, _ = readBlocking(path)
		}()
		await(t, "the render begins", rendering)
		began := time.Now()
		err = p.Close()
		best = min(best, time.Since(began))
		if err == nil || !strings.Contains(err.Error(), "does not return") {
			t.Errorf("Close says %v", err)
		}
		checkEntries(t, dir)
		close(release)
		await(t, "the reader comes to an end", read)
		if string(got) != "x: 1\n" {
			t.Errorf("the reader got %q", got)
		}
		await(t, "the publisher's goroutine ends", p.stats.done)
	}
	if best > 100*time.Millisecond {
		t.Errorf("Close took %v at its best", best)
	}
}

// On a busy machine the publisher's goroutine may come late. That is nobody's
// fault, least of all that of a function of the program's.
func TestCloseBlamesNoRenderWhereThereIsNone(t *testing.T) {
	noLeaks(t)
	p := publish(t, PublisherOptions{Dir: t.TempDir()}, renderText("x: 1\n"))
	waits(t, p)
	p.stats.strays.mu.Lock() // keeps the goroutine from its end
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	var err error
	select {
	case err = <-closed:
		p.stats.strays.mu.Unlock()
	case <-time.After(3 * endWait):
		p.stats.strays.mu.Unlock()
		within(t, "Close returns", func() { err = <-closed }, func() {})
	}
	if err != nil && strings.Contains(err.Error(), "does not return") {
		t.Errorf("without any reader Close says: %v", err)
	}
}

// Somebody who waits to read when the publisher ends must not wait for ever.
func TestCloseLetsGoOfWaitingReaders(t *testing.T) {
	noLeaks(t)
	for range scaled(50) {
		rendering, release := make(chan struct{}, 10), make(chan struct{})
		p, err := Publish(PublisherOptions{Dir: t.TempDir()}, rendered(func(b []byte) []byte {
			rendering <- struct{}{}
			<-release
			return append(b, "x: 1\n"...)
		}))
		if err != nil {
			t.Fatal(err)
		}
		path := p.Path()
		var readers sync.WaitGroup
		readers.Go(func() { _, _ = readBlocking(path) })
		within(t, "the render begins", func() { <-rendering }, func() {})
		// This one comes to the fresh pipe, which nobody has opened yet.
		came := make(chan struct{})
		readers.Go(func() {
			close(came)
			_, _ = readBlocking(path)
		})
		<-came
		closing := make(chan struct{})
		go func() {
			defer close(closing)
			_ = p.Close()
		}()
		close(release)
		await(t, "Close returns", closing)
		await(t, "the readers come to an end", waitDone(&readers))
	}
}

func TestThreadsEndWithThePublishers(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	const atOnce = 50
	round := func() {
		var all []*Publisher
		for i := range atOnce {
			all = append(all, publish(t, PublisherOptions{Dir: dir, Name: fmt.Sprintf("p%d", i)}, renderText("x: 1\n")))
		}
		for _, p := range all {
			waits(t, p)
		}
		for _, p := range all {
			closeSoon(t, p)
		}
	}
	one := func() { closeSoon(t, publish(t, PublisherOptions{Dir: dir}, renderText("x: 1\n"))) }
	for range 10 {
		one()
	}
	before := threads(t)
	for range scaled(1000) / atOnce {
		round()
	}
	for range scaled(100) {
		one()
	}
	// The runtime may start some of its own, for the collector of garbage.
	const few = 5
	eventually(t, fmt.Sprintf("there are the %d threads that there were before", before), func() bool {
		return threads(t) <= before+few
	})
}

func TestPublisherIsIdleWhileNobodyReads(t *testing.T) {
	noLeaks(t)
	n := numbered12kB()
	p := publish(t, PublisherOptions{Dir: t.TempDir(), checkEvery: time.Hour}, n)
	pipe := stat(t, p.Path())
	began := stat(t, p.opts.Dir).mtime
	waits(t, p)
	// A hundred checks that find everything in its place change nothing.
	for range 100 {
		p.check()
	}
	if got := stat(t, p.Path()); got.id != pipe.id {
		t.Error("the pipe is another one")
	}
	if got := stat(t, p.opts.Dir).mtime; got != began {
		t.Error("the directory was changed")
	}
	if got := n.serial.Load(); got != 0 {
		t.Errorf("%d snapshots were rendered", got)
	}
}

func TestPublisherMakesAndTakesAwayItsFilesInOrder(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	changes := watchFor(t, unix.IN_MOVED_TO|unix.IN_DELETE, dir)
	check := func(when string, want ...string) {
		t.Helper()
		if got := changes(); !slices.Equal(got, want) {
			t.Errorf("%s come and go %q, want %q", when, got, want)
		}
	}
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, &tally{n: 3})
	plain, typed, live := ours(p)[0], ours(p)[1], ours(p)[2]
	check("at first", live, typed, plain)
	if got := string(must(readBlocking(filepath.Join(dir, typed)))); !strings.HasPrefix(got, "statvent: 1\nid "+p.id+": 1\npid: "+ownStem()+"\n") {
		t.Errorf("the typed pipe says %q", got)
	}
	check("with a reader", typed)
	noErr(t, p.Close())
	retained, lock := kept()[0], kept()[1]
	check("at the end", plain, typed, live, lock, retained, typed)

	empty := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	plain, typed, live = ours(empty)[0], ours(empty)[1], ours(empty)[2]
	check("at the start of another", live, typed, plain)
	noErr(t, empty.Close())
	check("at the end of one that leaves nothing", plain, typed, live)
}

func TestCloseLeavesWhatLasts(t *testing.T) {
	noLeaks(t)
	for _, umask := range []int{0, 0o022, 0o777} {
		dir := filepath.Join(t.TempDir(), "pipes")
		old := syscall.Umask(umask)
		stats := &tally{n: 3}
		p, err := Publish(PublisherOptions{Dir: dir, Mode: 0o600}, stats)
		if err == nil {
			stats.add(4)
			err = p.Close()
		}
		syscall.Umask(old)
		noErr(t, err)
		together(t, 2, func(int) error { return p.Close() })
		checkEntries(t, dir, kept()...)
		for i, want := range []fs.FileMode{0o644, 0o600} {
			if info := stat(t, filepath.Join(dir, kept()[i])); info.mode != want || info.uid != os.Geteuid() {
				t.Errorf("umask %#o: %s is %+v", umask, kept()[i], info)
			}
		}
		collection := tallyOf(t, dir, 7)
		if got := text(collection.Total()); got != "n: 7\n" {
			t.Errorf("what it left is %q", got)
		}
		if stats.finals != 1 {
			t.Errorf("Final was called %d times", stats.finals)
		}
	}
}

// A boastful one has more to say in a snapshot that was begun before its end than
// in its final.
type boastful struct {
	tally
	asked, release chan struct{}
}

func (b *boastful) Snapshot(s *format.Snapshot) {
	b.asked <- struct{}{}
	<-b.release
	*s = *tallied(1000)
}

// What a reader has seen must not be taken back: one whose snapshot is made while
// the publisher ends gets the final.
func TestSnapshotThatComesAfterTheFinalIsTheFinal(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	stats := &boastful{tally{n: 3}, make(chan struct{}), make(chan struct{})}
	p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, stats)
	noErr(t, err)
	path := typedPath(p)
	var got []byte
	read := make(chan struct{})
	go func() {
		defer close(read)
		got, _ = readBlocking(path)
	}()
	within(t, "a snapshot is begun", func() { <-stats.asked }, func() {})
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "does not return") {
		t.Errorf("Close: %v", err)
	}
	tallyOf(t, dir, 3)
	close(stats.release)
	await(t, "the reader comes to an end", read)
	doc, err := parse(typedText, string(got), Limits{}, false)
	if err != nil || doc.ID != p.id {
		t.Fatalf("the reader got %q, %v", got, err)
	}
	if n, err := countOf(doc.Snapshot); n != 3 || err != nil {
		t.Errorf("the reader got %d, want 3: %v", n, err)
	}
	await(t, "the publisher's goroutine ends", p.typed.done)
	checkEntries(t, dir, kept()...)
	tallyOf(t, dir, 3)
}

// Whoever reads a pipe and then the retained file must not find less.
func TestReadersWhileItEndsNeverSeeMoreThanItsFinal(t *testing.T) {
	noLeaks(t)
	for range scaled(200) {
		dir := memoryDir(t)
		stats := new(tally)
		p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, stats)
		noErr(t, err)
		path := typedPath(p)
		var most int64
		stop := make(chan struct{})
		var beside sync.WaitGroup
		beside.Go(func() {
			for {
				text, err := readBlocking(path)
				if err != nil {
					return // the pipe is gone
				}
				doc, err := parse(typedText, string(text), Limits{}, false)
				if err != nil {
					continue // cut off, or another's
				}
				n, err := countOf(doc.Snapshot)
				if err != nil {
					t.Error(err)
				}
				most = max(most, n)
			}
		})
		beside.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					stats.add(1)
				}
			}
		})
		_ = p.Close()
		close(stop)
		await(t, "the others end", waitDone(&beside))
		collection := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience}))
		if n, err := countOf(collection.Total()); n < most || err != nil {
			t.Fatalf("a reader saw %d, and %d were left: %v", most, n, err)
		}
	}
}

// What was deleted comes back under the same id.
func TestIDStaysUnlessThePlaceIsLost(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: time.Hour}, &tally{n: 3})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	check := func(wantSame bool, damage func(names []string)) {
		t.Helper()
		checkCount(t, tidied(t, c), 3)
		before := ours(p)
		id := p.id
		damage(before)
		p.check()
		after := ours(p)
		if same := p.id == id; same != wantSame {
			t.Errorf("of %q it has become %q", before, after)
		}
		checkEntries(t, dir, after...)
		for range 2 {
			checkCount(t, tidied(t, c), 3)
		}
	}
	remove := func(files ...int) func(names []string) {
		return func(names []string) {
			for _, i := range files {
				noErr(t, os.Remove(filepath.Join(dir, names[i])))
			}
		}
	}
	check(true, remove(0))
	check(true, remove(1))
	check(true, remove(2))
	check(true, remove(0, 1, 2))
	check(false, func([]string) { noErr(t, os.Rename(dir, dir+".old")); noErr(t, os.Mkdir(dir, 0o755)) })
	check(true, remove(1, 2))
	noErr(t, p.Close())
	if !p.Kept() {
		t.Error("what it counted isn't kept")
	}
	tallyOf(t, dir, 3)
}

func TestModeIsThatOfBothPipes(t *testing.T) {
	noLeaks(t)
	p := publish(t, PublisherOptions{Dir: t.TempDir(), Mode: 0o640}, renderText("x: 1\n"))
	for range 2 {
		for _, path := range []string{p.Path(), typedPath(p)} {
			if info := stat(t, path); info.mode.Perm() != 0o640 {
				t.Errorf("%s is %+v", path, info)
			}
			_, err := readFIFO(path)
			noErr(t, err)
		}
	}
}

// What was counted is kept also where there is no directory any more.
func TestCloseKeepsWhatWasCountedWithoutADirectory(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	p := publish(t, PublisherOptions{Dir: dir, Name: "web", checkEvery: time.Hour}, &tally{n: 3})
	waits(t, p)
	noErr(t, os.RemoveAll(dir))
	if err := p.Close(); err != nil || !p.Kept() {
		t.Errorf("Close: %v; it is kept: %v", err, p.Kept())
	}
	checkEntries(t, dir, kept()...)
	tallyOf(t, dir, 3)
}
