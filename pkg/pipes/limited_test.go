//go:build linux

package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

func TestLimitsHaveDefaults(t *testing.T) {
	defaults := Limits{
		MaxBytes: 64 << 20, MaxStats: 100_000, MaxLine: 64 << 10, MaxSources: 10_000, MaxHostStats: 100_000, MaxHostBytes: 128 << 20,
		MaxRetainedBytes: 64 << 20, MaxRetainedStats: 200_000,
	}
	for _, none := range []Limits{{}, {-1, -1, -1, -1, -1, -1, -1, -1}} {
		if got := none.withDefaults(); got != defaults {
			t.Errorf("the defaults are %+v, want %+v", got, defaults)
		}
	}
	own := Limits{1, 2, 3, 4, 5, 6, 7, 8}
	if own.withDefaults() != own {
		t.Errorf("%+v became %+v", own, own.withDefaults())
	}
	if got := own.atLeastDefaults(); got != defaults {
		t.Errorf("what is kept is bounded by %+v, want %+v", got, defaults)
	}
}

// A said is a source as a collection has it, with counters 1 of these names.
func said(uid int, name string, names ...string) Source {
	s := Source{Name: name, Path: "/" + name, Kind: TypedSource, UID: uid, ID: name, State: Live, Snapshot: &format.Snapshot{}}
	for _, name := range names {
		s.Snapshot.Stats = append(s.Snapshot.Stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(1)})
	}
	s.Snapshot.Sort()
	return s
}

// numberedNames returns names of which all have that prefix.
func numberedNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%06d", prefix, i)
	}
	return names
}

