package pipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	Limits     Limits        // of what is read, brought together and kept

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
	c := &Collector{
		opts:       opts,
		maxSources: opts.maxSources(),
		sources:    make(map[string]*source),
		retained:   make(map[int]lastRetained),
		places:     newPlaces(opts.Limits.MaxHostStats),
		turns:      make(turns),
		departed:   make(map[int][]Source),
	}
	if opts.Tidy && opts.StateDir != "" {
		c.state = newStateFile(opts.StateDir, opts.Dir)
		c.loadState()
	}
	return c
}

// maxSources is how many sources are read.
func (o CollectorOptions) maxSources() int { return min(o.Limits.MaxSources, MaxOpenSources()) }

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
//
// Where there are more sources, or names of stats, than the Limits have places for,
// they are shared: a user may have three quarters of the places that other users
// don't have, and a source three quarters of the places for names that its user may
// have and its other sources don't. Memory is shared among users in the same way. Who
// has a place keeps it. So whoever comes first, with however many, leaves places for
// those who come with few. A name is refused to a user: others may have it. What is
// counted under names without a place is added up under format.Overflow.
type Collector struct {
	opts       CollectorOptions
	maxSources int

	mu        sync.Mutex // guards what follows; held for a whole collection
	sources   map[string]*source
	serial    int                 // of the collection
	hasLooked bool                // sources and leftOut have all that was listed once
	saved     map[string]lastSeen // by savedID, from the collector before this one
	savedAt   time.Time
	hits      hits                 // of the last collection
	places    *places              // of the names
	leftOut   map[string]Source    // in the last collection because of their owners, by the name of their entry
	state     *stateFile           // nil if there is none
	unloaded  bool                 // it couldn't be loaded yet
	retained  map[int]lastRetained // by user
	turns     turns
	memory    memory
	departed  map[int][]Source // typed ones that are gone, by user; see departed.go

	tidying   sync.WaitGroup // a background tidy, of which there is one at a time
	isTidying bool           // one is under way
	tidyErrs  []error        // of the last one
	folded    int            // recorders, by all of them
	stateErr  error          // of loading or saving the state
	saveErr   error          // of saving it
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
	dir.limits = c.opts.Limits
	l, err := dir.list()
	if err != nil {
		return nil, err
	}
	c.serial++
	leftOut := c.leftOut
	c.leftOut, c.hits = make(map[string]Source), make(hits)
	if c.unloaded {
		c.loadState()
	}
	listed, err := c.remember(dir, l)
	if err != nil {
		c.leftOut = leftOut // what is saved of those stays
		return nil, err
	}
	c.hasLooked = true
	c.forgetUnlisted(dir, l, listed)
	if err := c.ask(ctx, dir, start); err != nil {
		return nil, err
	}
	if c.bury(dir) {
		// What stands at the plain name of one that is dead may be another's.
		if _, err := c.remember(dir, l); err != nil {
			return nil, err
		}
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
		if othersRetained, err = c.settle(ctx, dir, collection); err != nil {
			return nil, err
		}
	}
	c.addLeftOut(collection, othersRetained)
	if c.opts.Select == nil {
		c.noteFull(collection)
		collection.combiner.Own = c.places.assign(collection.Sources, c.hits)
	}
	collection.Hits = c.hits.list()
	collection.Troubles, collection.Folded = slices.Clone(c.tidyErrs), c.folded
	if c.stateErr != nil {
		collection.Troubles = append(collection.Troubles, c.stateErr)
	}
	if c.opts.Tidy {
		c.tidyUp(dir, chores)
	}
	collection.sort()
	if c.opts.Select == nil { // else they are looked for by name
		collection.boundPassedOver()
	}
	collection.Took = time.Since(start)
	return collection, nil
}

// Close ends all readings that are still under way, waits for what is done in
// the background, and saves what was seen last. Its error is that of saving.
func (c *Collector) Close() error {
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
	c.hasLooked = false // what was saved stays if it is closed again
	return c.saveErr
}

func (c *Collector) forget(name string) {
	c.sources[name].beginAnew()
	delete(c.sources, name)
}

