package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// PublisherOptions say where and as what a Publisher publishes. The zero value
// is what the first statvent did.
type PublisherOptions struct {
	Dir  string      // the pipe directory; see Dir for what empty means
	Name string      // the stem of the pipe's name; empty means the pid
	Mode fs.FileMode // permission bits of the pipe, whatever the umask; 0 means 0644. 0600 is always in it

	checkEvery time.Duration // how often the pipe is looked for; 0 means a minute
}

// Stats are what a Publisher publishes.
type Stats interface {
	// Snapshot makes s what all stats are now. What is in s is what an earlier call
	// has put there, for its memory. It is called once for each reader, from two
	// goroutines at most, each with an s of its own, and must not panic.
	Snapshot(s *format.Snapshot)

	// Final returns what outlives the publisher (see format.Snapshot.Lasting),
	// all of it: a Snapshot that was begun before holds no more than that. From
	// then on it is no part of a Snapshot. It is called by Close, and where a
	// publisher must begin anew, and must not wait for anybody.
	Final() *format.Snapshot
}

// Publish makes the two pipes of a publisher and answers whoever reads them with
// a snapshot: the plain one in the plain format, the other in the typed format.
// The directory is made if it isn't there. Where the name is taken by somebody
// who lives, the pipe is called NAME-2 and so on.
//
// An error wraps the reason, usually an *fs.PathError.
func Publish(opts PublisherOptions, stats Stats) (*Publisher, error) {
	opts.Dir = Dir(opts.Dir)
	if opts.Name == "" {
		opts.Name = strconv.Itoa(os.Getpid())
	}
	if opts.Mode == 0 {
		opts.Mode = 0o644
	}
	opts.Mode |= 0o600 // the publisher itself opens both ends
	if opts.checkEvery == 0 {
		opts.checkEvery = time.Minute
	}
	if err := checkStem(opts.Name); err != nil {
		return nil, err
	}
	p := &Publisher{opts: opts, source: stats, closing: make(chan struct{})}
	p.stats = &pipe{publisher: p, name: p.statsName, render: p.plainRenderer(), done: make(chan struct{})}
	p.typed = &pipe{publisher: p, name: p.typedName, render: p.typedRenderer(), stays: true, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.claim(); err != nil {
		return nil, err
	}
	p.checker = time.AfterFunc(opts.checkEvery, p.check)
	go p.stats.serve()
	go p.typed.serve()
	return p, nil
}

// A Publisher answers each reader of its pipes with one snapshot.
type Publisher struct {
	opts    PublisherOptions
	source  Stats
	closing chan struct{} // closed by Close
	slow    slowReaders

	// mu guards what follows, and whatever this publisher changes in the
	// directory is changed under it.
	mu      sync.Mutex
	dir     *directory
	id      string // in the names of .live and .typed
	stem    string // what the pipes are called
	live    *liveFile
	typed   *pipe
	stats   *pipe
	checker *time.Timer
	closed  bool
	final   *format.Snapshot // what typed answers with once it is set
	kept    bool
}

func (p *Publisher) statsName() string { return statsName(p.stem) }

func (p *Publisher) typedName() string { return typedName(p.stem, p.id) }

// plainRenderer returns a function that appends the stats in the plain format, in
// memory of its own, which it needs no more of each time.
func (p *Publisher) plainRenderer() func(b []byte) []byte {
	var snapshot format.Snapshot
	var flattener format.Flattener
	return func(b []byte) []byte {
		p.source.Snapshot(&snapshot)
		return format.AppendPlain(b, flattener.Flatten(&snapshot))
	}
}

// typedRenderer is the same for the typed format. It never appends more than the
// final, if there is one by the time that it is through: what a reader has seen
// must not be taken back.
func (p *Publisher) typedRenderer() func(b []byte) []byte {
	var snapshot format.Snapshot
	var doc format.Document
	return func(b []byte) []byte {
		p.source.Snapshot(&snapshot)
		p.mu.Lock()
		doc = p.document(&snapshot)
		if p.final != nil {
			doc.Snapshot = p.final
		}
		p.mu.Unlock()
		return format.AppendTyped(b, &doc)
	}
}

func (p *Publisher) document(s *format.Snapshot) format.Document {
	return format.Document{ID: p.id, PID: os.Getpid(), Snapshot: s}
}

// Path returns where the pipe is. That changes only if somebody else took the
// name after the pipe was deleted.
func (p *Publisher) Path() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return filepath.Join(p.opts.Dir, statsName(p.stem))
}

