//go:build linux

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// actOut is the program that a puppet is: it does what each line of its standard
// input says, and answers with a line.
func actOut() {
	var recorders []*statvent.Recorder
	registry := statvent.Default()
	var player player
	lines := bufio.NewScanner(os.Stdin)
	fmt.Println(puppetBegins)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		err := error(nil)
		switch verb {
		case "incr", "set", "record":
			err = change(registry, verb, strings.Fields(rest))
		case "distribution": // as in TestDistributionsAreOne
			name, options, _ := strings.Cut(rest, " ")
			registry.NewDistribution(name, distributionOptions[options]...)
		case "start":
			var rec *statvent.Recorder
			if rec, err = statvent.StartRecorder(statvent.WithRegistry(registry)); err == nil {
				recorders = append(recorders, rec)
			}
		case "close":
			last := len(recorders) - 1
			err = recorders[last].Close()
			recorders = recorders[:last]
		case "registry":
			registry = statvent.NewRegistry()
		case "exec": // another program takes the place of this one
			err = syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		case "nobody": // is another user from here on
			err = becomeNobody()
		case "exit": // without Close
			os.Exit(0)
		default:
			err = player.act(verb, rest)
		}
		fmt.Println(verb, strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
	}
}

func becomeNobody() error {
	const nobody = 65534
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}

// puppetBegins is the first line that the program prints.
const puppetBegins = "it begins"

func change(r *statvent.Registry, verb string, args []string) error {
	for _, value := range args[1:] {
		i, err := strconv.ParseInt(value, 10, 64)
		f, floatErr := strconv.ParseFloat(value, 64)
		switch isInt := err == nil; {
		case floatErr != nil:
			return floatErr
		case verb == "incr" && isInt:
			r.IncrBy(args[0], i)
		case verb == "incr":
			r.IncrByFloat(args[0], f)
		case verb == "set" && isInt:
			r.Set(args[0], i)
		case verb == "set":
			r.SetFloat(args[0], f)
		case isInt:
			r.Record(args[0], i)
		default:
			r.RecordFloat(args[0], f)
		}
	}
	return nil
}

// A puppet is a process that publishes as it is told.
type puppet struct {
	*process
	t       *testing.T
	pipe    *os.File
	answers *bufio.Reader // of pipe
	doing   sync.Mutex    // held for a line and its answer
}

func startPuppet(t *testing.T, dir string, prepare ...func(*exec.Cmd)) *puppet {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), publishVariable+"="+asPuppet, pipes.DirVariable+"="+dir)
	for _, f := range prepare {
		f(cmd)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	p := &puppet{process: start(t, cmd), t: t, pipe: read, answers: bufio.NewReader(read)}
	_ = write.Close()
	t.Cleanup(func() { _ = read.Close() })
	p.hear(puppetBegins)
	return p
}

// hear waits until the puppet says that line.
func (p *puppet) hear(want string) {
	p.t.Helper()
	if err := p.tryHear(want); err != nil {
		p.t.Fatal(err)
	}
}

// tryHear is hear where the puppet may have been killed.
func (p *puppet) tryHear(want string) error {
	_ = p.pipe.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, err := p.answers.ReadString('\n')
	if err != nil {
		return fmt.Errorf("it says %q, not %q: %w", answer, want, err)
	}
	if answer != want+"\n" {
		return fmt.Errorf("it says %q, not %q", answer, want)
	}
	return nil
}

// do tells the puppet what to do, one line after another, and waits until it has.
func (p *puppet) do(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if err := p.tryDo(line); err != nil {
			p.t.Fatal(err)
		}
	}
}

// tryDo is do of one line where that may fail, or the puppet be killed.
func (p *puppet) tryDo(line string) error {
	p.doing.Lock()
	defer p.doing.Unlock()
	if err := p.trySay(line); err != nil {
		return err
	}
	verb, _, _ := strings.Cut(line, " ")
	return p.tryHear(verb + " <nil>")
}

func (p *puppet) say(line string) {
	p.t.Helper()
	if err := p.trySay(line); err != nil {
		p.t.Fatal(err)
	}
}

