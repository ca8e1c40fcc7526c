package output

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"
)

// A column of a table.
type column struct {
	title string
	right bool // aligned to the right, as numbers are
}

// A cell is a text, which is escaped already, and its colour.
type cell struct {
	text  string
	color color.Attribute // 0: none
}

// writeTable writes the rows in columns two blanks apart. The last column isn't
// padded.
func writeTable(w io.Writer, colored bool, columns []column, rows [][]cell) error {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	var b strings.Builder
	var lines []string
	line := func(cells []cell) {
		for i, c := range cells {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			if i > 0 {
				b.WriteString("  ")
			}
			if columns[i].right {
				b.WriteString(padding)
			}
			if c.color != 0 && c.text != "" {
				b.WriteString(paint(colored, c.text, c.color))
			} else {
				b.WriteString(c.text)
			}
			if !columns[i].right && i < len(cells)-1 {
				b.WriteString(padding)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
		b.Reset()
	}
	titles := make([]cell, len(columns))
	for i, c := range columns {
		titles[i] = cell{c.title, color.Bold}
	}
	line(titles)
	for _, row := range rows {
		line(row)
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}
