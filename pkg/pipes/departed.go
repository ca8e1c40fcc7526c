package pipes

import "github.com/statvent/statvent/pkg/format"

// depart notes that a typed source is gone, for settle.
func (c *Collector) depart(s *source) {
	if c.opts.Select == nil && s.isTyped() && s.last != nil && !s.retained {
		c.departed[s.owner] = append(c.departed[s.owner], Source{ID: s.id, Snapshot: s.last.snapshot})
	}
}

// noteRetained notes of which sources a user's retained file, read after that listing, has
// what they counted: those that are noted in it, and those that were gone.
func (c *Collector) noteRetained(uid int, l *listing) {
	noted := c.retained[uid].noted
	for _, s := range c.sources {
		if s.isTyped() && s.owner == uid && !s.lost && (noted[s.id] || !l.hasTyped(s.stem, s.id)) {
			s.retained = true
		}
	}
}

// isRetained tells whether a retained file that was read has what the source counted.
func (c *Collector) isRetained(s Source) bool {
	known := c.sources[typedName(s.Name, s.ID)]
	return known != nil && known.retained
}

// foldUnread adds what was seen last of sources that are gone to what was read last of
// a user's retained file, which can't be read just now, as was done there: a counter
// must not fall. That holds until the file is read again. All are added at once, for
// there may be thousands, and of thousands of stats; and no more than is kept of a user.
func (c *Collector) foldUnread(uid int, l *listing) {
	if len(c.departed[uid]) == 0 {
		return
	}
	last, ok := c.retained[uid]
	if !ok {
		last.doc = &format.Document{Snapshot: &format.Snapshot{Ended: true}}
	}
	noted, names := setOf(last.doc.Folded), namesOfStats(last.doc.Snapshot)
	bytes := len(format.AppendTyped(nil, last.doc))
	var ended []*format.Document
	for _, s := range c.departed[uid] {
		if noted[s.ID] {
			continue
		}
		noted[s.ID] = true
		lasting, added := s.Snapshot.Lasting(), 0
		var longer format.Snapshot // what it makes longer: a name that is there may have more labels
		for _, stat := range lasting.Stats {
			if !names[stat.Name] {
				added++
			}
			if !names[stat.Name] || stat.Kind == format.Distribution {
				longer.Stats = append(longer.Stats, stat)
			}
		}
		more := len(format.AppendTyped(nil, &format.Document{Snapshot: &longer}))
		if c.opts.Limits.checkRetained(bytes+more, len(names)+added) != nil {
			continue
		}
		bytes += more
		for _, stat := range lasting.Stats {
			names[stat.Name] = true
		}
		ended = append(ended, &format.Document{Snapshot: lasting})
	}
	doc := last.doc.Fold(ended...)
	doc.Folded = nil
	for _, listed := range []map[string][]string{l.typed, l.live} {
		for _, ids := range listed {
			for _, id := range ids { // of others nobody asks any more
				if noted[id] {
					doc.Folded = append(doc.Folded, id)
				}
			}
		}
	}
	last.doc, last.noted, last.isAsRead = doc, setOf(doc.Folded), false
	c.retained[uid] = last
	delete(c.departed, uid)
}
