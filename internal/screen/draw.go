package screen

import (
	"time"

	"github.com/statvent/statvent/internal/watch"
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
	g.Clear()
	d := &drawing{
		painter: painter{g, look.UTF8},
		styles:  newStyles(look.Colors),
		look:    look,
		model:   m,
		page:    m.Page(),
		now:     m.Now(),
	}
	// From above: the title, the columns' heads, rows, remarks, details of the row at the
	// cursor, and the footer.
	const above, below = 2, 1
	details := detailLines(g.Width, g.Height)
	end := g.Height - below - details
	remarks := d.remarks()
	remarked := linesOfRemarks(len(remarks), len(d.page.List), end-above)
	m.SetRows(end - above - remarked)
	d.page = m.Page() // it scrolls as far as it must
	switch {
	case m.Help:
		d.drawTitle(nil)
		d.drawHelp()
	case len(d.page.List) == 0:
		d.drawTitle(nil)
		y := d.drawEmpty(above)
		d.drawRemarks(remarks, y, end, max(0, min(remarked, end-y)))
	default:
		rows := d.page.OnScreen(max(0, end-above-remarked))
		draw := d.drawStats
		if d.page.Kind == watch.Sources {
			draw = d.drawSources
		}
		columns, more := draw(rows, above)
		d.drawHeads(columns)
		d.drawTitle(columns)
		d.drawRemarks(remarks, above+len(rows), end, remarked)
		d.drawDetails(more, end, details)
	}
	d.drawFooter()
}
