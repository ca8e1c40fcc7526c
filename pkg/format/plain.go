package format

import (
	"bytes"
	"errors"
	"strings"
)

// AppendPlain appends the snapshot in the plain format: "NAME: VALUE\n" for
// each stat, sorted by name, a distribution as a line for each of its labels.
func AppendPlain(b []byte, s *Snapshot) []byte {
	for _, stat := range s.Flatten().Stats {
		b = append(b, stat.Name...)
		b = append(b, ": "...)
		b = stat.Value.Append(b)
		b = append(b, '\n')
	}
	return b
}

// What a PlainParser takes unless it is told otherwise.
const (
	DefaultMaxLine  = 64 << 10 // bytes
	DefaultMaxStats = 100_000
)

// ErrTooManyStats is returned by a parser that was given more stats than it
// may keep.
var ErrTooManyStats = errors.New("too many stats")

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

	stats   []Stat
	skipped int
	partial []byte // the beginning of a line whose end hasn't come yet
	tooLong bool   // that line is beyond MaxLine already; partial is empty
}

// Write parses the lines that end in text and keeps the beginning of the next
// one. Its error is nil or ErrTooManyStats.
func (p *PlainParser) Write(text []byte) (int, error) {
	n := len(text)
	if len(p.partial) > 0 || p.tooLong {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			p.keep(text)
			return n, nil
		}
		p.keep(text[:end])
		text = text[end+1:]
		line, tooLong := string(p.partial), p.tooLong
		p.partial, p.tooLong = p.partial[:0], false
		if tooLong {
			p.skipped++
		} else if err := p.line(line); err != nil {
			return 0, err
		}
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	// One string for all lines: the names are parts of it.
	for lines := string(text[:whole]); lines != ""; {
		end := strings.IndexByte(lines, '\n')
		if err := p.line(lines[:end]); err != nil {
			return 0, err
		}
		lines = lines[end+1:]
	}
	p.keep(text[whole:])
	return n, nil
}

// keep adds to the beginning of the line that hasn't ended yet.
func (p *PlainParser) keep(text []byte) {
	if p.tooLong || len(p.partial)+len(text) > p.maxLine() {
		p.partial, p.tooLong = p.partial[:0], true
		return
	}
	p.partial = append(p.partial, text...)
}

func (p *PlainParser) line(line string) error {
	colon := strings.LastIndexByte(line, ':')
	if colon < 0 || len(line) > p.maxLine() {
		p.skipped++
		return nil
	}
	value, err := ParseValue(strings.Trim(line[colon+1:], blanks))
	if err != nil {
		p.skipped++
		return nil //nolint:nilerr // a bad line costs itself
	}
	maxStats := p.MaxStats
	if maxStats == 0 {
		maxStats = DefaultMaxStats
	}
	if len(p.stats) >= maxStats {
		return ErrTooManyStats
	}
	p.stats = append(p.stats, Stat{Name: strings.Trim(line[:colon], blanks), Value: value})
	return nil
}

func (p *PlainParser) maxLine() int {
	if p.MaxLine == 0 {
		return DefaultMaxLine
	}
	return p.MaxLine
}

// Snapshot ends the text and returns what was in it, as untyped stats. The
// parser is then ready for another text.
func (p *PlainParser) Snapshot() *Snapshot {
	if len(p.partial) > 0 || p.tooLong {
		p.skipped++
	}
	s := &Snapshot{Stats: p.stats, Skipped: p.skipped}
	s.Sort()
	p.stats, p.skipped = nil, 0
	p.partial, p.tooLong = p.partial[:0], false
	return s
}
