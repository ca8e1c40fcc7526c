// Package watch is what statvent watch shows, without a terminal: rows of stats and
// sources, how they move, and what each key does to them.
//
// The rules are those of the live page: a counter that falls was reset, which is
// said for a while and never shown as a negative rate; of a distribution the rate is
// that of its count, its value that of the 50th percentile or of its first label;
// what isn't a number, or is gone, is last in every order.
package watch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// An Update is what one collection says.
type Update struct {
	Time     time.Time
	Total    *format.Snapshot
	Sources  []pipes.Source
	Problems []string // what is missing from it, or odd
	Partial  bool     // something is missing
	Nobody   bool     // there is nobody, rather than somebody without stats
	Advice   []string // where there is nobody: what may be the reason

	PassedOver int // entries of the directory that are no sources
	LeftOut    int // sources of others than those who are wanted

	// EachSource says that the sources have their snapshots, as far as there are any.
	EachSource bool
	// Others says that others than before count: by how much the total has grown says
	// nothing.
	Others bool

	// Report describes the sources, in their order. It is called only for what is
	// on the screen. As long as it returns nil, they are described by what is known
	// without it; see Model.Describe.
	Report func() *host.Report
}

// View is what somebody has chosen to see, of every page.
type View struct {
	Totals    bool // what has grown, instead of how fast
	HideZeros bool
}

// A Model is what is shown. It is used by one goroutine.
type Model struct {
	View
	Interval time.Duration
	Paused   bool
	Help     bool
	HelpPage int    // that is shown, from 0
	Editing  bool   // the filter
	Failure  string // why the last collection failed; empty if it didn't
	Hint     string // what to do about that

	match    func(name string) bool
	matched  map[string]bool // what match said, by kind and name
	latest   *Update
	previous *Update
	report   *host.Report // of latest; nil if nobody has asked
	stats    *Page
	sources  *Page
	deeper   []*Page // what Enter has opened
	atSource bool    // sources is the lowest page, not stats
	rows     int     // that the screen has room for
	step     bool

	helpPages int // that the help has
}

// New returns a model of the stats whose names match, or of all if match is nil.
func New(match func(name string) bool, interval time.Duration) *Model {
	return &Model{
		match:    match,
		matched:  make(map[string]bool),
		Interval: interval,
		stats:    &Page{Kind: Stats},
		sources:  &Page{Kind: Sources},
		rows:     1,
	}
}

// Page returns the page that is shown, its list made as it should be by now.
func (m *Model) Page() *Page {
	page := m.page()
	page.update(m.Now(), &m.View)
	page.reveal(m.rows)
	return page
}

// page is Page, whose list may be that of before.
func (m *Model) page() *Page {
	switch {
	case len(m.deeper) > 0:
		return m.deeper[len(m.deeper)-1]
	case m.atSource:
		return m.sources
	default:
		return m.stats
	}
}

// Latest returns what was collected last, nil at first.
func (m *Model) Latest() *Update { return m.latest }

// Now is when that was.
func (m *Model) Now() time.Time {
	if m.latest == nil {
		return time.Time{}
	}
	return m.latest.Time
}

// rememberedSize is up to which size a collection is kept when there is another, so
// that what Enter opens has rates at once. Larger ones are let go: they have them a
// collection later.
const rememberedSize = 10_000

// Take takes in a collection.
func (m *Model) Take(u *Update) {
	m.Failure, m.Hint = "", ""
	m.previous = nil
	if m.latest != nil && m.latest.size() <= rememberedSize {
		m.previous = m.latest
	}
	m.latest, m.report = u, nil
	m.take(m.stats, u)
	for _, page := range m.deeper {
		m.take(page, u)
	}
	if m.atSource {
		m.take(m.sources, u)
	}
}

// Fail notes that a collection failed. What is shown is older from then on.
func (m *Model) Fail(err error) { m.Failure, m.Hint = err.Error(), output.HintOf(err) }

// SetRows says how many rows the screen has room for.
func (m *Model) SetRows(n int) { m.rows = max(1, n) }

// take takes in what a collection says about the rows of a page.
func (m *Model) take(p *Page, u *Update) {
	switch p.Kind {
	case Stats:
		match := m.matches
		if m.match == nil {
			match = nil
		}
		p.items = statItems(p.items, u.Total, match)
	case SourceStats:
		p.items = p.items[:0]
		for i := range u.Sources {
			if s := &u.Sources[i]; identity(s) == p.source && s.Snapshot != nil {
				p.items = statItems(p.items, format.Combine(s.Snapshot), nil)
			}
		}
	case StatSources:
		p.items = m.sharesOf(u, p.stat)
	case Sources:
		p.items = m.sourcesOf(u)
	}
	if p.Kind == Sources || p.Kind == StatSources {
		// A stat that nobody has may come back; a source that has ended never does.
		listed := make(map[string]bool, len(u.Sources))
		for i := range u.Sources {
			listed[identity(&u.Sources[i])] = true
		}
		p.table.keep(func(r *Row) bool { return listed[r.key] })
		p.outdated = true // also what a filter looks at may be other than before
	}
	others, zeros := p.table.take(p.items, u.Time, u.Others)
	p.outdated = p.outdated || others || zeros && m.HideZeros
}

