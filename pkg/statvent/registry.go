package statvent

import (
	"strings"
	"sync"

	"github.com/statvent/statvent/pkg/format"
)

// A Registry holds stats by name. The package's functions use that of Default;
// others are for stats that are published apart. All methods are safe for
// concurrent use.
//
// It has MaxStats stats at the most: a program that makes a name of each request must
// take neither all memory nor its other numbers with it. What is counted under more
// names is added up in the counter "statvent.overflow"; other values of such names are
// published nowhere.
//
// Names are bytes. The plain format can't carry line breaks, nor blanks at
// either end: the first become blanks, the others go, and names that differ
// only in that are one stat.
type Registry struct {
	// By the names that callers use, several of which can stand for one stat.
	scalars       names[Counter]
	distributions names[Distribution]

	mu       sync.Mutex // guards what follows, and adding names
	funcs    map[string]func() float64
	stats    stats
	nowhere  *Counter      // is set in the place of what is too much
	silent   *Distribution // the same for what is recorded
	order    order
	accounts map[string]*account // by pipe directory
}

// stats are each stat once, by its own name. The elements of the slices never
// change, so that what was copied under a lock can be read without it.
type stats struct {
	version       int // counts the changes of what follows
	scalars       []*entry[Counter]
	distributions []*Distribution
	funcs         []namedFunc // those of Registry.funcs, nil if they have changed
}

type namedFunc struct {
	name string
	f    func() float64
}

// MaxStats is how many stats a registry has: a few less than are read of a source,
// unless its reader is told otherwise.
const MaxStats = format.DefaultMaxStats - 100

// NewRegistry returns a registry without stats.
func NewRegistry() *Registry { return &Registry{} }

var defaultRegistry = NewRegistry()

// Default returns the registry that the package's functions use.
func Default() *Registry { return defaultRegistry }

// NewCounter returns the counter of that name, made with the value 0 if it
// isn't there yet.
func (r *Registry) NewCounter(name string) *Counter { return r.counter(name, true) }

// NewGauge returns the gauge of that name, made with the value 0 if it isn't
// there yet. A counter of that name becomes a gauge.
func (r *Registry) NewGauge(name string) *Gauge {
	c := r.counter(name, false)
	c.s.becomeGauge()
	return (*Gauge)(c)
}

// NewDistribution returns the distribution of that name, made with the options
// if it isn't there yet.
func (r *Registry) NewDistribution(name string, opts ...DistributionOption) *Distribution {
	if d := r.distributions.find(name); d != nil {
		return d
	}
	return r.addDistribution(name, opts...)
}

// Incr adds 1 to the counter of that name.
func (r *Registry) Incr(name string) {
	c := r.scalars.find(name) // as counter does, a call sooner
	if c == nil {
		c = r.addCounter(name, true)
	}
	c.Incr()
}

// IncrBy adds n to the stat of that name. A negative n makes it a gauge.
func (r *Registry) IncrBy(name string, n int64) { r.scalar(name, n >= 0).addInt(n) }

// IncrByFloat adds x to the stat of that name, which becomes a float. A
// negative x makes it a gauge.
func (r *Registry) IncrByFloat(name string, x float64) { r.scalar(name, x >= 0).addFloat(x) }

// Set makes n the value of the gauge of that name.
func (r *Registry) Set(name string, n int64) { r.scalar(name, false).setInt(n) }

// SetFloat makes x the value of the gauge of that name, which becomes a float.
func (r *Registry) SetFloat(name string, x float64) { r.scalar(name, false).setFloat(x) }

// SetFunc makes f compute the gauge of that name, each time when somebody
// reads. Another f takes its place; nil removes the stat. If f panics, the stat
// is missing from that snapshot.
func (r *Registry) SetFunc(name string, f func() float64) {
	name = strings.Clone(format.CleanName(name))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.funcs[name] == nil && r.isFull() && f != nil {
		return
	}
	r.stats.version++
	r.stats.funcs = nil
	if f == nil {
		delete(r.funcs, name)
		return
	}
	if r.funcs == nil {
		r.funcs = make(map[string]func() float64)
	}
	r.funcs[name] = f
}

// Record adds n to the distribution of that name.
func (r *Registry) Record(name string, n int64) { r.NewDistribution(name).Record(n) }

// RecordFloat adds x to the distribution of that name.
func (r *Registry) RecordFloat(name string, x float64) { r.NewDistribution(name).RecordFloat(x) }

// distributionBy returns the distribution of that name, whose labels are put
// into the name by f unless it is there already.
func (r *Registry) distributionBy(name string, f FormatFunc) *Distribution {
	if d := r.distributions.find(name); d != nil {
		return d
	}
	return r.addDistribution(name, WithFormat(f))
}

func (r *Registry) scalar(name string, counts bool) *scalar { return &r.counter(name, counts).s }

// counter returns the counter or gauge of that name. Counts says that it is about to
// be incremented, which isn't lost where there is no room for the name.
func (r *Registry) counter(name string, counts bool) *Counter {
	if c := r.scalars.find(name); c != nil {
		return c
	}
	return r.addCounter(name, counts)
}

func (r *Registry) addCounter(name string, counts bool) *Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.scalars.find(name); c != nil { // somebody was quicker
		return c
	}
	if own := format.CleanName(name); r.isFull() && r.scalars.find(own) == nil {
		if counts {
			return r.putCounter(format.Overflow)
		}
		if r.nowhere == nil {
			r.nowhere = new(Counter)
		}
		return r.nowhere
	}
	return r.putCounter(strings.Clone(name)) // it may be part of a buffer that is about to change
}

// isFull tells whether there is no room for another stat. The caller holds r.mu.
func (r *Registry) isFull() bool {
	return len(r.stats.scalars)+len(r.stats.distributions)+len(r.funcs) >= MaxStats
}

// putCounter returns the counter of that name, made if it isn't there yet. The caller
// holds r.mu.
func (r *Registry) putCounter(name string) *Counter {
	own := format.CleanName(name)
	c := r.scalars.find(own)
	if c == nil {
		c = new(Counter)
		r.stats.version++
		r.stats.scalars = append(r.stats.scalars, r.scalars.put(own, c))
	}
	if own != name {
		r.scalars.put(name, c)
	}
	return c
}

func (r *Registry) addDistribution(name string, opts ...DistributionOption) *Distribution {
	d, added := r.findOrAddDistribution(name, opts)
	if added {
		d.findTemplate() // runs the program's own function, so not under the lock
	}
	return d
}

func (r *Registry) findOrAddDistribution(name string, opts []DistributionOption) (d *Distribution, added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.distributions.find(name); d != nil { // somebody was quicker
		return d, false
	}
	clean := format.CleanName(name)
	if r.isFull() && r.distributions.find(clean) == nil {
		if r.silent == nil {
			r.silent = newDistribution("", nil)
		}
		return r.silent, false
	}
	name = strings.Clone(name) // it may be part of a buffer that is about to change
	clean = format.CleanName(name)
	if d = r.distributions.find(clean); d == nil {
		made := newDistribution(clean, opts)
		if d = r.distributions.find(made.name); d == nil {
			d, added = made, true
			r.distributions.put(made.name, made)
			r.stats.version++
			r.stats.distributions = append(r.stats.distributions, made)
		}
		if clean != d.name {
			r.distributions.put(clean, d)
		}
	}
	if name != clean {
		r.distributions.put(name, d)
	}
	return d, added
}
