package screen

import (
	"strings"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
)

// drawEmpty says why there is nothing, and what can be done about it. It returns the line
// below that.
func (d *drawing) drawEmpty(y int) int {
	why, hints := d.whyEmpty()
	if d.model.Failure != "" {
		y = d.drawText(y, output.Escape(d.model.Failure), d.warning)
	} else {
		y = d.drawText(y, why, d.dim)
	}
	for _, hint := range hints {
		y = d.drawText(y, "hint: "+output.Escape(hint), 0)
	}
	return y
}

// whyEmpty says why the list is empty.
func (d *drawing) whyEmpty() (why string, hints []string) {
	latest := d.model.Latest()
	switch {
	case d.model.Failure != "" && d.model.Hint != "":
		return "", []string{d.model.Hint}
	case d.model.Failure != "":
		return "", nil
	case latest == nil:
		return "reading...", nil
	case d.page.Filter != "":
		return "nothing matches the filter; Esc clears it", nil
	case d.page.Kind == watch.SourceStats:
		return "no stats; Esc goes back", nil
	case d.page.Kind == watch.StatSources:
		return "no source has it now; Esc goes back", nil
	}
	_, all := d.model.Count()
	switch {
	case d.model.HideZeros && all > 0:
		return "nothing but zeros; z shows them", nil
	case len(latest.Sources) > 0 && d.page.Kind == watch.Stats:
		return "no stat matches", nil
	case latest.LeftOut > 0: // the page of the sources says it below
		if report := d.model.Report(); report != nil && d.page.Kind == watch.Stats {
			hints = []string{report.LeftOutText()}
		}
		return d.look.Empty, hints
	default:
		return d.look.Empty, latest.Advice
	}
}

// drawText writes a text from a line on, as far as there are lines above the footer, and
// returns the line below it.
func (d *drawing) drawText(y int, text string, style Style) int {
	for _, line := range d.wrap(text, d.grid.Width) {
		if y >= d.grid.Height-1 {
			break
		}
		d.put(0, y, d.grid.Width, line, style)
		y++
	}
	return y
}

// wrap cuts a text at its blanks into lines of so many columns. A word that is longer is
// cut off.
func (p *painter) wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case p.widthOf(line)+1+p.widthOf(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, p.cutEnd(line, columns))
			line = word
		}
	}
	return append(lines, p.cutEnd(line, columns))
}
