package pipes

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// owners are the users whose sources count, by their ids; all if there is none.
type owners []int

func (o owners) have(uid int) bool { return len(o) == 0 || slices.Contains(o, uid) }

// check says so of a file whose owner isn't one of them.
func (o owners) check(info fileInfo) error {
	if o.have(info.uid) {
		return nil
	}
	return &OwnerError{info.uid}
}

// An OwnerError is the error of a source that is left out because of its owner.
type OwnerError struct{ UID int }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("it belongs to user %d, whose sources are left out", e.UID)
}

// LeftOut says how many sources of a user are not in a Collection because of
// CollectorOptions.Owners.
type LeftOut struct {
	UID     int
	Sources int
}

// leaveOut notes that the source is another's, and forgets what stood there before.
// Where sources are asked for by name, the one who asks is told.
func (c *Collector) leaveOut(dir *directory, found source, uid int) {
	if c.sources[found.name] != nil {
		c.forget(found.name)
	}
	pid := 0
	if c.opts.Select != nil {
		if pid = found.findPID(dir); !c.opts.Select(found.stem, pid) {
			return
		}
	}
	out := Source{
		Name:  found.stem,
		ID:    found.id,
		Kind:  PlainSource,
		Path:  filepath.Join(c.opts.Dir, found.name),
		PID:   pid,
		UID:   uid,
		State: Failed,
		Err:   &OwnerError{uid},
	}
	if found.isTyped() {
		out.Kind = TypedSource
	}
	c.leftOut[found.name] = out
}

// addLeftOut adds to a collection how many sources were left out, or which, where
// they were asked for by name.
func (c *Collector) addLeftOut(collection *Collection, retained []int) {
	if c.opts.Select != nil {
		for _, s := range c.leftOut {
			collection.Sources = append(collection.Sources, s)
		}
		return
	}
	sources := make(map[int]int)
	for _, s := range c.leftOut {
		sources[s.UID]++
	}
	for _, uid := range retained {
		sources[uid]++
	}
	for _, uid := range slices.SortedFunc(maps.Keys(sources), cmp.Compare) {
		collection.LeftOut = append(collection.LeftOut, LeftOut{uid, sources[uid]})
	}
}

// Change puts the Deadline, StaleAfter, Limits, Aggregate and Owners of these options in
// force for the collections that begin from here on. What else they say stays as
// it was. It waits for the collection that is under way.
func (c *Collector) Change(opts CollectorOptions) {
	opts = opts.withDefaults()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.Deadline, c.opts.StaleAfter = opts.Deadline, opts.StaleAfter
	c.opts.Aggregate, c.opts.Owners = opts.Aggregate, opts.Owners
	if c.opts.Limits.MaxHostStats != opts.Limits.MaxHostStats {
		c.places = newPlaces(opts.Limits.MaxHostStats) // others may have to go
	}
	c.opts.Limits, c.maxSources = opts.Limits, opts.maxSources()
	for name, s := range c.sources {
		if s.owner == nobodys || c.owners().have(s.owner) {
			continue
		}
		// It may count again one day, and have been killed by then; this collector may
		// end before the next collection.
		if s.isTyped() && s.last != nil {
			c.keep(savedID(s.owner, s.id), lastSeen{snapshot: s.last.snapshot.Lasting(), at: s.last.at})
			c.leftOut[name] = Source{Name: s.stem, ID: s.id, UID: s.owner}
		}
		c.forget(name)
	}
}

func (c *Collector) keep(id string, seen lastSeen) {
	if c.saved == nil {
		c.saved = make(map[string]lastSeen)
	}
	c.saved[id] = seen
}

func (c *Collector) owners() owners { return c.opts.Owners }
