package emit

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// inexact finds the texts of which float64 may not hold each sum.
var inexact = regexp.MustCompile(`[.eEnN]|\d{15}`)

// FuzzLines gives the same lines to a file and to a live source: both take and refuse
// the same, and have the same in the end. A value comes out as it went in.
func FuzzLines(f *testing.F) {
	for _, text := range []string{
		"a: 1\nb: 2.5\na: 3\n", "counter a: 1\ngauge b: -2\nsample c.{0}: 3\n", "a: -1\na: 5\n", "a: 1e301\nb: nan\nc: inf\n", ": 1\n\xff: 1\n \ta b\t : 1\n",
		"{0}: 1\nsample {0}: 1\n", "counter a: -1\nuntyped b: 1\n", "gauge a: 1\ncounter a: 2\n", "a: 9223372036854775807\na: 1\n", "sample a: 1\nsample a.{0}: 2\n",
	} {
		for verb := range uint8(4) {
			f.Add(text, verb)
		}
	}
	f.Fuzz(func(t *testing.T, text string, way uint8) {
		lines := strings.Split(text, "\n")
		if len(lines) > 100 {
			lines = lines[:100]
		}
		apply := TypedLine
		if verb := Verb(way % 4); verb <= Record {
			apply = verb.Line
		}
		targets, has := newTargets()
		given := 0
		for _, line := range lines {
			stored, live := apply(targets["changes"], line), apply(targets["live"], line)
			if (stored == nil) != (live == nil) {
				t.Errorf("%q: %v when it is stored, and %v when it lives", line, stored, live)
			}
			if stored == nil {
				given++
			}
			if stored != nil && strings.Contains(stored.Error(), "\n") {
				t.Errorf("%q: the error has several lines: %q", line, stored)
			}
		}
		changes, live := format.Combiner{}.Combine(has["changes"]()), has["live"]() // a sum is stored in several parts
		for _, s := range []*format.Snapshot{changes, live} {
			for i, stat := range s.Stats { // once a float, always a float, as long as it lives
				switch stat.Kind {
				case format.Counter: // what is stored is rounded once, what lives with each increment
					if stat.Value.IsFloat() {
						s.Stats[i].Value, _ = format.ParseValue(strconv.FormatFloat(stat.Value.Float64(), 'e', 12, 64))
					}
				case format.Gauge:
					s.Stats[i].Value = stat.Value.ToFloat()
					if inexact.MatchString(text) { // and increments may leave nothing but what was rounded
						s.Stats[i].Value = format.Value{}
					}
				case format.Distribution:
					sum, size, isFloat := 0.0, 0.0, stat.Dist.Sum.IsFloat()
					for j, sample := range stat.Dist.Window {
						isFloat = isFloat || sample.IsFloat()
						stat.Dist.Window[j] = sample.ToFloat()
						sum += sample.Float64()
						size += math.Abs(sample.Float64())
					}
					if isFloat { // rounded once, or with each sample
						if off := math.Abs(stat.Dist.Sum.Float64() - sum); off > 1e-12*size {
							t.Errorf("%q: the sum of %v is %s", text, stat.Dist.Window, stat.Dist.Sum)
						}
						stat.Dist.Sum = format.Value{}
					}
				}
			}
		}
		if got, want := describe(changes), describe(live); got != want {
			t.Errorf("%q: %q is stored, and %q lives", text, got, want)
		}
		if len(live.Stats) > given || given > 0 && len(live.Stats) == 0 {
			t.Errorf("%q: %d stats of %d lines", text, len(live.Stats), given)
		}
		for _, stat := range live.Stats {
			if err := format.CheckName(stat.Name); err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if stat.Kind != format.Distribution && math.IsNaN(stat.Value.Float64()) {
				t.Errorf("%q: %s is %v", text, stat.Name, stat.Value)
			}
		}
	})
}
