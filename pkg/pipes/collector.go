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

	"github.com/statvent/statvent/pkg/format"
)

// CollectorOptions say what a Collector reads and how long it waits. Zero
// values are replaced by the defaults.
type CollectorOptions struct {
	Dir        string        // the pipe directory; see Dir for what empty means
	Deadline   time.Duration // how long a collection waits at the most; 500 ms
	StaleAfter time.Duration // how long a plain pipe without its process is kept; 60 s
	Limits     Limits        // what one source may send

	// Aggregate returns how the gauges of that name become one; nil means that
	// all are added up.
	Aggregate func(name string) format.Aggregate

	// Tidy makes the Collector clean up in the background, as far as it may: what
	// processes that are gone have counted is folded into the retained files, and
	// their pipes are removed, those of a Publisher as soon as it is seen dead, a
	// plain one when its pid is gone and nobody has answered for StaleAfter.
	Tidy bool

	// StateDir is where a Collector that tidies up saves what it saw last, for
	// the one that comes after it. Empty means nowhere.
	StateDir string

	// Owners are the users whose sources count, by their ids; empty means all. What
	// belongs to others is neither opened nor removed, nor are their retained
	// files: see Collection.LeftOut.
	Owners []int

	// Select restricts the sources to the processes for which it says true; nil
	// means all, and the retained files. The pid is 0 if unknown.
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
	opts = opts.withDefaults()
	c := &Collector{opts: opts, sources: make(map[string]*source), retained: make(map[int]lastRetained)}
	if opts.Tidy && opts.StateDir != "" {
		c.state = newStateFile(opts.StateDir, opts.Dir)
		c.saved, c.stateErr = c.state.load()
	}
	return c
}

func (o CollectorOptions) withDefaults() CollectorOptions {
	o.Dir = Dir(o.Dir)
	o.Deadline = cmp.Or(o.Deadline, DefaultDeadline)
	o.StaleAfter = cmp.Or(o.StaleAfter, DefaultStaleAfter)
	o.Limits = o.Limits.withDefaults()
	o.Owners = slices.Clone(o.Owners)
	return o
}

// A Collector reads all pipes of a directory at once. A source that doesn't
// answer within the deadline is not waited for again until it has answered or
// its pipe has changed; what it says late is taken into the collection that
// comes next. So the slowness of a source costs itself and, once, one deadline.
//
// While a source doesn't answer, its values are those that were seen last.
type Collector struct {
	opts CollectorOptions

	mu       sync.Mutex // guards what follows; held for a whole collection
	sources  map[string]*source
	serial   int                 // of the collection
	saved    map[string]lastSeen // by id, from the collector before this one
	savedAt  time.Time
	leftOut  map[string]Source    // in the last collection because of their owners, by the name of their entry
	state    *stateFile           // nil if there is none
	retained map[int]lastRetained // by user

	tidying   sync.WaitGroup // a background tidy, of which there is one at a time
	isTidying bool           // one is under way
	tidyErrs  []error        // of the last one
	folded    int            // recorders, by all of them
	stateErr  error          // of loading or saving the state
	closed    bool
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
	c.serial++
	c.leftOut = make(map[string]Source)
	c.forgetUnlisted(dir, l, c.remember(dir, l))
	if err := c.ask(ctx, dir, start); err != nil {
		return nil, err
	}
	if c.bury(dir) {
		// What stands at the plain name of one that is dead may be another's.
		c.remember(dir, l)
		if err := c.ask(ctx, dir, start); err != nil {
			return nil, err
		}
	}
	collection := &Collection{Dir: c.opts.Dir, Time: start, combiner: format.Combiner{Aggregate: c.opts.Aggregate}}
	for _, name := range l.other {
		collection.PassedOver = append(collection.PassedOver, PassedOver{name, `its name does not end in "` + statsSuffix + `"`})
	}
	chores := newChores()
	for _, s := range c.sources {
		c.conclude(collection, dir, l, s, chores)
	}
	var othersRetained []int
	if c.opts.Select == nil {
		if othersRetained, err = c.settle(ctx, dir, l, collection); err != nil {
			return nil, err
		}
	}
	c.addLeftOut(collection, othersRetained)
	collection.Troubles, collection.Folded = slices.Clone(c.tidyErrs), c.folded
	if c.stateErr != nil {
		collection.Troubles = append(collection.Troubles, c.stateErr)
	}
	if c.opts.Tidy {
		c.tidyUp(dir, chores)
	}
	collection.sort()
	collection.Took = time.Since(start)
	return collection, nil
}

