package screen

import (
	"slices"
	"strconv"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/pipes"
)

// drawSources draws rows of sources from a line on, in the columns that list has.
func (d *drawing) drawSources(rows []*watch.Row, y int) (columns []column, details []detail) {
	columns = d.layOutSources()
	current := d.page.List[d.page.Cursor()]
	for i, row := range rows {
		d.drawSource(columns, y+i, row, row == current)
		if row == current {
			details = d.detailsOfSource(columns, row)
		}
	}
	return columns, details
}

func (d *drawing) drawSource(columns []column, y int, row *watch.Row, current bool) {
	style := Style(0)
	if !row.Here {
		style = d.dim
	}
	if current {
		style |= Reverse
		d.fill(0, y, d.grid.Width, style)
	}
	if row.Pinned {
		d.put(0, y, 1, "*", style|Bold)
	}
	for _, c := range columns {
		text, cell := d.sourceText(row, c.by), style
		if c.by == watch.ByState && row.Here {
			cell = d.stateStyle(row.Source.State, style)
		}
		switch {
		case c.right:
			d.putRight(c.x, y, c.width, text, cell)
		case c.by == watch.ByName:
			d.put(c.x, y, c.width, d.cut(text, c.width), cell)
		default:
			d.put(c.x, y, c.width, d.cutEnd(text, c.width), cell)
		}
	}
}

// layOutSources returns the columns that there is room for, the most useful ones if not
// for all.
func (d *drawing) layOutSources() []column {
	const leastCommand, leastNote, usualState = 12, 20, 12
	gap := gap
	if d.grid.Width < 60 {
		gap = 1
	}
	names := max(len("SOURCE")+1, min(d.page.NameWidth(d.widthOf), d.grid.Width/3))
	room := d.grid.Width - 1 - names - gap
	columns := []column{
		{by: watch.ByName, width: names},
		{by: watch.ByState, width: min(usualState, room)},
	}
	room -= usualState
	for _, c := range []column{
		{by: watch.ByStats, width: 6, right: true},
		{by: watch.ByAge, width: 5, right: true},
		{by: watch.ByUser, width: 8},
		{by: watch.ByPID, width: 7, right: true},
		{by: watch.ByCommand, width: leastCommand},
		{by: note, width: leastNote},
	} {
		if room < gap+c.width {
			break
		}
		room -= gap + c.width
		columns = append(columns, c)
	}
	order := []watch.Column{watch.ByName, watch.ByPID, watch.ByUser, watch.ByAge, watch.ByStats, watch.ByState, watch.ByCommand, note}
	slices.SortFunc(columns, func(a, b column) int { return slices.Index(order, a.by) - slices.Index(order, b.by) })
	x := 1
	for i := range columns {
		c := &columns[i]
		switch { // what is left
		case i == len(columns)-1 && (c.by == note || c.by == watch.ByCommand):
			c.width += room
		case c.by == watch.ByCommand:
			more := max(0, min(room/2, d.widest(watch.ByCommand)-c.width))
			c.width += more
			room -= more
		}
		c.x = x
		x += c.width + gap
	}
	return columns
}

// widest returns how many columns the widest text of a column takes.
func (d *drawing) widest(by watch.Column) int {
	widest := 0
	for _, row := range d.page.List {
		widest = max(widest, d.widthOf(d.sourceText(row, by)))
	}
	return widest
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
		if !row.Here {
			return "gone"
		}
		return string(s.State)
	case watch.ByCommand:
		return output.Escape(s.Command)
	default:
		return output.Note(s)
	}
}

// detailsOfSource says of a source what the columns don't, or only in part.
func (d *drawing) detailsOfSource(columns []column, row *watch.Row) []detail {
	var details []detail
	for _, what := range []struct {
		by    watch.Column
		title string
		style Style
	}{
		{watch.ByName, "", d.bold},
		{watch.ByState, "", 0},
		{note, "", d.warning},
		{watch.ByPID, "pid ", 0},
		{watch.ByUser, "user ", 0},
		{watch.ByAge, "age ", 0},
		{watch.ByStats, "stats ", 0},
		{watch.ByCommand, "", 0},
	} {
		text := d.sourceText(row, what.by)
		isWhole := func(c column) bool { return c.by == what.by && d.widthOf(text) <= c.width }
		if text != "" && text != "-" && !slices.ContainsFunc(columns, isWhole) {
			details = append(details, detail{what.title + text, what.style, what.by != watch.ByPID})
		}
	}
	return details
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
