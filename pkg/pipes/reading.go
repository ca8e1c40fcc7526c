package pipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// Reasons why a source has no snapshot.
var (
	errNotFIFO  = errors.New("is not a named pipe")
	errDead     = errors.New("its process is gone")
	errBusy     = errors.New("another reader waits for it as well")
	errNoReply  = errors.New("no answer")
	errEmptied  = errors.New("other readers took every snapshot")
	errNoPipe   = errors.New("its pipe was deleted; it is put back within a minute")
	errChanged  = errors.New("something else took its place while it was opened")
	errTaken    = errors.New("a Publisher has taken its place")
	errHidden   = errors.New("whether its process lives can't be told just now")
	errCanceled = errors.New("given up")
)

// A reading gets one snapshot out of one entry of the directory.
//
// Whoever started it waits for as long as they like; the reading itself goes on
// until the writer is through, and what it brings late is not lost. That also
// spares a slow writer the SIGPIPE of a reader that left.
type reading struct {
	dir      *directory
	name     string
	format   textFormat
	instead  string // a plain pipe to read if that is in a version that isn't known
	limits   Limits
	owners   owners    // nothing of others is opened
	owner    int       // whose it was when it was listed, or nobodys
	turn     turn      // of the owner
	memory   *memory   // that of the Collector, or nil
	holds    holding   // of the memory, which guards it
	deadline time.Time // from then on it waits for nothing but its writer

	// hopeful tells whether an entry that isn't there may come back at once: a
	// plain publisher removes its pipe after each reader and makes another, and a
	// Publisher puts back what was deleted.
	hopeful func() bool
	// taken tells of a source's plain pipe whether it is that of a Publisher, which
	// counts elsewhere.
	taken func(pipe fileInfo) (bool, error)
	// last is what the source has sent before, or nil.
	last *format.Snapshot
	// dead tells whether the writer is known to be gone.
	dead func(pipe fileInfo) bool

	stop chan struct{} // closed by cancel
	done chan struct{} // closed at the end; then the result may be read

	answer *format.Document
	final  bool // it was read from a file that its publisher left when it ended
	err    error
	at     time.Time // when it ended

	mu       sync.Mutex // guards what follows
	pipe     fileInfo   // the FIFO that is being read
	passing  error      // why it tries again, or nil
	file     *os.File
	canceled bool
}

// run does it.
func (r *reading) run() {
	r.answer, r.err = r.read()
	if errors.Is(r.err, format.ErrVersion) && r.instead != "" && !r.final && r.isOwners(r.instead) {
		r.name, r.format = r.instead, plainText
		r.answer, r.err = r.read()
	}
	r.at = time.Now()
	r.dir.close()
	close(r.done)
}

// nobodys stands for the owner of an entry that went before anybody looked.
const nobodys = -1

// isOwners tells whether the entry is of the one whose source this is, as far as it is
// there: it may come back at once.
func (r *reading) isOwners(name string) bool {
	info, err := statAt(r.dir.fd, name)
	return err == nil && r.check(info) == nil || errors.Is(err, fs.ErrNotExist)
}

// check says so of a file that isn't the owner's, or that is somebody's who is left
// out. One with another name may be read there as well, or be none that publishes.
func (r *reading) check(info fileInfo) error {
	if err := r.owners.check(info); err != nil {
		return err
	}
	switch {
	case r.owner == nobodys:
		return nil
	case info.uid != r.owner:
		return fs.ErrNotExist // the one that was listed
	case info.isFIFO() && info.links > 1:
		return errTwoNames
	default:
		return nil
	}
}

// finished tells whether there is a result.
func (r *reading) finished() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// cancel makes the reading end, unless the kernel holds it.
func (r *reading) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceled {
		return
	}
	r.canceled = true
	close(r.stop)
	if r.file != nil {
		_ = r.file.SetReadDeadline(time.Now())
	}
	if r.memory != nil {
		r.memory.giveUp(r)
	}
}

func (r *reading) currentPipe() fileInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pipe
}

// maxEmpty is how many times in a row the snapshot may be gone because a reader
// that takes no lock, such as cat, was faster, before a source that was never
// seen with stats counts as one that has none.
const maxEmpty = 32

func (r *reading) hadStats() bool { return r.last != nil && len(r.last.Stats) > 0 }