// maxStems is how many names are tried: NAME, NAME-2 and so on.
const maxStems = 1000

// claim makes all files of the publisher, under the first name that is free.
// The caller holds mu.
//
// Each claim has an id of its own: what is left of the one before may be somebody
// else's by now, if the program has changed its user.
func (p *Publisher) claim() error {
	dir, err := makeDirectory(p.opts.Dir)
	if err != nil {
		return err
	}
	p.id = newID()
	for n := 1; n <= maxStems; n++ {
		stem := p.opts.Name
		if n > 1 {
			stem += "-" + strconv.Itoa(n)
		}
		err = p.claimStem(dir, stem)
		if err == nil {
			p.dir, p.stem = dir, stem
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	dir.close()
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%d names from %s on are taken in %s", maxStems, statsName(p.opts.Name), p.opts.Dir)
	}
	return err
}

// claimStem makes the files of that stem: first the one that shows that we
// live, so that a pipe without it is never ours, and last the plain pipe, which
// nobody of ours reads where there is a typed one. Its error is fs.ErrExist if
// the stem is somebody else's: then nothing is made, lest a plain pipe be taken for
// ours meanwhile.
func (p *Publisher) claimStem(dir *directory, stem string) (err error) {
	if dir.isTaken(stem) {
		return fs.ErrExist
	}
	live, err := dir.createLive(stem, p.id, os.Getpid())
	if err != nil {
		return err
	}
	if info, statErr := statAt(dir.fd, statsName(stem)); statErr == nil && !p.replaceDead(dir, stem, info) {
		err = fs.ErrExist
	}
	var typed, stats *fifo
	if err == nil {
		typed, err = dir.createFIFO(typedName(stem, p.id), p.opts.Mode, nil)
	}
	if err == nil {
		stats, err = dir.createFIFO(statsName(stem), p.opts.Mode, nil)
	}
	if err != nil {
		if typed != nil {
			// Without a look at it, which can fail as well, and it would stay for as long as
			// the program runs: nobody else makes a file with our id.
			_ = unlinkAt(dir.fd, typedName(stem, p.id))
			letGo(typed)
		}
		_ = live.remove(dir)
		return err
	}
	p.live, p.typed.current, p.stats.current = live, typed, stats
	return nil
}

// isTaken tells whether there is something at the plain name of a stem that no dead
// publisher has left.
func (d *directory) isTaken(stem string) bool {
	pipe, err := statAt(d.fd, statsName(stem))
	if err != nil {
		return false // or it can't be told: see claimStem
	}
	l, err := d.list()
	return err != nil || !pipe.isFIFO() || d.liveness(stem, l.live[stem], pipe) != dead
}

// replaceDead removes a dead publisher's pipe at the stem, and tells whether it
// did. What that one counted stays: it is for whoever folds it.
func (p *Publisher) replaceDead(dir *directory, stem string, pipe fileInfo) bool {
	l, err := dir.list()
	if err != nil || !pipe.isFIFO() {
		return false
	}
	others := slices.DeleteFunc(l.live[stem], func(id string) bool { return id == p.id })
	removed, err := dir.removeDead(stem, others, l.typed[stem])
	return err == nil && removed
}

// withdraw removes all files of the publisher that are still there, and lets
// go of the directory. The caller holds mu.
func (p *Publisher) withdraw() error {
	if p.dir == nil {
		return nil
	}
	err := errors.Join(p.stats.withdraw(), p.typed.withdraw(), p.live.remove(p.dir))
	p.dir.close()
	p.dir, p.live = nil, nil
	return err
}

// check looks whether the files are still there, once a minute, and puts back
// what somebody deleted.
func (p *Publisher) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if !p.intact() {
		_ = p.repair() // tried again by pipe.serve, or a minute later
	}
	p.stats.rouse()
	p.typed.rouse()
	p.checker.Reset(p.opts.checkEvery)
}

func (p *Publisher) intact() bool {
	if p.dir == nil || p.stats.current == nil || p.typed.current == nil {
		return false
	}
	return p.at(p.statsName(), p.stats.current.id) && p.at(p.typedName(), p.typed.current.id) && p.at(p.live.name, p.live.id)
}

// at tells whether that file is at the name, as far as one can tell.
func (p *Publisher) at(name string, id fileID) bool {
	info, err := statPath(filepath.Join(p.opts.Dir, name))
	return err == nil && info.id == id || cannotTell(err)
}

