package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
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

// FuzzExposition exposes the stats of a document in the typed format, of whatever kinds,
// values, labels and names, in every format, and has Prometheus' parsers read it.
func FuzzExposition(f *testing.F) {
	for _, text := range []string{
		"counter a: 1\ngauge a.b: -2.5\nuntyped a_b: nan\n", "counter a_total: 1\ncounter a: 2\ngauge a_created: 1\n", "counter a{b=\"c\"}: inf\ncounter a{b=\"d\"}: 1\ngauge a: 1\n",
		"distribution d.{0}: 3\nsum d.{0}: 6\nlabel median d.{0}: 50\nlabel mean d.{0}: -1\nlabel 99.9th d.{0}: 99.9\nsample d.{0}: 1\nsample d.{0}: nan\nsample d.{0}: -inf\n",
		"distribution d: 3\nsum d: 1e308\nlabel count d: 50\nlabel sum d: 100\nlabel %22%0a d: 150\nsample d: 1\ngauge d_count: 7\n",
		"distribution d{x=\"{0}\"}: 1\nlabel a d{x=\"{0}\"}: 50\nsample d{x=\"{0}\"}: 1\ndistribution d: 1\nlabel a d: 50\nsample d: 2\n",
		"gauge \xff: 1\ngauge \\xff: 2\ngauge größe: 3\ngauge : 4\ngauge up: 5\ngauge statvent_clashing: 6\n", "counter a: -1\ncounter b: nan\nuntyped c: 9223372036854775807\n",
	} {
		f.Add([]byte(text))
	}
	formats := everyFormat()
	f.Fuzz(func(t *testing.T, text []byte) {
		total := format.Combiner{}.Combine(snapshotOf(text))
		if len(total.Stats) > 32 {
			return
		}
		samples := -1
		for _, a := range formats {
			got := len(check(t, a, total.Stats...))
			if samples >= 0 && got != samples {
				t.Errorf("%v: %d samples, and %d in another format", a, got, samples)
			}
			samples = got
		}
	})
}

// snapshotOf returns the stats of lines in the typed format, without the count at the
// end, which is whatever makes them whole.
func snapshotOf(lines []byte) *format.Snapshot {
	for n := range bytes.Count(lines, []byte("\n")) + 2 {
		var p format.TypedParser
		if _, err := fmt.Fprintf(&p, "statvent: 1\n%s\nend: %d\n", lines, n); err != nil {
			break
		}
		if documents, err := p.Documents(); err == nil && len(documents) == 1 {
			return documents[0].Snapshot
		}
	}
	return &format.Snapshot{}
}
