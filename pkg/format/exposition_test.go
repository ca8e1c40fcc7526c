package format

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// exposes checks the lines that the stats become, but for the last of OpenMetrics.
func exposes(t *testing.T, e Exposition, stats []Stat, lines ...string) {
	t.Helper()
	s := &Snapshot{Stats: stats}
	s.Sort()
	if e.Syntax == OpenMetrics {
		lines = append(lines, "# EOF")
	}
	text := string(e.Append(nil, s, nil, nil))
	if want := strings.Join(lines, "\n") + "\n"; text != want {
		t.Errorf("got\n%swant\n%s", text, want)
	}
}

func counter(name string, n int64) Stat { return Stat{Name: name, Kind: Counter, Value: Int(n)} }
func gauge(name string, n int64) Stat   { return Stat{Name: name, Kind: Gauge, Value: Int(n)} }
func untyped(name string, n int64) Stat { return Stat{Name: name, Value: Int(n)} }

func recorded(name string, window ...Value) Stat {
	return Stat{Name: name, Kind: Distribution, Dist: &Samples{
		Count: 150, Sum: Int(11175), Labels: DefaultLabels(), Window: window,
	}}
}

var (
	whole = Exposition{PrometheusText1, EscapeNothing}
	om    = Exposition{OpenMetrics, EscapeNothing}
)

func TestKindsBecomeTypes(t *testing.T) {
	stats := func() []Stat {
		return []Stat{counter("c", 1), gauge("g", -2), untyped("u", 3), recorded("d.{0}", Int(1), Int(2), Int(4))}
	}
	exposes(t, Exposition{}, stats(),
		"# TYPE c_total counter", "c_total 1",
		"# TYPE d summary",
		`d{quantile="0.5"} 1`, `d{quantile="0.95"} 2`, `d{quantile="0.99"} 2`, `d{quantile="1.0"} 4`,
		"d_sum 11175", "d_count 150",
		"# TYPE d_mean gauge", fmt.Sprintf("d_mean %v", 7/3.0),
		"# TYPE g gauge", "g -2",
		"# TYPE u untyped", "u 3")
	exposes(t, om, stats(),
		"# TYPE c counter", "c_total 1",
		"# TYPE d summary",
		`d{quantile="0.5"} 1`, `d{quantile="0.95"} 2`, `d{quantile="0.99"} 2`, `d{quantile="1.0"} 4`,
		"d_sum 11175", "d_count 150",
		"# TYPE d_mean gauge", fmt.Sprintf("d_mean %v", 7/3.0),
		"# TYPE g gauge", "g -2",
		"# TYPE u unknown", "u 3")
	exposes(t, om, nil)
}

func TestNamesThatAreSeries(t *testing.T) {
	exposes(t, Exposition{},
		[]Stat{
			counter(`http_requests_total{method="GET"}`, 1), counter(`http_requests_total{method="PUT", code="2\"0\\0\n",}`, 2),
			counter(`hits{path="/"}`, 3), gauge(`empty{a="",b="x"}`, 4), gauge("none{}", 5), gauge("a:b", 6),
		},
		"# TYPE a:b gauge", "a:b 6",
		"# TYPE empty gauge", `empty{b="x"} 4`,
		"# TYPE hits_total counter", `hits_total{path="/"} 3`,
		"# TYPE http_requests_total counter",
		`http_requests_total{code="2\"0\\0\n",method="PUT"} 2`, `http_requests_total{method="GET"} 1`,
		"# TYPE none gauge", "none 5")
	// The labels of a distribution.
	for _, name := range []string{
		`d{a="b"}`, `d{a="b"}.{0}`, `d_{0}{a="b"}`, `d{a="b",quantile="{0}"}`, `d{quantile="{0}",a="b"}`,
	} {
		exposes(t, Exposition{}, []Stat{recorded(name)},
			"# TYPE d summary", `d_sum{a="b"} 11175`, `d_count{a="b"} 150`)
	}
	exposes(t, Exposition{}, []Stat{recorded(`d{quantile="{0}"}`, Int(5))},
		"# TYPE d summary", `d{quantile="0.5"} 5`, `d{quantile="0.95"} 5`, `d{quantile="0.99"} 5`, `d{quantile="1.0"} 5`,
		"d_sum 11175", "d_count 150", "# TYPE d_mean gauge", "d_mean 5.0")
}

