package screen

import "github.com/statvent/statvent/internal/watch"

// A column of the screen.
type column struct {
	by    watch.Column
	x     int
	width int
	right bool
}

const gap = 2 // between two columns

// Columns that nothing is sorted by.
const (
	percentiles watch.Column = -1 - iota
	trend
	note
)

var titles = map[watch.Column]string{
	watch.ByName: "NAME", watch.ByValue: "VALUE", watch.ByRate: "PER SECOND", watch.ByAverage: "AVERAGE",
	watch.ByPID: "PID", watch.ByUser: "USER", watch.ByAge: "AGE", watch.ByStats: "STATS", watch.ByState: "STATE",
	watch.ByCommand: "COMMAND", percentiles: "PERCENTILES", trend: "TREND", note: "NOTE",
}

// titleOf returns the title of a column.
func (d *drawing) titleOf(by watch.Column) string {
	switch {
	case by == watch.ByName && (d.page.Kind == watch.Sources || d.page.Kind == watch.StatSources):
		return "SOURCE"
	case by == watch.ByRate && d.model.Totals:
		return "GROWN"
	default:
		return titles[by]
	}
}

// sortSign points to where the larger ones are.
func (d *drawing) sortSign() string {
	if d.page.Reverse {
		return d.symbol("▼", "v")
	}
	return d.symbol("▲", "^")
}

// drawHeads writes the columns' heads, with a sign at the one that sorts.
func (d *drawing) drawHeads(columns []column) {
	d.fill(0, 1, d.grid.Width, d.head)
	for _, c := range columns {
		text := d.titleOf(c.by)
		if c.by == d.page.Sort {
			text = d.first(text, c.width-1) // the sign always has its place
			if c.right {
				text = d.sortSign() + text
			} else {
				text += d.sortSign()
			}
		}
		if c.right {
			d.putRight(c.x, 1, c.width, text, d.head)
		} else {
			d.put(c.x, 1, c.width, text, d.head)
		}
	}
}
