//go:build unix

package emit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperVariable makes a copy of the test program one of the helpers.
const helperVariable = "STATVENT_TEST_HELPER"

// helpers are what a copy of the test program can be: a process with signals of
// its own.
var helpers = map[string]func(args []string){
	"time":       helpTime,
	"background": helpBackground,
	"await":      helpAwait,
	"heeded":     helpHeeded,
}

func TestMain(m *testing.M) {
	if help := helpers[os.Getenv(helperVariable)]; help != nil {
		help(os.Args[1:])
		os.Exit(0)
	}
	// Under nohup the helpers would ignore what it does. Of what this process
	// catches they don't.
	for _, s := range passedOn {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(m.Run())
}

// helpTime times a command: it says its pid, and at the end how that went. Then
// it waits for the end of its stdin.
func helpTime(args []string) {
	fmt.Println("pid", os.Getpid())
	timing, err := Time(args)
	fmt.Println("took", int64(timing.Took), timing.Status, err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// helpBackground times a command in a process group of its own.
func helpBackground(args []string) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = helperEnv("time")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
	}
}

// helpAwait says which signals come until its stdin ends, and fails with 3.
func helpAwait([]string) {
	signals := make(chan os.Signal, 100)
	signal.Notify(signals, passedOn...)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	fmt.Println("ready")
	for s := range signals {
		fmt.Println(s)
	}
}

// helpHeeded says which signals are heeded.
func helpHeeded([]string) {
	for _, s := range Heeded(passedOn...) {
		fmt.Println(s)
	}
	fmt.Println("that's all")
}

func helperEnv(name string) []string {
	// The race detector would have it sleep for a second at its end.
	return append(os.Environ(), helperVariable+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
}

// A helper is a copy of the test program that runs beside the test, without a
// terminal.
type helper struct {
	cmd   *exec.Cmd
	stdin *os.File
	lines <-chan string // its standard output
	ended <-chan error
}

func helperCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = helperEnv(name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func start(t *testing.T, cmd *exec.Cmd) *helper {
	t.Helper()
	stdin, toStdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromStdout, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	lines, ended := make(chan string, 100), make(chan error, 1)
	h := &helper{cmd: cmd, stdin: toStdin, lines: lines, ended: ended}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, os.Stderr
	err = cmd.Start()
	_, _ = stdin.Close(), stdout.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = toStdin.Close(), cmd.Process.Kill()
	})
	go func() {
		defer fromStdout.Close()
		defer close(lines)
		for in := bufio.NewScanner(fromStdout); in.Scan(); {
			lines <- in.Text()
		}
	}()
	go func() { ended <- cmd.Wait() }()
	return h
}

// startTiming starts a helper that times a command, and returns its pid.
func startTiming(t *testing.T, cmd *exec.Cmd) (h *helper, pid int) {
	t.Helper()
	h = start(t, cmd)
	line := next(t, h.lines)
	if _, err := fmt.Sscanf(line, "pid %d", &pid); err != nil {
		t.Fatalf("the helper says %q: %v", line, err)
	}
	return h, pid
}

// awaitCommand is a command that says which signals come, as helpAwait does.
func awaitCommand(t *testing.T) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", helperVariable + "=await", exe}
}

// says checks what the helper says next.
func (h *helper) says(t *testing.T, want string) {
	t.Helper()
	if got := next(t, h.lines); got != want {
		t.Fatalf("the helper says %q, want %q", got, want)
	}
}

func (h *helper) say(t *testing.T, line string) {
	t.Helper()
	if _, err := h.stdin.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// took checks what the helper says of its command's end.
func (h *helper) took(t *testing.T, status int) time.Duration {
	t.Helper()
	line := next(t, h.lines)
	fields := strings.SplitN(line, " ", 4)
	if len(fields) != 4 || fields[0] != "took" || fields[2] != strconv.Itoa(status) || fields[3] != "<nil>" {
		t.Fatalf("the helper says %q, want status %d", line, status)
	}
	took, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(took)
}

func send(t *testing.T, pid int, s os.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s.(syscall.Signal)); err != nil {
		t.Fatal(err)
	}
}

func TestStatusIsTheCommands(t *testing.T) {
	is := func(status int, command ...string) {
		t.Helper()
		before := time.Now()
		timing, err := Time(command)
		if timing.Status != status || err != nil {
			t.Errorf("%q: got status %d, %v, want %d", command, timing.Status, err, status)
		}
		if most := time.Since(before); timing.Took <= 0 || timing.Took > most {
			t.Errorf("%q took %v of %v", command, timing.Took, most)
		}
	}
	is(0, "true")
	is(1, "false")
	is(0, "sh", "-c", "exit 0")
	is(7, "sh", "-c", "exit 7")
	is(126, "sh", "-c", "exit 126")
	is(255, "sh", "-c", "exit 255")
	is(3, "sh", "-c", `exit "$1"`, "sh", "3")
	is(0, "sh", "-c", `test "$1" = "a  b"`, "sh", "a  b")
	is(137, "sh", "-c", "kill -KILL $$")
	is(142, "sh", "-c", "kill -ALRM $$")
	is(143, "sh", "-c", "kill -TERM $$")
}

