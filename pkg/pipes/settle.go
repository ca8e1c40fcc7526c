package pipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// settle adds the retained files to a collection, and takes out of it whatever
// is in them by now. Each counter is in exactly one of the two places: a recorder
// that is noted in a retained file is in the file, and so is one whose path was
// gone before that was read, unless it lives and has only lost its pipe: what ends
// is folded after its .live file has gone. So where a path turns out to be gone,
// the files are read once more, for each path twice at the most. Somebody who lets one
// path go after the other gets no more than a few of these rounds after the deadline: a
// path that went in the last of them is taken for one that isn't in the files yet.
//
// Of a file that can't be read just now, what was read last counts, and what was seen
// last of those that are gone and not noted in that.
//
// It returns whose retained files were left out.
func (c *Collector) settle(ctx context.Context, dir *directory, collection *Collection) (others []int, err error) {
	looks := make(map[string]int) // at paths that were gone
	late := make(map[int]int)     // rounds after the deadline, by the user whose path was gone
	for {
		before, err := dir.list()
		if err != nil {
			return nil, err
		}
		l := before
		retained, err := c.readRetained(dir, l)
		if err != nil {
			return nil, err
		}
		if len(l.retained) > 0 { // else the listing is the moment at which each path counts
			if l, err = dir.list(); err != nil {
				return nil, err
			}
		}
		sources := slices.Clone(retained.sources)
		again, inTime := false, time.Since(collection.Time) < c.opts.Deadline
		blamed := make(map[int]bool)
		for _, s := range collection.Sources {
			switch {
			case s.Kind == PlainSource:
				sources = append(sources, s)
			case retained.notes[note{s.UID, s.ID}]:
			case l.hasTyped(s.Name, s.ID) && dir.mayStand(s):
				sources = append(sources, s)
			default:
				lost, err := dir.hasOnlyLost(s)
				if err != nil {
					return nil, err
				}
				unread := retained.failed[s.UID] && !c.isRetained(s) // it is one of the departed by the next collection
				gone := looks[s.Path] >= maxLooks
				switch {
				case lost:
					sources = append(sources, s)
				case gone, !inTime && late[s.UID] >= maxLate:
					if unread || !gone && before.hasTyped(s.Name, s.ID) {
						sources = append(sources, s)
					}
				default:
					again, blamed[s.UID] = true, true
					looks[s.Path]++
					if !dir.mayStand(s) {
						looks[s.Path] = maxLooks // else its final has come since the listing
					}
				}
			}
		}
		if !inTime {
			for uid := range blamed {
				late[uid]++
			}
		}
		if !again {
			collection.Sources = sources
			collection.PassedOver = append(collection.PassedOver, retained.planted...)
			return retained.others, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
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

// A note says that a recorder of that user is in the user's retained file.
type note struct {
	uid int
	id  string
}

// retainedFiles is what the retained files hold.
type retainedFiles struct {
	sources []Source
	notes   map[note]bool
	others  []int        // whose files are left out
	failed  map[int]bool // whose file can't be read
	planted []PassedOver // by others, for users of whom nothing was read
}

// readRetained reads the retained files of a listing. Its error is that of this
// process: a host without what it can't read just now would be a wrong one.
func (c *Collector) readRetained(dir *directory, l *listing) (*retainedFiles, error) {
	files := &retainedFiles{notes: make(map[note]bool), failed: make(map[int]bool)}
	isListed := setOf(l.retained)
	c.departed = slices.DeleteFunc(c.departed, func(s Source) bool { return !isListed[s.UID] })
	maps.DeleteFunc(c.retained, func(uid int, _ lastRetained) bool { return !isListed[uid] })
	for _, uid := range l.retained {
		if !c.owners().have(uid) {
			files.others = append(files.others, uid)
			c.forgetDeparted(uid)
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
			c.forgetDeparted(uid)
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
			for _, id := range now.Folded {
				files.notes[note{uid, id}] = true
			}
		}
		if err == nil {
			c.noteRetained(uid, files.notes, l)
		}
		files.sources = append(files.sources, s)
	}
	return files, nil
}

// lastRetained is a retained file as it was read last.
type lastRetained struct {
	doc  *format.Document // with what was folded since: see foldUnread
	file fileInfo
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
	c.retained[uid] = lastRetained{doc, file, began.Sub(file.mtime) >= oldEnough}
	return nil
}

// noteFull notes which retained files have more than is read, and which files stay
// beside one that has no room for what is in them.
func (c *Collector) noteFull(collection *Collection) {
	for i := range collection.Sources {
		s := &collection.Sources[i]
		if limit, ok := failedBy(s.Err); ok && s.Kind == RetainedSource {
			what := LimitRetainedBytes
			if limit.Limit == LimitSourceStats {
				what = LimitRetainedStats
			}
			c.hits.add(what, limit.Max, s.UID)
		}
		if s.State != Ended || s.Snapshot == nil {
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
