package assert

import (
	"math"
	"math/big"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// FuzzParse reads an expectation, writes it and reads it again, and holds values to
// it as exact arithmetic does.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"errors < 5", "a>=1", `"a < b" != 1.5`, "'it''s' == -0.0", "app.* <= inf", "[ > 9223372036854775807", "a = 1", "a == nan", " < 1", `"" > 1`, "a!=1e300",
	} {
		f.Add(text, uint64(5), false)
		f.Add(text, math.Float64bits(9007199254740993), true)
	}
	f.Fuzz(func(t *testing.T, text string, bits uint64, float bool) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		v := format.Int(int64(bits))
		if float {
			v = format.Float(math.Float64frombits(bits))
		}
		for _, value := range []format.Value{v, e.limit, format.Float(e.limit.Float64())} {
			if got, want := e.holds(value), exactly(value, e.operator, e.limit); got != want {
				t.Errorf("%q: %v holds: %v, want %v", text, value, got, want)
			}
		}
		if e.name == "" {
			t.Errorf("%q is of no stat", text)
		}

		quoted := `"` + e.name + `"`
		again, err := Parse(quoted + " " + e.operator + " " + e.limit.String())
		if err != nil || again.name != e.name || !again.literal || again.operator != e.operator || again.limit.String() != e.limit.String() {
			t.Errorf("%q is written %s %s %s, and read %+v, %v", text, quoted, e.operator, e.limit, again, err)
		}

		// The stat of that name counts, whatever it would match.
		s := &format.Snapshot{Stats: []format.Stat{{Name: e.name, Value: v}, {Name: e.name + "x", Value: v}}}
		failures := e.Check(s)
		if holds := e.holds(v); holds != (len(failures) == 0) || !holds && failures[0].Name != e.name {
			t.Errorf("%q: of %v: %v", text, v, failures)
		}
	})
}

// exactly compares two numbers as they are, without rounding.
func exactly(v format.Value, operator string, w format.Value) bool {
	if x := v.Float64(); x != x {
		return operator == "!="
	}
	number := func(v format.Value) *big.Float {
		if v.IsFloat() {
			return big.NewFloat(v.Float64())
		}
		return new(big.Float).SetInt64(v.Int64())
	}
	order := number(v).Cmp(number(w))
	return map[string]bool{"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "==": order == 0, "!=": order != 0}[operator]
}
