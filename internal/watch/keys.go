package watch

import (
	"slices"
	"strings"
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
	CtrlU
	CtrlW
)

// intervals are those that + and - go through.
var intervals = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Press does what a key says, and tells whether that is to end. The list isn't made
// anew before it is looked at: many keys may come at once.
func (m *Model) Press(key Key) (quit bool) {
	switch {
	case m.Help:
		m.readHelp(key)
		return key == 'q' || key == 'Q'
	case m.Editing:
		m.edit(key)
		return false
	case m.moves(key):
		return false
	}
	page := m.page()
	switch key {
	case 'q', 'Q':
		return true
	case '?':
		m.Help, m.HelpPage = true, 0
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
		page.unsorted = true
	case 't':
		m.Totals = !m.Totals
		page.unsorted = true
	case 'z':
		m.HideZeros = !m.HideZeros
		page.outdated = true
	case 'P', 'p', '*':
		m.pin()
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

// readHelp goes on to the next page of the help. Behind the last it ends, and with Esc.
func (m *Model) readHelp(key Key) {
	m.HelpPage++
	m.Help = key != Escape && m.HelpPage < m.helpPages
}

// SetHelpPages says how many pages the help has on this screen.
func (m *Model) SetHelpPages(n int) {
	m.helpPages = n
	m.HelpPage = max(0, min(m.HelpPage, n-1))
}

// pin pins the row at the cursor, or no longer.
func (m *Model) pin() {
	page := m.Page()
	if at := page.Cursor(); at >= 0 {
		page.List[at].Pinned = !page.List[at].Pinned
		page.move(at)
		page.outdated = true
	}
}

// moves does what a key says that moves the cursor.
func (m *Model) moves(key Key) bool {
	const all = 1 << 30
	var rows, screens int
	switch key {
	case Up, 'k':
		rows = -1
	case Down, 'j':
		rows = 1
	case PageUp:
		screens = -1
	case PageDown:
		screens = 1
	case End, 'G':
		rows = all
	case Home, 'g':
		m.page().moveToTop()
		return true
	default:
		return false
	}
	page := m.Page()
	page.move(page.Cursor() + rows + screens*(m.rows-page.fixed(m.rows)))
	return true
}

// maxFilter bounds a filter, which may be pasted: each of its words is looked for in
// each name.
const maxFilter = 256

// edit does what a key says while a filter is typed. Keys that move do so.
func (m *Model) edit(key Key) {
	page := m.page()
	filter := page.Filter
	switch {
	case key == Enter || key == Tab:
		m.Editing = false
	case key == Escape:
		m.Editing = false
		filter = ""
	case key == Backspace && filter == "":
		m.Editing = false
	case key == Backspace:
		_, size := utf8.DecodeLastRuneInString(filter)
		filter = filter[:len(filter)-size]
	case key == CtrlU:
		filter = ""
	case key == CtrlW:
		filter = strings.TrimRight(filter, " ")
		filter = filter[:strings.LastIndexByte(filter, ' ')+1]
	case key >= ' ' && utf8.RuneCountInString(filter) < maxFilter:
		filter += string(rune(key))
	case key < 0:
		m.moves(key)
	}
	m.filter(filter)
}

// filter lists the rows that match. If that of the cursor doesn't, it goes to the first.
func (m *Model) filter(words string) {
	if page := m.page(); page.Filter != words {
		page.Filter = words
		page.outdated = true
		page.at = 0
	}
}

// back clears the filter, or else leaves the page for the one below.
func (m *Model) back() {
	switch {
	case m.page().Filter != "":
		m.filter("")
	case len(m.deeper) > 0:
		m.deeper = m.deeper[:len(m.deeper)-1]
		m.page().unsorted = true // what is shown of it may be other than before
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
	m.page().unsorted = true
}

// sortNext sorts by the next column, or the one before.
func (m *Model) sortNext(by int) {
	page := m.page()
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
