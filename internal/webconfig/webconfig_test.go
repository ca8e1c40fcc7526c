package webconfig

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/statvent/statvent/internal/testcert"
)

// hashed returns the hash of a password at the least cost.
func hashed(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// A desk is a directory with a file and what it names.
type desk struct {
	dir, file string
	ca        *testcert.CA
	log       *syncBuffer
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{dir: dir, file: filepath.Join(dir, "web.yml"), ca: testcert.NewCA(t), log: new(syncBuffer)}
	d.ca.Issue(t, "127.0.0.1", "localhost").Write(t, dir, "server")
	d.put(t, "ca.pem", string(d.ca.PEM()))
	return d
}

func (d *desk) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) open(t *testing.T, text string) *File {
	t.Helper()
	d.put(t, "web.yml", text)
	f, err := Open(d.file, slog.New(slog.NewTextHandler(d.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// look has the files looked at, as if the time for it had come.
func (f *File) look() {
	f.next.Store(0)
	f.current()
}

// serve serves the handler with the file in force, and returns the URL.
func serve(t *testing.T, f *File) string {
	t.Helper()
	server := httptest.NewUnstartedServer(f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "let through")
	}), refuse))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	scheme := "http://"
	if config := f.TLS(); config != nil {
		server.Listener, scheme = tls.NewListener(server.Listener, config), "https://"
	}
	server.Start()
	t.Cleanup(server.Close)
	return scheme + strings.TrimPrefix(server.URL, "http://")
}

func refuse(w http.ResponseWriter, _ *http.Request, status int, message string) {
	http.Error(w, message, status)
}

const serverTLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"

