package server

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A counting collector says how many collections were made, in the stat "n".
type counting struct {
	made atomic.Int64
	took time.Duration
}

func (c *counting) Collect(context.Context) (*pipes.Collection, error) {
	made := collection(format.Stat{Name: "n", Kind: format.Counter, Value: format.Int(c.made.Add(1))})
	made.Time = time.Now()
	time.Sleep(c.took)
	return made, nil
}

// A client asks as a page does: for something newer than it has.
type client struct {
	t     *testing.T
	s     *Server
	after string
}

func (c *client) ask() (n int64, waited time.Duration) {
	c.t.Helper()
	begin := time.Now()
	status, body := request(c.s, "GET", "/live?after="+c.after)
	var answer struct {
		Timestamp json.Number
		Stats     []struct{ Value int64 }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		c.t.Fatalf("%d %v: %s", status, err, body)
	}
	c.after = answer.Timestamp.String()
	return answer.Stats[0].Value, time.Since(begin)
}

func TestLiveCollectionsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &counting{took: 10 * time.Millisecond}
		s, _ := newTestServer(t, source.Collect)
		gets := func(c *client, want int64, after time.Duration) {
			t.Helper()
			if n, waited := c.ask(); n != want || waited != after {
				t.Errorf("it gets collection %d after %v, want %d after %v", n, waited, want, after)
			}
		}
		one, two := &client{t: t, s: s}, &client{t: t, s: s}
		gets(one, 1, 10*time.Millisecond)
		gets(two, 1, 0) // it is there
		time.Sleep(490 * time.Millisecond)
		gets(one, 2, 510*time.Millisecond) // a second after the one that it has
		gets(two, 2, 0)                    // older than now, newer than its own
		time.Sleep(5 * time.Second)
		if n := source.made.Load(); n != 2 {
			t.Errorf("while nobody asks: %d collections", n)
		}
		gets(two, 3, 10*time.Millisecond) // what there is, is too old for all
		request(s, "GET", "/stats")       // always makes its own
		gets(two, 4, 0)
		gets(one, 4, 0)
		one.after = "99999999999" // the clock of the server was set back
		gets(one, 4, 0)
	})
}

func TestManyPagesMakeOneCollectionASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &counting{took: 30 * time.Millisecond}
		s, _ := newTestServer(t, source.Collect)
		end := time.Now().Add(30*time.Second - time.Millisecond)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				page := &client{t: t, s: s}
				time.Sleep(time.Duration(i) * 37 * time.Millisecond)
				for last := int64(0); time.Now().Before(end); {
					n, _ := page.ask()
					if n <= last {
						t.Errorf("it gets collection %d after %d", n, last)
					}
					last = n
					time.Sleep(time.Duration(i) * 11 * time.Millisecond) // some look less often
				}
			})
		}
		wg.Wait()
		if n := source.made.Load(); n < 25 || n > 31 {
			t.Errorf("%d collections in 30 seconds", n)
		}
	})
}

// Who goes away while it waits costs nothing, least of all a collection.
func TestWhoGoesAwayMakesNoCollection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := new(counting)
		s, _ := newTestServer(t, source.Collect)
		page := &client{t: t, s: s}
		page.ask()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := s.newest(ctx, time.Now().UnixMilli())
		if waited := time.Since(begin); waited != 300*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it returns %v after %v", err, waited)
		}
		time.Sleep(10 * time.Second)
		if n := source.made.Load(); n != 1 {
			t.Errorf("%d collections", n)
		}
	})
}

func TestLiveRefuses(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, new(counting).Collect)
	for _, after := range []string{"x", "-1", "NaN", "Inf", "1e300", "1,5", "%00"} {
		if status, body := request(s, "GET", "/live?after="+after); status != 400 || !strings.Contains(body, "timestamp of an answer") {
			t.Errorf("after=%s: %d %s", after, status, body)
		}
	}
	failing, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return nil, errors.New("it is gone") })
	if status, body := request(failing, "GET", "/live"); status != 503 || !strings.Contains(body, "it is gone") {
		t.Errorf("%d %s", status, body)
	}
}

