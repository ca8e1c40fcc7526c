package watch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func counter(name string, n int64) format.Stat {
	return format.Stat{Name: name, Kind: format.Counter, Value: format.Int(n)}
}

func gauge(name string, f float64) format.Stat {
	return format.Stat{Name: name, Kind: format.Gauge, Value: format.Float(f)}
}

func untyped(name string, n int64) format.Stat {
	return format.Stat{Name: name, Value: format.Int(n)}
}

func distribution(name string, count int64, window ...int64) format.Stat {
	d := &format.Samples{Count: count, Labels: format.DefaultLabels()}
	for _, v := range window {
		d.Window = append(d.Window, format.Int(v))
		d.Sum = d.Sum.Add(format.Int(v))
	}
	return format.Stat{Name: name, Kind: format.Distribution, Dist: d}
}

func snapshot(stats ...format.Stat) *format.Snapshot {
	s := &format.Snapshot{Stats: stats}
	s.Sort()
	return s
}

// source is one that answered; it publishes these stats.
func source(name string, stats ...format.Stat) pipes.Source {
	return pipes.Source{Name: name, Kind: pipes.TypedSource, State: pipes.Live, Snapshot: snapshot(stats...)}
}

// A session is a model and what it is given, a collection a second.
type session struct {
	*Model
	t   *testing.T
	now time.Time
}

func watchOf(t *testing.T) *session {
	m := New(nil, time.Second)
	m.SetRows(10)
	return &session{m, t, start}
}

// collect gives it what sources say, a while after the last time.
func (s *session) collect(after time.Duration, sources ...pipes.Source) {
	s.now = s.now.Add(after)
	var all []*format.Snapshot
	for i := range sources {
		if sources[i].Snapshot != nil {
			all = append(all, sources[i].Snapshot)
		}
	}
	now := s.now
	s.Take(&Update{Time: now, Total: format.Combine(all...), Sources: sources, Report: func() *host.Report {
		return host.Describe(&pipes.Collection{Time: now, Sources: sources}, &format.Snapshot{})
	}})
}

// see is collect, of one source, a second later.
func (s *session) see(stats ...format.Stat) { s.collect(time.Second, source("one", stats...)) }

func (s *session) press(keys ...Key) {
	s.t.Helper()
	for _, key := range keys {
		if s.Press(key) {
			s.t.Errorf("%d quits", key)
		}
	}
}

func (s *session) typeIn(text string) {
	s.t.Helper()
	s.press([]Key(text)...)
}

// lists compares the names on the page, a "*" before those that are pinned.
func (s *session) lists(want ...string) {
	s.t.Helper()
	var got []string
	for i, row := range s.Page().List {
		name := row.Name
		if i < s.Page().Pinned {
			name = "*" + name
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("the page lists %q, want %q", got, want)
	}
}

// row finds one by its name.
func (s *session) row(name string) *Row {
	s.t.Helper()
	for _, row := range s.Page().table.rows {
		if row.Name == name {
			return row
		}
	}
	s.t.Fatalf("there is no row %q", name)
	return nil
}

// says compares what stands in a row: value, rate and average.
func (s *session) says(name, want string) {
	s.t.Helper()
	row := s.row(name)
	if got := row.ValueText() + " " + row.RateText(s.now) + " " + row.AverageText(); got != want {
		s.t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

func TestValuesAreThereAtOnceAndRatesWithTheSecondCollection(t *testing.T) {
	s := watchOf(t)
	s.see(counter("requests", 100), gauge("users", 7.5), untyped("plain", 3), distribution("latency.{0}", 4, 1, 2, 3, 4))
	s.says("requests", "100 - -")
	s.says("users", "7.500 - 7.500")
	s.says("plain", "3 - -")
	s.says("latency", "2 - -")

	s.collect(2*time.Second, source("one", counter("requests", 110), gauge("users", 6.5), untyped("plain", 1), distribution("latency.{0}", 8, 9, 9, 9, 9)))
	s.says("requests", "110 5.00/s 5.00/s")
	s.says("users", "6.500 -0.50/s 7.000") // of a gauge the average is that of its values
	s.says("plain", "1 -1.00/s -1.00/s")
	s.says("latency", "9 2.00/s 2.00/s")

	s.see(counter("requests", 110), gauge("users", 6.5), untyped("plain", 1), distribution("latency.{0}", 8, 9, 9, 9, 9))
	s.says("requests", "110 0/s 3.33/s")
	s.says("latency", "9 0/s 1.33/s")
	if s.row("requests").Changed {
		t.Error("what stays the same is called changed")
	}
}

func TestACounterThatFallsIsResetForAWhileAndNeverNegative(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 100))
	s.see(counter("a", 110))
	s.see(counter("a", 5))
	s.says("a", "5 reset 10.0/s")
	s.see(counter("a", 6))
	s.says("a", "6 reset 5.50/s")
	if rate := s.row("a").Rate; rate != 1 {
		t.Errorf("the rate after the reset is %v", rate)
	}
	s.collect(ResetShown, source("one", counter("a", 21)))
	s.says("a", "21 1.00/s 1.53/s")
}

func TestDifferencesOfLargeCountersAreExact(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", math.MaxInt64-1))
	s.see(counter("a", math.MaxInt64))
	s.says("a", "9223372036854775807 1.00/s 1.00/s")
}

func TestWhatNobodyHasAnyMoreIsGone(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 1))
	s.see(counter("a", 2))
	s.says("b", "1 gone -")
	s.lists("a", "b")
	for range Slots {
		s.see(counter("a", 2))
	}
	s.lists("a")
	s.see(counter("a", 2), counter("b", 5))
	s.lists("a", "b")
}

