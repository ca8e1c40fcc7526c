//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	attacks["flood"] = flood
	attacks["names"] = bomb
	attacks["hoard"] = hoard
}

// floodSize is how many pipes an attacker makes: more than are read, of anybody.
const floodSize = 20_000

// An attacker makes 20,000 pipes at which nobody answers, and makes them anew again and
// again. The others' numbers are right in every answer, and it is said that not all are
// read. How long one takes is what it takes to look at so many, which is measured with a
// flood that lies still, and to open all those that are new, which no deadline bounds.
func TestHostileFlood(t *testing.T) {
	s := newSiege(t)
	a := s.attack("flood", strconv.Itoa(floodSize))
	s.growsQuiet(fmt.Sprintf("%d pipes", floodSize))
	a.goOn(t)
	s.under(a, 4, floodSize)
	s.isCapped("max_sources")
	s.ends()
}

// growsQuiet measures anew how long an answer takes, with so much more to read.
func (s *siege) growsQuiet(what string) {
	s.t.Helper()
	s.quiet = 0
	s.ask() // who doesn't answer is waited for this once
	s.answers, s.slowest = 0, 0
	for range 2 {
		s.ask()
	}
	s.quiet = s.slowest + siegeDeadline/2
	s.t.Logf("with %s that lie still, the slowest answer took %v", what, s.slowest)
}

func flood(a *assault) error {
	name := func(n int) string {
		if n%2 == 1 {
			return fmt.Sprintf(".flood.%016x.typed", n)
		}
		return fmt.Sprintf("flood-%d.stats", n)
	}
	size, err := strconv.Atoi(a.args[0])
	if err != nil {
		return err
	}
	for n := range size {
		if err := a.fifo(name(n)); err != nil {
			return err
		}
	}
	a.ready()
	for !a.told.Load() && !a.ended.Load() {
		nap()
	}
	for n := 0; a.goesOn(); n++ {
		if err := a.fifo(name(n % size)); err != nil {
			return err
		}
	}
	return nil
}

// An attacker publishes as many names as a source may have, other ones each time. The
// others' numbers are right, and it is said that not all of the attacker's have a place.
func TestHostileNames(t *testing.T) {
	s := newSiege(t)
	a := s.attack("names")
	s.growsQuiet("100,000 names")
	a.goOn(t)
	s.under(a, 6, 3)
	s.isCapped("max_host_stats")
	s.ends()
}

func bomb(a *assault) error {
	const most = 100_000
	text := func(n int) string {
		var b strings.Builder
		b.WriteString("statvent: 1\n")
		for i := range most {
			fmt.Fprintf(&b, "counter evil.%d.%d: 1\n", n, i)
		}
		fmt.Fprintf(&b, "end: %d\n", most)
		return b.String()
	}
	name := ".bomb." + swapID + ".typed"
	if err := a.fifo(name); err != nil {
		return err
	}
	a.ready()
	for n := 1; !a.ended.Load(); {
		fd, err := unix.Open(a.path(name), unix.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil { // nobody reads
			nap()
			continue
		}
		if err := a.fifo(name); err != nil {
			return err
		}
		// Set to block, it is no file that Go polls.
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), name)
		_, _ = file.WriteString(text(n))
		_ = file.Close()
		if a.told.Load() {
			n++
			fmt.Println("rounds", n)
		}
	}
	return nil
}

// An attacker's pipes send as much as they may, all of them, and hold what they have sent
// for as long as they live. The others' numbers are right, serve stays small, and it is
// said that there is no room for all of that.
func TestHostileHoard(t *testing.T) {
	const hoards, limit = 200, 16 // of a MiB each
	s := prepareSiege(t)
	s.dir, s.config = pipeDirIn(t, s.base), fmt.Sprintf("max_host_bytes: %dMiB\n", limit)
	s.begin()
	before := rss(t, s.serve.Process.Pid)
	forgetPeak(t, s.serve.Process.Pid)
	a := s.attack("hoard", strconv.Itoa(hoards))
	s.growsQuiet("what is kept of them")
	a.goOn(t)
	s.under(a, 10, 3*hoards)
	s.isCapped("max_host_bytes")
	grown := (peak(t, s.serve.Process.Pid) - before) >> 20
	t.Logf("serve has grown by %d MiB at the most", grown)
	if most := 12 * limit; grown > most {
		t.Errorf("serve has grown by %d MiB, and %d is the most", grown, most)
	}
	s.ends()
}

func hoard(a *assault) error {
	hoards, err := strconv.Atoi(a.args[0])
	if err != nil {
		return err
	}
	name := func(hoard int) string { return fmt.Sprintf(".hoard.%016x.typed", hoard) }
	for i := range hoards {
		if err := a.fifo(name(i)); err != nil {
			return err
		}
	}
	long := strings.Repeat("x", 1<<10)
	send := func(hoard int) error {
		w, err := unix.Open(a.path(name(hoard)), unix.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil // nobody reads
		}
		if err := errors.Join(a.fifo(name(hoard)), unix.SetNonblock(w, false)); err != nil { // set to block, it is no file that Go polls
			return err
		}
		file := os.NewFile(uintptr(w), "")
		defer file.Close()
		var b strings.Builder
		b.WriteString("statvent: 1\n")
		const most = 1 << 10
		for i := range most {
			fmt.Fprintf(&b, "counter hoard.%d.%d.%s: 1\n", hoard, i, long)
		}
		fmt.Fprintf(&b, "end: %d\n", most)
		_, _ = file.WriteString(b.String())
		if a.told.Load() {
			fmt.Println("rounds", a.rounds)
			a.rounds++
		}
		return nil
	}
	a.ready()
	for !a.ended.Load() {
		for i := range hoards {
			if err := send(i); err != nil {
				return err
			}
		}
		nap()
	}
	return nil
}
