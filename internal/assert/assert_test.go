package assert

import (
	"math"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func snapshot() *format.Snapshot {
	s := &format.Snapshot{Stats: []format.Stat{
		{Name: "a <= b", Value: format.Int(1)},
		{Name: "api.errors", Value: format.Int(0)},
		{Name: "big", Value: format.Int(9007199254740993)},
		{Name: "db.errors", Value: format.Int(2)},
		{Name: "endless", Value: format.Float(math.Inf(1))},
		{Name: "errors", Value: format.Int(7)},
		{Name: "latency.99th", Value: format.Float(0.25)},
		{Name: "least", Value: format.Int(math.MinInt64)},
		{Name: "most", Value: format.Int(math.MaxInt64)},
		{Name: "none", Value: format.Float(math.NaN())},
		{Name: "requests of \"GET /a b\"", Value: format.Int(3)},
		{Name: "stars*", Value: format.Int(5)},
		{Name: "starship", Value: format.Int(6)},
		{Name: "x=", Value: format.Int(4)},
	}}
	s.Sort()
	return s
}

func TestExpectations(t *testing.T) {
	check := func(text string) string {
		t.Helper()
		e, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			return ""
		}
		var lines []string
		for _, failure := range e.Check(snapshot()) {
			lines = append(lines, failure.String())
		}
		return strings.Join(lines, "\n")
	}
	holds := func(text string) {
		t.Helper()
		if got := check(text); got != "" {
			t.Errorf("%q fails: %s", text, got)
		}
	}
	fails := func(text string, want ...string) {
		t.Helper()
		if got := check(text); got != strings.Join(want, "\n") {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}

	holds("errors < 8")
	holds("errors<8")
	holds("  errors  <=  7  ")
	holds("errors >= 7")
	holds("errors > -1")
	holds("errors == 7")
	holds("errors == 7.0")
	holds("errors != 8")
	holds("latency.99th < 0.5")
	fails("errors < 7", "errors: 7, expected < 7")
	fails("errors > 7", "errors: 7, expected > 7")
	fails("errors <= 6.5", "errors: 7, expected <= 6.5")
	fails("errors >= 1e3", "errors: 7, expected >= 1000.0")
	fails("errors == -7", "errors: 7, expected == -7")
	fails("errors != 7", "errors: 7, expected != 7")
	fails("latency.99th < .2", "latency.99th: 0.25, expected < 0.2")

	// A name as cat prints it: with blanks, operators and quotes.
	holds("a <= b == 1")
	holds("x= < 5")
	holds("x=<5")
	holds("'x=' == 4")
	holds(`requests of "GET /a b" == 3`)
	holds(`'requests of "GET /a b"' == 3`)
	fails("\"errors\" < 5", "errors: 7, expected < 5")

	// Exact beyond the integers that a float holds.
	holds("big == 9007199254740993")
	fails("big == 9007199254740992", "big: 9007199254740993, expected == 9007199254740992")
	fails("big == 9007199254740992.0", "big: 9007199254740993, expected == 9007199254740992.0")
	holds("big > 9007199254740992.0")
	holds("most < 9223372036854775808")
	holds("most < inf")
	holds("least > -inf")
	holds("least == -9223372036854775808.0")
	holds("least > -9223372036854777856.0")
	holds("endless == inf")
	holds("endless > 1e308")
	holds("errors > 6.5")
	holds("least < -0.5")

	// What is no number is as nobody expects it.
	holds("none != 5")
	fails("none == 5", "none: nan, expected == 5")
	fails("none < 5", "none: nan, expected < 5")
	fails("none >= 5", "none: nan, expected >= 5")

	fails("missing == 0", "missing: no such stat, expected == 0")
	fails("missing != 0", "missing: no such stat, expected != 0")

	// A name is a name first, and in quotes nothing else.
	holds("*.errors < 3")
	fails("*.errors == 0", "db.errors: 2, expected == 0")
	fails("*errors < 1", "db.errors: 2, expected < 1", "errors: 7, expected < 1")
	fails("no.*.errors == 0", "no.*.errors: no such stat, expected == 0")
	holds("stars* == 5")
	holds("star* < 7")
	fails("'star*' < 7", "star*: no such stat, expected < 7")
	fails("a[ == 1", "a[: no such stat, expected == 1")
}

func TestMalformed(t *testing.T) {
	malformed := func(text, want string) {
		t.Helper()
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	malformed("", "none of < <= > >= == != in it")
	malformed("errors", "none of < <= > >= == != in it")
	malformed("errors = 5", "= is none of")
	malformed("errors ! 5", "! is none of")
	malformed("errors <", "not a number")
	malformed("errors < many", `not a number: "many"`)
	malformed("errors < 5 and more", "not a number")
	malformed("errors < 0x10", "not a number")
	malformed("errors < nan", "nothing can be compared with nan")
	malformed("< 5", "the name of the stat is missing")
	malformed("'' < 5", "the name of the stat is missing")
}
