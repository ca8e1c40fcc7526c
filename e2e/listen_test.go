//go:build linux

package e2e

import (
	"crypto/tls"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/statvent/statvent/internal/testcert"
)

// curl returns what curl prints, and with -w what it says of the answer.
func curl(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lookup(t, "curl"), append([]string{"--silent", "--show-error", "--max-time", "20"}, args...)...)
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestServeAtSeveralAddresses(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	socket := filepath.Join(dir, "socket")
	serve := startServe(t, filepath.Join(dir, "pipes"), "--listen", "127.0.0.2:0", "--listen", "unix:"+socket, "--socket-mode", "0640")
	serve.get(t, "/-/ready")
	text, err := os.ReadFile(serve.Stderr.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	second := regexp.MustCompile(`url=(http://127.0.0.2:\d+)/ `).FindSubmatch(text)
	if second == nil || !strings.Contains(string(text), "url=unix:"+socket) {
		t.Fatalf("the log doesn't say all addresses:\n%s", text)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode() != 0o640|fs.ModeSocket {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	for _, args := range [][]string{{serve.url + "/stats"}, {string(second[1]) + "/stats"}, {"--unix-socket", socket, "http://localhost/stats"}} {
		if out, code := curl(t, args...); code != 0 || !strings.HasPrefix(out, `{"stats":{}`) {
			t.Errorf("%q: exit code %d, %s", args, code, out)
		}
	}
	if out, _ := curl(t, "--unix-socket", socket, "-w", "%{http_code}", "-o", "/dev/null", "http://evil.example/stats"); out != "421" {
		t.Errorf("a strange name at the socket: %s", out)
	}

	stdout, stderr, code := runStatvent(t, dir, "serve", "--listen", "unix:"+socket)
	want := "statvent: can't listen on unix:" + socket + ": a server answers there\n" +
		"hint: another statvent serve may run; --listen takes another path\n"
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("a second serve: exit code %d, stdout %q, stderr\n%s", code, stdout, stderr)
	}
	serve.end(t)
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is left")
	}
}

// What a killed serve left is replaced.
func TestSocketOfAKilledServe(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	socket := filepath.Join(dir, "socket")
	killed := startServe(t, filepath.Join(dir, "pipes"), "--listen", "unix:"+socket)
	if err := killed.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-killed.exited
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal(err)
	}
	serve := startServe(t, filepath.Join(dir, "pipes"), "--listen", "unix:"+socket)
	if out, code := curl(t, "--unix-socket", socket, "http://localhost/-/ready"); code != 0 || out != "{\"status\":\"ok\"}\n" {
		t.Errorf("exit code %d, %s", code, out)
	}
	serve.end(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := runStatvent(t, dir, "serve", "--listen", "unix:"+file)
	if text, err := os.ReadFile(file); code != 2 || err != nil || string(text) != "precious" || !strings.Contains(stderr, "something is there that is not a socket") {
		t.Errorf("exit code %d, %q, %v, %s", code, text, err, stderr)
	}
}

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	serve := startServe(t, t.TempDir(), "--allowed-hosts", "stats.example.org,*.internal")
	gets := func(host, want string) {
		t.Helper()
		if out, _ := curl(t, "-H", "Host: "+host, "-w", "%{http_code}", "-o", "/dev/null", serve.url+"/stats"); out != want {
			t.Errorf("%s: got %s, want %s", host, out, want)
		}
	}
	gets("stats.example.org", "200")
	gets("Stats.Example.Org.:7828", "200")
	gets("a.internal", "200")
	gets("localhost", "200")
	gets("example.org", "421")
	gets("evil.example", "421")
}

