package statvent

import (
	"cmp"
	"slices"

	"github.com/statvent/statvent/pkg/format"
)

// Snapshot returns all stats as they are now. Each is right by itself; they are
// not all of one instant, since recording goes on.
func (r *Registry) Snapshot() *format.Snapshot {
	s := new(format.Snapshot)
	r.SnapshotInto(s)
	return s
}

// SnapshotInto is Snapshot in the memory of a snapshot that isn't needed any more.
// If that was one of this registry, and no stat has come since, it allocates
// nothing; what functions of the program's allocate comes on top.
func (r *Registry) SnapshotInto(s *format.Snapshot) {
	s.Reset()
	stats, order := r.ordered()
	for _, i := range order {
		stats.appendTo(s, int(i))
	}
	s.Sort() // a function of the program's may have made names that don't fit in
}

// lasting returns what outlives the program. Unlike Snapshot it runs none of the
// program's own functions.
func (r *Registry) lasting() *format.Snapshot {
	r.mu.Lock()
	stats := r.stats
	r.mu.Unlock()
	s := &format.Snapshot{}
	for _, e := range stats.scalars {
		value := e.value.s.value()
		if kind := e.value.s.kind(); kind == format.Counter {
			s.Stats = append(s.Stats, format.Stat{Name: e.name, Kind: kind, Value: value})
		}
	}
	for _, d := range stats.distributions {
		if template := d.template.Load(); template != nil {
			stat := format.Stat{Name: *template, Kind: format.Distribution}
			if stat.Dist = new(format.Samples); d.copyTo(stat.Dist) {
				s.Stats = append(s.Stats, stat)
			}
		}
	}
	s.Sort()
	return s.Lasting()
}

// An order is that of the names of stats.
type order struct {
	version int // of the stats
	// indices go on from the scalars to the distributions and to the funcs.
	indices []int32
}

// ordered returns the stats that there are and the indices of their order.
func (r *Registry) ordered() (stats, []int32) {
	r.mu.Lock()
	if r.stats.funcs == nil {
		for name, f := range r.funcs {
			r.stats.funcs = append(r.stats.funcs, namedFunc{name, f})
		}
	}
	stats, known := r.stats, r.order
	r.mu.Unlock()
	if known.version == stats.version {
		return stats, known.indices
	}
	now := stats.order() // may take its time, so not under the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.version > r.order.version {
		r.order = now
	}
	return stats, now.indices
}

func (s *stats) order() order {
	n := len(s.scalars) + len(s.distributions) + len(s.funcs)
	o := order{s.version, make([]int32, n)}
	for i := range o.indices {
		o.indices[i] = int32(i)
	}
	slices.SortFunc(o.indices, func(i, j int32) int {
		return cmp.Or(cmp.Compare(s.name(int(i)), s.name(int(j))), cmp.Compare(i, j))
	})
	return o
}

func (s *stats) name(i int) string {
	switch d, f := i-len(s.scalars), i-len(s.scalars)-len(s.distributions); {
	case f >= 0:
		return s.funcs[f].name
	case d >= 0:
		return s.distributions[d].name
	default:
		return s.scalars[i].name
	}
}

func (s *stats) appendTo(snapshot *format.Snapshot, i int) {
	switch d, f := i-len(s.scalars), i-len(s.scalars)-len(s.distributions); {
	case f >= 0:
		protect(snapshot, s.funcs[f].appendTo)
	case d >= 0:
		protect(snapshot, s.distributions[d].appendTo)
	default:
		value := s.scalars[i].value.s.value() // before the kind: what is decremented is a gauge first
		*snapshot.Extend() = format.Stat{Name: s.scalars[i].name, Kind: s.scalars[i].value.s.kind(), Value: value}
	}
}

func (f namedFunc) appendTo(s *format.Snapshot) {
	value := format.Float(f.f())
	*s.Extend() = format.Stat{Name: f.name, Kind: format.Gauge, Value: value}
}

// protect calls a function that runs code of the program's. If that panics, the
// snapshot is as it was before.
func protect(s *format.Snapshot, appendTo func(*format.Snapshot)) {
	before := len(s.Stats)
	defer func() {
		if recover() != nil {
			s.Stats = s.Stats[:before]
		}
	}()
	appendTo(s)
}
