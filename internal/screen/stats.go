package screen

import (
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
)

// statLayout is where the columns of stats are; what has no room has no width.
type statLayout struct {
	name, value, rate, average, labels, trend column
}

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
