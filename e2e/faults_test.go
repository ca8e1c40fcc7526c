//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The deadline that bad sources are made to miss, and how long an answer may take
// for it: less than if it waited for two of them, one after the other. Tests that hold
// an answer to that have the machine for themselves.
const (
	deadline = 2 * time.Second
	allowed  = 2 * deadline
)

// Whatever one source does, the answer comes in time, every other source counts,
// and what is left of the bad one is what it should be.
func TestBadSourcesCostOnlyThemselves(t *testing.T) {
	dir := memoryDir(t)
	startPublisher(t, dir, "good=1")
	startPublisher(t, dir, "good=1")
	startForeign(t, dir, "python3", "publisher.py", "good=1")

	for _, how := range []string{"silent", "endless", "stalls", "long", "garbage"} {
		startForeign(t, dir, "python3", "bad.py", how)
	}
	stopped, stoppedPipe := startPublisher(t, dir, "good=1", "stopped=1")
	killed, killedPipe := startPublisher(t, dir, "good=1", "killed=1")
	plain := startForeign(t, dir, "python3", "publisher.py", "good=1", "plain=1")
	plainPipe := filepath.Join(dir, fmt.Sprintf("%d.stats", plain.Process.Pid))

	serve := startServe(t, dir, "--deadline", deadline.String(), "--stale-after", "2s")
	signalAndWait(t, stopped, syscall.SIGSTOP)
	signalAndWait(t, killed, syscall.SIGKILL)
	signalAndWait(t, plain, syscall.SIGKILL)

	check := func(when string) {
		t.Helper()
		stats, took := serve.stats(t)
		if took > allowed {
			t.Errorf("%s: the answer took %v", when, took)
		}
		want := map[string]string{"good": "3", "garbage.before": "1", "garbage.after": "1"}
		for name, value := range want {
			if stats[name] != json.Number(value) {
				t.Errorf("%s: %s is %q, want %s", when, name, stats[name], value)
			}
		}
		for _, name := range []string{"stopped", "killed", "plain", "endless", "stalls", "nothing", "cut", "name"} {
			if value, ok := stats[name]; ok {
				t.Errorf("%s: %s is there: %s", when, name, value)
			}
		}
	}
	check("at first")
	if !exists(stoppedPipe) {
		t.Error("the stopped program's pipe is gone")
	}
	waitUntil(t, "the killed program's pipe is removed", func() bool { return !exists(killedPipe) })
	for range 10 {
		check("later")
	}

	// Who didn't answer isn't waited for again.
	_, took := serve.stats(t)
	if took > deadline {
		t.Errorf("an answer took %v, although nobody should have been waited for", took)
	}
	waitUntil(t, "the plain pipe of the killed process is removed", func() bool {
		check("while the plain pipe is there")
		return !exists(plainPipe)
	})
	if !exists(stoppedPipe) {
		t.Error("the stopped program's pipe is gone")
	}
	signalAndWait(t, stopped, syscall.SIGCONT)
	waitUntil(t, "the program that goes on counts again", func() bool {
		stats, _ := serve.stats(t)
		return stats["stopped"] == "1" && stats["good"] == "4"
	})

	_, stderr, code := runStatvent(t, dir, "cat", "--deadline", "200ms")
	if code != 3 {
		t.Errorf("cat: exit code %d, want 3", code)
	}
	if !strings.Contains(stderr, "no answer within 200ms") {
		t.Errorf("cat doesn't say who did not answer:\n%s", stderr)
	}
}

// signalAndWait sends a signal and waits until it has done what it does.
func signalAndWait(t *testing.T, p *process, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	switch signal {
	case syscall.SIGKILL:
		<-p.exited
	case syscall.SIGSTOP:
		waitUntil(t, "the process is stopped", func() bool { return processState(t, p.Process.Pid) == "T" })
	}
}

// processState returns the letter that /proc has for a process.
func processState(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[0]
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A reader that stops in the middle holds up nobody, and gets the rest when it
// goes on.
func TestReaderThatStopsInTheMiddle(t *testing.T) {
	dir := memoryDir(t)
	stats := make([]string, 4000)
	for i := range stats {
		stats[i] = fmt.Sprintf("a name that is rather long, so that there is much to read, number %05d=%d", i, i)
	}
	_, path := startPublisher(t, dir, stats...)

	pipe, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	first := make([]byte, 1000)
	if _, err := pipe.Read(first); err != nil {
		t.Fatal(err)
	}
	for stop := time.Now().Add(10 * time.Second); time.Now().Before(stop); {
		begin := time.Now()
		out, _, code := runStatvent(t, dir, "cat")
		if code != 0 || strings.Count(out, "\n") != len(stats) {
			t.Fatalf("exit code %d, %d lines", code, strings.Count(out, "\n"))
		}
		if took := time.Since(begin); took > allowed {
			t.Errorf("a reader beside it took %v", took)
		}
	}
	rest, err := io.ReadAll(pipe)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(first)+string(rest), "\n"); lines != len(stats) {
		t.Errorf("it got %d lines, want %d", lines, len(stats))
	}
}
