//go:build linux

package pipes

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile holds a flock on a file until the test ends or unlock is called.
func lockFile(t *testing.T, path string) (unlock func()) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tryLock(fd, true); !got || err != nil {
		t.Fatalf("%s is not to be locked: %v", path, err)
	}
	open := true
	unlock = func() {
		if open {
			closeFD(fd)
			open = false
		}
	}
	t.Cleanup(unlock)
	return unlock
}

const otherID = "0123456789abcdef"

func TestPublisherLivesAsLongAsItsLockIsHeld(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	pipe := stat(t, mkfifo(t, filepath.Join(path, "web.stats")))
	check := func(what string, want liveness, ids ...string) {
		t.Helper()
		if got := dir.liveness("web", ids, pipe); got != want {
			t.Errorf("%s: the liveness is %d, want %d", what, got, want)
		}
	}
	check("no .live file", unknown)
	check("one that is gone", unknown, someID)

	file := writeFile(t, filepath.Join(path, liveName("web", someID)), "pid: 1\n")
	check("one without a lock", dead, someID)
	unlock := lockFile(t, file)
	check("one with a lock", alive, someID)
	check("one with a lock, one that is gone", alive, otherID, someID)
	other := writeFile(t, filepath.Join(path, liveName("web", otherID)), "pid: 1\n")
	check("one with a lock, one without", alive, otherID, someID)
	check("one without a lock, one with", alive, someID, otherID)
	unlock()
	check("two without a lock", dead, someID, otherID)

	noErr(t, os.Link(file, filepath.Join(path, "second name")))
	check("one that has two names", unknown, someID)
	noErr(t, os.Remove(other))
	noErr(t, os.Symlink(file, other))
	check("a link", unknown, otherID)
	noErr(t, os.Remove(other))
	noErr(t, os.Mkdir(other, 0o755))
	check("a directory", unknown, otherID)
	noErr(t, os.Remove(other))
	mkfifo(t, other)
	lockFile(t, other)
	check("a FIFO", unknown, otherID)
}

func TestLiveFileSpeaksForThePipesOfItsOwner(t *testing.T) {
	check := func(live, pipe int, want bool) {
		t.Helper()
		if got := (fileInfo{uid: live}).speaksFor(fileInfo{uid: pipe}); got != want {
			t.Errorf("a .live file of %d speaks for a pipe of %d: %v", live, pipe, got)
		}
	}
	check(1000, 1000, true)
	check(0, 1000, true)
	check(0, 0, true)
	check(1000, 0, false)
	check(1000, 2000, false)
}

func TestStrangersLiveFileSaysNothing(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	pipe := stat(t, mkfifo(t, filepath.Join(path, "web.stats")))
	file := writeFile(t, filepath.Join(path, liveName("web", someID)), "pid: 1\n")
	noErr(t, os.Chown(file, 65534, -1))
	check := func(want liveness) {
		t.Helper()
		if got := dir.liveness("web", []string{someID}, pipe); got != want {
			t.Errorf("the liveness is %d, want %d", got, want)
		}
	}
	check(unknown)
	lockFile(t, file)
	check(unknown)
	if pid, _ := dir.livePID("web", []string{someID}, pipe); pid != 0 {
		t.Errorf("the pid is %d, want none", pid)
	}
	if removed, err := dir.removeDead("web", []string{someID}, nil); removed || err != nil {
		t.Errorf("removed: %v, %v", removed, err)
	}
	checkEntries(t, path, "web.stats", liveName("web", someID))
}

func TestLiveFileTellsPidAndBeginning(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	pipe := stat(t, mkfifo(t, filepath.Join(path, "web.stats")))
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	check := func(text string, want int) {
		t.Helper()
		file := writeFile(t, filepath.Join(path, liveName("web", someID)), text)
		noErr(t, os.Chtimes(file, began, began))
		pid, since := dir.livePID("web", []string{someID}, pipe)
		if pid != want {
			t.Errorf("%q is of pid %d, want %d", text, pid, want)
		}
		if want != 0 && !since.Equal(began) {
			t.Errorf("%q began %v, want %v", text, since, began)
		}
	}
	check("pid: 3435\n", 3435)
	check("pid: 3435", 3435)
	check("", 0)
	check("\n", 0)
	check("pid: \n", 0)
	check("pid: x\n", 0)
	check("pid: 3435\nand more\n", 0)
}

