package screen

import (
	"strconv"
)

// A Style is how a cell looks: attributes, and a colour.
type Style uint16

// Attributes, which can be combined, with each other and with one colour.
const (
	Bold Style = 1 << iota
	Dim
	Underline
	Reverse
)

const colorShift = 8

// The colours: those of every terminal that has some.
const (
	Red Style = iota<<colorShift + 1<<colorShift
	Green
	Yellow
	Blue
	Magenta
	Cyan
)

// appendTo appends the sequence that makes text look like this.
func (s Style) appendTo(b []byte) []byte {
	b = append(b, "\x1b[0"...)
	for i, code := range []string{";1", ";2", ";4", ";7"} {
		if s&(1<<i) != 0 {
			b = append(b, code...)
		}
	}
	if color := s >> colorShift; color != 0 {
		b = append(b, ";3"...)
		b = strconv.AppendInt(b, int64(color), 10)
	}
	return append(b, 'm')
}

// A cell is what stands at one place: a character with what is combined with it.
type cell struct {
	text  string // empty: the right half of the character before
	style Style
	wide  bool
}

var blank = cell{text: " "}

// A Grid is the text of a screen.
type Grid struct {
	Width, Height int
	CursorX       int // of the cursor, -1 where none is shown
	CursorY       int
	cells         []cell
}

// NewGrid returns an empty one.
func NewGrid(width, height int) *Grid {
	g := &Grid{Width: width, Height: height, cells: make([]cell, width*height)}
	g.Clear()
	return g
}

// Clear makes all cells blank, and hides the cursor.
func (g *Grid) Clear() {
	for i := range g.cells {
		g.cells[i] = blank
	}
	g.CursorX, g.CursorY = -1, -1
}

// put writes a character into one cell, or into two.
func (g *Grid) put(x, y int, text string, wide bool, style Style) {
	if x < 0 || y < 0 || y >= g.Height || x >= g.Width || wide && x+1 >= g.Width {
		return
	}
	row := g.cells[y*g.Width : (y+1)*g.Width]
	if row[x].text == "" {
		row[x-1] = blank // its right half is gone
	}
	end := x
	if wide {
		end++
	}
	if row[end].wide && end+1 < g.Width {
		row[end+1] = blank
	}
	row[x] = cell{text, style, wide}
	if wide {
		row[end] = cell{style: style}
	}
}

// Escape sequences of every terminal that has a cursor to move; what one doesn't know,
// it ignores.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J" // no cursor
	leaveScreen = "\x1b[0m\x1b[2J\x1b[H\x1b[?25h\x1b[?1049l"
	clearScreen = "\x1b[0m\x1b[2J"
	// What a frame is made of is shown at once, and no line of it wraps, whatever the
	// terminal takes for the width of a character.
	beginFrame = "\x1b[?2026h\x1b[?7l"
	endFrame   = "\x1b[?7h\x1b[?2026l"
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
)

// appendChanges appends what makes a screen that shows one grid show another one of
// that size: only the cells that differ. What comes before them is part of the frame.
func (g *Grid) appendChanges(b []byte, shown *Grid, before string) []byte {
	const nowhere = -1
	style := Style(0)
	styled := false
	begin := len(b)
	b = append(b, beginFrame...)
	empty := len(b)
	b = append(b, before...)
	if shown.CursorX >= 0 {
		b = append(b, hideCursor...)
	}
	for y := range g.Height {
		at := nowhere
		for x := range g.Width {
			i := y*g.Width + x
			c := &g.cells[i]
			if c.text == "" || *c == shown.cells[i] {
				continue
			}
			if at != x {
				b = appendMove(b, x, y)
			}
			if !styled || c.style != style {
				style, styled = c.style, true
				b = style.appendTo(b)
			}
			b = append(b, c.text...)
			at = x + 1
			if len(c.text) > 1 { // terminals differ about how wide it is
				at = nowhere
			}
		}
	}
	if g.CursorX >= 0 {
		b = append(appendMove(b, g.CursorX, g.CursorY), showCursor...)
	}
	if len(b) == empty {
		return b[:begin]
	}
	if style != 0 {
		b = Style(0).appendTo(b)
	}
	return append(b, endFrame...)
}

func appendMove(b []byte, x, y int) []byte {
	b = append(b, "\x1b["...)
	b = strconv.AppendInt(b, int64(y+1), 10)
	b = append(b, ';')
	b = strconv.AppendInt(b, int64(x+1), 10)
	return append(b, 'H')
}

// copyFrom makes it the same as another one of that size.
func (g *Grid) copyFrom(other *Grid) {
	copy(g.cells, other.cells)
	g.CursorX, g.CursorY = other.CursorX, other.CursorY
}
