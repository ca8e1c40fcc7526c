package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/pipes"
)

func newEmptyServer(t *testing.T) *Server {
	t.Helper()
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return collection(), nil })
	return s
}

func TestHeadersOfEachAnswer(t *testing.T) {
	s := newEmptyServer(t)
	for _, target := range []string{"GET /stats", "HEAD /stats", "GET /sources", "GET /-/ready", "GET /nothing", "POST /stats", "GET /stats?match=[", "GET http://evil.example/"} {
		method, url, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, url, http.NoBody)
		r.Header.Set("Origin", "http://evil.example")
		s.Handler().ServeHTTP(w, r)
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cache-Control":                "no-store",
			"Content-Type":                 "application/json",
			"Access-Control-Allow-Origin":  "",
			"Server":                       "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

func TestOnlyQuestionsAreTaken(t *testing.T) {
	s := newEmptyServer(t)
	gets := func(method string, body io.Reader, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(method, "/stats", body))
		if w.Code != want || (want == 405) != (w.Header().Get("Allow") == "GET, HEAD") {
			t.Errorf("%s: got %d %v", method, w.Code, w.Header())
		}
		if closes := w.Header().Get("Connection") == "close"; closes != (body != http.NoBody) {
			t.Errorf("%s: Connection is %q", method, w.Header().Get("Connection"))
		}
	}
	gets("GET", http.NoBody, 200)
	gets("HEAD", http.NoBody, 200)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X"} {
		gets(method, http.NoBody, 405)
	}
	gets("GET", strings.NewReader("x"), 413)
	gets("GET", io.MultiReader(strings.NewReader("x")), 413) // chunked
	gets("POST", strings.NewReader("x"), 405)
}

func TestMalformedQueries(t *testing.T) {
	s := newEmptyServer(t)
	gets := func(query string, want int, message string) {
		t.Helper()
		for _, path := range []string{"/stats", "/sources", "/-/ready"} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.URL.RawQuery = query
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code != want || !strings.Contains(w.Body.String(), message) {
				t.Errorf("%s?%q: got %d %s", path, query, w.Code, w.Body)
			}
		}
	}
	gets("match=%00", 200, "")
	gets("&&&=&==", 200, "")
	gets("match=%zz", 400, "the query is malformed: invalid URL escape")
	gets("match=%", 400, "the query is malformed: invalid URL escape")
	gets("match=a;match=b", 400, "the query is malformed: invalid semicolon")
}

func TestManyPatterns(t *testing.T) {
	s := newEmptyServer(t)
	if status, _ := request(s, "GET", "/stats?"+strings.Repeat("match=a&", maxPatterns)); status != 200 {
		t.Errorf("%d patterns: %d", maxPatterns, status)
	}
	want := `{"message":"there are 101 patterns, and 100 is the most","path":"/stats"}` + "\n"
	if status, body := request(s, "GET", "/stats?"+strings.Repeat("match=a&", maxPatterns+1)); status != 400 || body != want {
		t.Errorf("got %d %s", status, body)
	}
}

// Whoever is refused for his Host can't even try passwords; what isn't allowed
// isn't collected.
func TestUsersAreAsked(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(file, []byte("basic_auth_users: {alice: "+string(hash)+"}\nhttp_server_config: {headers: {Content-Security-Policy: default-src 'self'}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := newTestServer(t, func(context.Context) (*pipes.Collection, error) { return collection(), nil })
	opts := s.opts
	if opts.Web, err = webconfig.Open(file, opts.Log); err != nil {
		t.Fatal(err)
	}
	s = New(opts)
	gets := func(handler http.Handler, url, password string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, url, http.NoBody)
		r.SetBasicAuth("alice", password)
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", url, w.Code, want)
		}
		if policy := w.Header().Get("Content-Security-Policy"); want != 421 && policy != "default-src 'self'" {
			t.Errorf("the policy is %s", policy)
		}
	}
	profiles := s.profiles(s.connections)
	gets(s.Handler(), "/stats", "secret", 200)
	gets(s.Handler(), "/stats", "guess", 401)
	gets(s.Handler(), "/-/healthy", "guess", 401)
	gets(s.Handler(), "http://evil.example/stats", "secret", 421)
	gets(profiles, profilesPath, "secret", 200)
	gets(profiles, profilesPath, "guess", 401)
	gets(profiles, "http://evil.example"+profilesPath, "secret", 421)
}

func TestProfiles(t *testing.T) {
	s := newEmptyServer(t)
	profiles := s.profiles(s.connections)
	gets := func(method, path string, want int, begins string) {
		t.Helper()
		w := httptest.NewRecorder()
		profiles.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
		if w.Code != want || !strings.HasPrefix(w.Body.String(), begins) {
			t.Errorf("%s %s: got %d %.60q", method, path, w.Code, w.Body.String())
		}
	}
	gets("GET", "/debug/pprof/", 200, "profile?seconds=30\n")
	gets("GET", "/debug/pprof/heap", 200, "\x1f\x8b") // gzip
	gets("GET", "/debug/pprof/heap?gc=1&debug=1", 200, "heap profile: ")
	gets("GET", "/debug/pprof/goroutine?debug=2", 200, "goroutine ")
	gets("GET", "/debug/pprof/profile?seconds=1", 200, "\x1f\x8b")
	gets("GET", "/debug/pprof/trace?seconds=1", 200, "go 1.")
	gets("HEAD", "/debug/pprof/profile", 200, "")
	gets("GET", "/debug/pprof/profile?seconds=0", 400, "{")
	gets("GET", "/debug/pprof/trace?seconds=1e9", 400, "{")
	gets("GET", "/debug/pprof/nothing", 404, "{")
	gets("GET", "/stats", 404, "{")
	gets("POST", "/debug/pprof/profile", 405, "{")
	if status, _ := request(s, "GET", "/debug/pprof/"); status != 404 {
		t.Errorf("the profiles are among the stats: %d", status)
	}
}
