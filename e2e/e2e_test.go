//go:build linux

// Package e2e tests the real binary with real processes.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// binary is the path of the statvent under test.
var binary string

// binaryVariable names a statvent that is built already.
const binaryVariable = "STATVENT_TEST_BINARY"

// publishVariable makes this test binary a program that publishes: its
// arguments are NAME=VALUE, and it ends when its stdin does.
const publishVariable = "STATVENT_TEST_PUBLISH"

func TestMain(m *testing.M) {
	if mode := os.Getenv(publishVariable); mode != "" {
		publish(mode)
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "statvent-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// On a busy machine a program may answer later than the default deadline
	// allows; tests of those that don't answer set one of their own.
	err = errors.Join(os.Setenv("STATVENT_STATE_DIR", filepath.Join(dir, "state")), os.Setenv("STATVENT_DEADLINE", "10s"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if binary = os.Getenv(binaryVariable); binary != "" {
		return m.Run()
	}
	binary = filepath.Join(dir, "statvent")
	build := exec.Command("go", "build", "-o", binary, "github.com/statvent/statvent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raceDetector {
		build = exec.Command("go", "build", "-race", "-o", binary, "github.com/statvent/statvent")
	}
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// What the program that tests start does beside having stats.
const (
	withRecorder = "recorder"
	withNothing  = "nothing"
	withCheck    = "check" // looks for a file once a minute
	asHerd       = "herd"  // see count
	asPuppet     = "puppet"
	asWorker     = "worker"   // see work
	asShop       = "shop"     // see sell
	asFull       = "full"     // see abound
	asAttacker   = "attacker" // see attack
	asSoak       = "soak"     // see toil
	asPlain      = "plain"    // see publishPlain
)

// publish is the program that tests start.
func publish(mode string) {
	if mode == asPuppet {
		actOut()
		return
	}
	programs := map[string]func([]string) error{
		asHerd:   count,
		asWorker: work,
		asFull:   abound,
		asSoak:   toil,
		asPlain:  publishPlain,
		asShop:   func([]string) error { return sell(os.Getenv(shopVariable)) },

		asAttacker: attack,
	}
	if program := programs[mode]; program != nil {
		if err := program(os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	for _, arg := range os.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		v, err := jsonNumber(value)
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		switch v := v.(type) {
		case int64:
			statvent.IncrBy(name, v)
		case float64:
			statvent.Set(name, v)
		}
	}
	path := "none"
	switch mode {
	case withCheck:
		var timer *time.Timer
		timer = time.AfterFunc(time.Minute, func() {
			_, _ = os.Lstat(os.TempDir())
			timer.Reset(time.Minute)
		})
	case withRecorder:
		rec, err := statvent.StartRecorder()
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		defer rec.Close()
		path = rec.Path()
	}
	fmt.Println("ready", path)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func jsonNumber(s string) (any, error) {
	n := json.Number(s)
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	return n.Float64()
}

// A process is one that a test started; it ends with the test.
type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stderr *bytes.Buffer
	exited chan struct{} // closed when it has ended and ProcessState is set
}

// newProcess returns the process that the command is about to be.
func newProcess(cmd *exec.Cmd) (p *process, err error) {
	p = &process{Cmd: cmd, stderr: new(bytes.Buffer), exited: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = p.stderr
	}
	p.stdin, err = cmd.StdinPipe()
	return p, err
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p, err := newProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // what it was is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = p.stdin.Close()
		select {
		case <-p.exited:
		case <-time.After(10 * time.Second):
			t.Errorf("%v does not end", cmd.Args)
			_ = cmd.Process.Kill()
			<-p.exited
		}
	})
	return p
}

// startPublisher starts a program with the library that publishes the stats,
// and returns when its pipe is there.
func startPublisher(t *testing.T, dir string, stats ...string) (p *process, path string) {
	t.Helper()
	return startSelf(t, withRecorder, dir, stats...)
}

func startSelf(t *testing.T, mode, dir string, stats ...string) (p *process, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, stats...)
	cmd.Env = append(os.Environ(), publishVariable+"="+mode, pipes.DirVariable+"="+dir)
	stdout, err := os.CreateTemp(t.TempDir(), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = stdout
	p = start(t, cmd)
	var line string
	waitUntil(t, "the publisher is ready", func() bool {
		text, err := os.ReadFile(stdout.Name())
		line = string(text)
		return err == nil && strings.HasSuffix(line, "\n")
	})
	path, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("the publisher says %q", line)
	}
	return p, path
}

// startForeign starts a script of testdata/foreign and returns when its pipe
// is there.
func startForeign(t *testing.T, dir, interpreter, script string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(lookup(t, interpreter), append([]string{filepath.Join("testdata", "foreign", script)}, args...)...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+dir)
	p := start(t, cmd)
	path := filepath.Join(dir, fmt.Sprintf("%d.stats", p.Process.Pid))
	waitUntil(t, path+" is there", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	return p
}

// lookup finds a program, or skips the test.
func lookup(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed", program)
	}
	return path
}

// waitUntil waits for an event that nobody signals.
func waitUntil(t *testing.T, what string, happened func() bool) {
	t.Helper()
	waitUntilWithin(t, 20*time.Second, 2*time.Millisecond, what, happened)
}

// waitUntilWithin is waitUntil with another patience, and another pause before it
// looks again.
func waitUntilWithin(t *testing.T, patience, pause time.Duration, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(pause):
		}
	}
}