func (r *reading) read() (answer *format.Document, err error) {
	defer recoverTo(&err)
	empty := 0
	for nap := napMin; ; nap = min(2*nap, napMax) {
		answer, err = r.readOnce()
		if errors.Is(err, errEmptied) {
			empty++
			if empty >= maxEmpty && !r.hadStats() && r.format != typedText {
				return &format.Document{Snapshot: &format.Snapshot{}}, nil
			}
			if empty < maxEmpty {
				nap = napMin
				continue
			}
		}
		if !r.mayPass(err) {
			return answer, err
		}
		r.mu.Lock()
		r.passing = err
		r.mu.Unlock()
		if !r.nap(nap) {
			return answer, err
		}
	}
}

// mayPass tells whether the error may be over in a moment. A snapshot is torn
// where a publisher that ends cuts off its readers, or where another reader takes
// no lock.
func (r *reading) mayPass(err error) bool {
	return errors.Is(err, errBusy) || errors.Is(err, errEmptied) || errors.Is(err, errChanged) || errors.Is(err, format.ErrTorn) && !r.final ||
		cannotTell(err) || errors.Is(err, fs.ErrNotExist) && r.hopeful()
}

// How long a reading rests before it looks for a fresh FIFO.
const (
	napMin = 20 * time.Microsecond
	napMax = 5 * time.Millisecond
)

// nap says false when there is no time left.
func (r *reading) nap(d time.Duration) bool {
	if time.Now().Add(d).After(r.deadline) {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.stop:
		return false
	}
}

// recoverTo makes an error of a panic, deferred where the text of others is parsed: a
// mistake there costs the source that brought it to light, and not the program.
func recoverTo(err *error) {
	if problem := recover(); problem != nil {
		*err = fmt.Errorf("a mistake of whoever reads it: %v", problem)
	}
}

// readOnce reads what is at the name now.
func (r *reading) readOnce() (*format.Document, error) {
	info, err := statAt(r.dir.fd, r.name)
	if err != nil {
		return nil, r.pathError(err)
	}
	if err := r.check(info); err != nil {
		return nil, r.pathError(err)
	}
	r.mu.Lock()
	r.pipe = info
	r.mu.Unlock()
	if !r.turn.take(r.stop) {
		return nil, errCanceled
	}
	if r.format == typedText && info.mode.IsRegular() {
		defer r.turn.giveBack()
		answer, info, err := r.dir.parseFile(r.name, r.newParser(nil), r.limits, r.owners)
		r.final = true
		if err == nil {
			err = r.check(info)
		}
		if err != nil {
			return nil, r.pathError(err)
		}
		return answer, nil
	}
	file, err := r.open(info)
	r.turn.giveBack()
	if err != nil {
		return nil, err
	}
	defer func() {
		r.mu.Lock()
		r.file = nil
		r.mu.Unlock()
		r.turn.take(nil) // however long that takes: there is a descriptor to be closed
		_ = file.Close()
		r.turn.giveBack()
	}()
	return r.drain(file)
}

func (r *reading) pathError(err error) error {
	return &fs.PathError{Op: "read", Path: filepath.Join(r.dir.path, r.name), Err: err}
}

// open opens the FIFO at the name, which is checked to be one before, lest
// opening something else does something, and after, as its owner is, and locks it:
// two readers that lock never share one snapshot.
func (r *reading) open(before fileInfo) (*os.File, error) {
	if !before.isFIFO() {
		return nil, errNotFIFO
	}
	if r.taken != nil {
		if taken, err := r.taken(before); err != nil {
			return nil, r.pathError(err)
		} else if taken {
			return nil, errTaken
		}
	}
	fd, err := openReadAt(r.dir.fd, r.name)
	if err != nil {
		return nil, r.pathError(err)
	}
	after, err := statFD(fd)
	if err == nil && (!after.isFIFO() || r.taken != nil && after.id != before.id) {
		err = errChanged // a publisher that ends puts its final there; or another begins
	}
	if err == nil {
		err = r.check(after)
	}
	if err == nil {
		var locked bool
		locked, err = tryLock(fd, true)
		if errors.Is(err, errors.ErrUnsupported) {
			locked, err = true, nil // FIFOs have no locks on FreeBSD
		}
		if err == nil && !locked {
			err = errBusy
		}
	}
	if err != nil {
		closeFD(fd)
		return nil, r.pathError(err)
	}
	// fd doesn't block, so that the file is watched by Go's poller: waiting for
	// it takes no thread.
	file := os.NewFile(uintptr(fd), r.name)
	r.mu.Lock()
	r.pipe, r.file = after, file
	r.mu.Unlock()
	return file, nil
}

// How long drain waits for a writer before it looks again whether there will
// be one.
const (
	lookMin = 4 * time.Millisecond
	lookMax = 50 * time.Millisecond
)

