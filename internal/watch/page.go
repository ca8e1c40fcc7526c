package watch

import (
	"slices"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// A PageKind says what the rows of a page are.
type PageKind int

// The kinds of pages.
const (
	Stats       PageKind = iota // the stats of all sources together
	Sources                     // who publishes
	StatSources                 // what each source says of one stat
	SourceStats                 // the stats of one source
)

// A Column is what rows can be sorted by.
type Column int

// The columns of the pages.
const (
	ByName Column = iota
	ByValue
	ByRate // or what has grown, where totals are shown
	ByAverage
	ByPID
	ByUser
	ByAge
	ByStats
	ByState
	ByCommand
)

var (
	statColumns   = []Column{ByName, ByValue, ByRate, ByAverage}
	sourceColumns = []Column{ByName, ByPID, ByUser, ByAge, ByStats, ByState, ByCommand}
)

// A Page is one list of rows, as somebody has arranged it.
type Page struct {
	Kind    PageKind
	Title   string // of what it is, where it isn't of all
	Filter  string
	Sort    Column
	Reverse bool // the largest, or the last name, first
	List    []*Row
	Pinned  int // rows at the head of List
	Top     int // rows scrolled past, below the pinned ones

	table    table
	items    []item
	stat     string // of StatSources
	source   string // of SourceStats: which it is
	cursor   *Row   // nil: the first, whichever that is
	at       int    // index of the cursor in List
	outdated bool   // List may lack rows, or have some too many
	unsorted bool   // by what the rows are by now, as somebody wants it at once
	sorted   time.Time
	names    int // the width of the names in List; 0 if it isn't known
}

// Columns returns those that the page has.
func (p *Page) Columns() []Column {
	if p.Kind == Sources {
		return sourceColumns
	}
	return statColumns
}

// Trace appends the trend of a row over the last n snapshots, the oldest first,
// NaN where there is none: of what counts, its growth a second, unless totals are
// wanted; of all else the value.
func (p *Page) Trace(to []float64, r *Row, n int, totals bool) []float64 {
	if r.Kind == format.Counter && !totals {
		return p.table.rates(to, r, n)
	}
	return p.table.values(to, r, n)
}

// NameWidth returns how many columns the widest of the names takes that are listed, with
// what stands behind it.
func (p *Page) NameWidth(widthOf func(text string) int) int {
	if p.names == 0 {
		for _, row := range p.List {
			p.names = max(p.names, row.nameWidth(widthOf))
		}
	}
	return p.names
}

// describe completes the rows of items, which may be sorted by that.
func (p *Page) describe(items []item) {
	p.table.describe(items)
	p.outdated, p.unsorted = true, true
}

// Cursor returns the index of the row that keys act on, -1 if there is none.
func (p *Page) Cursor() int { return min(p.at, len(p.List)-1) }

// move puts the cursor at a row, as far as there is one.
func (p *Page) move(to int) {
	p.at = max(0, min(to, len(p.List)-1))
	if len(p.List) > 0 {
		p.cursor = p.List[p.at]
	}
}

// moveToTop puts the cursor at the first row, and at whichever is the first later.
func (p *Page) moveToTop() { p.cursor, p.at = nil, 0 }

// fixed returns how many of the pinned rows stay where they are on a screen of so many
// rows: all of them, as long as there is room to scroll the others.
func (p *Page) fixed(rows int) int { return min(p.Pinned, max(rows-3, rows/2)) }

// reveal scrolls no further than it must for the cursor to be among the rows on the
// screen.
func (p *Page) reveal(rows int) {
	at := max(0, p.Cursor()-p.fixed(rows))
	p.Top = min(p.Top, at)
	p.Top = max(p.Top, p.Cursor()-rows+1)
	p.Top = max(0, min(p.Top, len(p.List)-rows))
}

// OnScreen returns the rows that stand on a screen of so many: the pinned, and below
// them those that it is scrolled to.
func (p *Page) OnScreen(rows int) []*Row {
	fixed, end := p.fixed(rows), min(p.Top+rows, len(p.List))
	return slices.Concat(p.List[:fixed], p.List[min(p.Top+fixed, end):end])
}

// sortBy sorts by a column: numbers begin with the largest.
func (p *Page) sortBy(c Column) {
	p.Sort = c
	p.Reverse = c == ByValue || c == ByRate || c == ByAverage || c == ByStats || c == ByAge
	p.unsorted = true
}

// resortAfter keeps rows from jumping more often than can be read.
const resortAfter = 3 * time.Second

// isMoving tells whether the order changes with every snapshot.
func (p *Page) isMoving() bool { return p.Sort != ByName && p.Sort != ByPID && p.Sort != ByUser }

// update makes the List what it should be by now.
func (p *Page) update(now time.Time, view *View) {
	sort := p.unsorted || p.isMoving() && now.Sub(p.sorted) >= resortAfter
	if sort {
		p.sorted = now
	}
	if sort || p.outdated {
		p.arrange(sort, view)
	}
	p.outdated, p.unsorted = false, false
}

// arrange makes the List: the rows that match, the pinned first. Unless they are to be
// sorted, they stay in the order that they have, whatever they are by now, and only
// those that were not listed before find their place among them.
func (p *Page) arrange(sort bool, view *View) {
	words := strings.Fields(strings.ToLower(p.Filter))
	var pinned, rest []*Row
	rest = p.List[:0]
	p.names = 0
	for _, row := range p.table.rows {
		if !p.lists(row, words, view) {
			row.listed = false
			continue
		}
		if sort || !row.listed {
			row.order, row.listed = row.orderBy(p.Sort, view.Totals), true
		}
		if row.Pinned {
			pinned = append(pinned, row)
		} else {
			rest = append(rest, row)
		}
	}
	slices.SortFunc(pinned, p.compare)
	slices.SortFunc(rest, p.compare)
	p.Pinned = len(pinned)
	p.List = slices.Insert(rest, 0, pinned...)
	if p.cursor != nil {
		if at := slices.Index(p.List, p.cursor); at >= 0 {
			p.at = at
		} else {
			p.move(p.at) // to what stands there now
		}
	}
}

// lists tells whether a row is to be listed.
func (p *Page) lists(row *Row, words []string, view *View) bool {
	if view.HideZeros && row.isZero() && !row.Pinned {
		return false
	}
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(row.text(), word) })
}