// Close ends all readings that are still under way, waits for what is done in
// the background, and saves what was seen last.
func (c *Collector) Close() {
	c.mu.Lock()
	c.closed = true // nothing is begun in the background from here on
	c.mu.Unlock()
	c.tidying.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.save(time.Now())
	for name := range c.sources {
		c.forget(name)
	}
}

func (c *Collector) forget(name string) {
	c.sources[name].beginAnew()
	delete(c.sources, name)
}

// remember takes in the sources of a listing and returns the names of their
// entries: the typed pipes and files, and the plain pipes of those who have no
// typed one, or may have none.
func (c *Collector) remember(dir *directory, l *listing) map[string]bool {
	listed := make(map[string]bool, len(l.pipes))
	for stem, ids := range l.typed {
		for _, id := range ids {
			name := typedName(stem, id)
			listed[name] = true
			var liveIDs []string
			if slices.Contains(l.live[stem], id) {
				liveIDs = []string{id}
			}
			c.rememberOne(dir, source{name: name, stem: stem, id: id, liveIDs: liveIDs})
		}
	}
	for _, stem := range l.pipes {
		name := statsName(stem)
		pipe, err := statAt(dir.fd, name)
		if isPublishers := len(l.typed[stem])+len(l.live[stem]) > 0; isPublishers && (err != nil || c.isSpokenFor(dir, stem, pipe, l)) {
			continue
		}
		listed[name] = true
		c.rememberOne(dir, source{name: name, stem: stem, liveIDs: dir.speakingFor(pipe, stem, l.live[stem])})
	}
	return listed
}

func (c *Collector) rememberOne(dir *directory, found source) {
	pipe, statErr := statAt(dir.fd, found.name)
	if statErr == nil && !c.owners().have(pipe.uid) {
		c.leaveOut(dir, found, pipe.uid)
		return
	}
	s := c.sources[found.name]
	isNew := s == nil
	if isNew {
		s = &found
		if saved, ok := c.saved[s.id]; ok && s.isTyped() {
			s.last = &saved
		}
	}
	s.liveIDs = found.liveIDs
	if s.lost { // and has a pipe again
		s.beginAnew()
	}
	if c.opts.Select != nil && !c.opts.Select(s.stem, s.findPID(dir)) {
		return
	}
	if isNew && s.isTyped() && statErr == nil && dir.isDead(s.stem, s.id, s.liveIDs, pipe) {
		s.pipe = pipe
		s.bury()
	}
	c.sources[s.name] = s
}

// isSpokenFor tells whether a plain pipe is that of somebody who has a typed
// one, which has the same and more. Anybody may put a typed pipe there: it must
// be of the same user, or of root, and its publisher must live. Where the one counts
// and the other is left out, they are two.
func (c *Collector) isSpokenFor(dir *directory, stem string, pipe fileInfo, l *listing) bool {
	for _, id := range l.typed[stem] {
		typed, err := statAt(dir.fd, typedName(stem, id))
		if err != nil || !typed.speaksFor(pipe) || !typed.isFIFO() || c.owners().have(typed.uid) != c.owners().have(pipe.uid) {
			continue
		}
		if s := c.sources[typedName(stem, id)]; s == nil || !s.dead {
			return true
		}
	}
	return c.hasLost(dir, stem, l.live[stem], pipe)
}

// hasLost tells whether the plain pipe is that of a known recorder that lives
// and has no typed pipe just now.
func (c *Collector) hasLost(dir *directory, stem string, liveIDs []string, pipe fileInfo) bool {
	for _, id := range liveIDs {
		s := c.sources[typedName(stem, id)]
		if s != nil && !s.dead && s.pipe.speaksFor(pipe) && dir.liveness(stem, []string{id}, s.pipe) == alive {
			return true
		}
	}
	return false
}

// forgetUnlisted forgets the sources that are not listed, unless they may be
// without a pipe for a moment only: see comesBack.
func (c *Collector) forgetUnlisted(dir *directory, l *listing, listed map[string]bool) {
	for name, s := range c.sources {
		s.takeLate()
		if listed[name] {
			continue
		}
		if !s.isTyped() {
			s.liveIDs = dir.speakingFor(s.pipe, s.stem, l.live[s.stem])
		}
		// One that has the other pipe only is read there.
		elsewhere := !s.isTyped() && c.isSpokenFor(dir, s.stem, s.pipe, l)
		if elsewhere || !s.comesBack(dir) {
			c.forget(name)
			continue
		}
		s.lost = dir.liveness(s.stem, s.liveIDs, s.pipe) == alive
	}
}

