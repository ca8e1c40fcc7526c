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
)

// PublisherOptions say where and as what a Publisher publishes. The zero value
// is what the first statvent did.
type PublisherOptions struct {
	Dir  string      // the pipe directory; see Dir for what empty means
	Name string      // the stem of the pipe's name; empty means the pid
	Mode fs.FileMode // permission bits of the pipe, whatever the umask; 0 means 0644

	checkEvery time.Duration // how often the pipe is looked for; 0 means a minute
}

// Publish makes a pipe and answers whoever reads it with the text that render
// appends to its argument. Render is called once for each reader, from one
// goroutine at a time, and must not panic. The directory is made if it isn't
// there. Where the name is taken by somebody who lives, the pipe is called
// NAME-2 and so on.
//
// An error wraps the reason, usually an *fs.PathError.
func Publish(opts PublisherOptions, render func(b []byte) []byte) (*Publisher, error) {
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
	p := &Publisher{opts: opts, closing: make(chan struct{})}
	p.stats = &pipe{publisher: p, name: statsName, render: render, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.claim(); err != nil {
		return nil, err
	}
	p.checker = time.AfterFunc(opts.checkEvery, p.check)
	go p.stats.serve()
	return p, nil
}

// A Publisher answers each reader of its pipe with one snapshot.
type Publisher struct {
	opts    PublisherOptions
	closing chan struct{} // closed by Close
	slow    slowReaders

	// mu guards what follows, and whatever this publisher changes in the
	// directory is changed under it.
	mu      sync.Mutex
	dir     *directory
	id      string // in the name of the .live file
	stem    string // what the pipe is called
	live    *liveFile
	stats   *pipe
	checker *time.Timer
	closed  bool
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
// Each time has an id of its own: what is left of the time before may be
// somebody else's by now, if the program has changed its user.
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
// live, so that a pipe without it is never ours. Its error is fs.ErrExist if
// the stem is somebody else's.
func (p *Publisher) claimStem(dir *directory, stem string) error {
	live, err := dir.createLive(stem, p.id, os.Getpid())
	if err != nil {
		return err
	}
	f, err := dir.createFIFO(statsName(stem), p.opts.Mode, nil)
	if errors.Is(err, fs.ErrExist) && p.replaceDead(dir, stem) {
		f, err = dir.createFIFO(statsName(stem), p.opts.Mode, nil)
	}
	if err != nil {
		_ = live.remove(dir)
		return err
	}
	p.live, p.stats.current = live, f
	return nil
}

// replaceDead removes what a dead publisher left at the stem, and tells whether
// it did.
func (p *Publisher) replaceDead(dir *directory, stem string) bool {
	l, err := dir.list()
	if err != nil {
		return false
	}
	others := slices.DeleteFunc(l.live[stem], func(id string) bool { return id == p.id })
	removed, err := dir.removeDead(stem, others)
	return err == nil && removed
}

// withdraw removes all files of the publisher that are still there, and lets
// go of the directory. The caller holds mu.
func (p *Publisher) withdraw() error {
	if p.dir == nil {
		return nil
	}
	err := errors.Join(p.stats.withdraw(), p.live.remove(p.dir))
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
	p.checker.Reset(p.opts.checkEvery)
}

func (p *Publisher) intact() bool {
	if p.dir == nil || p.stats.current == nil {
		return false
	}
	at := func(name string, id fileID) bool {
		info, err := statPath(filepath.Join(p.opts.Dir, name))
		return err == nil && info.id == id
	}
	return at(statsName(p.stem), p.stats.current.id) && at(p.live.name, p.live.id)
}

// repair makes everything anew. The caller holds mu.
func (p *Publisher) repair() error {
	_ = p.withdraw() // what can't be removed isn't ours any more
	return p.claim()
}

// Close ends the publisher: it answers nobody any more, removes its files and
// cuts off readers that are slow. It waits for nobody, except up to 50 ms for a
// render that is running, and says so if that took longer.
func (p *Publisher) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	close(p.closing)
	p.checker.Stop()
	err := p.withdraw()
	p.mu.Unlock()
	p.slow.close()
	return errors.Join(err, p.stats.awaitEnd())
}
