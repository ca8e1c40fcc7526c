//go:build linux

package e2e

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A held is an `emit --hold` that runs.
type held struct {
	*process
	t      *testing.T
	stderr string // path of what it says
}

func startHold(t *testing.T, e emitter, args ...string) *held {
	t.Helper()
	cmd := e.command(append([]string{"--hold"}, args...)...)
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = stderr
	return &held{start(t, cmd), t, stderr.Name()}
}

func (h *held) say(lines string) {
	h.t.Helper()
	if _, err := io.WriteString(h.stdin, lines); err != nil {
		h.t.Fatal(err)
	}
}

// leave ends its stdin and waits until it has ended, with that exit code.
func (h *held) leave(code int) {
	h.t.Helper()
	_ = h.stdin.Close()
	if got := awaitExit(h.t, h.process); got != code {
		h.t.Errorf("%q ends with exit code %d, want %d", h.Args, got, code)
	}
}

// says waits until what it has said on stderr is this.
func (h *held) says(want string) {
	h.t.Helper()
	waitForText(h.t, h.stderr, want)
	if text, _ := os.ReadFile(h.stderr); string(text) != want {
		h.t.Errorf("it says %q, want %q", text, want)
	}
}

// awaitStats waits until serve says so: NAME=VALUE.
func awaitStats(t *testing.T, serve *service, stats ...string) {
	t.Helper()
	for _, stat := range stats {
		name, value, _ := strings.Cut(stat, "=")
		waitUntil(t, "serve says "+stat, func() bool {
			served, _ := serve.stats(t)
			return served[name] == json.Number(value)
		})
	}
}

// awaitLive waits until there is a live source of that name.
func awaitLive(t *testing.T, serve *service, name string) (found sourceJSON) {
	t.Helper()
	waitUntil(t, name+" is live", func() bool {
		sources, err := serve.trySources()
		if err != nil {
			t.Fatal(err)
		}
		for _, found = range sources {
			if found.Name == name && found.State == "live" {
				return true
			}
		}
		return false
	})
	return found
}

// A script that holds its stats is a program like others: it can be seen as long
// as it runs, and what it counted stays, whether its stdin ends or a signal comes.
func TestHold(t *testing.T) {
	t.Parallel()
	ends := map[string]func(h *held){
		"end of stdin": func(h *held) { h.leave(0) },
		"SIGTERM":      func(h *held) { h.endBy(syscall.SIGTERM) },
		"SIGINT":       func(h *held) { h.endBy(syscall.SIGINT) },
		"SIGHUP":       func(h *held) { h.endBy(syscall.SIGHUP) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEmitter(t)
			serve := startServe(t, e.dir)
			h := startHold(t, e, "--name", "nightly", "--typed", "-")
			if source := awaitLive(t, serve, "nightly"); source.PID != h.Process.Pid || source.Kind != "typed" {
				t.Errorf("its source is %+v", source)
			}
			h.say("counter jobs: 3\n")
			awaitStats(t, serve, "jobs=3")
			h.say("counter jobs: 0.5\ngauge users: 7\nsample size: 4\n")
			awaitStats(t, serve, "size.mean=4.0")
			wants(t, e.dir, serve, "jobs=3.5", "users=7", "size.100th=4")
			if out, _, code := runStatvent(t, e.dir, "cat", "nightly"); code != 0 || plainStats(t, out)["jobs"] != "3.5" {
				t.Errorf("cat nightly: exit code %d, %s", code, out)
			}
			h.say("gauge users: 2\ncounter jo")
			awaitStats(t, serve, "users=2")
			if name == "end of stdin" {
				h.say("bs: 1\n")
			}
			end(h)
			last := map[bool]string{true: "jobs=4.5", false: "jobs=3.5"}[name == "end of stdin"]
			wants(t, e.dir, serve, last, "users=", "size.mean=")
			h.says("")
			e.stores("jobs")
			if found := contents(t, e.dir); len(found) != 2 {
				t.Errorf("left over: %v", found)
			}
			if count := typedCounts(t, e.dir)["size.{0}"]; count != "1" {
				t.Errorf("%q values were recorded", count)
			}
		})
	}
}

func (h *held) endBy(signal syscall.Signal) {
	h.t.Helper()
	if err := h.Process.Signal(signal); err != nil {
		h.t.Fatal(err)
	}
	if code := awaitExit(h.t, h.process); code != 0 {
		h.t.Errorf("%v ends it with exit code %d", signal, code)
	}
}

