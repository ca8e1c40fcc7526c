//go:build linux

package pipes

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// newSaver returns a Collector that tidies up and saves what it saw.
func newSaver(t *testing.T, dir, stateDir string) *Collector {
	t.Helper()
	return newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true, StateDir: stateDir})
}

func TestProcessThatIsKilledBetweenTwoCollectorsIsFolded(t *testing.T) {
	dir, stateDir := t.TempDir(), filepath.Join(t.TempDir(), "a", "b")
	h := startTally(t, 3, dir, "web")
	before := newSaver(t, dir, stateDir)
	checkCount(t, collect(t, before), 3)
	before.Close()
	h.kill()
	after := newSaver(t, dir, stateDir)
	collection := tidied(t, after)
	checkTally(t, collection, "web", Stale, false)
	checkCount(t, collection, 3)
	checkEntries(t, dir, kept()...)
	for range 2 {
		checkCount(t, tidied(t, after), 3)
	}
	after.Close()
	checkCount(t, tidied(t, newSaver(t, dir, stateDir)), 3)
	list := must(os.ReadDir(stateDir))
	if len(list) != 1 {
		t.Errorf("in the state directory are %q", list)
	}
	if info := stat(t, filepath.Join(stateDir, list[0].Name())); info.mode != 0o600 {
		t.Errorf("the state is %+v", info)
	}
}

// What a Collector saw of one that doesn't answer the next is what lasts.
func TestProcessThatIsStoppedBetweenTwoCollectorsStays(t *testing.T) {
	dir, stateDir := t.TempDir(), t.TempDir()
	h := startTally(t, 3, dir, "web")
	before := newSaver(t, dir, stateDir)
	checkCount(t, collect(t, before), 3)
	before.Close()
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	for range 2 { // the second has it from the first, which has never read it
		after := newSaver(t, dir, stateDir)
		for range 2 {
			checkTally(t, tidied(t, after), "web", Unresponsive, false)
		}
		after.Close()
	}
	h.signal(t, syscall.SIGCONT)
	c := newSaver(t, dir, stateDir)
	eventually(t, "it is back", func() bool { return find(t, collect(t, c), "web").State == Live })
	checkTally(t, collect(t, c), "web", Live, true)
}

func TestStateIsSavedWhileACollectorRuns(t *testing.T) {
	dir, stateDir := t.TempDir(), t.TempDir()
	h := startTally(t, 3, dir, "web")
	killed := newSaver(t, dir, stateDir) // it never gets to its end, as far as the next can tell
	checkCount(t, tidied(t, killed), 3)
	h.add(t, 1)
	checkCount(t, tidied(t, killed), 4) // less than saveEvery later
	killed.mu.Lock()
	killed.savedAt = time.Now().Add(-saveEvery)
	killed.mu.Unlock()
	h.add(t, 1)
	checkCount(t, tidied(t, killed), 5)
	h.kill()
	checkCount(t, tidied(t, newSaver(t, dir, stateDir)), 5)
}

// Of several Collectors with one state the one that saw the most counts.
func TestLaterStateWins(t *testing.T) {
	dir, stateDir := t.TempDir(), t.TempDir()
	h := startTally(t, 3, dir, "web")
	early, late := newSaver(t, dir, stateDir), newSaver(t, dir, stateDir)
	checkCount(t, tidied(t, early), 3)
	h.add(t, 4)
	checkCount(t, tidied(t, late), 7)
	late.Close()
	early.Close()
	h.kill()
	checkCount(t, tidied(t, newSaver(t, dir, stateDir)), 7)
}

