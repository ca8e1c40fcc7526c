package pipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// CollectorOptions say what a Collector reads and how long it waits. Zero
// values are replaced by the defaults.
type CollectorOptions struct {
	Dir        string        // the pipe directory; see Dir for what empty means
	Deadline   time.Duration // how long a collection waits at the most; 500 ms
	StaleAfter time.Duration // how long a plain pipe without its process is kept; 60 s
	Limits     Limits        // what one source may send

	// RemoveStale makes the Collector remove the pipes of processes that are
	// gone, where it may: the files of a Publisher as soon as it is seen dead, a
	// plain pipe when its pid is gone and nobody has answered for StaleAfter.
	RemoveStale bool

	// Select restricts the sources to those for which it says true; nil means
	// all. The pid is 0 if unknown.
	Select func(name string, pid int) bool
}

// What a Collector does unless it is told otherwise.
const (
	DefaultDeadline   = 500 * time.Millisecond
	DefaultStaleAfter = time.Minute
)

// NewCollector returns a Collector, which remembers its sources from one
// collection to the next. Close it when it isn't needed any more.
func NewCollector(opts CollectorOptions) *Collector {
	opts.Dir = Dir(opts.Dir)
	if opts.Deadline == 0 {
		opts.Deadline = DefaultDeadline
	}
	if opts.StaleAfter == 0 {
		opts.StaleAfter = DefaultStaleAfter
	}
	opts.Limits = opts.Limits.withDefaults()
	return &Collector{opts: opts, sources: make(map[string]*source)}
}

// A Collector reads all pipes of a directory at once. A source that doesn't
// answer within the deadline is not waited for again until it has answered or
// its pipe has changed; what it says late is taken into the collection that
// comes next. So the slowness of a source costs itself and, once, one deadline.
type Collector struct {
	opts CollectorOptions

	mu      sync.Mutex // guards sources; held for a whole collection
	sources map[string]*source
}

// A source is what a Collector remembers of a pipe, by its stem.
type source struct {
	stem     string
	liveIDs  []string  // of its .live files in the last listing
	pipe     fileInfo  // the pipe that was read last
	reading  *reading  // under way since this collection or an earlier one; else nil
	late     *reading  // what it answered after the last collection; else nil
	hadStats bool      // it has had stats
	missed   time.Time // since when it hasn't answered, zero if it did the last time
	lastErr  error     // why it didn't, as far as that is known
	slow     bool      // a collection waited for it in vain, and it hasn't answered since
	lostPipe bool      // it is a Publisher's that lives, and its pipe was deleted

	// What its .live file says, as long as liveIDs stays the same.
	saidIDs []string
	pid     int
	since   time.Time
}

// Collect reads all pipes and returns when each has answered or the deadline
// has passed. Its error is that of the directory (fs.ErrNotExist where nobody
// has published anything yet) or of ctx; a source's is in the Collection.
// Collections are made one at a time.
func (c *Collector) Collect(ctx context.Context) (*Collection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := time.Now()
	dir, err := openDirectory(c.opts.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.close()
	l, err := dir.list()
	if err != nil {
		return nil, err
	}
	c.remember(dir, l)
	if err := c.ask(ctx, dir, start); err != nil {
		return nil, err
	}
	collection := &Collection{Dir: c.opts.Dir, Time: start}
	for _, name := range l.other {
		collection.PassedOver = append(collection.PassedOver, PassedOver{name, `its name does not end in "` + statsSuffix + `"`})
	}
	for _, s := range c.sources {
		c.conclude(collection, dir, s)
	}
	if c.opts.RemoveStale {
		dir.removeLitter(l.tmp, start)
		for stem, ids := range l.live {
			if _, ok := c.sources[stem]; !ok {
				_, _ = dir.removeDead(stem, ids) // killed before it had a pipe, or after
			}
		}
	}
	collection.sort()
	collection.Took = time.Since(start)
	return collection, nil
}

// Close ends all readings that are still under way.
func (c *Collector) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for stem := range c.sources {
		c.forget(stem)
	}
}

func (c *Collector) forget(stem string) {
	c.sources[stem].beginAnew()
	delete(c.sources, stem)
}

