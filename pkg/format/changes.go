package format

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Changes are what a script does to the stats that are kept of its user. They
// are collected first and applied at once, those of one name in the order in
// which they were made. The zero value is none.
type Changes struct {
	At  time.Time     // when they are made
	TTL time.Duration // how long the changed stats are kept; 0 means for good

	scalars       map[string]*scalarChange
	distributions map[string]*distributionChange // by template
}

// scalarChange is what all changes of a counter or gauge together come to.
type scalarChange struct {
	replaces bool // what was there before is forgotten
	deletes  bool // and nothing takes its place
	gauge    bool // was set or decremented
	sum      Sum
}

type distributionChange struct {
	replaces bool
	deletes  bool
	count    int64
	sum      Sum
	window   []Value // the last ones, keptSamples or somewhat more
}

// keptSamples is how many recorded values of scripts are kept of one name.
const keptSamples = 100

// Increment adds v to a counter or gauge. A negative v makes it a gauge.
func (c *Changes) Increment(name string, v Value) {
	change := c.scalar(name)
	change.deletes = false
	change.gauge = change.gauge || v.Float64() < 0
	change.sum.Add(v)
}

// Set makes v the value of a gauge.
func (c *Changes) Set(name string, v Value) {
	change := c.scalar(name)
	*change = scalarChange{replaces: true, gauge: true}
	change.sum.Add(v)
}

// Record adds v to the values of a distribution, which has the default labels if
// it is new.
func (c *Changes) Record(name string, v Value) {
	change := c.distribution(name)
	change.deletes = false
	change.count++
	change.sum.Add(v)
	change.window = append(change.window, v)
	if len(change.window) >= 2*keptSamples {
		change.window = append(change.window[:0], lastKept(change.window)...)
	}
}

// Delete removes whatever has that name, be it one value or a distribution.
func (c *Changes) Delete(name string) {
	*c.scalar(name) = scalarChange{replaces: true, deletes: true}
	*c.distribution(name) = distributionChange{replaces: true, deletes: true}
}

func (c *Changes) scalar(name string) *scalarChange {
	return entry(&c.scalars, CleanName(name))
}

func (c *Changes) distribution(name string) *distributionChange {
	return entry(&c.distributions, LabelTemplate(CleanName(name)))
}

// entry returns that of a map, both of which it makes if they aren't there.
func entry[T any](m *map[string]*T, name string) *T {
	if *m == nil {
		*m = make(map[string]*T)
	}
	if (*m)[name] == nil {
		(*m)[name] = new(T)
	}
	return (*m)[name]
}

// Counted returns the changes as what a process that has ended has counted, which
// can be added to what is kept at any time and in any order; ok is false if they do
// more than count.
func (c *Changes) Counted() (doc *Document, ok bool) {
	for _, change := range c.scalars {
		if change.replaces || change.gauge {
			return nil, false
		}
	}
	if len(c.distributions) > 0 || c.TTL != 0 {
		return nil, false
	}
	doc = &Document{Snapshot: &Snapshot{Ended: true}}
	return doc, c.Apply(doc) == nil
}

// DependOn tells whether a change is of a stat that the document has as something
// else than a counter, or for a time only. Where that is so, what Counted returns
// doesn't say what the changes do.
func (c *Changes) DependOn(doc *Document) bool {
	for _, stat := range doc.Snapshot.Stats {
		if _, ok := c.scalars[stat.Name]; ok && (stat.Kind != Counter || !doc.Emitted[stat.Name].Expires.IsZero()) {
			return true
		}
	}
	return false
}

// ErrInfinite is the error of a change that would make a value infinite, which
// nothing could make finite again.
var ErrInfinite = errors.New("would become infinite")

// Apply makes the changes to a document. The snapshot that it had stays as it is,
// and a new one takes its place. With an error, which wraps ErrInfinite, none of
// the changes is made.
func (c *Changes) Apply(doc *Document) error {
	result := *doc.Snapshot
	result.Stats = nil
	scalars, distributions := make(map[string][]Stat), make(map[string][]Stat) // as they were
	for _, stat := range doc.Snapshot.Stats {
		switch {
		case stat.Kind == Distribution && c.distributions[stat.Name] != nil:
			distributions[stat.Name] = append(distributions[stat.Name], stat)
		case stat.Kind != Distribution && c.scalars[stat.Name] != nil:
			scalars[stat.Name] = append(scalars[stat.Name], stat)
		default:
			result.Stats = append(result.Stats, stat)
		}
	}
	var changed []Stat
	for name, change := range c.scalars {
		changed = append(changed, change.apply(name, scalars[name])...)
	}
	for name, change := range c.distributions {
		changed = append(changed, change.apply(name, distributions[name])...)
	}
	for _, stat := range changed {
		if stat.Kind != Distribution && !stat.Value.IsFinite() {
			return fmt.Errorf("%s %w", stat.Name, ErrInfinite)
		}
	}
	result.Stats = append(result.Stats, changed...)
	result.Sort()
	doc.Snapshot = &result

	emitted := make(map[string]Emitted, len(doc.Emitted)+len(changed))
	maps.Copy(emitted, doc.Emitted)
	for _, stat := range changed {
		emitted[stat.Name] = c.emitted()
	}
	doc.Emitted = emitted
	return nil
}

func (c *Changes) emitted() Emitted {
	e := Emitted{At: c.At}
	if c.TTL != 0 {
		e.Expires = c.At.Add(c.TTL)
	}
	return e
}

// apply returns what the stats of that name are after the change.
func (c *scalarChange) apply(name string, before []Stat) []Stat {
	if c.deletes {
		return nil
	}
	var sum Sum
	gauge := c.gauge
	if !c.replaces {
		isGauge := func(stat Stat) bool { return stat.Kind != Counter }
		gauges := slices.ContainsFunc(before, isGauge)
		for _, stat := range before {
			if isGauge(stat) == gauges { // counters beside a gauge don't count
				sum.Add(stat.Value)
			}
		}
		gauge = gauge || gauges
	}
	sum.addAll(&c.sum)
	if gauge {
		return []Stat{{Name: name, Kind: Gauge, Value: sum.Value()}}
	}
	return countedStats(name, &sum)
}

func (c *distributionChange) apply(name string, before []Stat) []Stat {
	if c.deletes {
		return nil
	}
	all := merged{name: name, dist: &Samples{}}
	if !c.replaces {
		for _, stat := range before {
			all.pool(stat.Dist)
		}
	}
	if len(all.labels.list) == 0 {
		all.labels.addAll(DefaultLabels())
	}
	all.count.Add(Int(c.count))
	all.distSum.addAll(&c.sum)
	all.dist.Window = lastKept(append(all.dist.Window, c.window...))
	return all.recordedStats()
}

// lastKept returns the values that are kept.
func lastKept(window []Value) []Value { return window[max(0, len(window)-keptSamples):] }
