package output

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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

func TestReportTable(t *testing.T) {
	seconds := func(s float64) *float64 { return &s }
	report := &host.Report{
		Sources: []host.Source{
			{Name: "3435", PID: 3435, User: "www", Command: "/usr/bin/app --serve " + strings.Repeat("x", 60), Age: seconds(59), State: pipes.Live, Stats: 12},
			{Name: "api", User: "1000", State: pipes.Live, Stats: 3, Skipped: 1, Age: seconds(7200)},
			{Name: "99", PID: 99, User: "root", State: pipes.Unresponsive, Error: "no answer within 500ms", Age: seconds(200000)},
		},
		PassedOver: []host.PassedOver{{Name: "a\x1bb", Why: "it is a directory"}},
	}
	s, out, _ := buffers()
	if err := s.PrintReport("table", report); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
SOURCE   PID  USER  AGE  STATS  STATE         COMMAND                                   NOTE
3435    3435  www   59s     12  live          /usr/bin/app --serve xxxxxxxxxxxxxxxx...
api        -  1000   2h      3  live          -                                         1 line skipped
99        99  root   2d      -  unresponsive  -                                         no answer within 500ms
passed over: a\x1bb: it is a directory
`, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
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