// remember takes in the sources of a listing and returns the names of their
// entries: the typed pipes and files, and the plain pipes of those who have no
// typed one, or may have none. Its error is that of this process: see rememberOne.
func (c *Collector) remember(dir *directory, l *listing) (listed map[string]bool, err error) {
	listed = make(map[string]bool, len(l.pipes))
	maps.DeleteFunc(c.hits, func(hit LimitHit, _ int) bool { return hit.Limit == LimitSources }) // it may be the second time
	room := c.newRoom(l)
	for _, stem := range room.inOrder(l.typed) {
		for _, id := range l.typed[stem] {
			name := typedName(stem, id)
			listed[name] = true
			var liveIDs []string
			if l.hasLive(stem, id) {
				liveIDs = []string{id}
			}
			err := c.rememberOne(dir, room, source{name: name, stem: stem, id: id, owner: nobodys, liveIDs: liveIDs})
			if err != nil {
				return nil, err
			}
		}
	}
	if room != nil {
		slices.Sort(l.pipes)
	}
	plain := make(map[string]fileID) // by the names of sources
	for _, stem := range l.pipes {
		name := statsName(stem)
		pipe, err := statAt(dir.fd, name)
		isPublishers := len(l.typed[stem])+len(l.live[stem]) > 0
		if isPublishers && (err != nil || c.isSpokenFor(dir, stem, pipe, l)) {
			continue
		}
		if id := dir.recorderOf(stem, l.live[stem], pipe); id != "" && !l.hasTyped(stem, id) && c.owners().have(pipe.uid) {
			// Its typed pipe was deleted. What the plain one says would be counted once more
			// by whoever finds it folded a moment later.
			lost := pipe
			lost.id = fileID{} // it isn't that one
			name := typedName(stem, id)
			listed[name] = true
			err := c.rememberOne(dir, room, source{name: name, stem: stem, id: id, liveIDs: []string{id}, pipe: lost, owner: pipe.uid})
			if err != nil {
				return nil, err
			}
			if s := c.sources[name]; s != nil { // it is asked for
				s.lost = true
			}
			continue
		}
		listed[name] = true
		if !isPublishers {
			plain[name] = pipe.id
		}
		found := source{name: name, stem: stem, owner: nobodys, liveIDs: dir.speakingFor(pipe, stem, l.live[stem])}
		if err := c.rememberOne(dir, room, found); err != nil {
			return nil, err
		}
	}
	return listed, c.notePlain(dir, plain)
}

// notePlain notes which pipes that were looked at after a listing are plain publishers'.
// A Publisher may have taken the name between the two: it has a .live file for as long as
// it has a pipe.
func (c *Collector) notePlain(dir *directory, pipes map[string]fileID) error {
	if len(pipes) == 0 {
		return nil
	}
	l, err := dir.list()
	if err != nil {
		return err
	}
	for name, pipe := range pipes {
		if s := c.sources[name]; s != nil && len(l.live[s.stem]) == 0 {
			s.plain = pipe
		}
	}
	return nil
}

// rememberOne takes in a source. Its error is that of a recorder that is new to this
// collector and not to the one before it, and of which it can't be told just now whose it
// is, and so what was saved of it: a host without that would be a wrong one.
func (c *Collector) rememberOne(dir *directory, room *room, found source) error {
	pipe, statErr := statAt(dir.fd, found.name)
	if statErr == nil && !c.owners().have(pipe.uid) {
		c.leaveOut(dir, found, pipe.uid)
		return nil
	}
	s := c.sources[found.name]
	if s == nil && cannotTell(statErr) && c.isSaved(found.id) {
		return &fs.PathError{Op: "read", Path: filepath.Join(dir.path, found.name), Err: statErr}
	}
	owner := found.owner
	if statErr == nil {
		owner = pipe.uid
	}
	if s != nil && owner != nobodys && s.owner != owner {
		// Somebody else has taken the name. What the one before said isn't theirs.
		c.depart(s)
		c.forget(found.name)
		s = nil
	}
	isNew := s == nil
	if isNew {
		s = &found
	}
	if owner != nobodys {
		s.owner = owner
	}
	if saved, ok := c.saved[savedID(s.owner, s.id)]; ok && s.isTyped() && s.last == nil {
		s.last = &saved
	}
	s.liveIDs, s.plain, s.retained = found.liveIDs, fileID{}, false
	if s.lost { // and has a pipe again, also in the middle of a collection: see bury
		s.beginAnew()
		s.asked = 0
	}
	if c.opts.Select != nil && !c.opts.Select(s.stem, s.findPID(dir)) {
		return nil
	}
	if isNew && s.last == nil && !room.admit(s.owner) { // else it has the place that it had
		return nil
	}
	if isNew && s.isTyped() && statErr == nil && dir.isDead(s.stem, s.id, s.liveIDs, pipe) {
		s.pipe = pipe
		s.bury()
	}
	c.sources[s.name] = s
	return nil
}

