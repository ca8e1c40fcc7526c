package pipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// settle adds the retained files to a collection, and takes out of it whatever
// is in them by now. Each counter is in exactly one of the two places: a recorder
// that is noted in its user's file is in that, and so is one whose path was gone before
// the file was read, unless it lives and has only lost its pipe: what ends is folded
// after its .live file has gone. So where a path turns out to be gone, the file of that
// user is read once more, for each path twice at the most. Somebody who lets one path go
// after the other gets no more than a few of these rounds after the deadline: a path that
// went in the last of them is taken for one that isn't in the file yet. No user's files
// and paths are waited for by another's.
//
// Of a file that can't be read just now, what was read last counts, and what was seen
// last of those that are gone and not noted in that.
//
// It returns whose retained files were left out.
func (c *Collector) settle(ctx context.Context, dir *directory, collection *Collection) (others []int, err error) {
	st := &settling{Collector: c, dir: dir, looks: make(map[string]int), late: make(map[int]int)}
	open := make(map[int][]Source) // the typed ones, by users who aren't settled
	var settled []Source
	for _, s := range collection.Sources {
		if s.Kind == PlainSource {
			settled = append(settled, s)
		} else {
			open[s.UID] = append(open[s.UID], s)
		}
	}
	for isFirst := true; isFirst || len(open) > 0; isFirst = false {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st.inTime = time.Since(collection.Time) < c.opts.Deadline
		if st.before, err = dir.list(); err != nil {
			return nil, err
		}
		files, err := c.readRetained(dir, st.before, func(uid int) bool { return isFirst || len(open[uid]) > 0 })
		if err != nil {
			return nil, err
		}
		st.after = st.before
		if len(st.before.retained) > 0 { // else the listing is the moment at which each path counts
			if st.after, err = dir.list(); err != nil {
				return nil, err
			}
		}
		for uid, sources := range open {
			counting, isClear, err := st.judge(sources, files.failed[uid])
			if err != nil {
				return nil, err
			}
			if isClear {
				settled = append(settled, counting...)
				delete(open, uid)
			} else if !st.inTime {
				st.late[uid]++
			}
		}
		for _, file := range files.sources {
			if len(open[file.UID]) == 0 {
				settled = append(settled, file)
			}
		}
		if isFirst {
			others = files.others
			collection.PassedOver = append(collection.PassedOver, files.planted...)
		}
	}
	collection.Sources = settled
	return others, nil
}

// A settling is what settle knows in one of its rounds.
type settling struct {
	*Collector
	dir           *directory
	before, after *listing       // the files were read
	inTime        bool           // the round began before the deadline
	looks         map[string]int // at paths that were gone
	late          map[int]int    // rounds after the deadline, by the user whose path was gone
}

// judge returns which of a user's typed sources count beside the user's retained file,
// which isn't read anew if it failed. It isn't clear as long as one's path has gone that
// is worth another look.
func (st *settling) judge(sources []Source, failed bool) (counting []Source, isClear bool, err error) {
	isClear = true
	for _, s := range sources {
		switch {
		case st.isNoted(s):
			continue
		case st.after.hasTyped(s.Name, s.ID) && st.dir.mayStand(s):
			counting = append(counting, s)
			continue
		}
		lost, err := st.dir.hasOnlyLost(s)
		if err != nil {
			return nil, false, err
		}
		isGone := st.looks[s.Path] >= maxLooks
		switch {
		case lost:
			counting = append(counting, s)
		case !isGone && (st.inTime || st.late[s.UID] < maxLate):
			isClear = false
			st.looks[s.Path]++
			if !st.dir.mayStand(s) {
				st.looks[s.Path] = maxLooks // else its final has come since the listing
			}
		case failed && !st.isRetained(s), // it is one of the departed by the next collection
			!isGone && st.before.hasTyped(s.Name, s.ID):
			counting = append(counting, s)
		}
	}
	return counting, isClear, nil
}

// maxLooks is how often a path that is gone is looked for again.
const maxLooks = 2

// maxLate is how many rounds there are after the deadline for the paths of one user.
const maxLate = 2

// mayStand tells whether what is at the path of a source may be its own: anybody can put
// something there when that is gone.
func (d *directory) mayStand(s Source) bool {
	info, err := statAt(d.fd, typedName(s.Name, s.ID))
	return err == nil && info.uid == s.UID || cannotTell(err)
}

// hasOnlyLost tells whether the publisher of a source whose path is gone lives. One
// that was seen dead never will again, though its .live file may be locked by
// whoever removes it. Where this process can't look, no answer would be right.
func (d *directory) hasOnlyLost(s Source) (bool, error) {
	if s.State == Stale {
		return false, nil
	}
	says := d.liveness(s.Name, []string{s.ID}, fileInfo{uid: s.UID})
	if says == hidden {
		return false, &fs.PathError{Op: "read", Path: filepath.Join(d.path, liveName(s.Name, s.ID)), Err: errHidden}
	}
	return says == alive, nil
}

