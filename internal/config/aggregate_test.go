package config

import (
	"strings"
	"testing"
)

func TestAggregateRules(t *testing.T) {
	is := func(rules, name, want string) {
		t.Helper()
		aggregate, err := parseAggregate(rules)
		if err != nil {
			t.Errorf("%q: %v", rules, err)
			return
		}
		if got := aggregateOf(&Config{Aggregate: aggregate}, name); got != want {
			t.Errorf("%q: %q is %s, want %s", rules, name, got, want)
		}
	}
	is("", "a", "no rules")
	is("\n , \n\t,", "a", "no rules")
	is("a: max", "a", "max")
	is("a: max", "b", "sum")
	is("a: max", "a.b", "sum")
	is("*: sum", "a", "sum")
	is("*.temperature: min", "cpu.0.temperature", "min")
	is("a/*: avg", "a/b/c", "avg")
	is("[ab]?: max", "b1", "max")
	is("a:max", "a", "max")
	is("  a b :\tavg ", "a b", "avg")
	is("queue: main: max", "queue: main", "max") // the last colon counts
	is(`a\*: max`, "a*", "max")
	is(`a\*: max`, "ab", "sum")
	is("a: max\r\nb: min\r\n", "b", "min")

	// The first that matches counts.
	is("a.b: max, a.*: min, *: avg", "a.b", "max")
	is("a.b: max, a.*: min, *: avg", "a.c", "min")
	is("a.b: max\na.*: min\n*: avg", "c", "avg")
	is("*: avg, a.b: max", "a.b", "avg")
}

func TestMalformedAggregateRules(t *testing.T) {
	fails := func(rules string, want ...string) {
		t.Helper()
		aggregate, err := parseAggregate(rules)
		if err == nil {
			t.Errorf("no error for %q", rules)
			return
		}
		if aggregate != nil {
			t.Errorf("%q: there are rules beside the error", rules)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: the error %q does not say %q", rules, err, w)
			}
		}
	}
	fails("max", `"max"`, "GLOB: AGGREGATE")
	fails("a: max, b", `"b"`, "GLOB: AGGREGATE")
	fails("a: median", `"a: median"`, `"median"`, "sum, min, max, avg")
	fails("a: Max", `"Max"`)
	fails("a:", `""`)
	fails("a: max: ", `""`)
	fails("[: max", `"["`, "malformed")
	fails("a: max\nb: max\nc: most", `"c: most"`)
}

func TestAggregateComesInEveryWay(t *testing.T) {
	is := func(c *Config, err error, names ...string) {
		t.Helper()
		if err != nil {
			t.Error(err)
			return
		}
		for i := 0; i < len(names); i += 2 {
			if got := aggregateOf(c, names[i]); got != names[i+1] {
				t.Errorf("%s is %s, want %s", names[i], got, names[i+1])
			}
		}
	}
	block := "aggregate: |\n  *.temperature: max\n  app.*: min\n\n  queue: main: avg\n"
	c, err := load(t, block)
	is(c, err, "cpu.temperature", "max", "app.x", "min", "app.temperature", "max", "queue: main", "avg", "other", "sum")
	c, err = load(t, "aggregate: 'a: max, b: min'\n")
	is(c, err, "a", "max", "b", "min", "c", "sum")

	// Who says something else replaces all rules.
	t.Setenv("STATVENT_AGGREGATE", "a: max,b: min, c: avg")
	c, err = load(t, block)
	is(c, err, "a", "max", "b", "min", "c", "avg", "app.x", "sum")
	c, err = load(t, block, "--aggregate", "a: avg")
	is(c, err, "a", "avg", "b", "sum", "app.x", "sum")
	c, err = load(t, block, "--aggregate=a: avg\nb: max")
	is(c, err, "a", "avg", "b", "max")
}

func TestMalformedRulesAreNamedWithTheirOrigin(t *testing.T) {
	fails := func(text string, args []string, want ...string) {
		t.Helper()
		c, err := load(t, text, args...)
		if err == nil {
			t.Errorf("no error for %q %q, and a is %s", text, args, aggregateOf(c, "a"))
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error %q does not say %q", err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("the error %q has more than one line", err)
		}
	}
	fails("aggregate: |\n  a: max\n  b: most\n", nil, "aggregate in ", "test.yaml", `"b: most"`)
	fails("aggregate: max\n", nil, "aggregate in ", "test.yaml", `"max"`)
	fails("aggregate: 'a: max'\n", []string{"--aggregate", "["}, "--aggregate", `"["`)
	// Without the bar it isn't a text.
	fails("aggregate:\n  a: max\n", nil, "aggregate", "test.yaml")
	fails("aggregate:\n  - 'a: max'\n", nil, "aggregate", "test.yaml")
	fails("aggregate: *.temperature: max\n", nil, "test.yaml")

	t.Setenv("STATVENT_AGGREGATE", "a")
	fails("aggregate: 'a: max'\n", nil, "STATVENT_AGGREGATE", `"a"`)
}
