package format

import (
	"errors"
	"fmt"
	"strings"
)

// blanks are the bytes that a reader of the plain format takes off either end
// of a name and of a value.
const blanks = " \t\r\v\f"

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// CleanName returns the name as a line of the plain format can carry it: each
// line break, which would end the line, is a blank, and no blank is left at
// either end, where a reader would take it off.
func CleanName(name string) string {
	if strings.ContainsAny(name, "\n\r") {
		name = lineBreaks.Replace(name)
	}
	return strings.Trim(name, blanks)
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
