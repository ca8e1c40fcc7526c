package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// Look is how things are shown, whatever they are.
type Look struct {
	Colors bool
	UTF8   bool
	Where  string // whose stats they are
	Empty  string // why there may be none
}

// styles are what there is beside text. Each means something that a word or a
// sign says as well, for who sees no colours.
type styles struct {
	title, head, dim, bold, rise, fall, reset, warning, trend Style
}

func newStyles(colors bool) styles {
	s := styles{
		title: Bold, head: Bold | Underline, dim: Dim, bold: Bold,
		reset: Bold, warning: Bold,
	}
	if colors {
		s.rise = Green
		s.fall = Yellow
		s.reset = Magenta | Bold
		s.warning = Red | Bold
		s.trend = Cyan
	}
	return s
}

// drawing is one frame in the making.
type drawing struct {
	painter
	styles
	look  *Look
	model *watch.Model
	page  *watch.Page
	now   time.Time
	trace []float64
}

// Draw makes a grid show the model.
func Draw(g *Grid, m *watch.Model, look *Look) {
	height := g.Height
	d := &drawing{
		painter: painter{g, look.UTF8},
		styles:  newStyles(look.Colors),
		look:    look,
		model:   m,
		now:     m.Now(),
	}
	const above, below = 2, 1 // the title and the columns' heads, the footer
	m.SetRows(height - above - below)
	d.page = m.Page()
	g.Clear()
	d.drawTitle()
	switch {
	case m.Help:
		d.drawHelp()
	case len(d.page.List) == 0:
		d.drawEmpty(above)
	default:
		rows := d.page.OnScreen(max(0, height-above-below))
		if d.page.Kind == watch.Sources {
			d.drawSources(rows)
		} else {
			d.drawStats(rows)
		}
	}
	d.drawFooter()
}

// drawTitle says what this is, and how it is looked at.
func (d *drawing) drawTitle() {
	m := d.model
	var left []string
	if m.Paused {
		left = append(left, "PAUSED")
	}
	switch d.page.Kind {
	case watch.Stats:
		left = append(left, d.look.Where)
	case watch.Sources:
		left = append(left, d.look.Where, "sources")
	case watch.StatSources:
		left = append(left, d.page.Title, "by source")
	case watch.SourceStats:
		left = append(left, "source "+d.page.Title)
	}
	if m.Totals {
		left = append(left, "totals")
	}
	if m.HideZeros {
		left = append(left, "no zeros")
	}
	if d.page.Filter != "" && !m.Editing {
		left = append(left, "filter: "+output.Escape(d.page.Filter))
	}
	var right []string
	if listed, all := m.Count(); listed != all {
		right = append(right, fmt.Sprintf("%d of %s", listed, d.count(all)))
	} else if m.Latest() != nil {
		right = append(right, d.count(all))
	}
	if m.Latest() != nil {
		right = append(right, m.Now().Format(time.TimeOnly))
	}
	right = append(right, "every "+watch.FormatInterval(m.Interval))
	rightText := strings.Join(right, "  ")
	rightWidth := d.widthOf(rightText)
	room := d.grid.Width
	if d.grid.Width-rightWidth >= 20 {
		d.put(d.grid.Width-rightWidth, 0, rightWidth, rightText, 0)
		room -= rightWidth + 2
	}
	d.put(0, 0, room, d.cut(strings.Join(left, "  "), room), d.title)
}

func (d *drawing) count(n int) string {
	what := "stats"
	if d.page.Kind == watch.Sources || d.page.Kind == watch.StatSources {
		what = "sources"
	}
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return strconv.Itoa(n) + " " + what
}