func TestDamagedStateCostsOnlyWhatIsDamaged(t *testing.T) {
	one := document(&format.Document{ID: someID, Snapshot: tallied(3).Lasting()})
	two := document(&format.Document{ID: otherID, Snapshot: tallied(4).Lasting()})
	check := func(text string, damaged bool, want ...string) {
		t.Helper()
		f := newStateFile(t.TempDir(), "/x")
		path := writeFile(t, f.path, text)
		saved, err := f.load()
		if (err != nil) != damaged || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
		for _, id := range want {
			if saved[id].snapshot == nil || saved[id].at.IsZero() {
				t.Errorf("%.20q: %s is missing", text, id)
			}
		}
		if len(saved) != len(want) {
			t.Errorf("%.20q: %d are saved, want %d", text, len(saved), len(want))
		}
	}
	check("", false)
	check(one, false, someID)
	check(one+two, false, someID, otherID)
	check("garbage\n", true)
	check("\x00\xff", true)
	check(one[:len(one)-1], true)
	check(one+two[:len(two)/2], true, someID)
	check(one[:strings.Index(one, "\n")+1]+two, true, otherID)
	check(strings.Replace(one, "statvent: 1", "statvent: 2", 1)+two, true, otherID)

	// It is told, and the next one is whole.
	dir, stateDir := t.TempDir(), t.TempDir()
	state := newStateFile(stateDir, dir).path
	writeFile(t, state, "garbage\n")
	h := startTally(t, 3, dir, "web")
	c := newSaver(t, dir, stateDir)
	collection := collect(t, c)
	checkCount(t, collection, 3)
	if len(collection.Troubles) != 1 || !strings.Contains(collection.Troubles[0].Error(), state) {
		t.Errorf("the troubles are %v", collection.Troubles)
	}
	c.tidying.Wait()
	if collection := collect(t, c); len(collection.Troubles) != 0 {
		t.Errorf("the troubles are %v", collection.Troubles)
	}
	c.Close()
	h.kill()
	checkCount(t, tidied(t, newSaver(t, dir, stateDir)), 3)
}

func TestStateThatCannotBeSavedIsATrouble(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	stateDir := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	publish(t, PublisherOptions{Dir: dir}, &tally{n: 3})
	c := newSaver(t, dir, stateDir)
	for range 2 {
		collection := tidied(t, c)
		checkCount(t, collection, 3)
		if len(collection.Troubles) != 1 || !strings.Contains(collection.Troubles[0].Error(), stateDir) {
			t.Errorf("the troubles are %v", collection.Troubles)
		}
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), stateDir) {
		t.Errorf("Close: %v", err)
	}
}

func TestDirectoriesHaveStatesOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for _, dir := range []string{"/a/b", "/a%2Fb", "/a_b", "a/b", "/", "/größe"} {
		path := newStateFile("/state", dir).path
		if seen[path] || filepath.Dir(path) != "/state" {
			t.Errorf("the state of %s is %s", dir, path)
		}
		seen[path] = true
	}
}

func TestCollectorThatHasCollectedNothingSavesNothing(t *testing.T) {
	noLeaks(t)
	stateDir := t.TempDir()
	NewCollector(CollectorOptions{Dir: filepath.Join(stateDir, "nothing"), Tidy: true, StateDir: stateDir}).Close()
	checkEntries(t, stateDir)
}

// someCounters returns a snapshot of counters that are written as "a1 b20".
func someCounters(text string) *format.Snapshot {
	s := new(format.Snapshot)
	for word := range strings.FieldsSeq(text) {
		value, _ := format.ParseValue(word[1:])
		s.Stats = append(s.Stats, format.Stat{Name: word[:1], Kind: format.Counter, Value: value})
	}
	return s
}

// A counter that has become a gauge is missing from what is later.
func TestStoredStateIsTheLaterOne(t *testing.T) {
	check := func(saved, seen, want string) {
		t.Helper()
		f := newStateFile(t.TempDir(), "/x")
		noErr(t, f.store(map[string]*format.Snapshot{someID: someCounters(saved)}, nil))
		noErr(t, f.store(map[string]*format.Snapshot{someID: someCounters(seen)}, nil))
		if got, err := f.load(); err != nil || text(got[someID].snapshot) != text(someCounters(want)) {
			t.Errorf("%q after %q: got %q, %v, want %q", seen, saved, text(got[someID].snapshot), err, want)
		}
	}
	check("a1", "a2", "a2")
	check("a2", "a1", "a2")
	check("a2 b1", "a1", "a2 b1")
	check("a1", "a2 b1", "a2 b1")
	check("a1 b1", "b1000", "b1000")
	check("b1000", "a1 b1", "a1 b1") // nobody can tell: what was seen last, then
}

