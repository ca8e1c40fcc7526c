package pipes

import (
	"sync"
	"time"
)

// strays lets go of readers that came too late. Somebody who walked the path to
// a FIFO just before a fresh one took its place opens it when its writer has
// gone, and would wait for ever. So each retired FIFO is kept for a moment and
// opened for writing, which lets them through to its end, twice.
type strays struct {
	mu      sync.Mutex
	retired []stray // the oldest first
	timer   *time.Timer
	closed  bool
}

type stray struct {
	fifo  *fifo
	since time.Time
	looks int // how many of strayLooks are over
}

// strayLooks are the ages from which on a retired FIFO is looked at. In between
// walking the path and opening the FIFO its reader may lose its processor;
// after the last of these nobody comes any more.
//
// The first is for nearly all of them, and late enough that many are looked at
// together: a program that is read with a hundred others should not wake up while
// those are being read.
var strayLooks = [...]time.Duration{100 * time.Millisecond, time.Second}

// letGoPause is the time for one who was just on the way where there is no more.
const letGoPause = time.Millisecond

// maxStrays bounds the descriptors that are held while somebody reads without
// pause: the oldest goes first, after a last look.
const maxStrays = 256

// add takes over the FIFO. Its writing end must have been closed.
func (s *strays) add(f *fifo) {
	f.closeWaker()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.drop(f)
		return
	}
	if len(s.retired) >= maxStrays {
		s.retired[0].fifo.releaseReaders()
		s.retired[0].fifo.close()
		s.retired = append(s.retired[:0], s.retired[1:]...)
	}
	s.retired = append(s.retired, stray{f, time.Now(), 0})
	if s.timer == nil {
		s.timer = time.AfterFunc(strayLooks[0], s.look)
	} else if len(s.retired) == 1 {
		s.timer.Reset(strayLooks[0])
	}
}

// drop takes over the FIFO and lets go of it as soon as may be.
func (s *strays) drop(f *fifo) {
	f.closeWaker()
	letGo(f)
}

// look is called by the timer, which runs while there are strays.
func (s *strays) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	next := strayLooks[len(strayLooks)-1]
	kept := s.retired[:0]
	for _, r := range s.retired {
		age := now.Sub(r.since)
		if age >= strayLooks[r.looks] {
			r.fifo.releaseReaders()
			for r.looks < len(strayLooks) && age >= strayLooks[r.looks] {
				r.looks++
			}
			if r.looks == len(strayLooks) {
				r.fifo.close()
				continue
			}
		}
		next = min(next, strayLooks[r.looks]-age)
		kept = append(kept, r)
	}
	s.retired = kept
	if len(kept) > 0 && !s.closed {
		s.timer.Reset(max(next, strayLooks[0]))
	}
}

// close has a last look at all of them and lets them go. What is added later
// goes at once.
func (s *strays) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	fifos := make([]*fifo, len(s.retired))
	for i, r := range s.retired {
		fifos[i] = r.fifo
	}
	s.retired = nil
	letGo(fifos...)
}

// letGo lets go of the readers of FIFOs for which there is no time left, and
// closes them.
func letGo(fifos ...*fifo) {
	if len(fifos) == 0 {
		return
	}
	for _, f := range fifos {
		f.releaseReaders()
	}
	time.Sleep(letGoPause)
	for _, f := range fifos {
		f.releaseReaders()
		f.close()
	}
}
