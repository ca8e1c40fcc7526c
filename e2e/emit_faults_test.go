//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ways are the ways to emit something.
var ways = [][]string{{"jobs"}, {"jobs", "0.5"}, {"--set", "depth", "1"}, {"--record", "size", "1"}, {"--delete", "jobs"}, {"--ttl=1h", "jobs"}, {"-"}}

// mountTmpfs mounts a file system in memory that everybody may write.
func mountTmpfs(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = filepath.Join(memoryDir(t), "pipes")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777,"+options); err != nil {
		t.Skipf("SKIPPED: no file system can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// When the disk is full, whoever emits is told, and nothing is lost but that.
func TestEmitOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, scarce := range []string{"size=64k", "nr_inodes=32"} {
		t.Run(scarce, func(t *testing.T) {
			forUsers(t, func(t *testing.T, uid int) {
				e := emitter{t, uid, mountTmpfs(t, scarce)}
				e.stores("jobs", "3")
				e.stores("--set", "depth", "4")
				fillers := fill(t, e.dir, scarce == "size=64k")
				for _, way := range ways {
					e.refuses([]string{"nothing is stored: write " + e.dir + "/", "no space left on device"}, way...)
				}
				catWants(t, e.dir, "jobs=3", "depth=4")
				for _, path := range fillers {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
				e.stores("jobs", "3")
				catWants(t, e.dir, "jobs=6", "depth=4")
			})
		})
	}
	// What doesn't fit as a whole isn't stored in part.
	t.Run("nearly full", func(t *testing.T) {
		forUsers(t, func(t *testing.T, uid int) {
			e := emitter{t, uid, mountTmpfs(t, "size=64k")}
			e.stores("jobs", "3")
			before := contents(t, e.dir)
			var lines strings.Builder
			for i := range 5000 {
				fmt.Fprintf(&lines, "name.%d: %d\n", i, i)
			}
			if got := e.run(lines.String(), "-"); got.code != 1 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "no space left") {
				t.Errorf("5000 lines: %v", got)
			}
			if after := contents(t, e.dir); !sameContents(before, after) {
				t.Errorf("the directory had\n%v, and has\n%v", before, after)
			}
		})
	})
}

func sameContents(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// fill fills a file system and returns what it is filled with.
func fill(t *testing.T, dir string, withText bool) (paths []string) {
	t.Helper()
	for i := 0; ; i++ {
		path := filepath.Join(dir, fmt.Sprint("filler", i))
		file, err := os.Create(path)
		if errors.Is(err, unix.ENOSPC) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		for err == nil && withText {
			_, err = file.Write(make([]byte, 4096))
		}
		file.Close()
		if errors.Is(err, unix.ENOSPC) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The directory, and what is above it, is made where that may be.
func TestEmitMakesTheDirectory(t *testing.T) {
	t.Parallel()
	forUsers(t, func(t *testing.T, uid int) {
		base := memoryDir(t)
		if err := os.Lchown(base, uid, -1); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{filepath.Join(base, "pipes"), filepath.Join(base, "some", "where", "pipes")} {
			e := emitter{t, uid, dir}
			e.stores("jobs")
			e.stores("--set", "depth", "1")
			catWants(t, dir, "jobs=1", "depth=1")
			if info, err := os.Stat(dir); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
				t.Errorf("%s is %v, %v", dir, info.Mode(), err)
			}
		}
	})
}

func TestEmitWhereNothingCanBeStored(t *testing.T) {
	t.Parallel()
	t.Run("no directory can be made", func(t *testing.T) {
		t.Parallel()
		e := emitter{t, anotherUser(t), filepath.Join(memoryDir(t), "pipes")}
		for _, way := range ways {
			e.refuses([]string{"nothing is stored: " + e.dir + " can't be written: permission denied"}, way...)
		}
	})
	t.Run("it is below a file", func(t *testing.T) {
		t.Parallel()
		forUsers(t, func(t *testing.T, uid int) {
			file := filepath.Join(memoryDir(t), "file")
			if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{file, filepath.Join(file, "pipes")} {
				e := emitter{t, uid, dir}
				for _, way := range ways {
					e.refuses([]string{dir, "not a directory"}, way...)
				}
			}
		})
	})
	t.Run("it is a symbolic link", func(t *testing.T) {
		t.Parallel()
		e := newEmitter(t)
		link := e.dir + "-link"
		if err := os.Symlink(e.dir, link); err != nil {
			t.Fatal(err)
		}
		linked := e
		linked.dir = link
		for _, way := range ways {
			linked.refuses([]string{link, "symbolic link"}, way...)
		}
		if found := contents(t, e.dir); len(found) > 0 {
			t.Errorf("it has stored %v", found)
		}
	})
	t.Run("read-only file system", func(t *testing.T) {
		t.Parallel()
		forUsers(t, func(t *testing.T, uid int) {
			e := emitter{t, uid, mountTmpfs(t, "size=1m")}
			e.stores("jobs", "3")
			remount := func(flags uintptr) {
				if err := unix.Mount("", e.dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
					t.Fatal(err)
				}
			}
			remount(unix.MS_RDONLY)
			for _, way := range ways {
				e.refuses([]string{"nothing is stored: ", e.dir + "/", "read-only file system"}, way...)
			}
			catWants(t, e.dir, "jobs=3")
			remount(0)
			e.stores("jobs", "3")
			catWants(t, e.dir, "jobs=6")
		})
	})
	t.Run("mode 0555", func(t *testing.T) {
		t.Parallel()
		forUsers(t, func(t *testing.T, uid int) {
			e := emitter{t, uid, pipeDirIn(t, memoryDir(t))}
			e.stores("jobs", "3")
			if err := errors.Join(os.Lchown(e.dir, uid, -1), os.Chmod(e.dir, 0o555)); err != nil {
				t.Fatal(err)
			}
			if uid == 0 { // whom no mode keeps out
				e.stores("jobs", "3")
				catWants(t, e.dir, "jobs=6")
				return
			}
			for _, way := range ways {
				e.refuses([]string{"nothing is stored: " + e.dir + " can't be written: permission denied"}, way...)
			}
			catWants(t, e.dir, "jobs=3")
		})
	})
	t.Run("somebody else's, mode 0755", func(t *testing.T) {
		t.Parallel()
		nobody := anotherUser(t)
		e := emitter{t, nobody, pipeDirIn(t, memoryDir(t))}
		e.as(0).stores("jobs", "3")
		if err := os.Chmod(e.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, way := range ways {
			e.refuses([]string{"nothing is stored: " + e.dir + " can't be written: permission denied"}, way...)
		}
		catWants(t, e.dir, "jobs=3")
	})
}

// In a directory of mode 1777 everybody emits, whoever owns it.
func TestEmitInSomebodyElsesDirectory(t *testing.T) {
	t.Parallel()
	nobody := anotherUser(t)
	for _, owner := range []int{0, nobody, thirdUID} {
		e := newEmitter(t)
		if err := os.Lchown(e.dir, owner, -1); err != nil {
			t.Fatal(err)
		}
		for _, uid := range []int{0, nobody} {
			e.as(uid).stores("jobs", "3")
			e.as(uid).stores("--set", "depth", "4")
			e.as(uid).stores("--record", "size", "4")
		}
		catWants(t, e.dir, "jobs=6", "depth=8", "size.mean=4.0")
	}
}

// thirdUID is one more user without rights.
const thirdUID = 65533

// plants are what somebody may put at a name that he has no use for.
var plants = map[string]func(path string) error{
	"file":      func(path string) error { return os.WriteFile(path, []byte("mine: 1\n"), 0o600) },
	"no file":   func(path string) error { return os.WriteFile(path, nil, 0o666) },
	"FIFO":      func(path string) error { return unix.Mkfifo(path, 0o666) },
	"link":      func(path string) error { return os.Symlink("/etc/passwd", path) },
	"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	"directory with something in it": func(path string) error {
		return os.MkdirAll(filepath.Join(path, "a", "b"), 0o700)
	},
}

func plant(t *testing.T, what, path string, owner int) {
	t.Helper()
	if err := errors.Join(plants[what](path), os.Lchown(path, owner, -1)); err != nil {
		t.Fatal(err)
	}
}

// Somebody has taken the names of a user's files. What the user counts is stored
// all the same, the rest is refused, and root takes away what is planted.
func TestNamesThatSomebodyElseHasTaken(t *testing.T) {
	t.Parallel()
	nobody := anotherUser(t)
	for what := range plants {
		for _, planter := range []int{0, thirdUID} {
			for _, name := range []string{lockName(nobody), retainedName(nobody)} {
				t.Run(fmt.Sprintf("%s of user %d at %s", what, planter, name), func(t *testing.T) {
					t.Parallel()
					e := newEmitter(t).as(nobody)
					path := filepath.Join(e.dir, name)
					plant(t, what, path, planter)
					before := contents(t, e.dir)
					e.stores("jobs", "3")
					e.stores("jobs", "0.5")
					e.storesLines("jobs: 1\nlines: 2\n", "-")
					for _, way := range [][]string{{"--set", "depth", "1"}, {"--record", "size", "1"}, {"--ttl=1h", "jobs"}, {"--delete", "jobs"}, {"jobs", "-1"}} {
						e.refuses([]string{"nothing is stored: ", path}, way...)
					}
					catWants(t, e.dir, "jobs=4.5", "lines=2", "depth=")
					if after := contents(t, e.dir); after[name] != before[name] {
						t.Errorf("%s was %q, and is %q", name, before[name], after[name])
					}
					// A serve of root's folds what is counted, and makes room.
					serve := startServe(t, e.dir)
					waitUntil(t, "it is folded", func() bool {
						serve.get(t, "/stats")
						info, err := os.Lstat(filepath.Join(e.dir, retainedName(nobody)))
						return err == nil && info.Mode().IsRegular() && int(info.Sys().(*syscall.Stat_t).Uid) == nobody
					})
					e.stores("--set", "depth", "1")
					e.stores("jobs")
					wants(t, e.dir, serve, "jobs=5.5", "lines=2", "depth=1")
				})
			}
		}
	}
}

// Root takes away what is planted at the names of its own files.
func TestNamesThatSomebodyHasTakenFromRoot(t *testing.T) {
	t.Parallel()
	nobody := anotherUser(t)
	for what := range plants {
		for _, name := range []string{lockName(0), retainedName(0)} {
			t.Run(what+" at "+name, func(t *testing.T) {
				t.Parallel()
				e := newEmitter(t)
				path := filepath.Join(e.dir, name)
				plant(t, what, path, nobody)
				e.stores("--set", "depth", "1")
				e.stores("jobs", "3")
				catWants(t, e.dir, "jobs=3", "depth=1")
				if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Uid != 0 {
					t.Errorf("%s is %v, %v", name, info, err)
				}
			})
		}
	}
}

// A process that is stopped holds a user's lock: what only counts is stored at
// once, all else is refused in time, and what was counted is there when the lock
// is free again.
func TestLockThatIsHeldForEver(t *testing.T) {
	t.Parallel()
	forUsers(t, func(t *testing.T, uid int) {
		e := newEmitter(t).as(uid)
		e.stores("jobs", "3")
		e.stores("--set", "depth", "4")
		lock := filepath.Join(e.dir, lockName(uid))
		cmd := exec.Command(lookup(t, "flock"), "--no-fork", "--exclusive", lock, "cat")
		become(cmd, uid)
		holder := start(t, cmd)
		waitUntil(t, "the lock is held", func() bool { return isLocked(t, lock) })
		signalAndWait(t, holder, syscall.SIGSTOP)

		const never = "--wait=1h"
		for _, way := range [][]string{{"jobs", "3"}, {"jobs", "0.5"}, {"new"}} {
			e.stores(append([]string{never}, way...)...)
		}
		e.storesLines("jobs: 1\nlines: 2\n", never, "-")
		catWants(t, e.dir, "jobs=7.5", "new=1", "lines=2", "depth=4")
		for _, way := range [][]string{
			{"--set", "depth", "1"},
			{"--record", "size", "1"},
			{"--ttl=1h", "jobs"},
			{"--delete", "jobs"},
			{"jobs", "-1"},
			{"depth", "1"}, // which is a gauge
		} {
			e.refuses([]string{"nothing is stored after 20ms: lock " + lock + ": another process holds the lock"}, append([]string{"--wait=20ms"}, way...)...)
		}
		for wait, args := range map[time.Duration][]string{200 * time.Millisecond: {"--wait", "200ms"}, 2 * time.Second: nil} {
			got := e.run("", append(args, "--set", "depth", "1")...)
			if got.code != 1 || !strings.HasPrefix(got.stderr, fmt.Sprintf("statvent: nothing is stored after %v: lock ", wait)) {
				t.Errorf("with %q: %v", args, got)
			}
			if got.took < wait {
				t.Errorf("with %q: it gives up after %v", args, got.took)
			}
		}
		catWants(t, e.dir, "jobs=7.5", "new=1", "lines=2", "depth=4", "size.mean=")

		signalAndWait(t, holder, syscall.SIGKILL)
		e.stores("--set", "depth", "1")
		catWants(t, e.dir, "jobs=7.5", "new=1", "lines=2", "depth=1")
		if found := contents(t, e.dir); len(found) != 2 {
			t.Errorf("what was counted is not folded: %v", found)
		}
	})
}

func isLocked(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK
}

// The kernel may keep everybody, root included, from opening what others own in a
// sticky directory.
func TestEmitWhereTheKernelProtectsFiles(t *testing.T) {
	nobody := anotherUser(t)
	for _, level := range []string{"1", "2"} {
		t.Run("level "+level, func(t *testing.T) {
			for _, name := range []string{"protected_regular", "protected_fifos"} {
				setSysctl(t, "/proc/sys/fs/"+name, level)
			}
			e := newEmitter(t) // of root's, with mode 1777
			serve := startServe(t, e.dir)
			users := []int{0, nobody}
			for range 2 {
				for _, uid := range users {
					e.as(uid).stores("jobs", "3")
					e.as(uid).stores("--set", "depth", "4")
					e.as(uid).stores("--record", "size", "4")
					e.as(uid).storesLines("lines: 2\n", "-")
				}
			}
			file, err := os.OpenFile(filepath.Join(e.dir, retainedName(nobody)), os.O_RDWR|os.O_CREATE, 0)
			if file.Close(); !errors.Is(err, fs.ErrPermission) {
				t.Skipf("SKIPPED: the kernel does not protect files here: %v", err)
			}
			wants(t, e.dir, serve, "jobs=12", "lines=8", "depth=8", "size.mean=4.0")
			for i, uid := range users {
				h := startHold(t, e.as(uid), "-")
				h.say("held: 1\n")
				awaitStats(t, serve, fmt.Sprintf("held=%d", 2*i+1))
				killed := startHold(t, e.as(uid), "-")
				killed.say("held: 1\n")
				awaitStats(t, serve, fmt.Sprintf("held=%d", 2*i+2))
				signalAndWait(t, killed.process, syscall.SIGKILL) // root's serve folds it
				h.leave(0)
			}
			waitUntil(t, "all is folded", func() bool {
				sources, err := serve.trySources()
				return err == nil && len(sources) == len(users) && sources[0].State == "retained" && sources[1].State == "retained"
			})
			wants(t, e.dir, serve, "jobs=12", "held=4")
			if got := catAs(t, nobody, e.dir); got["jobs"] != "12" || got["held"] != "4" {
				t.Errorf("user %d sees %v", nobody, got)
			}
		})
	}
}

// catAs returns what cat prints for a user.
func catAs(t *testing.T, uid int, dir string) map[string]string {
	t.Helper()
	cmd := exec.Command(binary, "cat", "-d", dir)
	become(cmd, uid)
	got := complete(t, cmd)
	if got.code != 0 || got.stderr != "" {
		t.Errorf("cat of user %d: %v", uid, got)
	}
	return plainStats(t, got.stdout)
}

// setSysctl sets a variable of the kernel for the time of a test.
func setSysctl(t *testing.T, path, value string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(value), 0o644)
	}
	if err != nil {
		t.Skipf("SKIPPED: %s can't be set here: %v", path, err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, before, 0o644); err != nil {
			t.Error(err)
		}
	})
}
