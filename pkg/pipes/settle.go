package pipes

import (
	"context"
	"fmt"
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
// the files are read once more, for each path twice at the most.
//
// A plain pipe may have become that of a recorder that was not there at the first
// listing, and so is none of this collection's.
//
// It returns whose retained files were left out.
func (c *Collector) settle(ctx context.Context, dir *directory, first *listing, collection *Collection) (others []int, err error) {
	looks := make(map[string]int) // at paths that were gone
	for {
		l, err := dir.list()
		if err != nil {
			return nil, err
		}
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
		again := false
		for _, s := range collection.Sources {
			switch {
			case s.Kind == PlainSource && changedHands(s.Name, first, l):
			case s.Kind == PlainSource:
				sources = append(sources, s)
			case retained.notes[note{s.UID, s.ID}]:
			case l.hasTyped(s.Name, s.ID), dir.hasOnlyLost(s):
				sources = append(sources, s)
			case looks[s.Path] < maxLooks:
				again = true
				looks[s.Path]++
				if _, err := statAt(dir.fd, typedName(s.Name, s.ID)); err != nil {
					looks[s.Path] = maxLooks // else its final has come since the listing
				}
			}
		}
		if !again {
			collection.Sources = sources
			return retained.others, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// maxLooks is how often a path that is gone is looked for again.
const maxLooks = 2

// hasOnlyLost tells whether the publisher of a source whose path is gone lives. One
// that was seen dead never will again, though its .live file may be locked by
// whoever removes it.
func (d *directory) hasOnlyLost(s Source) bool {
	return s.State != Stale && d.liveness(s.Name, []string{s.ID}, fileInfo{uid: s.UID}) == alive
}

// changedHands tells whether the plain pipe of a stem may have been that of a
// recorder that began after the first listing.
func changedHands(stem string, first, now *listing) bool {
	for _, id := range now.typed[stem] {
		if !first.hasTyped(stem, id) {
			return true
		}
	}
	return false
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
	others  []int // whose files are left out
}

// readRetained reads the retained files of a listing. Its error is that of this
// process: a host without what it can't read just now would be a wrong one.
func (c *Collector) readRetained(dir *directory, l *listing) (*retainedFiles, error) {
	files := &retainedFiles{notes: make(map[note]bool)}
	for _, uid := range l.retained {
		if !c.owners().have(uid) {
			files.others = append(files.others, uid)
			continue
		}
		s := Source{
			Name:  "retained-" + strconv.Itoa(uid),
			Kind:  RetainedSource,
			Path:  filepath.Join(c.opts.Dir, retainedName(uid)),
			UID:   uid,
			State: Retained,
		}
		doc, info, err := dir.readRetained(uid)
		if outOfDescriptors(err) {
			return nil, err
		}
		if err == nil {
			c.retained[uid] = lastRetained{doc, info.mtime}
		} else {
			// Nothing is folded into a damaged file, so it was what was read last.
			s.State = Failed
			s.Err = fmt.Errorf("%w; nothing is added to it until somebody removes it", err)
		}
		if last, ok := c.retained[uid]; ok {
			now := last.doc.Unexpired(time.Now())
			s.Snapshot, s.At, s.Emitted = now.Snapshot, last.at, now.Emitted
			for _, id := range now.Folded {
				files.notes[note{uid, id}] = true
			}
		}
		files.sources = append(files.sources, s)
	}
	return files, nil
}

// lastRetained is a retained file as it was read last.
type lastRetained struct {
	doc *format.Document
	at  time.Time
}
