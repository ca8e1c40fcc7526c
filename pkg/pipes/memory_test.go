//go:build linux

package pipes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// noRoom is the hit of a Collector that has no room for so many sources.
func noRoom(limits Limits, sources int) LimitHit {
	return LimitHit{LimitHostBytes, os.Geteuid(), limits.MaxHostBytes, sources}
}

// publishesOne publishes a stat and leaves nothing when it is closed.
func publishesOne(t *testing.T, dir, name string) *Publisher {
	t.Helper()
	return publish(t, PublisherOptions{Dir: dir, Name: name}, renderText("x: 1\n"))
}

// memoryFor is a limit with which one user may have so many of these sources.
func memoryFor(t *testing.T, sources int) Limits {
	t.Helper()
	dir := t.TempDir()
	p := publishesOne(t, dir, "a")
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	collect(t, c)
	size := c.sources[ours(p)[1]].last.size
	return Limits{MaxHostBytes: (sources*size*4 + 2) / 3}
}

func TestMemoryIsShared(t *testing.T) {
	m := &memory{}
	sources := make(map[string]*source)
	read := func(uid, n int) (r *reading, err error) {
		s := &source{owner: uid}
		r = &reading{owner: uid}
		s.reading = r
		sources[fmt.Sprint(len(sources))] = s
		m.begin(r, s)
		return r, m.add(r, bytes.Repeat([]byte("x"), n))
	}
	may := func(uid, n int) {
		t.Helper()
		if _, err := read(uid, n+1); err == nil {
			t.Errorf("user %d has room for more than %d", uid, n)
		}
		if _, err := read(uid, n); err != nil {
			t.Errorf("user %d has no room for %d: %v", uid, n, err)
		}
		if _, err := read(uid, 1); err == nil {
			t.Errorf("user %d has room for more than %d", uid, n)
		}
	}
	m.recount(sources, 1000)
	may(1, 750)
	may(2, 188) // three quarters of 250
	may(3, 47)
	// What was counted for nothing is gone with the next collection, and nothing else.
	for name, s := range sources {
		if s.owner == 2 {
			delete(sources, name)
		}
	}
	m.recount(sources, 1000)
	may(1, 0)
	may(2, 153) // three quarters of what 1 and 3 leave
}

// Who has room keeps it, and who needs more than there is goes on with what it sent last.
func TestMemoryOfAllSources(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	limits := memoryFor(t, 3)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits})
	var more atomic.Bool
	publish(t, PublisherOptions{Dir: dir, Name: "a"}, rendered(func(text []byte) []byte {
		text = append(text, "x: 1\n"...)
		if more.Load() {
			text = append(text, "y: 1\n"...)
		}
		return text
	}))
	b := publishesOne(t, dir, "b")
	publishesOne(t, dir, "c")
	has := func(names []string, hits ...LimitHit) *Collection {
		t.Helper()
		collection := collect(t, c)
		for _, name := range names {
			checkLive(t, collection, name, "x: 1\n")
		}
		if !slices.Equal(collection.Hits, hits) {
			t.Errorf("hit are %v, want %v", collection.Hits, hits)
		}
		return collection
	}
	has([]string{"a", "b", "c"})
	for _, name := range []string{"0", "d", "e"} {
		publishesOne(t, dir, name)
	}
	for range 5 {
		collection := has([]string{"a", "b", "c"}, noRoom(limits, 3))
		for _, name := range []string{"0", "d", "e"} {
			if s := find(t, collection, name); s.State != Failed || s.Snapshot != nil {
				t.Errorf("%s is %v and has values: %t", name, s.State, s.Snapshot != nil)
			}
		}
		words := fmt.Sprintf("sent more than there is room for: one user has %d at the most (max_host_bytes is %d)",
			Share(limits.MaxHostBytes), limits.MaxHostBytes)
		if err := find(t, collection, "d").Err; err.Error() != words {
			t.Errorf("the error is %q, want %q", err, words)
		}
	}

	more.Store(true)
	for range 3 {
		checkLast(t, has([]string{"b", "c"}, noRoom(limits, 4)), "a", Failed, "x: 1\n")
	}
	more.Store(false)
	has([]string{"a", "b", "c"}, noRoom(limits, 3))

	// There is room for one when one has gone.
	noErr(t, b.Close())
	has([]string{"a", "c"}, noRoom(limits, 2))

	limits = memoryFor(t, 5)
	c.Change(CollectorOptions{Deadline: patience, Limits: limits})
	has([]string{"0", "a", "c", "d", "e"})
}

