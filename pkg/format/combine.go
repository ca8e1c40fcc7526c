package format

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Aggregate says how the gauges of one name become one.
type Aggregate string

// The aggregates.
const (
	AggregateSum Aggregate = "sum"
	AggregateMin Aggregate = "min"
	AggregateMax Aggregate = "max"
	AggregateAvg Aggregate = "avg" // always a float
)

// ParseAggregate returns the aggregate of that name.
func ParseAggregate(name string) (Aggregate, error) {
	all := []Aggregate{AggregateSum, AggregateMin, AggregateMax, AggregateAvg}
	if a := Aggregate(name); slices.Contains(all, a) {
		return a, nil
	}
	return "", fmt.Errorf("%q is none of sum, min, max, avg", name)
}

// A Conflict is a name that is of one kind here and of another there.
type Conflict struct {
	Name  string
	Kinds []Kind // in the order of their constants
}

// String says what the conflict is.
func (c Conflict) String() string {
	kinds := make([]string, len(c.Kinds))
	for i, k := range c.Kinds {
		kinds[i] = k.String()
	}
	return c.Name + " is " + strings.Join(kinds, " here and ") + " there"
}

// IsUntyped tells whether one of the kinds is that of a plain pipe: the values are
// added up as they were before there were kinds.
func (c Conflict) IsUntyped() bool { return slices.Contains(c.Kinds, Untyped) }

// Combine makes one snapshot of several, as a Combiner without rules does.
func Combine(snapshots ...*Snapshot) *Snapshot { return Combiner{}.Combine(snapshots...) }

// A Combiner makes one snapshot of several.
type Combiner struct {
	// Aggregate returns how the gauges of that name become one; nil, and the empty
	// Aggregate, mean that all are added up.
	Aggregate func(name string) Aggregate

	// Own returns which names of one of the snapshots have a value of their own, to which
	// others may add; nil, or a nil result, means all. The counters of the others are
	// added up under Overflow, which is there then even if it is 0. A sum of other
	// values would say nothing: they are left out.
	Own func(of *Snapshot) func(name string) bool
}

// Overflow is the counter of what was counted under names that are too many: see
// Combiner.Own.
const Overflow = "statvent.overflow"

// Combine makes one snapshot of several, in which each name has one value:
//
//	counter       the sum
//	gauge         what Aggregate says of the values, one of each snapshot
//	distribution  all samples together, from which the labels are computed; the
//	              union of the labels, the first 256; count and sum are added
//	untyped       the sum
//
// Values of one name in the same snapshot are added up first. A name that is a
// counter here and a gauge there is a gauge, and what ended snapshots counted
// under it is left out. Other values of different kinds are added and untyped.
// Both are among the Conflicts of the result.
//
// Sums are rounded once, at the end. An integer sum that leaves int64 goes on as
// a float. Skipped lines are added up as well. A counter that is negative, infinite
// or not a number would spoil the sum for good: it is left out and counted as
// skipped, and so are a distribution of less than no values, and each label beyond
// the 256 that a distribution has at the most. The sum of a distribution is left
// out if it isn't finite.
func (c Combiner) Combine(snapshots ...*Snapshot) *Snapshot {
	total := &Snapshot{}
	m := merger{aggregate: c.Aggregate, at: make(map[string]int)}
	if c.Own != nil {
		m.add(0, false, &Stat{Name: Overflow, Kind: Counter})
	}
	for source, s := range snapshots {
		total.Skipped += s.Skipped
		m.next = 0
		own := c.namesOf(s)
		for i := range s.Stats {
			switch stat := &s.Stats[i]; {
			case !stat.isSound(s.Ended):
				total.Skipped++
			case own == nil || stat.Name == Overflow || own(stat.Name):
				m.add(source, s.Ended, stat)
			case stat.Kind == Counter:
				m.add(source, s.Ended, &Stat{Name: Overflow, Kind: Counter, Value: stat.Value})
			}
		}
	}
	for i := range m.merged {
		merged := &m.merged[i]
		if scalar, ok := merged.scalar(); ok {
			total.Stats = append(total.Stats, scalar)
		}
		if merged.dist != nil {
			total.Stats = append(total.Stats, merged.distribution())
		}
	}
	total.Skipped += m.tooMany
	total.Sort()
	total.Conflicts = m.conflicts()
	return total
}

