package pipes

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

// places say which names of a host have a value of their own, a place, where there
// are more than it may have. See Collector for the rule.
//
// A name that has a place keeps it for as long as anybody has such a stat who wasn't
// refused it. A user who was refused it has none for as long as any of the user's sources
// has such a stat: if it got one later, what had been counted under it would leave the
// overflow, which would fall. The sources of a user have that in common because they end
// in one retained file. Other users may have the name: or whoever uses up what places he
// may have could name what they will want.
type places struct {
	max int

	// before are the names of the last collection, some of them twice, where all of
	// them had a place without a question.
	before []string

	// taken is nil if who has a place is no question. Both are replaced by each
	// collection and not changed after it.
	taken   takers
	refused refusals
}

// takers are the names that have a place, with the user to whom each is charged.
type takers map[string]int

func (t takers) have(name string) bool {
	_, ok := t[name]
	return ok
}

// refusals are names that have no place, by the user who asked for one.
type refusals map[int]map[string]bool

func (r refusals) add(uid int, name string) {
	if r[uid] == nil {
		r[uid] = make(map[string]bool)
	}
	r[uid][name] = true
}

func newPlaces(limit int) *places { return &places{max: limit} }

// unquestioned is how many names find a place, whosever they are.
func (p *places) unquestioned() int { return p.max * 9 / 16 } // a share of a share

// saved returns what restore needs, by user: a counter of each name that is charged to
// the user, or was refused. Its value is how many places there are, negative if it was
// refused.
func (p *places) saved() map[int]*format.Snapshot {
	saved := make(map[int]*format.Snapshot)
	add := func(uid int, name string, value int) {
		if saved[uid] == nil {
			saved[uid] = &format.Snapshot{}
		}
		saved[uid].Stats = append(saved[uid].Stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(int64(value))})
	}
	for name, uid := range p.taken {
		add(uid, name, p.max)
	}
	for uid, names := range p.refused {
		for name := range names {
			add(uid, name, -p.max)
		}
	}
	return saved
}

// restore takes over the places of the collector before this one, if there were as many.
func (p *places) restore(saved map[int]*format.Snapshot) {
	taken, refused := make(takers), make(refusals)
	for uid, s := range saved {
		for _, stat := range s.Stats {
			switch stat.Value {
			case format.Int(int64(p.max)):
				taken[stat.Name] = uid
			case format.Int(int64(-p.max)):
				refused.add(uid, stat.Name)
			default:
				return
			}
		}
	}
	if len(taken) > 0 {
		p.taken, p.refused = taken, refused
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
	a := assignment{places: p, taken: make(takers, p.max), refused: make(refusals), by: make(map[int]*charged)}
	order := oldestFirst(sources)
	a.each(order, func(s *Source, name string) {
		if p.taken.have(name) && !a.taken.have(name) && !p.refused[s.UID][name] {
			a.take(s, name)
		}
	})
	a.each(order, func(s *Source, name string) { a.request(s, name, hit) })
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
	whose := make(map[*format.Snapshot]int, len(order))
	for _, s := range order {
		whose[s.Snapshot] = s.UID
	}
	return func(of *format.Snapshot) func(name string) bool {
		refused := a.refused[whose[of]]
		if len(refused) == 0 {
			return nil
		}
		return func(name string) bool { return !refused[name] }
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
			p.taken = make(takers, len(p.before))
			for _, name := range p.before {
				p.taken[name] = nobodys // until it is charged
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
	taken   takers
	refused refusals
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
	a.taken[name] = s.UID
	user := a.of(s.UID)
	user.places++
	user.by[s]++
}

// request gives the name of a source a place, if it has none and may have one.
func (a *assignment) request(s *Source, name string, hit hits) {
	switch taken := a.taken.have(name); {
	case a.refused[s.UID][name]: // as another source of the user has it
		s.Overflow++
	case a.places.refused[s.UID][name], !taken && !a.mayTake(s):
		a.refused.add(s.UID, name)
		s.Overflow++
		hit.add(LimitHostStats, a.max, s.UID)
	case !taken:
		a.take(s, name)
	}
}

func (a *assignment) mayTake(s *Source) bool {
	user := a.of(s.UID)
	others := len(a.taken) - user.places
	ofUser := Share(a.max - others)
	ofSource := Share(ofUser - (user.places - user.by[s]))
	return user.places < ofUser && user.by[s] < ofSource
}
