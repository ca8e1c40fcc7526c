package config

import (
	"fmt"
	"strings"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/pkg/format"
)

// rules is the value of an option that may be repeated: a line for each.
type rules string

func (r *rules) String() string { return string(*r) }
func (r *rules) Type() string   { return "rule" }

func (r *rules) Set(text string) error {
	if *r != "" {
		*r += "\n"
	}
	*r += rules(text)
	return nil
}

// ruleList returns the rules of a text, which are one a line or separated by commas.
func ruleList(text string) []string {
	list := []string{}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ',' }) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// parseAggregate reads rules "GLOB: AGGREGATE" and returns what they say of a
// gauge: what the first says that matches its name, else that it is added up. It
// returns nil where there are no rules.
func parseAggregate(text string) (func(name string) format.Aggregate, error) {
	type rule struct {
		match     func(name string) bool
		aggregate format.Aggregate
	}
	var rules []rule
	for _, line := range ruleList(text) {
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 {
			return nil, fmt.Errorf("%q is not of the form GLOB: AGGREGATE, such as *.queue_length: max", line)
		}
		match, err := glob.Compile(strings.TrimSpace(line[:colon]))
		if err != nil {
			return nil, err
		}
		aggregate, err := format.ParseAggregate(strings.TrimSpace(line[colon+1:]))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		rules = append(rules, rule{match, aggregate})
	}
	if len(rules) == 0 {
		return nil, nil
	}
	return func(name string) format.Aggregate {
		for _, r := range rules {
			if r.match(name) {
				return r.aggregate
			}
		}
		return format.AggregateSum
	}, nil
}
