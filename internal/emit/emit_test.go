package emit

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/statvent"
)

// newTargets returns one target of each kind, and what each of them has, by its
// name.
func newTargets() (targets map[string]*Target, has map[string]func() *format.Snapshot) {
	changes, registry := new(format.Changes), statvent.NewRegistry()
	targets = map[string]*Target{"changes": Stored(changes, 1_000_000), "live": Live(registry)}
	has = map[string]func() *format.Snapshot{
		"changes": func() *format.Snapshot {
			doc := &format.Document{Snapshot: &format.Snapshot{}}
			if err := changes.Apply(doc); err != nil {
				panic(err)
			}
			return doc.Snapshot
		},
		"live": registry.Snapshot,
	}
	return targets, has
}

// describe returns a line for each stat of a snapshot.
func describe(s *format.Snapshot) string {
	var b strings.Builder
	for _, stat := range s.Stats {
		fmt.Fprintf(&b, "%s %s: ", stat.Kind, stat.Name)
		if stat.Kind == format.Distribution {
			fmt.Fprintf(&b, "%d, sum %s, last %v\n", stat.Dist.Count, stat.Dist.Sum, stat.Dist.Window)
		} else {
			fmt.Fprintf(&b, "%s\n", stat.Value)
		}
	}
	return b.String()
}

// give does something with a target of each kind, and checks what it has then.
func give(t *testing.T, want string, do func(target *Target)) {
	t.Helper()
	targets, has := newTargets()
	for kind, target := range targets {
		do(target)
		if got := describe(has[kind]()); got != want {
			t.Errorf("%s: got\n%swant\n%s", kind, got, want)
		}
	}
}

// refuse does something with a target of each kind that is an error, which says
// these words, and leaves nothing.
func refuse(t *testing.T, do func(target *Target) error, words ...string) {
	t.Helper()
	give(t, "", func(target *Target) {
		t.Helper()
		err := do(target)
		if err == nil {
			t.Error("it is not refused")
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("the error %q does not say %q", err, word)
			}
		}
	})
}

func TestApply(t *testing.T) {
	type step struct {
		verb  Verb
		name  string
		value format.Value
	}
	f := func(want string, steps ...step) {
		t.Helper()
		give(t, want, func(target *Target) {
			t.Helper()
			for _, s := range steps {
				if err := s.verb.Apply(target, s.name, s.value); err != nil {
					t.Errorf("%q %s: %v", s.name, s.value, err)
				}
			}
		})
	}
	i, x := format.Int, format.Float
	f("counter a: 1\n", step{Increment, "a", i(1)})
	f("counter a: 0\n", step{Increment, "a", i(0)})
	f("counter a: 2.5\n", step{Increment, "a", x(2.5)})
	f("counter a: 2.0\n", step{Increment, "a", x(2)}) // what is a float stays one
	f("counter a: 3\n", step{Increment, "a", i(1)}, step{Increment, "a", i(2)})
	f("counter a: 3.5\n", step{Increment, "a", i(1)}, step{Increment, "a", x(2.5)})
	f("counter a: 9007199254740993\n", step{Increment, "a", i(1<<53 + 1)})
	f("gauge a: -1\n", step{Increment, "a", i(-1)})
	f("gauge a: -0.5\n", step{Increment, "a", x(-0.5)})
	f("gauge a: 2\n", step{Increment, "a", i(5)}, step{Increment, "a", i(-3)})

	f("gauge a: 1\n", step{Set, "a", i(1)})
	f("gauge a: -2.5\n", step{Set, "a", x(-2.5)})
	f("gauge a: 9007199254740993\n", step{Set, "a", i(1<<53 + 1)})
	f("gauge a: 4\n", step{Increment, "a", i(7)}, step{Set, "a", i(1)}, step{Set, "a", i(4)})
	f("gauge a: 5\n", step{Set, "a", i(4)}, step{Increment, "a", i(1)})

	f("distribution a.{0}: 1, sum -1, last [-1]\n", step{Record, "a", i(-1)})
	f("distribution a.{0}: 1, sum 0.5, last [0.5]\n", step{Record, "a", x(0.5)})
	f("distribution a.{0}: 2, sum 5, last [3 2]\n", step{Record, "a", i(3)}, step{Record, "a", i(2)})
	f("distribution a.{0}: 2, sum 5.0, last [3.0 2.0]\n", step{Record, "a", x(3)}, step{Record, "a.{0}", x(2)})

	// A distribution and one value of the same name are two stats.
	f("gauge a: 2\ndistribution a.{0}: 1, sum 3, last [3]\ncounter b: 1\n",
		step{Record, "a", i(3)}, step{Set, "a", i(2)}, step{Increment, "b", i(1)})
	// Names that are one when they are clean are one stat.
	f("counter a b: 7\n", step{Increment, " a b\t", i(1)}, step{Increment, "a\nb", i(2)}, step{Increment, "a b\r\n", i(4)})
	// The largest numbers there are.
	f("gauge a: -9223372036854775808\ncounter b: 9223372036854775807\ngauge c: 1e+300\n",
		step{Set, "a", i(math.MinInt64)}, step{Increment, "b", i(math.MaxInt64)}, step{Set, "c", x(1e300)})
}

