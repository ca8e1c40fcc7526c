package output

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

func buffers() (streams *Streams, out, err *bytes.Buffer) {
	out, err = new(bytes.Buffer), new(bytes.Buffer)
	return &Streams{In: strings.NewReader(""), Out: out, Err: err}, out, err
}

func TestErrorIsPrintedOnceWithItsHint(t *testing.T) {
	s, out, errOut := buffers()
	s.Error(fmt.Errorf("wrapped: %w", WithHint(errors.New("bad\x1b[2J"), "do this")))
	if got, want := errOut.String(), "statvent: wrapped: bad\\x1b[2J\nhint: do this\n"; got != want || out.Len() > 0 {
		t.Errorf("got %q and %q, want %q", out, got, want)
	}
}

func TestColor(t *testing.T) {
	colored := func(when string, env ...string) bool {
		t.Helper()
		for i := 0; i < len(env); i += 2 {
			t.Setenv(env[i], env[i+1])
		}
		s, _, errOut := buffers()
		s.SetColor(when)
		s.Warn("x")
		return strings.Contains(errOut.String(), "\x1b[")
	}
	if colored("auto") {
		t.Error("auto colours what is no terminal")
	}
	if colored("never") {
		t.Error("never colours")
	}
	if !colored("always") {
		t.Error("always doesn't colour")
	}
	if !colored("always", "NO_COLOR", "1") {
		t.Error("NO_COLOR beats what the user says with --color")
	}
}

func TestStatsTable(t *testing.T) {
	before := &format.Snapshot{Stats: []format.Stat{
		{Name: "big", Value: format.Int(9007199254740993)},
		{Name: "down", Value: format.Int(10)},
		{Name: "same", Value: format.Float(0.5)},
		{Name: "up", Value: format.Float(1)},
	}}
	after := &format.Snapshot{Stats: []format.Stat{
		{Name: "big", Value: format.Int(9007199254740994)},
		{Name: "down", Value: format.Int(4)},
		{Name: "new\x1b", Value: format.Int(1)},
		{Name: "same", Value: format.Float(0.5)},
		{Name: "up", Value: format.Float(1234.56789)},
	}}
	start := time.Unix(1700000000, 0)
	stats := &Stats{Snapshot: after, Time: start.Add(2 * time.Second), Previous: before, PreviousTime: start, Rates: true}
	prints(t, "table", stats, `
NAME                VALUE  PER SECOND
big      9007199254740994         0.5
down                    4          -3
new\x1b                 1           -
same                0.500           0
up               1234.568         617
`)
	stats.Previous = nil
	stats.Snapshot = before
	prints(t, "table", stats, `
NAME             VALUE  PER SECOND
big   9007199254740993           -
down                10           -
same             0.500           -
up               1.000           -
`)
	prints(t, "plain", stats, `
big: 9007199254740993
down: 10
same: 0.5
up: 1.0
`)
	prints(t, "json", stats, `
{"stats":{"big":9007199254740993,"down":10,"same":0.5,"up":1.0},"timestamp":1700000002.000}
`)
}

func prints(t *testing.T, format string, stats *Stats, want string) {
	t.Helper()
	s, out, errOut := buffers()
	if err := s.PrintStats(format, stats); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != strings.TrimPrefix(want, "\n") || errOut.Len() > 0 {
		t.Errorf("got\n%swant%s", got, want)
	}
}

// wildStats are a snapshot of every kind, with names that would do something to
// a terminal.
func wildStats() *format.Snapshot {
	s := &format.Snapshot{Stats: []format.Stat{
		{Name: "\x1b[2Ja: b", Kind: format.Counter, Value: format.Int(math.MaxInt64)},
		{Name: "caf\xe9\u202e", Kind: format.Gauge, Value: format.Float(0.1)},
		{Name: "latency.{0}", Kind: format.Distribution, Dist: &format.Samples{
			Count: 7, Sum: format.Float(12.5),
			Labels: []format.Label{{Name: "median", Percentile: 50}, {Name: "the mean", Percentile: format.Mean}},
			Window: []format.Value{format.Float(4), format.Float(1)},
		}},
		{Name: "plain", Value: format.Float(math.Inf(1))},
	}}
	s.Sort()
	return s
}