// makeLiveFiles makes .live files of the stem web and removes them, one after
// the other, until it is stopped.
func makeLiveFiles(t *testing.T, dir *directory) (stop func()) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
			}
			live, err := dir.createLive("web", newID(), os.Getpid())
			if err != nil {
				t.Error(err)
				return
			}
			if err := live.remove(dir); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() {
		close(quit)
		await(t, "the maker of .live files ends", done)
	}
}

func TestLiveFileIsNeverSeenUnlocked(t *testing.T) {
	noLeaks(t)
	path := memoryDir(t)
	dir := openTestDir(t, path)
	pipe := stat(t, mkfifo(t, filepath.Join(path, "web.stats")))
	stop := makeLiveFiles(t, dir)
	seen := 0
	eventually(t, "its file was looked at often", func() bool {
		l, err := dir.list()
		if err != nil {
			t.Fatal(err)
		}
		switch dir.liveness("web", l.live["web"], pipe) {
		case alive:
			seen++
		case dead:
			// Between its removal and the end of its lock it can be open here; but
			// then it isn't listed any more.
			again, err := dir.list()
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range l.live["web"] {
				if slices.Contains(again.live["web"], id) {
					t.Fatal("its file has no lock")
				}
			}
		}
		return seen >= scaled(50)
	})
	stop()
}

// A neighbour who locks the file before its publisher does would make that look
// dead. Others can open it only when it is locked, under its first name too.
func TestLiveFileCanNotBeLockedByANeighbourFirst(t *testing.T) {
	noLeaks(t)
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := memoryDir(t)
	dir := openTestDir(t, path)
	stop := makeLiveFiles(t, dir)
	closed, open := 0, 0
	eventually(t, "both of its states were seen", func() bool {
		names, err := readNames(dir.fd)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			fd, err := openReadAt(dir.fd, name)
			if err != nil {
				continue // it has its own name by now, or is gone
			}
			info, err := statFD(fd) // whether a neighbour could have opened it
			if err != nil {
				t.Fatal(err)
			}
			if info.mode.Perm()&0o077 == 0 {
				closed++
			} else if got, err := tryLock(fd, false); err != nil || got && exists(filepath.Join(path, name)) {
				t.Errorf("%s is open to others and not locked (%v)", name, err)
			} else {
				open++
			}
			closeFD(fd)
		}
		return t.Failed() || closed >= scaled(20) && open >= scaled(20)
	})
	stop()
}

// Somebody who cleans up after a dead publisher keeps out others who do, and doesn't
// make it look alive; neither does one who can't open the file for writing, or has an
// older version, get in its way.
func TestDeadLooksDeadWhileSomebodyCleansUp(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	pipe := stat(t, mkfifo(t, filepath.Join(path, "web.stats")))
	name := liveName("web", someID)
	file := writeFile(t, filepath.Join(path, name), "pid: 1\n")
	lock := func() func() {
		t.Helper()
		fd, _, err := dir.openLive("web", someID)
		noErr(t, err)
		unlock, err := lockDead(fd)
		noErr(t, err)
		if unlock == nil {
			closeFD(fd)
			return nil
		}
		return func() { unlock(); closeFD(fd) }
	}
	unlock := lock()
	if got := dir.liveness("web", []string{someID}, pipe); got != dead {
		t.Errorf("the liveness is %d meanwhile", got)
	}
	if lock() != nil {
		t.Error("two have the lock")
	}
	if removed, err := dir.removeDead("web", []string{someID}, nil); removed || err != nil {
		t.Errorf("removed: %v, %v", removed, err)
	}
	fd, err := openReadAt(dir.fd, name)
	noErr(t, err)
	if got, err := tryLock(fd, true); got || err != nil {
		t.Errorf("an exclusive flock: %v, %v", got, err)
	}
	closeFD(fd)
	unlock()
	release := lockFile(t, file) // an older version
	if lock() != nil {
		t.Error("two have the lock, one an exclusive flock")
	}
	release()
	if unlock = lock(); unlock == nil {
		t.Fatal("nobody has the lock, and it can't be had")
	}
	unlock()
}

