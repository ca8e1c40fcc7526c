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
	const above, below, keys = 1, 1, 14
	rows := max(1, d.grid.Height-above-below)
	columns := 1
	if d.grid.Width >= 110 {
		columns = 2
	}
	width := d.grid.Width/columns - 1
	lines := d.helpLines(keys, width)
	onPage := rows * columns
	if len(lines) > onPage {
		onPage = max(1, rows-1) * columns // the last line says that there are more
	}
	pages := (len(lines) + onPage - 1) / onPage
	d.model.SetHelpPages(pages)
	lines = lines[d.model.HelpPage*onPage:]
	lines = lines[:min(len(lines), onPage)]
	perColumn := onPage / columns
	if pages == 1 {
		perColumn = (len(lines) + columns - 1) / columns
	}
	for i, line := range lines {
		x, y := 1+i/perColumn*(width+1), above+i%perColumn
		d.put(x, y, width, line[0], d.bold)
		if line[1] != "" {
			d.put(x+width-d.helpWidth(keys, width), y, width, line[1], 0)
		}
	}
	if pages > 1 && rows > 1 {
		more := fmt.Sprintf("%d of %d; any key goes on", d.model.HelpPage+1, pages)
		d.put(1, above+rows-1, d.grid.Width-1, d.cutEnd(more, d.grid.Width-1), d.dim)
	}
}

// helpLines returns what is on the left and on the right of each line. Where there is
// little room for both, one stands below the other.
func (d *drawing) helpLines(keys, width int) (lines [][2]string) {
	for _, entry := range help {
		text := d.wrap(entry[1], d.helpWidth(keys, width))
		if d.helpWidth(keys, width) == width-keys {
			lines = append(lines, [2]string{entry[0], text[0]})
			text = text[1:]
		} else {
			lines = append(lines, [2]string{entry[0]})
		}
		for _, line := range text {
			if line != "" {
				lines = append(lines, [2]string{"", line})
			}
		}
	}
	return lines
}

// helpWidth returns how many columns there are for what a key does.
func (d *drawing) helpWidth(keys, width int) int {
	if width < 35 {
		return max(1, width-2)
	}
	return width - keys
}
