package screen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
)

// drawTitle says what this is, and how it is looked at. What it is sorted by is said
// here if there are columns, and that one isn't among them.
func (d *drawing) drawTitle(columns []column) {
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
	sorted := func(c column) bool { return c.by == d.page.Sort }
	if len(columns) > 0 && !slices.ContainsFunc(columns, sorted) {
		left = append(left, d.sortSign()+d.titleOf(d.page.Sort))
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
	const least = 20 // of what stands on the left
	room := d.grid.Width
	for ; len(right) > 0; right = right[:len(right)-1] {
		text := strings.Join(right, "  ")
		width := d.widthOf(text)
		if d.grid.Width-width >= least {
			d.put(d.grid.Width-width, 0, width, text, 0)
			room -= width + gap
			break
		}
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
	if latest := d.model.Latest(); latest != nil {
		if latest.PassedOver > 0 {
			text += fmt.Sprintf(", %d passed over", latest.PassedOver)
		}
		if latest.LeftOut > 0 {
			text += fmt.Sprintf(", %d left out", latest.LeftOut)
		}
	}
	style := Style(0)
	if troubled {
		style = d.warning
	}
	x := d.put(0, y, room, d.cutEnd(text, room), style)
	if x > 0 {
		x += gap
	}
	if problem := output.Escape(d.problem()); room > x {
		d.put(x, y, room-x, d.cutEnd(problem, room-x), d.warning)
	}
}

// problem returns the first thing that is wrong, unless it stands in place of the list.
func (d *drawing) problem() string {
	switch latest := d.model.Latest(); {
	case d.model.Failure != "" && len(d.page.List) == 0:
		return ""
	case d.model.Failure != "" && d.model.Hint != "":
		return d.model.Failure + "; " + d.model.Hint
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
