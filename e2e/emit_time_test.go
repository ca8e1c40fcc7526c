//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// --time exits as the command does, whatever becomes of it, and says so of each
// in its stats.
func TestTimeExitsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		code    int
		says    string // on stderr
		ran     bool
	}{
		{[]string{"true"}, 0, "", true},
		{[]string{"sh", "-c", "exit 3"}, 3, "", true},
		{[]string{"sh", "-c", "exit 255"}, 255, "", true},
		{[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9, "", true},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 128 + 11, "", true},
		{[]string{"no-such-command-anywhere"}, 127, "statvent: no-such-command-anywhere: command not found\n", false},
		{[]string{dir + "/nothing"}, 127, "statvent: " + dir + "/nothing: command not found\n", false},
		{[]string{text}, 126, "statvent: " + text + ": permission denied\n", false},
		{[]string{dir}, 126, "statvent: " + dir + ": permission denied\n", false},
	} {
		for _, name := range []string{"run", "job.{0}.seconds"} {
			e := newEmitter(t)
			label := func(label string) string {
				if name == "run" {
					return "run." + label
				}
				return "job." + label + ".seconds"
			}
			got := e.run("", append([]string{"--time", name, "--"}, c.command...)...)
			if got.code != c.code || got.stdout != "" || got.stderr != c.says {
				t.Errorf("%q: %v, want exit code %d and %q", c.command, got, c.code, c.says)
			}
			printed := catSays(t, e.dir)
			if want := strconv.Itoa(min(c.code, 1)); printed[label("failures")] != want {
				t.Errorf("%q: %s is %q, want %s", c.command, label("failures"), printed[label("failures")], want)
			}
			seconds, _ := strconv.ParseFloat(printed[label("mean")], 64)
			if c.ran && (seconds <= 0 || seconds > got.took.Seconds()) || !c.ran && printed[label("mean")] != "" {
				t.Errorf("%q: it says %q s, and took %v", c.command, printed[label("mean")], got.took)
			}
			// Once more, and then once with success. What is wrong with the command is
			// always said.
			if quiet := e.run("", append([]string{"--quiet", "--time", name}, c.command...)...); quiet.code != c.code || quiet.stderr != c.says {
				t.Errorf("%q with --quiet: %v", c.command, quiet)
			}
			e.stores("--time", name, "true")
			if got, want := catSays(t, e.dir)[label("failures")], strconv.Itoa(2*min(c.code, 1)); got != want {
				t.Errorf("%q: %s is %q in the end, want %s", c.command, label("failures"), got, want)
			}
			want := "1"
			if c.ran {
				want = "3"
			}
			if count := typedCounts(t, e.dir)[label("{0}")]; count != want {
				t.Errorf("%q: %s times were recorded, want %s", c.command, count, want)
			}
		}
	}
}

// The seconds are those that the command took.
func TestTimeIsThatOfTheCommand(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	cmd := e.command("--time", "run", "--", "sh", "-c", "echo begun; cat")
	p, answers := startWithOutput(t, cmd)
	begin := time.Now()
	answers.hear("begun\n")
	begun := time.Now()
	waitUntil(t, "it has taken some time", func() bool { return time.Since(begun) > 200*time.Millisecond })
	least := time.Since(begun)
	_ = p.stdin.Close()
	if code := awaitExit(t, p); code != 0 {
		t.Errorf("exit code %d", code)
	}
	most := time.Since(begin) + time.Second // and what came before begin
	seconds, _ := strconv.ParseFloat(catSays(t, e.dir)["run.mean"], 64)
	if seconds < least.Seconds() || seconds > most.Seconds() {
		t.Errorf("it says %v s, and took between %v and %v", seconds, least, most)
	}
}

// answers are the lines that a process prints.
type answers struct {
	t    *testing.T
	file *os.File
	in   *bufio.Reader
}

// startWithOutput starts a command whose lines can be read one by one.
func startWithOutput(t *testing.T, cmd *exec.Cmd) (*process, *answers) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	p := start(t, cmd)
	_ = write.Close()
	t.Cleanup(func() { _ = read.Close() })
	return p, &answers{t, read, bufio.NewReader(read)}
}

// line returns the next line.
func (a *answers) line() string {
	a.t.Helper()
	if err := a.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}
	line, err := a.in.ReadString('\n')
	if err != nil {
		a.t.Fatalf("it says %q, %v", line, err)
	}
	return line
}

func (a *answers) hear(want string) {
	a.t.Helper()
	if got := a.line(); got != want {
		a.t.Fatalf("it says %q, want %q", got, want)
	}
}

// What goes in and out of the command is untouched, on whatever descriptor.
func TestTimePassesTheStreamsThrough(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	input := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(input)
	four, err := os.CreateTemp(t.TempDir(), "four")
	if err != nil {
		t.Fatal(err)
	}
	three, err := os.CreateTemp(t.TempDir(), "three")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := four.WriteString("from four"); err != nil {
		t.Fatal(err)
	}
	if _, err := four.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	cmd := e.command("--time", "run", "--", "sh", "-c", "head -c 500000; head -c 300000 >&2; cat - /dev/fd/4 >&3; exit 9")
	cmd.Stdin = bytes.NewReader(input)
	cmd.ExtraFiles = []*os.File{three, four}
	got := complete(t, cmd)
	text, err := os.ReadFile(three.Name())
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case got.code != 9:
		t.Errorf("exit code %d", got.code)
	case got.stdout != string(input[:500000]):
		t.Errorf("stdout is not what was written: %d bytes", len(got.stdout))
	case got.stderr != string(input[500000:800000]):
		t.Errorf("stderr is not what was written: %d bytes", len(got.stderr))
	case string(text) != string(input[800000:])+"from four":
		t.Errorf("descriptor 3 is not what was written: %d bytes", len(text))
	}
	catWants(t, e.dir, "run.failures=1")
}

