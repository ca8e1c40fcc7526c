package pipes

import (
	"bytes"
	"slices"
	"sync"

	"github.com/statvent/statvent/pkg/format"
)

// A memory bounds what all sources of a Collector take together, and shares it among
// users: a user may have three quarters of what others don't have. It counts what is
// kept of each source, and what is about to take its place as far as that is longer.
// Without it, whoever may make ten thousand pipes could have each of them send as much
// as a source may, and the process that reads them would end.
//
// It goes by the text that was sent, in bytes, and bytesOfLine more for each line: while
// the text comes that is known at once.
type memory struct {
	mu   sync.Mutex // guards the rest, and size and counted of each reading
	max  int
	all  int
	used map[int]int // by user
	gone []*reading  // that were given up: the kernel may hold them, and what they have got
}

// bytesOfLine is what a stat takes beside its name, more or less: some lines are less
// than a stat, and numbers are shorter in memory than as a text.
const bytesOfLine = 32

func sizeOf(text []byte) int { return len(text) + bytesOfLine*bytes.Count(text, []byte{'\n'}) }

// recount begins a collection with what the sources, and readings that were given up, have
// by now. All else that was counted is gone.
func (m *memory) recount(sources map[string]*source, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max, m.all, m.used = most, 0, make(map[int]int)
	for _, s := range sources {
		m.take(s.owner, s.held())
	}
	m.gone = slices.DeleteFunc(m.gone, (*reading).finished)
	for _, r := range m.gone {
		m.take(r.owner, r.counted)
	}
}

// giveUp goes on counting a reading that is no source's any more, until it ends.
func (m *memory) giveUp(r *reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = append(m.gone, r)
}

func (m *memory) take(uid, n int) {
	m.all += n
	m.used[uid] += n
}

// hasRoom tells whether a user may have so much more.
func (m *memory) hasRoom(uid, more int) bool {
	mine := m.used[uid]
	return mine+more <= Share(m.max-(m.all-mine))
}

// begin has a reading count for what the source has already: it takes the place of that.
func (m *memory) begin(r *reading, s *source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.memory, r.counted = m, s.held()
	r.mayBe = r.counted + r.counted/8
}

// add counts a piece of text that a reading has got, unless there is no room for it. Of
// who is there already an eighth more needs none: as counters grow they become longer, and
// a neighbour who takes what is left must not stop them. It isn't counted either, or an
// eighth more of that would be the next.
func (m *memory) add(r *reading, text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.size += sizeOf(text)
	more := r.size - r.counted
	if more <= 0 {
		return nil
	}
	if !m.hasRoom(r.owner, more) {
		if r.size <= r.mayBe {
			return nil
		}
		return &LimitError{LimitHostBytes, m.max}
	}
	m.take(r.owner, more)
	r.counted = r.size
	return nil
}

// A countedParser is a parser of what a reading gets.
type countedParser struct {
	parser
	reading *reading
}

func (p countedParser) Write(text []byte) (int, error) {
	if err := p.reading.memory.add(p.reading, text); err != nil {
		return 0, err
	}
	return p.parser.Write(text)
}

// newParser returns the parser for what the reading gets from here on, in place of what
// it got before.
func (r *reading) newParser(like *format.Snapshot) parser {
	p := newParser(r.format, r.limits, like)
	if r.memory == nil {
		return p
	}
	r.memory.mu.Lock()
	r.size = 0
	r.memory.mu.Unlock()
	return countedParser{p, r}
}
