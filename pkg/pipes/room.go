package pipes

import (
	"maps"
	"slices"
)

// room says which sources are read where there are more than a Collector reads: those
// that were, and of the others so many of each user that there is room for more users.
type room struct {
	shares
	hit hits
}

// newRoom returns that for a listing; nil if there is room for all.
func (c *Collector) newRoom(l *listing) *room {
	n := len(l.pipes)
	for _, ids := range l.typed {
		n += len(ids)
	}
	if n <= Share(c.maxSources) {
		return nil
	}
	r := &room{newShares(c.maxSources), c.hits}
	isListed := make(map[string]bool, len(l.pipes))
	for _, stem := range l.pipes {
		isListed[statsName(stem)] = true
	}
	for name, s := range c.sources {
		if s.isTyped() && l.hasTyped(s.stem, s.id) || isListed[name] {
			r.take(s.owner, 1)
		}
	}
	c.takeSaved(r, l)
	return r
}

// takeSaved keeps the places of those that the collector before this one has read.
func (c *Collector) takeSaved(r *room, l *listing) {
	if len(c.saved) == 0 {
		return
	}
	unknown := make(map[string]bool) // ids
	for stem, ids := range l.typed {
		for _, id := range ids {
			if c.sources[typedName(stem, id)] == nil {
				unknown[id] = true
			}
		}
	}
	for saved := range c.saved {
		if uid, id, err := splitSavedID(saved); err == nil && unknown[id] && c.owners().have(uid) {
			r.take(uid, 1)
		}
	}
}

// admit tells whether a source of that user that wasn't read before is to be.
func (r *room) admit(uid int) bool {
	if r == nil {
		return true
	}
	if !r.hasRoom(uid, 1) {
		r.hit.add(LimitSources, r.max, uid)
		return false
	}
	r.take(uid, 1)
	return true
}

// inOrder returns the stems of typed pipes: sorted where there isn't room for all, so
// that it doesn't depend on chance for whom there is.
func (r *room) inOrder(typed map[string][]string) []string {
	if r == nil {
		return slices.Collect(maps.Keys(typed))
	}
	return slices.Sorted(maps.Keys(typed))
}

// inTurn returns the sources in the order in which they are asked: first those that
// have answered before, then one of each user in turn. So who has ten thousand
// pipes that nobody writes to keeps nobody waiting but himself.
func inTurn(sources map[string]*source) []*source {
	var order []*source
	var users []int
	queues := make(map[int][]*source)
	for _, s := range sources {
		if s.last != nil && !s.slow {
			order = append(order, s)
			continue
		}
		if queues[s.owner] == nil {
			users = append(users, s.owner)
		}
		queues[s.owner] = append(queues[s.owner], s)
	}
	for left := len(sources) - len(order); left > 0; {
		for _, uid := range users {
			if queue := queues[uid]; len(queue) > 0 {
				order = append(order, queue[0])
				queues[uid] = queue[1:]
				left--
			}
		}
	}
	return order
}
