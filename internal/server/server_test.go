package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// collectFunc is a Collector.
type collectFunc func(context.Context) (*pipes.Collection, error)

func (f collectFunc) Collect(ctx context.Context) (*pipes.Collection, error) { return f(ctx) }

var collected = time.UnixMilli(1_700_000_000_250)

// noPID is more than any pid.
const noPID = 99_999_999

// collection returns one with a live source that has these stats.
func collection(stats ...format.Stat) *pipes.Collection {
	s := &format.Snapshot{Stats: stats}
	s.Sort()
	return &pipes.Collection{
		Dir:  "/pipes",
		Time: collected,
		Sources: []pipes.Source{{
			Name: "3435", Kind: pipes.PlainSource, Path: "/pipes/3435.stats", PID: noPID, State: pipes.Live,
			Snapshot: s, At: collected.Add(time.Millisecond),
		}},
	}
}

func newTestServer(t *testing.T, collect collectFunc) (*Server, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	return New(Options{
		PipeDir:      "/pipes",
		Path:         "/stats",
		Collector:    collect,
		Log:          slog.New(slog.NewTextHandler(log, nil)),
		AllowedHosts: []string{"example.com"}, // that of httptest.NewRequest
	}), log
}

// request returns the status and the body of an answer.
func request(s *Server, method, target string) (int, string) {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, target, http.NoBody))
	return w.Code, w.Body.String()
}

func TestAnswers(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return collection(
			format.Stat{Name: "app.requests", Value: format.Int(42)},
			format.Stat{Name: "app.load", Value: format.Float(1)},
			format.Stat{Name: "caf\xe9", Value: format.Int(1)},
		), nil
	})
	answers := func(method, target string, status int, body string) {
		t.Helper()
		if gotStatus, gotBody := request(s, method, target); gotStatus != status || gotBody != body {
			t.Errorf("%s %s: got %d %s, want %d %s", method, target, gotStatus, gotBody, status, body)
		}
	}
	answers("GET", "/stats", 200, `{"stats":{"app.load":1.0,"app.requests":42,"caf\\xe9":1},"timestamp":1700000000.250}`+"\n")
	answers("GET", "/stats?match=app.*", 200, `{"stats":{"app.load":1.0,"app.requests":42},"timestamp":1700000000.250}`+"\n")
	answers("GET", "/stats?match=*load&match=caf*", 200, `{"stats":{"app.load":1.0,"caf\\xe9":1},"timestamp":1700000000.250}`+"\n")
	answers("GET", "/stats?match=nothing", 200, `{"stats":{},"timestamp":1700000000.250}`+"\n")
	answers("GET", "/stats?match=[", 400, `{"message":"the pattern \"[\" is malformed","path":"/stats"}`+"\n")
	answers("GET", "/-/healthy", 200, `{"status":"ok"}`+"\n")
	answers("GET", "/-/ready", 200, `{"status":"ok"}`+"\n")
	answers("GET", "/stats/", 404, `{"message":"nothing is served here; the stats are at /stats","path":"/stats/"}`+"\n")
	answers("GET", "//stats", 404, `{"message":"nothing is served here; the stats are at /stats","path":"//stats"}`+"\n")
	answers("GET", "/x/../stats", 404, `{"message":"nothing is served here; the stats are at /stats","path":"/x/../stats"}`+"\n")
	answers("POST", "/stats", 405, `{"message":"only GET and HEAD are allowed","path":"/stats"}`+"\n")
	answers("DELETE", "/x", 405, `{"message":"only GET and HEAD are allowed","path":"/x"}`+"\n")
}

// Labels of distributions are matched as they are printed.
func TestMatchOnLabels(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return collection(
			format.Stat{Name: "latency.{0}", Kind: format.Distribution, Dist: &format.Samples{
				Count: 3, Sum: format.Int(9), Labels: format.DefaultLabels(), Window: []format.Value{format.Int(2), format.Int(4)},
			}},
			format.Stat{Name: "median", Kind: format.Counter, Value: format.Int(1)},
		), nil
	})
	answers := func(query, stats string) {
		t.Helper()
		want := `{"stats":{` + stats + `},"timestamp":1700000000.250}` + "\n"
		if status, body := request(s, "GET", "/stats"+query); status != 200 || body != want {
			t.Errorf("%s: got %d %s, want %s", query, status, body, want)
		}
	}
	const all = `"latency.100th":4,"latency.95th":2,"latency.99th":2,"latency.mean":3.0,"latency.median":2`
	answers("", all+`,"median":1`)
	answers("?match=latency.*", all)
	answers("?match=*median", `"latency.median":2,"median":1`)
	answers("?match=*.9?th", `"latency.95th":2,"latency.99th":2`)
	answers("?match=latency.{0}", "")
}

