// Package assert holds stats to what somebody expects of them, such as
// "errors < 5".
package assert

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/pkg/format"
)

// An Expectation is what somebody expects of a stat, or of all whose names match
// a pattern.
type Expectation struct {
	name    string
	literal bool // the name was in quotes, and is no pattern
	match   func(name string) bool

	operator string
	limit    format.Value
}

// compares tells whether an operator holds for how a value compares with the limit,
// and whether there is such an operator.
func compares(operator string, order int) (holds, known bool) {
	switch operator {
	case "<":
		return order < 0, true
	case "<=":
		return order <= 0, true
	case ">":
		return order > 0, true
	case ">=":
		return order >= 0, true
	case "==":
		return order == 0, true
	case "!=":
		return order != 0, true
	default:
		return false, false
	}
}

// Parse reads NAME OPERATOR NUMBER. The last operator counts, so that the name may
// have operators in it, and blanks; quotes around it are not part of it.
func Parse(text string) (*Expectation, error) {
	end := strings.LastIndexAny(text, "<>=!") + 1
	if end == 0 {
		return nil, fmt.Errorf("%q has none of < <= > >= == != in it", text)
	}
	start := end - 1
	if start > 0 && text[start] == '=' && strings.IndexByte("<>=!", text[start-1]) >= 0 {
		start--
	}
	e := &Expectation{name: strings.TrimSpace(text[:start]), operator: text[start:end]}
	if _, known := compares(e.operator, 0); !known {
		return nil, fmt.Errorf("%q: %s is none of < <= > >= == !=", text, e.operator)
	}
	number := strings.TrimSpace(text[end:])
	var err error
	if e.limit, err = format.ParseValue(number); err != nil {
		return nil, fmt.Errorf("%q: what stands behind %s is %w", text, e.operator, err)
	}
	if math.IsNaN(e.limit.Float64()) {
		return nil, fmt.Errorf("%q: nothing can be compared with %s", text, number)
	}
	if n := len(e.name); n >= 2 && (e.name[0] == '"' || e.name[0] == '\'') && e.name[0] == e.name[n-1] {
		e.name, e.literal = e.name[1:n-1], true
	}
	if e.name == "" {
		return nil, fmt.Errorf("%q: the name of the stat is missing", text)
	}
	if !e.literal && strings.ContainsAny(e.name, "*?[") {
		// A name is a name first, so it may be no pattern at all.
		e.match, _ = glob.Compile(e.name)
	}
	return e, nil
}

// A Failure is a stat that isn't as expected.
type Failure struct {
	Name     string
	Found    bool // else there is no such stat
	Value    format.Value
	Expected string // operator and number
}

// String returns the stat, its value and the expectation.
func (f Failure) String() string {
	if !f.Found {
		return fmt.Sprintf("%s: no such stat, expected %s", f.Name, f.Expected)
	}
	return fmt.Sprintf("%s: %v, expected %s", f.Name, f.Value, f.Expected)
}

// Check returns which stats of a flat snapshot are not as expected. The stat of
// that name counts; where there is none, all that the name matches as a pattern.
// That there is neither is a failure.
func (e *Expectation) Check(s *format.Snapshot) []Failure {
	expected := e.operator + " " + e.limit.String()
	if v, ok := s.Lookup(e.name); ok {
		if e.holds(v) {
			return nil
		}
		return []Failure{{e.name, true, v, expected}}
	}
	var failures []Failure
	found := false
	for _, stat := range s.Stats {
		if e.match == nil || !e.match(stat.Name) {
			continue
		}
		found = true
		if !e.holds(stat.Value) {
			failures = append(failures, Failure{stat.Name, true, stat.Value, expected})
		}
	}
	if !found {
		return []Failure{{Name: e.name, Expected: expected}}
	}
	return failures
}

func (e *Expectation) holds(v format.Value) bool {
	if math.IsNaN(v.Float64()) {
		return e.operator == "!="
	}
	holds, _ := compares(e.operator, compare(v, e.limit))
	return holds
}

// compare orders two numbers exactly, also an integer beyond 2^53 and a float.
func compare(v, w format.Value) int {
	switch {
	case v.IsFloat() == w.IsFloat():
		return v.Compare(w)
	case v.IsFloat():
		return -compare(w, v)
	}
	f := w.Float64()
	switch {
	case f >= math.MaxInt64: // the constant rounds to 2^63, the first float beyond
		return -1
	case f < math.MinInt64:
		return 1
	}
	whole, rest := math.Modf(f)
	return cmp.Or(cmp.Compare(v.Int64(), int64(whole)), cmp.Compare(0, rest))
}
