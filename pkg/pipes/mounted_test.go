//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// mayMount gives the test mounts of its own.
func mayMount(t *testing.T) {
	t.Helper()
	needsRoot(t, "it mounts")
	runtime.LockOSThread() // for good: the thread ends with its mounts
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skip("SKIPPED: needs mounts of its own: ", err)
	}
	noErr(t, unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

// mountOver does what fusermount does for a stranger who owns a directory at the path.
func mountOver(t *testing.T, path string) {
	t.Helper()
	noErr(t, os.Mkdir(path, 0o755))
	give(t, path, stranger)
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { closeFD(fd) })
		err = unix.Mount("fuse", path, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, stranger, stranger))
	}
	if err != nil {
		t.Skip("SKIPPED: needs FUSE: ", err)
	}
	t.Cleanup(func() { noErr(t, unix.Unmount(path, unix.MNT_DETACH)) })
	if err := unix.Lstat(path, new(unix.Stat_t)); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("root may look at it: %v", err)
	}
}

// Everybody may mount a FUSE on what is theirs, and root may not look at that. It hides
// nobody, keeps nobody from folding, and costs no collection.
func TestMountedNamesAreNobodys(t *testing.T) {
	mayMount(t)
	check := func(what string, name func(id string) string) {
		t.Run(what, func(t *testing.T) {
			mayMount(t)
			dir, stateDir := worldDir(t), t.TempDir()
			publishPlain(t, dir, "web", says("plain: 5\n"))
			gone := startTally(t, 3, dir, "theirs", "nobody")
			c := newSaver(t, dir, stateDir)
			checkCount(t, tidied(t, c), 3)
			source := find(t, collect(t, c), "theirs")
			noErr(t, c.Close())
			gone.kill()
			noErr(t, os.Remove(source.Path))
			mountOver(t, filepath.Join(dir, name(source.ID)))
			d := openTestDir(t, dir)
			noErr(t, d.leave("final", &format.Document{PID: 1, Snapshot: tallied(4).Lasting()}))
			c = newSaver(t, dir, stateDir)
			for range 3 {
				collection := tidied(t, c)
				checkCount(t, collection, 4)
				checkLive(t, collection, "web", "plain: 5\n")
			}
			noErr(t, fold(t, dir, os.Geteuid(), nil))
			if l := must(d.list()); len(l.typed["final"]) != 0 {
				t.Error("the final isn't folded")
			}
		})
	}
	check("a typed pipe of a plain publisher's name", func(id string) string { return typedName("web", id) })
	check("a .live file of it", func(id string) string { return liveName("web", id) })
	check("a typed pipe that was saved", func(id string) string { return typedName("theirs", id) })
	check("a retained file", func(string) string { return retainedName(42) })
	check("a lock", func(string) string { return retainedLockName(42) })
	check("a plain pipe", func(string) string { return statsName("more") })
}
