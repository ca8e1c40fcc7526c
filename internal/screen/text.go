package screen

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A painter writes texts into a grid.
type painter struct {
	grid *Grid
	utf8 bool // the terminal shows more than ASCII
}

// put writes as much of the text as fits into so many columns, and returns how many
// it took.
func (p *painter) put(x, y, columns int, text string, style Style) int {
	columns = min(columns, p.grid.Width-x)
	text = beginning(text, columns)
	if !p.utf8 {
		text = onlyASCII(text)
	}
	used := 0
	for text != "" {
		size, width := 1, 1
		if text[0] >= utf8.RuneSelf || len(text) > 1 && text[1] >= utf8.RuneSelf {
			var first string
			first, _, width, _ = uniseg.FirstGraphemeClusterInString(text, -1)
			size = len(first)
		}
		if used+width > columns {
			break
		}
		if width == 0 || width > 2 { // what has no place of its own, or too much of it
			text = text[size:]
			continue
		}
		p.grid.put(x+used, y, text[:size], width == 2, style)
		used += width
		text = text[size:]
	}
	return used
}

// putRight writes the text at the right end of so many columns, or its beginning if
// it is longer.
func (p *painter) putRight(x, y, columns int, text string, style Style) {
	width := p.widthOf(text)
	p.put(x+max(0, columns-width), y, min(columns, width), text, style)
}

// fill writes blanks.
func (p *painter) fill(x, y, columns int, style Style) {
	for i := range columns {
		p.put(x+i, y, 1, " ", style)
	}
}

// widthOf returns how many columns the text takes: of one that is longer than the
// screen is wide, some number of them that is too large as well.
func (p *painter) widthOf(text string) int {
	text = beginning(text, p.grid.Width)
	if isASCII(text) {
		return len(text)
	}
	if !p.utf8 {
		return len(onlyASCII(text))
	}
	return uniseg.StringWidth(text)
}

// cut returns the text in so many columns. What is left out is in the middle: names
// differ at their ends.
func (p *painter) cut(text string, columns int) string {
	head, tail := beginning(text, columns), ending(text, columns)
	whole := len(head) == len(text)
	if whole && p.widthOf(text) <= columns {
		return text
	}
	if !p.utf8 {
		head, tail = onlyASCII(head), onlyASCII(tail)
	}
	dots := p.more()
	room := columns - p.widthOf(dots)
	if room <= 0 {
		return p.first(head, columns)
	}
	head = p.first(head, room/3)
	return head + dots + p.last(tail, room-p.widthOf(head))
}

// A column has up to nine bytes, or so (Thai): so many of them are looked at for each.
// Names can have a thousand times as many, and are drawn with each frame.
const bytesOfColumn = 16

// beginning returns as much of the beginning of a text as may fit, and a little more.
func beginning(text string, columns int) string {
	end := bytesOfColumn * (max(0, columns) + 1)
	if end >= len(text) {
		return text
	}
	for !utf8.RuneStart(text[end]) && end > 0 {
		end--
	}
	return text[:end]
}

// ending returns as much of the end.
func ending(text string, columns int) string {
	begin := len(text) - bytesOfColumn*(max(0, columns)+1)
	if begin <= 0 {
		return text
	}
	for begin < len(text) && !utf8.RuneStart(text[begin]) {
		begin++
	}
	return text[begin:]
}

// cutEnd returns the text in so many columns. What is left out is at the end, as is right
// for sentences and commands.
func (p *painter) cutEnd(text string, columns int) string {
	text = beginning(text, columns)
	if p.widthOf(text) <= columns {
		return text
	}
	if !p.utf8 {
		text = onlyASCII(text)
	}
	return p.first(p.first(text, columns-p.widthOf(p.more()))+p.more(), columns)
}

// first returns as much of the beginning as fits.
func (p *painter) first(text string, columns int) string {
	end := 0
	for rest := text; rest != ""; {
		cluster, after, width, _ := uniseg.FirstGraphemeClusterInString(rest, -1)
		if width > columns {
			break
		}
		columns -= width
		end += len(cluster)
		rest = after
	}
	return text[:end]
}

// last returns as much of the end as fits.
func (p *painter) last(text string, columns int) string {
	width := uniseg.StringWidth(text)
	for width > columns {
		_, after, first, _ := uniseg.FirstGraphemeClusterInString(text, -1)
		text = after
		width -= first
	}
	return text
}

// more is the sign that something is left out.
func (p *painter) more() string { return p.symbol("…", "..") }

// symbol returns the one that the terminal can show.
func (p *painter) symbol(unicode, ascii string) string {
	if p.utf8 {
		return unicode
	}
	return ascii
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// onlyASCII escapes what isn't, as Go does.
func onlyASCII(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}
