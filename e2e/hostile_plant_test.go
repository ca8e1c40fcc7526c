//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { attacks["plant"] = plantAll }

// An attacker has put something of every kind at names of every kind, before anybody
// came. The others' numbers are right, what is theirs is stored, and nothing is removed
// but what stands in the place of another's file, and the attacker's own litter.
func TestHostilePlants(t *testing.T) {
	for _, kind := range []string{"file", "private file", "document", "FIFO", "secret", "pipe", "device", "dangling", "directory", "full directory", "socket", "hard link"} {
		t.Run(kind, func(t *testing.T) {
			s := prepareSiege(t)
			s.dir = pipeDirIn(t, s.base)
			startAttacker(t, s.dir, "plant", kind, s.outside).end(t)
			planted := listNames(t, s.dir)
			if len(planted) < 15 {
				t.Fatalf("planted are %q", planted)
			}
			s.begin()
			for range 5 {
				s.ask()
			}
			s.ends()
			// What the attacker has retained counts, and notes all finals of the attacker's.
			want := ""
			if kind == "document" {
				want = "1000000"
			}
			if got := s.last["evil.jobs"].String(); got != want {
				t.Errorf("evil.jobs is %q, want %q", got, want)
			}
			inTheWay := []string{retainedName(0), lockName(0), retainedName(victimUID), lockName(victimUID)}
			litter := ".tmp-" + strconv.Itoa(attackerUID) + "-" + swapID
			for _, name := range planted {
				var st unix.Stat_t
				err := unix.Lstat(filepath.Join(s.dir, name), &st)
				gone := errors.Is(err, fs.ErrNotExist)
				switch {
				case slices.Contains(inTheWay, name):
					if err != nil || st.Uid == attackerUID {
						t.Errorf("%s is of user %d, %v", name, st.Uid, err)
					}
				case name == litter, strings.HasSuffix(name, ".live"), strings.HasSuffix(name, ".typed") && kind == "document":
					// It is what a process of the attacker's leaves, and may be tidied up or folded.
				case gone || st.Uid != attackerUID:
					t.Errorf("%s is gone, or of user %d: %v", name, st.Uid, err)
				}
			}
		})
	}
}

func listNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// plantAll plants one kind of thing at all names.
func plantAll(a *assault) error {
	kind, outside := a.args[0], a.args[1]
	text := "statvent: 1\nid " + swapID + ": 1\ncounter evil.jobs: 1000000\ncounter evil.runs: 1\nfolded " + swapID + ": 1\nend: 2\n"
	kinds := map[string]func(path string) error{
		"file":         func(path string) error { return os.WriteFile(path, []byte("stolen: 1\n"), 0o666) },
		"private file": func(path string) error { return os.WriteFile(path, []byte("stolen: 1\n"), 0o600) },
		"document": func(path string) error {
			return os.WriteFile(path, []byte(text), 0o644)
		},
		"FIFO":      func(path string) error { return unix.Mkfifo(path, 0o666) },
		"secret":    func(path string) error { return os.Symlink(filepath.Join(outside, secretName), path) },
		"pipe":      func(path string) error { return os.Symlink(filepath.Join(outside, "private.stats"), path) },
		"device":    func(path string) error { return os.Symlink("/dev/full", path) },
		"dangling":  func(path string) error { return os.Symlink(filepath.Join(outside, "new"), path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o777) },
		"full directory": func(path string) error {
			return os.MkdirAll(filepath.Join(path, "x.stats"), 0o777)
		},
		"socket": func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) },
		"hard link": func(path string) error {
			// Of the attacker's own, where the kernel allows no others.
			mine := a.path("mine")
			if err := os.WriteFile(mine, []byte(text), 0o644); err != nil {
				return err
			}
			if os.Link(filepath.Join(outside, secretName), path) == nil {
				return nil
			}
			return os.Link(mine, path)
		},
	}
	names := []string{
		"web.stats", "1.stats", strconv.Itoa(os.Getppid()) + ".stats", "4242424.stats", ".stats", "..stats", "x.y",
		".web." + swapID + ".typed", ".ended." + swapID + ".typed", ".1." + swapID + ".typed", "." + strconv.Itoa(os.Getppid()) + "." + swapID + ".typed",
		".web." + swapID + ".live", "." + strconv.Itoa(os.Getppid()) + "." + swapID + ".live",
		retainedName(0), lockName(0), retainedName(victimUID), lockName(victimUID), retainedName(attackerUID), lockName(attackerUID),
		retainedName(61234), lockName(61234), ".retained-.typed", ".retained-x.typed", ".retained-00.typed", ".retained--1.typed", ".retained-4294967296.typed",
		".tmp-" + strconv.Itoa(attackerUID) + "-" + swapID, ".tmp-0-" + swapID, ".tmp-" + strconv.Itoa(victimUID) + "-" + swapID, ".tmp-", ".tmp-0-../../x"[:10],
	}
	// Stems that a program will want.
	for pid := os.Getpid(); pid < os.Getpid()+300; pid++ {
		names = append(names, fmt.Sprintf("%d.stats", pid))
	}
	slices.Sort(names)
	names = slices.Compact(names) // where pids have begun anew, the parent's is among them
	long := time.Now().Add(-time.Hour)
	for _, name := range names {
		err := kinds[kind](a.path(name))
		if err == nil && kind != "hard link" {
			err = unix.UtimesNanoAt(unix.AT_FDCWD, a.path(name), []unix.Timespec{unix.NsecToTimespec(long.UnixNano()), unix.NsecToTimespec(long.UnixNano())}, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	a.ready()
	return nil
}