// drain reads to the end of the snapshot.
func (r *reading) drain(file *os.File) (*format.Document, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := transfer{
		limits: r.limits,
		parser: r.newParser(r.last),
		stop:   r.stop,
	}
	for look := lookMin; ; look = min(2*look, lookMax) {
		if err := r.setLook(file, look); err != nil {
			return nil, err
		}
		err := conn.Read(func(fd uintptr) bool {
			if !r.turn.take(r.stop) {
				t.err = errCanceled
				return true
			}
			defer r.turn.giveBack()
			return t.pump(int(fd))
		})
		switch {
		case t.ended:
			return t.parser.end()
		case t.err != nil:
			return nil, t.err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		case !t.opened && r.dead(r.currentPipe()):
			return nil, errDead
		}
	}
}

// setLook arms the next look; after the deadline there is none but cancel's.
func (r *reading) setLook(file *os.File, look time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceled {
		return errCanceled
	}
	if now := time.Now(); now.Before(r.deadline) {
		return file.SetReadDeadline(now.Add(look))
	}
	return file.SetReadDeadline(time.Time{})
}

// A transfer is one snapshot on its way from a FIFO into a parser.
type transfer struct {
	limits Limits
	parser parser
	stop   <-chan struct{}
	opened bool // a writer has the pipe open, or had
	total  int  // bytes
	ended  bool // the writer has closed its end
	err    error
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// pump reads what there is and tells whether the transfer is over.
//
// "If no process has the pipe open for writing, read(2) returns 0": in the
// non-blocking mode that is so before a first writer as well, and there it
// isn't the end. Poll knows: only after a writer has come and gone does it say
// POLLHUP. Once there was something to read, there was a writer, and it is the end.
func (t *transfer) pump(fd int) (over bool) {
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	retired := false
	for {
		select {
		case <-t.stop:
			t.err = errCanceled
			return true
		default:
		}
		n, err := readFD(fd, buf[:])
		if n > 0 {
			t.opened = true
			if t.total += n; t.total > t.limits.MaxBytes {
				t.err = fmt.Errorf("sent %w", &LimitError{LimitSourceBytes, t.limits.MaxBytes})
			} else if _, err := t.parser.Write(buf[:n]); err != nil {
				t.err = fmt.Errorf("sent %w", t.limits.said(err))
			}
			if t.err != nil {
				return true
			}
			continue
		}
		if wouldBlock(err) {
			t.opened = true
			return false // and has nothing yet
		}
		if err != nil {
			t.err = err
			return true
		}
		if t.total > 0 {
			t.ended = true // no writer has it open any more
			return true
		}
		state, err := pollReader(fd)
		switch {
		case err != nil:
			t.err = err
			return true
		case state.readable:
			continue // it came in between
		case retired:
			// Its name was gone before we read, so no writer comes any more: who
			// wrote had another reader.
			t.err = errEmptied
			return true
		}
		info, err := statFD(fd)
		if err != nil {
			t.err = err
			return true
		}
		if info.links == 0 {
			retired = true
			continue
		}
		t.ended = state.hungUp // a snapshot without stats, where that is possible
		return t.ended
	}
}

// ReadFIFO reads one snapshot from the FIFO at the path, or that a link there
// points to, in a pipe directory or elsewhere, and waits for its writer until
// ctx is done. It is in either format. The error is an *fs.PathError as a rule; after
// ctx is done it wraps that of ctx, and why there was no snapshot before.
func ReadFIFO(ctx context.Context, path string, limits Limits) (*format.Snapshot, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(100 * 365 * 24 * time.Hour)
	}
	r := newReading(dir, filepath.Base(path), anyText, limits, deadline)
	go r.run()
	select {
	case <-r.done:
		if r.err != nil {
			return nil, r.err
		}
		return r.answer.Snapshot, nil
	case <-ctx.Done():
		r.cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		return nil, &fs.PathError{Op: "read", Path: path, Err: &noReply{ctx.Err(), r.passing}}
	}
}

// A noReply is the error of a reading that was given up.
type noReply struct{ done, passing error }

func (e *noReply) Error() string {
	if e.passing == nil {
		return errNoReply.Error()
	}
	return fmt.Sprintf("%v: %v", errNoReply, cmp.Or(errors.Unwrap(e.passing), e.passing))
}

func (e *noReply) Unwrap() []error {
	return slices.DeleteFunc([]error{e.done, e.passing}, func(err error) bool { return err == nil })
}

func newReading(dir *directory, name string, format textFormat, limits Limits, deadline time.Time) *reading {
	return &reading{
		dir:      dir,
		name:     name,
		format:   format,
		owner:    nobodys,
		limits:   limits.withDefaults(),
		deadline: deadline,
		hopeful:  func() bool { return false },
		dead:     func(fileInfo) bool { return false },
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
	}
}