func (p *puppet) trySay(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// kill kills it, and returns when it is gone.
func (p *puppet) kill() {
	p.t.Helper()
	_ = p.Process.Kill()
	<-p.exited
}

// leave makes it end by itself.
func (p *puppet) leave(lastLine string) {
	p.t.Helper()
	if lastLine != "" {
		p.say(lastLine)
	}
	_ = p.stdin.Close()
	<-p.exited
}

// wants checks the host's numbers as serve and cat see them: NAME=VALUE, or
// NAME= if there is no such stat.
func wants(t *testing.T, dir string, serve *service, stats ...string) {
	t.Helper()
	served, _ := serve.stats(t)
	out, _, code := runStatvent(t, dir, "cat")
	printed := plainStats(t, out)
	for _, stat := range stats {
		name, want, _ := strings.Cut(stat, "=")
		if got := served[name].String(); got != want {
			t.Errorf("serve says %s: %q, want %q", name, got, want)
		}
		if got := printed[name]; code == 0 && got != want {
			t.Errorf("cat says %s: %q, want %q", name, got, want)
		}
	}
}

// Gauges and samples end with their process, in whatever way that ends; what was
// counted stays.
func TestGaugesEndWithTheirProcess(t *testing.T) {
	t.Parallel()
	ends := map[string]func(p *puppet){
		"Close":           func(p *puppet) { p.do("close") },
		"Close, exit":     func(p *puppet) { p.do("close"); p.leave("") },
		"exit":            func(p *puppet) { p.leave("exit") },
		"SIGKILL":         func(p *puppet) { p.kill() },
		"SIGTERM":         func(p *puppet) { _ = p.Process.Signal(syscall.SIGTERM); <-p.exited },
		"SIGKILL, halted": func(p *puppet) { _ = p.Process.Signal(syscall.SIGSTOP); p.kill() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			serve := startServe(t, dir)
			other, p := startPuppet(t, dir), startPuppet(t, dir)
			other.do("set users 3", "incr jobs 1", "record size 1", "start")
			p.do("set users 4", "incr jobs 10", "record size 5", "start")
			wants(t, dir, serve, "users=7", "jobs=11", "size.median=1", "size.100th=5", "size.mean=3.0")
			end(p)
			wants(t, dir, serve, "users=3", "jobs=11", "size.median=1", "size.100th=1", "size.mean=1.0")
			waitUntil(t, "only the other is left", func() bool {
				sources, err := serve.trySources()
				return err == nil && len(sources) == 2 && sources[0].State == "retained"
			})
			wants(t, dir, serve, "users=3", "jobs=11", "size.median=1")
		})
	}
}

// A stopped process changes nothing, and goes on where it was.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := startServe(t, dir, "--deadline", "3s") // for whoever isn't stopped on a busy machine
	p := startPuppet(t, dir)
	p.do("incr jobs 10", "incr seconds 0.5", "set users 4", "start")
	wants(t, dir, serve, "jobs=10", "seconds=0.5", "users=4")
	_ = p.Process.Signal(syscall.SIGSTOP)
	for range 3 {
		served, _ := serve.stats(t)
		if served["jobs"] != "10" || served["seconds"] != "0.5" || served["users"] != "4" {
			t.Errorf("while it is stopped: %v", served)
		}
	}
	sources, err := serve.trySources()
	if err != nil || len(sources) != 1 || sources[0].State != "unresponsive" || sources[0].Age <= 0 || sources[0].Error == "" {
		t.Errorf("/sources has %+v, %v", sources, err)
	}
	_ = p.Process.Signal(syscall.SIGCONT)
	p.do("incr jobs 1")
	waitUntil(t, "it counts again", func() bool {
		served, _ := serve.stats(t)
		return served["jobs"] == "11"
	})
}

// A process that is stopped when a serve begins counts with what the serve
// before that had seen, and so does one that was killed in between.
func TestServeGoesOnFromWhatWasSeen(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), t.TempDir()
	serve := startServe(t, dir, "--state-dir", state)
	stopped, killed := startPuppet(t, dir), startPuppet(t, dir)
	stopped.do("incr jobs 10", "start")
	killed.do("incr jobs 7", "record size 2", "start")
	wants(t, dir, serve, "jobs=17")
	serve.end(t)
	_ = stopped.Process.Signal(syscall.SIGSTOP)
	killed.kill()
	serve = startServe(t, dir, "--state-dir", state, "--deadline", "500ms")
	wants(t, dir, serve, "jobs=17", "size.mean=")
	_ = stopped.Process.Signal(syscall.SIGCONT)
	stopped.do("incr jobs 1")
	waitUntil(t, "it counts again", func() bool {
		served, _ := serve.stats(t)
		return served["jobs"] == "18"
	})
}

