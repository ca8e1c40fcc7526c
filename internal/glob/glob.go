// Package glob matches the names of stats against shell patterns.
package glob

import (
	"fmt"
	"path"
	"strings"
)

// Compile returns a function that tells whether a name matches any of the
// patterns: "*" stands for anything, "?" for one character, "[a-z]" for one of a set,
// and a backslash takes the meaning of the next. A slash is nothing special.
// Without patterns every name matches.
func Compile(patterns ...string) (match func(name string) bool, err error) {
	prepared := make([]string, len(patterns))
	for i, pattern := range patterns {
		prepared[i] = hideSlashes(pattern)
		if _, err := path.Match(prepared[i], ""); err != nil {
			return nil, fmt.Errorf("the pattern %q is malformed", pattern)
		}
	}
	return func(name string) bool {
		name = hideSlashes(name)
		for _, pattern := range prepared {
			if ok, _ := path.Match(pattern, name); ok {
				return true
			}
		}
		return len(prepared) == 0
	}, nil
}

// hideSlashes keeps path.Match from stopping at slashes. A zero byte matches a
// slash then, which does no harm.
func hideSlashes(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