// assigned returns which names of sources have a place.
func assigned(p *places, sources ...Source) (names []string, hit hits) {
	hit = make(hits)
	own := p.assign(sources, hit)
	seen := make(map[string]bool)
	for _, s := range sources {
		for _, name := range ownNames(own, s) {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), hit
}

// ownNames returns which names of one source have a place.
func ownNames(own func(*format.Snapshot) func(string) bool, s Source) (names []string) {
	isOwn := func(string) bool { return true }
	if own != nil && own(s.Snapshot) != nil {
		isOwn = own(s.Snapshot)
	}
	for _, stat := range s.Snapshot.Stats {
		if isOwn(stat.Name) {
			names = append(names, stat.Name)
		}
	}
	return names
}

func countPrefix(names []string, prefix string) (n int) {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

func TestPlacesOfOneSourceAndOneUser(t *testing.T) {
	is := func(most, names, want int) {
		t.Helper()
		got, hit := assigned(newPlaces(most), said(1, "a", numberedNames("x", names)...))
		if len(got) != want {
			t.Errorf("%d names where %d may be: %d have a place, want %d", names, most, len(got), want)
		}
		left := LimitHit{LimitHostStats, 1, most, names - want}
		if list := hit.list(); names > want && !slices.Equal(list, []LimitHit{left}) || names == want && len(list) > 0 {
			t.Errorf("%d names where %d may be: hit are %v", names, most, list)
		}
	}
	is(1600, 0, 0)
	is(1600, 900, 900)
	is(1600, 901, 900) // three quarters of three quarters
	is(1600, 5000, 900)
	is(1, 1, 1)
	is(1, 2, 1)
	is(2, 3, 2)

	// Those of one user together have three quarters, and whoever comes next finds some.
	of := func(uid int, prefix string) Source { return said(uid, prefix, numberedNames(prefix, 2000)...) }
	sources := []Source{of(1, "a"), of(1, "b"), of(1, "c"), of(1, "d"), of(1, "e"), of(1, "f"), of(1, "g"), said(2, "z", "z1", "z2")}
	got, _ := assigned(newPlaces(1600), sources...)
	if n := len(got) - countPrefix(got, "z"); n > 1200 || n < 1190 || countPrefix(got, "z") != 2 {
		t.Errorf("one user has %d places of 1600, and the other %d of 2", n, countPrefix(got, "z"))
	}
	for _, s := range sources {
		if want := len(s.Snapshot.Stats) - countPrefix(got, s.Name); s.Overflow != want {
			t.Errorf("%s says that %d of its names have none, want %d", s.Name, s.Overflow, want)
		}
	}
}

// Who has come first keeps what it has, and one who comes late with a few names finds
// room for them, whatever others do.
func TestPlacesAreKept(t *testing.T) {
	p := newPlaces(1600)
	honest := said(1, "honest", "m1", "m2", "m3")
	mixed := said(2, "mixed", "zz1", "zz2")
	before, hit := assigned(p, honest, mixed)
	if len(before) != 5 || len(hit) > 0 {
		t.Fatalf("of few names %q have a place", before)
	}
	// The bomb began before all others, says it, and its names sort first.
	bomb := said(3, "bomb", numberedNames("a", 5000)...)
	bomb.Since = time.Unix(1, 0)
	mixed = said(2, "mixed", append(numberedNames("a-mixed", 5000), "zz1", "zz2")...)
	kept := func(sources ...Source) []string {
		t.Helper()
		got, _ := assigned(p, sources...)
		for _, name := range before {
			if !slices.Contains(got, name) {
				t.Errorf("%s has lost its place", name)
			}
		}
		if len(got) > 1600 {
			t.Errorf("%d have a place, and 1600 may", len(got))
		}
		return got
	}
	first := kept(honest, mixed, bomb)
	if again := kept(honest, mixed, bomb); !slices.Equal(first, again) {
		t.Error("others have a place the second time")
	}
	before = first
	got := kept(bomb, said(9, "new", "n1", "n2"), mixed, honest, said(2, "new-too", "o1", "o2"))
	if !slices.Contains(got, "n1") || !slices.Contains(got, "n2") {
		t.Error("a new user finds no place")
	}
	if !slices.Contains(got, "o1") || !slices.Contains(got, "o2") {
		t.Error("a new source of a user with many names finds no place")
	}

	// What was refused stays so while it is there, though there is room.
	before = []string{"m1", "zz1"}
	got = kept(honest, mixed)
	if mixed := countPrefix(got, "a-mixed"); mixed != countPrefix(first, "a-mixed") {
		t.Errorf("it had %d places and has %d when others have gone", countPrefix(first, "a-mixed"), mixed)
	}
	// And when it is gone, all is forgotten.
	mixed = said(2, "mixed", "zz1", "zz2")
	if got := kept(honest, mixed); len(got) != 5 || p.taken != nil || p.refused != nil {
		t.Errorf("in the end %d have a place", len(got))
	}
	if got := kept(honest, mixed, said(2, "last", numberedNames("a-mixed", 800)...)); len(got) != 805 {
		t.Errorf("of what comes again %d have a place", countPrefix(got, "a-mixed"))
	}
}

// Many of one program are no more names than one of it.
func TestPlacesAreThoseOfNames(t *testing.T) {
	var sources []Source
	for i := range 50 {
		sources = append(sources, said(i, fmt.Sprint(i), append(numberedNames("x", 700), fmt.Sprintf("own%d", i))...))
	}
	if got, hit := assigned(newPlaces(1600), sources...); len(got) != 750 || len(hit) != 0 {
		t.Errorf("%d of 750 have a place: %v", len(got), hit)
	}
	if got, hit := assigned(newPlaces(1000), sources...); countPrefix(got, "own") != 50 || len(got) > 1000 || len(hit) == 0 {
		t.Errorf("%d of 750 have a place: %v", len(got), hit)
	}
}

// What is refused to one user others may have. Nothing moves from the overflow to a name
// or back, whoever comes and goes.
func TestNamesAreRefusedToOneUser(t *testing.T) {
	squatted := []string{"app.errors", "app.requests"}
	flood := said(1, "flood", append(numberedNames("!", 1000), squatted...)...)
	web := said(2, "web", append(squatted, "own")...)
	p := newPlaces(1600)
	is := func(errors, own, overflow string, sources ...Source) {
		t.Helper()
		c := &Collection{Sources: sources, combiner: format.Combiner{Own: p.assign(sources, make(hits))}}
		total := c.Total()
		for name, want := range map[string]string{"app.errors": errors, "app.requests": errors, "own": own, format.Overflow: overflow} {
			got := ""
			if v, ok := total.Lookup(name); ok {
				got = v.String()
			}
			if got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	is("", "", "102", flood)
	for range 2 {
		is("1", "1", "102", flood, web)
	}
	// Another program of either user has what the user has.
	is("2", "2", "104", flood, web, said(1, "flood-too", squatted...), said(2, "web-too", append(squatted, "own")...))
	is("1", "1", "104", flood, web, said(1, "flood-too", squatted...))
	is("2", "2", "102", flood, web, said(3, "db", append(squatted, "own")...))
	is("", "", "102", flood)
	if p.taken.have("app.errors") {
		t.Error("who was refused a name has its place when others have gone")
	}
	is("1", "1", "102", flood, web)
	// When it is gone, all is forgotten.
	is("1", "1", "", web, said(3, "db"))
	is("2", "1", "", web, said(1, "flood", squatted...))
}

// randomly returns random numbers, and how a test fails that has drawn them.
func randomly(t *testing.T) (r *rand.Rand, fail func(format string, args ...any)) {
	seed := rand.Uint64()
	return rand.New(rand.NewPCG(seed, 1)), func(format string, args ...any) {
		t.Helper()
		t.Fatalf("seed %d: "+format, append([]any{seed}, args...)...)
	}
}

// What each user has of a name, a value or none, stays so for as long as the user has the
// name, while users come and go, places come free, and collectors take over. Those who
// have few names have all of them, whatever others name.
func TestNamesKeepWhatTheyGot(t *testing.T) {
	few := map[int][]string{2: {"n0", "n1", "n2", "n3", "n4"}, 3: {"m0", "m1", "m2", "m3", "m4"}}
	squatted := slices.Concat(few[2], few[3])
	type name struct {
		uid  int
		name string
	}
	for range scaled(100) {
		r, fail := randomly(t)
		p := newPlaces(400 + r.IntN(100))
		var processes []Source
		isOwn := map[name]bool{}
		for step := range 40 {
			switch r.IntN(8) {
			case 0: // a user goes
				uid := r.IntN(4)
				processes = slices.DeleteFunc(processes, func(s Source) bool { return s.UID == uid })
			case 1:
				processes = slices.DeleteFunc(processes, func(Source) bool { return r.IntN(3) == 0 })
			case 2: // another serve takes over
				next := newPlaces(p.max)
				next.restore(p.saved())
				if p.taken == nil {
					next.before = p.before
				}
				p = next
			default:
				for range r.IntN(4) {
					uid := r.IntN(4)
					names := few[uid]
					if names == nil {
						from := r.IntN(500)
						names = numberedNames(fmt.Sprint("u", uid, "-"), 1000)[from : from+r.IntN(500)]
						names = append(slices.Clone(names), squatted[:r.IntN(10)]...)
					}
					s := said(uid, fmt.Sprint(uid, "-", r.Int()), names...)
					s.Since = time.Unix(r.Int64N(1000), 0)
					processes = append(processes, s)
				}
			}
			hit := make(hits)
			own := p.assign(processes, hit)
			now, want, names := map[name]bool{}, map[string]int64{}, map[string]bool{}
			if own != nil {
				want[format.Overflow] = 0
			}
			for _, s := range processes {
				has := setOf(ownNames(own, s))
				for _, stat := range s.Snapshot.Stats {
					one, isNow := name{s.UID, stat.Name}, has[stat.Name]
					if before, ok := now[one]; ok && before != isNow {
						fail("step %d: %v has a place in one source and none in another", step, one)
					}
					if before, ok := isOwn[one]; ok && before != isNow {
						fail("step %d: %v had a place: %v, and has one: %v", step, one, before, isNow)
					}
					if now[one] = isNow; isNow {
						want[stat.Name]++
						names[stat.Name] = true
					} else {
						want[format.Overflow]++
					}
				}
				if s.Overflow != len(s.Snapshot.Stats)-len(has) {
					fail("step %d: %s says that %d of its names have no place", step, s.Name, s.Overflow)
				}
				if few[s.UID] != nil && s.Overflow > 0 {
					fail("step %d: %d of the few names of %s have no place", step, s.Overflow, s.Name)
				}
			}
			if len(names) > p.max {
				fail("step %d: %d names where %d may be", step, len(names), p.max)
			}
			isOwn = now
			got := map[string]int64{}
			for _, stat := range (&Collection{Sources: processes, combiner: format.Combiner{Own: own}}).Total().Stats {
				got[stat.Name] = stat.Value.Int64()
			}
			if !maps.Equal(got, want) {
				fail("step %d: the sums are %v, want %v", step, got, want)
			}
		}
	}
}

// The counters of a host, those in the overflow included, are the truth and none of
// them ever falls, while programs come, count, end, and are folded.
func TestOverflowNeverFalls(t *testing.T) {
	for range scaled(200) {
		r, fail := randomly(t)
		p := newPlaces(1 + r.IntN(60))
		truth := 0
		retained := map[int]*format.Snapshot{}
		type process struct {
			uid    int
			id     int
			counts map[string]int
		}
		var processes []*process
		last := map[string]int64{}
		for step := range 40 {
			for range r.IntN(4) {
				processes = append(processes, &process{r.IntN(3), r.Int(), map[string]int{}})
			}
			for _, one := range processes {
				names := 5
				if one.uid == 0 {
					names = 100 // he can't behave
				}
				for range r.IntN(20) {
					one.counts[fmt.Sprint("u", one.uid%2, "-", r.IntN(names))]++
					truth++
				}
			}
			var sources []Source
			snapshotOf := func(one *process) *format.Snapshot {
				s := &format.Snapshot{}
				for name, n := range one.counts {
					s.Stats = append(s.Stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(int64(n))})
				}
				s.Sort()
				return s
			}
			processes = slices.DeleteFunc(processes, func(one *process) bool {
				if r.IntN(4) > 0 {
					return false
				}
				if retained[one.uid] == nil {
					retained[one.uid] = &format.Snapshot{}
				}
				retained[one.uid] = format.Fold(retained[one.uid], snapshotOf(one).Lasting())
				return true
			})
			for _, one := range processes {
				s := said(one.uid, fmt.Sprint(one.id))
				s.Snapshot = snapshotOf(one)
				sources = append(sources, s)
			}
			for uid, kept := range retained {
				s := said(uid, fmt.Sprint("retained-", uid))
				s.Kind, s.Snapshot = RetainedSource, kept
				sources = append(sources, s)
			}
			r.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
			if r.IntN(10) == 0 { // another serve takes over
				next := newPlaces(p.max)
				next.restore(p.saved())
				if p.taken == nil {
					next.before = p.before
				}
				p = next
			}
			hit := make(hits)
			c := &Collection{Sources: sources, combiner: format.Combiner{Own: p.assign(sources, hit)}}
			total, sum, own := c.Total(), int64(0), 0
			now := map[string]int64{}
			for _, stat := range total.Stats {
				now[stat.Name] = stat.Value.Int64()
				sum += stat.Value.Int64()
				if stat.Name != format.Overflow {
					own++
				}
			}
			if sum != int64(truth) {
				fail("step %d: %d were counted, and the sum is %d", step, truth, sum)
			}
			if own > p.max {
				fail("step %d: %d names where %d may be", step, own, p.max)
			}
			for name, before := range last {
				if now[name] < before {
					fail("step %d: %s was %d and is %d", step, name, before, now[name])
				}
			}
			last = now
		}
	}
}

// A collector that takes over has the same names as the one before.
func TestPlacesAreRestored(t *testing.T) {
	dir, state := memoryDir(t), t.TempDir()
	names := numberedNames("x", 60)
	publish(t, PublisherOptions{Dir: dir, Name: "bomb"}, counting(names))
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: state, Limits: Limits{MaxHostStats: 50}}
	totalOf := func(c *Collector) []string {
		t.Helper()
		var got []string
		for _, stat := range collect(t, c).Total().Stats {
			got = append(got, stat.Name+"="+stat.Value.String())
		}
		return got
	}
	c := NewCollector(opts)
	first := totalOf(c)
	c.Close()
	if !slices.Contains(first, "statvent.overflow=31") || len(first) != 30 {
		t.Fatalf("it has %q", first)
	}
	// Somebody else has come meanwhile, with names that sort first.
	publish(t, PublisherOptions{Dir: dir, Name: "a"}, counting{"a1", "a2"})
	want := append([]string{"a1=1", "a2=1"}, first...)
	slices.Sort(want)
	next := newCollector(t, opts)
	for range 2 {
		if got := totalOf(next); !slices.Equal(got, want) {
			t.Errorf("the next has %q, want %q", got, want)
		}
	}
	opts.Limits.MaxHostStats = 1000
	next.Change(opts)
	if got := totalOf(next); len(got) != 62 {
		t.Errorf("with room for all it has %q", got)
	}
	opts.Limits.MaxHostStats = 10
	next.Change(opts)
	if got := totalOf(next); len(got) > 11 {
		t.Errorf("with room for ten it has %q", got)
	}
}

// A name that nobody was refused gets a place also where a known program has first used
// it while no collector ran.
func TestNamesThatAreNewAfterARestart(t *testing.T) {
	dir := memoryDir(t)
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: t.TempDir(), Limits: Limits{MaxHostStats: 100}}
	web := &growing{}
	web.set(numberedNames("x", 30)...)
	publish(t, PublisherOptions{Dir: dir, Name: "web"}, web)
	publish(t, PublisherOptions{Dir: dir, Name: "other"}, counting(numberedNames("y", 30)))
	first := newCollector(t, opts)
	if n := len(collect(t, first).Total().Stats); n != 60 {
		t.Fatalf("%d names", n)
	}
	noErr(t, first.Close())
	web.set(append(numberedNames("x", 30), "xnew")...)
	noErr(t, Retain(dir, said(0, "", "ended").Snapshot))
	second := newCollector(t, opts)
	for range 2 {
		collection := collect(t, second)
		if n := len(collection.Total().Stats); n != 62 || len(collection.Hits) > 0 {
			t.Errorf("%d names, and hit are %v", n, collection.Hits)
		}
	}
}

// What is saved of the places is what there is, of each user.
func TestPlacesAreSaved(t *testing.T) {
	p := newPlaces(1600)
	flood := said(1, "flood", append(numberedNames("!", 1000), "a", "b")...)
	assigned(p, flood, said(2, "web", "a", "own"))
	f := newStateFile(t.TempDir(), "/x")
	noErr(t, f.store(nil, p.saved()))
	load := func(limit int) *places {
		t.Helper()
		c := &Collector{state: f, places: newPlaces(limit)}
		c.loadState()
		if c.stateErr != nil || len(c.saved) > 0 {
			t.Errorf("left are %v, and %v", c.saved, c.stateErr)
		}
		return c.places
	}
	next := load(1600)
	if !maps.Equal(next.taken, p.taken) || len(next.taken) != 902 {
		t.Errorf("%d names have a place, and %d had one", len(next.taken), len(p.taken))
	}
	if !maps.EqualFunc(next.refused, p.refused, maps.Equal) || len(next.refused[1]) != 102 {
		t.Errorf("%d names are refused, and %d were", len(next.refused[1]), len(p.refused[1]))
	}
	if other := load(1601); other.taken != nil || other.refused != nil {
		t.Errorf("of 1601 places %d are taken", len(other.taken))
	}
	// There was a time in which the taken ones only were saved, and not of whom.
	old := format.AppendTyped(nil, &format.Document{ID: "places", Snapshot: someCounters("a50 b50")})
	writeFile(t, f.path, string(old))
	if got, _ := assigned(load(50), said(1, "a", numberedNames("!", 1000)...), said(2, "z", "a", "b")); !slices.Contains(got, "a") || !slices.Contains(got, "b") {
		t.Errorf("of an old state there are %q", got)
	}
}

// What is loaded late displaces no name that has been given a place by then.
func TestPlacesAreNotRestoredLate(t *testing.T) {
	dir := memoryDir(t)
	noErr(t, Retain(dir, said(0, "", numberedNames("first", 20)...).Snapshot))
	publish(t, PublisherOptions{Dir: dir, Name: "second"}, counting(numberedNames("second", 60)))
	opts := CollectorOptions{Dir: dir, Deadline: patience, Limits: Limits{MaxHostStats: 50}}
	c := newCollector(t, opts)
	c.state = newStateFile(t.TempDir(), dir)
	second := func(c *Collector) (names []string) {
		for _, stat := range collect(t, c).Total().Stats {
			if strings.HasPrefix(stat.Name, "second") {
				names = append(names, stat.Name)
			}
		}
		return names
	}
	before := second(c)
	c.mu.Lock()
	c.save(time.Now())
	c.mu.Unlock()
	noErr(t, os.Remove(filepath.Join(dir, retainedName(os.Geteuid()))))
	next := newCollector(t, opts)
	next.state = c.state
	has := second(next)
	if len(has) <= len(before) {
		t.Fatalf("it has %d names, and the one before had %d", len(has), len(before))
	}
	next.loadState()
	if got := second(next); !slices.Equal(got, has) {
		t.Errorf("it had %q, and has %q", has, got)
	}
}

// counting are Stats that are counters 1 of these names.
type counting []string

func (c counting) Snapshot(s *format.Snapshot) { *s = *said(0, "", c...).Snapshot }

func (c counting) Final() *format.Snapshot { return said(0, "", c...).Snapshot.Lasting() }

// Of more sources than are read those are that were read before, and none of another
// user's is left out for them.
func TestSourcesBeyondTheLimit(t *testing.T) {
	dir := memoryDir(t)
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			mkfifo(t, filepath.Join(dir, fmt.Sprintf("%04d.stats", i)))
		}
	}
	publish(t, PublisherOptions{Dir: dir, Name: "zz-old"}, counting{"old"})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Limits: Limits{MaxSources: 40}})
	hit := func(want ...LimitHit) *Collection {
		t.Helper()
		collection := collect(t, c)
		if !slices.Equal(collection.Hits, want) {
			t.Errorf("hit are %v, want %v", collection.Hits, want)
		}
		return collection
	}
	checkLive(t, hit(), "zz-old", "old: 1\n")
	flood(0, 29)
	checkLive(t, hit(), "zz-old", "old: 1\n") // as many as one user may have
	flood(29, 300)
	uid := os.Geteuid()
	collection := hit(LimitHit{LimitSources, uid, 40, 271})
	checkLive(t, collection, "zz-old", "old: 1\n")
	if len(collection.Sources) != 30 {
		t.Errorf("%d sources are read", len(collection.Sources))
	}
	for range 3 {
		if again := hit(LimitHit{LimitSources, uid, 40, 271}); namesOf(again) != namesOf(collection) {
			t.Errorf("read were%s\nand are%s", namesOf(collection), namesOf(again))
		}
	}
	// A collector that begins anew has the same, whenever it does: those with a typed
	// pipe come first, then it goes by name.
	publish(t, PublisherOptions{Dir: dir, Name: "zz-new"}, counting{"new"})
	first := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Limits: Limits{MaxSources: 40}}))
	checkLive(t, first, "zz-new", "new: 1\n")
	checkLive(t, first, "zz-old", "old: 1\n")
	// When some have gone, there is room for others.
	for i := range 5 {
		noErr(t, os.Remove(filepath.Join(dir, fmt.Sprintf("%04d.stats", i))))
	}
	checkLive(t, hit(LimitHit{LimitSources, uid, 40, 267}), "zz-new", "new: 1\n")
	c.Change(CollectorOptions{Deadline: shortDeadline, Limits: Limits{MaxSources: 1000}})
	if all := hit(); len(all.Sources) != 297 {
		t.Errorf("with room for all %d are read", len(all.Sources))
	}
}