// A service is a `statvent serve`.
type service struct {
	*process
	url string // http://HOST:PORT, or https
}

var urlInLog = regexp.MustCompile(`url=(https?://[^/]+)/`)

func startServe(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	return startServeAt(t, "127.0.0.1:0", dir, args...)
}

func startServeAt(t *testing.T, address, dir string, args ...string) *service {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"serve", "-d", dir, "--listen", address}, args...)...)
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = stderr
	s := &service{process: start(t, cmd)}
	waitUntil(t, "serve says its URL", func() bool {
		text, err := os.ReadFile(stderr.Name())
		if m := urlInLog.FindSubmatch(text); err == nil && m != nil {
			s.url = string(m[1])
		}
		return s.url != ""
	})
	return s
}

// end stops it as a service manager does.
func (s *service) end(t *testing.T) {
	t.Helper()
	_ = s.Process.Signal(syscall.SIGTERM)
	<-s.exited
	if code := s.ProcessState.ExitCode(); code != 0 {
		t.Errorf("serve ends with exit code %d", code)
	}
}

// tryGet asks for a document, of a serve that may be ending.
func (s *service) tryGet(path string, document any) error {
	resp, err := http.Get(s.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(document); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// get returns the answer to a request and how long it took.
func (s *service) get(t *testing.T, path string) (body []byte, took time.Duration) {
	t.Helper()
	begin := time.Now()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", path, resp.Status, body)
	}
	return body, time.Since(begin)
}

// stats asks for /stats.
func (s *service) stats(t *testing.T) (stats map[string]json.Number, took time.Duration) {
	t.Helper()
	body, took := s.get(t, "/stats")
	return parseDocument(t, body), took
}

// parseDocument reads {"stats": {...}, "timestamp": ...} and checks that there
// is nothing else in it.
func parseDocument(t *testing.T, text []byte) map[string]json.Number {
	t.Helper()
	var document struct {
		Stats     map[string]json.Number `json:"stats"`
		Timestamp json.Number            `json:"timestamp"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if document.Timestamp == "" {
		t.Fatalf("no timestamp in %s", text)
	}
	return document.Stats
}

// statvent runs a command and returns what it printed and its exit code.
func runStatvent(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+dir)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// plainStats reads lines NAME: VALUE.
func plainStats(t *testing.T, text string) map[string]string {
	t.Helper()
	stats := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		i := strings.LastIndex(lines.Text(), ": ")
		if i < 0 {
			t.Fatalf("not a stat: %q", lines.Text())
		}
		stats[lines.Text()[:i]] = lines.Text()[i+2:]
	}
	return stats
}