// Numbers become longer as they grow: who is there goes on, also where there is no room,
// and doesn't come to have more of it that way.
func TestMemoryOfWhoGrowsALittle(t *testing.T) {
	t.Run("beside a neighbour", func(t *testing.T) {
		m := &memory{}
		of := func(uid, n int) *source { return &source{owner: uid, last: &lastSeen{size: n}} }
		ours, neighbours := of(1, 500), of(2, 0)
		sources := map[string]*source{"ours": ours, "neighbours": neighbours}
		answers := func(s *source, n int) error {
			r := &reading{owner: s.owner, answer: &format.Document{Snapshot: &format.Snapshot{}}}
			m.recount(sources, 1000)
			m.begin(r, s)
			err := m.add(r, bytes.Repeat([]byte("x"), n))
			if err == nil {
				s.answered(r)
			}
			return err
		}
		if err := answers(neighbours, 375); err != nil {
			t.Fatal(err) // three quarters of what we don't have
		}
		for n := 500; n <= 562; n++ { // and we would have no more than 468
			if err := answers(ours, n); err != nil {
				t.Errorf("there is no room for %d: %v", n, err)
			}
		}
		if err := answers(ours, 563); err == nil {
			t.Error("it grows beyond an eighth of what it had room for")
		}
		if m.recount(sources, 1000); m.of[1] != 500 {
			t.Errorf("it has %d of the memory", m.of[1])
		}
	})
	t.Run("beside one's own", func(t *testing.T) {
		noLeaks(t)
		dir := memoryDir(t)
		limits := memoryFor(t, 2)
		c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits})
		var n atomic.Int64
		n.Store(1)
		publish(t, PublisherOptions{Dir: dir, Name: "a"}, rendered(func(text []byte) []byte {
			return fmt.Appendf(text, "x: %d\n", n.Load())
		}))
		publishesOne(t, dir, "b")
		checkLive(t, collect(t, c), "a", "x: 1\n")
		publishesOne(t, dir, "c")
		for range 5 {
			n.Store(10 * n.Load())
			collection := collect(t, c)
			checkLive(t, collection, "a", fmt.Sprintf("x: %d\n", n.Load()))
			checkState(t, collection, "c", Failed)
		}
	})
}

// A reading that was given up keeps what it has for as long as the kernel holds it.
func TestMemoryOfReadingsThatWereGivenUp(t *testing.T) {
	m := &memory{}
	s := &source{owner: 1}
	sources := map[string]*source{"s": s}
	begin := func() *reading {
		r := &reading{owner: 1, stop: make(chan struct{}), done: make(chan struct{})}
		m.begin(r, s)
		s.reading = r
		return r
	}
	m.recount(sources, 1000)
	held := begin()
	noErr(t, m.add(held, make([]byte, 700)))
	s.beginAnew() // its pipe was replaced
	for range 2 {
		m.recount(sources, 1000)
		if err := m.add(begin(), make([]byte, 700)); err == nil {
			t.Error("there is room for the next one beside it")
		}
	}
	close(held.done)
	m.recount(sources, 1000)
	noErr(t, m.add(begin(), make([]byte, 700)))
}

// Who had room has it after a restart, whoever wants it.
func TestMemoryIsRestored(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	opts := CollectorOptions{Dir: dir, Deadline: patience, Limits: memoryFor(t, 5), Tidy: true, StateDir: t.TempDir()}
	publishers := func(prefix string, n int) {
		for i := range n {
			p := publish(t, PublisherOptions{Dir: dir, Name: prefix + strconv.Itoa(i)}, counting{"x"})
			t.Cleanup(func() { p.Close() })
		}
	}
	publishers("old", 5)
	c := newCollector(t, opts)
	check := func() {
		t.Helper()
		collection := collect(t, c)
		for i := range 5 {
			if s := find(t, collection, "old"+strconv.Itoa(i)); s.State != Live {
				t.Errorf("%s is %s: %v", s.Name, s.State, s.Err)
			}
		}
	}
	check()
	publishers("new", 20)
	for range 3 {
		check()
		noErr(t, c.Close())
		c = newCollector(t, opts)
	}
}