// What has been written when the signal comes is read.
func TestHoldReadsOnAfterASignal(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	h := startHold(t, e, "--name", "nightly", "-")
	waitUntil(t, "it is there", func() bool { return len(contents(t, e.dir)) > 0 })
	signalAndWait(t, h.process, syscall.SIGSTOP)
	h.say(strings.Repeat("jobs: 1\n", 7000)) // fits into the pipe
	if err := h.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.endBy(syscall.SIGCONT)
	catWants(t, e.dir, "jobs=7000")
}

// Nor does it read for ever.
func TestHoldEndsWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	h := startHold(t, e, "--name", "nightly", "-")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for {
			if _, err := io.WriteString(h.stdin, strings.Repeat("jobs: 1\n", 1000)); err != nil {
				return
			}
		}
	}()
	waitUntil(t, "it is there", func() bool { return len(contents(t, e.dir)) > 0 })
	h.endBy(syscall.SIGTERM)
	<-written
}

// The verbs do with each line what they do without --hold.
func TestHoldWithVerbs(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	count, set, record := startHold(t, e, "-"), startHold(t, e, "--set", "-"), startHold(t, e, "--record", "-")
	for _, h := range []*held{count, set, record} {
		awaitLive(t, serve, strconv.Itoa(h.Process.Pid))
	}
	count.say("jobs: 1\njobs: 2\n\r\nlevel: 5\nlevel: -2\n")
	set.say("depth: 1\ndepth: -2.5\n")
	record.say("size: 1\nsize: 4\n")
	awaitStats(t, serve, "jobs=3", "level=3", "depth=-2.5", "size.mean=2.5")
	for _, h := range []*held{count, set, record} {
		h.leave(0)
		h.says("")
	}
	wants(t, e.dir, serve, "jobs=3", "level=", "depth=", "size.mean=")
}

func TestHoldWithANameThatIsTaken(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	first := startHold(t, e, "--name=nightly", "-")
	awaitLive(t, serve, "nightly")
	second := startHold(t, e, "--name=nightly", "-")
	awaitLive(t, serve, "nightly-2")
	first.say("jobs: 1\n")
	second.say("jobs: 10\n")
	awaitStats(t, serve, "jobs=11")
	first.leave(0)
	awaitLive(t, serve, "nightly-2")
	third := startHold(t, e, "--name=nightly", "-")
	awaitLive(t, serve, "nightly")
	third.say("jobs: 100\n")
	awaitStats(t, serve, "jobs=111")
	third.leave(0)
	second.leave(0)
	wants(t, e.dir, serve, "jobs=111")
}

// A line that can't be read is named at once, and the exit code tells of it in the
// end.
func TestHoldNamesBadLinesAtOnce(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	h := startHold(t, e, "-")
	h.say("jobs: 1\nnonsense\n")
	h.says("statvent: line 2 is left out: \"nonsense\" has no colon between a name and a number\n")
	h.say("jobs: 2\n")
	awaitStats(t, serve, "jobs=3")
	h.leave(3)
	wants(t, e.dir, serve, "jobs=3")

	quiet := startHold(t, e, "--quiet", "-")
	quiet.say("nonsense\njobs: 1\n")
	awaitStats(t, serve, "jobs=4")
	quiet.leave(3)
	quiet.says("")
}

func TestHoldWhereNothingCanBePublished(t *testing.T) {
	t.Parallel()
	file := filepath.Join(memoryDir(t), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	e := emitter{t, os.Geteuid(), filepath.Join(file, "pipes")}
	e.refuses([]string{"nothing is published: ", e.dir, "not a directory"}, "--hold", "-")
	e = newEmitter(t)
	e.refuses([]string{"nothing is published: ", "has a slash"}, "--hold", "--name=a/b", "-")
}

// One that is killed costs no more than what serve hadn't read.
func TestKilledHold(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	h := startHold(t, e, "--name=nightly", "-")
	h.say("jobs: 10\n")
	awaitStats(t, serve, "jobs=10")
	h.say("jobs: 5\n")
	signalAndWait(t, h.process, syscall.SIGKILL)
	waitUntil(t, "it is folded", func() bool {
		sources, err := serve.trySources()
		return err == nil && len(sources) == 1 && sources[0].State == "retained"
	})
	wants(t, e.dir, serve, "jobs=10")
	e.stores("jobs")
	wants(t, e.dir, serve, "jobs=11")
	again := startHold(t, e, "--name=nightly", "-")
	awaitLive(t, serve, "nightly")
	again.say("jobs: 100\n")
	awaitStats(t, serve, "jobs=111")
	again.leave(0)
}
