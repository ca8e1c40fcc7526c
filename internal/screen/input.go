package screen

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/statvent/statvent/internal/watch"
)

// Keys that aren't the model's.
const (
	ctrlC watch.Key = 'c' & 0x1f
	ctrlL watch.Key = 'l' & 0x1f
	ctrlZ watch.Key = 'z' & 0x1f
)

// An input makes keys of the bytes that a terminal sends.
type input struct {
	rest []byte // the beginning of a sequence
	lost bool   // what comes is the rest of one that is too long
}

// feed returns the keys that the bytes complete.
func (in *input) feed(text []byte) []watch.Key {
	in.rest = append(in.rest, text...)
	var keys []watch.Key
	for len(in.rest) > 0 {
		key, size := in.next()
		if size == 0 {
			return keys
		}
		in.rest = in.rest[size:]
		if key != noKey {
			keys = append(keys, key)
		}
	}
	return keys
}

// flush returns the keys of what is only the beginning of a sequence, when nothing
// has come after it: an escape is the Esc key then.
func (in *input) flush() []watch.Key {
	isEscape := len(in.rest) > 0 && in.rest[0] == escape
	in.rest, in.lost = nil, false
	if isEscape {
		return []watch.Key{watch.Escape}
	}
	return nil
}

// waits tells whether there is such a beginning.
func (in *input) waits() bool { return len(in.rest) > 0 || in.lost }

const (
	escape           = '\x1b'
	noKey  watch.Key = 0
	// maxSequence is how long a sequence may be; one that is longer is nothing.
	maxSequence = 32
)

var controls = map[byte]watch.Key{
	'\r': watch.Enter, '\n': watch.Enter, '\t': watch.Tab, '\b': watch.Backspace, 0x7f: watch.Backspace,
	byte(ctrlC): ctrlC, byte(ctrlL): ctrlL, byte(ctrlZ): ctrlZ, 'u' & 0x1f: watch.CtrlU, 'w' & 0x1f: watch.CtrlW,
}

// sequences are what ends those that begin with ESC [ or ESC O.
var sequences = map[string]watch.Key{
	"A": watch.Up, "B": watch.Down, "C": watch.Right, "D": watch.Left, "H": watch.Home, "F": watch.End,
	"1~": watch.Home, "7~": watch.Home, "4~": watch.End, "8~": watch.End, "5~": watch.PageUp, "6~": watch.PageDown,
}

// The Enter of the keypad, and the report of a mouse that a program has asked for and
// didn't live to ask no more: three bytes follow.
const (
	keypadEnter = "\x1bOM"
	mouse       = "\x1b[M"
	mouseSize   = len(mouse) + 3
)

// next returns the first key of the rest and its size in bytes, 0 if more is needed.
func (in *input) next() (watch.Key, int) {
	first := in.rest[0]
	switch {
	case in.lost:
		end := sequenceEnd(in.rest)
		if end < 0 {
			return noKey, len(in.rest)
		}
		in.lost = false
		if !isControl(in.rest[end]) {
			return noKey, end + 1
		}
		if end > 0 {
			return noKey, end
		}
		return in.next()
	case first == escape:
		return in.sequence()
	case isControl(first):
		return controls[first], 1
	case !utf8.FullRune(in.rest):
		return noKey, 0
	}
	r, size := utf8.DecodeRune(in.rest)
	if r == utf8.RuneError {
		return noKey, size
	}
	return watch.Key(r), size
}

// sequence returns the key of an escape sequence. What begins none is the Esc key and
// another one, which came together.
func (in *input) sequence() (watch.Key, int) {
	if len(in.rest) == 1 {
		return noKey, 0
	}
	switch {
	case in.rest[1] != '[' && in.rest[1] != 'O':
		return watch.Escape, 1
	case bytes.HasPrefix(in.rest, []byte(keypadEnter)):
		return watch.Enter, len(keypadEnter)
	case bytes.HasPrefix(in.rest, []byte(mouse)):
		if len(in.rest) < mouseSize {
			return noKey, 0
		}
		return noKey, mouseSize
	}
	// "ESC [" takes parameters, 0x30 to 0x3f, and ends with a byte from 0x40.
	end := sequenceEnd(in.rest[2:])
	if end < 0 && len(in.rest) < maxSequence {
		return noKey, 0
	}
	if end < 0 {
		in.lost = true
		return noKey, len(in.rest)
	}
	end += 2
	if isControl(in.rest[end]) { // it is broken off, by a key of its own
		return noKey, end
	}
	if end >= maxSequence {
		return noKey, end + 1
	}
	parameters, last := string(in.rest[2:end]), string(in.rest[end])
	if first, modifier, ok := strings.Cut(parameters, ";"); ok && modifier != "" {
		parameters = first // Shift, Ctrl or Alt with it
		if last != "~" {
			parameters = strings.TrimPrefix(first, "1")
		}
	}
	return sequences[parameters+last], end + 1
}

// sequenceEnd returns where the byte is that ends a sequence, -1 if it isn't there yet.
func sequenceEnd(text []byte) int {
	return bytes.IndexFunc(text, func(r rune) bool { return r < ' ' || r >= 0x40 })
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