// beginAnew forgets that the source didn't answer.
func (s *source) beginAnew() {
	if s.reading != nil {
		s.reading.cancel()
	}
	s.reading, s.missed, s.slow, s.lastErr, s.lostPipe = nil, time.Time{}, false, nil, false
}

// remember brings the sources in line with a listing. One that isn't in it is
// forgotten, unless it may be without a pipe for a moment only: see comesBack.
func (c *Collector) remember(dir *directory, l *listing) {
	listed := make(map[string]bool, len(l.pipes))
	for _, stem := range l.pipes {
		listed[stem] = true
		s := c.sources[stem]
		if s == nil {
			s = &source{stem: stem}
		}
		s.liveIDs = l.live[stem]
		if s.lostPipe { // and has one again
			s.beginAnew()
		}
		if c.opts.Select != nil && !c.opts.Select(stem, s.findPID(dir)) {
			continue
		}
		c.sources[stem] = s
	}
	for stem, s := range c.sources {
		s.takeLate()
		if listed[stem] {
			continue
		}
		s.liveIDs = l.live[stem]
		if !s.comesBack(dir) {
			c.forget(stem)
			continue
		}
		s.lostPipe = len(s.liveIDs) > 0
	}
}

// takeLate takes the answer of a reading that an earlier collection didn't wait
// for. It shows that the source answers again; its values count only if it
// doesn't do so this time.
func (s *source) takeLate() {
	s.late = nil
	if s.reading == nil || !s.reading.finished() {
		return
	}
	if s.reading.err == nil {
		s.late, s.slow = s.reading, false
	} else {
		s.lastErr = s.reading.err
	}
	s.reading = nil
}

// comesBack tells whether a source that has no pipe just now will have one at
// once. A plain publisher removes its own after each reader, and a Publisher
// puts back what somebody deleted; both must live. One that was waited for in
// vain is not waited for again.
func (s *source) comesBack(dir *directory) bool {
	if len(s.liveIDs) == 0 {
		return !s.slow && pidLives(s.stem)
	}
	return dir.liveness(s.stem, s.liveIDs, s.pipe) == alive
}

// pidLives tells whether the pid that the stem names is that of a process.
func pidLives(stem string) bool {
	pid, ok := stemPID(stem)
	return ok && processExists(pid)
}

// findPID returns the pid that the publisher says it has, else the one that its
// pipe is named after, else 0.
func (s *source) findPID(dir *directory) int {
	if !slices.Equal(s.saidIDs, s.liveIDs) {
		if pipe, err := statAt(dir.fd, statsName(s.stem)); err == nil {
			s.pid, s.since = dir.livePID(s.stem, s.liveIDs, pipe)
			s.saidIDs = s.liveIDs
		}
	}
	if s.pid == 0 {
		pid, _ := stemPID(s.stem)
		return pid
	}
	return s.pid
}

