package format

import "strings"

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