func TestDocuments(t *testing.T) {
	d := newDesk(t)
	pair := d.ca.Issue(t, "localhost")
	inline := func(text []byte) string {
		return "|\n    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n"
	}
	good := func(text string) {
		t.Helper()
		d.put(t, "web.yml", text)
		if err := Check(d.file); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	bad := func(text, want string) {
		t.Helper()
		d.put(t, "web.yml", text)
		err := Check(d.file)
		if err == nil {
			t.Errorf("no error in\n%s", text)
		} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), d.file+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	good("")
	good("# nothing\n")
	good("tls_server_config: {}\nhttp_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}\n")
	good(serverTLS)
	good(strings.ReplaceAll(serverTLS, "server.", d.dir+"/server."))
	good("tls_server_config:\n  cert: " + inline(pair.Cert) + "  key: " + inline(pair.Key) + "  client_ca: " + inline(d.ca.PEM()) + "  client_auth_type: RequireAndVerifyClientCert\n")
	good(serverTLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [a, b]\n")
	good(serverTLS + "  min_version: TLS13\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n")
	good(serverTLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n  curve_preferences: [X25519, CurveP256]\n")
	good("http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n")
	good("http_server_config: {http2: false}\n")
	good("basic_auth_users:\n  alice: " + hashed(t, "a") + "\n")
	good("rate_limit: {interval: 1s, burst: 20}\n")
	good("rate_limit: {interval: 0}\n")
	good("tls_server_config: {min_version: TLS12, cipher_suites: []}\n") // no TLS: how isn't what

	bad("tls_server_config:\n  cert_fil: x\n", `line 2: unknown key "cert_fil"`)
	bad("tls: {}\n", `line 1: unknown key "tls"`)
	bad("a\n", `line 1: "a" is not what is taken here`)
	bad("a: [\n", "line 1")
	bad("http_server_config: {}\nhttp_server_config: {}\n", "already defined")
	bad("tls_server_config: {cert_file: server.pem}\n", "tls_server_config: key or key_file is missing")
	bad("tls_server_config: {key_file: server.key}\n", "tls_server_config: cert or cert_file is missing")
	bad("tls_server_config: {client_auth_type: NoClientCert}\n", "cert or cert_file is missing")
	bad("tls_server_config: {cert_file: nowhere, key_file: server.key}\n", "cert_file "+d.dir+"/nowhere: no such file or directory")
	bad("tls_server_config: {cert_file: ., key_file: server.key}\n", "it is not a regular file")
	bad("tls_server_config: {cert_file: server.key, key_file: server.key}\n", "the certificate and its key: ")
	bad("tls_server_config: {cert_file: ca.pem, key_file: server.key}\n", "the certificate and its key: ")
	bad(serverTLS+"  client_auth_type: Maybe\n", `unknown client_auth_type "Maybe"`)
	bad(serverTLS+"  client_ca_file: ca.pem\n", "a client CA has no use without a client_auth_type")
	bad(serverTLS+"  client_ca_file: web.yml\n  client_auth_type: RequireAndVerifyClientCert\n", "there is no certificate in the client CA")
	bad(serverTLS+"  client_allowed_sans: [a]\n", "client_allowed_sans has no use")
	bad(serverTLS+"  min_version: \"1.2\"\n", `line 4: unknown TLS version "1.2" (there are TLS10, TLS11, TLS12, TLS13)`)
	bad(serverTLS+"  max_version: TLS11\n", "min_version is above max_version")
	bad(serverTLS+"  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", `line 4: unknown cipher suite "TLS_RSA_WITH_RC4_128_SHA"`)
	bad(serverTLS+"  curve_preferences: [P256]\n", `line 4: unknown curve "P256"`)
	bad("http_server_config: {headers: {X-Powered-By: x}}\n", `the header "X-Powered-By" can't be set`)
	bad("http_server_config: {headers: {X-Frame-Options: allow}}\n", `X-Frame-Options is deny or sameorigin, not "allow"`)
	bad("basic_auth_users: {alice: secret}\n", `the password of "alice" is not a hash of bcrypt`)
	bad("basic_auth_users: {alice: }\n", `the password of "alice" is not a hash of bcrypt`)
	bad("rate_limit: {interval: 5}\n", `line 1: "5" is not a time, such as 1s`)
	bad("rate_limit: {burst: x}\n", `"x" is not what is taken here`)
	if err := Check(filepath.Join(d.dir, "nowhere")); err == nil || !strings.HasSuffix(err.Error(), "/nowhere: no such file or directory") {
		t.Errorf("got %v", err)
	}
	if err := Check(""); err != nil {
		t.Error(err)
	}
}

// dial returns the names of the certificate that a server shows.
func dial(t *testing.T, url string, config *tls.Config) (names []string, err error) {
	t.Helper()
	config.ServerName = "localhost"
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return resp.TLS.PeerCertificates[0].DNSNames, nil
}

func TestClientCertificates(t *testing.T) {
	d := newDesk(t)
	stranger := testcert.NewCA(t)
	f := d.open(t, serverTLS+"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n")
	url := serve(t, f)
	config := func(pairs ...testcert.Pair) *tls.Config {
		c := &tls.Config{RootCAs: d.ca.Pool()}
		for _, pair := range pairs {
			// One that doesn't fit the CAs which the server asks for is sent as well.
			certificate := pair.TLS(t)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		}
		return c
	}
	may := func(want bool, config *tls.Config) {
		t.Helper()
		if _, err := dial(t, url, config); (err == nil) != want {
			t.Errorf("got %v", err)
		}
	}
	alice := d.ca.Issue(t, "alice", "alice@example.org", "spiffe://example.org/alice", "192.0.2.7")
	may(true, config(alice))
	may(false, config())
	may(false, config(stranger.Issue(t, "alice")))
	may(false, &tls.Config{RootCAs: stranger.Pool(), Certificates: []tls.Certificate{alice.TLS(t)}})

	allow := func(names string) {
		t.Helper()
		d.put(t, "web.yml", serverTLS+"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: ["+names+"]\n")
		f.look()
	}
	allow("bob")
	may(false, config(alice))
	may(true, config(d.ca.Issue(t, "x", "bob")))
	for _, name := range []string{"alice", "alice@example.org", "spiffe://example.org/alice", "192.0.2.7"} {
		allow("bob, '" + name + "'")
		may(true, config(alice))
	}
	allow("")
	may(false, config(alice))
}

// A client keeps the session of a connection that was allowed, and resumes it
// when it isn't any more.
func TestSessionsDoNotOutliveWhatAllowedThem(t *testing.T) {
	d := newDesk(t)
	const asks = serverTLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	f := d.open(t, asks)
	url := serve(t, f)
	config := &tls.Config{
		RootCAs:            d.ca.Pool(),
		Certificates:       []tls.Certificate{d.ca.Issue(t, "alice").TLS(t)},
		ClientSessionCache: tls.NewLRUClientSessionCache(10),
	}
	for range 2 {
		if _, err := dial(t, url, config); err != nil {
			t.Fatal(err)
		}
	}
	d.put(t, "ca.pem", string(testcert.NewCA(t).PEM()))
	f.look()
	if _, err := dial(t, url, config); err == nil {
		t.Error("a client of the CA before is still let in")
	}
}

// A connection that was made when the version before was in force is one that the
// version in force would let in, or it is refused and closed.
func TestConnectionsDoNotOutliveWhatAllowedThem(t *testing.T) {
	d := newDesk(t)
	const asks = serverTLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	alice := d.ca.Issue(t, "alice").TLS(t)
	changes := func(before, after string, certificates []tls.Certificate, want int) {
		t.Helper()
		f := d.open(t, before)
		url := serve(t, f)
		transport := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "localhost", RootCAs: d.ca.Pool(), Certificates: certificates}}
		defer transport.CloseIdleConnections()
		get := func(want int) {
			t.Helper()
			resp, err := (&http.Client{Transport: transport}).Get(url)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want || resp.Close != (want != 200) {
				t.Errorf("%q after %q: got %s, closed is %v, want %d", after, before, resp.Status, resp.Close, want)
			}
		}
		get(200)
		d.put(t, "web.yml", after)
		f.look()
		get(want)
	}
	d.put(t, "other.pem", string(testcert.NewCA(t).PEM()))
	d.put(t, "both.pem", string(d.ca.PEM())+string(testcert.NewCA(t).PEM()))
	certificate := []tls.Certificate{alice}
	changes(asks, strings.ReplaceAll(asks, "ca.pem", "other.pem"), certificate, 421)
	changes(asks, strings.ReplaceAll(asks, "ca.pem", "both.pem"), certificate, 200)
	changes(asks, asks+"  client_allowed_sans: [bob]\n", certificate, 421)
	changes(asks, asks+"  client_allowed_sans: [alice]\n", certificate, 200)
	changes(serverTLS, asks, certificate, 421) // which nobody asked it for
	changes(serverTLS, serverTLS+"  client_auth_type: RequireAnyClientCert\n", nil, 421)
	changes(serverTLS, serverTLS+"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", nil, 200)
	some := serverTLS + "  client_auth_type: RequireAnyClientCert\n"
	changes(some, serverTLS+"  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: other.pem\n", certificate, 421)
}

func TestVersionsOfTLS(t *testing.T) {
	d := newDesk(t)
	url := serve(t, d.open(t, serverTLS+"  min_version: TLS13\n"))
	if _, err := dial(t, url, &tls.Config{RootCAs: d.ca.Pool()}); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, url, &tls.Config{RootCAs: d.ca.Pool(), MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is spoken")
	}
}

func TestRenewedCertificateIsShownToTheNextHandshake(t *testing.T) {
	d := newDesk(t)
	f := d.open(t, serverTLS)
	url := serve(t, f)
	shows := func(want string) {
		t.Helper()
		names, err := dial(t, url, &tls.Config{RootCAs: d.ca.Pool()})
		if err != nil || names[len(names)-1] != want {
			t.Errorf("got %v, %v, want %s", names, err, want)
		}
	}
	shows("localhost")
	d.ca.Issue(t, "localhost", "second").Write(t, d.dir, "server")
	f.look()
	shows("second")

	// A pair is replaced in two steps, between which it doesn't fit.
	third := d.ca.Issue(t, "localhost", "third")
	d.put(t, "server.pem", string(third.Cert))
	f.look()
	f.look()
	shows("second")
	if n := strings.Count(d.log.String(), "level=WARN"); n != 1 || !strings.Contains(d.log.String(), "private key does not match public key") {
		t.Errorf("%d warnings, want 1:\n%s", n, d.log)
	}
	d.put(t, "server.key", string(third.Key))
	f.look()
	shows("third")
	d.ca.Issue(t, "localhost", "fourth").Write(t, d.dir, "server")
	if err := use(f, f.path); err != nil {
		t.Error(err)
	}
	shows("fourth")
}

func TestChangesAreSeenWithinSeconds(t *testing.T) {
	d := newDesk(t)
	f := d.open(t, "")
	f.current() // the next look is a second away
	d.put(t, "web.yml", "http_server_config: {headers: {X-Frame-Options: deny}}\n")
	for deadline := time.Now().Add(20 * time.Second); f.current().headers == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the change isn't seen")
		}
	}
}

