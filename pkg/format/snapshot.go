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
}

// Lookup returns the value of the stat of that name, which isn't a
// distribution.
func (s *Snapshot) Lookup(name string) (Value, bool) {
	i, ok := slices.BinarySearchFunc(s.Stats, name, func(st Stat, name string) int {
		return strings.Compare(st.Name, name)
	})
	if !ok || s.Stats[i].Kind == Distribution {
		return Value{}, false
	}
	return s.Stats[i].Value, true
}

// Filter returns a snapshot of the stats whose name keep accepts.
func (s *Snapshot) Filter(keep func(name string) bool) *Snapshot {
	kept := &Snapshot{Skipped: s.Skipped}
	for _, stat := range s.Stats {
		if keep(stat.Name) {
			kept.Stats = append(kept.Stats, stat)
		}
	}
	return kept
}

// Sort sorts the stats by name, those of one name in the order they are in.
func (s *Snapshot) Sort() {
	slices.SortStableFunc(s.Stats, func(a, b Stat) int { return strings.Compare(a.Name, b.Name) })
}

// Flatten returns the stats as the plain format has them: in place of each
// distribution a value for each of its labels, the whole sorted by name. It
// returns s itself if s has no distribution.
func (s *Snapshot) Flatten() *Snapshot {
	if !slices.ContainsFunc(s.Stats, func(st Stat) bool { return st.Kind == Distribution }) {
		return s
	}
	flat := &Snapshot{Stats: make([]Stat, 0, len(s.Stats)), Skipped: s.Skipped}
	for _, stat := range s.Stats {
		if stat.Kind != Distribution {
			flat.Stats = append(flat.Stats, stat)
			continue
		}
		for _, lv := range stat.Dist.Compute() {
			flat.Stats = append(flat.Stats, Stat{Name: ExpandLabel(stat.Name, lv.Label), Value: lv.Value})
		}
	}
	flat.Sort()
	return flat
}