// everyKindOfSource is a collection with each of them, in each state.
func everyKindOfSource() *pipes.Collection {
	counter := func(n int64, ended bool) *format.Snapshot {
		return &format.Snapshot{Stats: []format.Stat{{Name: "c", Kind: format.Counter, Value: format.Int(n)}}, Ended: ended}
	}
	const id, typed = "9f86d081884c7d65", "/pipes/.3435.9f86d081884c7d65.typed"
	ago := func(seconds int) time.Time { return collected.Add(-time.Duration(seconds) * time.Second) }
	mixed := &format.Snapshot{Skipped: 2, Stats: []format.Stat{
		{Name: "c", Kind: format.Gauge, Value: format.Float(1)},
		{Name: "d.{0}", Kind: format.Distribution, Dist: &format.Samples{
			Count: 5, Sum: format.Int(50), Labels: []format.Label{{Name: "median", Percentile: 50}}, Window: []format.Value{format.Int(10)},
		}},
	}}
	return &pipes.Collection{Dir: "/pipes", Time: collected, Sources: []pipes.Source{
		{Name: "retained-0", Kind: pipes.RetainedSource, Path: "/pipes/.retained-0.typed", State: pipes.Retained, Snapshot: counter(100, true), At: ago(3600)},
		{Name: "retained-42424242", Kind: pipes.RetainedSource, Path: "/pipes/.retained-42424242.typed", UID: 42424242, State: pipes.Failed, Err: errors.New("it belongs to user 0")},
		{Name: "live", ID: id, Kind: pipes.TypedSource, Path: typed, PID: noPID, Since: ago(90), State: pipes.Live, Snapshot: mixed, At: collected.Add(time.Millisecond)},
		{Name: "plain", Kind: pipes.PlainSource, Path: "/pipes/plain.stats", State: pipes.Live, Snapshot: &format.Snapshot{}, At: collected},
		{Name: "ended", ID: id, Kind: pipes.TypedSource, Path: typed, PID: noPID, State: pipes.Ended, Snapshot: counter(10, true), At: collected},
		{Name: "silent", ID: id, Kind: pipes.TypedSource, Path: typed, PID: noPID, State: pipes.Unresponsive, Err: errors.New("no answer within 500ms")},
		{Name: "slow", ID: id, Kind: pipes.TypedSource, Path: typed, PID: noPID, State: pipes.Unresponsive, Err: errors.New("no answer within 500ms"), Snapshot: counter(1, false), At: ago(7)},
		{Name: "stale", ID: id, Kind: pipes.TypedSource, Path: typed, PID: noPID, State: pipes.Stale, Err: errors.New("its process is gone"), Snapshot: counter(2, true), At: ago(60)},
	}, PassedOver: []pipes.PassedOver{{Name: "README", Why: "it is none"}}}
}

func TestSourcesOfEveryKind(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return everyKindOfSource(), nil })
	document := func(sources ...string) string {
		return `{"pipe_dir":"/pipes","timestamp":1700000000.25,"sources":[` + strings.Join(sources, ",") + `],` +
			`"passed_over":[{"name":"README","why":"it is none"}],"left_out":[],"conflicts":[{"name":"c","kinds":["counter","gauge"]}],"limits":[]}` + "\n"
	}
	check := func(query, want string) {
		t.Helper()
		if status, body := request(s, "GET", "/sources"+query); status != 200 || body != want {
			t.Errorf("%s: got %d\n%swant\n%s", query, status, body, want)
		}
	}
	const typed = `"id":"9f86d081884c7d65","kind":"typed","pid":99999999,"user":"root",`
	sources := []string{
		`{"name":"retained-0","kind":"retained","user":"root","state":"retained","stats":1,"skipped_lines":0,"values_age_seconds":3600}`,
		`{"name":"retained-42424242","kind":"retained","user":"42424242","state":"failed","stats":0,"skipped_lines":0,"error":"it belongs to user 0"}`,
		`{"name":"live",` + typed + `"age_seconds":90,"state":"live","stats":2,"skipped_lines":2,"values_age_seconds":0}`,
		`{"name":"plain","kind":"plain","user":"root","state":"live","stats":0,"skipped_lines":0,"values_age_seconds":0}`,
		`{"name":"ended",` + typed + `"state":"ended","stats":1,"skipped_lines":0,"values_age_seconds":0}`,
		`{"name":"silent",` + typed + `"state":"unresponsive","stats":0,"skipped_lines":0,"error":"no answer within 500ms"}`,
		`{"name":"slow",` + typed + `"state":"unresponsive","stats":1,"skipped_lines":0,"values_age_seconds":7,"error":"no answer within 500ms"}`,
		`{"name":"stale",` + typed + `"state":"stale","stats":1,"skipped_lines":0,"values_age_seconds":60,"error":"its process is gone"}`,
	}
	check("", document(sources...))
	check("?stats=0", document(sources...))
	for i, values := range []string{`{"c":100}`, "", `{"c":1.0,"d.median":10}`, "{}", `{"c":10}`, "", `{"c":1}`, `{"c":2}`} {
		if values != "" {
			sources[i] = strings.TrimSuffix(sources[i], "}") + `,"values":` + values + "}"
		}
	}
	check("?stats=1", document(sources...))
}

