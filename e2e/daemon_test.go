//go:build linux

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager is what systemd is to serve: the end of NOTIFY_SOCKET.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func startManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn, path}
}

// next returns the next message, but for those of the watchdog.
func (m *manager) next() string {
	m.t.Helper()
	for {
		if message := m.any(); message != watchdogMessage {
			return message
		}
	}
}

const watchdogMessage = "WATCHDOG=1"

func (m *manager) any() string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if err != nil {
		m.t.Fatalf("the service manager is told nothing: %v", err)
	}
	return string(buf[:n])
}

// is waits for the next message, which must match.
func (m *manager) is(want string) string {
	m.t.Helper()
	got := m.next()
	if !regexp.MustCompile(`^(?:` + want + `)$`).MatchString(got) {
		m.t.Errorf("the service manager is told %q, want %q", got, want)
	}
	return got
}

// A daemon is a serve that has a service manager, a configuration file and a log.
type daemon struct {
	*service
	manager *manager
	file    string
	log     logged
}

// A logged is the log of a serve, of which some was seen.
type logged struct {
	path string
	seen int
}

// news returns what was logged since the last time.
func (l *logged) news(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	news := string(text[l.seen:])
	l.seen = len(text)
	return news
}

// startDaemon starts a serve with that configuration and waits until it says that it
// is ready.
func startDaemon(t *testing.T, dir, config string, env ...string) *daemon {
	t.Helper()
	d := &daemon{manager: startManager(t), file: filepath.Join(t.TempDir(), "statvent.yaml")}
	d.write(t, config)
	cmd := exec.Command(binary, "serve", "-d", dir, "--listen", "127.0.0.1:0", "--config", d.file)
	cmd.Env = append(os.Environ(), append(env, "NOTIFY_SOCKET="+d.manager.path)...)
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr, d.log.path = stderr, stderr.Name()
	d.service = &service{process: start(t, cmd)}
	ready := d.manager.is(`READY=1\nSTATUS=serving http://127\.0\.0\.1:[0-9]+/`)
	_, address, _ := strings.Cut(strings.TrimSuffix(ready, "/"), "http://")
	d.url = "http://" + address
	return d
}

// write puts another file in the place of the configuration.
func (d *daemon) write(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(d.file+".new", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(d.file+".new", d.file); err != nil {
		t.Fatal(err)
	}
}

// reloads waits until the configuration was loaded again, and returns what was
// logged of it.
func (d *daemon) reloads(t *testing.T) string {
	t.Helper()
	d.manager.is(`RELOADING=1\nMONOTONIC_USEC=[0-9]+`)
	d.manager.is(`READY=1\nSTATUS=serving .*`)
	return d.log.news(t)
}

// The manager is told what goes on, in this order, and the watchdog is fed meanwhile.
func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "", "WATCHDOG_USEC=100000")
	d.get(t, "/-/ready") // the listener is open
	for range 3 {
		if got := d.manager.any(); got != watchdogMessage {
			t.Errorf("got %q", got)
		}
	}
	if err := d.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if log := d.reloads(t); !strings.Contains(log, `msg="configuration reloaded" file=`+d.file+" changed=[]\n") {
		t.Errorf("the log says %s", log)
	}
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.manager.is(`STOPPING=1\nSTATUS=stopping`)
	d.end(t)
}

