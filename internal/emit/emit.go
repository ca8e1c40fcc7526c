// Package emit is what `statvent emit` does with the values that a script hands
// it.
package emit

import (
	"fmt"
	"math"
	"strings"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/statvent"
)

// A Target takes values of so many names; nobody reads more.
type Target struct {
	increment, set, record func(name string, v format.Value)

	names    map[string]bool
	maxNames int
}

// Stored returns a Target that collects changes, of as many names as are kept of a
// user.
func Stored(c *format.Changes, maxNames int) *Target {
	return &Target{c.Increment, c.Set, c.Record, make(map[string]bool), maxNames}
}

// Live returns a Target that is a registry.
func Live(r *statvent.Registry) *Target {
	t := &Target{names: make(map[string]bool), maxNames: statvent.MaxStats}
	t.increment = func(name string, v format.Value) {
		if v.IsFloat() {
			r.IncrByFloat(name, v.Float64())
		} else {
			r.IncrBy(name, v.Int64())
		}
	}
	t.set = func(name string, v format.Value) {
		if v.IsFloat() {
			r.SetFloat(name, v.Float64())
		} else {
			r.Set(name, v.Int64())
		}
	}
	t.record = func(name string, v format.Value) {
		if v.IsFloat() {
			r.RecordFloat(name, v.Float64())
		} else {
			r.Record(name, v.Int64())
		}
	}
	return t
}

// A Verb says what is done with a value.
type Verb int

// The verbs.
const (
	Increment Verb = iota
	Set
	Record
)

// largest is how large a value may be: sums of such are finite for long.
const largest = 1e300

// Apply does what the verb says to the stat of that name. It refuses names that
// nobody could find again, and values of which no sum can be made.
func (verb Verb) Apply(t *Target, name string, v format.Value) error {
	if err := format.CheckName(name); err != nil {
		return err
	}
	if !(math.Abs(v.Float64()) <= largest) {
		return fmt.Errorf("%s: %s is not a number between -1e300 and 1e300", name, v)
	}
	if verb != Record && strings.Contains(name, "{0}") {
		return fmt.Errorf("%s: {0} is for what is recorded", name)
	}
	if !t.names[name] {
		if len(t.names) >= t.maxNames {
			return fmt.Errorf("%s: there are %d names already, and more are read by nobody", name, t.maxNames)
		}
		t.names[name] = true
	}
	switch verb {
	case Set:
		t.set(name, v)
	case Record:
		t.record(name, v)
	default:
		t.increment(name, v)
	}
	return nil
}

// Line applies a line NAME: VALUE.
func (verb Verb) Line(t *Target, line string) error {
	name, v, err := format.ParseLine(line)
	if err != nil {
		return err
	}
	return verb.Apply(t, name, v)
}

// TypedLine applies a line of the typed format that holds a value: KIND NAME:
// VALUE.
func TypedLine(t *Target, line string) error {
	keyword, rest, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	verb, known := typedVerbs[keyword]
	if !known {
		return fmt.Errorf("%q is not counter, gauge or sample", keyword)
	}
	name, v, err := format.ParseLine(rest)
	if err != nil {
		return err
	}
	if verb == Increment && v.Float64() < 0 {
		return fmt.Errorf("counter %s: %s is negative, as only a gauge can be", name, v)
	}
	return verb.Apply(t, name, v)
}

// typedVerbs are the keywords of lines that hold a value.
var typedVerbs = map[string]Verb{"counter": Increment, "gauge": Set, "sample": Record}
