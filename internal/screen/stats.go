package screen

import (
	"slices"
	"time"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
)

// statLayout is where the columns of stats are; what has no room has no width.
type statLayout struct {
	name, value, rate, average, labels, trend column
}

// layOutStats gives the names what they need, if need be three quarters of what the
// numbers leave; trends have the rest.
func (d *drawing) layOutStats() (l statLayout, columns []column) {
	width := d.grid.Width
	l.value = column{by: watch.ByValue, width: 12, right: true}
	if width < 60 {
		l.value.width = 8
	}
	room := width - 1 - gap - l.value.width
	if width >= 34 {
		l.rate = column{by: watch.ByRate, width: 11, right: true}
		room -= gap + l.rate.width
	}
	if width >= 56 {
		l.average = column{by: watch.ByAverage, width: 11, right: true}
		room -= gap + l.average.width
	}
	isDistribution := func(row *watch.Row) bool { return row.Kind == format.Distribution }
	if width >= 140 && slices.ContainsFunc(d.page.List, isDistribution) {
		l.labels = column{by: percentiles, width: min(64, width*3/10)}
		room -= gap + l.labels.width
	}
	l.name = column{by: watch.ByName, width: room}
	if width >= 76 {
		least := min(watch.Slots, max(8, room/4))
		l.name.width = min(room-gap-least, max(d.page.NameWidth(d.widthOf), len("SOURCE")+1))
		l.trend = column{by: trend, width: min(watch.Slots, room-gap-l.name.width)}
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

// drawStats draws rows of stats from a line on.
func (d *drawing) drawStats(rows []*watch.Row, y int) (columns []column, details []detail) {
	l, columns := d.layOutStats()
	current := d.page.List[d.page.Cursor()]
	for i, row := range rows {
		d.drawStat(&l, y+i, row, row == current)
		if row == current {
			details = d.detailsOfStat(&l, row)
		}
	}
	return columns, details
}

func (d *drawing) drawStat(l *statLayout, y int, row *watch.Row, current bool) {
	style := func(s Style) Style {
		if !row.Here {
			s = d.dim // whatever it was
		}
		if current {
			s |= Reverse
		}
		return s
	}
	if current {
		d.fill(0, y, d.grid.Width, style(0))
	}
	if row.Pinned {
		d.put(0, y, 1, "*", style(d.bold))
	}
	d.drawName(l.name, y, row, style)
	value := Style(0)
	if row.Changed {
		value = d.bold
	}
	d.putNumber(l.value, y, row.ValueText(), style(value))
	d.putNumber(l.rate, y, d.rateText(row), style(d.rateStyle(row)))
	d.putNumber(l.average, y, row.AverageText(), style(0))
	if row.Kind == format.Distribution && l.labels.width > 0 {
		d.drawLabels(l.labels, y, row, style(0))
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

// drawName writes a name, and behind it, as far as there is room, which label the value
// is of, or what the source is.
func (d *drawing) drawName(c column, y int, row *watch.Row, style func(Style) Style) {
	x := d.put(c.x, y, c.width, d.cut(row.Name, c.width), style(0))
	if row.Kind == format.Distribution {
		if label := row.MainLabel(); x+1+d.widthOf(label) <= c.width {
			x += 1 + d.put(c.x+x+1, y, c.width, label, style(d.dim))
		}
	}
	if room := c.width - x - 1; row.Note != "" && room > 0 {
		d.put(c.x+x+1, y, room, d.cutEnd(row.Note, room), style(d.dim))
	}
}

// putNumber writes a number into its column, if there is one.
func (d *drawing) putNumber(c column, y int, text string, style Style) {
	d.putRight(c.x, y, c.width, watch.Shorten(text, c.width), style)
}

// rateText says how fast a row moves, or what it has grown.
func (d *drawing) rateText(row *watch.Row) string {
	if d.model.Totals {
		return row.GrownText(d.now)
	}
	return row.RateText(d.now)
}

// rateStyle tells rising from falling, and a reset from both.
func (d *drawing) rateStyle(row *watch.Row) Style {
	rate := row.Rate
	if d.model.Totals {
		rate = row.Grown
	}
	switch {
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

// drawLabels writes as many of a distribution's labels as fit, but for the one that its
// value is of.
func (d *drawing) drawLabels(c column, y int, row *watch.Row, style Style) {
	used := 0
	for i := range row.Labels {
		if output.Escape(row.Labels[i].Label) == row.MainLabel() {
			continue
		}
		text := row.LabelText(i)
		width := d.widthOf(text)
		if used+width > c.width {
			d.put(c.x+max(0, used-gap), y, gap, d.more(), style)
			return
		}
		used += d.put(c.x+used, y, width, text, style) + gap
	}
}

// detailsOfStat says of a row what its columns don't.
func (d *drawing) detailsOfStat(l *statLayout, row *watch.Row) []detail {
	var details []detail
	add := func(text string) { details = append(details, detail{text: text}) }
	addWords := func(text string, style Style) {
		if text != "" {
			details = append(details, detail{text, style, true})
		}
	}
	nameWidth := d.widthOf(row.Name)
	if nameWidth > l.name.width {
		addWords(d.cut(row.Name, d.grid.Width*2/3), d.bold)
	}
	kind := ""
	if row.Source == nil {
		kind = row.Kind.String()
	}
	isWide := d.grid.Width >= 70
	if isWide {
		addWords(kind, d.dim)
	}
	value := row.ValueText()
	isValueWhole := watch.Shorten(value, l.value.width) == value
	if !isValueWhole && row.Kind != format.Distribution {
		add(value)
	}
	if text := d.rateText(row); !row.Here && l.rate.width == 0 || watch.Shorten(text, l.rate.width) != text {
		add(text)
	}
	if row.Kind == format.Distribution {
		label := row.MainLabel()
		isSaid := isValueWhole && nameWidth+1+d.widthOf(label) <= l.name.width
		for i := range row.Labels {
			if !isSaid || output.Escape(row.Labels[i].Label) != label {
				add(row.LabelText(i))
			}
		}
		add("count " + format.Int(row.Count).String())
		add("sum " + row.SumText())
	}
	if text := row.AverageText(); text != "-" && watch.Shorten(text, l.average.width) != text {
		add("average " + text)
	}
	if !row.ResetAt.IsZero() {
		add("reset at " + row.ResetAt.Format(time.TimeOnly))
	}
	if row.Source != nil {
		if nameWidth+1+d.widthOf(row.Note) > l.name.width {
			addWords(row.Note, 0)
		}
		addWords(output.Note(row.Source), d.warning)
	}
	if !isWide {
		addWords(kind, d.dim)
	}
	return details
}
