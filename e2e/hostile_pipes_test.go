//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	attacks["drain"] = drain
	attacks["hold"] = hold
	attacks["renew"] = renew
	attacks["write"] = writeBadly
}

// An attacker reads others' pipes all the time, as cat does, without a lock. A snapshot
// that is torn or gone is asked for again; where the attacker is faster for the whole
// deadline, what was seen last goes on counting, and /sources says so.
func TestHostileDrain(t *testing.T) {
	s := newSiege(t)
	s.mayLate = true
	s.under(s.attack("drain"), 60, 1000)
	if s.late > s.answers/4 {
		t.Errorf("of %d answers, a program was late in %d", s.answers, s.late)
	}
	s.mayLate = false
	s.ends()
}

// drain reads all pipes of others, again and again.
func drain(a *assault) error {
	a.ready()
	buf := make([]byte, 64<<10)
	for a.goesOn() {
		for _, name := range append(a.others(".typed"), a.others(".stats")...) {
			fd, err := unix.Open(a.path(name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
			if err != nil {
				continue
			}
			for began := time.Now(); time.Since(began) < 200*time.Microsecond; {
				if n, err := unix.Read(fd, buf); n == 0 && err == nil {
					break
				}
			}
			_ = unix.Close(fd)
		}
	}
	return nil
}

// An attacker opens others' pipes, locks them, as statvent's readers do, and never lets
// go of them, as many as there may be.
func TestHostileHold(t *testing.T) {
	s := newSiege(t)
	s.under(s.attack("hold"), 60, 3000)
	s.ends()
}

// The same where a snapshot is larger than a pipe, so that it takes a reader who reads.
func TestHostileHoldOfLargeSnapshots(t *testing.T) {
	s := newSiege(t)
	s.mayLate = true
	for i := range 3000 {
		s.citizens[1].do(fmt.Sprintf("set victim.%s.%d 1", strings.Repeat("long", 10), i))
	}
	s.under(s.attack("hold"), 60, 3000)
	s.mayLate = false
	s.ends()
}

func hold(a *assault) error {
	a.ready()
	const most = 900 // as a process may usually have
	var held []int
	for a.goesOn() {
		for _, name := range append(a.others(".typed"), a.others(".stats")...) {
			fd, err := unix.Open(a.path(name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
			if err != nil {
				continue // it has gone
			}
			_ = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
			if held = append(held, fd); len(held) > most {
				_ = unix.Close(held[0])
				held = held[1:]
			}
		}
	}
	return nil
}

// An attacker has pipes at which nobody answers and makes each of them anew as fast as
// may be, so that each is waited for again: that costs each answer one deadline.
func TestHostileRenewal(t *testing.T) {
	s := newSiege(t)
	s.under(s.attack("renew"), 4, 1000)
	s.ends()
}

func renew(a *assault) error {
	const pipes = 50
	for n := 0; a.goesOn(); n++ {
		name := fmt.Sprintf("renewed-%d.stats", n%pipes)
		if n%2 == 1 {
			name = fmt.Sprintf(".renewed-%d.%016x.typed", n%pipes, n%pipes)
		}
		if err := a.fifo(name); err != nil {
			return err
		}
		if n == pipes {
			a.ready()
		}
	}
	return nil
}

// An attacker writes what nobody should write: endless lines, names without end, halves
// of snapshots, and snapshots without an end, into many pipes at once.
func TestHostileWriters(t *testing.T) {
	s := newSiege(t)
	s.under(s.attack("write"), 6, 1000)
	s.ends()
}

func writeBadly(a *assault) error {
	texts := map[string]string{
		"line.stats":                         strings.Repeat("x", 60_000),
		"names.stats":                        "",
		"same.stats":                         strings.Repeat("same: 1\n", 7000),
		"garbage.stats":                      "\x00\xff\xfe: : : nan\n\n: 1\n",
		".half." + swapID + ".typed":         "statvent: 1\ncounter half: 1\n",
		".torn." + swapID + ".typed":         "statvent: 1\ncounter torn: 1\nend 17: 4\n",
		".version." + swapID + ".typed":      "statvent: 2\ncounter version: 1\nend: 1\n",
		".version.0123456789abcdef.typed":    "statvent: 2\n",
		".huge." + swapID + ".typed":         "statvent: 1\ncounter huge: 9223372036854775807\ncounter huge: 9223372036854775807\ncounter huge: 1e308\ncounter huge: 1e308\nend 5: 4\n",
		".many." + swapID + ".typed":         "statvent: 1\n" + strings.Repeat("statvent: 1\nend: 0\n", 3000),
		".distribution." + swapID + ".typed": "statvent: 1\ndistribution d.{0}: 9223372036854775807\nsum d.{0}: nan\nsample d.{0}: inf\nlabel x d.{0}: 1e308\nend 5: 1\n",
	}
	pipes := make(map[string]int)
	for name := range texts {
		if err := a.fifo(name); err != nil {
			return err
		}
		// Read and written, it needs no reader; what isn't read stays there.
		fd, err := unix.Open(a.path(name), unix.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		pipes[name] = fd
	}
	a.ready()
	for n := 0; a.goesOn(); n++ {
		for name, fd := range pipes {
			text := texts[name]
			if text == "" {
				text = fmt.Sprintf("evil.%d: %d\n", n, n)
			}
			_, _ = unix.Write(fd, []byte(text))
			if n%100 == 99 && strings.HasSuffix(name, ".typed") { // that is its end
				_ = unix.Close(fd)
				if err := a.fifo(name); err != nil {
					return err
				}
				if pipes[name], _ = unix.Open(a.path(name), unix.O_RDWR|unix.O_NONBLOCK, 0); pipes[name] < 0 {
					return os.ErrInvalid
				}
			}
		}
	}
	return nil
}
