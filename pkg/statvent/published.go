package statvent

import (
	"maps"
	"sync"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// published is what a recorder publishes of a registry: everything, but of the
// counters only what was not handed over at the same directory before.
type published struct {
	registry *Registry
	account  *account
	runtime  bool

	mu     sync.Mutex // guards what follows, whose elements never change
	before counts     // what was handed over by now
}

// An account is what a registry has handed over at a directory.
type account struct {
	mu     sync.Mutex // guards what follows; held while something is handed over
	taken  bool       // a recorder runs, which will hand over
	handed counts     // replaced, never changed
}

// counts are counters, and the counts and sums of distributions.
type counts map[statKey]format.Stat

type statKey struct {
	name string
	kind format.Kind
}

// account returns that of the directory, an absolute path.
func (r *Registry) account(dir string) *account {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.accounts[dir] == nil {
		if r.accounts == nil {
			r.accounts = make(map[string]*account)
		}
		r.accounts[dir] = new(account)
	}
	return r.accounts[dir]
}

// newPublished takes the account, which nobody else must have taken.
func newPublished(r *Registry, dir string, runtime bool) *published {
	a := r.account(dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken = true
	return &published{registry: r, account: a, runtime: runtime, before: a.handed}
}

// Snapshot is a method of pipes.Stats.
func (p *published) Snapshot(s *format.Snapshot) {
	p.mu.Lock()
	before := p.before // first: a Final that comes meanwhile takes nothing out of this
	p.mu.Unlock()
	p.registry.SnapshotInto(s)
	if p.runtime {
		appendRuntimeStats(s)
	}
	before.subtractFrom(s)
}

// Final is a method of pipes.Stats.
func (p *published) Final() *format.Snapshot {
	s := p.registry.lasting()
	if p.runtime {
		appendRuntimeStats(s)
		s = s.Lasting()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.before
	p.before = before.with(countsOf(s))
	before.subtractFrom(s)
	return s
}

// end gives the account back. What Final returned was handed over, or wasn't.
func (p *published) end(handedOver bool) {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	p.account.taken = false
	if handedOver {
		p.account.handed = p.before
	}
}

// Retain hands what was counted, since the last time, to the host: the counters,
// and the counts and sums of the distributions, are part of the host's numbers
// when it returns nil, whether or not anybody reads them then. The directory is
// as in WithPipeDir. It is for programs too short-lived to be read; where a
// recorder of the registry runs there, that hands over when it is closed, and
// Retain does nothing.
func (r *Registry) Retain(dir string) error {
	dir = absolute(pipes.Dir(dir))
	a := r.account(dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken {
		return nil
	}
	s := r.lasting()
	counted := countsOf(s)
	a.handed.subtractFrom(s)
	if err := pipes.Retain(dir, s); err != nil {
		return err
	}
	a.handed = a.handed.with(counted)
	return nil
}

// with returns what has been counted by now, of those in either.
func (c counts) with(now counts) counts {
	all := make(counts, len(now))
	maps.Copy(all, c)
	maps.Copy(all, now)
	return all
}

func countsOf(s *format.Snapshot) counts {
	c := make(counts, len(s.Stats))
	for _, stat := range s.Stats {
		key := statKey{stat.Name, stat.Kind}
		if other, ok := c[key]; ok { // two formats made one name of two
			stat = merge(stat, other, plus)
		}
		c[key] = stat
	}
	return c
}

// subtractFrom takes what is in c out of a snapshot.
func (c counts) subtractFrom(s *format.Snapshot) {
	if len(c) == 0 {
		return
	}
	rest := maps.Clone(c)
	for i, stat := range s.Stats {
		key := statKey{stat.Name, stat.Kind}
		before, ok := rest[key]
		if !ok {
			continue
		}
		delete(rest, key)
		if stat.Kind == format.Distribution && before.Dist.Count > stat.Dist.Count {
			// Another one of that name, made by its format, has the rest.
			here, there := *before.Dist, *before.Dist
			here.Count = stat.Dist.Count
			there.Count -= stat.Dist.Count
			there.Sum = format.Int(0)
			before.Dist = &here
			rest[key] = format.Stat{Name: stat.Name, Kind: stat.Kind, Dist: &there}
		}
		s.Stats[i] = merge(stat, before, minus)
	}
}

// merge returns a with its values made one with those of b.
func merge(a, b format.Stat, one func(v, w format.Value) format.Value) format.Stat {
	if a.Kind != format.Distribution {
		a.Value = one(a.Value, b.Value)
		return a
	}
	samples := *a.Dist
	samples.Count = one(format.Int(samples.Count), format.Int(b.Dist.Count)).Int64()
	samples.Sum = one(samples.Sum, b.Dist.Sum)
	a.Dist = &samples
	return a
}

func plus(v, w format.Value) format.Value {
	var sum format.Sum
	sum.Add(v)
	sum.Add(w)
	return sum.Value()
}

func minus(v, w format.Value) format.Value {
	var sum format.Sum
	sum.Add(v)
	if v == w && v.IsFloat() {
		return format.Float(0) // also of what is infinite
	}
	sum.Sub(w)
	return sum.Value()
}
