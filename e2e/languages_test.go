//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/pipes"
)

// A language is one of those that docs/languages.md has a publisher for. Its program
// takes lines from stdin, VERB VALUE NAME, and publishes until they end.
type language struct {
	name    string
	command func(t *testing.T) []string
}

var languages = []language{
	{"python", interpreted("python3", "python/publisher.py")},
	{"bash", interpreted("bash", "bash/publisher.sh")},
	{"node", interpreted("node", "node/publisher.js")},
	{"php", interpreted("php", "php/worker.php")},
	{"c", func(t *testing.T) []string {
		t.Helper()
		worker := filepath.Join(t.TempDir(), "worker")
		run(t, "cc", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread", "-o", worker, "../examples/c/worker.c")
		return []string{worker}
	}},
}

func interpreted(interpreter, path string) func(t *testing.T) []string {
	return func(t *testing.T) []string {
		t.Helper()
		return []string{lookup(t, interpreter), filepath.Join("..", "examples", path)}
	}
}

// forLanguages runs a test for each of them, or says which is skipped.
func forLanguages(t *testing.T, test func(t *testing.T, command []string)) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			test(t, l.command(t))
		})
	}
}

// installed returns the commands of the languages that can be run here.
func installed(t *testing.T) (commands [][]string) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) { l.command(t) }) // skips it, plainly
	}
	for _, l := range languages {
		needs := map[string]string{"python": "python3", "c": "cc"}[l.name]
		if needs == "" {
			needs = l.name
		}
		if _, err := exec.LookPath(needs); err == nil {
			commands = append(commands, l.command(t))
		}
	}
	return commands
}

// A speaker is a program of a language that a test tells what to count.
type speaker struct {
	*process
	pipe string
}

func startSpeaker(t *testing.T, dir string, command []string) *speaker {
	t.Helper()
	// Whatever the umask, everybody may read.
	cmd := exec.Command("sh", append([]string{"-c", `umask 077; exec "$@"`, "sh"}, command...)...)
	// What it keeps beside the pipe, if it does, is to be gone as well.
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+dir, "TMPDIR="+t.TempDir())
	// A file, since a child may hold it longer than its program lives.
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(stderr.Name()); err != nil || len(text) > 0 {
			t.Errorf("%v says %s, %v", command, text, err)
		}
		stderr.Close()
	})
	cmd.Stderr = stderr
	p := start(t, cmd)
	s := &speaker{p, filepath.Join(dir, fmt.Sprintf("%d.stats", p.Process.Pid))}
	waitUntil(t, s.pipe+" is there", func() bool {
		_, err := os.Lstat(s.pipe)
		return err == nil
	})
	return s
}

func (s *speaker) say(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := fmt.Fprintln(s.stdin, strings.Join(lines, "\n")); err != nil {
		t.Fatal(err)
	}
}

// cat reads it as anybody does.
func (s *speaker) cat(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "cat", s.pipe).Output()
	if err != nil {
		t.Fatal(err)
	}
	return plainStats(t, string(out))
}

func (s *speaker) awaits(t *testing.T, name, value string) {
	t.Helper()
	waitUntil(t, name+" is "+value, func() bool { return s.cat(t)[name] == value })
}