// Another Collector may have seen one that this one hasn't, which is kept for as
// long as it is there.
func TestStoredStateKeepsWhatOthersSaw(t *testing.T) {
	noLeaks(t)
	f := newStateFile(t.TempDir(), "/x")
	check := func(seen map[string]*format.Snapshot, want string) {
		t.Helper()
		noErr(t, f.store(seen, nil))
		saved, err := f.load()
		noErr(t, err)
		got := ""
		for _, id := range []string{someID, otherID} {
			if s, ok := saved[id]; ok {
				got += text(s.snapshot)
			}
		}
		if got != want {
			t.Errorf("with %v: got %q, want %q", seen, got, want)
		}
	}
	check(map[string]*format.Snapshot{someID: someCounters("a1")}, "a: 1\n")
	check(map[string]*format.Snapshot{someID: nil, otherID: someCounters("b2")}, "a: 1\nb: 2\n")
	check(map[string]*format.Snapshot{someID: nil, otherID: nil}, "a: 1\nb: 2\n")
	check(map[string]*format.Snapshot{otherID: nil}, "b: 2\n")
	check(nil, "")
}

// A Collector gives it the ids of all that are there.
func TestCollectorKeepsTheStateOfOneThatItNeverSaw(t *testing.T) {
	dir, stateDir := t.TempDir(), t.TempDir()
	h := startTally(t, 3, dir, "web")
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	blind := newSaver(t, dir, stateDir)
	checkState(t, tidied(t, blind), "web", Unresponsive)
	h.signal(t, syscall.SIGCONT)
	other := newSaver(t, dir, stateDir)
	eventually(t, "it is back", func() bool { return find(t, tidied(t, other), "web").State == Live })
	other.Close()
	blind.Close()
	h.kill()
	checkCount(t, tidied(t, newSaver(t, dir, stateDir)), 3)
}

// Whoever has sources come, go, and come again without a word, has no more saved with each.
func TestSavedStateDoesNotGrow(t *testing.T) {
	noLeaks(t)
	f := newStateFile(t.TempDir(), "/x")
	const uid, many = 1000, 50
	id := func(i int) string { return savedID(uid, inOrder(i)) }
	text := func(i int) *format.Snapshot { return said(0, "", strconv.Itoa(i)+strings.Repeat("x", 1000)).Snapshot }
	size := sizeOf([]byte(document(&format.Document{Snapshot: text(10)})))
	f.limits.MaxHostBytes = (10*size*4 + 2) / 3
	other := savedID(2000, someID)
	noErr(t, f.store(map[string]*format.Snapshot{other: someCounters("a1")}, nil))
	for _, test := range []struct {
		what   string
		silent *format.Snapshot
	}{
		{"nothing", nil},
		{"less", &format.Snapshot{}},
	} {
		seen := map[string]*format.Snapshot{other: nil}
		var err error
		for i := range many {
			seen[id(i)] = text(i)
			err = f.store(seen, nil)
			seen[id(i)] = test.silent
		}
		if err == nil || !strings.Contains(err.Error(), "user 1000 isn't all saved again") {
			t.Errorf("%s: store: %v", test.what, err)
		}
		saved, err := f.load()
		noErr(t, err)
		n := 0
		for i := range many {
			if s := saved[id(i)].snapshot; s != nil && len(s.Stats) > 0 {
				n++
			}
		}
		if n < 5 || n > 11 || saved[other].snapshot == nil {
			t.Errorf("%s: of %d there are %d, and the other's is there: %t", test.what, many, n, saved[other].snapshot != nil)
		}
	}
}