// namesOf returns which names of a snapshot have a value of their own, nil if all have.
func (c Combiner) namesOf(s *Snapshot) func(name string) bool {
	if c.Own == nil {
		return nil
	}
	return c.Own(s)
}

// A merger brings the stats of several snapshots together by name.
type merger struct {
	aggregate func(name string) Aggregate // may be nil
	at        map[string]int              // name -> index in merged
	merged    []merged
	next      int // index in merged of the one behind the last: see find
	tooMany   int // labels that there was no room for
}

// merged is what all snapshots say of one name.
type merged struct {
	name  string
	kinds kindSet

	sum       Sum // of all values but:
	ended     Sum // the counters of ended snapshots
	aggregate Aggregate
	values    []sourceValue // unless aggregate is the sum

	dist    *Samples // nil unless there is a distribution; without its labels
	labels  labelSet
	count   Sum
	distSum Sum
}

// sourceValue is the value that one snapshot has.
type sourceValue struct {
	source int
	value  Value
}

func (m *merger) add(source int, ended bool, stat *Stat) {
	one := m.find(stat.Name)
	one.kinds.add(stat.Kind)
	switch {
	case stat.Kind == Distribution:
		m.tooMany += one.pool(stat.Dist)
	case stat.Kind == Counter && ended:
		one.ended.Add(stat.Value)
	default:
		one.sum.Add(stat.Value)
		if one.aggregate != AggregateSum {
			one.keep(source, stat.Value)
		}
	}
}

// find returns what is said of a name.
//
// The processes of a host are often of one program and have the same names in the same
// order: the name is then the one that followed the last in another snapshot, and isn't
// looked up.
func (m *merger) find(name string) *merged {
	i := m.next
	if i >= len(m.merged) || m.merged[i].name != name {
		var known bool
		if i, known = m.at[name]; !known {
			i = len(m.merged)
			m.at[name] = i
			one := merged{name: name, aggregate: AggregateSum}
			if m.aggregate != nil {
				one.aggregate = cmp.Or(m.aggregate(name), AggregateSum)
			}
			m.merged = append(m.merged, one)
		}
	}
	m.next = i + 1
	return &m.merged[i]
}

// keep keeps the values of each source apart.
func (m *merged) keep(source int, v Value) {
	if last := len(m.values) - 1; last >= 0 && m.values[last].source == source {
		m.values[last].value = m.values[last].value.Add(v)
		return
	}
	m.values = append(m.values, sourceValue{source, v})
}

// pool adds the samples of one more source, and returns how many of its labels are
// too many.
func (m *merged) pool(s *Samples) (tooMany int) {
	if m.dist == nil {
		m.dist = &Samples{}
	}
	m.count.Add(Int(s.Count))
	if s.Sum.IsFinite() {
		m.distSum.Add(s.Sum)
	}
	m.dist.Window = append(m.dist.Window, s.Window...)
	return m.labels.addAll(s.Labels)
}

func (m *merged) distribution() Stat {
	m.dist.Count, m.dist.Sum, m.dist.Labels = m.count.Value().Int64(), m.distSum.Value(), m.labels.list
	return Stat{Name: m.name, Kind: Distribution, Dist: m.dist}
}

// scalar returns the value of all counters, gauges and untyped values, if there
// are any.
func (m *merged) scalar() (Stat, bool) {
	kind, ok := m.kinds.scalar()
	if !ok {
		return Stat{}, false
	}
	if !m.kinds.has(Gauge) {
		m.sum.addAll(&m.ended)
	}
	stat := Stat{Name: m.name, Kind: kind, Value: m.sum.Value()}
	if kind == Gauge && m.aggregate != AggregateSum {
		stat.Value = m.aggregated()
	}
	return stat, true
}