func TestTypedIsTheHostOrEachSource(t *testing.T) {
	c := everyKindOfSource()
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return c, nil })
	read := func(target string) []*format.Document {
		t.Helper()
		status, body := request(s, "GET", target)
		var p format.TypedParser
		_, _ = p.Write([]byte(body))
		documents, err := p.Documents()
		if status != 200 || err != nil {
			t.Fatalf("%s: %d, %v\n%s", target, status, err, body)
		}
		return documents
	}
	typed := func(s *format.Snapshot) string {
		return string(format.AppendTyped(nil, &format.Document{Snapshot: s}))
	}
	if host := read("/typed"); len(host) != 1 || typed(host[0].Snapshot) != typed(c.Total()) {
		t.Errorf("the host is %d documents: %v", len(host), host)
	}
	each := read("/typed?sources=1")
	for _, source := range c.Sources {
		if source.Snapshot == nil {
			continue
		}
		if len(each) == 0 {
			t.Fatalf("%s has no document", source.Name)
		}
		d := each[0]
		each = each[1:]
		if d.Source != source.Name || d.ID != source.ID || d.PID != source.PID || typed(d.Snapshot) != typed(source.Snapshot) {
			t.Errorf("%s is %+v", source.Name, d)
		}
	}
	if len(each) > 0 {
		t.Errorf("of no source: %+v", each[0])
	}
}

func TestDirectoryThatIsNotThereHasNoStats(t *testing.T) {
	s, log := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return nil, &fs.PathError{Op: "open", Path: "/pipes", Err: fs.ErrNotExist}
	})
	for range 3 {
		if status, body := request(s, "GET", "/stats"); status != 200 || !strings.HasPrefix(body, `{"stats":{},"timestamp":`) {
			t.Errorf("got %d %s", status, body)
		}
	}
	if n := strings.Count(log.String(), "pipe_dir=/pipes"); n != 1 {
		t.Errorf("the log says %d times where it looks, want once:\n%s", n, log)
	}
}

func TestDirectoryThatCanNotBeRead(t *testing.T) {
	s, log := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return nil, &fs.PathError{Op: "open", Path: "/pipes", Err: fs.ErrPermission}
	})
	for _, path := range []string{"/stats", "/sources", "/typed"} {
		want := `{"message":"open /pipes: permission denied","path":"` + path + `"}` + "\n"
		if status, body := request(s, "GET", path); status != 503 || body != want {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors in the log, want 1:\n%s", n, log)
	}
}

func TestRequestThatGivesUpTakesNothingFromTheOthers(t *testing.T) {
	var once sync.Once // the second may come too late to share the collection
	started, finish := make(chan struct{}), make(chan struct{})
	s, _ := newTestServer(t, func(ctx context.Context) (*pipes.Collection, error) {
		once.Do(func() { close(started) })
		<-finish
		return collection(), ctx.Err()
	})
	ctx, giveUp := context.WithCancel(t.Context())
	results := make(chan error, 2)
	ask := func(ctx context.Context) {
		_, err := s.collect(ctx)
		results <- err
	}
	go ask(ctx) // whose request began the collection
	<-started
	go ask(t.Context())
	giveUp()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(finish)
	if err := <-results; err != nil {
		t.Errorf("who waited on got %v", err)
	}
}