func TestSourcesThatAreNoLongerListedLeaveAtOnce(t *testing.T) {
	s := watchOf(t)
	web, worker := source("web", counter("a", 1)), source("worker", counter("a", 1))
	both := func(keys ...Key) {
		t.Helper()
		s.press(keys...)
		s.collect(time.Second, web, worker)
		s.lists("web", "worker")
		s.collect(time.Second, worker)
		s.lists("worker")
		s.collect(time.Second, web, worker)
		s.lists("web", "worker")
	}
	both(Tab)
	s.press(Tab)
	both(Enter)
	mute := pipes.Source{Name: "web", Kind: pipes.TypedSource, State: pipes.Unresponsive}
	s.collect(time.Second, mute, worker)
	s.lists("web", "worker") // which may have it again
	s.says("web", "1 gone -")
}

func TestTheFilterLooksAtWhatSourcesAreByNow(t *testing.T) {
	s := watchOf(t)
	web, worker := source("web"), source("worker")
	s.collect(0, web, worker)
	s.press(Tab, '/')
	s.typeIn("stale")
	s.lists()
	web.State = pipes.Stale
	s.collect(time.Second, web, worker)
	s.lists("web")
}

func TestAValueAndADistributionOfOneNameAreTwoRows(t *testing.T) {
	s := watchOf(t)
	for n := range int64(2) {
		s.see(counter("a.{0}", 10+n), distribution("a.{0}", 20+2*n, 7))
	}
	s.lists("a.{0}", "a")
	s.says("a.{0}", "11 1.00/s 1.00/s")
	s.says("a", "7 2.00/s 2.00/s")
}

func TestAStatOfAnotherKindBeginsAnew(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 5))
	s.press('*')
	s.see(gauge("a", 3))
	s.says("a", "3.000 - 3.000")
	s.lists("*a")
}

func TestNamesAreEscaped(t *testing.T) {
	s := watchOf(t)
	s.see(counter("\x1b]0;title\a", 1), counter("caf\xe9", 1), counter("\u202eevil", 1))
	s.lists(`\x1b]0;title\x07`, `caf\xe9`, `\u202eevil`)
}

func TestPatternsMatchNamesAndLabels(t *testing.T) {
	matches := func(want bool, pattern string) {
		t.Helper()
		m := New(func(name string) bool { return name == pattern }, time.Second)
		d := distribution("app.latency.{0}", 1, 1)
		if got := m.matches(&d); got != want {
			t.Errorf("%s matches: %v", pattern, got)
		}
	}
	matches(true, "app.latency.{0}")
	matches(true, "app.latency")
	matches(true, "app.latency.99th")
	matches(false, "app.latency.98th")
}