func TestApplyRefusesEmptyNamesAndWhatIsNoFiniteNumber(t *testing.T) {
	for _, verb := range []Verb{Increment, Set, Record} {
		for _, name := range []string{"", " ", " \t\v\f", "\n", "\r", "\r\n", "\n\n\r\n", " \n\t"} {
			refuse(t, func(target *Target) error { return verb.Apply(target, name, format.Int(1)) }, "name is empty")
			if format.CheckName(name) == nil {
				t.Errorf("CheckName takes %q", name)
			}
		}
		for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			v := format.Float(value)
			refuse(t, func(target *Target) error { return verb.Apply(target, "my name", v) }, "my name", v.String(), "is not a number between")
		}
	}
}

// What is refused costs nothing of what was there before.
func TestRefusedValueLeavesTheStat(t *testing.T) {
	give(t, "counter a: 1\n", func(target *Target) {
		t.Helper()
		for _, text := range []string{"a: 1", "a: inf", "a: nan", "a: x", ": 2"} {
			if err := Increment.Line(target, text); (err == nil) != (text == "a: 1") {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", " a ", "a\nb", "-", ":", "{0}", "\x00", "caf\xe9", "日本"} {
		if err := format.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLine(t *testing.T) {
	good := func(verb Verb, line, want string) {
		t.Helper()
		give(t, want, func(target *Target) {
			t.Helper()
			if err := verb.Line(target, line); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		})
	}
	bad := func(line string, words ...string) {
		t.Helper()
		for _, verb := range []Verb{Increment, Set, Record} {
			refuse(t, func(target *Target) error { return verb.Line(target, line) }, words...)
		}
	}
	good(Increment, "a: 1", "counter a: 1\n")
	good(Increment, "a: -1", "gauge a: -1\n")
	good(Increment, "a:1.0", "counter a: 1.0\n")
	good(Set, "my name : 5 \r", "gauge my name: 5\n")
	good(Set, "a: b: 5", "gauge a: b: 5\n")
	good(Set, "counter a: 5", "gauge counter a: 5\n") // no keyword here
	good(Record, "a.{0}: 5", "distribution a.{0}: 1, sum 5, last [5]\n")

	bad("", "colon")
	bad("a 1", "colon", "a 1")
	bad("a:", "not a number")
	bad("a: 1 2", "not a number", "1 2")
	bad("a: 0x1", "not a number")
	bad(": 1", "name is empty")
	bad(" \t: 1", "name is empty")
	bad("a: 1e999", "is not a number between")
	bad("a: -inf", "is not a number between")
	bad("a: nan", "is not a number between")
}

func TestTypedLine(t *testing.T) {
	good := func(line, want string) {
		t.Helper()
		give(t, want, func(target *Target) {
			t.Helper()
			if err := TypedLine(target, line); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		})
	}
	bad := func(line string, words ...string) {
		t.Helper()
		refuse(t, func(target *Target) error { return TypedLine(target, line) }, words...)
	}
	good("counter a: 1", "counter a: 1\n")
	good("counter a: 2.5", "counter a: 2.5\n")
	good("counter a: 0", "counter a: 0\n")
	good("gauge a: 1", "gauge a: 1\n")
	good("gauge a: -2.5", "gauge a: -2.5\n")
	good("sample a: 3", "distribution a.{0}: 1, sum 3, last [3]\n")
	good("sample a.{0}: -0.5", "distribution a.{0}: 1, sum -0.5, last [-0.5]\n")
	// Blanks.
	good("gauge  \t my name \t:\t5 \r", "gauge my name: 5\n")
	good("counter a:1", "counter a: 1\n")
	// The name may be anything, be it a keyword, or have colons.
	good("counter gauge: 1", "counter gauge: 1\n")
	good("gauge counter: 1", "gauge counter: 1\n")
	good("sample sample: 1", "distribution sample.{0}: 1, sum 1, last [1]\n")
	good("gauge counter a: 1", "gauge counter a: 1\n")
	good("gauge counters: 1", "gauge counters: 1\n")
	good("gauge a: b: 1", "gauge a: b: 1\n")

	unknown := func(line, keyword string) {
		t.Helper()
		bad(line, fmt.Sprintf("%q", keyword), "is not counter, gauge or sample")
	}
	unknown("", "")
	unknown("a: 1", "a:")
	unknown("a b: 1", "a")
	good(" \tcounter a: 1", "counter a: 1\n") // indented, as in a script
	unknown("counter\ta: 1", "counter\ta:")
	unknown("counter: 1", "counter:")
	unknown("counters a: 1", "counters")
	unknown("gaugea: 1", "gaugea:")
	unknown("Counter a: 1", "Counter")
	unknown("untyped a: 1", "untyped")
	unknown("distribution a: 1", "distribution")
	unknown("sum a: 1", "sum")
	unknown("end: 0", "end:")

	bad("counter", "colon")
	bad("counter ", "colon")
	bad("counter a", "colon")
	bad("gauge a 1", "colon")
	bad("gauge a: x", "not a number")
	bad("sample a:", "not a number")
	for _, keyword := range []string{"counter", "gauge", "sample"} {
		bad(keyword+" : 1", "name is empty")
		bad(keyword+" \t : 1", "name is empty")
		bad(keyword+" a: inf", "a: inf is not a number between")
		bad(keyword+" a: nan", "a: nan is not a number between")
	}
	bad("counter a: -1", "as only a gauge can be")
	bad("counter a: -0.001", "as only a gauge can be")
	bad("counter a: -inf", "counter a")
}

// More names than a source may have are refused, and cost none of the others.
func TestNamesOfATargetAreBounded(t *testing.T) {
	give(t, "counter a: 3\ncounter b: 1\n", func(target *Target) {
		t.Helper()
		target.maxNames = 2
		for name, good := range map[string]bool{"a": true, "b": true} {
			if err := Increment.Apply(target, name, format.Int(1)); (err == nil) != good {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := Increment.Apply(target, "c", format.Int(1)); err == nil || !strings.Contains(err.Error(), "c: there are 2 names") {
			t.Errorf("one too many: %v", err)
		}
		if err := Increment.Apply(target, "a", format.Int(2)); err != nil {
			t.Errorf("one of those there are: %v", err)
		}
	})
}

func TestPlaceOfALabelIsForWhatIsRecorded(t *testing.T) {
	for _, verb := range []Verb{Increment, Set} {
		refuse(t, func(target *Target) error { return verb.Apply(target, "a.{0}", format.Int(1)) }, "a.{0}", "recorded")
	}
}
