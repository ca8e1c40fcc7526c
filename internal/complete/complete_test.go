package complete

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func candidates(texts ...string) []Candidate {
	var cs []Candidate
	for _, text := range texts {
		cs = append(cs, Candidate{Text: text})
	}
	return cs
}

func texts(cs []Candidate) []string {
	all := []string{}
	for _, c := range cs {
		all = append(all, c.Text)
	}
	return all
}

func TestNarrow(t *testing.T) {
	all := candidates("b", "app.requests", "app.errors", "app.errors", "a\x1b[2J", "a\u202eb", "a\xff", "", "a b \"c\"")
	is := func(word string, given []string, want ...string) {
		t.Helper()
		got, more := Narrow(all, word, given...)
		if !slices.Equal(texts(got), want) || more {
			t.Errorf("%q becomes %q (%t), want %q", word, texts(got), more, want)
		}
	}
	is("", nil, `a b "c"`, "app.errors", "app.requests", "b")
	is("app.", nil, "app.errors", "app.requests")
	is("app.", []string{"app.errors"}, "app.requests")
	is("x", nil)
}

func TestManyNamesAreOfferedByTheirFirstWords(t *testing.T) {
	var all []Candidate
	for i := range 1000 {
		all = append(all, Candidate{Text: fmt.Sprintf("app.%d.requests.%d", i%3, i)})
	}
	all = append(all, Candidate{Text: "alone"})
	is := func(word string, wantMore bool, want ...string) {
		t.Helper()
		got, more := Narrow(all, word)
		if !slices.Equal(texts(got), want) || more != wantMore {
			t.Errorf("%q becomes %q (%t), want %q", word, texts(got), more, want)
		}
	}
	is("", true, "alone", "app.")
	is("app.", true, "app.0.", "app.1.", "app.2.")
	is("app.1", true, "app.1.")
	is("al", false, "alone")
	is("app.1.requests.10", false, "app.1.requests.10", "app.1.requests.100", "app.1.requests.103", "app.1.requests.106", "app.1.requests.109")
}

func TestExpectations(t *testing.T) {
	stats := candidates("errors", "errors.fatal", "load")
	is := func(word, want string) {
		t.Helper()
		found, _ := Expectations(stats, word)
		if got := strings.Join(texts(found), "|"); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	is("", "errors|errors.fatal|load")
	is("err", "errors|errors.fatal")
	is("errors", "errors.fatal|errors <|errors <=|errors ==|errors !=|errors >=|errors >")
	is("errors ", "errors <|errors <=|errors ==|errors !=|errors >=|errors >")
	is("lo", "load <|load <=|load ==|load !=|load >=|load >")
	is("load < 5", "")
	is("x", "")
}