// isSpokenFor tells whether a plain pipe is that of somebody who has a typed
// one, which has the same and more. Anybody may put a typed pipe there: it must
// be of the same user, or of root, and its publisher must live. Where the one counts
// and the other is left out, they are two.
func (c *Collector) isSpokenFor(dir *directory, stem string, pipe fileInfo, l *listing) bool {
	for _, id := range l.typed[stem] {
		typed, err := statAt(dir.fd, typedName(stem, id))
		if cannotTell(err) {
			return true // who knows: it must not count twice
		}
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
		if s != nil && !s.dead && s.pipe.speaksFor(pipe) && dir.liveness(stem, []string{id}, s.pipe).mayBeAlive() {
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
			c.depart(s)
			c.forget(name)
			continue
		}
		s.lost = dir.liveness(s.stem, s.liveIDs, s.pipe) == alive
		s.plain = fileID{}
	}
}

// ask starts a reading of each source that has none under way, and waits for
// those that are expected to answer.
func (c *Collector) ask(ctx context.Context, dir *directory, start time.Time) error {
	deadline := start.Add(c.opts.Deadline)
	c.memory.recount(c.sources, c.opts.Limits.MaxHostBytes)
	var awaited []*reading
	gate := newGate()
	for _, s := range inTurn(c.sources) {
		if s.dead || s.asked == c.serial {
			continue
		}
		s.asked = c.serial
		if s.reading != nil && (s.hasFreshPipe(dir) || s.isOfNobody()) {
			s.beginAnew()
		}
		if s.reading == nil {
			next := s.newReading(dir, c.opts, c.turns.of(s.owner), deadline)
			c.memory.begin(next, s)
			s.reading = next
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
		if s.dead || !s.isTyped() || s.reading.finished() && s.reading.err == nil {
			continue
		}
		pipe := s.reading.currentPipe()
		if pipe.id == (fileID{}) {
			pipe = s.pipe // it hasn't got as far
		}
		if pipe.id != (fileID{}) && c.owners().have(pipe.uid) && dir.isDead(s.stem, s.id, s.liveIDs, pipe) {
			s.reached(pipe)
			if s.late != nil {
				s.answered(s.late) // before it died
			}
			s.bury()
			found = true
		}
	}
	return found
}

// conclude says what became of a source in this collection.
func (c *Collector) conclude(collection *Collection, dir *directory, l *listing, s *source, chores *chores) {
	answer, err := s.outcome()
	if errors.Is(err, errNoReply) && s.foundNothing(dir) {
		err = fs.ErrNotExist // the reading is about to say so
	}
	out := Source{
		Name: s.stem,
		ID:   s.id,
		Kind: PlainSource,
		Path: filepath.Join(c.opts.Dir, s.name),
		UID:  s.uid(),
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
	case errors.Is(err, fs.ErrNotExist) && s.hasEnded(dir):
		c.depart(s) // cleanly
		c.forget(s.name)
		return
	case errors.Is(err, errTaken): // it is none of this collection's
		c.forget(s.name)
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
		if limit, ok := failedBy(err); ok {
			c.hits.add(limit.Limit, limit.Max, s.uid())
			if limit.Limit == LimitHostBytes && s.isFinal() {
				chores.final(s) // what is folded is retained, and takes no room here
			}
		}
		s.silent(collection.Time, err)
		c.diagnose(&out, dir, s, err)
		if out.State == Stale {
			chores.stale(s, collection.Time)
		}
		if out.State == Stale && !s.isTyped() && len(l.typed[s.stem]) > 0 {
			return // the plain pipe of one that is reported as typed
		}
	}
	s.describe(&out, dir)
	collection.Sources = append(collection.Sources, out)
}

// diagnose says why a source didn't answer.
func (c *Collector) diagnose(out *Source, dir *directory, s *source, err error) {
	out.State = Unresponsive
	switch {
	case s.dead:
		out.State, out.Err = Stale, errDead
		return
	case s.isFinal() && errors.Is(err, errNoReply):
		out.Err = fmt.Errorf("not read within %v", c.opts.Deadline)
		return
	case s.isFinal():
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
	case cannotTell(err):
		out.Err = err
	default:
		out.State, out.Err = Failed, err
		return
	}
	switch dir.liveness(s.stem, s.liveIDs, s.pipe) {
	case alive, hidden:
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
