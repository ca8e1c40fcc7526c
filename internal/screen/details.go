package screen

// A detail is what there is to say of the row at the cursor that the columns don't.
type detail struct {
	text  string
	style Style
	words bool // it may be cut, as a number may not
}

// detailLines returns how many lines they get: a screen that has few columns leaves more
// to say, one that has few lines has none to spare.
func detailLines(width, height int) int {
	switch {
	case height < 8:
		return 0
	case width < 70 && height >= 16:
		return 2
	default:
		return 1
	}
}

// drawDetails writes as many as there is room for. A sign at the end says that there are
// more.
func (d *drawing) drawDetails(details []detail, y, lines int) {
	const begin = 1
	x, last := begin, y+lines-1
	for i, detail := range details {
		text, width := detail.text, d.widthOf(detail.text)
		end := d.grid.Width
		if y == last && i < len(details)-1 {
			end -= gap + d.widthOf(d.more())
		}
		if x > begin && x+width > end && y < last {
			x, y, end = begin, y+1, d.grid.Width
		}
		switch {
		case y > last:
			return
		case x+width <= end:
		case detail.words && end-x >= leastOfWords:
			text, width = d.cutEnd(text, end-x), end-x
		default:
			d.put(min(x, d.grid.Width-d.widthOf(d.more())), y, d.grid.Width, d.more(), d.dim)
			return
		}
		x += d.put(x, y, width, text, detail.style) + gap
	}
}

// leastOfWords is how many columns of words are of use to anybody.
const leastOfWords = 8
