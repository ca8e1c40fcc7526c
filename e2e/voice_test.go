//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// allCommands are those that the binary offers. A new one is under these tests by
// itself, and has a word in arguments if it takes one to end.
func allCommands(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command(binary, "__complete", "").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name, _, ok := strings.Cut(line, "\t"); ok {
			names = append(names, name)
		}
	}
	if !slices.Contains(names, "cat") || !slices.Contains(names, "help") {
		t.Fatalf("the commands are %q", names)
	}
	return names
}

// arguments are what a command takes to do something and end.
var arguments = map[string][]string{
	"emit":       {"of.voice"},
	"watch":      {"--once"},
	"serve":      {"--check"},
	"completion": {"bash"},
}

// A voice runs commands in the same surroundings.
type voice struct {
	t   *testing.T
	dir string
}

func newVoice(t *testing.T) *voice {
	t.Helper()
	v := &voice{t, filepath.Join(memoryDir(t), "pipes")}
	startPublisher(t, v.dir, "app.requests=42", "\x1b[2Jcleared=1", "\u202egnol=2")
	return v
}

// command returns the statvent command with variables that are added, or taken away
// where they have no "=".
func (v *voice) command(args []string, variables ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "STATVENT_PIPE_DIR="+v.dir, "TERM=xterm", "NO_COLOR=")
	for _, variable := range variables {
		if strings.Contains(variable, "=") {
			cmd.Env = append(cmd.Env, variable)
			continue
		}
		cmd.Env = slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, variable+"=") })
	}
	return cmd
}

// run returns how a command ends and what it says.
func (v *voice) run(cmd *exec.Cmd) (code int, stdout, stderr string) {
	v.t.Helper()
	var out, said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &said
	}
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		v.t.Fatalf("%q: %v", cmd.Args[1:], err)
	}
	if strings.Contains(said.String(), "goroutine ") {
		v.t.Errorf("%q prints a stack: %s", cmd.Args[1:], &said)
	}
	return cmd.ProcessState.ExitCode(), out.String(), said.String()
}

// onTerminal runs a command on a terminal of that width, and returns what is to be
// seen there.
func (v *voice) onTerminal(columns uint16, args []string, variables ...string) (code int, shown string) {
	v.t.Helper()
	screen, terminal := openTerminal(v.t)
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		v.t.Fatal(err)
	}
	text := new(terminalText)
	read := make(chan struct{})
	go func() {
		text.follow(screen)
		close(read)
	}()
	cmd := v.command(args, variables...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	code, _, _ = v.run(cmd)
	terminal.Close() // ends what is read, when all is
	<-read
	if strings.Contains(text.String(), "goroutine ") {
		v.t.Errorf("%q prints a stack: %s", args, text)
	}
	return code, text.String()
}

// each runs f for each command that does something, in three forms.
func (v *voice) each(f func(args []string)) {
	for _, name := range allCommands(v.t) {
		f(append([]string{name}, arguments[name]...))
		f([]string{name, "--help"})
		f([]string{"help", name})
	}
	f(nil)
	f([]string{"--help"})
	f([]string{"--version"})
	for _, format := range []string{"json", "plain", "table", "typed", "prometheus"} {
		for _, name := range []string{"cat", "list", "watch", "config", "version"} {
			args := append([]string{name, "-o", format}, arguments[name]...)
			if code, _, _ := v.run(v.command(args)); code == 0 {
				f(args)
			}
		}
	}
}

func TestEveryHelpBeginsWithExamples(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	for _, name := range allCommands(t) {
		for _, args := range [][]string{{name, "--help"}, {name, "-h"}, {"help", name}} {
			code, stdout, stderr := v.run(v.command(args, "STATVENT_COLOR=pink")) // it needs no configuration
			if !strings.HasPrefix(stdout, "Examples:\n  ") || !strings.Contains(stdout, "\nUsage:\n  statvent "+name) || code != 0 || stderr != "" {
				t.Errorf("%q ends with %d and prints %q and %q", args, code, stdout, stderr)
			}
		}
	}
}

func TestWrongUsageIsOneLineAndAHint(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	is := func(args []string, want string) {
		t.Helper()
		code, stdout, stderr := v.run(v.command(args))
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		if code != 2 || stdout != "" || len(lines) != 2 || !strings.HasPrefix(lines[0], "statvent: "+want) || !strings.HasPrefix(lines[1], "hint: 'statvent") {
			t.Errorf("%q ends with %d and prints %q and %q", args, code, stdout, stderr)
		}
	}
	for _, name := range allCommands(t) {
		is([]string{name, "--no-such-option"}, "unknown flag: --no-such-option")
		is([]string{name, "--color", "\x1b[2J", "x"}, "")
	}
	is([]string{"wacth"}, `unknown command "wacth": did you mean watch?`)
	is([]string{"lsit"}, `unknown command "lsit": did you mean list?`)
	is([]string{"\x1b[2J"}, `unknown command "\x1b[2J"`)
}