// ask starts a reading of each source that has none under way, and waits for
// those that are expected to answer.
func (c *Collector) ask(ctx context.Context, dir *directory, start time.Time) error {
	deadline := start.Add(c.opts.Deadline)
	var awaited []*reading
	gate := newGate()
	for _, s := range c.sources {
		if s.dead || s.asked == c.serial {
			continue
		}
		s.asked = c.serial
		if s.reading != nil && s.hasFreshPipe(dir) {
			s.beginAnew()
		}
		if s.reading == nil {
			s.reading = s.newReading(dir, c.opts, deadline)
			if time.Now().Before(deadline) {
				gate.enter()
			}
			go func(r *reading) {
				r.run()
				gate.leave()
			}(s.reading)
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

// bury looks for typed sources that turned out to be dead.
func (c *Collector) bury(dir *directory) (found bool) {
	for _, s := range c.sources {
		if s.dead || !s.isTyped() || s.late != nil || s.reading.finished() && s.reading.err == nil {
			continue
		}
		pipe := s.reading.currentPipe()
		if pipe.id == (fileID{}) {
			pipe = s.pipe // it hasn't got as far
		}
		if pipe.id != (fileID{}) && c.owners().have(pipe.uid) && dir.isDead(s.stem, s.id, s.liveIDs, pipe) {
			s.pipe = pipe
			s.bury()
			found = true
		}
	}
	return found
}

// conclude says what became of a source in this collection.
func (c *Collector) conclude(collection *Collection, dir *directory, l *listing, s *source, chores *chores) {
	answer, err := s.outcome()
	out := Source{
		Name: s.stem,
		ID:   s.id,
		Kind: PlainSource,
		Path: filepath.Join(c.opts.Dir, s.name),
		UID:  s.pipe.uid,
	}
	if s.isTyped() {
		out.Kind = TypedSource
	}
	others := new(OwnerError)
	switch {
	case err == nil:
		s.answered(answer)
		out.State = Live
		if answer.final {
			out.State = Ended
			chores.final(s)
		}
	case errors.Is(err, fs.ErrNotExist) && dir.liveness(s.stem, s.liveIDs, s.pipe) != alive:
		c.forget(s.name) // it has ended, cleanly
		return
	case errors.As(err, &others): // since the listing
		c.leaveOut(dir, *s, others.UID)
		return
	case errors.Is(err, errNotFIFO):
		c.forget(s.name)
		collection.PassedOver = append(collection.PassedOver,
			PassedOver{s.name, "it is " + s.pipe.kind() + ", not a named pipe"})
		return
	default:
		s.silent(collection.Time, err)
		c.diagnose(&out, dir, s, err)
		if out.State == Stale {
			chores.stale(s, collection.Time)
		}
		if out.State == Stale && !s.isTyped() && len(l.typed[s.stem]) > 0 {
			return // the plain pipe of one that is reported as typed
		}
	}
	if s.last != nil && (err == nil || s.isTyped() || out.State == Unresponsive && pidLives(s.stem)) {
		out.Snapshot, out.At = s.last.snapshot, s.last.at
	}
	if out.Snapshot != nil && out.State == Stale {
		out.Snapshot = out.Snapshot.Lasting()
	}
	if out.PID = s.findPID(dir); s.pid != 0 {
		out.Since = s.since
	}
	collection.Sources = append(collection.Sources, out)
}

// diagnose says why a source didn't answer.
func (c *Collector) diagnose(out *Source, dir *directory, s *source, err error) {
	out.State = Unresponsive
	switch {
	case s.dead:
		out.State, out.Err = Stale, errDead
		return
	case s.isTyped() && s.pipe.mode.IsRegular(): // a final
		out.State, out.Err = Failed, err
		return
	case s.lost:
		out.Err = errNoPipe
	case errors.Is(err, errNoReply):
		out.Err = fmt.Errorf("no answer within %v", c.opts.Deadline)
	case errors.Is(err, errBusy), errors.Is(err, errEmptied), errors.Is(err, format.ErrTorn):
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
		// A typed one is buried by now, or ending. A plain one may be that of another
		// program with the same pid, which takes its time.
		if !s.isTyped() && (!pidLives(s.stem) || time.Since(s.missed) >= c.opts.StaleAfter) {
			out.State, out.Err = Stale, errDead
		}
		return
	case unknown:
	}
	pid, ok := stemPID(s.stem)
	if !ok || processExists(pid) {
		return
	}
	out.Err = fmt.Errorf("%w, and no process %d is here", out.Err, pid)
	missed := time.Since(s.missed)
	if missed >= c.opts.StaleAfter {
		out.State = Stale
	}
	if s.isTyped() && missed >= unreadAfter {
		s.bury() // whose .live file somebody has deleted
	}
}
