package screen

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

var update = flag.Bool("update", false, "write the golden screens of testdata anew")

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sourcesAt are what is collected after so many seconds: all kinds of stats, names
// that a terminal must not be told, and sources in every state.
func sourcesAt(second int) []pipes.Source {
	n := int64(second)
	samples := func(values ...int64) *format.Samples {
		d := &format.Samples{Count: 10 * n, Sum: format.Int(100 * n), Labels: format.DefaultLabels()}
		for _, v := range values {
			d.Window = append(d.Window, format.Int(v+n%3))
		}
		return d
	}
	errorsBefore := n * 3
	if second >= 9 {
		errorsBefore = 1 // it fell
	}
	snapshot := func(stats ...format.Stat) *format.Snapshot {
		s := &format.Snapshot{Stats: stats}
		s.Sort()
		return s
	}
	counter := func(name string, n int64) format.Stat {
		return format.Stat{Name: name, Kind: format.Counter, Value: format.Int(n)}
	}
	gauge := func(name string, v format.Value) format.Stat {
		return format.Stat{Name: name, Kind: format.Gauge, Value: v}
	}
	web := snapshot(
		counter("shop.requests", 1000+n*n*17),
		counter("shop.requests.errors", errorsBefore),
		counter("shop.orders", 0),
		gauge("shop.users", format.Int(40+n%5)),
		gauge("shop.temperature", format.Float(21.5-float64(n)/4)),
		gauge("shop.ratio", format.Float(math.NaN())),
		counter("größe.日本語", 7*n),
		counter("evil\x1b[2J\u202e.name", n),
		counter("shop.a_name_that_is_much_too_long_for_the_column_it_has_to_stand_in.total", 123456789012*n),
		format.Stat{Name: "shop.latency.{0}", Kind: format.Distribution, Dist: samples(5, 9, 12, 40, 41, 44, 60, 61, 90, 400)},
		format.Stat{Name: "shop.waits.{0}", Kind: format.Distribution, Dist: &format.Samples{Labels: format.DefaultLabels()}},
	)
	script := snapshot(format.Stat{Name: "backup.files", Value: format.Int(10 - n)}, counter("shop.requests", 5))
	if second >= 7 {
		script = snapshot(counter("shop.requests", 5))
	}
	return []pipes.Source{
		{Name: "retained-0", Kind: pipes.RetainedSource, State: pipes.Retained, Snapshot: snapshot(counter("shop.requests", 12)), At: start},
		{Name: "backup", Kind: pipes.PlainSource, State: pipes.Live, Snapshot: script, At: start, Since: start.Add(-90 * time.Minute)},
		{Name: "web", ID: "1", PID: 3435, Kind: pipes.TypedSource, State: pipes.Live, Snapshot: web, At: start, Since: start.Add(-50 * time.Hour)},
		{Name: "mute", Kind: pipes.PlainSource, State: pipes.Unresponsive, Err: errors.New("mute.stats: no answer within 500ms")},
		{Name: "old", Kind: pipes.PlainSource, State: pipes.Stale, Err: errors.New("its process is gone")},
	}
}

// watched is a model of the sources after ten seconds.
func watched() *watch.Model {
	m := watch.New(nil, time.Second)
	for second := range 10 {
		take(m, second)
	}
	return m
}

func take(m *watch.Model, second int) {
	now := start.Add(time.Duration(second) * time.Second)
	sources := sourcesAt(second)
	var all []*format.Snapshot
	for _, s := range sources {
		if s.Snapshot != nil {
			all = append(all, s.Snapshot)
		}
	}
	m.Take(&watch.Update{
		Time:     now,
		Total:    format.Combine(all...),
		Sources:  sources,
		Problems: []string{"mute: no answer within 500ms"},
		Report: func() *host.Report {
			report := host.Describe(&pipes.Collection{Time: now, Sources: sources}, &format.Snapshot{})
			for i := range report.Sources {
				report.Sources[i].User, report.Sources[i].Command = "ada", "" // whatever has that pid here
			}
			report.Sources[2].Command = "/usr/bin/web --listen 80"
			return report
		},
	})
}

