//go:build linux

package benchmarks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkPublish is what a reader costs a program that publishes 100 stats: its
// processor time for each snapshot, whatever it does when the reader is gone
// included, and how long the reader waits for the first byte. With rate=max a
// reader opens the pipe again at once, with rate=10 ten times a second: each then
// finds the program asleep, and what it costs to wake it is in the figures.
func BenchmarkPublish(b *testing.B) {
	b.Run("rate=max", func(b *testing.B) { benchmarkPublish(b, 2000, 0) })
	b.Run("rate=10", func(b *testing.B) { benchmarkPublish(b, 50, 100*time.Millisecond) })
}

func benchmarkPublish(b *testing.B, reads int, pace time.Duration) {
	set := startPublishers(b, hostSize{1, 1})
	reader := newBareReader(b, set)
	program := set.workers[0]
	timeFirstByte(b, reader) // the first snapshot makes what the others reuse
	idle := awaitIdle(b, program.pid)
	var waits []time.Duration
	var used time.Duration
	for b.Loop() {
		before := program.cpuTime(b)
		next := time.Now()
		for range reads {
			if pace > 0 {
				next = next.Add(pace)
				time.Sleep(time.Until(next)) // it is the pace, not a wait for something
			}
			waits = append(waits, timeFirstByte(b, reader))
		}
		if now := awaitIdle(b, program.pid); now > idle {
			b.Fatalf("the program holds %d descriptors, and held %d before", now, idle)
		}
		used += program.cpuTime(b) - before
	}
	b.ReportMetric(0, "ns/op") // it is that of all reads
	b.ReportMetric(float64(used.Nanoseconds())/float64(len(waits)), "publisher-cpu-ns/snapshot")
	b.ReportMetric(float64(medianTime(waits).Nanoseconds()), "first-byte-ns")
	b.ReportMetric(float64(timeAt(waits, 0.99).Nanoseconds()), "first-byte-p99-ns")
}

// timeFirstByte reads the only pipe and returns the time from before its opening
// to the first byte.
func timeFirstByte(b *testing.B, r *bareReader) (wait time.Duration) {
	b.Helper()
	start := time.Now()
	fd, err := r.open(r.names[0])
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	buf := r.buffers.Get().(*[64 << 10]byte)
	defer r.buffers.Put(buf)
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for total := 0; ; {
		ready, err := unix.Poll(polled, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			b.Fatalf("the program doesn't write: %v", err)
		}
		n, err := unix.Read(fd, buf[:])
		switch {
		case n > 0 && total == 0:
			wait = time.Since(start)
			total = n
		case n > 0:
			total += n
		case err == unix.EAGAIN:
		case err != nil || total == 0:
			b.Fatalf("%v after %d bytes", err, total)
		default:
			return wait
		}
	}
}

// awaitIdle waits until the number of a program's descriptors is the same for
// longer than it keeps those of pipes that were read, which is a second, and
// returns it.
func awaitIdle(b *testing.B, pid int) int {
	b.Helper()
	const settled = 1200 * time.Millisecond
	deadline := time.Now().Add(patience)
	last, since := -1, time.Now()
	for time.Since(since) < settled {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			b.Fatal(err)
		}
		if len(files) != last {
			last, since = len(files), time.Now()
		}
		if time.Now().After(deadline) {
			b.Fatal("the program doesn't come to rest")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return last
}