// Another program in the same process, which has the same pid.
func TestExecOfAnotherProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := startServe(t, dir)
	p := startPuppet(t, dir)
	p.do("incr jobs 10", "set users 1", "start")
	wants(t, dir, serve, "jobs=10", "users=1")
	p.say("exec")
	p.hear(puppetBegins)
	p.do("incr jobs 5", "set users 2", "start")
	wants(t, dir, serve, "jobs=15", "users=2")
	p.do("close")
	wants(t, dir, serve, "jobs=15", "users=")
}

// Closing and starting again, and two registries in one process.
func TestRecordersOfOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := startServe(t, dir)
	p := startPuppet(t, dir)
	p.do("incr jobs 10", "incr seconds 1.5", "record size 1 2 3", "start")
	for i, want := range []string{"jobs=11", "jobs=12", "jobs=13"} {
		p.do("close", "incr jobs 1")
		wants(t, dir, serve, fmt.Sprintf("jobs=%d", 10+i), "seconds=1.5", "size.mean=")
		p.do("start")
		wants(t, dir, serve, want, "seconds=1.5", "size.mean=2.0")
	}
	p.do("registry", "incr jobs 100", "set users 1", "start")
	wants(t, dir, serve, "jobs=113", "users=1", "size.mean=2.0")
	p.do("close")
	wants(t, dir, serve, "jobs=113", "users=", "size.mean=2.0")
	p.leave("exit")
	wants(t, dir, serve, "jobs=113", "seconds=1.5", "size.mean=")
}

// A program gives up its rights after it has begun to publish. It can't change the
// files of the user that it was, and begins anew under another id.
func TestProgramThatChangesItsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can become another user")
	}
	h := newHerd(t) // for its directory, which every user can get at
	serve := startServe(t, h.dir)
	p := startPuppet(t, h.dir)
	p.do("incr jobs 5", "start")
	wants(t, h.dir, serve, "jobs=5")
	p.do("nobody")
	waitUntil(t, "it has begun anew", func() bool {
		sources, err := serve.trySources()
		return err == nil && slices.ContainsFunc(sources, func(s sourceJSON) bool {
			return s.Name == strconv.Itoa(p.Process.Pid)+"-2" && s.State == "live"
		})
	})
	p.do("incr jobs 1")
	wants(t, h.dir, serve, "jobs=6")
	p.do("close")
	wants(t, h.dir, serve, "jobs=6")
}

// Two containers have the same pid in one pipe directory.
func TestSamePidInTwoNamespaces(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make pid namespaces")
	}
	dir := t.TempDir()
	serve := startServe(t, dir)
	inNamespace := func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID} }
	one, two, three := startPuppet(t, dir, inNamespace), startPuppet(t, dir, inNamespace), startPuppet(t, dir, inNamespace)
	for i, p := range []*puppet{one, two, three} {
		p.do(fmt.Sprintf("incr jobs %d", 1+10*i), "set users 1", "start")
	}
	sources, err := serve.trySources()
	if err != nil || len(sources) != 3 {
		t.Fatalf("/sources has %+v, %v", sources, err)
	}
	for i, want := range []string{"1", "1-2", "1-3"} {
		if sources[i].Name != want || sources[i].PID != 1 || sources[i].State != "live" {
			t.Errorf("source %d is %+v", i, sources[i])
		}
	}
	wants(t, dir, serve, "jobs=33", "users=3")
	one.do("close")
	wants(t, dir, serve, "jobs=33", "users=2")
	two.kill()
	wants(t, dir, serve, "jobs=33", "users=1")
	one.do("incr jobs 1", "start")
	wants(t, dir, serve, "jobs=34", "users=2")
}

// A pipe of a later version of the typed format is left alone, and its plain one
// read in its place.
func TestLaterVersionIsReadAsPlain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := startServe(t, dir)
	p := startPuppet(t, dir)
	p.do("incr jobs 1", "start")
	startForeign(t, dir, "python3", "later.py", "jobs=10", "temp=-1.5")
	startForeign(t, dir, "python3", "publisher.py", "jobs=100")
	for range 20 {
		served, _ := serve.stats(t)
		if served["jobs"] != "111" || served["temp"] != "-1.5" {
			t.Fatalf("serve says %v", served)
		}
	}
	// The reader that opens every entry understands every line of all of them. It
	// waits for ever where it comes just when a plain publisher goes to make a new
	// pipe; then another one is sent.
	reader := lookup(t, "python3")
	waitUntil(t, "the reader of every entry says the same", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		text, err := exec.CommandContext(ctx, reader, "testdata/foreign/reader.py", dir).Output()
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return parseDocument(t, text)["jobs"] == "111"
	})
}
