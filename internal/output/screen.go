package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/fatih/color"
)

// A Screen shows one snapshot after another: a table on a terminal in place of
// the one before, anything else below it.
type Screen struct {
	streams *Streams
	format  string
	redraw  bool
	shown   bool // something was shown already

	problems []string // that were said last, where nothing is redrawn
}

// isDumb tells whether a terminal knows no escape sequences, as far as it says.
func isDumb() bool { return os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" }

// NewScreen returns a screen on stdout for a format of WatchFormats.
func (s *Streams) NewScreen(format string) *Screen {
	return &Screen{streams: s, format: format, redraw: format == "table" && isTerminal(s.Out) && !isDumb()}
}

// Escape sequences of every terminal.
const (
	home        = "\x1b[H"
	clearScreen = "\x1b[2J"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	noWrap      = "\x1b[?7l" // a line that is too long is cut
	wrap        = "\x1b[?7h"
)

// Show shows the stats.
func (s *Screen) Show(stats *Stats) error {
	if s.redraw {
		return s.draw(stats)
	}
	if !slices.Equal(stats.Problems, s.problems) {
		s.problems = stats.Problems
		for _, problem := range stats.Problems {
			s.streams.Warn("%s", problem)
		}
	}
	if s.shown && s.format != "json" {
		if _, err := io.WriteString(s.streams.Out, "\n"); err != nil {
			return err
		}
	}
	s.shown = true
	return s.streams.PrintStats(s.format, stats)
}

// draw writes over what is there, line by line, so that nothing flickers, and
// as many lines as the terminal has.
func (s *Screen) draw(stats *Stats) error {
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s  stats: %d", stats.Time.Format(time.TimeOnly), len(stats.flat().Stats))
	for _, problem := range stats.Problems {
		fmt.Fprintf(&table, "  %s", paint(s.streams.outColor, Escape(problem), color.FgYellow))
	}
	table.WriteString("\n\n")
	if err := statsTable(&table, s.streams.outColor, stats); err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSuffix(table.Bytes(), []byte("\n")), []byte("\n"))
	if height := terminalHeight(s.streams.Out); height > 0 && len(lines) > height {
		hidden := len(lines) - height + 1
		lines = append(lines[:height-1], fmt.Appendf(nil, "... %d more: name some, as in 'statvent watch app.*'", hidden))
	}
	var frame bytes.Buffer
	if !s.shown {
		frame.WriteString(clearScreen)
	}
	s.shown = true
	frame.WriteString(home + noWrap)
	for i, line := range lines {
		if i > 0 {
			frame.WriteByte('\n')
		}
		frame.Write(line)
		frame.WriteString(clearLine)
	}
	frame.WriteString(clearBelow + wrap)
	_, err := frame.WriteTo(s.streams.Out)
	return err
}

// Close leaves the cursor below what was drawn.
func (s *Screen) Close() {
	if s.redraw && s.shown {
		fmt.Fprintln(s.streams.Out)
	}
}
