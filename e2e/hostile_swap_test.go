//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { attacks["swap"] = swap }

// swapRounds is how often something is swapped at the least; STATVENT_HOSTILE_ROUNDS
// says another number.
func swapRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("STATVENT_HOSTILE_ROUNDS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An attacker swaps what stands at names of every kind for what is no pipe and no file
// of the attacker's, as fast as may be: in between the check and the open, often enough.
func TestHostileSwaps(t *testing.T) {
	s := newSiege(t)
	s.under(s.attack("swap", s.outside, strconv.Itoa(s.citizens[1].Process.Pid)), 40, swapRounds(t))
	s.ends()
}

const swapID = "00000000deadbeef"

// swap exchanges good entries and bad ones.
func swap(a *assault) error {
	outside, stem := a.args[0], a.args[1]
	uid := strconv.Itoa(attackerUID)
	names := []string{
		"evil.stats", stem + "-2.stats", "1.stats", ".evil." + swapID + ".typed", "." + stem + "." + swapID + ".typed",
		".evil." + swapID + ".live", "." + stem + "." + swapID + ".live",
		retainedName(attackerUID), lockName(attackerUID), retainedName(61234), lockName(61234), ".tmp-" + uid + "-" + swapID,
	}
	for i := range 100 { // so that there is always one in between
		names = append(names, fmt.Sprintf("evil-%d.stats", i))
	}
	bad := []func(path string) error{
		func(path string) error { return os.Symlink(filepath.Join(outside, secretName), path) },
		func(path string) error { return os.Symlink(filepath.Join(outside, "private.stats"), path) },
		func(path string) error { return os.Symlink(outside, path) },
		func(path string) error { return os.Symlink("/dev/full", path) },
		func(path string) error { return os.Symlink("/proc/self/mem", path) },
		func(path string) error { return os.Symlink(filepath.Base(path), path) },
		func(path string) error { return os.Mkdir(path, 0o777) },
		func(path string) error { return os.WriteFile(path, []byte("evil: 1\n"), 0o666) },
		func(path string) error {
			socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				return err
			}
			socket.SetUnlinkOnClose(false)
			return socket.Close()
		},
	}
	put := func(name string, n int) error {
		good, aside := a.path(name), a.path(".aside"+name)
		_, _ = os.RemoveAll(good), os.RemoveAll(aside)
		if err := bad[n%len(bad)](aside); err != nil {
			return err
		}
		if strings.HasSuffix(name, ".stats") || strings.HasSuffix(name, ".typed") && !strings.HasPrefix(name, ".retained") {
			return unix.Mkfifo(good, 0o644)
		}
		return os.WriteFile(good, []byte("statvent: 1\nend: 0\n"), 0o600)
	}
	for n := 0; ; n++ {
		for _, name := range names {
			if err := put(name, n); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if n == 0 {
			a.ready()
		}
		for range 50 {
			for _, name := range names {
				if !a.goesOn() {
					return nil
				}
				err := unix.Renameat2(unix.AT_FDCWD, a.path(name), unix.AT_FDCWD, a.path(".aside"+name), unix.RENAME_EXCHANGE)
				if errors.Is(err, unix.ENOENT) { // root has removed one
					err = put(name, n)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
}