// Every language at once, and Go beside them: the sums are exact, read by whom you like.
func TestLanguagesAddUp(t *testing.T) {
	dir := memoryDir(t)
	var speakers []*speaker
	for _, command := range installed(t) {
		for range 2 {
			speakers = append(speakers, startSpeaker(t, dir, command))
		}
	}
	if len(speakers) == 0 {
		t.Skip("SKIPPED: none of the languages is installed")
	}
	n := len(speakers)
	serve := startServe(t, dir)
	for range 2 {
		startPublisher(t, dir, "requests=1000", "GET /a b: \"time\"=0.25")
	}
	counted := 0
	for round := 1; round <= 5; round++ {
		for i, s := range speakers {
			s.say(t, fmt.Sprintf("count %d requests", i), "count 1 requests", `set 0.5 GET /a b: "time"`, "count 1 rounds")
			counted += i + 1
		}
		for _, s := range speakers {
			s.awaits(t, "rounds", fmt.Sprint(round))
		}
		want := map[string]string{
			"requests":         fmt.Sprint(counted + 2000),
			`GET /a b: "time"`: fmt.Sprintf("%.1f", float64(n+1)/2),
			"rounds":           fmt.Sprint(n * round),
		}
		for range 10 {
			stats, _ := serve.stats(t)
			sameNumbers(t, "serve", want, stats)
			if out, stderr, code := runStatvent(t, dir, "cat"); code != 0 || stderr != "" || !maps.Equal(plainStats(t, out), want) {
				t.Errorf("cat says %d\n%s%s, want\n%v", code, out, stderr, want)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, s := range speakers {
		if info, err := os.Lstat(s.pipe); err != nil || info.Mode() != os.ModeNamedPipe|0o644 {
			t.Errorf("%v: %v, %v", s.Args, info.Mode(), err)
		}
	}
}

// However it ends, and whoever reads just then, no pipe is left behind, and no process.
func TestLanguagesLeaveNothing(t *testing.T) {
	const withoutPipe = "SIGTERM without its pipe"
	ends := map[string]func(s *speaker){
		withoutPipe:    func(s *speaker) { _, _ = os.Remove(s.pipe), s.Process.Signal(syscall.SIGTERM) },
		"end of stdin": func(s *speaker) { s.stdin.Close() },
		"SIGTERM":      func(s *speaker) { _ = s.Process.Signal(syscall.SIGTERM) },
		"SIGINT":       func(s *speaker) { _ = s.Process.Signal(syscall.SIGINT) },
	}
	forLanguages(t, func(t *testing.T, command []string) {
		dir := memoryDir(t)
		serve := startServe(t, dir)
		for _, how := range slices.Sorted(maps.Keys(ends)) {
			for range 3 {
				s := startSpeaker(t, dir, command)
				s.say(t, "count 1 requests")
				s.awaits(t, "requests", "1")
				stop, reads := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(reads)
					for {
						select {
						case <-stop:
							return
						default:
							if how == withoutPipe { // who deletes it just then is another story
								<-stop
								return
							}
							_ = serve.tryGet("/stats", new(any))
						}
					}
				}()
				if how == withoutPipe {
					waitUntil(t, "it waits for a reader", func() bool { return waitsForReader(t, dir) })
				}
				ends[how](s)
				awaitExit(t, s.process)
				close(stop)
				<-reads
				waitUntil(t, "its processes are gone", func() bool { return !hasProcesses(t, dir, serve.Process.Pid) })
				left, err := os.ReadDir(dir)
				if err != nil || len(left) > 0 {
					t.Errorf("%s leaves %v, %v", how, left, err)
				}
				for _, variable := range s.Env {
					if own, ok := strings.CutPrefix(variable, "TMPDIR="); ok {
						if left, err := os.ReadDir(own); err != nil || len(left) > 0 {
							t.Errorf("%s leaves in TMPDIR %v, %v", how, left, err)
						}
					}
				}
			}
		}
	})
}

// waitsForReader tells whether a process that has the directory in its environment sleeps
// in the kernel for want of a reader.
func waitsForReader(t *testing.T, dir string) bool {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/task/*/wchan")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(found, func(path string) bool {
		where, err := os.ReadFile(path)
		if err == nil && string(where) == "0" && os.Geteuid() != 0 {
			t.Skip("SKIPPED: the kernel doesn't say where a thread sleeps")
		}
		env, envErr := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		return err == nil && envErr == nil && string(where) == "wait_for_partner" &&
			strings.Contains(string(env), pipes.DirVariable+"="+dir+"\x00")
	})
}

// hasProcesses tells whether a process but that one has the directory in its environment.
func hasProcesses(t *testing.T, dir string, but int) bool {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(found, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && path != fmt.Sprintf("/proc/%d/environ", but) &&
			strings.Contains(string(text), pipes.DirVariable+"="+dir+"\x00")
	})
}

// A reader that opens the pipe and leaves costs a program nothing.
func TestLanguagesOutliveReadersThatLeave(t *testing.T) {
	forLanguages(t, func(t *testing.T, command []string) {
		s := startSpeaker(t, memoryDir(t), command)
		long := strings.Repeat("n", 100)
		for i := range 40 {
			s.say(t, fmt.Sprintf("count 1 %s%d", long, i))
		}
		s.awaits(t, long+"39", "1")
		for i := range 50 {
			fd, err := unix.Open(s.pipe, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				_, _ = unix.Read(fd, make([]byte, 1))
			}
			unix.Close(fd)
		}
		s.say(t, "count 1 more")
		s.awaits(t, "more", "1")
	})
}

// Who reads again and again gets one whole snapshot each time.
func TestLanguagesGiveWholeSnapshots(t *testing.T) {
	forLanguages(t, func(t *testing.T, command []string) {
		s := startSpeaker(t, memoryDir(t), command)
		s.say(t, "count 1 a", "count 1 b", "count 1 z")
		s.awaits(t, "z", "1")
		for range 100 {
			out, err := exec.CommandContext(t.Context(), "cat", s.pipe).Output()
			if err != nil || strings.Count(string(out), "\n") != 3 {
				t.Fatalf("read %q, %v", out, err)
			}
		}
	})
}

// A line break in a name would be a line too many.
func TestLanguagesCleanNames(t *testing.T) {
	t.Parallel()
	names := map[string][]string{ // a program that sets one and waits
		"python3": {"-c", `import publisher, sys; publisher.Publisher().set("a\nb\rc", 1.0); sys.stdin.read()`},
		"node":    {"-e", `const p = require("./publisher.js"); p.start(); p.set("a\nb\rc", 1.5); process.stdin.resume().on("end", () => process.exit())`},
	}
	for interpreter, args := range names {
		t.Run(interpreter, func(t *testing.T) {
			t.Parallel()
			dir := memoryDir(t)
			cmd := exec.Command(lookup(t, interpreter), args...)
			cmd.Env = append(os.Environ(), pipes.DirVariable+"="+dir, "PYTHONDONTWRITEBYTECODE=1")
			cmd.Dir = filepath.Join("..", "examples", strings.TrimSuffix(interpreter, "3"))
			start(t, cmd)
			waitUntil(t, "it publishes", func() bool {
				out, _, _ := runStatvent(t, dir, "cat")
				return strings.HasPrefix(out, "a b c: 1.")
			})
		})
	}
	for _, l := range languages {
		if l.name == "python" || l.name == "node" { // which take it for the end of a line
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := startSpeaker(t, memoryDir(t), l.command(t))
			s.say(t, "count 1 a\rb")
			s.awaits(t, "a b", "1")
		})
	}
}

// They are for reading.
func TestLanguagesAreShort(t *testing.T) {
	t.Parallel()
	for _, l := range []string{"python", "bash", "node", "php", "c"} {
		paths, err := filepath.Glob(filepath.Join("..", "examples", l, "publisher.*"))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if n := strings.Count(string(text), "\n"); err != nil || n >= 60 {
			t.Errorf("%s has %d lines, %v", paths[0], n, err)
		}
	}
}

// Killed with its child waiting for readers, that answers nobody for it.
func TestLanguagesWithAChildEndWithTheirProgram(t *testing.T) {
	for _, l := range languages {
		if l.name != "bash" && l.name != "php" {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			dir := memoryDir(t)
			s := startSpeaker(t, dir, l.command(t))
			s.say(t, "count 1 requests")
			s.awaits(t, "requests", "1")
			_ = s.Process.Kill()
			<-s.exited
			for range 2 {
				if out, _, _ := runStatvent(t, dir, "cat"); out != "" {
					t.Errorf("it says %s", out)
				}
			}
			waitUntil(t, "all is gone", func() bool {
				left, err := os.ReadDir(dir)
				return err == nil && len(left) == 0 && !hasProcesses(t, dir, 0)
			})
		})
	}
}
