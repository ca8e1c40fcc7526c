//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/statvent"
)

// A ledger is memory that a test shares with the workers which it starts. Each
// writes down there what it does, by its number, so that this is known of those
// that are killed as well.
type ledger []entry

// An entry is one worker's.
type entry struct {
	begun   atomic.Int64 // steps, counted before each
	done    atomic.Int64 // and after it
	closing atomic.Int64 // 1 from the moment before Close on
}

// maxWorkers is how many entries there are; those that nobody uses cost nothing.
const maxWorkers = 1 << 14

func openLedger(path string) (ledger, error) {
	const size = maxWorkers * int(unsafe.Sizeof(entry{}))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(int64(size)); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*entry)(unsafe.Pointer(unsafe.SliceData(memory))), maxWorkers), nil
}

// What a worker has: a counter of its own and two that it shares with all of its
// kind, one of them a float, whose sums are exact in any order; a distribution of
// its kind; and a gauge of its own.
func ownName(kind string, n int) string { return "own." + kind + "." + strconv.Itoa(n) }
func totalName(kind string) string      { return "total." + kind }
func quartersName(kind string) string   { return "quarters." + kind }
func sizeName(kind string) string       { return "size." + kind + ".{0}" }
func aliveName(n int) string            { return "alive." + strconv.Itoa(n) }

const (
	totalPerStep = 3
	largestSize  = 100 // they are 1 to that
)

func sizeOf(step int64) int64 { return 1 + step%largestSize }

// work is what a worker does: some steps, a nap, and so on, and then it ends in the
// way that a program should.
func work(args []string) error {
	var n, naps, steps int
	if _, err := fmt.Sscan(args[2]+" "+args[3]+" "+args[4], &n, &naps, &steps); err != nil {
		return err
	}
	all, err := openLedger(args[0])
	if err != nil {
		return err
	}
	rec, err := statvent.StartRecorder()
	if err != nil {
		return err
	}
	w := newWorker(all, args[1], n)
	for range naps {
		for range steps {
			w.step(nil)
		}
		time.Sleep(40 * time.Millisecond)
	}
	w.mine.closing.Store(1)
	return rec.Close()
}

// A worker counts what it does, and writes it down.
type worker struct {
	mine                 *entry
	own, total, quarters *statvent.Counter
	size                 *statvent.Distribution
}

func newWorker(all ledger, kind string, n int) *worker {
	statvent.Set(aliveName(n), 1)
	return &worker{
		&all[n],
		statvent.NewCounter(ownName(kind, n)), statvent.NewCounter(totalName(kind)), statvent.NewCounter(quartersName(kind)),
		statvent.NewDistribution(sizeName(kind)),
	}
}

// step does also what it is given, if anything, before it is done.
func (w *worker) step(also func(step int64)) {
	step := w.mine.begun.Add(1)
	if also != nil {
		also(step)
	}
	w.own.Incr()
	w.total.IncrBy(totalPerStep)
	w.quarters.IncrByFloat(0.25)
	w.size.Record(sizeOf(step))
	w.mine.done.Store(step)
}
