package format

import (
	"bytes"
	"errors"
	"strings"
)

// What a parser takes unless it is told otherwise.
const (
	DefaultMaxLine  = 64 << 10 // bytes
	DefaultMaxStats = 100_000
)

// ErrTooManyStats is returned by a parser that was given more stats than it
// may keep.
var ErrTooManyStats = errors.New("too many stats")

// lines takes text in pieces of any size and gives it out in lines.
type lines struct {
	partial []byte // the beginning of a line whose end hasn't come yet
	tooLong bool   // that line is beyond the limit already; partial is empty
}

// A lineReader takes the lines of a text.
type lineReader interface {
	// again takes a line that is like one before, and says whether it is.
	again(line []byte) (bool, error)
	line(line string) error
	tooLong()
}

// write gives r every line that ends in text, without its line break, tells it of
// those that are longer than limit, and keeps the beginning of the next. It ends
// early with an error of r. Known says that few lines will be new to r.
func (l *lines) write(text []byte, limit int, known bool, r lineReader) error {
	if l.open() {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			l.keep(text, limit)
			return nil
		}
		l.keep(text[:end], limit)
		text = text[end+1:]
		line, tooLong := string(l.partial), l.tooLong
		l.reset()
		if tooLong {
			r.tooLong()
		} else if err := r.line(line); err != nil {
			return err
		}
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	var copied string // one string for all lines, unless few need one: the names are parts of it
	if !known {
		copied = string(text[:whole])
	}
	few := 16
	for start := 0; start < whole; {
		end := start + bytes.IndexByte(text[start:], '\n')
		line := text[start:end]
		again, err := false, error(nil)
		if len(line) <= limit {
			again, err = r.again(line)
		}
		switch {
		case err != nil || again:
		case len(line) > limit:
			r.tooLong()
		case copied == "" && few > 0:
			few--
			err = r.line(string(line))
		default:
			if copied == "" { // there are more than was thought
				copied = string(text[:whole])
			}
			err = r.line(copied[start:end])
		}
		if err != nil {
			return err
		}
		start = end + 1
	}
	l.keep(text[whole:], limit)
	return nil
}

// keep adds to the beginning of the line that hasn't ended yet.
func (l *lines) keep(text []byte, limit int) {
	if l.tooLong || len(l.partial)+len(text) > limit {
		l.partial, l.tooLong = l.partial[:0], true
		return
	}
	l.partial = append(l.partial, text...)
}

// open tells whether a line has begun and not ended.
func (l *lines) open() bool { return len(l.partial) > 0 || l.tooLong }

func (l *lines) reset() { l.partial, l.tooLong = l.partial[:0], false }

// splitLine splits a line at its last colon, and reads the value behind it.
func splitLine(line string) (left string, v Value, ok bool) {
	left, value, ok := cutLine(line)
	if !ok {
		return "", Value{}, false
	}
	v, err := ParseValue(value)
	return left, v, err == nil
}

// cutLine cuts a line at its last colon.
func cutLine(line string) (left, value string, ok bool) {
	colon := strings.LastIndexByte(line, ':')
	if colon < 0 {
		return "", "", false
	}
	return line[:colon], trimBlanks(line[colon+1:]), true
}
