package pipes

import (
	"errors"
	"io/fs"
	"runtime"
	"sync/atomic"
	"time"
)

// A pipe is the FIFOs, one after another, at one name of a publisher.
type pipe struct {
	publisher *Publisher
	name      func() string // the caller holds publisher.mu
	stays     bool          // its name is never without a file: readers take what has none for ended
	render    func(b []byte) []byte
	done      chan struct{} // closed when serve has ended
	strays    strays
	rendering atomic.Bool

	// Guarded by publisher.mu:
	current *fifo // what stands at the name; nil if it could not be made
	waiting *fifo // the one whose reader serve waits for, or is about to
}

// serve answers readers until the publisher is closed.
//
// It waits in a blocking open, which costs nothing but its thread. The thread
// is locked to the goroutine, and so ends with it: Go would keep it for ever.
func (p *pipe) serve() {
	runtime.LockOSThread()
	defer close(p.done)
	defer p.strays.close()
	var text []byte // reused from reader to reader
	for pause := retryMin; ; {
		f, ok := p.open()
		if !ok {
			return
		}
		w, err := p.await(f)
		if err != nil {
			if !p.rest(pause) {
				return
			}
			pause = min(2*pause, retryMax)
			continue
		}
		retire := p.strays.add
		switch p.replace(f) {
		case replaced:
		case stuck:
			// The next one may be for want of what this one holds.
			retire = p.strays.drop
		case unchanged:
			closeFD(w) // the reader tries again
			if !p.rest(pause) {
				return
			}
			pause = min(2*pause, retryMax)
			continue
		case withdrawn:
			closeFD(w)
			retire(f)
			continue
		}
		pause = retryMin
		p.rendering.Store(true)
		text = p.render(text[:0])
		p.rendering.Store(false)
		text = p.answer(w, text, func() { retire(f) })
	}
}

// How long awaitEnd waits, and how often it tries to wake serve again.
const (
	endWait  = 50 * time.Millisecond
	endTries = 8
)

// awaitEnd waits until serve has ended, after the publisher was closed, and says
// after that time why it hasn't.
func (p *pipe) awaitEnd(patience time.Time) error {
	ticker := time.NewTicker(endWait / endTries)
	defer ticker.Stop()
	for first := true; first || time.Now().Before(patience); first = false {
		select {
		case <-p.done:
			return nil
		case <-ticker.C:
		}
		p.publisher.mu.Lock()
		p.rouse()
		p.publisher.mu.Unlock()
	}
	p.publisher.mu.Lock()
	defer p.publisher.mu.Unlock()
	switch {
	case p.rendering.Load():
		return errors.New("a snapshot is still being made: a function that computes a stat does not return")
	case p.waiting != nil && p.waiting.waker < 0:
		return errors.New("the thread of the pipe can't be woken: out of descriptors")
	default:
		return nil // it is on its way, on a busy machine
	}
}

// How long serve rests when it can't make or open its pipe: out of descriptors,
// disk full, no permission.
const (
	retryMin = 10 * time.Millisecond
	retryMax = time.Minute
)

func (p *pipe) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.publisher.closing:
		return false
	}
}

// open returns the FIFO whose reader serve waits for next, made again if need
// be, nil if that fails. It says false when the publisher is closed.
func (p *pipe) open() (*fifo, bool) {
	p.publisher.mu.Lock()
	defer p.publisher.mu.Unlock()
	if p.publisher.closed {
		return nil, false
	}
	if p.current == nil {
		p.remake()
	}
	p.waiting = p.current
	return p.current, true
}

// remake makes a FIFO where there is none, and everything else as well if the
// place isn't ours any more. It leaves current nil if it fails. The caller holds
// publisher.mu.
func (p *pipe) remake() {
	pub := p.publisher
	if pub.dir != nil {
		f, err := pub.dir.createFIFO(p.name(), pub.opts.Mode, nil)
		if err == nil {
			p.current = f
			return
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return
		}
	}
	_ = pub.repair()
}

var errNoFIFO = errors.New("there is no FIFO to wait at")

// await waits for a reader of f and returns the writing end.
func (p *pipe) await(f *fifo) (int, error) {
	if f == nil {
		return -1, errNoFIFO
	}
	w, err := aboveStd(f.openForWriting())
	if err != nil {
		switch p.replace(f) {
		case replaced:
			p.strays.add(f)
		case stuck, withdrawn:
			p.strays.drop(f)
		case unchanged:
		}
	}
	return w, err
}

// What became of the name of a FIFO that has a reader.
type replacement int

const (
	replaced  replacement = iota // a fresh one has it
	stuck                        // no fresh one could be made, and nothing has it
	unchanged                    // no fresh one could be made, and so it has it still
	withdrawn                    // it had lost it before: the reader is our own, to wake us
)

// replace puts a fresh FIFO at the place of f, which has a reader now, before
// anything is written: so nobody who comes later reads a second snapshot out
// of f.
func (p *pipe) replace(f *fifo) replacement {
	pub := p.publisher
	pub.mu.Lock()
	defer pub.mu.Unlock()
	p.waiting = nil
	if p.current != f {
		return withdrawn
	}
	name := p.name()
	next, err := pub.dir.createFIFO(name, pub.opts.Mode, f)
	if err == nil {
		p.current = next
		return replaced
	}
	if p.stays && pub.at(name, f.id) {
		return unchanged
	}
	_ = pub.dir.remove(name, f.id) // or somebody else has the place
	p.current = nil
	return stuck
}

// withdraw takes the FIFO away from its place. The caller holds publisher.mu.
func (p *pipe) withdraw() error {
	return p.leave(func(f *fifo) error {
		if f == nil {
			return nil
		}
		return p.publisher.dir.remove(p.name(), f.id)
	})
}

// leave calls take, which takes the name of the FIFO from it, nil if there is
// none, and lets go of whoever waits at it. The caller holds publisher.mu.
func (p *pipe) leave(take func(f *fifo) error) error {
	f := p.current
	if f == nil {
		return take(nil)
	}
	p.current = nil
	p.rouse() // before it has no name: where there is no /proc, that is the only way to it
	err := take(f)
	if p.waiting != f { // else serve lets go of it
		p.strays.add(f)
	}
	return err
}

// rouse wakes serve where it waits at a FIFO that is withdrawn. It can be
// repeated, for when there was no descriptor left. The caller holds
// publisher.mu.
func (p *pipe) rouse() {
	if p.waiting != nil && p.waiting != p.current {
		p.waiting.wake()
	}
}

// answer writes the text to the reader, hands it to a helper if the reader
// doesn't take it at once, and returns a buffer for the next text. Retire is
// called when the writing end is closed.
func (p *pipe) answer(w int, text []byte, retire func()) []byte {
	rest := text
	if setNonblock(w) == nil {
		rest = writeNow(w, text)
	}
	if len(rest) == 0 {
		closeFD(w)
		retire()
		return text
	}
	p.publisher.slow.take(w, rest, retire)
	return nil
}

// writeNow writes what the pipe takes without waiting and returns the rest.
// There is none when the reader has gone.
func writeNow(w int, text []byte) (rest []byte) {
	enlarged := len(text) > defaultPipeSize
	if enlarged {
		enlarge(w, len(text))
	}
	for len(text) > 0 {
		n, err := writeFD(w, text)
		if n > 0 {
			text = text[n:]
			continue
		}
		if !wouldBlock(err) {
			return nil // EPIPE: the reader left
		}
		if enlarged {
			return text
		}
		// A pipe is smaller than usual when its user has many.
		enlarge(w, len(text)+defaultPipeSize)
		enlarged = true
	}
	return nil
}