// matches tells whether a stat is one of those that are wanted: by its own name, or
// by that of one of its labels.
func (m *Model) matches(stat *format.Stat) bool {
	key := stat.Name
	if stat.Kind == format.Distribution {
		key += "\n" // which no name has
	}
	matches, known := m.matched[key]
	if !known {
		matches = m.match(stat.Name)
		if stat.Kind == format.Distribution {
			matches = matches || m.match(strings.TrimSuffix(stat.Name, ".{0}"))
			for _, label := range stat.Dist.Labels {
				matches = matches || m.match(format.ExpandLabel(stat.Name, label.Name))
			}
		}
		if len(m.matched) > 1<<20 {
			clear(m.matched)
		}
		m.matched[key] = matches
	}
	return matches
}

// identity tells a source from all others.
func identity(s *pipes.Source) string { return string(s.Kind) + " " + s.Name + " " + s.ID }

// Report describes what was collected last, nil as long as nobody has.
func (m *Model) Report() *host.Report {
	if m.report == nil && m.latest != nil && m.latest.Report != nil {
		m.report = m.latest.Report()
	}
	return m.report
}

// Describe describes the sources on the page anew, as what was collected last has a
// report by now.
func (m *Model) Describe() {
	switch page := m.page(); page.Kind {
	case Sources:
		page.describe(m.sourcesOf(m.latest))
	case StatSources:
		page.describe(m.sharesOf(m.latest, page.stat))
	}
}

// about describes a source of an update.
func (m *Model) about(u *Update, i int) *host.Source {
	if u == m.latest {
		if report := m.Report(); report != nil && i < len(report.Sources) {
			return &report.Sources[i]
		}
	}
	s := &u.Sources[i]
	return &host.Source{Name: s.Name, Kind: s.Kind, PID: s.PID, State: s.State}
}

// sourcesOf returns the rows of an update's sources.
func (m *Model) sourcesOf(u *Update) []item {
	items := make([]item, 0, len(u.Sources))
	for i := range u.Sources {
		about := m.about(u, i)
		items = append(items, item{
			key:  identity(&u.Sources[i]),
			stat: &format.Stat{Value: format.Int(int64(about.Stats))},
			row: func(r *Row) {
				r.Name, r.Source, r.haystack = output.Escape(about.Name), about, ""
			},
		})
	}
	return ordered(items)
}

// sharesOf returns what each source says of a stat.
func (m *Model) sharesOf(u *Update, name string) []item {
	var items []item
	for i := range u.Sources {
		for _, stat := range statsNamed(u.Sources[i].Snapshot, name) {
			about := m.about(u, i)
			items = append(items, item{
				key:  identity(&u.Sources[i]),
				stat: &stat,
				row: func(r *Row) {
					r.Name, r.Note = output.Escape(about.Name), shareNote(about)
					r.Source, r.haystack = about, ""
				},
			})
		}
	}
	return ordered(items)
}

func ordered(items []item) []item {
	slices.SortStableFunc(items, func(a, b item) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return rank(a.isDistribution()) - rank(b.isDistribution())
	})
	return items
}

// shareNote says what a source runs, and how it fares if it doesn't answer.
func shareNote(s *host.Source) string {
	note := s.Command
	if s.State != pipes.Live && s.State != pipes.Retained {
		note = strings.TrimSpace(note + " (" + string(s.State) + ")")
	}
	return output.Escape(note)
}

// open shows a page on top of the others, with its rates if there are any yet.
func (m *Model) open(p *Page) {
	if m.previous != nil {
		m.take(p, m.previous)
	}
	if m.latest != nil {
		m.take(p, m.latest)
	}
	p.unsorted = true
}

// enter opens what the cursor is at.
func (m *Model) enter() {
	page := m.Page()
	at := page.Cursor()
	if at < 0 || m.latest == nil {
		return
	}
	page.move(at) // where it will be again
	row := page.List[at]
	var next *Page
	switch page.Kind {
	case Stats, SourceStats:
		next = &Page{Kind: StatSources, Title: row.Name, stat: row.key}
	default:
		title := row.Name
		if row.Source != nil && row.Source.Command != "" {
			title += " " + output.Escape(row.Source.Command)
		}
		next = &Page{Kind: SourceStats, Title: title, source: row.key}
	}
	m.deeper = append(m.deeper, next)
	m.open(next)
	m.step = m.step || !m.latest.EachSource // at once, rather than with the next interval
}

// WantsEachSource tells whether a collection should have the stats of each source.
func (m *Model) WantsEachSource() bool { return len(m.deeper) > 0 }

// Delay returns how long after the beginning of a collection the next one begins: the
// interval, or a second where the rates of what is shown wait for it.
func (m *Model) Delay() time.Duration {
	if page := m.page(); page.Kind != Sources && page.table.full == 1 && m.Failure == "" {
		return min(m.Interval, time.Second)
	}
	return m.Interval
}

// SourceCount returns how many sources there are in each state, in words: those that
// live always, the others if there are any.
func (m *Model) SourceCount() (text string, troubled bool) {
	if m.latest == nil {
		return "", false
	}
	counts := make(map[pipes.State]int)
	for i := range m.latest.Sources {
		counts[m.latest.Sources[i].State]++
	}
	n := len(m.latest.Sources)
	text = strconv.Itoa(n) + " sources: "
	if n == 1 {
		text = "1 source: "
	}
	text += strconv.Itoa(counts[pipes.Live]) + " live"
	for _, state := range pipes.States() {
		if n := counts[state]; n > 0 && state != pipes.Live {
			text += fmt.Sprintf(", %d %s", n, state)
		}
	}
	return text, counts[pipes.Unresponsive]+counts[pipes.Failed] > 0
}

// Count returns how many rows are listed, and of how many.
func (m *Model) Count() (listed, all int) {
	page := m.Page()
	return len(page.List), len(page.table.rows)
}