// Sources that were read go on across a restart, though others' names come first.
func TestPlacesOfSourcesAreRestored(t *testing.T) {
	dir := memoryDir(t)
	opts := CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, StateDir: t.TempDir(), Limits: Limits{MaxSources: 4}}
	for _, name := range []string{"x", "y", "z"} {
		publish(t, PublisherOptions{Dir: dir, Name: name}, &tally{n: 1})
	}
	c := NewCollector(opts)
	checkCount(t, collect(t, c), 3)
	for _, name := range []string{"a", "b", "c"} {
		publish(t, PublisherOptions{Dir: dir, Name: name}, &tally{n: 10})
	}
	hit := []LimitHit{{LimitSources, os.Geteuid(), 4, 3}}
	for range 2 {
		collection := collect(t, c)
		checkCount(t, collection, 3)
		if !slices.Equal(collection.Hits, hit) {
			t.Errorf("hit are %v, want %v", collection.Hits, hit)
		}
		noErr(t, c.Close())
		c = newCollector(t, opts)
	}
}

func namesOf(c *Collection) string {
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	return fmt.Sprint(names)
}

// Twenty thousand pipes of another user cost this one nothing but one deadline.
func TestFloodOfPipesOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs to make files of another user")
	}
	const other = 65533
	dir := memoryDir(t)
	for i := range scaled(20_000) {
		path := mkfifo(t, filepath.Join(dir, fmt.Sprintf("%05d.stats", i)))
		noErr(t, os.Chown(path, other, other))
	}
	checkGood := goodSources(t, dir)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: 10 * shortDeadline, Limits: Limits{MaxSources: 200}})
	for range 2 {
		collection := collect(t, c)
		checkGood(collection)
		left := LimitHit{LimitSources, other, 200, scaled(20_000) - Share(200)}
		left.LeftOut += Share(200) - ofUser(collection, other)
		if !slices.Equal(collection.Hits, []LimitHit{left}) {
			t.Errorf("hit are %v, want %v", collection.Hits, left)
		}
	}
}

