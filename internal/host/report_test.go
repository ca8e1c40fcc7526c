package host

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

var collected = time.UnixMilli(1_700_000_000_250)

// noPID is more than any pid.
const noPID = 99_999_999

// describe returns the report of a collection of that source.
func describe(t *testing.T, s pipes.Source) Source {
	t.Helper()
	r := Describe(&pipes.Collection{Time: collected, Sources: []pipes.Source{s}}, &format.Snapshot{})
	if len(r.Sources) != 1 {
		t.Fatalf("there are %d sources", len(r.Sources))
	}
	return r.Sources[0]
}

func checkSeconds(t *testing.T, what string, got *float64, want ...float64) {
	t.Helper()
	switch {
	case len(want) == 0 && got != nil:
		t.Errorf("%s is %v, want none", what, *got)
	case len(want) == 1 && got == nil:
		t.Errorf("%s is unknown, want %v", what, want[0])
	case len(want) == 1 && *got != want[0]:
		t.Errorf("%s is %v, want %v", what, *got, want[0])
	}
}

// Lists that are empty are lists in JSON, not null.
func TestReportOfNothing(t *testing.T) {
	text, err := json.Marshal(Describe(&pipes.Collection{Dir: "/pipes", Time: collected}, &format.Snapshot{}))
	const want = `{"pipe_dir":"/pipes","timestamp":1700000000.25,"sources":[],"passed_over":[],"left_out":[],"conflicts":[],"limits":[]}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestReportSaysWhatASourceIs(t *testing.T) {
	snapshot := &format.Snapshot{Skipped: 3, Stats: []format.Stat{{Name: "a"}, {Name: "b"}}}
	got := describe(t, pipes.Source{
		Name: "web", ID: "9f86d081884c7d65", Kind: pipes.TypedSource, Path: "/pipes/.web.9f86d081884c7d65.typed",
		PID: noPID, UID: 42424242, Since: collected.Add(-90 * time.Second), State: pipes.Unresponsive,
		Snapshot: snapshot, At: collected.Add(-1500 * time.Millisecond), Err: errors.New("no answer"),
	})
	age, valuesAge := 90.0, 1.5
	want := Source{
		Name: "web", ID: "9f86d081884c7d65", Kind: pipes.TypedSource, PID: noPID, User: "42424242", Age: &age,
		State: pipes.Unresponsive, Stats: 2, Skipped: 3, ValuesAge: &valuesAge, Error: "no answer",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValuesHaveAnAgeWhereThereAreAny(t *testing.T) {
	is := func(s *format.Snapshot, at time.Time, want ...float64) {
		t.Helper()
		checkSeconds(t, "the age", describe(t, pipes.Source{State: pipes.Live, Snapshot: s, At: at}).ValuesAge, want...)
	}
	is(nil, time.Time{})
	is(&format.Snapshot{}, collected, 0)
	is(&format.Snapshot{}, collected.Add(time.Second), 0) // it came while the collection was made
	is(&format.Snapshot{}, collected.Add(-1234567*time.Microsecond), 1.235)
	is(&format.Snapshot{}, collected.Add(-24*time.Hour), 86400)
}

// A name that stands several times, as in a retained file whose sum no float
// holds, is one stat.
func TestStatsAreCountedByName(t *testing.T) {
	is := func(want int, names ...string) {
		t.Helper()
		s := &format.Snapshot{}
		for _, name := range names {
			s.Stats = append(s.Stats, format.Stat{Name: name})
		}
		if got := describe(t, pipes.Source{Snapshot: s}).Stats; got != want {
			t.Errorf("%q: there are %d, want %d", names, got, want)
		}
	}
	is(0)
	is(1, "a")
	is(1, "a", "a", "a")
	is(3, "", "a", "a", "b", "b")
}

func TestReportHasTheConflictsOfTheTotal(t *testing.T) {
	r := Describe(&pipes.Collection{}, &format.Snapshot{Conflicts: []format.Conflict{
		{Name: "x", Kinds: []format.Kind{format.Untyped, format.Counter, format.Gauge}},
		{Name: "caf\xe9", Kinds: []format.Kind{format.Counter, format.Distribution}},
	}})
	want := []Conflict{
		{json.RawMessage(`"x"`), []string{"untyped", "counter", "gauge"}},
		{json.RawMessage(`"caf\\xe9"`), []string{"counter", "distribution"}},
	}
	if !reflect.DeepEqual(r.Conflicts, want) {
		t.Errorf("got %v, want %v", r.Conflicts, want)
	}
}

func TestValuesAreAddedToTheirSources(t *testing.T) {
	c := &pipes.Collection{Sources: []pipes.Source{
		{Name: "silent"},
		{Name: "api", Snapshot: &format.Snapshot{Stats: []format.Stat{{Name: "a", Value: format.Int(1)}}}},
		{Name: "new", Snapshot: &format.Snapshot{}},
	}}
	r := Describe(c, &format.Snapshot{})
	r.AddValues(c)
	for i, want := range []string{"", `{"a":1}`, "{}"} {
		if got := string(r.Sources[i].Values); got != want {
			t.Errorf("%s has %q, want %q", r.Sources[i].Name, got, want)
		}
	}
}

func TestHasPublishers(t *testing.T) {
	is := func(want bool, sources ...pipes.Source) {
		t.Helper()
		if got := HasPublishers(&pipes.Collection{Sources: sources}); got != want {
			t.Errorf("%v: got %v", sources, got)
		}
	}
	retained := pipes.Source{Kind: pipes.RetainedSource, State: pipes.Retained}
	unreadable := pipes.Source{Kind: pipes.RetainedSource, State: pipes.Failed}
	ended := pipes.Source{Kind: pipes.TypedSource, State: pipes.Ended}
	is(false)
	is(false, retained, unreadable, ended)
	is(true, retained, pipes.Source{Kind: pipes.TypedSource, State: pipes.Live})
	is(true, pipes.Source{Kind: pipes.PlainSource, State: pipes.Unresponsive}, ended)
	is(true, pipes.Source{Kind: pipes.TypedSource, State: pipes.Stale})
}

func TestEmittedOfASource(t *testing.T) {
	// is takes how long ago each stat was changed.
	is := func(want *Emitted, ages ...time.Duration) {
		t.Helper()
		emitted := make(map[string]format.Emitted)
		for i, age := range ages {
			emitted[string(rune('a'+i))] = format.Emitted{At: collected.Add(-age)}
		}
		got := describe(t, pipes.Source{Kind: pipes.RetainedSource, State: pipes.Retained, Emitted: emitted}).Emitted
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, want %+v", ages, got, want)
		}
	}
	is(nil)
	is(&Emitted{1, 5, 5}, 5*time.Second)
	is(&Emitted{1, 0, 0}, 0)
	is(&Emitted{1, 1.235, 1.235}, 1234567*time.Microsecond)
	is(&Emitted{2, 1, 60}, time.Minute, time.Second)
	is(&Emitted{4, 0.5, 86400}, time.Hour, 24*time.Hour, 500*time.Millisecond, time.Minute)
	is(&Emitted{3, 60, 60}, time.Minute, time.Minute, time.Minute)
	is(&Emitted{2, 0, 7}, -time.Hour, 7*time.Second) // a clock that was set back
	is(&Emitted{1, 1_700_000_000.25, 1_700_000_000.25}, time.Duration(collected.UnixNano()))

	if got := describe(t, pipes.Source{Kind: pipes.RetainedSource, State: pipes.Retained}).Emitted; got != nil {
		t.Errorf("without any: got %+v", got)
	}
	// Until when a stat is kept is another matter.
	kept := format.Emitted{At: collected.Add(-time.Second), Expires: collected.Add(time.Hour)}
	got := describe(t, pipes.Source{Emitted: map[string]format.Emitted{"a": kept}}).Emitted
	if want := (&Emitted{1, 1, 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("of one that expires: got %+v, want %+v", got, want)
	}
}

func TestEmittedInJSON(t *testing.T) {
	is := func(s Source, want string) {
		t.Helper()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		if got := string(fields["emitted"]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	is(Source{}, "")
	is(Source{Emitted: &Emitted{2, 0.5, 86400}}, `{"stats":2,"newest_age_seconds":0.5,"oldest_age_seconds":86400}`)
	is(Source{Emitted: &Emitted{1, 0, 0}}, `{"stats":1,"newest_age_seconds":0,"oldest_age_seconds":0}`)
}

// What a script has left was published by somebody.
func TestHasPublishersWhereScriptsLeftSomething(t *testing.T) {
	retained := pipes.Source{Kind: pipes.RetainedSource, State: pipes.Retained}
	ofScript := retained
	ofScript.Emitted = map[string]format.Emitted{"a": {At: collected}}
	is := func(want bool, sources ...pipes.Source) {
		t.Helper()
		if got := HasPublishers(&pipes.Collection{Sources: sources}); got != want {
			t.Errorf("%v: got %v", sources, got)
		}
	}
	is(true, ofScript)
	is(true, retained, ofScript)
	retained.Emitted = map[string]format.Emitted{}
	is(false, retained)
}
