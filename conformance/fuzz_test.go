package conformance

import (
	"strings"
	"testing"
)

// FuzzNames takes lines as names of stats, whose kinds the numbers choose, and
// reads what they become in every format.
func FuzzNames(f *testing.F) {
	for _, text := range []string{
		"a\na.b\na_b\na b", "a{b=\"c\"}\na{b=\"c\",}\na{b=\"d\",b=\"d\"}", "a.{0}\na_sum\na_count\na_total\na_created",
		"statvent_clashing\nstatvent_clashing{stat=\"a\"}", "\xff\n\\xff\n\x00\n\\x00", "😀\n\"\n\\\n{", "{\"a\",b=\"c\"}\na{quantile=\"{0}\"}",
		"a{b=\"{0}\"}\na_{0}{b=\"c\"}\na{b=\"c\"}.{0}", "_total\n_total_total\n\n_created", "U__a\nU__a_2e_b\na.b",
	} {
		f.Add(text, uint64(0))
		f.Add(text, uint64(0xe4e4e4e4e4))
	}
	formats := everyFormat()
	f.Fuzz(func(t *testing.T, text string, choice uint64) {
		list := strings.Split(text, "\n")
		if len(list) > 32 {
			list = list[:32]
		}
		stats := unique(list, func(i int) int { return int(choice >> (2 * i) & 3) })
		for _, a := range formats {
			checkFound(t, a, check(t, a, stats...), stats)
		}
	})
}
