//go:build linux

package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/statvent"
)

func promtool(t *testing.T, stdin []byte, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lookup(t, "promtool"), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestConfigurationOfPrometheus(t *testing.T) {
	t.Parallel()
	if out, code := promtool(t, nil, "check", "config", "../configs/prometheus.yml"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestRulesOfPrometheus(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob("../configs/prometheus/tests/*.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("%v: no tests of the rules", err)
	}
	if out, code := promtool(t, nil, append([]string{"test", "rules"}, tests...)...); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// oddNames are names of every kind that a program may think of.
var oddNames = []string{
	"requests", "requests_total", "app.requests", "app_requests", "app requests", "app-requests", "a:b", ":", "_", "0", "0a", "-1",
	"GET /: time", "café", "漢字", "😀", "😀 😀", "a\u00a0b", "\u202egnp", "\x00", "a\x00b", "a\tb", "\x1b[31mred", "\x7f", "\xff", "\xff\xfe", "a\xc3", "\xed\xa0\x80", `a\xff`, `\xff`,
	`"`, `a"b`, `\`, `a\`, `a\n`, `a\\b`, `'`, "`", "{", "}", "{}", "a{", "a}", "a{}", "#", "# TYPE a counter", "# EOF", "NaN", "+Inf", "<img src=x onerror=alert(1)>",
	`http_requests_total{method="GET"}`, `http_requests_total{method="PUT",code="200"}`, `http_requests{method="GET"}`, `x{a="\"\\\n"}`, `x{a="}"}`, `x{a="`, `x{a=b}`, `x{a="b"`,
	`x{a="b",}`, `x{a="b",a="b"}`, `x{a="b",a="c"}`, `x{c="d",a="b"}`, `x{a="b",c="d"}`, `x{__name__="y"}`, `x{le="1"}`, `x{quantile="0.5"}`, `x{job="y",instance="z"}`,
	`x{stat="y"}`, "x{a=\"\xff\"}", "x{a=\"\x00\"}", `x{a=""}`, `x.y{a="b"}`, `{a="b"}`, `{"a b"}`, `{"a b",c="d"}`, `x{"a"="b"}`, `x{a="b"} 5`, `x {a="b"}`, "__name__", "le",
	"statvent_sources", `statvent_sources{state="live"}`, "statvent.sources", "statvent_clashing", `statvent_clashing{stat="x"}`, "statvent_folds", "up", "scrape_duration_seconds", `up{job="y"}`,
	"y", "y_total", "y_total_total", "y_sum", "y_count", "y_bucket", "y_created", "y_info", "y_mean", "y.total", "y.sum", "_total", "_sum", "U__y", "y_dot_z", "y.z", "y_z",
	"d.{0}", "d_{0}", "{0}", "{0}.d", "d{0}", "d_sum", "d_count", "d", "d.mean", `e{quantile="{0}"}`, `e_{0}{a="b"}`, `e{a="b"}.{0}`, `e{a="{0}"}`, strings.Repeat("x", 5000),
}

// publishOdd starts a recorder with that many stats: all but two have odd names,
// each with its kind; those two have names that no other has.
func publishOdd(t *testing.T, dir string, i, stats int) {
	t.Helper()
	r := statvent.NewRegistry()
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e300, 5e-324, -0.1}
	add := func(name string, kind int) {
		switch kind % 4 {
		case 0:
			r.IncrBy(name, int64(i+1))
		case 1:
			r.SetFloat(name, odd[(i+kind/4)%len(odd)])
		case 2:
			r.Record(name, int64(i))
			r.RecordFloat(name, odd[i%len(odd)])
		default:
			r.IncrByFloat(name, 0.5)
		}
	}
	for n := range stats * 9 / 10 {
		at := (i*7 + n) % len(oddNames)
		kind := at
		if i%10 == 9 {
			kind++ // than with the others
		}
		add(oddNames[at], kind)
	}
	for n := range 2 {
		add(fmt.Sprintf("source %d/stat.%d", i, n), n)
	}
	r.IncrBy("checked.adds", int64(i+1))
	r.SetFloat(`checked{by="label"}`, 0.5)
	rec, err := statvent.StartRecorder(statvent.WithPipeDir(dir), statvent.WithName(fmt.Sprintf("odd-%d", i)), statvent.WithRegistry(r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close() })
}

// ownMetric finds what statvent says of itself.
var ownMetric = regexp.MustCompile(`(?m)^# TYPE (statvent_\w+) `)

// promtool has nothing to say about statvent's own metrics, and can read the
// rest; the rules and the dashboard ask for nothing that isn't there.
func TestPromtoolChecksMetrics(t *testing.T) {
	t.Parallel()
	lookup(t, "promtool")
	dir := newHerd(t).dir
	serve := startServe(t, dir)
	serve.get(t, "/metrics")
	alone, _ := serve.get(t, "/metrics")
	if out, code := promtool(t, alone, "check", "metrics"); code != 0 || out != "" {
		t.Errorf("exit code %d: %s", code, out)
	}
	own := map[string]bool{"statvent_clashing": true}
	for _, m := range ownMetric.FindAllSubmatch(alone, -1) {
		own[string(m[1])] = true
	}
	if len(own) < 10 {
		t.Errorf("statvent says of itself only %v", own)
	}
	for _, file := range []string{"prometheus/rules/statvent.yml", "grafana-dashboard.json"} {
		text, err := os.ReadFile("../configs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		// With a brace or a range behind it, it is asked for, and isn't the name of a rule.
		for _, m := range regexp.MustCompile(`[^:\w](statvent_\w+)[\[{]`).FindAllSubmatch(text, -1) {
			name := string(m[1])
			for _, suffix := range []string{"_sum", "_count"} {
				if own[strings.TrimSuffix(name, suffix)] {
					name = strings.TrimSuffix(name, suffix)
				}
			}
			if !own[name] {
				t.Errorf("%s asks for %s, which isn't there", file, m[1])
			}
		}
	}

	for i := range 20 {
		publishOdd(t, dir, i, len(oddNames))
	}
	all, _ := serve.get(t, "/metrics")
	if !bytes.Contains(all, []byte("\nstatvent_clashing{")) {
		t.Error("no names clash")
	}
	printed, stderr, code := runStatvent(t, dir, "cat", "-o", "prometheus")
	if code != 0 {
		t.Errorf("cat: exit code %d: %s", code, stderr)
	}
	read := func(text []byte) (said string) {
		t.Helper()
		said, code := promtool(t, text, "check", "metrics")
		if code != 0 && code != 3 { // 3: it can be read, and there is something to say
			t.Errorf("exit code %d: %s", code, said)
		}
		return said
	}
	read([]byte(printed))
	for line := range strings.Lines(read(all)) {
		if name, _, _ := strings.Cut(line, " "); own[name] {
			t.Errorf("promtool says %s", line)
		}
	}
}

// A prom is a Prometheus that runs.
type prom struct{ url string }

// startPrometheus starts one with that configuration and returns when it answers.
func startPrometheus(t *testing.T, config string) *prom {
	t.Helper()
	program := lookup(t, "prometheus")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t, "127.0.0.1")
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	process := start(t, cmd)
	p := &prom{url: "http://" + address}
	waitUntil(t, "Prometheus is ready", func() bool {
		select {
		case <-process.exited:
			t.Fatalf("Prometheus ended: %s", process.stderr)
		default:
		}
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// A promSeries is what Prometheus answers with: of a query at one moment a Value,
// of one over time Values.
type promSeries struct {
	Metric map[string]string
	Value  promPoint
	Values []promPoint
}

type promPoint struct{ time, value float64 }

// UnmarshalJSON reads [SECONDS, "VALUE"].
func (p *promPoint) UnmarshalJSON(text []byte) error {
	var pair [2]any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	value, isText := pair[1].(string)
	seconds, isNumber := pair[0].(float64)
	if !isText || !isNumber {
		return fmt.Errorf("not a value: %s", text)
	}
	p.time = seconds
	var err error
	p.value, err = strconv.ParseFloat(value, 64)
	return err
}

// ask asks the API and reads its data.
func (p *prom) ask(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s %v: %s, %v", path, query, answer.Error, err)
	}
}

func (p *prom) query(t *testing.T, promQL string) []promSeries {
	t.Helper()
	var data struct{ Result []promSeries }
	p.ask(t, "query", url.Values{"query": {promQL}}, &data)
	return data.Result
}

// number returns the value of a query that has one; 0 if it has none.
func (p *prom) number(t *testing.T, promQL string) float64 {
	t.Helper()
	switch result := p.query(t, promQL); len(result) {
	case 0:
		return 0
	case 1:
		return result[0].Value.value
	default:
		t.Fatalf("%s has %d results", promQL, len(result))
		return 0
	}
}

// complaints are Prometheus' own counters of what is wrong with scrapes.
var complaints = regexp.MustCompile(`(?m)^(prometheus_target_(?:scrapes_(?:sample_(?:duplicate_timestamp|out_of_order|out_of_bounds)|exceeded_\w+|exemplar_out_of_order|cache_flush_forced)_total|scrape_pools?_(?:failed|exceeded_\w+|reloads_failed)_total)) ([1-9].*)$`)

// checkComplaints checks that Prometheus has none.
func (p *prom) checkComplaints(t *testing.T) {
	t.Helper()
	resp, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text.Bytes(), []byte("prometheus_target_scrapes_sample_duplicate_timestamp_total 0")) {
		t.Error("Prometheus doesn't count what is there twice, or some is")
	}
	for _, m := range complaints.FindAllSubmatch(text.Bytes(), -1) {
		t.Errorf("Prometheus says %s", m[0])
	}
}

// The real Prometheus reads 200 sources with 100 stats each, names of every kind
// among them, 200 times, and never finds a fault.
func TestPrometheusScrapesNamesOfEveryKind(t *testing.T) {
	lookup(t, "prometheus")
	const sources, stats, scrapes = 200, 100, 200
	dir := newHerd(t).dir
	for i := range sources {
		publishOdd(t, dir, i, stats)
	}
	serve := startServe(t, dir)
	// One target under many names: so that there are many scrapes soon, each with
	// the patience that a busy machine needs.
	const jobs = 64
	config := "global: {scrape_interval: 8s, scrape_timeout: 8s}\nscrape_configs:\n"
	for i := range jobs {
		config += fmt.Sprintf("- {job_name: statvent-%d, static_configs: [{targets: [%q]}]}\n", i, strings.TrimPrefix(serve.url, "http://"))
	}
	p := startPrometheus(t, config)
	waitUntilWithin(t, time.Minute, 100*time.Millisecond, fmt.Sprintf("there are %d scrapes", scrapes), func() bool {
		return p.number(t, `sum(count_over_time(scrape_samples_scraped[10m]))`) >= scrapes
	})
	if failed := p.query(t, `sum by (job) (count_over_time(up[10m]) - sum_over_time(up[10m])) != 0`); len(failed) > 0 {
		t.Errorf("scrapes failed: %+v", failed)
	}
	p.checkComplaints(t)
	var data struct {
		ActiveTargets []struct{ ScrapePool, Health, LastError string }
	}
	p.ask(t, "targets", nil, &data)
	for _, target := range data.ActiveTargets {
		if target.Health != "up" || target.LastError != "" {
			t.Errorf("%s is %s: %s", target.ScrapePool, target.Health, target.LastError)
		}
	}

	// Each line is a series of its own, and so are the five that Prometheus adds.
	text, took := serve.get(t, "/metrics")
	lines := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	for what, query := range map[string]string{
		"samples": `min(scrape_samples_scraped)`,
		"series":  `min(count by (job) ({job=~"statvent-.*"})) - 5`,
	} {
		if n := p.number(t, query); n != float64(lines) {
			t.Errorf("%s: %v, want %d", what, n, lines)
		}
	}
	t.Logf("%v scrapes of %d samples, in at most %v seconds; one alone takes %v", p.number(t, `sum(count_over_time(scrape_samples_scraped[10m]))`), lines,
		p.number(t, `max(max_over_time(scrape_duration_seconds[10m]))`), took)
	for series, want := range map[string]float64{"checked_adds_total": sources * (sources + 1) / 2, `checked{by="label"}`: sources / 2} {
		if n := p.number(t, `max without (job) (`+series+`)`); n != want {
			t.Errorf("%s is %v, want %v", series, n, want)
		}
	}
}

// A truth is what the processes of a herd had counted at some moments.
type truth struct {
	mu     sync.Mutex
	points []promPoint
}

func (tr *truth) note(steps int64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.points = append(tr.points, promPoint{float64(time.Now().UnixMicro()) / 1e6, float64(steps)})
}

// after returns what had been counted at that time, or up to one look later.
func (tr *truth) after(seconds float64) float64 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	i, _ := slices.BinarySearchFunc(tr.points, seconds, func(p promPoint, s float64) int { return cmp.Compare(p.time, s) })
	return tr.points[min(i, len(tr.points)-1)].value
}

// A host is a pipe directory with a serve and processes that come and go.
type promHost struct {
	*herd
	address, state string
	serve          *service
	truth          truth
}

// Three hosts are added up by Prometheus, while their processes come and go, some
// are killed, and one serve is started again: the rate of a counter of all hosts
// is that at which they count.
func TestRatesOfSeveralHostsAreSmooth(t *testing.T) {
	lookup(t, "prometheus")
	const interval = 500 * time.Millisecond // and the patience of a scrape
	var hosts []*promHost
	config := fmt.Sprintf("global: {scrape_interval: %v, scrape_timeout: %[1]v, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: statvent\n  static_configs:\n",
		interval, filepath.Join(workingDirectory(t), "../configs/prometheus/rules/*.yml"))
	for range 3 {
		h := &promHost{herd: newHerd(t), address: freeAddress(t, "127.0.0.1"), state: t.TempDir()}
		h.size, h.atOnce = 80, 2
		h.kill = func(i int) bool { return i%3 == 2 }
		// A process that stays, so that the counters are there from the beginning.
		startPublisher(t, h.dir, intName+"=0")
		h.serve = startServeAt(t, h.address, h.dir, "--state-dir", h.state)
		hosts = append(hosts, h)
		config += fmt.Sprintf("  - targets: [%q]\n", h.address)
	}
	p := startPrometheus(t, config)
	const counter = "herd_steps_total"
	waitUntil(t, "all hosts are scraped", func() bool { return p.number(t, `count(count_over_time(`+counter+`[1m]) > 2)`) == 3 })

	stop := make(chan struct{})
	var looks, herds sync.WaitGroup
	for _, h := range hosts {
		looks.Go(func() { until(stop, 10*time.Millisecond, func() { h.truth.note(h.herd.truth()) }) })
		herds.Go(func() { h.run(t) })
	}
	// In the middle, one serve is another one.
	restarted := hosts[1]
	waitFor(time.Minute, func() bool { return restarted.herd.truth() > int64(restarted.size*herdSteps)/2 })
	restarted.serve.end(t)
	restarted.serve = startServeAt(t, restarted.address, restarted.dir, "--state-dir", restarted.state)
	herds.Wait()

	// The end has come when Prometheus says what serve says, and has for a while.
	served := make(map[string]float64)
	for _, h := range hosts {
		h.awaitFolds(t)
		stats, _ := h.serve.stats(t)
		n, err := stats[intName].Int64()
		if err != nil {
			t.Fatal(err)
		}
		served[h.address] = float64(n)
		waitUntil(t, "Prometheus has the last of it", func() bool {
			return p.number(t, fmt.Sprintf(`count_over_time((%s{instance=%q} == %d)[2s:250ms])`, counter, h.address, n)) >= 3
		})
	}
	close(stop)
	looks.Wait()

	series := p.query(t, counter+`{job="statvent"}[10m]`)
	if len(series) != len(hosts) {
		t.Fatalf("%d series of %d hosts", len(series), len(hosts))
	}
	for i, h := range hosts {
		at := slices.IndexFunc(series, func(s promSeries) bool { return s.Metric["instance"] == h.address })
		h.checkSamples(t, fmt.Sprintf("host %d", i), series[at].Values, served[h.address])
	}
	if resets := p.query(t, `resets(`+counter+`[10m]) != 0`); len(resets) != 0 {
		t.Errorf("Prometheus sees resets: %+v", resets)
	}
	p.checkIncrease(t, counter, served)
	p.checkRate(t, counter, hosts)
	if got := p.query(t, `ALERTS{alertstate="firing"}`); len(got) > 0 {
		t.Errorf("alerts fire: %+v", got)
	}
	// A rule that adds the hosts up: on each, one process has stayed.
	waitUntil(t, "the rule is evaluated", func() bool { return p.number(t, `job_state:statvent_sources:sum{state="live"}`) == 3 })
	p.checkComplaints(t)
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// awaitFolds waits until the killed that serve had read are folded.
func (h *promHost) awaitFolds(t *testing.T) {
	t.Helper()
	waitUntil(t, "all of the killed are folded", func() bool {
		sources, err := h.serve.trySources()
		return err == nil && !slices.ContainsFunc(sources, func(s sourceJSON) bool { return s.State == "stale" && len(s.Values) > 0 })
	})
}

// checkSamples checks what Prometheus has read of one host: it never falls, is
// never ahead of what was counted, and ends with what serve says.
func (h *promHost) checkSamples(t *testing.T, who string, samples []promPoint, served float64) {
	t.Helper()
	var last promPoint
	for i, sample := range samples {
		if i > 0 && sample.value < last.value {
			t.Errorf("%s: %v after %v", who, sample, last)
		}
		// A scrape has its beginning as its time.
		if most := h.truth.after(sample.time + 1); sample.value > most {
			t.Errorf("%s: %v steps, when %v had been counted", who, sample, most)
		}
		last = sample
	}
	all := float64(h.herd.truth())
	t.Logf("%s: %d samples; of %v steps Prometheus has %v, lost by kills %.2f %%", who, len(samples), all, last.value, 100*(all-last.value)/all)
	if samples[0].value != 0 || last.value != served || last.value > all {
		t.Errorf("%s: from %v to %v, want from 0 to %v, of %v", who, samples[0].value, last.value, served, all)
	}
	if finished := float64((h.size - h.size/3) * herdSteps); last.value < finished {
		t.Errorf("%s: %v steps, and those that weren't killed did %v", who, last.value, finished)
	}
}

// checkIncrease checks increase() over the whole run against what was counted.
// Prometheus extrapolates, which here is a scrape interval or two of nothing.
func (p *prom) checkIncrease(t *testing.T, counter string, served map[string]float64) {
	t.Helper()
	increases := p.query(t, `increase(`+counter+`[10m])`)
	if len(increases) != len(served) {
		t.Errorf("%d increases of %d hosts", len(increases), len(served))
	}
	for _, s := range increases {
		if want := served[s.Metric["instance"]]; math.Abs(s.Value.value-want) > want/10 {
			t.Errorf("increase of %s: %v, want %v", s.Metric["instance"], s.Value.value, want)
		}
	}
}

// checkRate checks the rate over all hosts at each moment of the run: it is
// neither negative nor higher than what they counted in that time.
func (p *prom) checkRate(t *testing.T, counter string, hosts []*promHost) {
	t.Helper()
	const window, slack = 2.0, 1.0
	first := hosts[0].truth.points[0].time
	var data struct{ Result []promSeries }
	p.ask(t, "query_range", url.Values{
		"query": {fmt.Sprintf(`sum without (instance) (rate(%s[%vs]))`, counter, window)},
		"start": {fmt.Sprint(first)}, "end": {fmt.Sprint(float64(time.Now().UnixMilli()) / 1000)}, "step": {"0.1"},
	}, &data)
	if len(data.Result) != 1 || len(data.Result[0].Values) < 20 {
		t.Fatalf("the rate is %+v", data.Result)
	}
	highest := 0.0
	for _, point := range data.Result[0].Values {
		var most float64
		for _, h := range hosts {
			most += h.truth.after(point.time+slack) - h.truth.after(point.time-window-slack)
		}
		if !(point.value >= 0) || point.value > 2*most/window {
			t.Errorf("the rate is %v, and %v steps were counted in %v s", point, most, window+2*slack)
		}
		highest = max(highest, point.value)
	}
	t.Logf("the rate of all hosts was %.0f steps a second at the most, in %d points", highest, len(data.Result[0].Values))
}
