package format

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendJSON appends the document {"stats": {NAME: NUMBER, ...}, "timestamp":
// SECONDS} and a line break: the stats of s.Flatten(), names sorted, and the
// Unix time at which they were collected, to the millisecond.
//
// Integers have no point and floats have one; JSON knows neither NaN nor
// infinities, which are null. JSON strings are Unicode and names are bytes:
// see AppendJSONName for the names that are not UTF-8.
func AppendJSON(b []byte, s *Snapshot, collected time.Time) []byte {
	b = append(b, `{"stats":`...)
	b = AppendJSONStats(b, s)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendFloat(b, float64(collected.UnixMilli())/1000, 'f', 3, 64)
	return append(b, "}\n"...)
}

// AppendJSONStats appends {NAME: NUMBER, ...} alone, as AppendJSON has it.
func AppendJSONStats(b []byte, s *Snapshot) []byte {
	b = append(b, '{')
	for i, stat := range s.Flatten().Stats {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendJSONName(b, stat.Name)
		b = append(b, ':')
		b = appendJSONNumber(b, stat.Value)
	}
	return append(b, '}')
}

func appendJSONNumber(b []byte, v Value) []byte {
	if f := v.Float64(); f != f || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	start := len(b)
	b = v.Append(b)
	if !v.IsFloat() {
		return b
	}
	for i, c := range b[start:] {
		switch c {
		case '.':
			return b
		case 'e': // 1e+16 is a float in JSON as well, but has no point
			exponent := string(b[start+i:])
			return append(append(b[:start+i], ".0"...), exponent...)
		}
	}
	return b
}

const hexDigits = "0123456789abcdef"

// AppendJSONName appends the name as a JSON string. A byte that is not part of
// UTF-8 text becomes the four characters \xHH; and so that no two names become
// the same string, a backslash that stands before xHH in the name itself
// becomes \x5c. Undo both by replacing every \xHH with its byte.
func AppendJSONName(b []byte, name string) []byte {
	b = append(b, '"')
	for i := 0; i < len(name); {
		c := name[i]
		switch {
		case c >= utf8.RuneSelf:
			if r, size := utf8.DecodeRuneInString(name[i:]); r != utf8.RuneError || size > 1 {
				b = appendJSONRune(b, r)
				i += size
				continue
			}
			b = append(b, `\\x`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		case c == '\\' && isByteEscape(name[i:]):
			b = append(b, `\\x5c`...)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}

// appendJSONRune appends a character beyond ASCII: as it is if it can be seen,
// else escaped, since JSON is read at terminals as well.
func appendJSONRune(b []byte, r rune) []byte {
	if unicode.IsPrint(r) {
		return utf8.AppendRune(b, r)
	}
	for _, unit := range utf16.AppendRune(nil, r) {
		b = fmt.Appendf(b, `\u%04x`, unit)
	}
	return b
}

// isByteEscape tells whether s begins with \xHH.
func isByteEscape(s string) bool {
	return len(s) >= 4 && s[1] == 'x' && isHexDigit(s[2]) && isHexDigit(s[3])
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
