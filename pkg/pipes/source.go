package pipes

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// A source is what a Collector remembers of an entry of the directory, by its
// name.
type source struct {
	name     string
	stem     string
	id       string    // empty if it is a plain pipe
	owner    int       // the user, or nobodys
	liveIDs  []string  // of the .live files in the last listing that may speak for it
	pipe     fileInfo  // the pipe that was read last
	reading  *reading  // under way since this collection or an earlier one; else nil
	asked    int       // the number of the collection that asked it last
	late     *reading  // what it answered after the last collection; else nil
	last     *lastSeen // nil if nothing was
	missed   time.Time // since when it hasn't answered, zero if it did the last time
	lastErr  error     // why it didn't, as far as that is known
	slow     bool      // a collection waited for it in vain, and it hasn't answered since
	lost     bool      // it is a Publisher's that lives, and its pipe was deleted
	dead     bool      // its process is gone; last doesn't change any more
	retained bool      // a retained file that was read has what it counted
	// plain is a plain pipe that is nobody's but a plain publisher's. Another one at its
	// name may be a Publisher's.
	plain fileID

	// What its .live file says, as long as liveIDs stays the same.
	saidIDs []string
	pid     int
	since   time.Time
	sentPID int // what its snapshot says
}

// lastSeen is what a source answered.
type lastSeen struct {
	snapshot *format.Snapshot
	at       time.Time
	size     int // as memory counts it; of what another Collector saw see reserve
}

func (s *source) isTyped() bool { return s.id != "" }

// isFinal tells whether the source has left a file, as far as that is known.
func (s *source) isFinal() bool {
	return s.isTyped() && s.pipe.id != (fileID{}) && s.pipe.mode.IsRegular()
}

// uid is whose it is, as far as that is known: also of one that can't be read.
func (s *source) uid() int {
	if s.owner != nobodys {
		return s.owner
	}
	return s.pipe.uid
}

// reached notes which pipe a reading has come to, and so whose the source is, if it went
// before anybody looked.
func (s *source) reached(pipe fileInfo) {
	if pipe.id == (fileID{}) {
		return
	}
	s.pipe = pipe
	if s.owner == nobodys {
		s.owner = pipe.uid
	}
}

// beginAnew forgets that the source didn't answer.
func (s *source) beginAnew() {
	if s.reading != nil {
		s.reading.cancel()
	}
	s.reading, s.missed, s.slow, s.lastErr, s.lost = nil, time.Time{}, false, nil, false
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
		s.reached(s.late.currentPipe())
	} else {
		s.lastErr = s.reading.err
	}
	s.reading = nil
}

// comesBack tells whether a source that has no pipe just now will have one at
// once. A plain publisher removes its own after each reader, and a Publisher
// puts back what somebody deleted; both must live, as far as one can tell. A
// plain one that was waited for in vain is not waited for again. A Publisher that
// has ended since the listing has put its final there.
func (s *source) comesBack(dir *directory) bool {
	if s.isTyped() {
		return !s.hasEnded(dir)
	}
	return s.mayLive(dir) && !s.slow
}

// hasEnded tells whether a source that had no pipe has ended and left nothing there. A
// final comes before the .live file goes, so it is looked for after that.
func (s *source) hasEnded(dir *directory) bool {
	if dir.liveness(s.stem, s.liveIDs, s.pipe).mayBeAlive() {
		return false
	}
	_, err := statAt(dir.fd, s.name)
	return !s.isTyped() || errors.Is(err, fs.ErrNotExist)
}

// foundNothing tells whether the reading under way of a plain pipe has found none in all
// its time. Whoever has the pid needs not be who published: that one may have been a
// recorder, without its other files, that has ended, and is retained.
func (s *source) foundNothing(dir *directory) bool {
	if s.isTyped() || s.reading == nil || s.reading.currentPipe().id != (fileID{}) {
		return false
	}
	_, err := statAt(dir.fd, s.name)
	return errors.Is(err, fs.ErrNotExist)
}

// mayLive tells whether the publisher lives, as far as one can tell: of a plain
// one whose stem names no process, whether it has answered.
func (s *source) mayLive(dir *directory) bool {
	if s.isTyped() || len(s.liveIDs) > 0 {
		return dir.liveness(s.stem, s.liveIDs, s.pipe).mayBeAlive()
	}
	if _, isPID := stemPID(s.stem); isPID {
		return pidLives(s.stem)
	}
	return s.last != nil
}

// pidLives tells whether the pid that the stem names is that of a process.
func pidLives(stem string) bool {
	pid, ok := stemPID(stem)
	return ok && processExists(pid)
}