func TestTypedIsReadBackAsItWas(t *testing.T) {
	s, out, errOut := buffers()
	s.SetColor("always") // which is for people
	snapshot := wildStats()
	if err := s.PrintStats("typed", &Stats{Snapshot: snapshot}); err != nil {
		t.Fatal(err)
	}
	want := format.AppendTyped(nil, &format.Document{Snapshot: snapshot})
	if !bytes.Equal(out.Bytes(), want) || errOut.Len() > 0 {
		t.Errorf("got %q, want %q", out, want)
	}
	var p format.TypedParser
	_, _ = p.Write(out.Bytes())
	docs, err := p.Documents()
	if err != nil || len(docs) != 1 || !reflect.DeepEqual(docs[0].Snapshot, snapshot) {
		t.Errorf("it is read as %v, %v", docs, err)
	}
}

func TestMatchChoosesAmongWhatIsPrinted(t *testing.T) {
	only := func(pattern string) *Stats {
		t.Helper()
		match, err := glob.Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return &Stats{Snapshot: wildStats(), Time: time.Unix(1700000000, 0), Match: match}
	}
	prints(t, "plain", only("latency.*"), `
latency.median: 1.0
latency.the mean: 2.5
`)
	prints(t, "plain", only("*.median"), `
latency.median: 1.0
`)
	prints(t, "json", only("*.median"), `
{"stats":{"latency.median":1.0},"timestamp":1700000000.000}
`)
	prints(t, "table", only("*n"), `
NAME              VALUE
latency.median    1.000
latency.the mean  2.500
plain               inf
`)
	prints(t, "json", only("nothing"), `
{"stats":{},"timestamp":1700000000.000}
`)
	prints(t, "plain", only("nothing"), "")
	// In the typed format a distribution is whole or not there.
	typed := func(names ...string) string {
		kept := wildStats().Filter(func(name string) bool { return slices.Contains(names, name) })
		return string(format.AppendTyped(nil, &format.Document{Snapshot: kept}))
	}
	prints(t, "typed", only("latency.*"), typed("latency.{0}"))
	prints(t, "typed", only("plain"), typed("plain"))
	prints(t, "typed", only("nothing"), typed())
}

// everyKindOfSource is a report with a source in every state.
func everyKindOfSource() *host.Report {
	seconds := func(s float64) *float64 { return &s }
	return &host.Report{
		Sources: []host.Source{
			{Name: "retained-1000", Kind: pipes.RetainedSource, User: "www", State: pipes.Retained, Stats: 4, ValuesAge: seconds(86400)},
			{Name: "retained-1001", Kind: pipes.RetainedSource, User: "mallory", State: pipes.Failed, Error: "it belongs to user 1002"},
			{Name: "3435", ID: "9f86d081884c7d65", Kind: pipes.TypedSource, PID: 3435, User: "www", Command: "/usr/bin/app --serve " + strings.Repeat("x", 60), Age: seconds(59), State: pipes.Live, Stats: 12, ValuesAge: seconds(0)},
			{Name: "api", Kind: pipes.PlainSource, User: "1000", State: pipes.Live, Stats: 3, Skipped: 1, Age: seconds(7200), ValuesAge: seconds(0)},
			{Name: "old\n", Kind: pipes.PlainSource, User: "1000", State: pipes.Live, Skipped: 2, ValuesAge: seconds(0)},
			{Name: "98", ID: "9f86d081884c7d66", Kind: pipes.TypedSource, PID: 98, User: "root", State: pipes.Ended, Stats: 2, ValuesAge: seconds(1)},
			{Name: "99", Kind: pipes.TypedSource, PID: 99, User: "root", State: pipes.Unresponsive, Error: "no answer within 500ms", Age: seconds(200000)},
			{Name: "100", Kind: pipes.TypedSource, PID: 100, User: "root", State: pipes.Unresponsive, Error: "no answer within 500ms", Stats: 5, ValuesAge: seconds(30)},
			{Name: "101", Kind: pipes.TypedSource, PID: 101, User: "root", State: pipes.Stale, Error: "its process is gone", Stats: 6, ValuesAge: seconds(60)},
			{Name: "102", Kind: pipes.PlainSource, PID: 102, User: "root", State: pipes.Stale, Error: "its process is gone\x1b"},
		},
		PassedOver:     []host.PassedOver{{Name: "a\x1bb", Why: "it is a directory"}},
		MorePassedOver: 7,
	}
}

