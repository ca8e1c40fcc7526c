package screen

import (
	"github.com/statvent/statvent/internal/watch"
)

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

const gap = 2 // between two columns

const noColumn watch.Column = -1