// drawEmpty says why there is nothing.
func (d *drawing) drawEmpty(y int) {
	text := d.look.Empty
	switch {
	case d.model.Latest() == nil && d.model.Failure == "":
		text = "reading..."
	case d.model.Latest() == nil:
		text = ""
	case d.page.Filter != "":
		text = "nothing matches the filter; Esc clears it"
	case d.model.HideZeros:
		text = "nothing but zeros; z shows them"
	case d.page.Kind == watch.SourceStats:
		text = "no stats; Esc goes back"
	case d.page.Kind == watch.StatSources:
		text = "no source has it now; Esc goes back"
	case len(d.model.Latest().Sources) > 0 && d.page.Kind == watch.Stats:
		text = "no stat matches"
	}
	d.put(0, y, d.grid.Width, text, d.dim)
}

// drawFooter says how the sources fare, or shows the filter while it is typed.
func (d *drawing) drawFooter() {
	y := d.grid.Height - 1
	if d.model.Editing {
		prompt := "/" + output.Escape(d.page.Filter)
		if over := d.widthOf(prompt) - d.grid.Width + 1; over > 0 {
			prompt = d.last(prompt, d.grid.Width-1)
		}
		x := d.put(0, y, d.grid.Width-1, prompt, d.bold)
		d.grid.CursorX, d.grid.CursorY = x, y
		return
	}
	room := d.grid.Width
	for _, hints := range []string{"? help  q quit", "? help"} {
		if len(hints) <= d.grid.Width/6 {
			d.put(d.grid.Width-len(hints), y, len(hints), hints, d.dim)
			room -= len(hints) + gap
			break
		}
	}
	text, troubled := d.model.SourceCount()
	style := Style(0)
	if troubled {
		style = d.warning
	}
	x := d.put(0, y, room, text, style)
	if problem := d.problem(); problem != "" {
		if x > 0 {
			x += gap
		}
		d.put(x, y, max(0, room-x), output.Escape(problem), d.warning)
	}
}

// problem returns the first thing that is wrong.
func (d *drawing) problem() string {
	switch latest := d.model.Latest(); {
	case d.model.Failure != "":
		return d.model.Failure
	case latest == nil || len(latest.Problems) == 0:
		return ""
	case len(latest.Problems) > 1:
		return fmt.Sprintf("%s, and %d more", latest.Problems[0], len(latest.Problems)-1)
	default:
		return latest.Problems[0]
	}
}

// A column of the screen.
type column struct {
	by    watch.Column
	title string
	x     int
	width int
	right bool
}

// drawHeads writes the columns' heads, with a sign at the one that sorts.
func (d *drawing) drawHeads(columns []column) {
	d.fill(0, 1, d.grid.Width, d.head)
	for _, c := range columns {
		text := c.title
		if c.by == d.page.Sort {
			sign := d.symbol("▲", "^")
			if d.page.Reverse {
				sign = d.symbol("▼", "v")
			}
			if c.right {
				text = sign + text
			} else {
				text += sign
			}
		}
		if c.right {
			d.putRight(c.x, 1, c.width, text, d.head)
		} else {
			d.put(c.x, 1, c.width, text, d.head)
		}
	}
}

const noColumn watch.Column = -1

// statLayout is where the columns of stats are; what has no room has no width.
type statLayout struct {
	name, value, rate, average, labels, trend column
}

const gap = 2 // between two columns

func (d *drawing) layOutStats(nameTitle string, names int) (l statLayout, columns []column) {
	wide := d.grid.Width >= 60
	size := func(narrow, wider int) int {
		if wide {
			return wider
		}
		return narrow
	}
	l.value = column{by: watch.ByValue, title: "VALUE", width: size(8, 12), right: true}
	room := d.grid.Width - 1 - gap - l.value.width
	if d.grid.Width >= 34 {
		l.rate = column{by: watch.ByRate, title: "PER SECOND", width: 11, right: true}
		if d.model.Totals {
			l.rate.title = "GROWN"
		}
		room -= gap + l.rate.width
	}
	if d.grid.Width >= 56 {
		l.average = column{by: watch.ByAverage, title: "AVERAGE", width: 11, right: true}
		room -= gap + l.average.width
	}
	if d.grid.Width >= 140 {
		l.labels = column{by: noColumn, title: "PERCENTILES", width: min(60, d.grid.Width/4)}
		room -= gap + l.labels.width
	}
	if d.grid.Width >= 68 {
		l.trend = column{by: noColumn, title: "TREND", width: min(16, room*2/5)}
		room -= gap + l.trend.width
	}
	l.name = column{by: watch.ByName, title: nameTitle, width: room}
	if l.trend.width > 0 {
		l.name.width = min(room, max(names, len(nameTitle)+1))
		l.trend.width = min(watch.Slots, l.trend.width+room-l.name.width)
	}
	x := 1
	for _, c := range []*column{&l.name, &l.value, &l.rate, &l.average, &l.labels, &l.trend} {
		if c.width > 0 {
			c.x = x
			x += c.width + gap
			columns = append(columns, *c)
		}
	}
	return l, columns
}

