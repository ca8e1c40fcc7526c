package screen

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
}

// drawHelp lists the keys.
func (d *drawing) drawHelp() {
	keys := 13
	if d.grid.Width < 40 {
		keys = 8
	}
	for i, line := range help {
		if i+1 >= d.grid.Height-1 {
			break
		}
		d.put(1, i+1, keys-2, line[0], d.bold)
		d.put(keys, i+1, d.grid.Width-keys, line[1], 0)
	}
	notes := []string{
		"AVERAGE is over the session: a second, of a gauge its mean.",
		"reset: a counter fell. gone: nobody has it any more.",
	}
	for i, note := range notes {
		if y := len(help) + 2 + i; y < d.grid.Height-1 {
			d.put(1, y, d.grid.Width-1, note, d.dim)
		}
	}
}