func ofUser(c *Collection, uid int) (n int) {
	for _, s := range c.Sources {
		if s.UID == uid {
			n++
		}
	}
	return n
}

// Those who have answered are asked first, and then one of each user in turn.
func TestTurns(t *testing.T) {
	sources := make(map[string]*source)
	add := func(name string, owner int, known, slow bool) {
		s := &source{name: name, owner: owner, slow: slow}
		if known {
			s.last = &lastSeen{}
		}
		sources[name] = s
	}
	for i := range 100 {
		add(fmt.Sprint("flood", i), 1, false, false)
		add(fmt.Sprint("slow", i), 1, true, true)
	}
	add("known", 1, true, false)
	add("a", 2, false, false)
	add("b", 2, false, false)
	add("c", 3, false, false)
	order := inTurn(sources)
	if len(order) != len(sources) || order[0].name != "known" {
		t.Fatalf("of %d sources %d are asked, %s first", len(sources), len(order), order[0].name)
	}
	for name, latest := range map[string]int{"c": 3, "a": 5, "b": 5} {
		if at := slices.Index(order, sources[name]); at > latest {
			t.Errorf("%s is asked as number %d, want %d at the latest", name, at, latest)
		}
	}
}

func TestSourceBeyondItsLimitsIsAHit(t *testing.T) {
	dir := memoryDir(t)
	publish(t, PublisherOptions{Dir: dir, Name: "a"}, counting{"x", "y"})
	is := func(limits Limits, want ...LimitHit) {
		t.Helper()
		c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits})
		collection := collect(t, c)
		if !slices.Equal(collection.Hits, want) {
			t.Errorf("%+v: hit are %v, want %v", limits, collection.Hits, want)
		}
		if s := find(t, collection, "a"); (s.State == Failed) != (len(want) > 0) {
			t.Errorf("%+v: it is %s, %v", limits, s.State, s.Err)
		}
	}
	uid := os.Geteuid()
	is(Limits{MaxStats: 2})
	is(Limits{MaxStats: 1}, LimitHit{LimitSourceStats, uid, 1, 1})
	is(Limits{MaxBytes: 20}, LimitHit{LimitSourceBytes, uid, 20, 1})
}