// Of more than a state has room for, users with little have all of theirs in it, whatever
// makes others' so much.
func TestStateBeyondItsLimits(t *testing.T) {
	noLeaks(t)
	empty := func() *stateFile {
		f := newStateFile(t.TempDir(), "/x")
		f.limits = Limits{MaxBytes: 20_000, MaxStats: 200}
		return f
	}
	id := func(uid, n int) string { return savedID(uid, inOrder(n)) }
	few := map[string]*format.Snapshot{
		id(1000, 1): tallied(7).Lasting(),
		id(1000, 2): said(0, "", numberedNames("x", 40)...).Snapshot,
		id(3000, 1): tallied(8).Lasting(),
	}
	check := func(what string, n int, flood *format.Snapshot) {
		t.Helper()
		f, seen := empty(), maps.Clone(few)
		for i := range n {
			seen[id(2000, i)] = flood
		}
		places := map[int]*format.Snapshot{1000: someCounters("a50"), 2000: flood}
		err := f.store(seen, places)
		if err == nil || !strings.Contains(err.Error(), f.path) || !strings.Contains(err.Error(), "of user 2000 isn't all saved") {
			t.Errorf("%s: store: %v", what, err)
		}
		if again := f.store(seen, places); again == nil || again.Error() != err.Error() {
			t.Errorf("%s: store: %v, and then %v", what, err, again)
		}
		saved, err := f.load()
		if err != nil {
			t.Errorf("%s: load: %v", what, err)
		}
		for id, want := range few {
			if got := saved[id]; got.snapshot == nil || text(got.snapshot) != text(want) {
				t.Errorf("%s: %s is missing", what, id)
			}
		}
		if places := saved[savedID(1000, placesID)]; places.snapshot == nil {
			t.Errorf("%s: the places of user 1000 are missing", what)
		}
		if len(saved) <= len(few)+1 || len(saved) > len(seen) {
			t.Errorf("%s: %d documents are saved of %d", what, len(saved), len(seen)+2)
		}
	}
	check("many stats", 20, said(0, "", numberedNames("", 20)...).Snapshot)
	check("long names", 20, said(0, "", strings.Repeat("long", 700)).Snapshot)
	check("many recorders", 400, &format.Snapshot{})

	// Where that isn't the only one, it says so.
	both := maps.Clone(few)
	for i := range 10 {
		both[id(2000, i)] = said(0, "", numberedNames("", 20)...).Snapshot
		both[id(4000, i)] = said(0, "", numberedNames("", 30)...).Snapshot
	}
	if err := empty().store(both, nil); err == nil || !strings.Contains(err.Error(), "of user 4000 and of others isn't") {
		t.Errorf("store: %v", err)
	}

	// However much there is of whom: what is written can be read.
	f := empty()
	r := rand.New(rand.NewPCG(1, 1))
	for range scaled(200) {
		seen := make(map[string]*format.Snapshot)
		for i := range r.IntN(30) {
			seen[id(r.IntN(4), i)] = said(0, "", numberedNames(strings.Repeat("x", r.IntN(300)), r.IntN(30))...).Snapshot
		}
		all := f.store(seen, nil) == nil
		saved, err := f.load()
		if err != nil || all != (len(saved) == len(seen)) {
			t.Fatalf("of %d documents %d are saved, all: %v; %v", len(seen), len(saved), all, err)
		}
	}
}

// A state that is too large is read as far as it may be, and no further.
func TestStateThatIsTooLargeIsReadInPart(t *testing.T) {
	f := newStateFile(t.TempDir(), "/x")
	one := document(&format.Document{ID: someID, Snapshot: tallied(3).Lasting()})
	two := document(&format.Document{ID: otherID, Snapshot: said(0, "", numberedNames("x", 20)...).Snapshot})
	writeFile(t, f.path, one+two)
	check := func(limits Limits, want string) {
		t.Helper()
		f.limits = limits
		saved, err := f.load()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), f.path) {
			t.Errorf("load: %v, want %s", err, want)
		}
		if _, ok := saved[someID]; !ok || len(saved) != 1 {
			t.Errorf("%s: saved are %v", want, saved)
		}
	}
	check(Limits{MaxBytes: 10_000, MaxStats: 20}, "room for, 20 stats and 10000, and")
	check(Limits{MaxBytes: len(one) + 100, MaxStats: 100}, "room for, 100 stats and "+strconv.Itoa(len(one)+100))
}