// What changes in the file is in force at once where it can be, a request in flight or
// not, and the log says what can't.
func TestConfigurationIsReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDaemon(t, dir, "log_level: warn\n")
	startPublisher(t, dir, "a.max=1.5")
	startPublisher(t, dir, "a.max=2.5")
	is := func(want string) {
		t.Helper()
		if stats, _ := d.stats(t); string(stats["a.max"]) != want {
			t.Errorf("a.max is %q, want %q", stats["a.max"], want)
		}
	}
	says := func(what, log string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(log, w) {
				t.Errorf("%s: the log says %q, not %q", what, log, w)
			}
		}
		if len(want) == 0 && log != "" {
			t.Errorf("%s: the log says %q", what, log)
		}
	}
	is("4.0")
	d.write(t, "log_level: debug\naggregate: '*.max: max'\n")
	says("rules", d.reloads(t), `level=INFO msg="configuration reloaded"`, `changed="[aggregate log_level]"`)
	is("2.5")

	d.write(t, "aggregate: '*.max: most'\n")
	says("a wrong rule", d.reloads(t), "level=ERROR", "what was in force stays so", "aggregate in "+d.file, "most")
	is("2.5")
	d.write(t, "aggregate: [\n")
	says("malformed", d.reloads(t), "level=ERROR", d.file, "malformed", "line 1")
	d.write(t, "owner: no.body\n")
	says("an unknown owner", d.reloads(t), "level=ERROR", "owner in "+d.file, "no.body")
	d.write(t, "path: x\n")
	says("a wrong path", d.reloads(t), "level=ERROR", "path in ")
	is("2.5")

	// The option that serve was started with wins, as it did then.
	d.write(t, "listen: 127.0.0.1:1\npath: /other\nlog_format: json\nowner: 4242\n")
	says("a restart", d.reloads(t), `changed="[owner aggregate log_level]"`,
		`level=WARN msg="a change of these takes a restart" keys="[path log_format]"`)
	is("")
	d.write(t, "# nothing\n")
	says("as it was", d.reloads(t), `changed=[owner]`)
	is("4.0")
	d.write(t, "")
	waitUntil(t, "it is said that the file is empty", func() bool {
		text, err := os.ReadFile(d.log.path)
		return err == nil && strings.Contains(string(text[d.log.seen:]), d.file+": it is empty")
	})
	is("4.0")
	d.write(t, "log_level: error\n")
	d.reloads(t)
	if err := d.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	says("a level at which nothing is said", d.reloads(t))
	d.end(t)
}

// A serve that hangs isn't said to be well. One that is stopped hangs.
func TestWatchdogOfAServeThatIsStopped(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "", "WATCHDOG_USEC=20000")
	if got := d.manager.any(); got != watchdogMessage {
		t.Errorf("got %q", got)
	}
	if err := d.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for { // what was sent before
		if err := d.manager.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.manager.conn.Read(make([]byte, 100)); err != nil {
			break // ten watchdogs' time
		}
	}
	if err := d.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := d.manager.any(); got != watchdogMessage {
		t.Errorf("got %q", got)
	}
}

// systemd listens, starts serve for the first who comes, and passes its sockets in:
// nobody is refused, and serve listens at no other.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := lookup(t, "systemd-socket-activate")
	dir := t.TempDir()
	startPublisher(t, dir, "a=1")
	manager := startManager(t)
	addresses := []string{freeAddress(t, "127.0.0.1"), freeAddress(t, "127.0.0.1")}
	cmd := exec.Command(activate, "-l", addresses[0], "-l", addresses[1],
		"-E", "NOTIFY_SOCKET="+manager.path, "-E", "STATVENT_STATE_DIR="+t.TempDir(), "-E", "STATVENT_DEADLINE=10s",
		binary, "serve", "-d", dir, "--listen", "192.0.2.1:7828") // an address that isn't this host's
	p := start(t, cmd)
	var body []byte
	waitUntil(t, "the first who comes is answered", func() bool {
		resp, err := http.Get("http://" + addresses[0] + "/stats")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return err == nil
	})
	if stats := parseDocument(t, body); stats["a"] != "1" {
		t.Errorf("got %s", body)
	}
	manager.is(`READY=1\nSTATUS=serving http://` + addresses[0] + `/ http://` + addresses[1] + `/`)
	resp, err := http.Get("http://" + addresses[1] + "/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.stderr)
	}
}

// A socket of datagrams is none to listen on.
func TestSocketThatIsNoneToListenOn(t *testing.T) {
	t.Parallel()
	activate := lookup(t, "systemd-socket-activate")
	address := freeAddress(t, "127.0.0.1")
	cmd := exec.Command(activate, "-d", "-l", address, binary, "serve", "-d", t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	p := start(t, cmd)
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	waitUntil(t, "it is started and ends", func() bool {
		_, _ = conn.Write([]byte("x"))
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	})
	if code := p.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "is not one to listen on") {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
}