// One that comes to send more than it may goes on with what it sent last.
func TestCountersOfASourceThatComesToSendTooMuchStay(t *testing.T) {
	dir := memoryDir(t)
	stats := &growing{}
	publish(t, PublisherOptions{Dir: dir, Name: "a"}, stats)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: Limits{MaxStats: 10}})
	stats.set(numberedNames("x", 10)...)
	if n := len(collect(t, c).Total().Stats); n != 10 {
		t.Errorf("it has %d stats", n)
	}
	stats.set(numberedNames("x", 11)...)
	for range 2 {
		collection := collect(t, c)
		if s := find(t, collection, "a"); s.State != Failed {
			t.Errorf("it is %s: %v", s.State, s.Err)
		}
		if n := len(collection.Total().Stats); n != 10 {
			t.Errorf("it has %d stats when it sends too many", n)
		}
	}
	stats.set("x")
	checkLive(t, collect(t, c), "a", "x: 1\n")
}

// growing are counters that change.
type growing struct {
	mu    sync.Mutex
	names counting
}

func (g *growing) set(names ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names = names
}

func (g *growing) Snapshot(s *format.Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names.Snapshot(s)
}

func (g *growing) Final() *format.Snapshot { return &format.Snapshot{} }

// Where the retained file is full, Close says that its final stays, and what brings
// no new name is folded all the same.
func TestCloseBesideAFullRetainedFile(t *testing.T) {
	noLeaks(t)
	defer func() { unconfigured = Limits{} }()
	dir := memoryDir(t)
	noErr(t, Retain(dir, said(0, "", "a", "b").Snapshot))
	unconfigured = Limits{MaxRetainedStats: 2}
	closing := func(names ...string) error {
		return publish(t, PublisherOptions{Dir: dir}, counting(names)).Close()
	}
	noErr(t, closing("a", "b"))
	checkEntries(t, dir, kept()...)
	pathErr := new(fs.PathError)
	if err := closing("a", "new"); !errors.Is(err, ErrFull) || !errors.As(err, &pathErr) || !strings.Contains(err.Error(), "more than 2 stats") {
		t.Errorf("Close: %v", err)
	}
	noErr(t, closing("b")) // though another's stays
	if n := len(entries(t, dir)); n != 3 {
		t.Errorf("in the directory are %q", entries(t, dir))
	}
	is := func(limits Limits, want ...LimitHit) {
		t.Helper()
		collection := collect(t, newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits}))
		checkTotal(t, dir, "a: 3, b: 3, new: 1")
		if !slices.Equal(collection.Hits, want) {
			t.Errorf("%+v: hit are %v, want %v", limits, collection.Hits, want)
		}
	}
	size := len(must(os.ReadFile(filepath.Join(dir, kept()[0]))))
	is(Limits{MaxRetainedStats: 2}, LimitHit{LimitRetainedStats, os.Geteuid(), 2, 1})
	is(Limits{MaxRetainedBytes: size + 1}, LimitHit{LimitRetainedBytes, os.Geteuid(), size + 1, 1})
	is(Limits{})
	unconfigured = Limits{}
	noErr(t, closing("c"))
	checkTotal(t, dir, "a: 3, b: 3, c: 1, new: 1")
	checkEntries(t, dir, kept()...)
}