// repair puts back what is missing, under the same id; where it can't, because
// the directory or the name is somebody else's now, it makes everything anew. The
// caller holds mu.
func (p *Publisher) repair() error {
	var typed fileID
	if p.typed.current != nil {
		typed = p.typed.current.id
	}
	if p.dir != nil && p.putBack() == nil && p.intact() {
		return nil
	}
	left := p.typedName()
	_ = p.withdraw() // what can't be removed isn't ours any more
	if info, err := statPath(filepath.Join(p.opts.Dir, left)); err == nil && info.id == typed {
		// The program has changed its user. What it counted until now is that of a
		// recorder that looks as if it had been killed.
		_ = p.source.Final()
	}
	return p.claim()
}

func (p *Publisher) putBack() error {
	if !p.at(p.live.name, p.live.id) {
		live, err := p.dir.createLive(p.stem, p.id, os.Getpid())
		if err != nil {
			return err
		}
		closeFD(p.live.fd)
		p.live = live
	}
	for _, pipe := range []*pipe{p.typed, p.stats} {
		if pipe.current != nil && p.at(pipe.name(), pipe.current.id) {
			continue
		}
		_ = pipe.withdraw()
		f, err := p.dir.createFIFO(pipe.name(), p.opts.Mode, nil)
		if err != nil {
			return err
		}
		pipe.current = f
	}
	return nil
}

// ifStillThere returns the error of folding if that left the final where it is for
// want of room: it counts there, but should not stay.
func (d *directory) ifStillThere(name string, foldErr error) error {
	if !errors.Is(foldErr, ErrFull) {
		return nil
	}
	if _, err := statAt(d.fd, name); err == nil {
		return fmt.Errorf("what was counted stays in a file of its own: %w", foldErr)
	}
	return nil
}

// Close ends the publisher. What it counted is handed over: its typed pipe turns
// into a regular file, the final, which is then folded into the user's retained
// file, by us or by whoever is at that. Then nobody is answered any more, and
// slow readers are cut off. Close waits for nobody, except up to 50 ms for a
// snapshot that is being made, and says so if that took longer. It also says so, with
// ErrFull, where the retained file has no room: the final counts where it is then.
func (p *Publisher) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.closing)
	p.checker.Stop()
	err := p.handOver()
	p.mu.Unlock()
	p.slow.close()
	patience := time.Now().Add(endWait)
	return errors.Join(err, p.stats.awaitEnd(patience), p.typed.awaitEnd(patience))
}

// Kept tells, after Close, whether what was counted is in the numbers of the host
// already, or may be: then nobody must be given it again.
func (p *Publisher) Kept() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// handOver ends what others see of the publisher, in an order in which each of
// its counters is in one place at every moment. The caller holds mu.
func (p *Publisher) handOver() (err error) {
	if p.dir != nil {
		err = p.stats.withdraw() // nobody of ours reads it, and Final would empty it
	}
	p.final = p.source.Final()
	if len(p.final.Stats) == 0 {
		p.kept = true
		return errors.Join(err, p.withdraw())
	}
	document := p.document(p.final)
	if p.dir == nil {
		// All was deleted, and could not be put back until now.
		if err := retain(p.opts.Dir, p.stem, &document); err != nil {
			return err
		}
		p.kept = true
		return nil
	}
	text := format.AppendTyped(nil, &document)
	finalErr := p.typed.leave(func(f *fifo) error {
		if err := p.dir.checkFinal(&document, text); err != nil {
			return &fs.PathError{Op: "write", Path: filepath.Join(p.dir.path, p.typedName()), Err: err}
		}
		return p.dir.putFinal(p.typedName(), f, text)
	})
	if errors.Is(finalErr, fs.ErrNotExist) { // somebody has deleted the directory
		finalErr = retain(p.opts.Dir, p.stem, &document)
	}
	info, statErr := statAt(p.dir.fd, p.typedName())
	p.kept = finalErr == nil || statErr == nil
	if finalErr == nil || !info.isFIFO() {
		err = errors.Join(err, p.live.remove(p.dir))
	} else {
		// Let it look as if we had been killed: then a serve that has read the
		// pipe keeps what it saw. There is no place for anything better.
		closeFD(p.live.fd)
	}
	if finalErr == nil {
		// It is kept; what can't be folded now, somebody will fold.
		_, foldErr := p.dir.fold(effectiveUID(), nil)
		err = errors.Join(err, p.dir.ifStillThere(p.typedName(), foldErr))
	}
	p.dir.close()
	p.dir, p.live = nil, nil
	return errors.Join(err, finalErr)
}
