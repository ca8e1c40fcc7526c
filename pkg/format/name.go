package format

import (
	"errors"
	"fmt"
	"strings"
)

// isBlank tells whether a reader of the plain format takes the byte off either end
// of a name and of a value.
func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' && c != '\n' }

// trimBlanks takes them off. strings.Trim makes a set of its bytes each time, which
// was a fifth of the work of a parser.
func trimBlanks[T string | []byte](s T) T {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// CleanName returns the name as a line of the plain format can carry it: each
// line break, which would end the line, is a blank, and no blank is left at
// either end, where a reader would take it off.
func CleanName(name string) string {
	if strings.ContainsAny(name, "\n\r") {
		name = lineBreaks.Replace(name)
	}
	return trimBlanks(name)
}

// MaxName is the length of the longest name, in bytes, that fits into a line of
// each format with what stands beside it.
const MaxName = DefaultMaxLine - 1024

// CheckName says what is wrong with a name that nobody could find again: CleanName
// leaves nothing of it, or it is longer than MaxName.
func CheckName(name string) error {
	switch {
	case CleanName(name) == "":
		return errors.New("the name is empty")
	case len(name) > MaxName:
		return fmt.Errorf("the name has %d bytes, and %d are the most", len(name), MaxName)
	}
	return nil
}
