package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/pipes"
)

func TestHosts(t *testing.T) {
	h := newHosts(slog.New(slog.DiscardHandler), []string{"stats.example.org", "Web1", "*.internal", "named:8080", "dot.example."})
	is := func(host string, want bool) {
		t.Helper()
		if got := h.allow(host); got != want {
			t.Errorf("%q: got %v", host, got)
		}
	}
	for _, host := range []string{
		"localhost", "localhost:7828", "LocalHost", "localhost.", "localhost.:80", "app.localhost", "a.b.localhost:1", "localhost:",
		"127.0.0.1", "127.0.0.1:7828", "192.0.2.1", "[::1]", "[::1]:7828", "[2001:db8::1]:80", "[fe80::1%eth0]:80", "::1",
		"stats.example.org", "STATS.example.org:7828", "stats.example.org.", "stats.example.org.:80",
		"web1", "WEB1:80", "a.internal", "a.b.internal:80", "named", "named:1", "dot.example", "dot.example.",
		"", // as in HTTP/1.0
	} {
		is(host, true)
	}
	for _, host := range []string{
		"evil.example", "evil.example:7828", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "127.0.0.1.",
		"2130706433", "0x7f.1", "127.1", "example.org", "x.stats.example.org", "stats.example.org.evil.example", "internal",
		"localhost@evil.example", "evil.example#localhost", "localhost..", "*.internal.example", "[evil.example]", "[evil.example]:80",
		"[::1", "a b", "web1\x00", " localhost", strings.Repeat("x", 10_000),
	} {
		is(host, host == "127.0.0.1." || host == "[::1") // which are addresses
	}
	h.set(nil)
	is("stats.example.org", false)
	is("localhost", true)
}

func TestRefusedNamesAreLoggedOnceAndNotForEver(t *testing.T) {
	var log bytes.Buffer
	h := newHosts(slog.New(slog.NewTextHandler(&log, nil)), nil)
	for range 3 {
		h.allow("evil.example:80")
		h.allow("EVIL.example")
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "host=evil.example") {
		t.Errorf("got %s", &log)
	}
	for i := range 10 * maxHostsSaid {
		h.allow(fmt.Sprint(i, strings.Repeat(".x", 10_000)))
	}
	if n := strings.Count(log.String(), "level=WARN"); n != maxHostsSaid || log.Len() > 500*maxHostsSaid {
		t.Errorf("%d lines, %d bytes", n, log.Len())
	}
}

// as asks with a Host header.
func as(s *Server, method, target, host string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = host
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHostIsCheckedOnEachPath(t *testing.T) {
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return collection(), nil })
	for _, path := range []string{"/", "/stats", "/sources", "/-/healthy", "/nothing"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			resp := as(s, method, path, "evil.example")
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s %s: %s", method, path, resp.Status)
			}
		}
	}
	_, body := request(s, "GET", "http://evil.example/stats")
	if want := `{"message":"this host does not go by the name of \"evil.example\": allowed_hosts, or --allowed-hosts, says by which names it does","path":"/stats"}` + "\n"; body != want {
		t.Errorf("got %s", body)
	}
	s.SetAllowedHosts([]string{"evil.example"})
	if status, _ := request(s, "GET", "http://evil.example/stats"); status != 200 {
		t.Errorf("the name is allowed now, and got %d", status)
	}
}

func TestNamesThatNoRequestCanHave(t *testing.T) {
	is := func(name string, want string) {
		t.Helper()
		err := CheckHost(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"web1", "WEB1.", "stats.example.org", "*.example.org", "web1:7828", "a_b", "192.0.2.1", "::1", "[::1]:80"} {
		is(name, "")
	}
	is("*", "any page on the web")
	for _, name := range []string{"", ":80", "*.", "https://web1/", "web1/", "http://web1:80", "*.*.example.org", "web*", "user@web1", "a:b:c"} {
		is(name, "is not the name of a host")
	}
}