func TestLiveDocument(t *testing.T) {
	t.Parallel()
	distribution := func(name string, values ...int64) format.Stat {
		d := &format.Samples{Count: int64(len(values)), Labels: []format.Label{{Name: "median", Percentile: 50}, {Name: "mean", Percentile: format.Mean}}}
		for _, v := range values {
			d.Window = append(d.Window, format.Int(v))
			d.Sum = d.Sum.Add(format.Int(v))
		}
		return format.Stat{Name: name, Kind: format.Distribution, Dist: d}
	}
	made := collection(
		format.Stat{Name: "counter", Kind: format.Counter, Value: format.Int(1<<53 + 1)},
		format.Stat{Name: "exact", Kind: format.Counter, Value: format.Int(1 << 53)},
		format.Stat{Name: "gauge", Kind: format.Gauge, Value: format.Float(math.Inf(-1))},
		format.Stat{Name: "least", Kind: format.Gauge, Value: format.Int(math.MinInt64)},
		format.Stat{Name: "nan", Value: format.Float(math.NaN())},
		format.Stat{Name: "large", Value: format.Float(1e300)},
		format.Stat{Name: "caf\xe9 <img>", Value: format.Float(1)},
		distribution("d.{0}", 1, 2, 3), distribution("none"),
	)
	made.Time = time.Now()
	other := made.Sources[0]
	other.Name, other.Snapshot = "other", &format.Snapshot{Stats: []format.Stat{
		{Name: "counter", Kind: format.Counter, Value: format.Int(1)},
		distribution("d.{0}", 9),
		{Name: "d.{0}", Kind: format.Gauge, Value: format.Int(4)},
	}}
	silent := pipes.Source{Name: "silent", Kind: pipes.TypedSource, State: pipes.Unresponsive, Err: errors.New("no answer")}
	made.Sources = append(made.Sources, silent, other)
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return made, nil })

	has := func(target string, parts ...string) {
		t.Helper()
		status, body := request(s, "GET", target)
		if status != 200 || !json.Valid([]byte(body)) {
			t.Fatalf("%s: %d %s", target, status, body)
		}
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s: no %s in\n%s", target, part, body)
			}
		}
	}
	has("/live", `"interval":1,"stats_path":"/stats","pipe_dir":"/pipes"`,
		`{"name":"counter","kind":"counter","value":"9007199254740994"}`,
		`{"name":"exact","kind":"counter","value":9007199254740992}`,
		`{"name":"gauge","kind":"gauge","value":"-inf"}`,
		`{"name":"least","kind":"gauge","value":"-9223372036854775808"}`,
		`{"name":"nan","kind":"untyped","value":"nan"}`,
		`{"name":"large","kind":"untyped","value":1e+300}`,
		`{"name":"caf\\xe9 <img>","kind":"untyped","value":1.0}`,
		`{"name":"d.{0}","kind":"gauge","value":4},{"name":"d.{0}","kind":"distribution","count":4,"sum":15,"labels":[`+
			`{"label":"median","percentile":50,"value":2},{"label":"mean","value":3.75}]}`,
		`{"name":"none","kind":"distribution","count":0,"sum":0,"labels":[]}`,
		`"state":"unresponsive","stats":0,"skipped_lines":0,"error":"no answer"`, `"passed_over":[]`, `"conflicts":[{"name":"d.{0}","kinds":["gauge","distribution"]}]`)
	has("/live?stat=counter", `"detail":{"name":"counter","sources":[`+
		`{"source":0,"stats":[{"kind":"counter","value":"9007199254740993"}]},`+
		`{"source":2,"stats":[{"kind":"counter","value":1}]}]}}`)
	has("/live?stat=d.%7B0%7D", `"detail":{"name":"d.{0}","sources":[`+
		`{"source":0,"stats":[{"kind":"distribution","count":3,"sum":6,"labels":[{"label":"median","percentile":50,"value":1},{"label":"mean","value":2.0}]}]},`+
		`{"source":2,"stats":[{"kind":"gauge","value":4},{"kind":"distribution","count":1,"sum":9,"labels":[`)
	has("/live?stat=caf%E9+%3Cimg%3E", `"detail":{"name":"caf\\xe9 <img>","sources":[{"source":0,"stats":[{"kind":"untyped","value":1.0}]}]}}`)
	has("/live?stat=nothing", `"detail":{"name":"nothing","sources":[]}}`)
	if _, body := request(s, "GET", "/live"); strings.Contains(body, "detail") || strings.Count(body, "passed_over") != 1 {
		t.Errorf("who asks for no stat gets\n%s", body)
	}
}