func TestCommandThatCannotBeStarted(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fails := func(status int, command string, words ...string) {
		t.Helper()
		timing, err := Time([]string{command, "argument"})
		if (timing != Timing{Status: status}) || err == nil {
			t.Errorf("%q: got %+v, %v, want status %d", command, timing, err, status)
			return
		}
		for _, word := range append(words, command) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: the error %q does not say %q", command, err, word)
			}
		}
	}
	fails(127, "no-such-command-of-statvent", "command not found")
	fails(127, filepath.Join(dir, "none"), "command not found")
	fails(127, filepath.Join(dir, "none", "none"), "command not found")
	fails(126, dir, "permission denied")
	fails(126, file, "permission denied")
	fails(126, filepath.Join(file, "none"), "not a directory")
}

// The command reads and writes what this process would, and its time is by the
// wall clock: it waits for the test most of the while.
func TestTookIsTheTimeBetweenStartAndEnd(t *testing.T) {
	before := time.Now()
	h, _ := startTiming(t, helperCommand(t, "time", "sh", "-c", `echo ready; while read x; do echo "$x"; done; exit 5`))
	h.says(t, "ready")
	began := time.Now()
	for i := 0; time.Since(began) < 30*time.Millisecond; i++ {
		h.say(t, strconv.Itoa(i))
		h.says(t, strconv.Itoa(i))
	}
	least := time.Since(began)
	h.stdin.Close()
	took := h.took(t, 5)
	if most := time.Since(before); took < least || took > most {
		t.Errorf("it took %v, want %v to %v", took, least, most)
	}
	if err := next(t, h.ended); err != nil {
		t.Error(err)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	h, pid := startTiming(t, helperCommand(t, "time", awaitCommand(t)...))
	h.says(t, "ready")
	for _, s := range passedOn {
		send(t, pid, s)
		h.says(t, s.String())
	}
	h.stdin.Close()
	h.took(t, 3)
	if err := next(t, h.ended); err != nil {
		t.Error(err)
	}
}

func TestSignalThatEndsTheCommand(t *testing.T) {
	h, pid := startTiming(t, helperCommand(t, "time", "sh", "-c", "echo ready; read x"))
	h.says(t, "ready")
	send(t, pid, syscall.SIGTERM)
	h.took(t, 128+15)

	// From there on signals are the helper's own again.
	send(t, pid, syscall.SIGTERM)
	err := next(t, h.ended)
	if status, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the helper's end: %v", err)
	}
}

// ignoring makes the command one that is started to ignore signals.
func ignoring(cmd *exec.Cmd, signals string) *exec.Cmd {
	args := append([]string{"sh", "-c", `trap "" ` + signals + `; exec "$@"`, "sh"}, cmd.Args...)
	ignoring := exec.Command("sh", args[1:]...)
	ignoring.Env, ignoring.SysProcAttr = cmd.Env, cmd.SysProcAttr
	return ignoring
}

func TestHeeded(t *testing.T) {
	if heeded := Heeded(); len(heeded) != 0 {
		t.Errorf("of none there are %v", heeded)
	}
	is := func(cmd *exec.Cmd, without ...os.Signal) {
		t.Helper()
		h := start(t, cmd)
		for _, s := range []os.Signal{
			syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGALRM, syscall.SIGUSR1, syscall.SIGUSR2,
		} {
			if !slices.Contains(without, s) {
				h.says(t, s.String())
			}
		}
		h.says(t, "that's all")
		if err := next(t, h.ended); err != nil {
			t.Error(err)
		}
	}
	is(helperCommand(t, "heeded"))
	is(ignoring(helperCommand(t, "heeded"), "HUP"), syscall.SIGHUP)
	is(ignoring(helperCommand(t, "heeded"), "INT"), syscall.SIGINT)
	is(ignoring(helperCommand(t, "heeded"), "HUP INT"), syscall.SIGHUP, syscall.SIGINT)
}

// Under nohup a hangup reaches neither this process nor the command.
func TestIgnoredSignalIsNotPassedOn(t *testing.T) {
	h, pid := startTiming(t, ignoring(helperCommand(t, "time", awaitCommand(t)...), "HUP"))
	h.says(t, "ready")
	send(t, pid, syscall.SIGHUP)
	send(t, pid, syscall.SIGUSR1)
	h.says(t, syscall.SIGUSR1.String())
	h.stdin.Close()
	h.took(t, 3)
	if err := next(t, h.ended); err != nil {
		t.Error(err)
	}
}
