package pipes

import (
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// maxSlowReaders is how many readers may be slow at once. One more ends the
	// one that has been slow the longest.
	maxSlowReaders = 8
	// slowDeadline is how long a reader may take for its snapshot.
	slowDeadline = 30 * time.Second
)

// slowReaders gives readers that stop in the middle the rest of their snapshot,
// each in a goroutine of its own, so that the publisher goes on at once.
type slowReaders struct {
	mu     sync.Mutex
	active []*os.File // writing ends, the oldest first
	closed bool
	ended  sync.WaitGroup
}

// take writes the rest to w in the background, closes it and calls done.
func (s *slowReaders) take(w int, rest []byte, done func()) {
	// w doesn't block, so that the file is watched by Go's poller: its writes
	// take no thread while they wait, and have deadlines.
	file := os.NewFile(uintptr(w), "pipe")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = file.Close()
		done()
		return
	}
	if len(s.active) >= maxSlowReaders {
		_ = s.active[0].SetWriteDeadline(time.Now())
		s.active = s.active[1:]
	}
	s.active = append(s.active, file)
	_ = file.SetWriteDeadline(time.Now().Add(slowDeadline))
	s.ended.Go(func() {
		_, _ = file.Write(rest) // whoever leaves or is too slow gets less
		_ = file.Close()
		s.mu.Lock()
		s.active = slices.DeleteFunc(s.active, func(f *os.File) bool { return f == file })
		s.mu.Unlock()
		done()
	})
}

// close cuts all of them off. What is taken later is cut off at once.
func (s *slowReaders) close() {
	s.mu.Lock()
	s.closed = true
	for _, file := range s.active {
		_ = file.SetWriteDeadline(time.Now())
	}
	s.mu.Unlock()
	s.ended.Wait()
}
