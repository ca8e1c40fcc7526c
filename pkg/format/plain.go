package format

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// AppendPlain appends the snapshot in the plain format: "NAME: VALUE\n" for
// each stat, sorted by name, a distribution as a line for each of its labels.
func AppendPlain(b []byte, s *Snapshot) []byte {
	for _, stat := range s.Flatten().Stats {
		b = appendLine(b, stat.Name, stat.Value)
	}
	return b
}

// appendLine appends the end of a line, which in the plain format is all of it.
func appendLine(b []byte, name string, v Value) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = v.Append(b)
	return append(b, '\n')
}

// ParseLine reads one line of the plain format, without its line break.
func ParseLine(line string) (name string, v Value, err error) {
	left, value, ok := cutLine([]byte(line))
	if !ok {
		return "", Value{}, fmt.Errorf("%q has no colon between a name and a number", line)
	}
	name = string(trimBlanks(left))
	if v, err = ParseValue(string(value)); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return name, v, err
}

// A PlainParser reads the plain format. It is an io.Writer: write the text in
// pieces of any size, then call Snapshot. Its zero value is ready to use.
//
// A line is split at its last colon, and blanks around either side go. A line
// that can't be read (no colon, no number, too long) is skipped and counted,
// and costs no other line. So is a last line without its line break: it was
// cut, and "x: 123" may have been "x: 123456".
type PlainParser struct {
	MaxLine  int // the longest line kept, in bytes; 0 means DefaultMaxLine
	MaxStats int // 0 means DefaultMaxStats

	// Like is an earlier snapshot of the same source, as a parser returned it, or
	// nil. Reading one that has the same names is faster, and uses these again.
	Like *Snapshot

	lines   lines
	stats   []Stat
	skipped int
}

// Write parses the lines that end in text and keeps the beginning of the next
// one. Its error is nil or ErrTooManyStats.
func (p *PlainParser) Write(text []byte) (int, error) {
	const shortest = len("a: 1\n") // or nearly; else many empty lines would take much memory
	lines := min(bytes.Count(text, []byte("\n")), len(text)/shortest+1)
	p.stats = slices.Grow(p.stats, min(lines, cmp.Or(p.MaxStats, DefaultMaxStats)-len(p.stats)))
	if err := p.lines.write(text, cmp.Or(p.MaxLine, DefaultMaxLine), (*plainLines)(p)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// plainLines are what a PlainParser does with lines.
type plainLines PlainParser

func (p *plainLines) tooLong() { p.skipped++ }

func (p *plainLines) line(line []byte) error {
	if expected := p.Like.at(len(p.stats)); expected != nil {
		if v, ok := valueAgain(line, "", expected.Name); ok {
			return p.add(expected.Name, v)
		}
	}
	name, value, ok := splitLine(line)
	if !ok {
		p.skipped++
		return nil
	}
	return p.add(p.Like.nameAgain(len(p.stats), trimBlanks(name)), value)
}

func (p *plainLines) add(name string, v Value) error {
	if len(p.stats) >= cmp.Or(p.MaxStats, DefaultMaxStats) {
		return ErrTooManyStats
	}
	p.stats = append(p.stats, Stat{Name: name, Value: v})
	return nil
}

// Snapshot ends the text and returns what was in it, as untyped stats. The
// parser is then ready for another text.
func (p *PlainParser) Snapshot() *Snapshot {
	if p.lines.open() {
		p.skipped++
	}
	s := &Snapshot{Stats: p.stats, Skipped: p.skipped}
	s.Sort()
	p.stats, p.skipped = nil, 0
	p.lines.reset()
	return s
}
