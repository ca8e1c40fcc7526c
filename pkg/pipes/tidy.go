package pipes

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// unreadAfter is how long the pipe of a killed recorder is kept that this
// Collector has never read: another one may have, and folds it.
const unreadAfter = time.Hour

// saveEvery is how long what was seen last may be unsaved.
const saveEvery = 10 * time.Second

// chores are what a collection found to do.
type chores struct {
	ended  map[int]map[string]*format.Snapshot // user -> name -> what was seen last of one that was killed
	unread map[string]fileID                   // typed pipes of which nothing was
	dead   map[string][]string                 // stem -> ids of .live files that say that its plain pipe is stale
	plain  map[string]fileID                   // other plain pipes that are
}

func newChores() *chores {
	return &chores{
		ended:  make(map[int]map[string]*format.Snapshot),
		unread: make(map[string]fileID),
		dead:   make(map[string][]string),
		plain:  make(map[string]fileID),
	}
}

// final notes that the source is a final, to be folded.
func (c *chores) final(s *source) { c.fold(s.pipe.uid) }

func (c *chores) fold(uid int) map[string]*format.Snapshot {
	if c.ended[uid] == nil {
		c.ended[uid] = make(map[string]*format.Snapshot)
	}
	return c.ended[uid]
}

// stale notes that the source is stale.
func (c *chores) stale(s *source, now time.Time) {
	switch {
	case s.isTyped() && !s.dead: // it may live
	case s.isTyped() && s.last != nil:
		c.fold(s.pipe.uid)[s.name] = s.last.snapshot
	case s.isTyped() && now.Sub(s.missed) >= unreadAfter:
		c.unread[s.name] = s.pipe.id
	case s.isTyped():
	case len(s.liveIDs) > 0:
		c.dead[s.stem] = s.liveIDs
	default:
		c.plain[s.name] = s.pipe.id
	}
}

// tidyUp does the chores in the background, unless those of an earlier
// collection are still being done. The caller holds c.mu.
func (c *Collector) tidyUp(dir *directory, chores *chores) {
	if c.isTidying || c.closed {
		return
	}
	c.isTidying = true
	dir, whose := dir.share(), c.owners()
	c.tidying.Go(func() {
		defer dir.close()
		folded, errs := chores.do(dir, whose)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.isTidying, c.tidyErrs = false, errs
		c.folded += folded
		if now := time.Now(); now.Sub(c.savedAt) >= saveEvery {
			c.save(now)
		}
	})
}

// do does what this process may do with what belongs to the owners, and returns how
// many recorders it folded.
func (c *chores) do(dir *directory, owners owners) (folded int, errs []error) {
	l, err := dir.list()
	if err != nil {
		return 0, []error{err}
	}
	note := func(err error) { errs = append(errs, ownErrors(err)...) }
	for stem, ids := range c.dead {
		_, err := dir.removeDead(stem, ids, l.typed[stem])
		note(err)
	}
	for name, id := range c.plain {
		note(dir.remove(name, id))
	}
	for uid, killed := range c.ended {
		if mayFold(uid) {
			recorders, err := dir.fold(uid, killed)
			folded += recorders
			note(err)
		}
	}
	for name, id := range c.unread {
		note(dir.remove(name, id))
	}
	note(dir.removeDeadLive(owners))
	dir.removeLitter(l.tmp, time.Now(), owners)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return folded, errs
}

// ownErrors returns the errors that are in err, but for those of files that belong to
// somebody else, who may be there to remove them.
func ownErrors(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, ownErrors(err)...)
		}
		return errs
	}
	if err == nil || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return []error{err}
}

// removeDeadLive removes the .live files of the owners' publishers that are gone and
// have no pipe left.
func (d *directory) removeDeadLive(owners owners) error {
	l, err := d.list()
	if err != nil {
		return err
	}
	hasPipe := setOf(l.pipes)
	for stem, ids := range l.live {
		if hasPipe[stem] {
			pipe, err := statAt(d.fd, statsName(stem))
			if err != nil || d.liveness(stem, ids, pipe) != alive {
				continue // that goes first; see removeDead
			}
		}
		for _, id := range ids {
			if !l.hasTyped(stem, id) {
				err = errors.Join(err, d.removeIfDead(stem, id, owners))
			}
		}
	}
	return err
}

func (d *directory) removeIfDead(stem, id string, owners owners) error {
	fd, info, err := d.openLive(stem, id)
	if err != nil {
		return nil // gone, or not what a publisher makes
	}
	defer closeFD(fd)
	if !owners.have(info.uid) {
		return nil
	}
	// A shared lock: to others the publisher must not look alive meanwhile.
	if got, err := tryLock(fd, false); err != nil || !got {
		return err
	}
	return d.remove(liveName(stem, id), info.id)
}
