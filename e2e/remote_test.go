//go:build linux

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/statvent/statvent/internal/testcert"
)

// twoHosts are two serves that a client finds at --url: one at a socket, one that wants
// TLS and a password, for which the options have a file.
func twoHosts(t *testing.T) (dirs [2]string, options []string) {
	t.Helper()
	dir, ca := memoryDir(t), testcert.NewCA(t)
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ca.Issue(t, "127.0.0.1").Write(t, dir, "server")
	put("ca.pem", string(ca.PEM()))
	put("password", "secret\n")
	web := put("web.yml", "tls_server_config: {cert_file: server.pem, key_file: server.key}\nbasic_auth_users: {alice: "+string(hash)+"}\n")
	client := put("http.yml", "basic_auth: {username: alice, password_file: password}\ntls_config: {ca_file: ca.pem}\n")

	dirs = [2]string{filepath.Join(dir, "pipes1"), filepath.Join(dir, "pipes2")}
	socket := filepath.Join(dir, "socket")
	startServe(t, dirs[0], "--listen", "unix:"+socket)
	second := startServe(t, dirs[1], "--web-config", web)
	return dirs, []string{"--url", "unix:" + socket, "--url", second.url, "--http-config", client}
}

func TestWatchAddsUpOtherHosts(t *testing.T) {
	t.Parallel()
	dirs, options := twoHosts(t)
	startPublisher(t, dirs[0], "jobs=40", "load=1.5")
	startPublisher(t, dirs[0], "jobs=1")
	startPublisher(t, dirs[1], "jobs=1", "load=0.5")
	stdout, stderr, code := runStatvent(t, "/none", append([]string{"watch", "--once", "-o", "plain"}, options...)...)
	if stdout != "jobs: 42\nload: 2.0\n" || stderr != "" || code != 0 {
		t.Errorf("got %q, %q, exit code %d", stdout, stderr, code)
	}
	stdout, stderr, code = runStatvent(t, "/none", append([]string{"watch", "--once", "-o", "plain", "--url", "127.0.0.1:1"}, options...)...)
	if stdout != "jobs: 42\nload: 2.0\n" || !strings.Contains(stderr, "127.0.0.1:1: ") || code != 3 {
		t.Errorf("beside one that isn't there: %q, %q, exit code %d", stdout, stderr, code)
	}
	wrong := strings.Replace(options[3], "https://", "https://alice:guess@", 1)
	_, stderr, code = runStatvent(t, "/none", "watch", "--once", "--url", wrong, "--http-config", options[5])
	if !strings.Contains(stderr, "it wants a user and a password") || strings.Contains(stderr, "guess") || code != 1 {
		t.Errorf("with a wrong password: %q, exit code %d", stderr, code)
	}
}

func TestWatchOnATerminalOfOtherHosts(t *testing.T) {
	t.Parallel()
	dirs, options := twoHosts(t)
	startPublisher(t, dirs[0], "jobs=40")
	_, path := startPublisher(t, dirs[1], "jobs=2", "only.there=7")
	s := startTmux(t)
	s.run(binary + " watch " + strings.Join(options, " "))
	s.waits("jobs", "42", "only.there", "2 sources: 2 live")
	s.keys("Enter") // jobs, by source
	stem := strings.TrimSuffix(filepath.Base(path), ".stats")
	s.waits("jobs  by source", "2 sources", "40", "/"+stem)
	s.keys("Escape")
	s.waits("2 stats")
	s.keys("Tab") // the sources
	s.waits("sources", "STATE", "live", "/"+stem)
	s.keys("/")
	s.keys(strings.Split(stem, "")...)
	s.keys("Enter", "Enter") // the stats of one
	s.waits("only.there", "7", "2 stats")
	s.keys("q")
	s.waits("shell>", "!only.there")
}

// What watch prints in the typed format on one host can be watched on another.
func TestWatchReadsWhatWatchPrints(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(memoryDir(t), "pipes")
	startPublisher(t, dir, "jobs=42")
	printing := exec.Command(binary, "watch", "-d", dir, "-o", "typed", "--count", "3", "-n", "100ms")
	reading := exec.Command(binary, "watch", "--file", "-", "-o", "plain", "-n", "10ms")
	var out, said bytes.Buffer
	reading.Stdout, reading.Stderr = &out, &said
	pipe, err := printing.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	reading.Stdin = pipe
	if err := printing.Start(); err != nil {
		t.Fatal(err)
	}
	if err := reading.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%v: %s", err, &said)
	}
	if err := printing.Wait(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(out.String(), "jobs: 42\n"); got < 1 || got > 3 || strings.Count(out.String(), "\n") != 2*got-1 {
		t.Errorf("it shows %q", out.String())
	}
}
