package server

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A scraped is an answer to a request for /metrics.
type scraped struct {
	status int
	header http.Header
	text   string
}

// scrape asks with these headers, which are names and values in turn.
func scrape(t *testing.T, s *Server, headers ...string) scraped {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	var body io.Reader = w.Body
	if w.Header().Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return scraped{w.Code, w.Header(), string(text)}
}

func TestMetrics(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		c := collection(format.Stat{Name: "app.requests", Kind: format.Counter, Value: format.Int(42)})
		c.Sources = append(c.Sources, pipes.Source{Name: "x", State: pipes.Failed, Err: errors.New("it is broken")})
		c.Sources[0].Snapshot.Skipped = 2
		c.Took = time.Millisecond
		c.Folded, c.Troubles, c.PassedOver = 5, []error{errors.New("no")}, []pipes.PassedOver{{Name: "a"}}
		c.MorePassedOver = 1
		c.Hits = []pipes.LimitHit{
			{Limit: pipes.LimitSources, UID: 0, Max: 40, LeftOut: 5},
			{Limit: pipes.LimitSources, UID: 42424242, Max: 40, LeftOut: 2},
		}
		return c, nil
	})
	request(s, "GET", "/nowhere")
	scrape(t, s)
	text := scrape(t, s).text
	for _, line := range []string{
		"# HELP statvent_sources Sources by their state in the last collection.",
		"# TYPE statvent_sources gauge",
		`statvent_sources{state="live"} 1`,
		`statvent_sources{state="failed"} 1`,
		`statvent_sources{state="stale"} 0`,
		`statvent_source_errors_total{state="failed"} 2`,
		`statvent_source_errors_total{state="unresponsive"} 0`,
		"# TYPE statvent_source_errors_total counter",
		"statvent_collection_errors_total 0",
		"# TYPE statvent_collection_duration_seconds summary",
		"statvent_collection_duration_seconds_count 2",
		"statvent_stats 1",
		"statvent_skipped_lines 2",
		`statvent_left_out{limit="sources"} 7`,
		`statvent_left_out{limit="host_stats"} 0`,
		"statvent_conflicts 0",
		"statvent_passed_over 2",
		"statvent_background_errors 1",
		"statvent_folds_total 5",
		"statvent_last_collection_timestamp_seconds 1700000000.25",
		`statvent_http_requests_total{code="200"} 1`,
		`statvent_http_requests_total{code="404"} 1`,
		"# TYPE app_requests_total counter",
		"app_requests_total 42",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE statvent_"); ok && !strings.Contains(text, "# HELP statvent_"+name[:strings.IndexByte(name, ' ')]) {
			t.Errorf("there is no help for statvent_%s", name)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestMetricsAreNegotiated(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return collection(format.Stat{Name: "app.requests", Kind: format.Counter, Value: format.Int(42)}), nil
	})
	is := func(accept, contentType, line string) {
		t.Helper()
		answer := scrape(t, s, "Accept", accept)
		if got := answer.header.Get("Content-Type"); got != contentType || !strings.Contains(answer.text, "\n"+line+"\n") {
			t.Errorf("%q: got %s, and no line %q in\n%s", accept, got, line, answer.text)
		}
	}
	is("", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "app_requests_total 42")
	is("text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", `{"app.requests_total"} 42`)
	is("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores", "# TYPE app_requests counter")
}

func TestAnswersAreCompressedWhereThatIsTaken(t *testing.T) {
	long := strings.Repeat("n", compressFrom)
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		return collection(format.Stat{Name: long, Value: format.Int(1)}), nil
	})
	is := func(accept, encoding string) {
		t.Helper()
		answer := scrape(t, s, "Accept-Encoding", accept)
		if got := answer.header.Get("Content-Encoding"); got != encoding || !strings.Contains(answer.text, long+" 1\n") {
			t.Errorf("%q: got %q", accept, got)
		}
	}
	is("gzip", "gzip")
	is("deflate, GZIP;q=0.5, br", "gzip")
	is("", "")
	is("br", "")
	is("gzip;q=0", "")
	is("gzip; q=0.0", "")
	if scrape(t, s).header.Values("Vary") == nil {
		t.Error("a cache can't tell what the answer depends on")
	}
	r := httptest.NewRequest(http.MethodGet, "/-/healthy", http.NoBody)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Header().Get("Content-Encoding") != "" || w.Body.String() != "{\"status\":\"ok\"}\n" {
		t.Error("a short answer is compressed")
	}
}

func TestMetricsOfADirectoryThatCanNotBeRead(t *testing.T) {
	failing := true
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		if failing {
			return nil, errors.New("it is locked")
		}
		return collection(), nil
	})
	if answer := scrape(t, s); answer.status != http.StatusServiceUnavailable || !strings.Contains(answer.text, "it is locked") {
		t.Errorf("got %+v", answer)
	}
	failing = false
	if text := scrape(t, s).text; !strings.Contains(text, "\nstatvent_collection_errors_total 1\n") {
		t.Errorf("the error isn't counted:\n%s", text)
	}
}