// What a killed process had counted stays with the Collector that has read it, which says
// why, until there is room.
func TestKilledBesideAFullRetainedFile(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	noErr(t, Retain(dir, said(0, "", "a", "b").Snapshot))
	h := startTally(t, 3, dir, "web")
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, Limits: Limits{MaxRetainedStats: 2}})
	checkCount(t, tidied(t, c), 3)
	h.kill()
	for range 3 {
		collection := tidied(t, c)
		checkCount(t, collection, 3)
		if s := find(t, collection, "web"); s.State != Stale {
			t.Errorf("web is %s", s.State)
		}
		if want := []LimitHit{{LimitRetainedStats, os.Geteuid(), 2, 1}}; !slices.Equal(collection.Hits, want) {
			t.Errorf("hit are %v, want %v", collection.Hits, want)
		}
	}
	c.Change(CollectorOptions{Deadline: patience})
	checkCount(t, tidied(t, c), 3)
	checkEntries(t, dir, kept()...)
}

// A final that nobody would read is not put there. Who has read the publisher before
// keeps what it has.
func TestCloseOfMoreThanAnybodyReads(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	stats := &growing{}
	stats.set(numberedNames("x", 100)...)
	p := publish(t, PublisherOptions{Dir: dir, Name: "a"}, final{stats, numberedNames("x", DefaultMaxStats+1)})
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true})
	if n := len(tidied(t, c).Total().Stats); n != 100 {
		t.Errorf("it has %d stats", n)
	}
	if err := p.Close(); !errors.Is(err, errTooMuch) {
		t.Errorf("Close: %v", err)
	}
	for range 2 {
		if n := len(tidied(t, c).Total().Stats); n != 100 {
			t.Errorf("it had %d stats", n)
		}
	}
	checkEntries(t, dir, kept()...)
}

