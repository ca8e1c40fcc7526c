//go:build linux

package benchmarks

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A bareReader does what no reader of pipes can do without, and nothing else: it
// opens each, locks it, waits for the writer, reads to the end, closes. It checks
// nothing and parses nothing. It finds what the Collector does: a reader that
// opens a pipe gets its one snapshot, and the next one opens a fresh pipe.
type bareReader struct {
	dir     int
	names   []string
	polled  []unix.PollFd
	total   []int // bytes, by index in names
	buffers sync.Pool
}

var errNoSnapshot = errors.New("it had no snapshot")

func newBareReader(b *testing.B, set *publisherSet) *bareReader {
	b.Helper()
	dir, err := unix.Open(set.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = unix.Close(dir) })
	return &bareReader{
		dir:     dir,
		names:   set.typedPipes(b),
		polled:  make([]unix.PollFd, set.sources),
		total:   make([]int, set.sources),
		buffers: sync.Pool{New: func() any { return new([64 << 10]byte) }},
	}
}

// open opens and locks one.
func (r *bareReader) open(name string) (int, error) {
	fd, err := unix.Openat(r.dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// readEach reads all at once, each in a goroutine of its own that waits in Go's
// poller: the same concurrency as the Collector's.
func (r *bareReader) readEach(b *testing.B) {
	b.Helper()
	failed := make(chan error, len(r.names))
	var readers sync.WaitGroup
	for _, name := range r.names {
		readers.Go(func() {
			if err := r.readOne(name); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		readers.Wait()
		close(done)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		b.Fatal("the bare loop waits for somebody who doesn't write")
	}
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
}

func (r *bareReader) readOne(name string) error {
	fd, err := r.open(name)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	buf := r.buffers.Get().(*[64 << 10]byte)
	defer r.buffers.Put(buf)
	total := 0
	var readErr error
	err = conn.Read(func(fd uintptr) (over bool) {
		for {
			n, err := unix.Read(int(fd), buf[:])
			if n > 0 {
				total += n
				continue
			}
			if err == unix.EAGAIN {
				return false
			}
			readErr = err
			return err != nil || total > 0 // else the writer hasn't come yet
		}
	})
	return errors.Join(err, readErr)
}

// readPolled opens all, then waits for all of them with one poll, in one thread:
// the fewest system calls.
func (r *bareReader) readPolled(b *testing.B) {
	b.Helper()
	open := 0
	defer func() {
		for _, p := range r.polled[:open] {
			if p.Fd >= 0 {
				_ = unix.Close(int(p.Fd))
			}
		}
	}()
	for i, name := range r.names {
		fd, err := r.open(name)
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		r.polled[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		r.total[i] = 0
		open++
	}
	buf := r.buffers.Get().(*[64 << 10]byte)
	defer r.buffers.Put(buf)
	for left := open; left > 0; {
		ready, err := unix.Poll(r.polled, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			b.Fatalf("the bare loop waits for %d that don't write: %v", left, err)
		}
		for i := range r.polled {
			p := &r.polled[i]
			if p.Fd < 0 || p.Revents == 0 {
				continue
			}
			ended, err := r.drain(i, buf[:])
			if err != nil {
				b.Fatalf("%s: %v", r.names[i], err)
			}
			if ended {
				_ = unix.Close(int(p.Fd))
				p.Fd = -1 // which poll passes over
				left--
			}
		}
	}
}

// drain reads what there is of a pipe that poll says has something, or an end.
func (r *bareReader) drain(i int, buf []byte) (ended bool, err error) {
	for {
		n, err := unix.Read(int(r.polled[i].Fd), buf)
		switch {
		case n > 0:
			r.total[i] += n
		case err == unix.EAGAIN:
			return false, nil
		case err == nil && r.total[i] == 0:
			return true, errNoSnapshot
		default:
			return true, err
		}
	}
}
