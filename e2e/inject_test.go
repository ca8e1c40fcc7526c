//go:build linux

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var injectAll = flag.Bool("inject-all", false, "make every system call fail in more ways than in a usual run, which takes ten times as long")

// An injection is system calls that fail. Go's runtime ends the program if it can't
// write to its own eventfd, or wait for events at all, which never happens; so
// nothing is done to write and epoll_pwait that the runtime wouldn't take, but where
// it is on one file alone.
type injection struct {
	calls string // as strace names them, with "?" where an architecture may have none of that name
	error string // as the kernel names it
	when  string // which calls of each thread: FIRST+STEP, or FIRST
	path  string // of the one file that it is about; empty means all
}

// errorTexts are what errors are called.
var errorTexts = map[string]string{
	"EMFILE": "too many open files", "ENFILE": "too many open files in system", "EIO": "input/output error",
	"EACCES": "permission denied", "ENOSPC": "no space left on device", "ENOLCK": "no locks available",
	"ENOMEM": "cannot allocate memory", "ENOBUFS": "no buffer space available", "EPERM": "operation not permitted",
	"EADDRINUSE": "address already in use", "EINTR": "interrupted system call",
}

// The calls that do the same, as they are named on amd64 and on arm64.
const (
	anyOpen   = "openat"
	anyStat   = "?fstat,?newfstatat,?stat,?lstat,?statx"
	anyRename = "?rename,?renameat,renameat2"
	anyUnlink = "?unlink,?rmdir,unlinkat"
	anyMkdir  = "?mkdir,mkdirat"
	anyMknod  = "?mknod,mknodat"
	anyChmod  = "?chmod,fchmod,fchmodat"
	anyPoll   = "?poll,ppoll"
	anyWait   = "?epoll_wait,epoll_pwait"
)

func (i injection) String() string { return fmt.Sprintf("%s=%s:%s", i.name(), i.error, i.when) }

// name returns one word for the calls.
func (i injection) name() string {
	name, _, _ := strings.Cut(i.calls, ",")
	return strings.TrimPrefix(name, "?")
}

// strace returns the command that does it, and writes down each call that failed.
func (i injection) strace(t *testing.T, log string, args ...string) *exec.Cmd {
	t.Helper()
	inject := fmt.Sprintf("%s:error=%s", i.calls, i.error)
	if i.when != "" {
		inject += ":when=" + i.when
	}
	all := []string{"-f", "-q", "-o", log, "-e", "trace=" + i.calls, "-e", "inject=" + inject, "-e", "signal=none"}
	if i.path != "" {
		all = append(all, "-P", i.path)
	}
	return exec.Command(lookup(t, "strace"), append(all, args...)...)
}

// needStrace skips the test where no process can be traced.
func needStrace(t *testing.T) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, lookup(t, "strace"), "-f", "-qqq", "-o", log, "-e", "trace=chdir", "-e", "inject=chdir:error=EIO", "sh", "-c", "cd /")
	out, _ := cmd.CombinedOutput() // it fails, as it should
	if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte(injected)) {
		t.Skipf("SKIPPED: no system call can be made to fail here: strace says %q", out)
	}
}

// injected is what strace writes after a call that it made fail.
const injected = "(INJECTED)"

// failedCalls returns the calls that were made to fail, as strace writes them down.
func failedCalls(t *testing.T, log string) []string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, injected) {
			failed = append(failed, strings.TrimSpace(line))
		}
	}
	return failed
}

// into begins to do it to all threads of a process. It goes on until the process ends,
// or end is called; failed returns the calls that failed.
func (i injection) into(t *testing.T, pid int) (end func(), failed func() []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	tracer := start(t, i.strace(t, log, "-p", fmt.Sprint(pid)))
	waitUntil(t, "all threads are traced", func() bool {
		if isClosed(tracer.exited) {
			t.Fatalf("strace ends: %s", tracer.stderr)
		}
		return isTraced(t, pid)
	})
	return func() { _ = tracer.Process.Signal(syscall.SIGINT); awaitExit(t, tracer) }, func() []string {
		t.Helper()
		awaitExit(t, tracer)
		return failedCalls(t, log)
	}
}

func isTraced(t *testing.T, pid int) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), "\nTracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// hasStack tells whether a text has what Go prints when a program breaks down.
func hasStack(text string) bool {
	for _, sign := range []string{"panic", "goroutine ", "fatal error", "runtime: ", "SIGSEGV"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}
