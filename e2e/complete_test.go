//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A shell is an interactive one on a terminal of its own, with the completions of
// this repository. Its statvent completes, and otherwise notes its arguments.
type shell struct {
	*process
	name  string
	keys  *os.File
	noted string // file of the arguments
	shown *terminalText
}

// terminalText is what a program has shown on its terminal so far.
type terminalText struct {
	mutex sync.Mutex
	text  []byte
}

func (s *terminalText) String() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return string(s.text)
}

func (s *terminalText) follow(screen *os.File) {
	piece := make([]byte, 4096)
	for {
		n, err := screen.Read(piece)
		s.mutex.Lock()
		s.text = append(s.text, piece[:n]...)
		s.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

// startShell starts one of the shells that scripts are written for.
func startShell(t *testing.T, name, dir string, before ...string) *shell {
	t.Helper()
	path := lookup(t, name)
	home, bin := t.TempDir(), t.TempDir()
	s := &shell{name: name, noted: filepath.Join(home, "noted"), shown: new(terminalText)}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bin, file), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("statvent", `#!/bin/sh
case $1 in __complete*) exec `+binary+` "$@" ;; esac
printf '%s\0' "$@" >`+s.noted+`.tmp && mv `+s.noted+`.tmp `+s.noted+"\n")
	completions, err := filepath.Abs("../completions")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	var load string
	switch name {
	case "bash":
		cmd.Args = append(cmd.Args, "--norc", "--noprofile", "-i")
		load = "source " + completions + "/statvent.bash; "
	case "zsh":
		cmd.Args = append(cmd.Args, "-f", "-i")
		load = "fpath=(" + completions + " $fpath); autoload -Uz compinit; compinit -u -D; "
	case "fish":
		cmd.Args = append(cmd.Args, "--no-config", "-i")
		load = "source " + completions + "/statvent.fish; "
	}
	cmd.Env = append(os.Environ(), "HOME="+home, "ZDOTDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home,
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"STATVENT_PIPE_DIR="+dir, "TERM=xterm", "LC_ALL=C.UTF-8", "INPUTRC=/dev/null", "HISTFILE=")
	screen, terminal := openTerminal(t)
	s.keys = screen
	cmd.Stdout, cmd.Stderr, cmd.Stdin = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go s.shown.follow(screen)
	s.process = startOnTerminal(t, cmd)
	ready := "echo the-shell''-is-ready\r"
	s.press(t, load+strings.Join(append(before, ready), "; "))
	waitUntil(t, name+" is ready", func() bool { return strings.Contains(s.shown.String(), "the-shell-is-ready") })
	return s
}

// startOnTerminal starts a program that has a terminal for its streams, and hangs it
// up at the end of the test.
func startOnTerminal(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGHUP)
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-p.exited
		}
	})
	return p
}

func (s *shell) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// arguments types a line and returns what statvent is called with, nothing if it
// isn't.
func (s *shell) arguments(t *testing.T, line string) []string {
	t.Helper()
	_ = os.Remove(s.noted)
	s.press(t, line+"\r")
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(s.noted)
		if err == nil {
			return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		}
	}
	s.press(t, "\x03")
	return nil
}

// Names that a shell would take apart, and what is typed of them.
const (
	request = `GET /a b="c" [d] $HOME 'f' \g`
	song    = `it's {a,b} * ? ! # ~ & (x) <y>; |`
	colons  = `with:colons: and =equals`
	words   = `größe in 日本`
	tilde   = `~home`
)

// Not parallel to others, since what is not there in time is not completed.
func TestShellsCompleteNames(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "fish"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(memoryDir(t), "pipes")
			p, _ := startPublisher(t, dir, `app.requests=1`, `live "GET /x y" of it's=2`)
			for _, name := range []string{request, song, colons, words, tilde} {
				cmd := exec.Command(binary, "emit", "-d", dir, name)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			s := startShell(t, name, dir)
			is := func(line string, want ...string) {
				t.Helper()
				want = append(strings.Fields(line)[1:2], want...)
				var got []string
				for range 4 { // what comes too late on a busy machine is not completed
					if got = s.arguments(t, line); slices.Equal(got, want) {
						return
					}
				}
				t.Errorf("%s: %q runs statvent %q, want %q; the terminal shows %q", name, line, got, want, s.shown)
			}
			is("statvent watch li\t", `live "GET /x y" of it's`)
			is("statvent watch 'li\t", `live "GET /x y" of it's`)
			is(`statvent watch "li`+"\t", `live "GET /x y" of it's`)
			is(`statvent watch live\ \"GET\ /`+"\t", `live "GET /x y" of it's`)
			is("statvent emit --delete GE\t", "--delete", request)
			is("statvent emit --delete 'GE\t", "--delete", request)
			is(`statvent emit --delete "GE`+"\t", "--delete", request)
			is(`statvent emit --delete GET\ /a\ b`+"\t", "--delete", request)
			is("statvent emit --delete it\t", "--delete", song)
			is(`statvent emit --delete "it`+"\t", "--delete", song)
			is("statvent emit --delete with\t", "--delete", colons)
			is("statvent emit --delete with:co\t", "--delete", colons)
			is(`statvent emit --delete with:colons:\ an`+"\t", "--delete", colons)
			is(`statvent emit --delete "with:colons: an`+"\t", "--delete", colons)
			is("statvent emit --delete gr\t", "--delete", words)
			is(`statvent emit --delete \~h`+"\t", "--delete", tilde)
			is("statvent emit --delete GE\t wit\t", "--delete", request, colons)
			is(`statvent emit --delete it\'s\ \{`+"\t", "--delete", song)
			pid := fmt.Sprint(p.Process.Pid)
			is("statvent cat "+pid[:len(pid)-1]+"\t", pid)
			is("statvent cat --assert 'app.r\t< 5'", "--assert", "app.requests < 5")
			is("statvent list --output=js\t", "--output=json")
			is("statvent list --output js\t", "--output", "json")

			// TAB runs nothing of what is typed. Ctrl-U deletes it.
			trap := filepath.Join(t.TempDir(), "run")
			s.press(t, "statvent cat $(touch "+trap+") a\t\x15")
			is("statvent watch app.\t", "app.requests")
			if _, err := os.Stat(trap); err == nil {
				t.Errorf("%s: TAB runs the command that stands in the line", name)
			}
		})
	}
}

func TestCompletionDoesNotWait(t *testing.T) { // nor run beside others, since it is held to a time
	dir := filepath.Join(memoryDir(t), "pipes")
	startPublisher(t, dir, "app.requests=1")
	stuck, _ := startPublisher(t, dir, "stuck.requests=1")
	if err := stuck.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	least := time.Hour
	for range 5 {
		cmd := exec.Command(binary, "__complete", "watch", "a")
		cmd.Env = append(os.Environ(), "STATVENT_PIPE_DIR="+dir)
		begin := time.Now()
		out, err := cmd.Output()
		least = min(least, time.Since(begin))
		if want := "app.requests\n:4\n"; err != nil || string(out) != want && string(out) != ":4\n" {
			t.Errorf("%v, %q, want %q or nothing", err, out, want)
		}
	}
	if least > 200*time.Millisecond {
		t.Errorf("the fastest of five takes %v", least)
	}
}
