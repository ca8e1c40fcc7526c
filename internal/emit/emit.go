// Package emit is what `statvent emit` does with the values that a script hands
// it.
package emit

import (
	"fmt"
	"strings"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/statvent"
)

// A Target takes values: *format.Changes, which are stored later, or a registry,
// see Live.
type Target interface {
	Increment(name string, v format.Value)
	Set(name string, v format.Value)
	Record(name string, v format.Value)
}

// Live returns a Target that is a registry.
func Live(r *statvent.Registry) Target { return live{r} }

type live struct{ registry *statvent.Registry }

func (l live) Increment(name string, v format.Value) {
	if v.IsFloat() {
		l.registry.IncrByFloat(name, v.Float64())
	} else {
		l.registry.IncrBy(name, v.Int64())
	}
}

func (l live) Set(name string, v format.Value) {
	if v.IsFloat() {
		l.registry.SetFloat(name, v.Float64())
	} else {
		l.registry.Set(name, v.Int64())
	}
}

func (l live) Record(name string, v format.Value) {
	if v.IsFloat() {
		l.registry.RecordFloat(name, v.Float64())
	} else {
		l.registry.Record(name, v.Int64())
	}
}

// A Verb says what is done with a value.
type Verb int

// The verbs.
const (
	Increment Verb = iota
	Set
	Record
)

// Apply does what the verb says to the stat of that name. It refuses names that
// nobody could find again, and values that are not finite: a sum would stay so.
func (verb Verb) Apply(t Target, name string, v format.Value) error {
	if err := format.CheckName(name); err != nil {
		return err
	}
	if !v.IsFinite() {
		return fmt.Errorf("%s: %s is not a finite number", name, v)
	}
	switch verb {
	case Set:
		t.Set(name, v)
	case Record:
		t.Record(name, v)
	default:
		t.Increment(name, v)
	}
	return nil
}

// Line applies a line NAME: VALUE.
func (verb Verb) Line(t Target, line string) error {
	name, v, err := format.ParseLine(line)
	if err != nil {
		return err
	}
	return verb.Apply(t, name, v)
}

// TypedLine applies a line of the typed format that holds a value: KIND NAME:
// VALUE.
func TypedLine(t Target, line string) error {
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