// Requests that wait for a collection under way start none.
func TestWaitingRequestsStartNoCollection(t *testing.T) {
	var collections atomic.Int32
	started, finish := make(chan struct{}), make(chan struct{})
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		collections.Add(1)
		close(started)
		<-finish
		return collection(), nil
	})
	results := make(chan error, 11)
	ask := func() {
		_, err := s.collect(t.Context())
		results <- err
	}
	go ask()
	<-started
	// A context that is done returns from the collection that is under way, so
	// each of these has joined it.
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if _, err := s.collect(done); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	close(finish)
	if err := <-results; err != nil {
		t.Error(err)
	}
	if n := collections.Load(); n != 1 {
		t.Errorf("%d collections, want 1", n)
	}
}

func TestRequestsInFlightFinishAtTheEnd(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	s, log := newTestServer(t, func(ctx context.Context) (*pipes.Collection, error) {
		close(started)
		<-finish
		return collection(), ctx.Err()
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()

	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String() + "/stats")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		answered <- resp.Status
	}()
	<-started
	stop()
	// The listener is closed first: then the end has begun.
	for {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended before the request: %v", err)
	default:
	}
	close(finish)
	if status := <-answered; status != "200 OK" {
		t.Errorf("the request in flight got %s", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), "msg=stopping") {
		t.Errorf("the log doesn't say so:\n%s", log)
	}
}

// logs returns a function that has a collection made and compares what is logged
// of it with the lines.
func logs(t *testing.T) func(c *pipes.Collection, err error, lines ...string) {
	t.Helper()
	var next *pipes.Collection
	var nextErr error
	s, log := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return next, nextErr })
	return func(c *pipes.Collection, err error, lines ...string) {
		t.Helper()
		next, nextErr = c, err
		log.Reset()
		request(s, "GET", "/stats")
		if n := strings.Count(log.String(), "\n"); n != len(lines) {
			t.Errorf("%d lines, want %d:\n%s", n, len(lines), log)
		}
		for _, line := range lines {
			if !strings.Contains(log.String(), line) {
				t.Errorf("the log doesn't say %s:\n%s", line, log)
			}
		}
	}
}

func TestLogSaysWhatChangedOnce(t *testing.T) {
	says := logs(t)
	is := func(state pipes.State, problem string) *pipes.Collection {
		c := collection()
		c.Sources[0].State = state
		if problem != "" {
			c.Sources[0].Snapshot, c.Sources[0].Err = nil, errors.New(problem)
		}
		c.PassedOver = []pipes.PassedOver{{Name: "README", Why: "it is none"}}
		return c
	}
	live := is(pipes.Live, "")
	says(live, nil, `level=WARN msg="passed over" entry=README`)
	says(live, nil)
	silent := is(pipes.Unresponsive, "no answer within 500ms")
	says(silent, nil, `level=WARN msg="source does not answer" source=3435 state=unresponsive error="no answer within 500ms"`)
	says(silent, nil)
	says(is(pipes.Unresponsive, "no answer within 500ms: torn"), nil) // no news
	says(is(pipes.Stale, "its process is gone"), nil, `level=INFO msg="source does not answer" source=3435 state=stale error="its process is gone"`)
	says(is(pipes.Stale, "its process is gone"), nil)
	says(live, nil, `level=INFO msg="source answers again" source=3435`)
	says(live, nil)
	says(is(pipes.Failed, "sent too much"), nil, `level=WARN msg="source can't be read" source=3435 state=failed error="sent too much"`)
	says(is(pipes.Ended, ""), nil, `level=INFO msg="no program publishes here"`, `msg="source can be read again" source=3435`)

	// One that is gone is forgotten.
	says(silent, nil, `msg="programs publish here"`, `msg="source does not answer" source=3435 state=unresponsive`)
	gone := is(pipes.Live, "")
	gone.Sources = nil
	says(gone, nil, `msg="no program publishes here"`)
	says(live, nil, `msg="programs publish here" pipe_dir=/pipes sources=1`)
}

// Anybody may make thousands of pipes, and others each time.
func TestLogIsBounded(t *testing.T) {
	says := logs(t)
	flood := collection()
	flood.Sources[0].UID = 1
	for i := range 1000 {
		s := flood.Sources[0]
		s.UID, s.Path = 42424242, fmt.Sprint("/pipes/", i)
		s.State, s.Err = pipes.Unresponsive, errors.New("no answer")
		flood.Sources = append(flood.Sources, s)
	}
	flood.Sources[0].Name, flood.Sources[0].State, flood.Sources[0].Err = "honest", pipes.Unresponsive, errors.New("no answer")
	want := slices.Repeat([]string{"source=3435"}, maxLines)
	want = append(want, "source=honest", fmt.Sprintf(`level=WARN msg="and more of the same" message="source does not answer" times=%d user=42424242`, 1000-maxLines))
	says(flood, nil, want...)
	says(flood, nil)
}

