//go:build linux

package e2e

import (
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { attacks["lock"] = lockAll }

// An attacker waits for the lock on whatever others have that can be opened. Nobody who
// lives is held up. Who is killed looks alive for as long as the attacker has the lock:
// that is the limit that is documented. Its counters neither fall nor count twice, then
// or later.
func TestHostileLocks(t *testing.T) {
	s := newSiege(t)
	a := s.attack("lock")
	s.under(a, 60, 100)
	victim := s.citizens[1]
	s.citizens = s.citizens[:1]
	victim.kill()
	check := func(when string) (left []reported) {
		t.Helper()
		stats, took := s.serve.stats(t)
		s.took("/stats", took)
		if got := stats["victim.jobs"].String(); got != strconv.Itoa(victim.jobs) {
			t.Errorf("%s: victim.jobs is %q, want %d", when, got, victim.jobs)
		}
		sources, _ := s.serve.report(t)
		for _, r := range sources {
			if r.User == victim.user() && r.Kind == "typed" {
				left = append(left, r)
			}
		}
		return left
	}
	for range 30 {
		left := check("while it is locked")
		if len(left) == 0 {
			t.Fatal("what an attacker has locked is gone, which shows nothing")
		}
		if left[0].State != "unresponsive" || left[0].Error == "" {
			t.Errorf("the source is %+v", left[0])
		}
	}
	a.end(t)
	waitUntil(t, "the victim is folded", func() bool { return len(check("when it is free")) == 0 })
	check("in the end")
	s.ends()
}

// lockAll takes all locks that there are to be had: of each kind, and waits for those
// that others have.
func lockAll(a *assault) error {
	a.ready()
	seen := make(map[string]bool)
	for a.goesOn() {
		for _, name := range append(append(a.others(".live"), a.others(".lock")...), a.others(".typed")...) {
			if seen[name] {
				continue
			}
			fd, err := unix.Open(a.path(name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
			if err != nil {
				continue
			}
			seen[name] = true
			lock := unix.Flock_t{Type: unix.F_RDLCK}
			_ = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock)
			_ = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &lock)
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
			go func() { _ = syscall.Flock(fd, syscall.LOCK_EX) }()
		}
	}
	return nil
}
