package watch

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/host"
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
	Top     int // index of the first row on the screen
	// NameWidth is how many characters the longest of the names has.
	NameWidth int

	table  table
	items  []item
	stat   string // of StatSources
	source string // of SourceStats: which it is
	cursor *Row   // nil: the first
	dirty  bool   // List is not what it should be
	sorted time.Time
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
func (p *Page) Trace(to []float32, r *Row, n int, totals bool) []float32 {
	if r.Kind == format.Counter && !totals {
		return p.table.trace(to, r.rates, n)
	}
	return p.table.trace(to, &r.values, n)
}

// Cursor returns the index of the row that keys act on, -1 if there is none.
func (p *Page) Cursor() int {
	if len(p.List) == 0 {
		return -1
	}
	return max(0, slices.Index(p.List, p.cursor))
}

// move puts the cursor at a row, as far as there is one.
func (p *Page) move(to int) {
	if len(p.List) > 0 {
		p.cursor = p.List[max(0, min(to, len(p.List)-1))]
	}
}

// reveal scrolls no further than it must for the cursor to be among the rows on the
// screen.
func (p *Page) reveal(rows int) {
	at := max(0, p.Cursor())
	p.Top = max(0, min(p.Top, at, len(p.List)-1))
	if at >= p.Top+rows {
		p.Top = at - rows + 1
	}
	p.Top = max(0, min(p.Top, len(p.List)-rows))
}

// sortBy sorts by a column: numbers begin with the largest.
func (p *Page) sortBy(c Column) {
	p.Sort = c
	p.Reverse = c == ByValue || c == ByRate || c == ByAverage || c == ByStats || c == ByAge
	p.dirty = true
}

// resortAfter keeps rows from jumping more often than can be read.
const resortAfter = 3 * time.Second

// isMoving tells whether the order changes with every snapshot.
func (p *Page) isMoving() bool { return p.Sort != ByName && p.Sort != ByPID && p.Sort != ByUser }

// arrange makes the List: the rows that match, the pinned first, sorted.
func (p *Page) arrange(now time.Time, view *View) {
	p.dirty = false
	p.sorted = now
	words := strings.Fields(strings.ToLower(p.Filter))
	var pinned, rest []*Row
	rest = p.List[:0]
	for _, row := range p.table.rows {
		matches := !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(row.text(), word) })
		switch {
		case !matches:
		case row.Pinned:
			pinned = append(pinned, row)
		case !view.HideZeros || !row.isZero():
			rest = append(rest, row)
		}
	}
	compare := comparison(p.Sort, p.Reverse, view.Totals)
	slices.SortFunc(pinned, compare)
	slices.SortFunc(rest, compare)
	p.Pinned = len(pinned)
	p.NameWidth = 0
	for _, row := range p.table.rows {
		p.NameWidth = max(p.NameWidth, row.nameWidth())
	}
	p.List = slices.Insert(rest, 0, pinned...)
	if p.cursor != nil && !slices.Contains(p.List, p.cursor) {
		p.cursor = nil
	}
}

// comparison returns how rows are compared by a column. What isn't a number comes
// last, either way.
func comparison(by Column, reverse, totals bool) func(a, b *Row) int {
	sign := 1
	if reverse {
		sign = -1
	}
	byName := func(a, b *Row) int {
		if a.Source != nil && b.Source != nil {
			return cmp.Or(compareNaturally(a.Name, b.Name), strings.Compare(a.key, b.key), cmp.Compare(rank(a.dist), rank(b.dist)))
		}
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(rank(a.dist), rank(b.dist)))
	}
	numbers := func(number func(*Row) float64) func(a, b *Row) int {
		return func(a, b *Row) int {
			x, y := number(a), number(b)
			if math.IsNaN(x) || math.IsNaN(y) {
				return cmp.Or(-cmp.Compare(rank(math.IsNaN(y)), rank(math.IsNaN(x))), byName(a, b))
			}
			return cmp.Or(sign*cmp.Compare(x, y), byName(a, b))
		}
	}
	texts := func(text func(*host.Source) string) func(a, b *Row) int {
		return func(a, b *Row) int {
			return cmp.Or(sign*strings.Compare(text(a.Source), text(b.Source)), byName(a, b))
		}
	}
	switch by {
	case ByValue:
		return numbers(func(r *Row) float64 { return r.number })
	case ByRate:
		if totals {
			return numbers(func(r *Row) float64 { return r.Grown })
		}
		return numbers(func(r *Row) float64 { return r.Rate })
	case ByAverage:
		return numbers(func(r *Row) float64 { return r.Average })
	case ByPID:
		return numbers(func(r *Row) float64 {
			if r.Source.PID == 0 {
				return math.NaN()
			}
			return float64(r.Source.PID)
		})
	case ByAge:
		return numbers(func(r *Row) float64 {
			if r.Source.Age == nil {
				return math.NaN()
			}
			return *r.Source.Age
		})
	case ByStats:
		return numbers(func(r *Row) float64 {
			if r.Source.ValuesAge == nil {
				return math.NaN()
			}
			return float64(r.Source.Stats)
		})
	case ByUser:
		return texts(func(s *host.Source) string { return s.User })
	case ByState:
		return texts(func(s *host.Source) string { return string(s.State) })
	case ByCommand:
		return texts(func(s *host.Source) string { return s.Command })
	default:
		return func(a, b *Row) int { return sign * byName(a, b) }
	}
}