// aggregated returns the aggregate of the values.
func (m *merged) aggregated() Value {
	if m.aggregate == AggregateAvg {
		return Float(m.sum.Value().Float64() / float64(len(m.values)))
	}
	order := func(a, b sourceValue) int { return a.value.Compare(b.value) } // NaN is the least
	result := slices.MinFunc(m.values, order).value
	if m.aggregate == AggregateMax {
		result = slices.MaxFunc(m.values, order).value
	}
	if m.sum.float {
		return result.ToFloat()
	}
	return result
}

// conflicts returns the names of several kinds, and those that a label of a
// distribution shares with another stat.
func (m *merger) conflicts() []Conflict {
	found := make(map[string]kindSet)
	for i := range m.merged {
		one := &m.merged[i]
		if one.kinds.count() > 1 {
			found[one.name] |= one.kinds
		}
		for _, label := range one.labels.list {
			name := ExpandLabel(one.name, label.Name)
			if other, ok := m.at[name]; ok && other != i {
				kinds := m.merged[other].kinds
				kinds.add(Distribution)
				found[name] |= kinds
			}
		}
	}
	var conflicts []Conflict
	for name, kinds := range found {
		conflicts = append(conflicts, Conflict{name, kinds.list()})
	}
	slices.SortFunc(conflicts, func(a, b Conflict) int { return strings.Compare(a.Name, b.Name) })
	return conflicts
}

// Fold adds what processes counted that have ended to what is kept of others
// already, without rounding: where no float is the exact sum, the result has
// several counters of one name, which are. The same holds for the sums of
// distributions, which have the first 256 of their labels. Whatever else is kept
// already stays as it is.
func Fold(kept *Snapshot, ended ...*Snapshot) *Snapshot {
	result := &Snapshot{Ended: true}
	m := merger{at: make(map[string]int)}
	for _, s := range append([]*Snapshot{kept}, ended...) {
		for i := range s.Stats {
			stat := &s.Stats[i]
			if stat.Kind == Counter || stat.Kind == Distribution {
				if stat.isSound(true) {
					m.add(0, true, stat)
				}
			} else if s == kept {
				result.Stats = append(result.Stats, *stat)
			}
		}
	}
	for i := range m.merged {
		one := &m.merged[i]
		if one.kinds.has(Counter) {
			result.Stats = append(result.Stats, countedStats(one.name, &one.ended)...)
		}
		if one.dist != nil {
			result.Stats = append(result.Stats, one.recordedStats()...)
		}
	}
	result.Sort()
	return result
}

// countedStats returns counters of one name whose exact sum that is.
func countedStats(name string, sum *Sum) []Stat {
	var stats []Stat
	for _, part := range sum.Parts() {
		stats = append(stats, Stat{Name: name, Kind: Counter, Value: part})
	}
	return stats
}

// recordedStats returns distributions of one name that together are what was
// pooled. It uses that up.
func (m *merged) recordedStats() []Stat {
	var stats []Stat
	for _, part := range m.distSum.Parts() {
		stat := m.distribution()
		stat.Dist.Sum = part
		stats = append(stats, stat)
		m.dist, m.labels, m.count = &Samples{}, labelSet{}, Sum{}
	}
	return stats
}

// A kindSet is a set of kinds.
type kindSet uint8

func (s *kindSet) add(k Kind)     { *s |= 1 << k }
func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }
func (s kindSet) count() int      { return len(s.list()) }

func (s kindSet) list() []Kind {
	var kinds []Kind
	for _, k := range []Kind{Untyped, Counter, Gauge, Distribution} {
		if s.has(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// scalar returns the kind of a stat that is of all of these somewhere, but for
// its distributions.
func (s kindSet) scalar() (Kind, bool) {
	switch {
	case s.has(Untyped):
		return Untyped, true
	case s.has(Gauge):
		return Gauge, true
	case s.has(Counter):
		return Counter, true
	default:
		return 0, false
	}
}
