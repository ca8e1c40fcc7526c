package server

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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

// collection returns one with a live source that has these stats.
func collection(stats ...format.Stat) *pipes.Collection {
	return &pipes.Collection{
		Dir:     "/pipes",
		Time:    time.UnixMilli(1_700_000_000_250),
		Sources: []pipes.Source{{Name: "3435", PID: 3435, UID: 0, State: pipes.Live, Snapshot: &format.Snapshot{Stats: stats}}},
	}
}

func newTestServer(t *testing.T, collect collectFunc) (*Server, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	return New(Options{
		PipeDir:   "/pipes",
		Path:      "/stats",
		Collector: collect,
		Log:       slog.New(slog.NewTextHandler(log, nil)),
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
	answers("GET", "/", 404, `{"message":"nothing is served here; the stats are at /stats","path":"/"}`+"\n")
	answers("GET", "/stats/", 404, `{"message":"nothing is served here; the stats are at /stats","path":"/stats/"}`+"\n")
	answers("GET", "//stats", 404, `{"message":"nothing is served here; the stats are at /stats","path":"//stats"}`+"\n")
	answers("GET", "/x/../stats", 404, `{"message":"nothing is served here; the stats are at /stats","path":"/x/../stats"}`+"\n")
	answers("POST", "/stats", 405, `{"message":"only GET and HEAD are allowed","path":"/stats"}`+"\n")
	answers("DELETE", "/x", 405, `{"message":"only GET and HEAD are allowed","path":"/x"}`+"\n")

	if status, body := request(s, "GET", "/sources"); status != 200 ||
		!strings.Contains(body, `"sources":[{"name":"3435","pid":3435,"user":"root",`) {
		t.Errorf("/sources: got %d %s", status, body)
	}
	if status, body := request(s, "GET", "/sources?stats=1"); status != 200 ||
		!strings.Contains(body, `"values":{"app.load":1.0,"app.requests":42,"caf\\xe9":1}`) {
		t.Errorf("/sources?stats=1: got %d %s", status, body)
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
	for _, path := range []string{"/stats", "/sources"} {
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

func TestLogSaysWhatChangedOnce(t *testing.T) {
	var state pipes.State
	s, log := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		c := collection()
		c.Sources[0].State = state
		if state != pipes.Live {
			c.Sources[0].Snapshot, c.Sources[0].Err = nil, errors.New("no answer within 500ms")
		}
		c.PassedOver = []pipes.PassedOver{{Name: "README", Why: "it is none"}}
		return c, nil
	})
	says := func(now pipes.State, lines ...string) {
		t.Helper()
		state = now
		log.Reset()
		request(s, "GET", "/stats")
		if n := strings.Count(log.String(), "\n"); n != len(lines) {
			t.Errorf("%s: %d lines, want %d:\n%s", now, n, len(lines), log)
		}
		for _, line := range lines {
			if !strings.Contains(log.String(), line) {
				t.Errorf("%s: the log doesn't say %q:\n%s", now, line, log)
			}
		}
	}
	says(pipes.Live, `msg="passed over" entry=README`)
	says(pipes.Live)
	says(pipes.Unresponsive, `level=WARN msg="source has no stats" source=3435 state=unresponsive error="no answer within 500ms"`)
	says(pipes.Unresponsive)
	says(pipes.Stale, `level=INFO msg="source has no stats" source=3435 state=stale`)
	says(pipes.Live, `msg="source is live again" source=3435`)
	says(pipes.Live)
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
	bad("/-/ready")
	bad("//s")
	bad("/a/../b")
	bad("/a/")
	bad("/a b")
	bad("/a?b")
}