func TestFullStdoutIsOneLine(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer full.Close()
	v.each(func(args []string) {
		if _, stdout, _ := v.run(v.command(args)); stdout == "" {
			return
		}
		cmd := v.command(args)
		cmd.Stdout = full
		if code, _, stderr := v.run(cmd); code != 1 || strings.Count(stderr, "\n") != 1 ||
			!strings.HasPrefix(stderr, "statvent: ") || !strings.HasSuffix(stderr, "no space left on device\n") {
			t.Errorf("%q ends with %d and says %q", args, code, stderr)
		}
	})
}

func TestClosedPipeIsNothingToSay(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	shell := lookup(t, "sh")
	v.each(func(args []string) {
		for _, ignored := range []bool{false, true} {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			reader.Close()
			cmd := v.command(args)
			if ignored {
				cmd.Path, cmd.Args = shell, append([]string{"sh", "-c", `trap '' PIPE; exec "$0" "$@"`, binary}, args...)
			}
			cmd.Stdout = writer
			_, _, stderr := v.run(cmd)
			writer.Close()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if stderr != "" || status.Signaled() && status.Signal() != syscall.SIGPIPE {
				t.Errorf("%q ends with %v and says %q", args, cmd.ProcessState, stderr)
			}
		}
	})
}

func TestPoorSurroundings(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	v.each(func(args []string) {
		want, _, _ := v.run(v.command(args))
		for _, variables := range [][]string{
			{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATVENT_STATE_DIR"},
			{"HOME=/dev/null"},
			{"TERM"},
			{"TERM=dumb"},
			{"LANG=C", "LC_ALL=C"},
			{"PATH="},
			{"TZ=nowhere", "COLUMNS=1"},
		} {
			code, stdout, stderr := v.run(v.command(args, variables...))
			if code != want || strings.Count(stderr, "\n") > 1 || strings.Contains(stdout+stderr, "\x1b[3") {
				t.Errorf("%q with %q ends with %d and prints %q and %q", args, variables, code, stdout, stderr)
			}
		}
	})
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	v.each(func(args []string) {
		want, _, _ := v.run(v.command(args))
		for _, columns := range []uint16{20, 80, 0} {
			code, shown := v.onTerminal(columns, args)
			if code != want {
				t.Errorf("%q on %d columns ends with %d and shows %q", args, columns, code, shown)
			}
			if strings.Contains(shown, "\u202e") || strings.Contains(shown, "\x1b[2Jcleared") {
				t.Errorf("%q shows the name of a stat as a terminal follows it: %q", args, shown)
			}
		}
		for _, variables := range [][]string{{"NO_COLOR=1"}, {"TERM=dumb"}, {"TERM"}, {"STATVENT_COLOR=never"}} {
			if _, shown := v.onTerminal(80, args, variables...); strings.Contains(shown, "\x1b[3") || strings.Contains(shown, "\x1b[1m") {
				t.Errorf("%q with %q shows colours: %q", args, variables, shown)
			}
		}
	})
}

// A stream has colours if it is a terminal, whatever the other is.
func TestColorIsDecidedForEachStream(t *testing.T) {
	t.Parallel()
	v := newVoice(t)
	is := func(outTerminal, errTerminal bool, args []string, wantOut, wantErr bool) {
		t.Helper()
		screen, terminal := openTerminal(t)
		text := new(terminalText)
		read := make(chan struct{})
		go func() {
			text.follow(screen)
			close(read)
		}()
		cmd := v.command(args)
		if outTerminal {
			cmd.Stdout = terminal
		}
		if errTerminal {
			cmd.Stderr = terminal
		}
		_, stdout, stderr := v.run(cmd)
		terminal.Close()
		<-read
		if outTerminal {
			stdout = text.String()
		}
		if errTerminal {
			stderr = text.String()
		}
		if strings.Contains(stdout, "\x1b[") != wantOut || strings.Contains(stderr, "\x1b[") != wantErr {
			t.Errorf("%q prints %q and %q", args, stdout, stderr)
		}
	}
	list, wrong := []string{"list"}, []string{"cat", "nobody"}
	is(false, false, list, false, false)
	is(true, false, list, true, false)
	is(false, true, list, false, false)
	is(false, true, wrong, false, true)
	is(true, false, wrong, false, false)
	is(false, false, append(list, "--color", "always"), true, false)
	is(false, false, append(wrong, "--color", "always"), false, true)
	is(true, false, append(list, "--color", "never"), false, false)
	is(false, true, []string{"cat", "--color", "never", "--no-such-option"}, false, false)
}
