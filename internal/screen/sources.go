package screen

import (
	"strconv"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/pipes"
)

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