// The zipped form is the same, with a detail and without.
func TestLiveIsZippedForWhoUnderstandsThat(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) {
		made := collection(format.Stat{Name: strings.Repeat("n", compressFrom)})
		made.Time = time.Now()
		return made, nil
	})
	get := func(target, accept string) (body, encoding string) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		r.Header.Set("Accept-Encoding", accept)
		s.Handler().ServeHTTP(w, r)
		var reader io.Reader = w.Body
		if encoding = w.Header().Get("Content-Encoding"); encoding == "gzip" {
			zipped, err := gzip.NewReader(reader)
			if err != nil {
				t.Fatal(err)
			}
			reader = zipped
		}
		text, err := io.ReadAll(reader)
		if err != nil || w.Code != 200 {
			t.Fatal(w.Code, err)
		}
		return string(text), encoding
	}
	for _, target := range []string{"/live", "/live?stat=n", "/", "/page/main.js"} {
		plain, encoding := get(target, "br, gzip;q=0")
		if encoding != "" {
			t.Errorf("%s is %s for who doesn't understand it", target, encoding)
		}
		if len(plain) < compressFrom {
			t.Errorf("%s is so short that it isn't compressed", target)
		}
		for _, accept := range []string{"gzip", "deflate, gzip;q=0.5", "GZIP , br"} {
			if body, encoding := get(target, accept); encoding != "gzip" || body != plain {
				t.Errorf("%s, %s: %q %s, not %s", target, accept, encoding, body, plain)
			}
		}
	}
}

func TestPageIsServed(t *testing.T) {
	t.Parallel()
	s, _ := newTestServer(t, new(counting).Collect)
	get := func(target, known string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		r.Header.Set("If-None-Match", known)
		s.Handler().ServeHTTP(w, r)
		return w
	}
	for target, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/page/style.css": "text/css; charset=utf-8", "/page/icon.svg": "image/svg+xml",
		"/page/main.js": "text/javascript; charset=utf-8", "/page/vendor/uPlot.iife.min.js": "text/javascript; charset=utf-8",
	} {
		w := get(target, "")
		header := w.Header()
		if w.Code != 200 || w.Body.Len() == 0 || header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d, %d bytes of %s", target, w.Code, w.Body.Len(), header.Get("Content-Type"))
		}
		if header.Get("Content-Security-Policy") == "" || header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", target, header)
		}
		if again := get(target, `"x", `+header.Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s again: %d, %d bytes", target, again.Code, again.Body.Len())
		}
	}
	for _, target := range []string{"/page/", "/page", "/page/index.html", "/page/vendor/LICENSE", "/page/../page/main.js", "/index.html"} {
		if w := get(target, ""); w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for _, taken := range []string{"/", "/live", "/page", "/page/main.js", "/page/x"} {
		if CheckPath(taken) == nil {
			t.Errorf("the stats may be at %s", taken)
		}
	}
	for _, free := range []string{"/pages", "/live/stats", "/stats/live"} {
		if err := CheckPath(free); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkLive(b *testing.B) {
	var stats []format.Stat
	for i := range 5000 {
		stats = append(stats, format.Stat{Name: fmt.Sprintf("app.some.counter.%d", i), Kind: format.Counter, Value: format.Int(int64(i) * 12345)})
	}
	made := collection(stats...)
	a := &answer{collection: made, total: made.Total()}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := appendLive(nil, a, "/stats"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compress", func(b *testing.B) {
		plain, _ := appendLive(nil, a, "/stats")
		for b.Loop() {
			(&body{plain: plain}).compressed()
		}
	})
}