// isNoted tells whether a retained file says that it has what the source counted.
func (c *Collector) isNoted(s Source) bool { return c.retained[s.UID].noted[s.ID] }

// retainedFiles is what there is at the names of retained files.
type retainedFiles struct {
	sources []Source
	others  []int        // whose files are left out
	failed  map[int]bool // whose file can't be read
	planted []PassedOver // by others, for users of whom nothing was read
}

// readRetained reads those of the retained files of a listing that are wanted, by their
// users. Its error is that of this process: a host without what it can't read just now
// would be a wrong one.
func (c *Collector) readRetained(dir *directory, l *listing, wanted func(uid int) bool) (*retainedFiles, error) {
	files := &retainedFiles{failed: make(map[int]bool)}
	isListed := setOf(l.retained)
	maps.DeleteFunc(c.departed, func(uid int, _ []Source) bool { return !isListed[uid] })
	maps.DeleteFunc(c.retained, func(uid int, _ lastRetained) bool { return !isListed[uid] })
	for _, uid := range l.retained {
		if !wanted(uid) {
			continue
		}
		if !c.owners().have(uid) {
			files.others = append(files.others, uid)
			delete(c.departed, uid)
			continue
		}
		s := Source{
			Name:  "retained-" + strconv.Itoa(uid),
			Kind:  RetainedSource,
			Path:  filepath.Join(c.opts.Dir, retainedName(uid)),
			UID:   uid,
			State: Retained,
		}
		err := c.readRetainedOf(dir, uid)
		if outOfDescriptors(err) {
			return nil, err
		}
		if err == nil {
			delete(c.departed, uid)
		} else {
			// Nothing is folded into a damaged file, so it was what was read last, but for
			// what is folded while only this process can't read it: see foldUnread.
			s.State, files.failed[uid] = Failed, true
			c.foldUnread(uid, l)
			if s.Err = err; !cannotTell(err) {
				s.Err = fmt.Errorf("%w; nothing is added to it until somebody removes it", err)
			}
		}
		last, known := c.retained[uid]
		if planted := new(plantedError); !known && errors.As(err, &planted) {
			files.planted = append(files.planted, PassedOver{retainedName(uid), s.Err.Error()})
			continue
		}
		if known {
			now := last.doc.Unexpired(time.Now())
			s.Snapshot, s.At, s.Emitted = now.Snapshot, last.file.mtime, now.Emitted
		}
		if err == nil {
			c.noteRetained(uid, l)
		}
		files.sources = append(files.sources, s)
	}
	return files, nil
}

// lastRetained is a retained file as it was read last.
type lastRetained struct {
	doc   *format.Document // with what was folded since: see foldUnread
	noted map[string]bool  // the ids in doc.Folded
	file  fileInfo
	// isAsRead tells whether doc is what a file has that looks like that one.
	isAsRead bool
}

// oldEnough is how old a retained file must be when it is read for what it has to be
// known by its looks. Times of files are those of a clock that ticks a few hundred times
// a second, and numbers of inodes come again: two that were made within a tick may look
// the same.
const oldEnough = time.Second

// readRetainedOf reads a user's retained file into c.retained, unless it is the one that
// was read last: it is replaced whenever it changes.
func (c *Collector) readRetainedOf(dir *directory, uid int) error {
	if last := c.retained[uid]; last.isAsRead {
		if now, err := statAt(dir.fd, retainedName(uid)); err == nil && now == last.file {
			return nil
		}
	}
	began := time.Now()
	doc, file, err := dir.readRetained(uid)
	if err != nil {
		return err
	}
	c.retained[uid] = lastRetained{doc, setOf(doc.Folded), file, began.Sub(file.mtime) >= oldEnough}
	return nil
}

// noteFull notes which retained files have more than is read, and who has ended, or was
// killed, and stays beside one that has no room for what it counted.
func (c *Collector) noteFull(collection *Collection) {
	for i := range collection.Sources {
		s := &collection.Sources[i]
		if limit, ok := failedBy(s.Err); ok && s.Kind == RetainedSource {
			c.hits.add(limit.Limit, limit.Max, s.UID)
		}
		if s.Kind != TypedSource || s.State != Ended && s.State != Stale || s.Snapshot == nil {
			continue
		}
		kept := c.retained[s.UID]
		bytes, stats := int(kept.file.size), 0
		if kept.doc != nil {
			stats = len(kept.doc.Snapshot.Stats)
		}
		for _, stat := range s.Snapshot.Stats {
			if kept.doc == nil || !kept.doc.Snapshot.Has(stat.Name) {
				stats++
				bytes += len(stat.Name)
			}
		}
		limits := c.opts.Limits
		if stats > limits.MaxRetainedStats {
			c.hits.add(LimitRetainedStats, limits.MaxRetainedStats, s.UID)
		} else if bytes > limits.MaxRetainedBytes {
			c.hits.add(LimitRetainedBytes, limits.MaxRetainedBytes, s.UID)
		}
	}
}