// A command that did its work and can't be counted is a failure of emit, and one
// that failed is its own.
func TestTimeWhereNothingCanBeStored(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(memoryDir(t), "file")
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	e := emitter{t, os.Geteuid(), dir}
	for status, want := range map[int]int{0: 1, 4: 4} {
		line := "statvent: nothing is stored: open " + dir + ": not a directory\n"
		command := []string{"sh", "-c", fmt.Sprint("echo done; exit ", status)}
		if got := e.run("", append([]string{"--time", "run"}, command...)...); got.code != want || got.stdout != "done\n" || got.stderr != line {
			t.Errorf("after exit code %d: %v, want exit code %d and %q", status, got, want, line)
		}
		if got := e.run("", append([]string{"-q", "--time", "run"}, command...)...); got.code != want || got.stdout != "done\n" || got.stderr != "" {
			t.Errorf("after exit code %d with --quiet: %v, want exit code %d", status, got, want)
		}
	}
	// Nothing is run under a name that can't be one.
	if got := e.run("", "--time", " ", "echo", "done"); got.code != 2 || got.stdout != "" || !strings.HasPrefix(got.stderr, "statvent: the command is not run: the name is empty\n") {
		t.Errorf("without a name: %v", got)
	}
}

// trapping is a command that says when it is ready, and exits with 7 on a signal
// that it handles. It doesn't wait in the kernel: a shell may miss the signal that
// comes just before it does.
const trapping = `trap 'exit 7' TERM USR1 HUP INT; echo ready; while :; do :; done`

// Signals that emit gets go to the command, which may take them as it likes.
func TestTimePassesSignalsOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script string
		signal syscall.Signal
		code   int
	}{
		{"echo ready; exec sleep 1000", syscall.SIGTERM, 143},
		{"echo ready; exec sleep 1000", syscall.SIGINT, 130},
		{"echo ready; exec sleep 1000", syscall.SIGHUP, 129},
		{trapping, syscall.SIGTERM, 7},
		{trapping, syscall.SIGUSR1, 7},
		{trapping, syscall.SIGHUP, 7},
		{trapping, syscall.SIGINT, 7},
	} {
		t.Run(fmt.Sprint(c.signal, " ", c.code), func(t *testing.T) {
			t.Parallel()
			e := newEmitter(t)
			cmd := e.command("--time", "run", "--", "sh", "-c", c.script)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
			p, answers := startWithOutput(t, cmd)
			answers.hear("ready\n")
			if err := p.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := awaitExit(t, p); code != c.code || p.stderr.Len() > 0 {
				t.Errorf("exit code %d, want %d; stderr %q", code, c.code, p.stderr)
			}
			printed := catSays(t, e.dir)
			if seconds, _ := strconv.ParseFloat(printed["run.mean"], 64); printed["run.failures"] != "1" || seconds <= 0 {
				t.Errorf("cat says %v", printed)
			}
		})
	}
}

// Under nohup the command survives when the terminal goes; else it doesn't.
func TestTimeUnderNohup(t *testing.T) {
	t.Parallel()
	for _, nohup := range []bool{true, false} {
		e := newEmitter(t)
		cmd := e.command("--time", "run", "--", "sh", "-c", `echo $$; read -r line; echo "$line"; exit 5`)
		if nohup {
			cmd.Path, cmd.Args = lookup(t, "nohup"), append([]string{"nohup"}, cmd.Args...)
		}
		p, answers := startWithOutput(t, cmd)
		pid, err := strconv.Atoi(strings.TrimSpace(answers.line()))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		want := 129
		if nohup {
			want = 5
			if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if _, err := p.stdin.Write([]byte("still there\n")); err != nil {
				t.Fatal(err)
			}
			answers.hear("still there\n")
			_ = p.stdin.Close()
		}
		if code := awaitExit(t, p); code != want {
			t.Errorf("with nohup %v: exit code %d, want %d; stderr %q", nohup, code, want, p.stderr)
		}
		catWants(t, e.dir, "run.failures=1")
	}
}

// Ctrl-C reaches the command from the terminal, and not a second time from emit.
func TestTimeInATerminal(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	screen, terminal := openTerminal(t)
	cmd := e.command("--time", "run", "--", "sh", "-c",
		`n=0; trap 'n=$((n+1)); echo interrupt $n' INT; trap 'echo $n in all; exit 7' USR1; echo ready; while :; do :; done`)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
	})
	a := &answers{t, screen, bufio.NewReader(screen)}
	a.hear("ready\r\n")
	for i := range 3 {
		if _, err := screen.Write([]byte{3}); err != nil {
			t.Fatal(err)
		}
		a.hear(fmt.Sprintf("interrupt %d\r\n", i+1))
	}
	// This comes after whatever emit has passed on before.
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	a.hear("3 in all\r\n")
	if code := awaitExit(t, &process{Cmd: cmd, exited: exited}); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	catWants(t, e.dir, "run.failures=1")
}

// openTerminal returns the two ends of a pseudo-terminal, which shows nothing but
// what is written to it, and all of that.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: there are no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	raw, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number, ioctlErr := 0, error(nil)
	if err := raw.Control(func(fd uintptr) { // Fd would take its deadlines
		if ioctlErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ioctlErr == nil {
			number, ioctlErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || ioctlErr != nil {
		t.Fatal(err, ioctlErr)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	settings, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err == nil {
		settings.Lflag &^= unix.ECHO
		settings.Lflag |= unix.NOFLSH // Ctrl-C would drop what was written just then
		err = unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}
