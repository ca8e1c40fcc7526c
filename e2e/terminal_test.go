//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/pipes"
)

// A tmux is a real terminal with a real shell in it.
type tmux struct {
	t      *testing.T
	socket string
}

func startTmux(t *testing.T, environment ...string) *tmux {
	t.Helper()
	return startTmuxWith(t, shells[0], environment...)
}

// shells are those that have job control, as they are started without anybody's
// configuration.
var shells = [][]string{
	{"bash", "--norc", "--noprofile"},
	{"zsh", "-f"},
	{"sh", "-m"},
	{"fish", "--no-config", "-C", "function fish_prompt; printf 'shell> '; end"},
}

func startTmuxWith(t *testing.T, shell []string, environment ...string) *tmux {
	t.Helper()
	program := lookup(t, "tmux")
	lookup(t, shell[0])
	s := &tmux{t, filepath.Join(memoryDir(t), "tmux")}
	args := []string{"-S", s.socket, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"}
	cmd := exec.Command(program, append(args, shell...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TMUX") && !strings.HasPrefix(variable, "LC_") && !strings.HasPrefix(variable, "NO_COLOR") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "LANG=C.UTF-8", "PS1=shell> ", "HISTFILE=")
	cmd.Env = append(cmd.Env, environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command(program, "-S", s.socket, "kill-server").Run() })
	s.waits("shell>")
	return s
}

func (s *tmux) do(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// keys types some by their names in tmux.
func (s *tmux) keys(keys ...string) {
	s.t.Helper()
	s.do(append([]string{"send-keys"}, keys...)...)
}

// run types a command line.
func (s *tmux) run(line string) {
	s.t.Helper()
	s.do("send-keys", "-l", line)
	s.keys("Enter")
}

func (s *tmux) screen() string { return s.do("capture-pane", "-p") }

// waits waits until the screen has all of the texts, and none of those that begin
// with a "!".
func (s *tmux) waits(texts ...string) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("the screen is\n%s", s.screen())
		}
	}()
	waitUntil(s.t, fmt.Sprintf("the screen shows %q", texts), func() bool {
		screen := s.screen()
		for _, text := range texts {
			unwanted, isUnwanted := strings.CutPrefix(text, "!")
			if isUnwanted == strings.Contains(screen, strings.TrimPrefix(unwanted, "!")) {
				return false
			}
		}
		return true
	})
}