func TestSorting(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 100), counter("b", 30), gauge("c", 50), gauge("n", math.NaN()))
	s.see(counter("a", 101), counter("b", 39), gauge("c", 45), gauge("n", math.NaN()))
	s.lists("a", "b", "c", "n")
	s.press('r')
	s.lists("n", "c", "b", "a")
	s.press('>') // value, the largest first; what is no number is last
	s.lists("a", "c", "b", "n")
	s.press('r')
	s.lists("b", "c", "a", "n")
	s.press('3') // rate
	s.lists("b", "a", "c", "n")
	s.press('<', '<')
	s.lists("a", "b", "c", "n")
	s.press('<') // average: c 47.5, b 9, a 1
	s.lists("c", "b", "a", "n")
}

func TestRowsDoNotJumpWithEachCollection(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2))
	s.press('2')
	s.lists("b", "a")
	s.see(counter("a", 3), counter("b", 2))
	s.lists("b", "a")
	s.collect(resortAfter, source("one", counter("a", 3), counter("b", 2)))
	s.lists("a", "b")
}

func TestRowsDoNotJumpWhereOthersComeAndGo(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2), counter("zero", 0))
	s.press('2', 'z')
	s.lists("b", "a")
	s.see(counter("a", 3), counter("b", 2), counter("zero", 0))
	s.lists("b", "a")
	s.see(counter("a", 3), counter("b", 2), counter("zero", 0), counter("new", 9))
	s.lists("new", "b", "a") // at its place at once
	s.collect(resortAfter, source("one", counter("a", 3), counter("b", 2), counter("zero", 0), counter("new", 1)))
	s.lists("a", "b", "new")
	for i := range int64(Slots) { // and nothing jumps while one that has gone is forgotten
		s.collect(resortAfter/100, source("one", counter("a", 3-2*(i%2)), counter("b", 2), counter("zero", 0)))
	}
	s.lists("a", "b")
}

func TestRowsThatAreGoneComeLast(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2), counter("c", 1))
	s.see(counter("a", 5), counter("b", 9), counter("c", 3))
	s.see(counter("a", 9), counter("c", 5))
	s.lists("a", "b", "c") // by name they stay where they are
	for _, column := range []Key{'2', '3', '4'} {
		s.press(column)
		s.lists("a", "c", "b")
		s.press('r')
		s.lists("c", "a", "b")
	}
	s.press('t', '3')
	s.lists("a", "c", "b")
}

func TestFilter(t *testing.T) {
	s := watchOf(t)
	s.see(counter("app.Requests", 1), counter("app.errors", 1), gauge("db.errors", 1))
	s.press('/')
	s.typeIn("ERR")
	s.lists("app.errors", "db.errors") // with each character, whatever its case
	s.typeIn(" gau")
	s.lists("db.errors")
	s.press(Backspace, Backspace, Backspace, Backspace, Enter)
	s.lists("app.errors", "db.errors")
	s.press('j')
	if s.Editing || s.Page().Cursor() != 1 {
		t.Error("keys are still text after Enter")
	}
	s.press(Escape)
	s.lists("app.Requests", "app.errors", "db.errors")
	s.press('/')
	s.typeIn("nothing?")
	s.lists()
	s.press(Escape)
	s.lists("app.Requests", "app.errors", "db.errors")
	if s.Editing {
		t.Error("Esc doesn't end the filter")
	}
	s.press('/', Backspace)
	if s.Editing {
		t.Error("Backspace doesn't leave an empty filter")
	}
}

func TestKeysOfTheFilterLineAreItsOwn(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2))
	s.press('/')
	reads := func(want string, keys ...Key) {
		t.Helper()
		s.press(keys...)
		if got := s.Page().Filter; got != want || !s.Editing {
			t.Errorf("the filter is %q, want %q", got, want)
		}
	}
	s.typeIn("app db  ")
	reads("app ", CtrlW)
	reads("", CtrlW)
	reads("", CtrlW)
	s.typeIn("q")
	reads("", CtrlU)
	reads("", Left, Right, CtrlU)
	if s.Page().Sort != ByName {
		t.Error("an arrow sorts by another column")
	}
	s.press(Down)
	if s.Page().Cursor() != 1 {
		t.Error("an arrow doesn't move the cursor")
	}
	s.press(Enter, CtrlU, CtrlW)
	s.lists("a", "b")
}