// STATS shows how many there are where any are known, however old.
func TestReportTable(t *testing.T) {
	s, out, _ := buffers()
	if err := s.PrintReport("table", everyKindOfSource()); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
SOURCE          PID  USER     AGE  STATS  STATE         COMMAND                                   NOTE
retained-1000     -  www        -      4  retained      -
retained-1001     -  mallory    -      -  failed        -                                         it belongs to user 1002
3435           3435  www      59s     12  live          /usr/bin/app --serve xxxxxxxxxxxxxxxx...
api               -  1000      2h      3  live          -                                         1 line skipped
old\n             -  1000       -      0  live          -                                         2 lines skipped
98               98  root       -      2  ended         -
99               99  root      2d      -  unresponsive  -                                         no answer within 500ms
100             100  root       -      5  unresponsive  -                                         no answer within 500ms
101             101  root       -      6  stale         -                                         its process is gone
102             102  root       -      -  stale         -                                         its process is gone\x1b
passed over: a\x1bb: it is a directory
passed over: 7 more
`, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// "An unknown field is empty": a script must not take it for a zero.
func TestReportPlain(t *testing.T) {
	s, out, _ := buffers()
	if err := s.PrintReport("plain", everyKindOfSource()); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(strings.TrimPrefix(`
retained-1000||www||4|retained|
retained-1001||mallory|||failed|
3435|3435|www|59|12|live|/usr/bin/app --serve `+strings.Repeat("x", 60)+`
api||1000|7200|3|live|
old\n||1000||0|live|
98|98|root||2|ended|
99|99|root|200000||unresponsive|
100|100|root||5|unresponsive|
101|101|root||6|stale|
102|102|root|||stale|
`, "\n"), "|", "\t")
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestReportWithoutSourcesHasNoTable(t *testing.T) {
	for _, format := range []string{"table", "plain"} {
		s, out, _ := buffers()
		if err := s.PrintReport(format, &host.Report{}); err != nil || out.Len() > 0 {
			t.Errorf("%s: got %q, %v", format, out, err)
		}
	}
}

func TestStatesHaveTheirColors(t *testing.T) {
	for _, source := range everyKindOfSource().Sources {
		if stateColors[source.State] == 0 {
			t.Errorf("%s has none", source.State)
		}
	}
}

func TestFormatRate(t *testing.T) {
	is := func(rate float64, want string) {
		t.Helper()
		if got := formatRate(rate); got != want {
			t.Errorf("%v: got %s, want %s", rate, got, want)
		}
	}
	is(0.5, "0.5")
	is(1.23456, "1.23")
	is(99.94, "99.9")
	is(100, "100")
	is(123456.7, "123457")
	is(-2.5, "-2.5")
	is(0.00001234, "1.23e-05")
}

// The note says what scripts have left, after what is wrong.
func TestReportTableOfScripts(t *testing.T) {
	zero := 0.0
	retained := func(uid string, e *host.Emitted) host.Source {
		return host.Source{Name: "retained-" + uid, Kind: pipes.RetainedSource, User: "www", State: pipes.Retained, Stats: 4, ValuesAge: &zero, Emitted: e}
	}
	failed := retained("7", &host.Emitted{Stats: 1, NewestAge: 5, OldestAge: 5})
	failed.State, failed.Error = pipes.Failed, "it is torn"
	skipped := retained("8", &host.Emitted{Stats: 1, NewestAge: 5, OldestAge: 5})
	skipped.Skipped = 2
	report := &host.Report{Sources: []host.Source{
		retained("0", nil),
		retained("1", &host.Emitted{Stats: 1, NewestAge: 5.9, OldestAge: 5.9}),
		retained("2", &host.Emitted{Stats: 1}),
		retained("3", &host.Emitted{Stats: 2, NewestAge: 59, OldestAge: 60}),
		retained("4", &host.Emitted{Stats: 3, NewestAge: 3600, OldestAge: 7199}), // the same to the hour
		retained("5", &host.Emitted{Stats: 100, NewestAge: 0.2, OldestAge: 864000}),
		failed,
		skipped,
	}}
	s, out, _ := buffers()
	if err := s.PrintReport("table", report); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
SOURCE      PID  USER  AGE  STATS  STATE     COMMAND  NOTE
retained-0    -  www     -      4  retained  -
retained-1    -  www     -      4  retained  -        1 stat of a script, 5s old
retained-2    -  www     -      4  retained  -        1 stat of a script, 0s old
retained-3    -  www     -      4  retained  -        2 stats of scripts, 59s to 1m old
retained-4    -  www     -      4  retained  -        3 stats of scripts, 1h old
retained-5    -  www     -      4  retained  -        100 stats of scripts, 0s to 10d old
retained-7    -  www     -      4  failed    -        it is torn; 1 stat of a script, 5s old
retained-8    -  www     -      4  retained  -        2 lines skipped; 1 stat of a script, 5s old
`, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