type final struct {
	Stats
	names counting
}

func (f final) Final() *format.Snapshot { return f.names.Final() }

// Lower limits than the default make nobody read less of what is kept.
func TestLoweredLimitsLoseNothingThatIsKept(t *testing.T) {
	dir := memoryDir(t)
	names := append(numberedNames("x", 20), strings.Repeat("long", 100))
	noErr(t, Retain(dir, said(0, "", names...).Snapshot))
	low := Limits{MaxBytes: 10, MaxStats: 1, MaxLine: 10, MaxRetainedBytes: 10, MaxRetainedStats: 1}
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Tidy: true, Limits: low})
	for range 2 {
		if n := len(tidied(t, c).Total().Stats); n != 21 {
			t.Errorf("of 21 stats %d are read", n)
		}
	}
	ctx := t.Context()
	if err := Update(ctx, dir, changesOf("incr new 1"), patience, low); !errors.Is(err, ErrFull) {
		t.Errorf("Update: %v", err)
	}
	// What is there may change, and go.
	noErr(t, Update(ctx, dir, changesOf("incr x000001 1"), patience, low))
	noErr(t, Update(ctx, dir, changesOf("delete x000002"), patience, low))
	noErr(t, Update(ctx, dir, changesOf("incr x000002 1"), patience, Limits{}))
	noErr(t, Update(ctx, dir, changesOf("incr new 1"), patience, Limits{}))
	if n := len(tidied(t, c).Total().Stats); n != 22 {
		t.Errorf("of 22 stats %d are read", n)
	}
}

// One that hangs takes a descriptor, and a collector that has none left is no use.
func TestSourcesAreBoundedByDescriptors(t *testing.T) {
	var before unix.Rlimit
	noErr(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	defer func() { noErr(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before)) }()
	noErr(t, limitDescriptors(1000))
	if n := (CollectorOptions{Limits: Limits{}.withDefaults()}).maxSources(); n != 750 {
		t.Errorf("of 1000 descriptors %d are for sources", n)
	}
	if n := (CollectorOptions{Limits: Limits{MaxSources: 7}.withDefaults()}).maxSources(); n != 7 {
		t.Errorf("%d sources where 7 are the most", n)
	}
}
