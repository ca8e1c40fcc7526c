package screen

import "fmt"

// help is a line for each key.
var help = [][2]string{
	{"up down j k", "move; PgUp PgDn Home End as well"},
	{"Enter", "a stat: by source; a source: its stats"},
	{"Esc", "back; clears the filter first"},
	{"Tab", "the stats, or the sources"},
	{"/", "filter by words; Enter keeps it"},
	{"< > or 1-7", "sort by another column"},
	{"r", "the other way round"},
	{"t", "rates, or what has grown since the start"},
	{"z", "hide zeros"},
	{"p *", "pin to the top"},
	{"Space", "pause, and go on"},
	{".", "one snapshot, then pause"},
	{"+ -", "the interval"},
	{"Ctrl-Z", "to the shell; fg comes back"},
	{"q", "quit; Ctrl-C as well"},
	{"", ""},
	{"AVERAGE", "a second, over the session; of a gauge its mean"},
	{"reset", "a counter fell, which is never a negative rate"},
	{"gone", "nobody has it any more"},
}

// drawHelp lists the keys, side by side where it is wide, and on several pages where it
// is small.
func (d *drawing) drawHelp() {
	const above, below = 1, 1
	rows := max(1, d.grid.Height-above-below)
	columns := 1
	if d.grid.Width >= 110 {
		columns = 2
	}
	width := d.grid.Width/columns - 1
	lines, indent := d.helpLines(width)
	perColumn := min(rows, (len(lines)+columns-1)/columns)
	if len(lines) > rows*columns {
		perColumn = max(1, rows-1) // the last line says that there are more
	}
	onPage := perColumn * columns
	pages := (len(lines) + onPage - 1) / onPage
	d.model.SetHelpPages(pages)
	lines = lines[d.model.HelpPage*onPage:]
	for i, line := range lines[:min(len(lines), onPage)] {
		x, y := 1+i/perColumn*(width+1), above+i%perColumn
		d.put(x, y, width, line[0], d.bold)
		d.put(x+indent, y, width-indent, line[1], 0)
	}
	if pages > 1 && rows > 1 {
		more := fmt.Sprintf("%d of %d; any key goes on", d.model.HelpPage+1, pages)
		d.put(1, above+rows-1, d.grid.Width-1, d.cutEnd(more, d.grid.Width-1), d.dim)
	}
}

// helpLines returns what is on the left and on the right of each line, and where the
// right begins. Where there is little room for both, one stands below the other.
func (d *drawing) helpLines(width int) (lines [][2]string, indent int) {
	const keys, little = 14, 35
	indent = keys
	if width < little {
		indent = 2
	}
	for _, entry := range help {
		text := d.wrap(entry[1], max(1, width-indent))
		if width < little && entry[0] != "" {
			lines = append(lines, [2]string{entry[0]})
			entry[0] = ""
		}
		for _, line := range text {
			lines = append(lines, [2]string{entry[0], line})
			entry[0] = ""
		}
	}
	return lines, indent
}
