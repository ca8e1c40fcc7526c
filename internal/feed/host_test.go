package feed

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/internal/testcert"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// collectFunc is a server.Collector.
type collectFunc func(context.Context) (*pipes.Collection, error)

func (f collectFunc) Collect(ctx context.Context) (*pipes.Collection, error) { return f(ctx) }

// handler serves a host with two workers, of which one is silent, and a script.
func handler(t *testing.T) http.Handler {
	t.Helper()
	worker := &format.Snapshot{Stats: []format.Stat{
		{Name: "caf\xe9", Kind: format.Gauge, Value: format.Float(0.5)},
		{Name: "latency.{0}", Kind: format.Distribution, Dist: &format.Samples{
			Count: 150, Sum: format.Int(3), Window: []format.Value{format.Int(1), format.Int(2)}, Labels: format.DefaultLabels(),
		}},
		{Name: "n", Kind: format.Counter, Value: format.Int(40)},
	}}
	script := &format.Snapshot{Stats: []format.Stat{{Name: "n", Kind: format.Untyped, Value: format.Int(2)}}}
	s := server.New(server.Options{
		PipeDir: "/pipes",
		Path:    "/stats",
		Log:     slog.New(slog.DiscardHandler),
		Collector: collectFunc(func(context.Context) (*pipes.Collection, error) {
			return &pipes.Collection{Dir: "/pipes", Time: time.Now(), Sources: []pipes.Source{
				{Name: "web one", ID: "9f86d081884c7d65", PID: 99_999_999, Kind: pipes.TypedSource, State: pipes.Live, Snapshot: worker},
				{Name: "mute", Kind: pipes.PlainSource, State: pipes.Unresponsive, Err: os.ErrDeadlineExceeded},
				{Name: "script", Kind: pipes.PlainSource, State: pipes.Live, Snapshot: script},
			}}, nil
		}),
	})
	return s.Handler()
}

func newHost(t *testing.T, address string, config *HTTPConfig) *Host {
	t.Helper()
	h, err := NewHost(address, "1.2.3", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.client.CloseIdleConnections)
	return h
}

func TestHostIsWhatItServes(t *testing.T) {
	s := httptest.NewServer(handler(t))
	defer s.Close()
	for _, each := range []bool{false, true} {
		said, err := newHost(t, s.URL, nil).read(t.Context(), each)
		if err != nil {
			t.Fatal(err)
		}
		total := format.Combine(said.snapshots...)
		if n, _ := total.Lookup("n"); n != format.Int(42) {
			t.Errorf("n is %v", n)
		}
		if stats := total.Stats; len(stats) != 3 || stats[0].Name != "caf\xe9" || stats[0].Kind != format.Gauge {
			t.Fatalf("the stats are %+v", stats)
		}
		if d := total.Stats[1].Dist; d == nil || d.Count != 150 || len(d.Window) != 2 {
			t.Errorf("the distribution is %+v", d)
		}
		if len(said.sources) != 3 || len(said.about) != 3 {
			t.Fatalf("the sources are %+v", said.sources)
		}
		web, mute := said.sources[0], said.sources[1]
		if web.Name != "web one" || web.ID != "9f86d081884c7d65" || web.PID != 99_999_999 || web.State != pipes.Live || said.about[0].Stats != 3 {
			t.Errorf("a worker is %+v", web)
		}
		if (web.Snapshot != nil) != each || each && len(web.Snapshot.Stats) != 3 {
			t.Errorf("with the stats of each %v, those of a worker are %v", each, web.Snapshot)
		}
		if mute.State != pipes.Unresponsive || mute.Err == nil || mute.Snapshot != nil {
			t.Errorf("one that is silent is %+v", mute)
		}
	}
}

// Below a path, and where there is a reverse proxy's prefix.
func TestHostBelowAPath(t *testing.T) {
	s := httptest.NewServer(http.StripPrefix("/web1", handler(t)))
	defer s.Close()
	h := newHost(t, s.URL+"/web1/", nil)
	if _, err := h.read(t.Context(), false); err != nil || !strings.HasSuffix(h.Name(), "/web1") {
		t.Errorf("%s: %v", h.Name(), err)
	}
}

func TestHostAtASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler(t))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	if _, err := newHost(t, "unix:"+path, nil).read(t.Context(), false); err != nil {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	good := func(address, name, url string) {
		t.Helper()
		if h := newHost(t, address, nil); h.name != name || h.base.String() != url {
			t.Errorf("%s: %s at %s, want %s at %s", address, h.name, h.base, name, url)
		}
	}
	good("web1", "web1:7828", "http://web1:7828")
	good("web1:80", "web1:80", "http://web1:80")
	good("[::1]", "[::1]:7828", "http://[::1]:7828")
	good("http://web1", "web1", "http://web1")
	good("https://ada:lovelace@web1:7828/stats/", "web1:7828/stats", "https://ada:lovelace@web1:7828/stats/")
	bad := func(address, want string) {
		t.Helper()
		_, err := NewHost(address, "", nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v, want %s", address, err, want)
		}
	}
	bad("", "names no host")
	bad("ftp://web1", "neither http nor https")
	bad("http://", "names no host")
	bad("http://web1/?match=a", "more than a path")
	bad("http://u:geheim@web1:x", "invalid port")
	bad("http://u:geheim@web%zz1", "invalid")
}

