package format

import (
	"cmp"
	"slices"
)

// Flatten returns the stats as the plain format has them: in place of each
// distribution a value for each of its labels, and each name once, with the sum
// of its values. It returns s itself if that is so already.
func (s *Snapshot) Flatten() *Snapshot { return new(Flattener).Flatten(s) }

// A Flattener flattens the snapshots of one source, one after another. What it
// did for the last it needn't do for the next, as long as the names stay the
// same: making the names of the labels, sorting, allocating. It must not be used
// by several goroutines at once. The zero Flattener is ready to use.
type Flattener struct {
	values []Stat // in the order of the snapshot
	order  []int  // the index in values of each stat of flat
	flat   Snapshot

	labels map[string][]namedLabel // of each distribution
	window window
}

// A namedLabel is a label and the name that it makes.
type namedLabel struct {
	Label
	name string
}

// Flatten is as Snapshot.Flatten. The result is valid until the next call.
func (f *Flattener) Flatten(s *Snapshot) *Snapshot {
	if s.isFlat() {
		return s
	}
	f.expand(s)
	if len(f.order) != len(f.values) || !f.arrange() {
		f.findOrder()
		f.arrange()
	}
	stats := f.flat.Stats
	f.flat = *s
	f.flat.Stats = stats
	f.flat.addEqual()
	return &f.flat
}

func (s *Snapshot) isFlat() bool {
	for i := range s.Stats {
		if s.Stats[i].Kind == Distribution || i > 0 && s.Stats[i].Name <= s.Stats[i-1].Name {
			return false
		}
	}
	return true
}

// expand makes the values of what is in the snapshot.
func (f *Flattener) expand(s *Snapshot) {
	f.values = f.values[:0]
	for i := range s.Stats {
		stat := &s.Stats[i]
		if stat.Kind != Distribution {
			f.values = append(f.values, *stat)
			continue
		}
		if len(stat.Dist.Window) == 0 {
			continue
		}
		f.window.fill(stat.Dist.Window)
		for _, label := range f.labelsOf(stat) {
			f.values = append(f.values, Stat{Name: label.name, Value: f.window.value(label.Percentile)})
		}
	}
}

// labelsOf returns the labels of a distribution with their names.
func (f *Flattener) labelsOf(stat *Stat) []namedLabel {
	known := f.labels[stat.Name]
	if slices.EqualFunc(known, stat.Dist.Labels, func(n namedLabel, l Label) bool { return n.Label == l }) {
		return known
	}
	named := make([]namedLabel, len(stat.Dist.Labels))
	for i, label := range stat.Dist.Labels {
		named[i] = namedLabel{label, ExpandLabel(stat.Name, label.Name)}
	}
	if f.labels == nil || len(f.labels) > len(f.order)+1000 { // many are of stats that are no more
		f.labels = make(map[string][]namedLabel)
	}
	f.labels[stat.Name] = named
	return named
}

// arrange puts the values into flat, in order, and tells whether that is the order
// of their names.
func (f *Flattener) arrange() bool {
	f.flat.Stats = f.flat.Stats[:0]
	for i, at := range f.order {
		stat := &f.values[at]
		if i > 0 && stat.Name < f.flat.Stats[i-1].Name {
			return false
		}
		f.flat.Stats = append(f.flat.Stats, *stat)
	}
	return true
}

func (f *Flattener) findOrder() {
	f.order = f.order[:0]
	for i := range f.values {
		f.order = append(f.order, i)
	}
	slices.SortFunc(f.order, func(i, j int) int {
		return cmp.Or(cmp.Compare(f.values[i].Name, f.values[j].Name), cmp.Compare(i, j))
	})
}

// addEqual puts one stat in the place of all of a name, in sorted stats that
// have no distributions.
func (s *Snapshot) addEqual() {
	kept := s.Stats[:0]
	for rest := s.Stats; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		stat := rest[0]
		if n > 1 {
			var sum Sum
			var kinds kindSet
			for _, equal := range rest[:n] {
				sum.Add(equal.Value)
				kinds.add(equal.Kind)
			}
			stat.Value = sum.Value()
			stat.Kind, _ = kinds.scalar()
		}
		kept = append(kept, stat)
		rest = rest[n:]
	}
	s.Stats = kept
}
