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
	mu sync.Mutex // guards the rest, and what each reading holds
	shares
	gone []*reading // that were given up: the kernel may hold them, and what they have got
}

// A holding is how much of the memory a reading has.
type holding struct {
	size    int // of what came
	counted int // of that
	mayBe   int // the size for which it needs no more
}

// kept is what is counted of an answer. See add for what isn't.
func (h holding) kept() int { return min(h.size, h.counted) }

// bytesOfLine is what a stat takes beside its name, more or less: some lines are less
// than a stat, and numbers are shorter in memory than as a text.
const bytesOfLine = 32

func sizeOf(text []byte) int { return len(text) + bytesOfLine*bytes.Count(text, []byte{'\n'}) }

// sizeOfDocument is that of a document which isn't there as a text.
func sizeOfDocument(d *format.Document) int { return sizeOf(format.AppendTyped(nil, d)) }

// recount begins a collection with what the sources, and readings that were given up, have
// by now. All else that was counted is gone.
func (m *memory) recount(sources map[string]*source, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shares = newShares(most)
	for _, s := range sources {
		m.take(s.owner, heldBy(s))
	}
	m.gone = slices.DeleteFunc(m.gone, (*reading).finished)
	for _, r := range m.gone {
		m.take(r.owner, r.holds.counted)
	}
}

// heldBy is how much of the memory a source has. The caller holds mu.
func heldBy(s *source) int {
	n := 0
	if s.last != nil {
		n = s.last.size
	}
	for _, r := range []*reading{s.late, s.reading} {
		if r != nil {
			n = max(n, r.holds.counted)
		}
	}
	return n
}

// giveUp goes on counting a reading that is no source's any more, until it ends.
func (m *memory) giveUp(r *reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = append(m.gone, r)
}

// begin has a reading count for what the source has already: it takes the place of that.
func (m *memory) begin(r *reading, s *source) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := heldBy(s)
	r.memory, r.holds = m, holding{counted: held, mayBe: held + held/8}
}

// add counts a piece of text that a reading has got, unless there is no room for it. Of
// who is there already an eighth more needs none: as counters grow they become longer, and
// a neighbour who takes what is left must not stop them. It isn't counted either, or an
// eighth more of that would be the next.
func (m *memory) add(r *reading, text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &r.holds
	h.size += sizeOf(text)
	switch more := h.size - h.counted; {
	case more <= 0:
		return nil
	case m.hasRoom(r.owner, more):
		m.take(r.owner, more)
		h.counted = h.size
		return nil
	case h.size <= h.mayBe:
		return nil
	default:
		return &LimitError{LimitHostBytes, m.max}
	}
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
	r.holds.size = 0
	r.memory.mu.Unlock()
	return countedParser{p, r}
}
