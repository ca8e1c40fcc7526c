//go:build linux

package e2e

import (
	"fmt"
	"sync"
	"time"
)

// What an actor is: its numbers are in the ledger, and its names begin with that.
const (
	aPuppet = "puppet" // a program with the library
	aPlain  = "plain"  // one without it
	anAdder = "adder"  // many calls of emit, one after another, which count
	aSetter = "setter" // the same for a gauge, which only rises
	aSizer  = "sizer"  // the same for a distribution
)

// An actor is one program, and what is known of it beside what it writes into the
// ledger. One that executes itself anew is another one from there on.
type actor struct {
	n    int // its place in the ledger
	role string
	kind string // ending or killable, known from its beginning
	uid  int
	pid  int

	reading sync.Mutex // its plain pipe, which is for one reader at a time

	mu sync.Mutex // guards what follows
	standing
}

// A standing is what is known of an actor at some moment.
type standing struct {
	begun, done int64 // as in the ledger

	session int   // how often it has begun to publish
	open    bool  // it publishes: what it has done counts at once
	kept    int64 // what it had done when it was closed last, which stays whatever happens
	closing int64 // the same, if nothing happens to it while it is being closed
	deleted int64 // of what was kept: somebody has deleted it with the directory

	signalled bool // it is to be killed, or is dead: not set before it is known to run on
	gone      bool
	lost      bool // it was killed when somebody had deleted its files

	troubles int       // it can't answer: it is stopped, has lost its pipe...
	trouble  int       // how many it has had
	well     time.Time // when the last of them was over
	hides    int       // somebody has deleted what shows that it lives
	hidden   int       // how often that was
}

func (s standing) String() string {
	text := fmt.Sprintf("{done %d to %d, kept %d", s.done, s.begun, s.kept)
	for _, is := range []struct {
		what string
		is   bool
	}{
		{fmt.Sprintf("session %d", s.session), s.open},
		{fmt.Sprintf("closing with %d", s.closing), s.closing != s.kept},
		{fmt.Sprintf("deleted %d", s.deleted), s.deleted != 0},
		{"killed", s.signalled},
		{"gone", s.gone},
		{"without its files", s.lost},
		{"suffers", s.troubles > 0},
		{"nobody can see that it lives", s.hides > 0},
	} {
		if is.is {
			text += ", " + is.what
		}
	}
	return text + "}"
}

func (a *actor) change(f func(s *standing)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.standing)
}

func (a *actor) now() standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing
}

// begins notes that it publishes.
func (a *actor) begins() {
	a.change(func(s *standing) { s.open = true; s.session++; s.well = time.Now() })
}

// closes notes that it is about to be closed: what it has done then stays. It does
// nothing meanwhile.
func (a *actor) closes(e *entry) {
	a.change(func(s *standing) { s.open, s.closing = false, e.done.Load() })
}

// closed notes what became of that.
func (a *actor) closed(ok bool) {
	a.change(func(s *standing) {
		if ok {
			s.kept = s.closing
			return
		}
		s.signalled, s.closing, s.lost = true, s.kept, s.lost || s.troubles > 0 // as if it had been killed
	})
}

// isKilled notes that it is about to be.
func (a *actor) isKilled(alsoLost bool) {
	a.change(func(s *standing) { s.signalled, s.lost, s.closing, s.open = true, s.lost || alsoLost, s.kept, false })
}

func (a *actor) hasGone() { a.change(func(s *standing) { s.gone = true }) }

// suffers notes that it can't answer until the function is called that it returns.
func (a *actor) suffers() (recovers func()) {
	a.change(func(s *standing) { s.troubles++; s.trouble++ })
	return sync.OnceFunc(func() { a.change(func(s *standing) { s.troubles--; s.well = time.Now() }) })
}

// vanishes notes that nobody can see any more that it lives, until the function is called
// that it returns.
func (a *actor) vanishes() (appears func()) {
	a.change(func(s *standing) { s.hides++; s.hidden++ })
	return sync.OnceFunc(func() { a.change(func(s *standing) { s.hides-- }) })
}

// A view is what is known of all at some moment, of each at some time while it was
// taken. The actors are those of the earlier ones and more.
type view struct {
	at time.Time
	disorder
	actors    []*actor
	standings []standing
}

// A disorder is what everybody suffers from.
type disorder struct {
	now, ever             int // the disk is full, the directory away...
	absentNow, absentEver int // the directory is away
	deletions             int // of the directory with all that was in it
}

func (c *chaos) disorders() disorder {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disorder
}

func (c *chaos) look() *view {
	c.mu.Lock()
	v := &view{at: time.Now(), disorder: c.disorder, actors: c.actors}
	c.mu.Unlock()
	v.standings = make([]standing, len(v.actors))
	for i, a := range v.actors {
		v.standings[i] = c.lookAt(a)
	}
	return v
}

// lookAt reads the ledger while nothing changes whether that counts.
func (c *chaos) lookAt(a *actor) standing {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.standing
	s.done = c.ledger[a.n].done.Load()
	s.begun = c.ledger[a.n].begun.Load()
	return s
}

// A span is the time from before a reading begins until it is known.
type span struct{ before, after *view }

// calm tells whether there was no disorder.
func (s span) calm() bool { return s.before.now == 0 && s.before.ever == s.after.ever }

// present tells whether the directory was there with all that had been in it.
func (s span) present() bool {
	return s.before.absentNow == 0 && s.before.absentEver == s.after.absentEver && s.before.deletions == s.after.deletions
}

// well tells whether an actor could answer, if it wanted to.
func (s span) well(i int) bool {
	if i >= len(s.before.standings) || !s.calm() {
		return false
	}
	before, after := s.before.standings[i], s.after.standings[i]
	return !after.signalled && before.troubles == 0 && before.trouble == after.trouble
}

// hides tells whether somebody had deleted what shows that an actor lives: then it may
// be missing, and count twice when it ends.
func (s span) hides(i int) bool {
	after := s.after.standings[i]
	if after.hides > 0 || after.lost {
		return true
	}
	var before standing
	if i < len(s.before.standings) {
		before = s.before.standings[i]
	}
	return before.hides > 0 || before.hidden != after.hidden
}

// answers tells whether it also published all the time, in one session.
func (s span) answers(i int) bool {
	return s.well(i) && s.before.standings[i].open && s.after.standings[i].open &&
		s.before.standings[i].session == s.after.standings[i].session
}

// bounds are what the host's counter of an actor may be.
type bounds struct {
	kept   int64 // the least, also if it doesn't answer
	closed int64 // the least, if it is being closed, and is not known not to answer
	least  int64 // if it answers
	most   int64
}

func (s span) bounds(i int) bounds {
	after := s.after.standings[i]
	b := bounds{most: after.begun}
	if s.hides(i) {
		b.most *= 2
	}
	if i >= len(s.before.standings) {
		return b
	}
	before := s.before.standings[i]
	gone := before.deleted
	if s.after.actors[i].role == aSetter && before.kept > gone {
		gone = 0 // it has been set since
	}
	if s.after.actors[i].role != aSetter {
		b.most -= gone
	}
	if !s.present() {
		return b
	}
	b.kept, b.closed = before.kept, before.kept
	if s.well(i) {
		b.closed = max(b.kept, before.closing)
	}
	b.least = b.closed
	if s.well(i) && before.open {
		b.least = before.done
	}
	b.kept, b.closed, b.least = max(0, b.kept-gone), max(0, b.closed-gone), max(0, b.least-gone)
	return b
}
