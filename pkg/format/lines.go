package format

import (
	"bytes"
	"errors"
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

// A lineReader takes the lines of a text. It keeps nothing of one but copies: a name
// may stay for as long as its source, and must not keep the text that it came in.
type lineReader interface {
	line(line []byte) error
	tooLong()
}

// write gives r every line that ends in text, without its line break, tells it of
// those that are longer than limit, and keeps the beginning of the next. It ends
// early with an error of r.
func (l *lines) write(text []byte, limit int, r lineReader) error {
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			l.keep(text, limit)
			return nil
		}
		line, tooLong := text[:end], end > limit
		if l.open() {
			l.keep(line, limit)
			line, tooLong = l.partial, l.tooLong
			l.reset()
		}
		text = text[end+1:]
		if tooLong {
			r.tooLong()
		} else if err := r.line(line); err != nil {
			return err
		}
	}
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
func splitLine(line []byte) (left []byte, v Value, ok bool) {
	left, value, ok := cutLine(line)
	if !ok {
		return nil, Value{}, false
	}
	v, ok = parseValue(string(value))
	return left, v, ok
}

// cutLine cuts a line at its last colon.
func cutLine(line []byte) (left, value []byte, ok bool) {
	colon := bytes.LastIndexByte(line, ':')
	if colon < 0 {
		return nil, nil, false
	}
	return line[:colon], trimBlanks(line[colon+1:]), true
}
