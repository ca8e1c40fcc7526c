package watch

import (
	"slices"
	"time"
	"unicode/utf8"
)

// A Key is a character, or one of those that have none.
type Key rune

// The keys that have no character.
const (
	Up Key = -1 - iota
	Down
	PageUp
	PageDown
	Home
	End
	Left
	Right
	Enter
	Escape
	Backspace
	Tab
)

// intervals are those that + and - go through.
var intervals = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Press does what a key says, and tells whether that is to end.
func (m *Model) Press(key Key) (quit bool) {
	defer m.settle()
	if m.Help {
		m.Help = false
		return key == 'q'
	}
	if m.Editing && m.edit(key) {
		return false
	}
	if m.moves(key) {
		return false
	}
	page := m.Page()
	switch key {
	case 'q', 'Q':
		return true
	case '?':
		m.Help = true
	case '/':
		m.Editing = true
	case Escape, Backspace:
		m.back()
	case Enter:
		m.enter()
	case Tab:
		m.switchPage()
	case '<', Left:
		m.sortNext(-1)
	case '>', Right, 's':
		m.sortNext(1)
	case 'r':
		page.Reverse = !page.Reverse
		page.dirty = true
	case 't':
		m.Totals = !m.Totals
		m.rearrange()
	case 'z':
		m.HideZeros = !m.HideZeros
		m.rearrange()
	case 'P', 'p', '*':
		if at := page.Cursor(); at >= 0 {
			page.List[at].Pinned = !page.List[at].Pinned
			page.cursor = page.List[at]
			page.dirty = true
		}
	case ' ':
		m.pause()
	case '.':
		m.Paused, m.step = true, true
	case '+', '=':
		m.changeInterval(1)
	case '-':
		m.changeInterval(-1)
	default:
		if n := int(key - '1'); n >= 0 && n < len(page.Columns()) {
			page.sortBy(page.Columns()[n])
		}
	}
	return false
}

// moves does what a key says that moves the cursor.
func (m *Model) moves(key Key) bool {
	page := m.Page()
	at := page.Cursor()
	switch key {
	case Up, 'k':
		at--
	case Down, 'j':
		at++
	case PageUp:
		at -= m.rows
	case PageDown:
		at += m.rows
	case Home, 'g':
		at = 0
	case End, 'G':
		at = len(page.List) - 1
	default:
		return false
	}
	page.move(at)
	if at <= 0 {
		page.cursor = nil // it stays the first, whichever that is
	}
	return true
}

// edit does what a key says while a filter is typed. Keys that move do so.
func (m *Model) edit(key Key) bool {
	page := m.Page()
	switch {
	case key == Enter || key == Tab:
		m.Editing = false
	case key == Escape:
		m.Editing = false
		page.Filter = ""
	case key == Backspace && page.Filter == "":
		m.Editing = false
	case key == Backspace:
		_, size := utf8.DecodeLastRuneInString(page.Filter)
		page.Filter = page.Filter[:len(page.Filter)-size]
	case key >= ' ':
		page.Filter += string(rune(key))
	default:
		return false
	}
	page.dirty = true
	return true
}

// back clears the filter, or else leaves the page for the one below.
func (m *Model) back() {
	page := m.Page()
	switch {
	case page.Filter != "":
		page.Filter = ""
		page.dirty = true
	case len(m.deeper) > 0:
		m.deeper = m.deeper[:len(m.deeper)-1]
		m.rearrange()
	case m.atSource:
		m.switchPage()
	}
}

// switchPage goes from the stats to the sources, or back.
func (m *Model) switchPage() {
	m.deeper = nil
	m.atSource = !m.atSource
	if m.atSource && m.latest != nil {
		m.take(m.sources, m.latest)
	}
	m.rearrange()
}

// rearrange has the page's list made anew, whatever has changed meanwhile.
func (m *Model) rearrange() { m.Page().dirty = true }

// sortNext sorts by the next column, or the one before.
func (m *Model) sortNext(by int) {
	page := m.Page()
	columns := page.Columns()
	at := slices.Index(columns, page.Sort)
	page.sortBy(columns[(at+by+len(columns))%len(columns)])
}

// pause stops time, or lets it go on: the trends have a gap then.
func (m *Model) pause() {
	m.Paused = !m.Paused
	if m.Paused {
		return
	}
	m.stats.table.gap()
	for _, page := range m.deeper {
		page.table.gap()
	}
}

// TakeStep tells, once, that a single snapshot is wanted.
func (m *Model) TakeStep() bool {
	step := m.step
	m.step = false
	return step
}

// changeInterval goes to the next longer interval, or the next shorter one.
func (m *Model) changeInterval(by int) {
	if by > 0 {
		if i := slices.IndexFunc(intervals, func(d time.Duration) bool { return d > m.Interval }); i >= 0 {
			m.Interval = intervals[i]
		}
		return
	}
	for _, d := range slices.Backward(intervals) {
		if d < m.Interval {
			m.Interval = d
			return
		}
	}
}