// ask starts a reading of each source that has none under way, and waits for
// those that are expected to answer.
func (c *Collector) ask(ctx context.Context, dir *directory, start time.Time) error {
	deadline := start.Add(c.opts.Deadline)
	var awaited []*reading
	for _, s := range c.sources {
		if s.reading != nil && s.hasFreshPipe(dir) {
			s.beginAnew()
		}
		if s.reading == nil {
			s.reading = s.newReading(dir, c.opts.Limits, deadline)
			go s.reading.run()
		}
		if !s.slow {
			awaited = append(awaited, s.reading)
		}
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for _, r := range awaited {
		select {
		case <-r.done:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hasFreshPipe tells whether the reading under way is of a pipe that has been
// replaced since, so that nobody will answer it.
func (s *source) hasFreshPipe(dir *directory) bool {
	if s.reading.finished() {
		return false // just now
	}
	reads := s.reading.currentPipe()
	now, err := statAt(dir.fd, statsName(s.stem))
	return err == nil && reads.id != (fileID{}) && now.id != reads.id
}

// newReading returns a reading of the source as it is known now: what it holds
// isn't shared with later collections.
func (s *source) newReading(dir *directory, limits Limits, deadline time.Time) *reading {
	r := newReading(dir.share(), statsName(s.stem), limits, deadline)
	stem, ids, last := s.stem, s.liveIDs, s.pipe
	r.hadStats = s.hadStats
	if len(ids) == 0 {
		r.hopeful = func() bool { return pidLives(stem) }
	} else {
		r.hopeful = func() bool { return r.dir.liveness(stem, ids, last) == alive }
		r.dead = func(pipe fileInfo) bool { return r.dir.liveness(stem, ids, pipe) == dead }
	}
	return r
}

// outcome returns the reading that has the source's answer, or why there is
// none.
func (s *source) outcome() (answer *reading, err error) {
	r := s.reading
	if pipe := r.currentPipe(); pipe.id != (fileID{}) {
		s.pipe = pipe
	}
	switch {
	case r.finished():
		s.reading, err = nil, r.err
	case s.slow && s.lastErr != nil:
		err = s.lastErr // it wasn't waited for, so this is no news
	default:
		err = errNoReply
	}
	if err == nil {
		s.slow = false
		return r, nil
	}
	if s.late != nil {
		s.slow = s.reading != nil
		return s.late, nil
	}
	return nil, err
}

// conclude says what became of a source in this collection.
func (c *Collector) conclude(collection *Collection, dir *directory, s *source) {
	answer, err := s.outcome()
	out := Source{
		Name: s.stem,
		Path: filepath.Join(c.opts.Dir, statsName(s.stem)),
		PID:  s.findPID(dir),
		UID:  int(s.pipe.uid),
	}
	if s.pid != 0 {
		out.Since = s.since
	}
	switch {
	case err == nil:
		s.missed, s.lastErr = time.Time{}, nil
		s.hadStats = s.hadStats || len(answer.snapshot.Stats) > 0
		out.State, out.Snapshot, out.At = Live, answer.snapshot, answer.at
	case errors.Is(err, fs.ErrNotExist) && dir.liveness(s.stem, s.liveIDs, s.pipe) != alive:
		c.forget(s.stem) // it has ended, cleanly
		return
	case errors.Is(err, errNotFIFO):
		c.forget(s.stem)
		collection.PassedOver = append(collection.PassedOver,
			PassedOver{statsName(s.stem), "it is " + s.pipe.kind() + ", not a named pipe"})
		return
	default:
		if s.missed.IsZero() {
			s.missed = collection.Time
		}
		s.lastErr = err
		s.slow = s.slow || errors.Is(err, errNoReply) || errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist)
		c.diagnose(&out, dir, s, err)
	}
	collection.Sources = append(collection.Sources, out)
}

// diagnose says why a source has no snapshot, and removes its pipe where its
// process is gone.
func (c *Collector) diagnose(out *Source, dir *directory, s *source, err error) {
	out.State = Unresponsive
	switch {
	case s.lostPipe:
		out.Err = errNoPipe
	case errors.Is(err, errNoReply):
		out.Err = fmt.Errorf("no answer within %v", c.opts.Deadline)
	case errors.Is(err, errBusy), errors.Is(err, errEmptied):
		out.Err = fmt.Errorf("no answer within %v: %w", c.opts.Deadline, cmp.Or(errors.Unwrap(err), err))
	case errors.Is(err, errDead):
		out.Err = err
	case errors.Is(err, fs.ErrNotExist):
		out.Err = errNoPipe // since the listing
	default:
		out.State, out.Err = Failed, err
		return
	}
	switch dir.liveness(s.stem, s.liveIDs, s.pipe) {
	case alive:
		return
	case dead:
		out.State, out.Err = Stale, errDead
		if c.opts.RemoveStale {
			_, err := dir.removeDead(s.stem, s.liveIDs)
			c.removed(out, err)
		}
		return
	case unknown:
	}
	pid, ok := stemPID(s.stem)
	if !ok || processExists(pid) {
		return
	}
	out.Err = fmt.Errorf("%w, and no process %d is here", out.Err, pid)
	if time.Since(s.missed) >= c.opts.StaleAfter {
		out.State = Stale
		if c.opts.RemoveStale {
			c.removed(out, dir.remove(statsName(s.stem), s.pipe.id))
		}
	}
}

// removed notes that a stale pipe can't be removed.
func (c *Collector) removed(out *Source, err error) {
	if err != nil {
		out.Err = fmt.Errorf("%w; its pipe stays: %w", out.Err, err)
	}
}