// A terminal that the tests have.
var (
	plain   = Look{UTF8: true, Where: "host1", Empty: "no program publishes in /tmp/stats-pipe"}
	colored = Look{UTF8: true, Colors: true, Where: plain.Where, Empty: plain.Empty}
	ascii   = Look{Where: plain.Where, Empty: plain.Empty}
)

// press types keys.
func press(m *watch.Model, keys ...any) {
	for _, key := range keys {
		switch key := key.(type) {
		case string:
			for _, r := range key {
				m.Press(watch.Key(r))
			}
		case watch.Key:
			m.Press(key)
		}
	}
}

// shows compares what is drawn with the file of that name in testdata.
func shows(t *testing.T, name string, m *watch.Model, look Look, width, height int) {
	t.Helper()
	g := NewGrid(width, height)
	Draw(g, m, &look)
	Draw(g, m, &look) // the room for rows is known now
	got := dump(g)
	path := filepath.Join("testdata", name+".screen")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as in %s (-update writes it anew):\n%s", name, path, got)
	}
}

// dump returns the text of a grid, and below it the same with a letter for how each
// cell looks, where it isn't plain.
func dump(g *Grid) string {
	var text, looks strings.Builder
	for y := range g.Height {
		var line, look strings.Builder
		for _, c := range g.cells[y*g.Width : (y+1)*g.Width] {
			line.WriteString(c.text)
			look.WriteString(letterOf(c.style))
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		looks.WriteString(strings.TrimRight(look.String(), " ") + "\n")
	}
	return text.String() + strings.Repeat("=", g.Width) + "\n" + looks.String()
}

// letterOf is that of a style's colour, large if it is bold, or of its attribute.
func letterOf(s Style) string {
	letter := " "
	switch {
	case s&Reverse != 0:
		letter = "i"
	case s&Underline != 0:
		letter = "u"
	case s&Dim != 0:
		letter = "d"
	case s&Bold != 0:
		letter = "b"
	}
	if color := s >> colorShift; color != 0 && s&Reverse == 0 {
		letter = string(" rgybmc"[color])
	}
	if s&Bold != 0 {
		letter = strings.ToUpper(letter)
	}
	return letter
}

func TestScreens(t *testing.T) {
	shows(t, "80x24", watched(), plain, 80, 24)
	shows(t, "80x24-color", watched(), colored, 80, 24)
	shows(t, "80x24-ascii", watched(), ascii, 80, 24)
	shows(t, "120x12", watched(), plain, 120, 12)
	shows(t, "40x10", watched(), plain, 40, 10)
	shows(t, "20x5", watched(), plain, 20, 5)
	shows(t, "20x5-ascii", watched(), ascii, 20, 5)
	shows(t, "300x100", watched(), plain, 300, 100)
	shows(t, "300x100-color", watched(), colored, 300, 100)
}

func TestScreenBeforeAnything(t *testing.T) {
	m := watch.New(nil, time.Second)
	shows(t, "reading", m, plain, 80, 5)
	take(m, 0)
	shows(t, "first", m, plain, 80, 16)
}

func TestScreenWithoutStats(t *testing.T) {
	m := watch.New(nil, time.Second)
	m.Take(&watch.Update{Time: start, Total: &format.Snapshot{}, Nobody: true, Advice: []string{
		"/tmp/stats-pipe does not exist: no program has published there yet",
		"a program that has STATVENT_PIPE_DIR in its environment publishes there: use --pipe-dir, or the same variable",
	}})
	shows(t, "empty", m, plain, 80, 10)
	shows(t, "empty-40x10", m, plain, 40, 10)
	m.Fail(output.WithHint(errors.New("the pipes can't be read: permission denied"), "chmod 1777 /tmp/stats-pipe lets every user publish and read"))
	shows(t, "failed", m, colored, 80, 10)
	m = watched()
	m.Fail(output.WithHint(errors.New("the pipes can't be read: permission denied"), "chmod 1777 /tmp/stats-pipe lets every user publish and read"))
	shows(t, "failed-later", m, plain, 160, 8)
}

// The help leads on to all of itself, on any screen.
func TestScreensOfHelp(t *testing.T) {
	m := watched()
	press(m, "?")
	shows(t, "help-120x12", m, plain, 120, 12)
	shows(t, "help-40x10", m, plain, 40, 10)
	press(m, " ")
	shows(t, "help-40x10-next", m, plain, 40, 10)
	press(m, watch.Escape)
	if m.Help {
		t.Error("Esc doesn't end the help")
	}
	for width := 20; width <= 300; width += 30 {
		for height := 3; height <= 30; height += 3 {
			m := watched()
			press(m, "?")
			var read strings.Builder
			for pages := 0; m.Help && pages < 500; pages++ {
				g := NewGrid(width, height)
				Draw(g, m, &plain)
				read.WriteString(dump(g))
				press(m, " ")
			}
			text := read.String()
			for _, entry := range help {
				if words := strings.Fields(entry[1]); !strings.Contains(text, entry[0]) || len(words) > 0 && !strings.Contains(text, words[len(words)-1]) {
					t.Errorf("%dx%d: the help doesn't say %q", width, height, entry)
				}
			}
		}
	}
}

func TestScreensOfKeys(t *testing.T) {
	after := func(name string, keys ...any) {
		t.Helper()
		m := watched()
		m.SetRows(21)
		press(m, keys...)
		shows(t, name, m, colored, 80, 24)
	}
	after("help", "?")
	after("filter-typed", "/shop.re")
	after("filter", "/shop.re", watch.Enter)
	after("filter-nothing", "/[]", watch.Enter)
	after("totals", "t")
	after("sorted-by-rate", "3")
	after("hide-zeros", "z")
	after("pinned", watch.End, "*")
	after("paused", " ")
	after("sources", watch.Tab)
	after("sources-by-state", watch.Tab, "7")
	after("by-source", "/shop.requests", watch.Enter, watch.Enter)
	after("source-stats", watch.Tab, watch.End, watch.Enter)
}

// Names are measured as they are written, and only those that are listed.
func TestNamesTakeTheColumnsThatTheyNeed(t *testing.T) {
	m := watch.New(nil, time.Second)
	long := "long." + strings.Repeat("x", 300)
	m.Take(&watch.Update{Time: start, Total: &format.Snapshot{Stats: []format.Stat{{Name: long}, {Name: "日本語の名前です"}, {Name: "é"}}}})
	line := func(look Look, width int, has string) string {
		t.Helper()
		g := NewGrid(width, 10)
		Draw(g, m, &look)
		for line := range strings.Lines(dump(g)) {
			if strings.Contains(line, has) {
				return line
			}
		}
		t.Errorf("at %d, %q is nowhere in\n%s", width, has, dump(g))
		return ""
	}
	column := func(line, title string) int { return strings.Index(strings.ReplaceAll(line, "▲", "^"), title) }
	if heads := line(plain, 80, "TREND"); column(heads, "TREND") > 72 {
		t.Errorf("one long name leaves no room: %s", heads)
	}
	press(m, "/名前")
	line(plain, 80, " 日本語の名前です ")
	line(ascii, 120, onlyASCII("日本語の名前です"))
	press(m, watch.Escape, "/é")
	if heads := line(plain, 80, "TREND"); column(heads, "VALUE") > 20 {
		t.Errorf("names that aren't listed take room: %s", heads)
	}
}

// Of a distribution, the columns have its main value and how often it is recorded.
func TestScreensOfADistribution(t *testing.T) {
	m := watched()
	press(m, "/latency", watch.Enter)
	shows(t, "distribution-80x24", m, colored, 80, 24)
	shows(t, "distribution-40x20", m, plain, 40, 20)
	shows(t, "distribution-40x10", m, ascii, 40, 10)
	shows(t, "distribution-160x12", m, plain, 160, 12)
}

// What is sorted by is said at the column, or in the title where that isn't shown.
func TestTheScreenAlwaysSaysWhatItIsSortedBy(t *testing.T) {
	for _, keys := range [][]any{{}, {watch.Tab}, {"/requests", watch.Enter, watch.Enter}, {"t"}} {
		for column := range 7 {
			m := watched()
			press(m, keys...)
			press(m, string(rune('1'+column)))
			for width := 20; width <= 300; width += 1 + width/16 {
				g := NewGrid(width, 10)
				Draw(g, m, &plain)
				text := dump(g)
				if signs := strings.Count(text, "▲") + strings.Count(text, "▼"); signs != 1 {
					t.Fatalf("%v %d: %d columns have %d signs:\n%s", keys, column, width, signs, text)
				}
			}
		}
	}
}

// A row that isn't there any more is nowhere as if it were.
func TestSourcesThatAreGoneAreNotAlive(t *testing.T) {
	m := watched()
	press(m, watch.Tab)
	for _, row := range m.Page().List {
		row.Here = false
	}
	shows(t, "gone", m, colored, 80, 10)
}

func remarked(problems int) *watch.Model {
	m := watch.New(nil, time.Second)
	sources := sourcesAt(1)
	u := &watch.Update{Time: start, Total: &format.Snapshot{}, Sources: sources, PassedOver: 2, LeftOut: 4}
	for i := range problems {
		u.Problems = append(u.Problems, fmt.Sprintf("stat%d is a counter here and a gauge there", i))
	}
	u.Report = func() *host.Report {
		return &host.Report{
			Sources: []host.Source{
				{Name: "backup", State: pipes.Live, User: "ada", Emitted: &host.Emitted{Stats: 1, NewestAge: 60, OldestAge: 60}},
				{Name: "retained-0", State: pipes.Retained, User: "ada"},
				{Name: "web", PID: 3435, State: pipes.Live, User: "ada", Command: "/usr/bin/web --listen 80", Skipped: 3},
				{Name: "mute", PID: 12, State: pipes.Unresponsive, User: "ada", Command: "/usr/bin/mute", Error: "no answer within 500ms"},
				{Name: "old", State: pipes.Stale, Error: "its process is gone"},
			},
			PassedOver: []host.PassedOver{{Name: "a.stats", Why: "it is a file, not a named pipe"}, {Name: "b\x1b.stats", Why: "it is a link"}},
			LeftOut:    []host.LeftOut{{User: "root", Sources: 4}},
		}
	}
	m.Take(u)
	press(m, watch.Tab)
	return m
}

// What list says of sources, and beside them, the page of sources says too.
func TestScreensOfSourcesSayAll(t *testing.T) {
	m := remarked(1)
	press(m, watch.Down, watch.Down)
	shows(t, "remarks-80x24", m, colored, 80, 24)
	shows(t, "remarks-160x24", m, plain, 160, 24)
	shows(t, "remarks-60x16", m, plain, 60, 16)
	m = remarked(317)
	shows(t, "remarks-many", m, plain, 80, 20)
	press(m, watch.Tab)
	shows(t, "remarks-stats", m, plain, 120, 8)
	empty := *m.Latest()
	empty.Sources, empty.Problems, empty.Nobody = nil, nil, true
	m.Take(&empty)
	shows(t, "left-out", m, plain, 80, 8)
	press(m, watch.Tab)
	shows(t, "left-out-sources", m, plain, 80, 12)
}

func TestScreensOfSourcesInLittleRoom(t *testing.T) {
	m := watched()
	press(m, watch.Tab)
	shows(t, "sources-40x10", m, plain, 40, 10)
	shows(t, "sources-20x5", m, ascii, 20, 5)
	shows(t, "sources-300x100", m, plain, 300, 100)
}

func TestScreenOfPinnedRowsScrolled(t *testing.T) {
	m := watched()
	press(m, watch.Down, "*", watch.Down, watch.Down, "*", watch.End)
	shows(t, "pinned-40x10", m, plain, 40, 10)
}

// Whatever the size, nothing is drawn outside, and nothing panics.
func TestEverySizeIsDrawn(t *testing.T) {
	pages := [][]any{{}, {"?"}, {"/日本語"}, {watch.Tab}, {watch.Enter}, {"t", watch.End}, {watch.Tab, watch.Enter}}
	for _, keys := range pages {
		m := watched()
		press(m, keys...)
		for _, look := range []Look{plain, ascii} {
			for width := 1; width < 150; width += 1 + width/8 {
				for height := 1; height < 30; height += 1 + height/8 {
					g := NewGrid(width, height)
					Draw(g, m, &look)
					for y := range height {
						row := g.cells[y*width : (y+1)*width]
						for x, c := range row {
							if c.wide && (x+1 == width || row[x+1].text != "") || c.text == "" && (x == 0 || !row[x-1].wide) {
								t.Fatalf("%dx%d: half a character at %d,%d", width, height, x, y)
							}
						}
					}
				}
			}
		}
	}
}
