package watch

import (
	"cmp"
	"math"
	"strings"
)

// An order is what a row is sorted by: a number, or a text.
type order struct {
	number float64
	text   string
}

// orderBy returns what a row is sorted by in a column, as it is shown there. It is no
// number where the row has none, or is gone.
func (r *Row) orderBy(c Column, totals bool) order {
	known := r.Here
	number := 0.0
	switch c {
	case ByName:
		return order{}
	case ByUser:
		return order{text: r.Source.User}
	case ByState:
		return order{text: string(r.Source.State)}
	case ByCommand:
		return order{text: r.Source.Command}
	case ByValue:
		number = r.number
	case ByRate:
		number = r.Rate
		if totals {
			number = r.Grown
		}
	case ByAverage:
		number = r.Average
	case ByPID:
		number, known = float64(r.Source.PID), r.Source.PID != 0
	case ByAge:
		if known = r.Source.Age != nil; known {
			number = *r.Source.Age
		}
	case ByStats:
		number, known = float64(r.Source.Stats), r.Source.ValuesAge != nil
	}
	if !known {
		number = math.NaN()
	}
	return order{number: number}
}

// compare compares rows by what they are sorted by. What isn't a number comes last,
// either way.
func (p *Page) compare(a, b *Row) int {
	sign := 1
	if p.Reverse {
		sign = -1
	}
	if p.Sort == ByName {
		return sign * a.compareNames(b)
	}
	x, y := &a.order, &b.order
	c := rank(math.IsNaN(x.number)) - rank(math.IsNaN(y.number))
	if c == 0 {
		c = sign * cmp.Or(cmp.Compare(x.number, y.number), strings.Compare(x.text, y.text))
	}
	if c == 0 {
		c = a.compareNames(b)
	}
	return c
}

// compareNames compares the names of stats as everywhere, those of sources as people do.
func (r *Row) compareNames(other *Row) int {
	if r.Source != nil && other.Source != nil {
		if c := compareNaturally(r.Name, other.Name); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(r.key, other.key), rank(r.dist)-rank(other.dist))
}

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