// Files are looked at once a second at the most, by one of those who come.
func TestFilesAreNotLookedAtForEachRequest(t *testing.T) {
	f := newDesk(t).open(t, "")
	f.current()
	next := f.next.Load()
	for range 100 {
		f.current()
	}
	if f.next.Load() != next && time.Since(f.begin) < time.Duration(next) {
		t.Error("they were looked at again")
	}
}

func TestWrongVersionKeepsTheOneBefore(t *testing.T) {
	d := newDesk(t)
	users := "basic_auth_users: {alice: " + hashed(t, "secret") + "}\n"
	f := d.open(t, users)
	url := serve(t, f)
	wrong := func(want string) {
		t.Helper()
		for range 3 {
			f.look()
			if got := ask(t, url, "alice", "secret"); got != 200 {
				t.Errorf("alice got %d", got)
			}
			if got := ask(t, url, "alice", "guess"); got != 401 {
				t.Errorf("a stranger got %d", got)
			}
		}
		if strings.Count(d.log.String(), want) != 1 {
			t.Errorf("it isn't logged once: %s\n%s", want, d.log)
		}
	}
	d.put(t, "web.yml", users+"more: 1\n")
	wrong("line 2: unknown key")
	if err := use(f, f.path); err == nil {
		t.Error("no error from Reload")
	}
	if err := os.Remove(d.file); err != nil {
		t.Fatal(err)
	}
	wrong("no such file or directory")
	if err := use(f, filepath.Join(d.dir, "other")); err == nil {
		t.Error("no error from Use")
	}
	d.put(t, "web.yml", users)
	f.look()
	d.put(t, "web.yml", users+"more: 1\n")
	f.look()
	if n := strings.Count(d.log.String(), "line 2: unknown key"); n != 2 {
		t.Errorf("logged %d times, want again after it was right\n%s", n, d.log)
	}
	d.put(t, "other", "")
	if err := use(f, filepath.Join(d.dir, "other")); err != nil {
		t.Error(err)
	}
	if got := ask(t, url, "", ""); got != 200 {
		t.Errorf("without users: %d", got)
	}
}

