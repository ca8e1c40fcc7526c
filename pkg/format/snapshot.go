package format

import (
	"slices"
	"strings"
)

// A Kind says how a stat behaves and so what may be done with it.
type Kind uint8

// The kinds.
const (
	Untyped      Kind = iota // read from a plain pipe, which has no kinds
	Counter                  // only ever incremented, by values >= 0
	Gauge                    // was once set, or decremented
	Distribution             // recorded values
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	case Distribution:
		return "distribution"
	default:
		return "untyped"
	}
}

// A Stat is a name and what is known of it. Names are bytes, UTF-8 or not,
// without line breaks and without blanks at either end.
type Stat struct {
	// Name is the stat's name; a distribution's is a template in which each
	// label takes the place of "{0}".
	Name  string
	Kind  Kind
	Value Value    // unless Kind is Distribution
	Dist  *Samples // if Kind is Distribution
}

// A Snapshot is all stats of one source at one moment, or the sum of several.
type Snapshot struct {
	Stats []Stat // sorted by name
	// Skipped counts the lines that could not be read, where the snapshot was
	// read from text.
	Skipped int
	// Ended says that this is what processes counted that have ended. See
	// Combine for what that changes.
	Ended bool
	// Conflicts are the names that were of different kinds where the snapshot was
	// combined of several.
	Conflicts []Conflict
}

// Lookup returns the value of the stat of that name, which isn't a
// distribution.
func (s *Snapshot) Lookup(name string) (Value, bool) {
	i, ok := s.search(name)
	if !ok || s.Stats[i].Kind == Distribution {
		return Value{}, false
	}
	return s.Stats[i].Value, true
}

// Has tells whether there is a stat of that name.
func (s *Snapshot) Has(name string) bool {
	_, ok := s.search(name)
	return ok
}

// search returns the index of the first stat of that name, or where it would be.
func (s *Snapshot) search(name string) (int, bool) {
	return slices.BinarySearchFunc(s.Stats, name, func(st Stat, name string) int { return strings.Compare(st.Name, name) })
}

// isSound tells whether the stat can be added to others of its name. A counter is
// finite and not negative, unless it is one of several parts: see Fold.
func (s *Stat) isSound(part bool) bool {
	switch s.Kind {
	case Counter:
		return s.Value.IsFinite() && (part || s.Value.Float64() >= 0)
	case Distribution:
		return s.Dist.Count >= 0
	default:
		return true
	}
}

// Filter returns a snapshot of the stats whose name keep accepts. To choose
// among the labels of distributions, Flatten first.
func (s *Snapshot) Filter(keep func(name string) bool) *Snapshot {
	kept := *s
	kept.Stats = nil
	for _, stat := range s.Stats {
		if keep(stat.Name) {
			kept.Stats = append(kept.Stats, stat)
		}
	}
	return &kept
}

// Lasting returns what is left of a snapshot when its process has ended:
// counters, and the counts and sums of distributions.
func (s *Snapshot) Lasting() *Snapshot {
	left := &Snapshot{Ended: true}
	for _, stat := range s.Stats {
		switch stat.Kind {
		case Counter:
			left.Stats = append(left.Stats, stat)
		case Distribution:
			stat.Dist = &Samples{Count: stat.Dist.Count, Sum: stat.Dist.Sum, Labels: stat.Dist.Labels}
			left.Stats = append(left.Stats, stat)
		case Gauge, Untyped:
		}
	}
	return left
}

// Reset makes an empty snapshot of it, to be filled again by Extend in the same
// memory.
func (s *Snapshot) Reset() { *s = Snapshot{Stats: s.Stats[:0]} }

// Extend adds an empty stat and returns it. Its Dist is that of the stat that
// stood at its place before Reset, if that was a distribution: a distribution
// that takes its place can use its memory, and any other should set it to nil.
func (s *Snapshot) Extend() *Stat {
	n := len(s.Stats)
	if n < cap(s.Stats) {
		s.Stats = s.Stats[:n+1]
	} else {
		s.Stats = append(s.Stats, Stat{})
	}
	stat := &s.Stats[n]
	*stat = Stat{Dist: stat.Dist}
	return stat
}

// Sort sorts the stats by name, those of one name in the order they are in.
func (s *Snapshot) Sort() {
	for i := 1; i < len(s.Stats); i++ {
		if s.Stats[i].Name < s.Stats[i-1].Name {
			slices.SortStableFunc(s.Stats, func(a, b Stat) int { return strings.Compare(a.Name, b.Name) })
			return
		}
	}
}