func TestWhatIsNotAllSavedIsATrouble(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	for i := range 3 {
		publish(t, PublisherOptions{Dir: dir}, counting(numberedNames(strconv.Itoa(i), 30)))
	}
	c := newSaver(t, dir, t.TempDir())
	c.state.limits = Limits{MaxBytes: 10_000, MaxStats: 70}
	want := fmt.Sprintf("of user %d isn't all saved", os.Geteuid())
	tidied(t, c)
	if troubles := tidied(t, c).Troubles; len(troubles) != 1 || !strings.Contains(troubles[0].Error(), want) {
		t.Errorf("the troubles are %v", troubles)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Close: %v", err)
	}
	if saved, err := c.state.load(); err != nil || len(saved) != 2 {
		t.Errorf("%d are saved: %v", len(saved), err)
	}
}

// Whoever asks while the state is being written is answered, and what they were told is
// saved when the Collector is closed.
func TestNobodyWaitsForTheStateToBeSaved(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	stats := &tally{n: 3}
	publish(t, PublisherOptions{Dir: dir}, stats)
	c := newSaver(t, dir, t.TempDir())
	mkfifo(t, c.state.path) // who reads that waits until somebody writes
	checkCount(t, collect(t, c), 3)
	eventually(t, "it saves", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.savedAt.IsZero()
	})
	write := func() { must(os.OpenFile(c.state.path, os.O_WRONLY, 0)).Close() }
	stats.add(4)
	within(t, "the collection", func() { checkCount(t, collect(t, c), 7) }, write)
	closed := make(chan error)
	go func() { closed <- c.Close() }()
	select {
	case err := <-closed:
		t.Errorf("Close returned %v while it saves", err)
	case <-time.After(shortDeadline):
	}
	write()
	within(t, "Close", func() { noErr(t, <-closed) }, func() {})
	for range 2 {
		saved, err := c.state.load()
		if len(saved) != 1 {
			t.Errorf("%d are saved: %v", len(saved), err)
		}
		for _, last := range saved {
			if got := text(last.snapshot); got != text(tallied(7).Lasting()) {
				t.Errorf("saved is %q", got)
			}
		}
		noErr(t, c.Close()) // once more
	}
}

// Who is killed while it saves leaves a temporary file.
func TestSavingRemovesWhatTheKilledHaveLeft(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	f := newStateFile(dir, "/x")
	leave := func(name string, age time.Duration) {
		t.Helper()
		path, at := writeFile(t, filepath.Join(dir, name), "statvent: 1\n"), time.Now().Add(-age)
		noErr(t, os.Chtimes(path, at, at))
	}
	leave(savedTmpPrefix+"1", 2*litterAge)
	leave(savedTmpPrefix+"2", 0) // of one that saves just now
	leave(".tmp-3", 2*litterAge) // somebody else's
	noErr(t, os.Mkdir(filepath.Join(dir, savedTmpPrefix+"4"), 0o700))
	noErr(t, os.Chtimes(filepath.Join(dir, savedTmpPrefix+"4"), time.Unix(0, 0), time.Unix(0, 0)))
	noErr(t, f.store(map[string]*format.Snapshot{someID: someCounters("a1")}, nil))
	checkEntries(t, dir, filepath.Base(f.path), savedTmpPrefix+"2", ".tmp-3", savedTmpPrefix+"4")
}

func TestStateFailsWithTheSameTextEachTime(t *testing.T) {
	noLeaks(t)
	f := newStateFile(t.TempDir(), "/x")
	noErr(t, os.Mkdir(f.path, 0o700))
	first := f.store(nil, nil)
	if first == nil || !strings.Contains(first.Error(), f.path) {
		t.Fatalf("store: %v", first)
	}
	if second := f.store(nil, nil); second == nil || second.Error() != first.Error() {
		t.Errorf("store: %v, and then %v", first, second)
	}
	checkEntries(t, filepath.Dir(f.path), filepath.Base(f.path))
}