// What is pasted comes as many keys at once.
func TestAPasteIntoTheFilterMakesTheListOnce(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2))
	s.lists("a", "b")
	s.press('/')
	for range 10_000 {
		s.typeIn("é ")
		if n := len(s.page().List); n != 2 {
			t.Fatalf("%d rows are listed, before somebody looks", n)
		}
	}
	s.lists()
	if n := utf8.RuneCountInString(s.Page().Filter); n != maxFilter {
		t.Errorf("the filter has %d characters", n)
	}
	s.press(CtrlU)
	s.press(CtrlU, 'b', Enter, Enter) // the list is looked at
	s.lists("one")
	if title := s.Page().Title; title != "b" {
		t.Errorf("%q was opened", title)
	}
}

func TestHideZeros(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 0), counter("b", 1), distribution("d.{0}", 0), counter("z", 0))
	s.press(End, '*', 'z')
	s.lists("*z", "b") // what is pinned stays
	s.see(counter("a", 1), counter("b", 1), distribution("d.{0}", 0), counter("z", 0))
	s.lists("*z", "a", "b")
	s.press('z')
	s.lists("*z", "a", "b", "d")
}

func TestPinsStayOnTop(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1), counter("b", 2), counter("c", 3))
	s.press('j', 'j', 'p')
	s.lists("*c", "a", "b")
	if s.Page().Cursor() != 0 {
		t.Error("the cursor doesn't go with what is pinned")
	}
	s.press('2')
	s.lists("*c", "b", "a")
	s.press('P')
	s.lists("c", "b", "a")
}

func TestPinnedRowsStayOnTheScreen(t *testing.T) {
	s := watchOf(t)
	var stats []format.Stat
	for i := range int64(30) {
		stats = append(stats, counter(fmt.Sprintf("s%02d", i), i))
	}
	s.see(stats...)
	shows := func(rows int, want string) {
		t.Helper()
		s.SetRows(rows)
		page, got := s.Page(), ""
		for i, row := range page.OnScreen(rows) {
			name := strings.TrimPrefix(row.Name, "s")
			// As it is drawn.
			if page.Top+i == page.Cursor() {
				name = "[" + name + "]"
			}
			got += " " + name
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("in %d rows: got %q, want %q", rows, got, want)
		}
	}
	s.press('j', '*', 'j', 'j', 'j', '*') // 01 and 03
	shows(6, "01 [03] 00 02 04 05")
	s.press(End)
	shows(6, "01 03 26 27 28 [29]")
	shows(3, "01 28 [29]")
	shows(2, "01 [29]")
	shows(1, "[29]")
	shows(0, "")
	shows(6, "01 03 26 27 28 [29]")
	s.press(PageUp)
	shows(6, "01 03 [25] 26 27 28")
	s.press('k', 'k')
	shows(6, "01 03 [23] 24 25 26")
	s.press(PageDown, PageUp, PageUp)
	shows(6, "01 03 [19] 20 21 22")
	s.press('r')
	shows(6, "03 01 [19] 18 17 16")
	s.press('r', Home)
	shows(6, "[01] 03 00 02 04 05")
	s.press('/')
	s.typeIn("s03")
	shows(6, "[03]")
}

