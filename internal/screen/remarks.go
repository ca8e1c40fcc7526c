package screen

import (
	"fmt"

	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
)

// A remark is a line below the sources: what is not among them, or what is wrong.
type remark struct {
	text  string
	style Style
}

// remarks returns those that there are.
func (d *drawing) remarks() []remark {
	latest := d.model.Latest()
	if d.page.Kind != watch.Sources || latest == nil {
		return nil
	}
	var remarks []remark
	if report := d.model.Report(); report != nil {
		if text := report.LeftOutText(); text != "" {
			remarks = append(remarks, remark{text, 0})
		}
		for _, text := range report.PassedOverTexts() {
			remarks = append(remarks, remark{text, 0})
		}
	}
	for _, problem := range latest.Problems {
		remarks = append(remarks, remark{problem, d.warning})
	}
	return remarks
}

// linesOfRemarks returns how many lines remarks get: those that no source needs, with one
// between them and the sources, and no less than a quarter.
func linesOfRemarks(remarks, sources, room int) int {
	return max(0, min(remarks, max(room-sources-1, room/4)))
}

// drawRemarks writes as many as there are lines for, above the line end. Where there is
// one to spare, it is above them.
func (d *drawing) drawRemarks(remarks []remark, y, end, lines int) {
	if y+1+lines <= end {
		y++
	}
	for i, r := range remarks[:lines] {
		if more := len(remarks) - lines; i == lines-1 && more > 0 {
			r.text = fmt.Sprintf("and %d more: %s", more, r.text)
		}
		d.put(1, y+i, d.grid.Width-1, d.cutEnd(output.Escape(r.text), d.grid.Width-1), r.style)
	}
}