// A file is empty before it is written, and half of it is there before all of it.
func TestWhatIsFoundOpensNothing(t *testing.T) {
	d := newDesk(t)
	user := "basic_auth_users: {alice: " + hashed(t, "secret") + "}\n"
	const headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n"
	stays := func(before, after, want string) {
		t.Helper()
		f := d.open(t, before)
		sum := f.current().sum
		d.put(t, "web.yml", after)
		for range 3 {
			f.look()
		}
		if f.current().sum != sum || strings.Count(d.log.String(), "level=WARN") != 1 || !strings.Contains(d.log.String(), d.file+": "+want) {
			t.Errorf("%q is in force instead of %q, or not one warning of it:\n%s", after, before, d.log)
		}
		if err := use(f, f.path); err != nil || f.current().sum == sum {
			t.Errorf("%q can't be put in force on purpose: %v", after, err)
		}
		d.log.buf.Reset()
	}
	stays(user, "", "it is empty")
	stays(user, "# nothing\n", "it is empty")
	stays(headers, "", "it is empty")
	stays(user+headers, headers, "it has no users")
	stays(user, "basic_auth_users:\n"+headers, "it has no users")
	const asks = serverTLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
	stays(asks, serverTLS, "it asks for less of a client's certificate")
	stays(asks+"  client_allowed_sans: [a]\n", asks, "it asks for less of a client's certificate")
	f := d.open(t, user+headers)
	url := serve(t, f)
	d.put(t, "web.yml", "")
	f.look()
	if got := ask(t, url, "", ""); got != 401 {
		t.Errorf("a stranger got %d", got)
	}
	d.put(t, "web.yml", user) // what asks for as much needs nobody
	f.look()
	if f.current().headers != nil {
		t.Error("the version after isn't in force")
	}
}

