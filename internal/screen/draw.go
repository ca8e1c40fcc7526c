package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/output"
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
