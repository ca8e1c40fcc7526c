//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// What a puppet has in TestChaos beside what a worker has: a distribution of its
// own, whose sum tells its count; the first and the last line of its plain pipe, so
// that a torn one shows; and, if it is fat, so much that no pipe takes it at once.
func mineName(kind string, n int) string { return "mine." + kind + "." + strconv.Itoa(n) + ".{0}" }
func firstName(n int) string             { return "aa." + strconv.Itoa(n) }
func lastName(n int) string              { return "zz." + strconv.Itoa(n) }
func padName(n, i int) string {
	return fmt.Sprintf("pad.%d.%04d, a name that is long enough to fill a pipe", n, i)
}

const fatPads = 1500

// sumOfSizes returns the sum of what has been recorded after so many steps.
func sumOfSizes(steps int64) int64 {
	rest := steps % largestSize
	return steps + steps/largestSize*(largestSize*(largestSize-1)/2) + rest*(rest+1)/2
}

// A player is what a puppet is made of in TestChaos.
type player struct {
	*worker
	own    *statvent.Distribution
	atRest resources
	limit  unix.Rlimit
}

// resources are what a program that has closed all must not hold.
type resources struct{ goroutines, descriptors int }

func (r *resources) take() {
	entries, _ := os.ReadDir("/proc/self/fd")
	r.goroutines, r.descriptors = runtime.NumGoroutine(), len(entries)
}

// act does what a line says that other puppets don't understand.
func (p *player) act(verb, rest string) error {
	switch verb {
	case "play": // LEDGER KIND NUMBER PADS
		return p.play(rest)
	case "steps": // HOW-MANY NAP
		return p.steps(rest)
	case "starve": // for want of descriptors, but for so many
		return p.starve(rest)
	case "fed":
		return unix.Setrlimit(unix.RLIMIT_NOFILE, &p.limit)
	case "burst": // for want of memory
		return burst()
	case "rest":
		return p.checkRest()
	}
	return fmt.Errorf("cannot %q", verb)
}

func (p *player) play(rest string) error {
	var path, kind string
	var n, pads int
	if _, err := fmt.Sscan(rest, &path, &kind, &n, &pads); err != nil {
		return err
	}
	all, err := openLedger(path)
	if err != nil {
		return err
	}
	p.worker, p.own = newWorker(all, kind, n), statvent.NewDistribution(mineName(kind, n))
	statvent.Set(firstName(n), 1)
	statvent.Set(lastName(n), 1)
	for i := range pads {
		statvent.Set(padName(n, i), i)
	}
	p.atRest.take()
	return unix.Getrlimit(unix.RLIMIT_NOFILE, &p.limit)
}

func (p *player) steps(rest string) error {
	var steps int
	var nap time.Duration
	if _, err := fmt.Sscan(rest, &steps, (*int64)(&nap)); err != nil {
		return err
	}
	for i := range steps {
		if i%10 == 9 {
			time.Sleep(nap)
		}
		p.step(func(step int64) { p.own.Record(sizeOf(step)) })
	}
	return nil
}

func (p *player) starve(rest string) error {
	spare, err := strconv.Atoi(rest)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	limit := p.limit
	limit.Cur = uint64(len(entries) - 1 + spare) // without the one that listed them
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// burst makes the runtime end the program.
func burst() error {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &now); err != nil {
		return err
	}
	now.Cur = 1 << 20 // less than there is
	if err := unix.Setrlimit(unix.RLIMIT_AS, &now); err != nil {
		return err
	}
	var all [][]byte
	for range 1 << 12 {
		all = append(all, make([]byte, 1<<20))
	}
	return fmt.Errorf("it has %d MiB", len(all))
}

// checkRest says what the program still holds although it has closed all.
func (p *player) checkRest() error {
	var now resources
	for range 500 {
		if now.take(); now.goroutines <= p.atRest.goroutines && now.descriptors <= p.atRest.descriptors {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("it has %+v, and had %+v", now, p.atRest)
}

// publishPlain is a program without the library: it counts, and publishes that in the
// manner of the first statvent. Its arguments are the ledger and its number.
func publishPlain(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	all, err := openLedger(args[0])
	if err != nil {
		return err
	}
	path := filepath.Join(pipes.Dir(""), strconv.Itoa(os.Getpid())+".stats")
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM)
	go func() {
		<-ends
		_ = os.Remove(path)
		os.Exit(0)
	}()
	go func() {
		for {
			all[n].begun.Add(1)
			all[n].done.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_ = os.Remove(path) // of one that had the same pid
	for {
		if err := publishOnce(path, n, &all[n]); err != nil {
			time.Sleep(10 * time.Millisecond) // the directory is away, or the disk full
		}
	}
}

func publishOnce(path string, n int, e *entry) error {
	if err := unix.Mkfifo(path, 0o644); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	value := e.done.Load()
	_, err = fmt.Fprintf(pipe, "plain.%d: %d\nplain.%d.again: %d\n", n, value, n, value)
	return errors.Join(err, pipe.Close(), os.Remove(path))
}