func TestProfilesAreServedWhenAskedFor(t *testing.T) {
	t.Parallel()
	status := func(url string) int {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	without := startServe(t, t.TempDir())
	if got := status(without.url + "/debug/pprof/"); got != http.StatusNotFound {
		t.Errorf("nobody asked for profiles, and got %d", got)
	}
	with := startServe(t, t.TempDir(), "--pprof", "127.0.0.1:0")
	text, err := os.ReadFile(with.Stderr.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`address=(http://127.0.0.1:\d+)/debug/pprof/`).FindSubmatch(text)
	if address == nil {
		t.Fatalf("the log doesn't say where the profiles are:\n%s", text)
	}
	profiles := string(address[1])
	for url, want := range map[string]int{
		profiles + "/debug/pprof/":          200,
		profiles + "/debug/pprof/heap":      200,
		profiles + "/debug/pprof/goroutine": 200,
		profiles + "/stats":                 404,
		with.url + "/debug/pprof/":          404,
		with.url + "/debug/pprof/heap":      404,
	} {
		if got := status(url); got != want {
			t.Errorf("%s: got %d, want %d", url, got, want)
		}
	}
	if strings.Contains(string(text), "level=WARN msg=\"other hosts") {
		t.Error("it warns of other hosts")
	}
	// The tool that reads them.
	goTool := exec.CommandContext(t.Context(), lookup(t, "go"), "tool", "pprof", "-top", "-nodecount=1", profiles+"/debug/pprof/heap")
	goTool.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	if out, err := goTool.CombinedOutput(); err != nil || !strings.Contains(string(out), "Type: inuse_space") {
		t.Errorf("go tool pprof: %v\n%s", err, out)
	}
	open := startServe(t, t.TempDir(), "--pprof", "0.0.0.0:0")
	waitUntil(t, "it warns of other hosts", func() bool {
		text, err := os.ReadFile(open.Stderr.(*os.File).Name())
		return err == nil && strings.Contains(string(text), "level=WARN msg=\"other hosts")
	})
}

// TLS, certificates of clients and users, from the file that Prometheus' exporters
// have, changed while serve runs.
func TestWebConfig(t *testing.T) {
	t.Parallel()
	dir, ca, stranger := t.TempDir(), testcert.NewCA(t), testcert.NewCA(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ca.Issue(t, "localhost", "first").Write(t, dir, "server")
	ca.Issue(t, "client").Write(t, dir, "client")
	stranger.Issue(t, "client").Write(t, dir, "stranger")
	put("ca.pem", string(ca.PEM()))
	const asks = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}\n"
	users := "basic_auth_users: {alice: " + string(hash) + "}\n"
	put("web.yml", asks+users)

	serve := startServe(t, t.TempDir(), "--web-config", file("web.yml"))
	port := serve.url[strings.LastIndex(serve.url, ":"):]
	if !strings.HasPrefix(serve.url, "https://") {
		t.Errorf("it serves at %s", serve.url)
	}
	gets := func(want, user string, args ...string) {
		t.Helper()
		args = append(args, "-u", user, "--cacert", file("ca.pem"), "-w", "%{http_code}", "-o", "/dev/null", "https://localhost"+port+"/stats")
		if out, code := curl(t, args...); out != want {
			t.Errorf("%q: got %s, exit code %d, want %s", args, out, code, want)
		}
	}
	client := []string{"--cert", file("client.pem"), "--key", file("client.key")}
	gets("200", "alice:secret", client...)
	gets("200", "alice:secret", append(client, "--http2")...)
	gets("401", "alice:guess", client...)
	gets("401", "bob:secret", client...)
	gets("000", "alice:secret") // no certificate
	gets("000", "alice:secret", "--cert", file("stranger.pem"), "--key", file("stranger.key"))
	if out, _ := curl(t, append(client, "--cacert", file("ca.pem"), "-D", "-", "https://localhost"+port+"/")...); !strings.Contains(out, "\r\nWWW-Authenticate: Basic realm=") && !strings.Contains(out, "\r\nWww-Authenticate: Basic realm=") {
		t.Errorf("without a user:\n%s", out)
	}
	if out, code := curl(t, "-o", "/dev/null", "-w", "%{http_code}", "http://localhost"+port+"/stats"); out != "400" {
		t.Errorf("without TLS: %s, exit code %d", out, code)
	}

	// A wrong version changes nothing; a renewed certificate is shown to the next.
	put("web.yml", asks+"basic_auth_user: {}\n")
	says := func(want string) {
		t.Helper()
		waitUntil(t, "it says "+want, func() bool {
			gets("200", "alice:secret", client...)
			text, err := os.ReadFile(serve.Stderr.(*os.File).Name())
			return err == nil && strings.Contains(string(text), want)
		})
	}
	says("line 2: unknown key")
	gets("401", "alice:guess", client...)
	ca.Issue(t, "localhost", "second").Write(t, dir, "server")
	put("web.yml", asks+users)
	pair, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the renewed certificate is shown", func() bool {
		conn, err := tls.Dial("tcp", "localhost"+port, &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair}})
		if err != nil {
			return false
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[1] == "second"
	})

	// That nobody is asked for a password any more takes a SIGHUP.
	put("web.yml", "")
	says("web.yml: it is empty")
	gets("401", "nobody:nothing", client...)
	put("web.yml", asks)
	says("web.yml: it has no users")
	gets("401", "nobody:nothing", client...)
	if err := serve.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the users are gone", func() bool {
		out, _ := curl(t, append(client, "--cacert", file("ca.pem"), "-w", "%{http_code}", "-o", "/dev/null", "https://localhost"+port+"/stats")...)
		return out == "200"
	})
	serve.end(t)

	_, stderr, code := runStatvent(t, dir, "serve", "--listen", "127.0.0.1:0", "--web-config", file("nowhere.yml"))
	want := "statvent: the web configuration is wrong: " + file("nowhere.yml") + ": no such file or directory\nhint: "
	if code != 1 || !strings.HasPrefix(stderr, want) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