// settings returns what stty says of the terminal.
func (s *tmux) settings(name string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	s.run("stty -a > " + path + " && printf 'said-%s\\n' all")
	s.waits("said-all")
	s.run("clear")
	s.waits("!said-all")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// startWatch starts watch in the shell of a terminal, with two processes that
// publish, and returns the settings of the terminal before.
func startWatch(t *testing.T, environment ...string) (s *tmux, before string) {
	t.Helper()
	dir := memoryDir(t)
	startPublisher(t, dir, "app.requests=42", "app.users=7.5", "zero=0")
	startPublisher(t, dir, "app.requests=8")
	s = startTmux(t, append(environment, pipes.DirVariable+"="+dir)...)
	before = s.settings("before")
	s.run(binary + " watch -n 0.2")
	s.waits("app.requests")
	return s, before
}

// gaveBack waits for the shell, and compares the settings.
func (s *tmux) gaveBack(before string) {
	s.t.Helper()
	s.waits("shell>", "!PER SECOND")
	if after := s.settings("after"); after != before {
		s.t.Errorf("stty -a said\n%sand says\n%s", before, after)
	}
	if cursor := s.do("display-message", "-p", "#{cursor_flag} #{alternate_on} #{wrap_flag}"); cursor != "1 0 1\n" {
		s.t.Errorf("cursor, alternate screen and wrapping are %s", cursor)
	}
}

func TestWatchEveryKeyInATerminal(t *testing.T) {
	t.Parallel()
	s, before := startWatch(t)
	s.waits("app.requests", " 50 ", "0/s", "app.users", "7.500", "2 sources: 2 live", "NAME▲", "3 stats", "every 200ms")
	s.keys("?")
	s.waits("hide zeros", "!app.users")
	s.keys("x")
	s.waits("app.users")
	s.keys("/")
	s.do("send-keys", "-l", "REQ")
	s.waits("/REQ", "app.requests", "!app.users", "1 of 3 stats")
	s.keys("Enter")
	s.waits("filter: REQ")
	s.keys("Escape")
	s.waits("app.users", "3 stats", "!filter")
	s.keys(">")
	s.waits("▼VALUE")
	s.keys("r")
	s.waits("▲VALUE")
	s.keys("3")
	s.waits("▼PER SECOND")
	s.keys("Left", "<")
	s.waits("NAME▲")
	s.keys("t")
	s.waits("GROWN", "totals")
	s.keys("t", "z")
	s.waits("no zeros", "!zero ", "PER SECOND")
	s.keys("z", "End", "*")
	s.waits("*zero")
	s.keys("*")
	s.waits("!*zero")
	s.keys("Space")
	s.waits("PAUSED")
	s.keys(".", "Space")
	s.waits("!PAUSED")
	s.keys("+")
	s.waits("every 500ms")
	s.keys("-", "-")
	s.waits("every 100ms")
	s.keys("Home", "Enter")
	s.waits("app.requests  by source", " 42 ", " 8 ", "SOURCE")
	s.keys("j", "Enter")
	s.waits("source ", "app.requests", "1 stat ")
	s.keys("Escape")
	s.waits("by source")
	s.keys("BSpace")
	s.waits("3 stats")
	s.keys("Tab")
	s.waits("STATE", "live", "COMMAND")
	s.keys("Down", "Up", "PPage", "NPage", "Enter")
	s.waits("source ")
	s.keys("Tab")
	s.waits("3 stats")
	s.keys("q")
	s.gaveBack(before)
}

func TestWatchIsSuspendedAndComesBack(t *testing.T) {
	t.Parallel()
	s, before := startWatch(t)
	for range 2 {
		s.keys("C-z")
		s.waits("Stopped", "shell>", "!PER SECOND")
		if between := s.settings("between"); between != before {
			t.Errorf("stty -a said\n%sand says\n%s", before, between)
		}
		s.run("fg")
		s.waits("app.requests", "PER SECOND", "!Stopped")
	}
	s.run("q")
	s.gaveBack(before)
}

// It stops when it is told to, ends when it is told to while it is stopped, and a
// change of size that it didn't see is no harm.
func TestWatchTakesSignalsInAShell(t *testing.T) {
	t.Parallel()
	s, before := startWatch(t)
	s.keys("C-z")
	s.waits("Stopped", "!PER SECOND")
	s.do("resize-window", "-x", "120", "-y", "30")
	s.run("fg")
	s.waits("PER SECOND", "? help  q quit")
	s.keys("C-z")
	s.waits("Stopped", "!PER SECOND")
	s.run("clear; kill -TERM %1; fg")
	s.waits("shell>", "!PER SECOND")
	s.run("clear")
	s.run("stty columns 80 rows 24")
	s.do("resize-window", "-x", "80", "-y", "24")
	s.gaveBack(before)
	for _, name := range []string{"TSTP", "STOP"} {
		s.run(binary + " watch -n 0.2")
		s.waits("PER SECOND")
		pid := strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}"))
		if out, err := exec.Command("pkill", "-"+name, "-P", pid).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no pkill: %v %s", err, out)
		}
		s.waits("Stopped")
		s.run("clear")
		s.run("fg")
		s.waits("PER SECOND", "!Stopped")
		s.keys("q")
		s.gaveBack(before)
	}
}

// Each shell has its own ways with the terminal: that of a job that comes to the
// foreground must be as any other command would find it.
func TestWatchComesFromTheBackgroundInEveryShell(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	startPublisher(t, dir, "app.requests=42")
	for _, shell := range shells {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			s := startTmuxWith(t, shell, pipes.DirVariable+"="+dir)
			before := s.settings("before")
			s.run(binary + " watch -n 0.2 &")
			s.stops()
			s.run("fg")
			s.waits("app.requests", "PER SECOND")
			s.keys("q")
			s.gaveBack(before)

			s.run(binary + " watch -n 0.2")
			s.waits("app.requests", "PER SECOND")
			s.keys("C-z")
			s.stops()
			if between := s.settings("between"); between != before {
				t.Errorf("stty -a said\n%sand says\n%s", before, between)
			}
			s.run("bg && printf 'bg-%s\\n' done")
			s.waits("bg-done")
			s.stops()
			s.run("clear")
			s.run("fg")
			s.waits("app.requests", "PER SECOND")
			s.keys("q")
			s.gaveBack(before)
		})
	}
}