// writeConfig writes a configuration and reads it.
func writeConfig(t *testing.T, dir, text string) (*HTTPConfig, error) {
	t.Helper()
	path := filepath.Join(dir, "http.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadHTTPConfig(path)
}

func TestHostWithTLSAndAPassword(t *testing.T) {
	dir, ca := t.TempDir(), testcert.NewCA(t)
	ca.Issue(t, "client").Write(t, dir, "client")
	for name, text := range map[string]string{"ca.pem": string(ca.PEM()), "password": "lovelace\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inner := handler(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "lovelace" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1").TLS(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.Pool(),
	}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()

	const whole = "basic_auth: {username: ada, password_file: password}\n" +
		"tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key}\n"
	read := func(config, user, want string) {
		t.Helper()
		c, err := writeConfig(t, dir, config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newHost(t, strings.Replace(s.URL, "://", "://"+user, 1), c).read(t.Context(), false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
	read(whole, "", "")
	read(strings.Replace(whole, "ada", "eve", 1), "", "it wants a user and a password")
	read(strings.Replace(whole, "ada", "eve", 1), "ada:lovelace@", "")
	read(strings.Replace(whole, "password_file: password", "password: lovelace", 1), "", "")
	read(strings.Replace(whole, "ca_file: ca.pem, ", "", 1), "", "tls_config of --http-config says whom to trust")
	read(strings.Replace(whole, "ca_file: ca.pem", "insecure_skip_verify: true", 1), "", "")
	read(strings.Replace(whole, "ca_file", "server_name: web1, ca_file", 1), "", "web1")
	read("tls_config: {ca_file: ca.pem}", "ada:lovelace@", "certificate required")
}

func TestHTTPConfigThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	bad := func(text, want string) {
		t.Helper()
		if _, err := writeConfig(t, dir, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	bad("basic_auth: [", "http.yaml: ")
	bad("basic_auht: {}", "basic_auht")
	bad("basic_auth: {password: x}", "no username")
	bad("basic_auth: {username: a, password: x, password_file: y}", "both")
	bad("tls_config: {cert_file: x}", "come together")
	bad("tls_config: {ca_file: nothing.pem}", "nothing.pem: no such file")
	bad("tls_config: {ca_file: http.yaml}", "has no certificate")
	bad("tls_config: {cert_file: http.yaml, key_file: http.yaml}", "tls_config: ")
	if _, err := writeConfig(t, dir, ""); err != nil {
		t.Errorf("an empty one: %v", err)
	}
	if _, err := ReadHTTPConfig(filepath.Join(dir, "nothing")); err == nil {
		t.Error("one that isn't there is none")
	}
}

func TestWhatIsNoServe(t *testing.T) {
	answers := func(want string, answer http.HandlerFunc) {
		t.Helper()
		s := httptest.NewServer(answer)
		defer s.Close()
		if _, err := newHost(t, s.URL, nil).read(t.Context(), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
	answers("is it the address of a statvent serve", http.NotFound)
	answers("503 Service Unavailable: the pipes are gone", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"message":"the pipes are gone","path":"/typed"}`))
	})
	answers("418", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	answers("it answers as no statvent serve does", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	answers("more than 268435456 bytes", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sources" {
			_, _ = w.Write([]byte("{}"))
			return
		}
		line := bytes.Repeat([]byte(strings.Repeat("x", 1<<10)+"\n"), 1<<10)
		for range 257 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if _, err := newHost(t, s.URL, nil).read(t.Context(), false); err == nil || !strings.HasPrefix(err.Error(), "connection refused: ") {
		t.Errorf("where nobody listens: %v", err)
	}
}

func TestFileIsReadEachTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web1.typed")
	f := feedOf(t, NewFile(path, pipes.CollectorOptions{Deadline: time.Second}))
	if _, err := f.Next(t.Context(), false); err == nil || err.Error() != path+": no such file or directory" {
		t.Errorf("the error is %v", err)
	}
	for n, text := range []string{0: "", 1: typed(1), 2: typed(1, 1), 3: "n: 3\n"} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if u := next(t, f); total(u) != int64(n) {
			t.Errorf("%q is %d", text, total(u))
		}
	}
}
