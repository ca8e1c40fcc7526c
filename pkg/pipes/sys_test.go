//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// In a directory in memory more than one call to getdents misses entries while
// others rename.
func TestListingMissesNothingWhileOthersRename(t *testing.T) {
	noLeaks(t)
	check := func(count, nameLen int) {
		t.Helper()
		path := memoryDir(t)
		var want []string
		for i := range count {
			name := fmt.Sprintf("%0*d.stats", nameLen, i)
			writeFile(t, filepath.Join(path, name), "")
			want = append(want, name)
		}
		dir := openTestDir(t, path)
		stop := make(chan struct{})
		var renaming sync.WaitGroup
		for r := range 2 {
			renaming.Go(func() {
				for i := r; ; i += 2 {
					select {
					case <-stop:
						return
					default:
					}
					tmp := fmt.Sprintf(".tmp-%d-%d", r, i)
					if err := os.WriteFile(filepath.Join(path, tmp), nil, 0o644); err != nil {
						t.Error(err)
						return
					}
					if err := renameAt(dir.fd, tmp, want[i*7%count]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range scaled(60) {
			names, err := readNames(dir.fd)
			if err != nil {
				t.Error(err)
				break
			}
			names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, ".tmp-") })
			slices.Sort(names)
			if !slices.Equal(names, want) {
				t.Errorf("%d names were listed, want %d", len(names), count)
				break
			}
		}
		close(stop)
		await(t, "the renaming ends", waitDone(&renaming))
	}
	check(1000, 10)
	check(1000, 150) // more than the first buffer holds
}

func TestListingIsOfEverySize(t *testing.T) {
	check := func(count int) {
		t.Helper()
		path := memoryDir(t)
		for i := range count {
			writeFile(t, filepath.Join(path, fmt.Sprintf("%0200d", i)), "")
		}
		dir := openTestDir(t, path)
		for range 2 { // again from the beginning
			names, err := readNames(dir.fd)
			if err != nil || len(names) != count {
				t.Errorf("of %d names %d were listed: %v", count, len(names), err)
			}
		}
	}
	check(0)
	check(1)
	for count := 250; count < 330; count += 10 { // about as many as 64 KiB hold
		check(count)
	}
	check(1500)
}

func TestFilesAreToldApart(t *testing.T) {
	dir := t.TempDir()
	check := func(path, want string, fifo bool) {
		t.Helper()
		info := stat(t, path)
		if info.kind() != want || info.isFIFO() != fifo {
			t.Errorf("%s is %s (a FIFO: %v), want %s", path, info.kind(), info.isFIFO(), want)
		}
	}
	check(writeFile(t, filepath.Join(dir, "file"), ""), "a regular file", false)
	check(mkfifo(t, filepath.Join(dir, "fifo")), "a named pipe", true)
	check(dir, "a directory", false)
	check("/dev/null", "a device", false)
	link := filepath.Join(dir, "link")
	noErr(t, os.Symlink("fifo", link))
	check(link, "a symbolic link", false)
	check(mksocket(t, filepath.Join(dir, "socket")), "a socket", false)
}

func mksocket(t *testing.T, path string) string {
	t.Helper()
	if err := unix.Mknod(path, unix.S_IFSOCK|0o644, 0); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMovingTakesNoNameThatIsTaken(t *testing.T) {
	check := func(what string, move func(dir int, from, to string) error) {
		t.Helper()
		path := t.TempDir()
		dir := openTestDir(t, path)
		mkfifo(t, filepath.Join(path, "from"))
		taken := stat(t, writeFile(t, filepath.Join(path, "taken"), ""))
		if err := move(dir.fd, "from", "taken"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s to a name that is taken: %v", what, err)
		}
		if got := stat(t, filepath.Join(path, "taken")); got.id != taken.id {
			t.Errorf("%s replaced what was there", what)
		}
		if err := move(dir.fd, "from", "to"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		checkEntries(t, path, "taken", "to")
		if err := move(dir.fd, "from", "to"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v", what, err)
		}
	}
	check("moveAt", moveAt)
	check("moveByLink", moveByLink)
}

func TestOnlyESRCHSaysThatAProcessIsGone(t *testing.T) {
	check := func(pid int, want bool) {
		t.Helper()
		if got := processExists(pid); got != want {
			t.Errorf("process %d exists: %v, want %v", pid, got, want)
		}
	}
	check(os.Getpid(), true)
	check(1, true) // EPERM for an ordinary user
	check(deadPID(t), false)

	ended := exec.Command("true")
	noErr(t, ended.Start())
	eventually(t, "it is one that has ended, and that nobody has waited for", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", ended.Process.Pid))
		return err == nil && strings.Contains(string(text), ") Z ")
	})
	check(ended.Process.Pid, false)
	noErr(t, ended.Wait())

	// A thread of a process has a number like one, which isn't free for long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, hold := make(chan int), make(chan struct{})
	defer close(hold)
	go func() { // on another thread than this one; one of both isn't the first
		runtime.LockOSThread()
		thread <- unix.Gettid()
		<-hold
	}()
	for _, id := range []int{unix.Gettid(), <-thread} {
		check(id, id == os.Getpid())
	}
}

func TestDescriptorsOfStandardStreamsAreAvoided(t *testing.T) {
	noLeaks(t)
	fd, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := aboveStd(fd, nil); got != fd || err != nil {
		t.Errorf("descriptor %d became %d, %v", fd, got, err)
	}
	closeFD(fd)
}
