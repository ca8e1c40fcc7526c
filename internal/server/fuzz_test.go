package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// FuzzRequest asks whatever can be asked. No request is a failure of the server's, all
// answers have their headers, what is JSON can be read, and what ?match= finds is what
// its patterns match.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /stats HTTP/1.0\r\n\r\n", "GET /stats?match=a*&match=%5bb HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"GET /stats?match=*é* HTTP/1.1\r\nHost: [::1]:7828\r\n\r\n", "GET /stats?a=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HEAD /sources?stats=1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8\r\nAccept-Encoding: gzip\r\n\r\n",
		"GET /typed?sources=1 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip;q=0, identity\r\n\r\n", "GET /live HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET //stats/../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET http://other/stats HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /static/page.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\nRange: bytes=0-1\r\n\r\n", "GET /-/ready HTTP/1.1\r\nHost:\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	names := []string{"app.requests", "caf\xe9", "größe", "a/b", `{x="y"}`, "<img>"}
	var stats []format.Stat
	for i, name := range names {
		stats = append(stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(int64(i))})
	}
	s := New(Options{
		PipeDir: "/pipes", Path: "/stats", Log: slog.New(slog.DiscardHandler),
		Collector: collectFunc(func(context.Context) (*pipes.Collection, error) { return collection(stats...), nil }),
	})
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		r = r.WithContext(ctx)
		w := httptest.NewRecorder()
		if r.URL.Path == livePath {
			cancel() // it would not end
		}
		s.Handler().ServeHTTP(w, r)
		cancel()
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable || w.Code == http.StatusServiceUnavailable && r.URL.Path != livePath {
			t.Errorf("%q: %d %s", text, w.Code, w.Body)
		}
		for _, h := range securityHeaders {
			if got := w.Header().Values(h.name); len(got) != 1 || got[0] != h.value {
				t.Errorf("%q: %s is %q", text, h.name, got)
			}
		}
		isJSON := strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && w.Header().Get("Content-Encoding") == ""
		var document struct{ Stats map[string]json.Number }
		if isJSON && w.Body.Len() > 0 {
			if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
				t.Errorf("%q: %v in %s", text, err, w.Body)
			}
		}
		if w.Code != http.StatusOK || r.URL.Path != "/stats" || !isJSON {
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			t.Fatalf("%q is answered, and malformed: %v", text, err)
		}
		match, err := glob.Compile(query["match"]...)
		if err != nil {
			t.Fatalf("%q is answered: %v", text, err)
		}
		want := 0
		for _, name := range names {
			if match(name) {
				want++
			}
		}
		if len(document.Stats) != want {
			t.Errorf("%q: %v, want %d stats", text, document.Stats, want)
		}
	})
}