func TestRemoveDeadRemovesOnlyTheDead(t *testing.T) {
	noLeaks(t)
	check := func(what string, wantRemoved bool, prepare func(path string) (left []string)) {
		t.Helper()
		path := t.TempDir()
		left := prepare(path)
		dir := openTestDir(t, path)
		removed, err := dir.removeDead("web", []string{someID, otherID}, nil)
		if removed != wantRemoved || err != nil {
			t.Errorf("%s: removed: %v, %v", what, removed, err)
		}
		checkEntries(t, path, left...)
	}
	pipe := func(path string) string { mkfifo(t, filepath.Join(path, "web.stats")); return "web.stats" }
	live := func(path, id string) string {
		writeFile(t, filepath.Join(path, liveName("web", id)), "pid: 1\n")
		return liveName("web", id)
	}
	check("nothing there", false, func(string) []string { return nil })
	check("a pipe alone", false, func(path string) []string { return []string{pipe(path)} })
	check("a dead one", true, func(path string) []string { pipe(path); live(path, someID); return nil })
	check("two dead ones", true, func(path string) []string {
		pipe(path)
		live(path, someID)
		live(path, otherID)
		return nil
	})
	check("a dead one without a pipe", true, func(path string) []string { live(path, someID); return nil })
	check("a live one", false, func(path string) []string {
		left := []string{pipe(path), live(path, someID)}
		lockFile(t, filepath.Join(path, left[1]))
		return left
	})
	check("a live one without a pipe", false, func(path string) []string {
		left := []string{live(path, someID)}
		lockFile(t, filepath.Join(path, left[0]))
		return left
	})
	check("a live one and a dead one", false, func(path string) []string {
		left := []string{pipe(path), live(path, someID), live(path, otherID)}
		lockFile(t, filepath.Join(path, left[2]))
		return left
	})
	check("another stem's", true, func(path string) []string {
		pipe(path)
		live(path, someID)
		mkfifo(t, filepath.Join(path, "other.stats"))
		return []string{"other.stats"}
	})
	check("a file in the pipe's place", false, func(path string) []string {
		writeFile(t, filepath.Join(path, "web.stats"), "")
		return []string{"web.stats", live(path, someID)}
	})
}

// What is planted under the name of a .live file is not opened unless it is a
// regular file: a FIFO whose writer faults in the middle of a write hangs even
// an open that doesn't wait.
func TestPlantedLiveFileIsNotOpened(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	p := publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	var planted []string
	for range 5 {
		planted = append(planted, liveName("web", newID()))
		mkfifo(t, filepath.Join(dir, planted[len(planted)-1]))
	}
	opened := watchFiles(t, dir)
	c := newCollector(t, CollectorOptions{Dir: dir, Tidy: true})
	checkLive(t, tidied(t, c), "web", "x: 1\n")
	names := opened()
	if !slices.Contains(names, ours(p)[1]) {
		t.Fatalf("the watch did not see the pipe opened, only %q", names)
	}
	for _, name := range planted {
		if slices.Contains(names, name) {
			t.Errorf("a FIFO called %s was opened", name)
		}
	}
}

func TestStrangersLiveFileDoesNotHideThePid(t *testing.T) {
	needsRoot(t, "it gives a file to another user")
	noLeaks(t)
	dir := t.TempDir()
	publish(t, PublisherOptions{Dir: dir, Name: "web"}, renderText("x: 1\n"))
	for range 20 {
		file := writeFile(t, filepath.Join(dir, liveName("web", newID())), "pid: 1\n")
		noErr(t, os.Chown(file, 65534, -1))
	}
	c := newCollector(t, CollectorOptions{Dir: dir})
	if s := find(t, collect(t, c), "web"); s.PID != os.Getpid() {
		t.Errorf("the pid is %d, want %s", s.PID, strconv.Itoa(os.Getpid()))
	}
}