// drawStats draws rows of stats.
func (d *drawing) drawStats(rows []*watch.Row) {
	title := "NAME"
	if d.page.Kind == watch.StatSources {
		title = "SOURCE"
	}
	l, columns := d.layOutStats(title, d.page.NameWidth)
	d.drawHeads(columns)
	cursor := d.page.Cursor()
	for i, row := range rows {
		d.drawStat(&l, i+2, row, d.page.Top+i == cursor)
	}
}

func (d *drawing) drawStat(l *statLayout, y int, row *watch.Row, current bool) {
	style := func(s Style) Style {
		if current {
			return s | Reverse
		}
		return s
	}
	plain := style(0)
	if !row.Here {
		plain = style(d.dim)
	}
	if current {
		d.fill(0, y, d.grid.Width, plain)
	}
	if row.Pinned {
		d.put(0, y, 1, "*", style(d.bold))
	}
	isDistribution := row.Kind == format.Distribution
	x := d.put(l.name.x, y, l.name.width, d.cut(row.Name, l.name.width), plain)
	if label := row.MainLabel(); isDistribution && x+1+d.widthOf(label) <= l.name.width {
		x += 1 + d.put(l.name.x+x+1, y, l.name.width, label, style(d.dim))
	}
	if row.Note != "" && x+1 < l.name.width {
		d.put(l.name.x+x+1, y, l.name.width-x-1, row.Note, style(d.dim))
	}
	value := plain
	if row.Changed {
		value = style(d.bold)
	}
	d.putNumber(l.value, y, row.ValueText(), value)
	if l.rate.width > 0 {
		text := row.RateText(d.now)
		if d.model.Totals {
			text = row.GrownText(d.now)
		}
		d.putNumber(l.rate, y, text, style(d.rateStyle(row)))
	}
	// Where there is no column for them, percentiles stand in place of the trend.
	if isDistribution && l.labels.width == 0 && l.average.width > 0 {
		d.drawLabels(l.average.x, y, d.grid.Width-l.average.x, row, plain, true)
		return
	}
	if l.average.width > 0 {
		d.putNumber(l.average, y, row.AverageText(), plain)
	}
	if isDistribution && l.labels.width > 0 {
		d.drawLabels(l.labels.x, y, l.labels.width, row, plain, false)
	}
	if l.trend.width > 0 {
		d.trace = d.page.Trace(d.trace[:0], row, l.trend.width, d.model.Totals)
		signs := asciiLevels
		if d.utf8 {
			signs = levels
		}
		base := row.Kind == format.Counter && !d.model.Totals
		d.put(l.trend.x, y, l.trend.width, spark(d.trace, base, signs), style(d.trend))
	}
}

// putNumber writes a number into its column.
func (d *drawing) putNumber(c column, y int, text string, style Style) {
	d.putRight(c.x, y, c.width, watch.Shorten(text, c.width), style)
}

// rateStyle tells rising from falling, and a reset from both.
func (d *drawing) rateStyle(row *watch.Row) Style {
	rate := row.Rate
	if d.model.Totals {
		rate = row.Grown
	}
	switch {
	case !row.Here:
		return d.dim
	case row.IsReset(d.now):
		return d.reset
	case rate > 0:
		return d.rise
	case rate < 0:
		return d.fall
	default:
		return 0
	}
}