// What is under way takes room as well, for as long as it is.
func TestMemoryOfReadingsThatGoOn(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	limits := memoryFor(t, 3)
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Limits: limits})
	release := make(chan struct{})
	publishPlain(t, dir, "slow", func(w int, stopped <-chan struct{}) {
		_ = writeAll(w, []byte(strings.Repeat("x", limits.MaxHostBytes/2)))
		sayNothing(w, release, stopped)
	})
	checkState(t, collect(t, c), "slow", Unresponsive)
	publishesOne(t, dir, "a")
	publishesOne(t, dir, "b")
	for range 3 {
		if hits := collect(t, c).Hits; !slices.Equal(hits, []LimitHit{noRoom(limits, 1)}) {
			t.Errorf("hit are %v", hits)
		}
	}
	close(release)
	awaitReading(t, c, "slow")
}

// A final for which there is no room is folded, which takes none.
func TestFinalWithoutRoomIsFolded(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	limits := Limits{MaxHostBytes: 4 * len(finalOf(someID, 3))}
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience, Limits: limits, Tidy: true})
	writeFile(t, filepath.Join(dir, typedName("1", someID)), finalOf(someID, 3))
	first := tidied(t, c)
	checkState(t, first, "1", Failed)
	if hits := first.Hits; !slices.Equal(hits, []LimitHit{noRoom(limits, 1)}) {
		t.Errorf("hit are %v", hits)
	}
	next := tidied(t, c)
	checkEntries(t, dir, kept()...)
	if n, _ := next.Total().Lookup("n"); n != format.Int(3) || len(next.Hits) > 0 {
		t.Errorf("it counted %v, and hit are %v", n, next.Hits)
	}
}

// What is kept of a text takes at the most four times what is counted, whatever it is.
func TestMemoryOfASnapshotIsBounded(t *testing.T) {
	const size = 1 << 20
	lines := func(head, line string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, line, i)
		}
		return b.String()
	}
	typed := func(head, line string) string {
		text := lines("statvent: 1\n"+head, line)
		return text + fmt.Sprintf("end: %d\n", strings.Count(text, "\ncounter")+strings.Count(text, "\ndistribution"))
	}
	label := strings.Repeat("l", 12)
	for _, test := range []struct {
		what   string
		format textFormat
		text   string
	}{
		{"short names", plainText, lines("", "%x:1\n")},
		{"long names", plainText, lines("", "%x"+strings.Repeat("n", 1000)+": 1\n")},
		{"counters", typedText, typed("", "counter %x: 1\n")},
		{"samples", typedText, typed("distribution d: 1\n", "sample d: %d\n")},
		{"distributions", typedText, typed("", "distribution %x: 1\n")},
		{"labels", typedText, typed("", "distribution {0}%x{0}{0}{0}: 1\nlabel "+label+" {0}%[1]x{0}{0}{0}: 50\n")},
		{"lines that can't be read", plainText, strings.Repeat("\n", size)},
	} {
		t.Run(test.what, func(t *testing.T) {
			text := []byte(test.text)
			heap := func() int {
				runtime.GC()
				runtime.GC() // and what pools keep
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				return int(stats.HeapAlloc)
			}
			before := heap()
			const many = 4
			var docs []*format.Document
			for range many {
				p := newParser(test.format, Limits{MaxStats: size}.withDefaults(), nil)
				_, err := p.Write(text)
				noErr(t, err)
				doc, err := p.end()
				noErr(t, err)
				docs = append(docs, doc)
			}
			times := float64(heap()-before) / many / float64(sizeOf(text))
			t.Logf("%.2f times", times)
			if times > 4 {
				t.Errorf("it takes %.2f times what is counted", times)
			}
			runtime.KeepAlive(text)
			runtime.KeepAlive(docs)
		})
	}
}
