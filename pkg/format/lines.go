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

// write calls each for every line that ends in text, without its line break,
// and skip for every one that is longer than limit, and keeps the beginning of
// the next. It ends early with an error of each.
func (l *lines) write(text []byte, limit int, each func(line string) error, skip func()) error {
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
			skip()
		} else if err := each(line); err != nil {
			return err
		}
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	// One string for all lines: the names are parts of it.
	for rest := string(text[:whole]); rest != ""; {
		end := strings.IndexByte(rest, '\n')
		line := rest[:end]
		rest = rest[end+1:]
		if len(line) > limit {
			skip()
		} else if err := each(line); err != nil {
			return err
		}
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