func TestTotalsAreWhatHasGrownSinceTheStart(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 100), gauge("g", 5), untyped("u", 2))
	s.see(counter("a", 103), gauge("g", 4), untyped("u", 2))
	s.see(counter("a", 104), gauge("g", 4), untyped("u", 2))
	s.press('t')
	grown := func(name, want string) {
		t.Helper()
		if got := s.row(name).GrownText(s.now); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	grown("a", "+4")
	grown("g", "-1")
	grown("u", "0")
	trace := func(want string) {
		t.Helper()
		if got := fmt.Sprint(s.Page().Trace(nil, s.row("a"), 4, s.Totals)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	trace("[NaN 100 103 104]")
	s.press('t')
	trace("[NaN NaN 3 1]")
}

func TestTheTrendOfACounterIsItsRates(t *testing.T) {
	s := watchOf(t)
	is := func(n int, want string) {
		t.Helper()
		got := fmt.Sprint(s.Page().Trace(nil, s.row("a"), n, false))
		if got = strings.ReplaceAll(got, "NaN", "-"); got != want {
			t.Errorf("the trend is %s, want %s", got, want)
		}
	}
	s.see(counter("b", 1))
	s.see(counter("a", 10), counter("b", 1))
	is(4, "[- - - -]")
	s.see(counter("a", 12), counter("b", 1))
	s.collect(2*time.Second, source("one", counter("a", 18), counter("b", 1)))
	is(5, "[- - - 2 3]")
	s.see(counter("b", 1)) // a isn't there
	s.see(counter("a", 28), counter("b", 1))
	is(3, "[3 - 5]")
	s.see(counter("a", 1), counter("b", 1)) // it was reset
	s.see(counter("a", 2), counter("b", 1))
	is(3, "[5 - 1]")
	s.press(' ', ' ')
	s.see(counter("a", 9), counter("b", 1))
	is(3, "[1 - 7]")
	s.now = s.now.Add(time.Second)
	s.Take(&Update{Time: s.now, Total: snapshot(counter("a", 1000)), Others: true})
	s.see(counter("a", 1001))
	is(3, "[7 - 1]")
	for n := range int64(Slots) {
		s.see(counter("a", 1001+n*n))
	}
	trend := s.Page().Trace(nil, s.row("a"), 1000, false)
	if last := trend[len(trend)-1]; len(trend) != Slots || last != 2*Slots-3 || trend[1] != 1 {
		t.Errorf("a long trend has %d rates: %v", len(trend), trend)
	}
}

func TestTrendsOfLargeNumbersAreExact(t *testing.T) {
	s := watchOf(t)
	const large = 1 << 52
	for n := range int64(3) {
		s.see(untyped("u", large+n), gauge("g", large+float64(n)), counter("c", large+n))
	}
	for _, name := range []string{"c", "g", "u"} {
		trend := s.Page().Trace(nil, s.row(name), 3, true)
		if !slices.Equal(trend, []float64{large, large + 1, large + 2}) {
			t.Errorf("the trend of %s is %v", name, trend)
		}
	}
}

func TestThePauseIsAGap(t *testing.T) {
	s := watchOf(t)
	s.see(counter("a", 1))
	s.press(' ')
	if !s.Paused {
		t.Fatal("it isn't paused")
	}
	s.press('.')
	if !s.TakeStep() || s.TakeStep() {
		t.Error("a step isn't taken once")
	}
	s.see(counter("a", 2))
	s.press(' ')
	s.see(counter("a", 3))
	if got := fmt.Sprint(s.Page().Trace(nil, s.row("a"), 4, true)); got != "[1 2 NaN 3]" {
		t.Errorf("the trend is %s", got)
	}
	s.says("a", "3 1.00/s 1.00/s")
}

func TestIntervals(t *testing.T) {
	s := watchOf(t)
	is := func(keys string, want time.Duration) {
		t.Helper()
		s.typeIn(keys)
		if s.Interval != want {
			t.Errorf("%s: %v, want %v", keys, s.Interval, want)
		}
	}
	is("+", 2*time.Second)
	is("-", time.Second)
	is("-----", 100*time.Millisecond)
	is("++++++++++++", time.Minute)
	s.Interval = 3 * time.Second
	is("=", 5*time.Second)
	s.Interval = 3 * time.Second
	is("-", 2*time.Second)
}

func TestEnterGoesFromAStatToItsSourcesAndFromASourceToItsStats(t *testing.T) {
	s := watchOf(t)
	two := func(n int64) {
		s.collect(time.Second, source("web", counter("requests", n), counter("web.only", n)), source("worker", counter("requests", 10*n)),
			pipes.Source{Name: "mute", State: pipes.Unresponsive, Err: errors.New("no answer")})
	}
	two(1)
	two(2)
	s.lists("requests", "web.only")
	s.says("requests", "22 11.0/s 11.0/s")
	s.press(Enter)
	s.lists("web", "worker")
	s.says("worker", "20 10.0/s 10.0/s") // at once, since there were two collections
	two(3)
	s.says("web", "3 1.00/s 1.00/s")
	s.press(Enter)
	s.lists("requests", "web.only")
	s.says("requests", "3 1.00/s 1.00/s")
	s.press(Escape)
	s.lists("web", "worker")
	s.press(Backspace)
	s.lists("requests", "web.only")
	s.press(Escape) // there is nothing behind it
	s.lists("requests", "web.only")

	s.press(Tab)
	s.lists("mute", "web", "worker")
	s.press(Down, Enter)
	s.lists("requests", "web.only")
	s.press(Escape, '3')
	s.lists("mute", "web", "worker")
	s.press(Tab)
	s.lists("requests", "web.only")
}

// A source opens itself, also where it no longer says what it did.
func TestEnterOpensTheSourceUnderTheCursor(t *testing.T) {
	s := watchOf(t)
	s.collect(time.Second, source("first", counter("a", 1), counter("of.first", 1)), source("second", counter("a", 1)))
	s.press(Enter)
	s.lists("first", "second")
	s.collect(time.Second, source("second", counter("a", 1)), source("first", counter("of.first", 1)))
	s.lists("first", "second")
	s.press(Enter)
	s.lists("a", "of.first") // a is gone
	if title := s.Page().Title; title != "first" {
		t.Errorf("it is called %q", title)
	}
}

func TestSourcesAreSortedByWhatIsShownOfThem(t *testing.T) {
	s := watchOf(t)
	var sources []pipes.Source
	for i, name := range []string{"zzz", "w10", "w9", "w09b", "16968", "777", "_x"} {
		from := source(name, counter("a", 1))
		from.PID = 1000 - i
		sources = append(sources, from)
	}
	sources[6].PID = 0
	sources[5].Snapshot = nil
	s.collect(time.Second, sources...)
	s.press(Tab)
	s.lists("777", "16968", "_x", "w9", "w09b", "w10", "zzz")
	s.press('r')
	s.lists("zzz", "w10", "w09b", "w9", "_x", "16968", "777")
	s.press('2') // by pid; "-" is no number
	s.lists("777", "16968", "w09b", "w9", "w10", "zzz", "_x")
	s.press('5') // by how many stats
	s.lists("16968", "_x", "w9", "w09b", "w10", "zzz", "777")
	s.press(Tab, Enter)
	s.lists("16968", "_x", "w9", "w09b", "w10", "zzz")
}

func TestNamesAreComparedNaturally(t *testing.T) {
	sorted := []string{"", "7", "10", "010a", "018446744073709551616", "18446744073709551617", "-1", "a", "a1", "a2b", "a2b3", "a10", "a-1", "b"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := compareNaturally(a, b), cmp.Compare(i, j); got != want {
				t.Errorf("%q and %q: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestTheFooterCountsSources(t *testing.T) {
	counts := func(want string, troubled bool, states ...pipes.State) {
		t.Helper()
		s := watchOf(t)
		var sources []pipes.Source
		for _, state := range states {
			sources = append(sources, pipes.Source{Name: "x", State: state})
		}
		s.collect(0, sources...)
		if got, bad := s.SourceCount(); got != want || bad != troubled {
			t.Errorf("got %q, %v, want %q", got, bad, want)
		}
	}
	counts("0 sources: 0 live", false)
	counts("1 source: 1 live", false, pipes.Live)
	counts("4 sources: 2 live, 1 unresponsive, 1 stale", true, pipes.Stale, pipes.Live, pipes.Unresponsive, pipes.Live)
	counts("2 sources: 0 live, 1 stale, 1 retained", false, pipes.Stale, pipes.Retained)
}

func TestTheCursorStaysAtItsStatAndInSight(t *testing.T) {
	s := watchOf(t)
	var stats []format.Stat
	for i := range int64(100) {
		stats = append(stats, counter(fmt.Sprintf("s%02d", i), i))
	}
	s.see(stats...)
	at := func(cursor, top int) {
		t.Helper()
		if p := s.Page(); p.Cursor() != cursor || p.Top != top {
			t.Errorf("the cursor is at %d below %d, want %d below %d", p.Cursor(), p.Top, cursor, top)
		}
	}
	at(0, 0)
	s.press(Up)
	at(0, 0)
	s.press(PageDown)
	at(10, 1)
	s.press('k', 'k')
	at(8, 1)
	s.press(End)
	at(99, 90)
	s.press(Down)
	at(99, 90)
	s.press('r')
	at(0, 0) // s99 is the first now
	s.press('r')
	at(99, 90)
	s.SetRows(3)
	at(99, 97)
	s.press('g')
	at(0, 0)
	s.press('G')
	s.press('/')
	s.typeIn("s0")
	at(0, 0)
}

func TestTheCursorStaysWhereItIsWhenItsRowLeaves(t *testing.T) {
	s := watchOf(t)
	at := func(want string) {
		t.Helper()
		if p := s.Page(); p.List[p.Cursor()].Name != want {
			t.Errorf("the cursor is at %s, want %s", p.List[p.Cursor()].Name, want)
		}
	}
	s.see(gauge("a", 1), gauge("b", 2), gauge("c", 3), gauge("d", 4))
	s.press('z', 'j', 'j')
	at("c")
	s.see(gauge("a", 1), gauge("b", 2), gauge("c", 0), gauge("d", 4))
	at("d")
	s.see(gauge("a", 1), gauge("b", 2), gauge("c", 3), gauge("d", 4))
	at("d")
	s.see(gauge("a", 1), gauge("b", 2), gauge("c", 3), gauge("d", 0))
	at("c") // there is none below
}

// The first row is as good as any other: a cursor that somebody has put there stays at
// its stat, whichever is the first by then.
func TestTheCursorStaysAtAStatThatWasTheFirst(t *testing.T) {
	s := watchOf(t)
	swap := func(keys ...Key) (cursor int) {
		s.press('2')
		s.see(counter("a", 2), counter("b", 1))
		s.press(keys...)
		s.collect(resortAfter, source("one", counter("a", 2), counter("b", 3)))
		s.lists("b", "a")
		return s.Page().Cursor()
	}
	if at := swap(); at != 0 {
		t.Error("it goes with a stat that nobody has chosen")
	}
	if at := swap(Down, Up); at != 1 {
		t.Error("it doesn't go with its stat")
	}
	if at := swap(Home); at != 0 {
		t.Error("Home isn't the first for good")
	}
	if at := swap(Enter, Escape); at != 1 {
		t.Error("it isn't at the stat that was opened")
	}
}

func TestHelpIsLeftByAnyKey(t *testing.T) {
	s := watchOf(t)
	s.press('?')
	if !s.Help {
		t.Fatal("there is no help")
	}
	s.press('t')
	if s.Help || s.Totals {
		t.Error("the key does something")
	}
	s.press('?')
	for range 2 { // from the help and from the page
		if !s.Press('q') {
			t.Error("q doesn't quit")
		}
	}
}

func TestKeysDoNoHarmWhereThereIsNothing(t *testing.T) {
	s := watchOf(t)
	keys := []Key{Up, Down, PageUp, PageDown, Home, End, Left, Right, Enter, Escape, Backspace, Tab}
	for c := Key(' '); c < 127; c++ {
		if c != 'q' && c != 'Q' {
			keys = append(keys, c)
		}
	}
	s.press(keys...)
	s.press(Escape, Escape, Escape)
	s.collect(0)
	s.press(keys...)
	s.Fail(errors.New("broken"))
	s.press(keys...)
	if !strings.Contains(s.Failure, "broken") {
		t.Error("the failure is forgotten")
	}
}

func TestNumbers(t *testing.T) {
	value := func(v format.Value, want string) {
		t.Helper()
		if got := FormatValue(v, false); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
	value(format.Int(123456789), "123456789")
	value(format.Float(0), "0.000")
	value(format.Float(0.25), "0.250")
	value(format.Float(12.345), "12.35")
	value(format.Float(123.45), "123.5")
	value(format.Float(123456), "123456")
	value(format.Float(1.5e15), "1.500e15")
	value(format.Float(0.00001), "1.000e-5")
	value(format.Float(math.Inf(-1)), "-inf")
	rate := func(f float64, want string) {
		t.Helper()
		if got := FormatRate(f); got != want {
			t.Errorf("%v: got %q, want %q", f, got, want)
		}
	}
	rate(0, "0/s")
	rate(1234.5, "1234/s")
	rate(12.34, "12.3/s")
	rate(0.5, "0.50/s")
	rate(0.05, "0.050/s")
	rate(1e-5, "1.0e-5/s")
	rate(math.NaN(), "-")
	short := func(text string, columns int, want string) {
		t.Helper()
		if got := Shorten(text, columns); got != want {
			t.Errorf("%s in %d columns: got %q, want %q", text, columns, got, want)
		}
	}
	short("12345678", 8, "12345678")
	short("123456789", 8, "1.235e8")
	short("-1234567890123", 8, "-1.23e12")
	short("12345678901/s", 11, "1.235e10/s")
	short("+12345678901/s", 8, "+1e10/s")
	short("9223372036854775807", 3, "###")
	interval := func(d time.Duration, want string) {
		t.Helper()
		if got := FormatInterval(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
	interval(100*time.Millisecond, "100ms")
	interval(time.Second, "1s")
	interval(time.Minute, "1m")
	interval(90*time.Second, "1m30s")
	interval(10*time.Minute, "10m")
	interval(time.Hour, "1h")
}

// What Enter opens has to be asked for, where it is another host's.
func TestStatsOfEachSourceAreAskedForWhenWanted(t *testing.T) {
	m := watchOf(t)
	m.SetRows(10)
	web := pipes.Source{Name: "web", Kind: pipes.TypedSource, State: pipes.Live}
	total := snapshot(counter("jobs", 42))
	m.Take(&Update{Time: start, Total: total, Sources: []pipes.Source{web}})
	if m.WantsEachSource() {
		t.Error("they are wanted before somebody wants them")
	}
	m.press(Enter)
	m.lists()
	if !m.WantsEachSource() || !m.TakeStep() || m.Paused {
		t.Error("they aren't asked for at once")
	}
	web.Snapshot = total
	m.Take(&Update{Time: start.Add(time.Second), Total: total, Sources: []pipes.Source{web}, EachSource: true})
	m.lists("web")
	m.press(Escape)
	if m.WantsEachSource() {
		t.Error("they are still wanted")
	}
	m.press(Enter)
	if m.TakeStep() {
		t.Error("they are asked for at once, and are there")
	}
}

// The rates of what is shown don't wait for a long interval.
func TestTheSecondCollectionComesSoon(t *testing.T) {
	s := watchOf(t)
	s.Interval = 10 * time.Second
	is := func(want time.Duration) {
		t.Helper()
		if got := s.Delay(); got != want {
			t.Errorf("the next collection begins after %v, want %v", got, want)
		}
	}
	is(10 * time.Second)
	s.collect(0)
	is(10 * time.Second) // there is nothing that could have a rate
	s.see(counter("a", 1))
	is(time.Second)
	s.Interval = time.Millisecond
	is(time.Millisecond)
	s.Interval = 10 * time.Second
	s.Fail(errors.New("broken"))
	is(10 * time.Second)
	s.see(counter("a", 2))
	is(10 * time.Second)
	s.press(Enter)
	is(10 * time.Second) // it has its rates
	s.press(Escape, Tab)
	is(10 * time.Second) // there are none
	s.press(Tab)

	// What has to be asked for has them a second after it is there.
	total := snapshot(counter("a", 3))
	from := pipes.Source{Name: "one", Kind: pipes.TypedSource, State: pipes.Live}
	for range 2 {
		s.Take(&Update{Time: s.now, Total: total, Sources: []pipes.Source{from}})
	}
	s.press(Enter)
	is(10 * time.Second)
	from.Snapshot = total
	s.Take(&Update{Time: s.now, Total: total, Sources: []pipes.Source{from}, EachSource: true})
	is(time.Second)
}

// Where others count than before, what the total has grown by says nothing.
func TestOthersAreAGap(t *testing.T) {
	m := watchOf(t)
	see := func(n int64, others bool) *Row {
		m.now = m.now.Add(time.Second)
		m.Take(&Update{Time: m.now, Total: snapshot(counter("jobs", n)), Others: others})
		return m.Page().List[0]
	}
	see(10, true)
	if r := see(12, false); r.Rate != 2 {
		t.Errorf("the rate is %v", r.Rate)
	}
	if r := see(1_000_012, true); !math.IsNaN(r.Rate) || r.Grown != 2 || r.Average != 2 || r.Value != format.Int(1_000_012) {
		t.Errorf("with one more: rate %v, grown %v, average %v", r.Rate, r.Grown, r.Average)
	}
	if r := see(5, true); r.IsReset(m.now) {
		t.Error("one fewer is a reset")
	}
	if r := see(8, false); r.Rate != 3 {
		t.Errorf("then the rate is %v", r.Rate)
	}
}
