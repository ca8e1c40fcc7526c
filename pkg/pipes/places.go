package pipes

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

// places say which names of a host have a value of their own, a place, where there
// are more than it may have. See Collector for the rule.
//
// Who has a place keeps it for as long as there is such a stat anywhere, and a name
// that came too late has none for as long: if it got one later, what had been counted
// under it would leave the overflow, which would fall.
type places struct {
	max  int
	seed maphash.Seed

	// before are the names of the last collection, some of them twice, where all of
	// them had a place without a question.
	before []string

	// taken are the names that have a place, nil if that is no question, and refused
	// the hashes of those that haven't.
	taken   map[string]bool
	refused map[uint64]bool

	// known tells whether the collector before this one had a source, whose names it
	// had refused if they aren't taken. For the first collection, else nil.
	known func(*Source) bool
}

func newPlaces(limit int) *places { return &places{max: limit, seed: maphash.MakeSeed()} }

// unquestioned is how many names find a place, whosever they are.
func (p *places) unquestioned() int { return p.max * 9 / 16 } // a share of a share

// restore takes over the places of the collector before this one.
func (p *places) restore(taken []string, known func(*Source) bool) {
	p.taken, p.known = make(map[string]bool, len(taken)), known
	for _, name := range taken {
		p.taken[name] = true
	}
}

// assign gives places to the names of a collection. It returns nil if all have one,
// else which of a snapshot; and it notes in each source how many of its names have none.
func (p *places) assign(sources []Source, hit hits) (own func(of *format.Snapshot) func(name string) bool) {
	if p.taken == nil {
		if p.before = p.fewNames(sources); p.before != nil {
			return nil
		}
	}
	a := assignment{places: p, taken: make(map[string]bool, p.max), refused: make(map[uint64]bool), by: make(map[int]*charged)}
	order := oldestFirst(sources)
	a.each(order, func(s *Source, name string) {
		if p.taken[name] && !a.taken[name] {
			a.take(s, name)
		}
	})
	a.each(order, func(s *Source, name string) {
		if !a.taken[name] {
			a.request(s, name, hit)
		}
	})
	p.known = nil
	if len(a.refused) == 0 && len(a.taken) <= p.unquestioned() {
		p.taken, p.refused = nil, nil
		for name := range a.taken {
			p.before = append(p.before, name)
		}
		return nil
	}
	p.taken, p.refused = a.taken, a.refused
	if len(a.refused) == 0 {
		return nil
	}
	return func(*format.Snapshot) func(name string) bool {
		return func(name string) bool { return a.taken[name] }
	}
}

// fewNames returns the names of all sources if they are so few that each finds a
// place, else nil, and then those that had one before are taken.
func (p *places) fewNames(sources []Source) []string {
	most, n := p.unquestioned(), 0
	for i := range sources {
		if s := sources[i].Snapshot; s != nil {
			n += len(s.Stats)
		}
	}
	if n <= most {
		names := p.before[:0]
		for i := range sources {
			if s := sources[i].Snapshot; s != nil {
				for j := range s.Stats {
					names = append(names, s.Stats[j].Name)
				}
			}
		}
		clear(names[len(names):cap(names)])
		if names == nil {
			names = []string{}
		}
		return names
	}
	distinct := make(map[string]bool, most)
	var last []format.Stat // of the source before: many are of one program
	for i := range sources {
		s := sources[i].Snapshot
		if s == nil {
			continue
		}
		for j := range s.Stats {
			if name := s.Stats[j].Name; j >= len(last) || last[j].Name != name {
				distinct[name] = true
			}
		}
		last = s.Stats
		if len(distinct) > most {
			p.taken = make(map[string]bool, len(p.before))
			for _, name := range p.before {
				p.taken[name] = true
			}
			return nil
		}
	}
	names := make([]string, 0, len(distinct))
	for name := range distinct {
		names = append(names, name)
	}
	return names
}

// oldestFirst returns the sources that have values, in the order in which new names
// are looked at: what is retained is the oldest.
func oldestFirst(sources []Source) []*Source {
	var order []*Source
	for i := range sources {
		sources[i].Overflow = 0
		if sources[i].Snapshot != nil {
			order = append(order, &sources[i])
		}
	}
	began := func(s *Source) int64 {
		switch {
		case s.Kind == RetainedSource:
			return math.MinInt64
		case s.Since.IsZero():
			return math.MaxInt64
		default:
			return s.Since.UnixNano()
		}
	}
	slices.SortStableFunc(order, func(a, b *Source) int {
		return cmp.Or(cmp.Compare(began(a), began(b)), cmp.Compare(a.UID, b.UID), strings.Compare(a.Path, b.Path))
	})
	return order
}

// An assignment is that of one collection.
type assignment struct {
	*places
	taken   map[string]bool
	refused map[uint64]bool
	by      map[int]*charged // by user
}

// charged says who has how many places. A name that several have is charged to the
// first of them.
type charged struct {
	places int
	by     map[*Source]int
}

func (a *assignment) each(sources []*Source, do func(s *Source, name string)) {
	for _, s := range sources {
		for i, stat := range s.Snapshot.Stats {
			if stat.Name != format.Overflow && (i == 0 || s.Snapshot.Stats[i-1].Name != stat.Name) {
				do(s, stat.Name)
			}
		}
	}
}

func (a *assignment) of(uid int) *charged {
	if a.by[uid] == nil {
		a.by[uid] = &charged{by: make(map[*Source]int)}
	}
	return a.by[uid]
}

func (a *assignment) take(s *Source, name string) {
	a.taken[strings.Clone(name)] = true // the name is a part of a whole snapshot's text
	user := a.of(s.UID)
	user.places++
	user.by[s]++
}

// request gives the name of a source a place, if it may have one.
func (a *assignment) request(s *Source, name string, hit hits) {
	hash := maphash.String(a.seed, name)
	if a.refused[hash] {
		s.Overflow++
		return
	}
	if !a.places.refused[hash] && (a.known == nil || !a.known(s)) && a.mayTake(s) {
		a.take(s, name)
		return
	}
	a.refused[hash] = true
	s.Overflow++
	hit.add(LimitHostStats, a.max, s.UID)
}

func (a *assignment) mayTake(s *Source) bool {
	user := a.of(s.UID)
	others := len(a.taken) - user.places
	ofUser := share(a.max - others)
	ofSource := share(ofUser - (user.places - user.by[s]))
	return user.places < ofUser && user.by[s] < ofSource
}