// drawLabels writes as many of a distribution's labels as fit.
func (d *drawing) drawLabels(x, y, columns int, row *watch.Row, style Style, others bool) {
	used := 0
	for i := range row.Labels {
		if others && output.Escape(row.Labels[i].Label) == row.MainLabel() {
			continue
		}
		text := row.LabelText(i)
		width := d.widthOf(text)
		if used > 0 {
			width += gap
		}
		if used+width > columns {
			return
		}
		d.putRight(x+used, y, width, text, style)
		used += width
	}
}

// drawSources draws rows of sources, in the columns that list has.
func (d *drawing) drawSources(rows []*watch.Row) {
	columns := d.layOutSources()
	d.drawHeads(columns)
	cursor := d.page.Cursor()
	for i, row := range rows {
		y := i + 2
		style := Style(0)
		if d.page.Top+i == cursor {
			style = Reverse
			d.fill(0, y, d.grid.Width, style)
		}
		if row.Pinned {
			d.put(0, y, 1, "*", style|Bold)
		}
		for _, c := range columns {
			text, cell := d.sourceText(row, c.by), style
			if c.by == watch.ByState {
				cell = d.stateStyle(row.Source.State, style)
			}
			if c.right {
				d.putRight(c.x, y, c.width, text, cell)
			} else {
				if c.by == watch.ByName {
					text = d.cut(text, c.width)
				}
				d.put(c.x, y, c.width, text, cell)
			}
		}
	}
}

func (d *drawing) layOutSources() []column {
	columns := []column{
		{by: watch.ByName, title: "SOURCE", width: max(5, d.grid.Width-15)},
		{by: watch.ByState, title: "STATE", width: 12},
	}
	if d.grid.Width >= 40 {
		columns = []column{
			{by: watch.ByName, title: "SOURCE", width: 14},
			{by: watch.ByAge, title: "AGE", width: 5, right: true},
			{by: watch.ByState, title: "STATE", width: 12},
		}
	}
	if d.grid.Width >= 70 {
		columns = []column{
			{by: watch.ByName, title: "SOURCE", width: max(14, min(d.page.NameWidth, d.grid.Width/3))},
			{by: watch.ByPID, title: "PID", width: 8, right: true},
			{by: watch.ByUser, title: "USER", width: 8},
			{by: watch.ByAge, title: "AGE", width: 5, right: true},
			{by: watch.ByStats, title: "STATS", width: 6, right: true},
			{by: watch.ByState, title: "STATE", width: 12},
			{by: watch.ByCommand, title: "COMMAND", width: d.grid.Width},
		}
	}
	x := 1
	for i := range columns {
		columns[i].x = x
		x += columns[i].width + gap
	}
	last := &columns[len(columns)-1]
	last.width = d.grid.Width - last.x
	return columns
}

func (d *drawing) sourceText(row *watch.Row, by watch.Column) string {
	s := row.Source
	switch by {
	case watch.ByName:
		return row.Name
	case watch.ByPID:
		if s.PID == 0 {
			return "-"
		}
		return strconv.Itoa(s.PID)
	case watch.ByUser:
		return output.Escape(s.User)
	case watch.ByAge:
		return watch.FormatAge(s.Age)
	case watch.ByStats:
		if s.ValuesAge == nil {
			return "-"
		}
		return strconv.Itoa(s.Stats)
	case watch.ByState:
		return string(s.State)
	default:
		if s.Error != "" {
			return output.Escape(s.Error)
		}
		return output.Escape(s.Command)
	}
}

// stateStyle has the colours of list.
func (d *drawing) stateStyle(state pipes.State, style Style) Style {
	if !d.look.Colors {
		return style
	}
	switch state {
	case pipes.Live:
		return style | Green
	case pipes.Unresponsive:
		return style | Yellow
	case pipes.Stale, pipes.Failed:
		return style | Red
	default:
		return style | Blue
	}
}