// stops waits until a job of the shell is stopped.
func (s *tmux) stops() {
	s.t.Helper()
	shell := strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}"))
	waitUntil(s.t, "a job is stopped", func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, file := range files {
			stat, err := os.ReadFile(file)
			if err != nil {
				continue // it has ended
			}
			fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
			if fields[0] == "T" && fields[1] == shell {
				return true
			}
		}
		return false
	})
	s.waits("shell>")
}

// A process that is killed can't tidy up; the shell gives its terminal back.
func TestWatchIsKilled(t *testing.T) {
	t.Parallel()
	s, before := startWatch(t)
	pid := strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}"))
	if out, err := exec.Command("pkill", "-KILL", "-P", pid).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no pkill: %v %s", err, out)
	}
	s.waits("Killed")
	s.run("tput rmcup; tput cnorm; clear")
	s.gaveBack(before)
}

func TestWatchIsResizedWhileItDraws(t *testing.T) {
	t.Parallel()
	s, before := startWatch(t)
	for i := range 30 {
		s.do("resize-window", "-x", fmt.Sprint(20+i*7), "-y", fmt.Sprint(5+i))
	}
	s.do("resize-window", "-x", "20", "-y", "5")
	s.waits("NAME▲", "ap…quests", "2 sources: 2 live", "!PER SECOND")
	s.do("resize-window", "-x", "300", "-y", "100")
	s.waits("TREND", "app.requests", "? help  q quit", "zero")
	s.do("resize-window", "-x", "80", "-y", "24")
	s.waits("? help", "!q quit")
	s.keys("q")
	s.gaveBack(before)
}

func TestWatchWithoutUTF8AndWithoutColour(t *testing.T) {
	t.Parallel()
	// What ends a colour, 39, is written anyhow.
	color := regexp.MustCompile(`\x1b\[([0-9]+;)*(3[0-7]|9[0-7])[;m]`)
	s, before := startWatch(t, "LANG=C", "NO_COLOR=1")
	s.waits("NAME^", "!▲", "____", "0/s")
	if screen := s.do("capture-pane", "-p", "-e"); color.MatchString(screen) {
		t.Errorf("there are colours: %q", screen)
	}
	s.keys("q")
	s.gaveBack(before)

	s, _ = startWatch(t)
	s.waits("NAME▲", "▁▁▁▁", "0/s")
	if screen := s.do("capture-pane", "-p", "-e"); !color.MatchString(screen) {
		t.Errorf("there are no colours: %q", screen)
	}
}

// Where there is nothing, or something in the way, it is said why, as by list.
func TestWatchSaysWhatListSays(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startTmux(t, pipes.DirVariable+"="+dir)
	s.do("resize-window", "-x", "160", "-y", "24")
	s.run(binary + " watch -n 0.2")
	s.waits("no program publishes in "+dir, "hint: only some users can publish")
	if err := os.WriteFile(filepath.Join(dir, "planted.stats"), []byte("x: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	startPublisher(t, dir, "app.requests=42")
	s.waits("app.requests", "1 passed over", "!hint:")
	s.keys("Tab")
	s.waits("passed over: planted.stats: it is", "NOTE")
	s.keys("q")
	s.waits("shell>")
}

// A dumb terminal gets one table after the other, and no escape sequences.
func TestWatchOnADumbTerminal(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	startPublisher(t, dir, "app.requests=42")
	s := startTmux(t, pipes.DirVariable+"="+dir)
	s.run("TERM=dumb " + binary + " watch -n 0.2")
	s.waits("app.requests     42           0")
	s.keys("C-c")
	s.run("echo ended-$?")
	s.waits("ended-0")
	s.run("clear; TERM= " + binary + " watch --once; echo ended-$?")
	s.waits("app.requests     42           -", "ended-0")
}
