//go:build linux

package pipes

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helperVariable makes a copy of the test program one of the helpers.
const helperVariable = "STATVENT_TEST_HELPER"

// helpers are what a copy of the test program can be: a process that may be
// stopped, killed, or bereft of its rights.
var helpers = map[string]func(args []string) error{
	"publish":         helpPublish,
	"tally":           helpTally,
	"crash":           helpCrash,
	"full-disk-close": helpFullDiskClose,
	"exec":            helpExec,
	"closed-streams":  helpClosedStreams,
	"full-disk":       helpFullDisk,
	"no-descriptors":  helpNoDescriptors,
	"few-descriptors": helpFewDescriptors,
	"without-rights":  helpWithoutRights,
	"nothing-removed": helpNothingRemoved,
}

func TestMain(m *testing.M) {
	// What the runtime opens once is there before anybody counts descriptors, or
	// closes some.
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	if help := helpers[os.Getenv(helperVariable)]; help != nil {
		if err := help(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	beOrdinary()
	os.Exit(m.Run())
}

// beOrdinary gives up root's right to make a pipe as large as it likes, for
// good: such a pipe takes every snapshot at once, and no reader is ever slow.
func beOrdinary() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0)
	if err != nil || has != 1 || os.Geteuid() != 0 {
		return
	}
	if unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_RESOURCE, 0, 0, 0) == nil {
		_ = syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
}

// needsSmallPipes skips a test in which a snapshot of 3 MB must not fit a pipe.
func needsSmallPipes(t *testing.T) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	enlarge(int(w.Fd()), 3<<20)
	if size, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || size >= 3<<20 {
		t.Skipf("this user may make pipes of %d bytes, so no reader is slow (%v)", size, err)
	}
}

func needsRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: " + why)
	}
}

// helperCommand returns a command that runs a helper.
func helperCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	// The race detector would have it sleep for a second at its end.
	cmd.Env = append(os.Environ(), helperVariable+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// runHelper runs a helper to its end. What it complains about is the test's
// failure.
func runHelper(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := helperCommand(t, name, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, cmd, &output)
}

// awaitEnd waits for a helper that was started to end well.
func awaitEnd(t *testing.T, cmd *exec.Cmd, output *strings.Builder) {
	t.Helper()
	var err error
	within(t, "the helper ends", func() { err = cmd.Wait() }, func() { _ = cmd.Process.Kill() })
	if err != nil {
		t.Errorf("%v: %s", err, output.String())
	}
}

// A helper is a copy of the test program that runs beside the test.
type helper struct {
	cmd   *exec.Cmd
	stdin *os.File
	lines *os.File // its standard output
}

// startHelper starts a helper and waits until it says "ready".
func startHelper(t *testing.T, name string, args ...string) *helper {
	t.Helper()
	stdin, toStdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromStdout, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{cmd: helperCommand(t, name, args...), stdin: toStdin, lines: fromStdout}
	h.cmd.Stdin, h.cmd.Stdout, h.cmd.Stderr = stdin, stdout, os.Stderr
	err = h.cmd.Start()
	_, _ = stdin.Close(), stdout.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	h.await(t, "ready")
	return h
}

// await waits until the helper says that word.
func (h *helper) await(t *testing.T, word string) {
	t.Helper()
	var said string
	within(t, "the helper says "+word, func() {
		buf := make([]byte, len(word)+1)
		for len(said) <= len(word) {
			n, err := h.lines.Read(buf)
			said += string(buf[:n])
			if err != nil {
				return
			}
		}
	}, h.kill)
	if said != word+"\n" {
		t.Fatalf("the helper said %q, not %q", said, word)
	}
}

// say sends the helper a line.
func (h *helper) say(t *testing.T, line string) {
	t.Helper()
	if _, err := h.stdin.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// kill kills it and waits for its end.
func (h *helper) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
	_, _ = h.stdin.Close(), h.lines.Close()
}

// end lets it go, and it must end well.
func (h *helper) end(t *testing.T) {
	t.Helper()
	_ = h.stdin.Close()
	var err error
	within(t, "the helper ends", func() { err = h.cmd.Wait() }, func() { _ = h.cmd.Process.Kill() })
	_ = h.lines.Close()
	if err != nil {
		t.Errorf("the helper's end: %v", err)
	}
}

func (h *helper) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := h.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// awaitStopped waits until /proc shows that a signal has stopped the process.
func (h *helper) awaitStopped(t *testing.T) {
	t.Helper()
	eventually(t, "the helper is stopped", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
		_, rest, _ := strings.Cut(string(text), ") ")
		return strings.HasPrefix(rest, "T")
	})
}

// helpPublish publishes "x: 1" until its standard input ends.
func helpPublish(args []string) error {
	p, err := Publish(PublisherOptions{Dir: args[0], Name: args[1]}, renderText("x: 1\n"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return p.Close()
}

// helpTally publishes a tally, as nobody if that is asked for, adds the numbers
// that it reads, a line each, and closes at the end.
func helpTally(args []string) error {
	if len(args) > 2 {
		if err := dropRights(); err != nil {
			return err
		}
	}
	stats := new(tally)
	p, err := Publish(PublisherOptions{Dir: args[0], Name: args[1]}, stats)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		stats.add(n)
		fmt.Println("added")
	}
	return p.Close()
}

// startTally starts a helper that publishes a tally which has counted n.
func startTally(t *testing.T, n int64, args ...string) *helper {
	t.Helper()
	h := startHelper(t, "tally", args...)
	h.add(t, n)
	return h
}

func (h *helper) add(t *testing.T, n int64) {
	t.Helper()
	h.say(t, strconv.FormatInt(n, 10))
	h.await(t, "added")
}

// worldDir returns a directory of mode 1777 that every user can get at.
func worldDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pipes")
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dropRights makes the process one of the user nobody.
func dropRights() error {
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	return syscall.Setuid(nobody)
}
