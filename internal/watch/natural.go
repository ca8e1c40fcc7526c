package watch

import (
	"cmp"
	"strings"
)

// compareNaturally compares names as people do: the digits in them as numbers, which
// come before all else.
func compareNaturally(a, b string) int {
	for a != "" && b != "" {
		x, restOfA := cutNumber(a)
		y, restOfB := cutNumber(b)
		if x == "" || y == "" {
			if c := cmp.Or(-cmp.Compare(len(x), len(y)), cmp.Compare(a[0], b[0])); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
			continue
		}
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
		a, b = restOfA, restOfB
	}
	return cmp.Compare(len(a), len(b))
}

// cutNumber returns the digits that a text begins with, and what follows.
func cutNumber(text string) (digits, rest string) {
	rest = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(rest)], rest
}