func TestOtherNames(t *testing.T) {
	is := func(name, underscores, dots, values, quoted string) {
		t.Helper()
		head := func(exposed string) string { return "# TYPE " + exposed + " gauge" }
		stats := []Stat{gauge(name, 1)}
		exposes(t, Exposition{}, stats, head(underscores), underscores+" 1")
		exposes(t, Exposition{Escaping: EscapeDots}, stats, head(dots), dots+" 1")
		exposes(t, Exposition{Escaping: EscapeValues}, stats, head(values), values+" 1")
		exposes(t, whole, stats, head(quoted), "{"+quoted+"} 1")
		exposes(t, om, stats, head(quoted), "{"+quoted+"} 1")
	}
	is("app.queue_length", "app_queue_length", "app_dot_queue__length", "U__app_2e_queue__length", `"app.queue_length"`)
	is("GET /x", "GET__x", "GET____x", "U__GET_20__2f_x", `"GET /x"`)
	is("0a", "_a", "__a", "U___30_a", `"0a"`)
	is("é☃", "__", "____", "U___e9__2603_", `"é☃"`)
	is(`say "hi\"`, `say__hi__`, `say____hi____`, `U__say_20__22_hi_5c__22_`, `"say \"hi\\\""`)
	is("a\xff\x00\x7f", `a_xff_x00_x7f`, `a__xff__x00__x7f`, `U__a_5c_xff_5c_x00_5c_x7f`, `"a\\xff\\x00\\x7f"`)
	is(`\xff`, `_x5cxff`, `__x5cxff`, `U___5c_x5cxff`, `"\\x5cxff"`)
	for _, name := range []string{ // which look like series
		`x{a="1"`, `x{a=1}`, `x{a="1}`, `x{a="1" b="2"}`, `x{a="1",,}`, `x{a="\t"}`, `x{="1"}`, `x{0="1"}`, `x{a:b="1"}`, `x{a="1\`,
		`x{__name__="y"}`, `x{__a="1"}`, `x{a="1",a="2"}`, `x{a="1"} 5`, `0{a="1"}`, `{a="1"}`, `x {a="1"}`,
	} {
		quoted := string(appendQuoted(nil, name))
		exposes(t, whole, []Stat{gauge(name, 1)}, "# TYPE "+quoted+" gauge", "{"+quoted+"} 1")
	}
	exposes(t, om, []Stat{counter("app.hits", 1)}, `# TYPE "app.hits" counter`, `{"app.hits_total"} 1`)
	exposes(t, whole, []Stat{recorded("app.d", Int(5))},
		`# TYPE "app.d" summary`, `{"app.d",quantile="0.5"} 5`, `{"app.d",quantile="0.95"} 5`, `{"app.d",quantile="0.99"} 5`,
		`{"app.d",quantile="1.0"} 5`, `{"app.d_sum"} 11175`, `{"app.d_count"} 150`, `# TYPE "app.d_mean" gauge`, `{"app.d_mean"} 5.0`)
}

func TestNamesThatBecomeTheSame(t *testing.T) {
	exposes(t, Exposition{}, []Stat{gauge("a.b", 1), gauge("a-b", 2), gauge("a_b", 3), gauge("c.d", 4)},
		"# TYPE a_b gauge", "a_b 3", `a_b{stat="a-b"} 2`, `a_b{stat="a.b"} 1`,
		"# TYPE c_d gauge", "c_d 4")
	exposes(t, Exposition{}, []Stat{gauge("a.b", 1), gauge("a-b", 2)},
		"# TYPE a_b gauge", `a_b{stat="a-b"} 2`, `a_b{stat="a.b"} 1`)
	exposes(t, whole, []Stat{gauge("a.b", 1), gauge("a-b", 2)},
		`# TYPE "a-b" gauge`, `{"a-b"} 2`, `# TYPE "a.b" gauge`, `{"a.b"} 1`)
	exposes(t, om, []Stat{counter("x", 1), counter("x_total", 2)},
		"# TYPE x counter", "x_total 2", `x_total{stat="x"} 1`)
	exposes(t, Exposition{}, []Stat{gauge(`x{a="1",b="2"}`, 1), gauge(`x{b="2",a="1"}`, 2)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat="x{b=\"2\",a=\"1\"}"} 2`,
		"# TYPE x gauge", `x{a="1",b="2"} 1`)
	// One has a label "stat" already.
	exposes(t, Exposition{}, []Stat{counter(`x{stat="y"}`, 1), counter(`x_total{stat="y"}`, 2)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat="x{stat=\"y\"}"} 1`,
		"# TYPE x_total counter", `x_total{stat="y"} 2`)
	exposes(t, Exposition{}, []Stat{gauge("a.b", 1), gauge("a-b", 2), gauge(`a_b{stat="a.b"}`, 3)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat="a.b"} 1`,
		"# TYPE a_b gauge", `a_b{stat="a-b"} 2`, `a_b{stat="a.b"} 3`)
}

func TestTypesThatDiffer(t *testing.T) {
	// Values of several kinds have none together.
	exposes(t, om, []Stat{counter(`x_total{a="1"}`, 1), untyped(`x_total{a="2"}`, 2)},
		"# TYPE x_total unknown", `x_total{a="1"} 1`, `x_total{a="2"} 2`)
	// What is in a summary is not exposed beside it.
	exposes(t, Exposition{}, []Stat{recorded("d.{0}"), gauge("d_sum", 1), gauge("d_mean", 2)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat="d_sum"} 1`,
		"# TYPE d summary", "d_sum 11175", "d_count 150", "# TYPE d_mean gauge", "d_mean 2")
	exposes(t, Exposition{}, []Stat{gauge("d", 1), recorded("d", Int(5))},
		"# TYPE statvent_clashing untyped",
		`statvent_clashing{stat="d",value="100th"} 5`, `statvent_clashing{stat="d",value="95th"} 5`,
		`statvent_clashing{stat="d",value="99th"} 5`, `statvent_clashing{stat="d",value="count"} 150`,
		`statvent_clashing{stat="d",value="median"} 5`, `statvent_clashing{stat="d",value="sum"} 11175`,
		"# TYPE d gauge", "d 1", "# TYPE d_mean gauge", "d_mean 5.0")
	// A counter has its name in OpenMetrics without _total, unless that is another's.
	exposes(t, om, []Stat{counter("x", 1), gauge("x", 2)}, "# TYPE x gauge", "x 2", "# TYPE x_total unknown", "x_total 1")
	exposes(t, Exposition{}, []Stat{counter("x", 1), gauge("x", 2)}, "# TYPE x gauge", "x 2", "# TYPE x_total counter", "x_total 1")
	exposes(t, om, []Stat{counter("x", 1), gauge("x_created", 2)},
		"# TYPE x_created gauge", "x_created 2", "# TYPE x_total unknown", "x_total 1")
	exposes(t, om, []Stat{counter("x", 1), counter("x_created", 2)},
		"# TYPE x_created counter", "x_created_total 2", "# TYPE x_total unknown", "x_total 1")
	exposes(t, om, []Stat{recorded(`d{a="1"}`), recorded(`d{a="2"}`), gauge("d_created", 2)},
		"# TYPE d unknown",
		"# TYPE d_sum unknown", `d_sum{a="1"} 11175`, `d_sum{a="2"} 11175`,
		"# TYPE d_count unknown", `d_count{a="1"} 150`, `d_count{a="2"} 150`,
		"# TYPE d_created gauge", "d_created 2")
}

func TestQuantiles(t *testing.T) {
	stat := recorded("d", Int(7))
	stat.Dist.Labels = []Label{{"0th", 0}, {"3 nines", 99.9}, {"same", 99.9}, {"much", 101}, {"none", math.NaN()}}
	exposes(t, Exposition{}, []Stat{stat},
		"# TYPE d summary", `d{quantile="0.0"} 7`, `d{quantile="0.999"} 7`, "d_sum 11175", "d_count 150",
		"# TYPE d_much gauge", "d_much 7", "# TYPE d_none gauge", "d_none 7")
	stat.Name = "{0}"
	stat.Dist.Labels, stat.Dist.Sum = nil, Int(-1) // which is no counter
	exposes(t, Exposition{}, []Stat{stat}, "# TYPE _0_ summary", "_0__sum -1", "_0__count 150")
	exposes(t, om, []Stat{stat},
		`# TYPE "{0}" unknown`, `# TYPE "{0}_sum" unknown`, `{"{0}_sum"} -1`, `# TYPE "{0}_count" unknown`, `{"{0}_count"} 150`)
	stat.Dist.Labels, stat.Dist.Sum, stat.Dist.Window = []Label{{"median", 50}}, Int(1), []Value{Int(-1)}
	exposes(t, om, []Stat{stat}, `# TYPE "{0}" unknown`, `{"{0}",quantile="0.5"} -1`,
		`# TYPE "{0}_sum" unknown`, `{"{0}_sum"} 1`, `# TYPE "{0}_count" unknown`, `{"{0}_count"} 150`)
}

func TestExposedValues(t *testing.T) {
	is := func(v Value, text string) {
		t.Helper()
		exposes(t, Exposition{}, []Stat{{Name: "x", Value: v}}, "# TYPE x untyped", "x "+text)
	}
	is(Int(math.MinInt64), "-9223372036854775808")
	is(Float(1), "1.0")
	is(Float(math.Copysign(0, -1)), "-0.0")
	is(Float(1e300), "1e+300")
	is(Float(math.NaN()), "NaN")
	is(Float(math.Inf(1)), "+Inf")
	is(Float(math.Inf(-1)), "-Inf")
}

// A snapshot that nobody has combined may have a name twice.
func TestNamesThatStandTwice(t *testing.T) {
	exposes(t, Exposition{}, []Stat{gauge("x", 1), gauge("x", 2), gauge("x", 3)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat="x"} 5`, "# TYPE x gauge", "x 1")
}

func TestNamesThatAreNobodys(t *testing.T) {
	exposes(t, Exposition{}, []Stat{gauge("up", 0), gauge(`up{job="x"}`, 0), gauge("scrape.duration_seconds", 1), counter("", 2)},
		"# TYPE statvent_clashing untyped", `statvent_clashing{stat=""} 2`,
		`statvent_clashing{stat="scrape.duration_seconds"} 1`, `statvent_clashing{stat="up"} 0`, `statvent_clashing{stat="up{job=\"x\"}"} 0`)
}

// Nothing that is published touches what the caller has to say.
func TestOwnNamesAreNobodyElses(t *testing.T) {
	own := &Snapshot{Stats: []Stat{gauge(`statvent_sources{state="live"}`, 3), counter("statvent_folds_total", 1)}}
	s := &Snapshot{Stats: []Stat{
		gauge("statvent.folds_total", 9), gauge("statvent_clashing", 8), gauge(`statvent_sources{state="live"}`, 7),
		gauge(`statvent_sources{state="odd"}`, 6), gauge("statvent_x", 5),
	}}
	want := `# TYPE statvent_clashing untyped
statvent_clashing{stat="statvent.folds_total"} 9
statvent_clashing{stat="statvent_clashing"} 8
statvent_clashing{stat="statvent_sources{state=\"live\"}"} 7
statvent_clashing{stat="statvent_sources{state=\"odd\"}"} 6
# HELP statvent_folds_total How often.
# TYPE statvent_folds_total counter
statvent_folds_total 1
# TYPE statvent_sources gauge
statvent_sources{state="live"} 3
# TYPE statvent_x gauge
statvent_x 5
`
	s.Sort()
	if got := string(Exposition{}.Append(nil, s, own, map[string]string{"statvent_folds_total": "How often."})); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