// findPID returns the pid that the publisher says it has, in its .live file or in
// its snapshot, else the one that its pipe is named after, else 0.
func (s *source) findPID(dir *directory) int {
	if !slices.Equal(s.saidIDs, s.liveIDs) {
		if pipe, err := statAt(dir.fd, s.name); err == nil {
			s.pid, s.since = dir.livePID(s.stem, s.liveIDs, pipe)
			s.saidIDs = s.liveIDs
		}
	}
	stem, _ := stemPID(s.stem)
	return cmp.Or(s.pid, s.sentPID, stem)
}

// hasFreshPipe tells whether the reading under way is of a pipe that has been
// replaced since, so that nobody will answer it.
func (s *source) hasFreshPipe(dir *directory) bool {
	if s.reading.finished() {
		return false // just now
	}
	reads := s.reading.currentPipe()
	now, err := statAt(dir.fd, s.name)
	return err == nil && reads.id != (fileID{}) && now.id != reads.id
}

// isOfNobody tells whether the reading under way began when nobody knew whose the source
// is, as is known now. It waits for its turn with those of everybody.
func (s *source) isOfNobody() bool {
	return s.owner != nobodys && s.reading.owner == nobodys && !s.reading.finished()
}

// newReading returns a reading of the source as it is known now: what it holds
// isn't shared with later collections.
func (s *source) newReading(dir *directory, opts CollectorOptions, turn turn, deadline time.Time) *reading {
	r := newReading(dir.share(), s.name, plainText, opts.Limits, deadline)
	r.owners, r.owner, r.turn = opts.Owners, s.owner, turn
	now := *s
	if s.isTyped() {
		r.format, r.instead = typedText, statsName(s.stem)
	}
	if s.last != nil {
		r.last = s.last.snapshot
	}
	r.hopeful = func() bool { return now.mayLive(r.dir) }
	if !s.isTyped() {
		r.taken = func(pipe fileInfo) (bool, error) {
			if pipe.id == now.plain {
				return false, nil
			}
			return r.dir.isRecorders(now.stem, pipe)
		}
	}
	if len(s.liveIDs) > 0 {
		r.dead = func(pipe fileInfo) bool { return r.dir.isDead(now.stem, now.id, now.liveIDs, pipe) }
	}
	return r
}

// isDead tells whether the publisher of a pipe is known to be gone. One that
// ends puts its final in the place of its typed pipe before its .live file goes:
// where the pipe is still there after that, it was killed.
func (d *directory) isDead(stem, id string, liveIDs []string, pipe fileInfo) bool {
	if d.liveness(stem, liveIDs, pipe) != dead {
		return false
	}
	if id == "" {
		return true
	}
	now, err := statAt(d.fd, typedName(stem, id))
	return err == nil && now.isFIFO()
}

// outcome returns the reading that has the source's answer, or why there is
// none.
func (s *source) outcome() (answer *reading, err error) {
	if s.dead {
		return nil, errDead
	}
	r := s.reading
	s.reached(r.currentPipe())
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

// answered notes what the source has answered.
func (s *source) answered(answer *reading) {
	s.missed, s.lastErr = time.Time{}, nil
	snapshot := answer.answer.Snapshot
	if answer.final {
		snapshot = snapshot.Lasting()
	}
	s.last = &lastSeen{snapshot, answer.at, answer.holds.kept()}
	s.sentPID = answer.answer.PID
}

// describe adds what was seen last, as far as that counts in the state in which the source
// is, and which process it is of.
func (s *source) describe(out *Source, dir *directory) {
	if s.last != nil && (out.Err == nil || s.isTyped() || out.State == Unresponsive && pidLives(s.stem)) {
		out.Snapshot, out.At = s.last.snapshot, s.last.at
	}
	if out.Snapshot != nil && out.State == Stale {
		out.Snapshot = out.Snapshot.Lasting()
	}
	if out.PID = s.findPID(dir); s.pid != 0 {
		out.Since = s.since
	}
}

// silent notes that it hasn't.
func (s *source) silent(now time.Time, err error) {
	if s.missed.IsZero() {
		s.missed = now
	}
	s.lastErr = err
	s.slow = s.slow || errors.Is(err, errNoReply) || errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist) || cannotTell(err)
}

// bury notes that the process is gone. What was seen of it last is all that will
// ever be known, also if a reading that is still under way brings more.
func (s *source) bury() {
	s.dead = true
	if s.reading != nil {
		s.reading.cancel()
		s.reading = nil
	}
	if s.last != nil {
		s.last.snapshot = s.last.snapshot.Lasting()
	}
}