// Of two recorders of one name, one lives and one was killed.
func TestLogKeepsSourcesOfOneNameApart(t *testing.T) {
	says := logs(t)
	two := collection()
	two.Sources = append(two.Sources, two.Sources[0])
	two.Sources[1].Path, two.Sources[1].State, two.Sources[1].Err = "/pipes/.3435.1.typed", pipes.Stale, errors.New("its process is gone")
	says(two, nil, `msg="source does not answer" source=3435 state=stale`)
	says(two, nil)
	two.Sources[0], two.Sources[1] = two.Sources[1], two.Sources[0]
	says(two, nil)
}

func TestLogTellsProgramsFromWhatTheyLeft(t *testing.T) {
	says := logs(t)
	left := collection()
	left.Sources[0].Kind, left.Sources[0].State = pipes.RetainedSource, pipes.Retained
	says(collection(), nil)
	says(left, nil, `level=INFO msg="no program publishes here" pipe_dir=/pipes`)
	says(left, nil)
	left.Sources = append(left.Sources, collection().Sources...)
	says(left, nil, `level=INFO msg="programs publish here" pipe_dir=/pipes sources=2`)
	says(left, nil)
}

func TestLogSaysTroublesAndConflictsOnce(t *testing.T) {
	says := logs(t)
	c := collection()
	first, second := errors.New("disk full"), errors.New("no permission")
	c.Troubles = []error{first}
	says(c, nil, `level=WARN msg="something failed in the background" error="disk full"`)
	says(c, nil)
	c.Troubles = []error{second, first}
	says(c, nil, `level=WARN msg="something failed in the background" error="no permission"`)
	says(c, nil)
	c.Troubles = []error{second}
	says(c, nil)
	c.Troubles = []error{first, second}
	says(c, nil, `error="disk full"`) // again

	c = everyKindOfSource()
	c.Sources, c.PassedOver = c.Sources[:4], nil
	c.Sources = append(c.Sources[:1], c.Sources[2:]...)
	says(c, nil, `level=WARN msg="a stat is not of one kind" stat="c is counter here and gauge there"`)
	says(c, nil)
	c.Sources = c.Sources[1:]
	says(c, nil)
	says(collection(), nil)
	c = everyKindOfSource()
	c.Sources, c.PassedOver = c.Sources[2:5], nil
	says(c, nil, `stat="c is counter here and gauge there"`) // again
}

func TestLogSaysThatThePipesCanBeReadAgain(t *testing.T) {
	says := logs(t)
	says(collection(), nil)
	broken := errors.New("too many open files")
	says(nil, broken, `level=ERROR msg="the pipes can't be read" error="too many open files"`)
	says(nil, broken)
	says(nil, errors.New("disk on fire"), `level=ERROR msg="the pipes can't be read" error="disk on fire"`)
	says(collection(), nil, `level=INFO msg="the pipes can be read again" pipe_dir=/pipes`)
	says(collection(), nil)
	says(nil, broken, `level=ERROR`)
}

func TestCheckPath(t *testing.T) {
	good := func(p string) {
		t.Helper()
		if err := CheckPath(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	bad := func(p string) {
		t.Helper()
		if CheckPath(p) == nil {
			t.Errorf("no error for %q", p)
		}
	}
	good("/stats")
	good("/a/b")
	good("/{x}")
	bad("")
	bad("stats")
	bad("/")
	bad("/sources")
	bad("/typed")
	bad("/-/ready")
	bad("//s")
	bad("/a/../b")
	bad("/a/")
	bad("/a b")
	bad("/a?b")
}

// Each limit is logged once for each user, and again when it has been kept to in
// between.
func TestLimitsAreLoggedOnce(t *testing.T) {
	hits := []pipes.LimitHit{{Limit: pipes.LimitHostStats, UID: 42424242, Max: 40, LeftOut: 1}}
	s, log := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		c := collection()
		c.Hits = slices.Clone(hits)
		return c, nil
	})
	is := func(want int) {
		t.Helper()
		request(s, "GET", "/stats")
		if got := strings.Count(log.String(), `msg="a limit is hit" limit=max_host_stats max=40 user=42424242 left_out=1`); got != want {
			t.Errorf("it was logged %d times, want %d:\n%s", got, want, log.String())
		}
	}
	is(1)
	hits[0].LeftOut = 2
	is(1)
	hits = nil
	is(1)
	hits = []pipes.LimitHit{{Limit: pipes.LimitHostStats, UID: 42424242, Max: 40, LeftOut: 1}}
	is(2)
}