func TestTLSIsNotSwitchedWhileItRuns(t *testing.T) {
	d := newDesk(t)
	stays := func(url, want string) {
		t.Helper()
		if strings.HasPrefix(url, "https") {
			if _, err := dial(t, url, &tls.Config{RootCAs: d.ca.Pool()}); err != nil {
				t.Error(err)
			}
		}
		if n := strings.Count(d.log.String(), "TLS is switched on or off when"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, d.log)
		}
		if !strings.HasPrefix(url, want) {
			t.Errorf("%s, want %s", url, want)
		}
		d.log.buf.Reset()
	}
	plain := d.open(t, "")
	url := serve(t, plain)
	d.put(t, "web.yml", serverTLS+"basic_auth_users: {alice: "+hashed(t, "secret")+"}\n")
	plain.look()
	plain.look()
	stays(url, "http://")
	if got := ask(t, url, "", ""); got != 401 {
		t.Errorf("the users aren't in force: %d", got)
	}
	secure := d.open(t, serverTLS)
	url = serve(t, secure)
	d.put(t, "web.yml", "rate_limit: {interval: 1ns, burst: 9}\n")
	secure.look()
	secure.look()
	stays(url, "https://")
	if plain.TLS() != nil || secure.TLS() == nil {
		t.Error("TLS was switched")
	}
}

func TestHeaders(t *testing.T) {
	d := newDesk(t)
	f := d.open(t, "http_server_config: {headers: {X-Frame-Options: sameorigin, Content-Security-Policy: ''}}\nbasic_auth_users: {a: "+hashed(t, "b")+"}\n")
	w := httptest.NewRecorder()
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	f.Wrap(http.NotFoundHandler(), refuse).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	_, hasPolicy := w.Header()["Content-Security-Policy"]
	if w.Code != 401 || w.Header().Get("X-Frame-Options") != "sameorigin" || hasPolicy || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic realm=") {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

func TestLimit(t *testing.T) {
	begin := time.Now()
	l := newLimiter(time.Second, 2)
	allows := func(after time.Duration, want bool, wantWait time.Duration) {
		t.Helper()
		if ok, wait := l.allow(begin.Add(after)); ok != want || (wait-wantWait).Abs() > time.Millisecond {
			t.Errorf("after %v: %v, wait %v", after, ok, wait)
		}
	}
	allows(0, true, 0)
	allows(0, true, 0)
	allows(0, false, time.Second)
	allows(400*time.Millisecond, false, 600*time.Millisecond)
	allows(time.Second, true, 0)
	allows(time.Hour, true, 0)
	allows(time.Hour, true, 0)
	allows(time.Hour, false, time.Second)
	allows(time.Minute, false, time.Second) // the clock may go back
	l = newLimiter(time.Second, 0)
	allows(0, false, time.Second)
	if ok, _ := newLimiter(0, 0).allow(begin); !ok {
		t.Error("without a limit nobody may pass")
	}
}

func TestLimitIsAnswered(t *testing.T) {
	d := newDesk(t)
	f := d.open(t, "rate_limit: {interval: 1h, burst: 1}\n")
	url := serve(t, f)
	if got := ask(t, url, "", ""); got != 200 {
		t.Errorf("the first got %d", got)
	}
	if err := use(f, f.path); err != nil { // which doesn't begin anew
		t.Error(err)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != http.StatusTooManyRequests || err != nil || after < 3500 || after > 3600 {
		t.Errorf("got %s %v", resp.Status, resp.Header)
	}
}

// use puts a file in force.
func use(f *File, path string) error {
	apply, err := f.Prepare(path)
	if err == nil {
		apply()
	}
	return err
}
