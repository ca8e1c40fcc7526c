//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A strain is what a serve is put to: a system call that fails.
type strain struct {
	injection
	cuts   bool // connections too
	silent bool // it costs nobody anything, or may, so nothing has to be said
}

// strains are the calls that serve makes, and how they fail. What they make it say is
// the error's text. Those of one group fail one after the other, of the same serve.
var strains = map[string][]strain{
	"open and stat": {
		{injection: injection{calls: anyOpen, error: "EMFILE", when: "3+5"}},
		{injection: injection{calls: anyOpen, error: "EIO", when: "2+4"}},
		{injection: injection{calls: anyOpen, error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: anyOpen, error: "EACCES", when: "3+5"}},
		{injection: injection{calls: anyStat, error: "EIO", when: "4+7"}},
		{injection: injection{calls: anyStat, error: "EACCES", when: "4+7"}},
		{injection: injection{calls: anyStat, error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: anyOpen, error: "ENFILE", when: "2+3"}},
		{injection: injection{calls: anyOpen, error: "ENOMEM", when: "2+3"}},
		{injection: injection{calls: anyOpen, error: "ENOSPC", when: "2+3"}},
		{injection: injection{calls: anyStat, error: "ENOMEM", when: "2+3"}},
	},
	"list, read and lock": {
		{injection: injection{calls: "getdents64", error: "EIO", when: "2+9"}},
		{injection: injection{calls: "getdents64", error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: "lseek", error: "EIO", when: "2+3"}},
		{injection: injection{calls: "read", error: "EIO", when: "2+3"}, cuts: true},
		{injection: injection{calls: "read", error: "EINTR", when: "1+2"}, cuts: true, silent: true},
		{injection: injection{calls: "read", error: "EACCES", when: "3+4"}, cuts: true},
		{injection: injection{calls: "flock", error: "ENOLCK", when: "1+1"}},
		{injection: injection{calls: "flock", error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: "flock", error: "EIO", when: "1+1"}},
		{injection: injection{calls: anyPoll, error: "EIO", when: "1+2"}, silent: true},
		{injection: injection{calls: anyPoll, error: "ENOMEM", when: "1+3"}, silent: true},
		{injection: injection{calls: anyPoll, error: "EINTR", when: "1+2"}, silent: true},
	},
	"change": {
		{injection: injection{calls: anyRename, error: "ENOSPC", when: "1+2"}},
		{injection: injection{calls: anyRename, error: "EIO", when: "1+2"}},
		{injection: injection{calls: anyRename, error: "EACCES", when: "1+2"}, silent: true}, // as where another may
		{injection: injection{calls: anyRename, error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: anyUnlink, error: "EIO", when: "1+2"}},
		{injection: injection{calls: anyUnlink, error: "EACCES", when: "1+2"}, silent: true},
		{injection: injection{calls: anyUnlink, error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: anyChmod, error: "EIO", when: "1+2"}},
		{injection: injection{calls: anyChmod, error: "EPERM", when: "1+2"}, silent: true},
		{injection: injection{calls: "fcntl", error: "EIO", when: "1+2"}, silent: true, cuts: true},
		{injection: injection{calls: "tgkill", error: "EPERM", when: "1+2"}, silent: true},
	},
	"connections": {
		{injection: injection{calls: "accept4", error: "EMFILE", when: "1+2"}, cuts: true},
		{injection: injection{calls: "accept4", error: "ENOBUFS", when: "1+2"}, cuts: true},
		{injection: injection{calls: "accept4", error: "EPERM", when: "1+2"}, cuts: true},
		{injection: injection{calls: "accept4", error: "EIO", when: "1+2"}, cuts: true},
		{injection: injection{calls: "accept4", error: "EINTR", when: "1+2"}, silent: true},
		{injection: injection{calls: "epoll_ctl", error: "ENOSPC", when: "1+2"}, cuts: true},
		{injection: injection{calls: "epoll_ctl", error: "ENOMEM", when: "2+3"}, cuts: true},
		{injection: injection{calls: "setsockopt", error: "ENOBUFS", when: "1+2"}, silent: true, cuts: true},
		{injection: injection{calls: "getsockname", error: "ENOBUFS", when: "1+2"}, silent: true, cuts: true},
	},
}

// One system call after another fails, now and then, while programs begin, end and
// are killed, and scripts emit. serve lives, answers in time, and says what failed. No
// counter is above what was counted, none falls, neither then nor later; and when
// nothing fails any more all are exact, and nothing is left of who is gone.
func TestServeWhileSystemCallsFail(t *testing.T) {
	needStrace(t)
	for name, group := range strains {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for _, strain := range group {
				for _, when := range strainWhen(strain) {
					strain.when = when
					t.Run(strain.String(), func(t *testing.T) { s.play(t, strain) })
				}
			}
			s.finish(t)
			if code := awaitExit(t, s.serve.process); code != 0 {
				t.Errorf("serve ends with exit code %d", code)
			}
		})
	}
}

func strainWhen(s strain) []string {
	if *injectAll {
		return []string{"1+2", "2+3", "3+4", "3+5", "4+7", "1+11"}
	}
	return []string{s.when}
}

// Every other call is interrupted that Go's runtime, too, makes again and again. strace
// doesn't let go of a process that waits in one without harm, so it stays to the end.
func TestServeWhileItIsInterrupted(t *testing.T) {
	needStrace(t)
	t.Parallel()
	s := newStage(t)
	interrupted := strain{injection: injection{calls: anyWait + ",write,read,accept4," + anyOpen + "," + anyStat, error: "EINTR", when: "1+2"}}
	_, failed := interrupted.into(t, s.serve.Process.Pid)
	s.act(t, interrupted)
	s.finish(t)
	if code, news := awaitExit(t, s.serve.process), s.log.news(t); code != 0 || hasStack(news) {
		t.Errorf("serve ends with exit code %d and says %s", code, news)
	}
	for call := range strings.SplitSeq(interrupted.calls, ",") {
		if calls := strings.Join(failed(), "\n"); !strings.Contains(calls, " "+call+"(") && !strings.HasPrefix(call, "?") && !strings.Contains(calls, call+" resumed") {
			t.Errorf("%s isn't interrupted", call)
		}
	}
}

// serve can't write to its log: it does what it does.
func TestServeWhoseLogCanNotBeWritten(t *testing.T) {
	needStrace(t)
	t.Parallel()
	for _, errno := range []string{"EIO", "ENOSPC", "EPIPE"} {
		s := newStage(t)
		noLog := strain{injection: injection{calls: "write", error: errno, path: s.log.path}}
		end, failed := noLog.into(t, s.serve.Process.Pid)
		s.act(t, noLog)
		end()
		if len(failed()) == 0 || s.answers != scenes()*answersPerScene {
			t.Errorf("%s: %d lines can't be written, and there are %d answers", errno, len(failed()), s.answers)
		}
		s.finish(t)
		if code := awaitExit(t, s.serve.process); code != 0 {
			t.Errorf("%s: serve ends with exit code %d", errno, code)
		}
	}
}

// What serve saw last can't be saved when it ends: it says so, and fails.
func TestServeThatCanNotSaveItsState(t *testing.T) {
	needStrace(t)
	t.Parallel()
	for _, i := range []injection{
		{calls: anyRename, error: "ENOSPC"},
		{calls: anyRename, error: "EIO"},
		{calls: anyOpen, error: "EMFILE"},
		{calls: anyOpen, error: "EACCES"},
		{calls: anyMkdir, error: "ENOSPC"},
	} {
		s := newStage(t)
		s.log.news(t)
		if i.calls == anyMkdir {
			waitUntil(t, "it is saved for the first time", func() bool { return exists(s.state()) })
			if err := os.RemoveAll(s.state()); err != nil {
				t.Fatal(err)
			}
		}
		_, failed := i.into(t, s.serve.Process.Pid)
		_ = s.serve.Process.Signal(syscall.SIGTERM)
		code, news := awaitExit(t, s.serve.process), s.log.news(t)
		lines := strings.Split(strings.TrimSpace(news), "\n")
		last := lines[len(lines)-1]
		isSaid := strings.HasPrefix(last, "statvent: what was seen last can't be saved, so counters may fall at the next start: ") && strings.HasSuffix(last, errorTexts[i.error])
		if code != 1 || !isSaid || hasStack(news) {
			t.Errorf("%v: serve ends with exit code %d and says %s\nthese failed: %q", i, code, news, failed())
		}
		s.serve = s.startServe(t)
		s.settle(t)
	}
}

// Each system call of the start fails once: serve serves, or ends with a line that says
// why not.
func TestServeWhoseStartFails(t *testing.T) {
	needStrace(t)
	t.Parallel()
	for _, i := range []injection{
		{calls: "socket", error: "EMFILE"},
		{calls: "socket", error: "EACCES"},
		{calls: "bind", error: "EADDRINUSE"},
		{calls: "bind", error: "EACCES"},
		{calls: "listen", error: "EADDRINUSE"},
		{calls: "setsockopt", error: "ENOMEM"},
		{calls: "getsockname", error: "ENOBUFS"},
		{calls: anyOpen, error: "EMFILE"},
		{calls: anyOpen, error: "EACCES"},
		{calls: anyOpen, error: "EIO"},
		{calls: "read", error: "EIO"},
		{calls: anyStat, error: "EIO"},
		{calls: anyStat, error: "EACCES"},
	} {
		t.Run(i.name()+" "+i.error, func(t *testing.T) {
			t.Parallel()
			injected := 0
			for n := 1; injectStart(t, i, n) > 0; n++ {
				injected++
			}
			if injected == 0 {
				t.Errorf("it is not called")
			}
			t.Logf("%d starts", injected)
		})
	}
}

// injectStart has the nth call of each thread fail, and returns how many failed.
func injectStart(t *testing.T, i injection, n int) int {
	t.Helper()
	base := memoryDir(t)
	i.when = fmt.Sprint(n)
	log := filepath.Join(base, "strace")
	cmd := i.strace(t, log, "-D", binary, "serve", "-d", filepath.Join(base, "pipes"), "--listen", "127.0.0.1:0", "--state-dir", filepath.Join(base, "state"))
	stderr, err := os.Create(filepath.Join(base, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	p := start(t, cmd)
	var text, url string
	waitUntil(t, "serve serves or ends", func() bool {
		said, err := os.ReadFile(stderr.Name())
		text = string(said)
		if m := urlInLog.FindStringSubmatch(text); err == nil && m != nil {
			url = m[1]
		}
		return url != "" || isClosed(p.exited)
	})
	if url != "" {
		client := http.Client{Timeout: answerTime, Transport: &http.Transport{DisableKeepAlives: true}}
		waitUntil(t, "it answers", func() bool {
			resp, err := client.Get(url + "/stats")
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	code := awaitExit(t, p)
	said, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	text = string(said)
	var trace []byte
	isOver, ended := false, regexp.MustCompile(fmt.Sprintf(`(?m)^%d +\+\+\+ `, p.Process.Pid))
	waitFor(patience, func() bool {
		trace, err = os.ReadFile(log)
		isOver = err == nil && ended.Match(trace)
		return isOver
	})
	if !isOver {
		t.Fatalf("strace doesn't say that process %d has ended (exit code %d, %v): %s", p.Process.Pid, code, err, trace)
	}
	failed := failedCalls(t, log)
	last := text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:]
	if i := strings.Index(text, "statvent: "); i >= 0 {
		last = text[i:] // and a hint
	}
	want, why := 1, errorTexts[i.error]
	if strings.Contains(last, "the configuration file") {
		want = 2
	}
	if i.calls == "getsockname" {
		why = "the system doesn't say"
	}
	if hasStack(text) || code != 0 && (code != want || !strings.HasPrefix(last, "statvent: ") || !strings.Contains(last, why)) {
		t.Errorf("the %d. call of %s fails with %s: exit code %d, %s\nthese failed: %q", n, i.name(), i.error, code, text, failed)
	}
	return len(failed)
}

// A stage is a serve, and who publishes for it.
type stage struct {
	t          *testing.T
	emitter    emitter
	serve      *service
	log        logged
	client     *http.Client
	performers []*performer
	emitted    int64
	said       map[string]int64 // counter -> the most that an answer has said
	heard      strings.Builder  // what was said of failures
	told       map[string]bool  // which failures that were
	answers    int
}

// A performer is a program.
type performer struct {
	*puppet
	name    string // of its own counter
	counted int64
	state   actorState
}

type actorState int

const (
	acting actorState = iota
	closed
	killed
)

// What an answer has: "own.N" of each performer, their sum, "jobs" of scripts, and how
// many performers there are.
const (
	stageTotal   = "steps"
	stageEmitted = "jobs"
	stageAlive   = "alive"
)

// stageDeadline is that of a collection; answerTime is what an answer may take, on a
// busy machine, where each system call takes two visits to strace.
const (
	stageDeadline = 300 * time.Millisecond
	answerTime    = 10 * time.Second
)

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, emitter: newEmitter(t), said: make(map[string]int64), told: make(map[string]bool)}
	s.client = &http.Client{Timeout: answerTime, Transport: &http.Transport{DisableKeepAlives: true}}
	s.serve = s.startServe(t)
	for range 2 {
		s.enter(t)
	}
	s.emit(t)
	s.settle(t)
	s.answers = 0
	return s
}

func (s *stage) startServe(t *testing.T) *service {
	t.Helper()
	serve := startServe(s.t, s.emitter.dir, "--state-dir", s.state(), "--deadline", stageDeadline.String())
	s.log = logged{path: serve.Stderr.(*os.File).Name()}
	return serve
}

func (s *stage) state() string { return filepath.Join(filepath.Dir(s.emitter.dir), "state") }

// enter starts a performer.
func (s *stage) enter(t *testing.T) *performer {
	t.Helper()
	a := &performer{puppet: startPuppet(s.t, s.emitter.dir), name: fmt.Sprint("own.", len(s.performers))}
	s.performers = append(s.performers, a)
	a.do("set " + stageAlive + " 1")
	s.count(a, 3)
	a.do("start")
	return a
}

func (s *stage) count(a *performer, steps int64) {
	a.counted += steps
	a.do(fmt.Sprintf("incr %s %d", a.name, steps), fmt.Sprintf("incr %s %d", stageTotal, steps))
}

func (s *stage) emit(t *testing.T) {
	t.Helper()
	s.emitter.stores(stageEmitted, "2")
	s.emitted += 2
}

// play is one act: a strain, and what becomes of it.
func (s *stage) play(t *testing.T, strain strain) {
	s.heard.Reset()
	s.log.news(t)
	s.answers = 0
	end, failedCalls := strain.into(t, s.serve.Process.Pid)
	s.act(t, strain)
	answers := s.answers
	end()
	failed := failedCalls()
	if len(failed) == 0 && (!*injectAll || strings.HasPrefix(strain.when, "1+")) { // else it isn't called so often
		t.Errorf("nothing failed: %s is not called", strain.name())
	}
	if answers < scenes() && !*injectAll { // else it may fail too often
		t.Errorf("%d answers are hardly any", answers)
	}
	s.settle(t)
	s.heard.WriteString(s.log.news(t))
	heard, said := s.heard.String(), errorTexts[strain.error]
	if hasStack(heard) {
		t.Errorf("serve says %s", heard)
	}
	what := strain.name() + " " + strain.error
	if len(failed) > 0 && !strain.silent && !s.told[what] && !strings.Contains(heard, said) {
		t.Errorf("nobody is told %q, but %s; these failed:\n%s", said, heard, strings.Join(failed, "\n"))
	}
	s.told[what] = s.told[what] || len(failed) > 0 // some is said once a minute
	t.Logf("%d calls failed, %d answers", len(failed), answers)
}

// act is what goes on meanwhile.
func (s *stage) act(t *testing.T, strain strain) {
	t.Helper()
	for range scenes() {
		s.scene(t, strain)
	}
}

// scenes are as many as it takes to have each call fail at several places.
func scenes() int {
	if *injectAll {
		return 8
	}
	return 2
}

const answersPerScene = 11

func (s *stage) scene(t *testing.T, strain strain) {
	t.Helper()
	ask := func(times int) {
		t.Helper()
		for range times {
			s.ask(t, strain)
		}
	}
	s.count(s.performers[0], 5)
	first, second := s.enter(t), s.enter(t)
	ask(3)
	s.count(first, 4)
	s.count(second, 4)
	s.emit(t)
	ask(2)
	first.do("close")
	first.leave("")
	first.state = closed
	second.kill()
	second.state = killed
	s.emit(t)
	ask(6)
}

// ask gets one answer, and checks it. It is what a client does that takes no for an
// answer: a connection may break where connections do, and a collection may fail.
func (s *stage) ask(t *testing.T, strain strain) {
	t.Helper()
	for range 4 {
		began := time.Now()
		status, body, err := s.get("/sources?stats=1")
		if took := time.Since(began); took > answerTime {
			t.Errorf("an answer took %v", took)
		}
		switch {
		case isClosed(s.serve.exited):
			t.Fatalf("serve has ended: %v: %s", s.serve.ProcessState, s.log.news(t))
		case err != nil && !strain.cuts:
			t.Errorf("no answer: %v", err)
		case err != nil:
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("no answer: %v", err)
			}
		case status == http.StatusServiceUnavailable:
			s.heard.Write(body)
		case status != http.StatusOK:
			t.Errorf("%d: %s", status, body)
		default:
			s.check(t, body)
			return
		}
	}
}

func (s *stage) get(path string) (status int, body []byte, err error) {
	resp, err := s.client.Get(s.serve.url + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// stageSource is what an answer says of a source.
type stageSource struct {
	Name, Kind, State, Error string
	Values                   map[string]json.Number
}

// saying returns what each source says of a stat, for a message.
func saying(sources []stageSource, name string) string {
	var b strings.Builder
	for _, s := range sources {
		fmt.Fprintf(&b, "\n\t%s (%s, %s): %s %s", s.Name, s.Kind, s.State, s.Values[name], s.Error)
	}
	return b.String()
}

// check checks the answer to /sources?stats=1, of which the values add up to those of
// /stats, and returns them and the sources.
func (s *stage) check(t *testing.T, body []byte) (map[string]int64, []stageSource) {
	t.Helper()
	s.answers++
	var report struct{ Sources []stageSource }
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	values := make(map[string]int64)
	for _, source := range report.Sources {
		s.heard.WriteString(source.Error + "\n")
		for name, number := range source.Values {
			value, err := number.Int64()
			if err != nil {
				t.Errorf("%s is %s", name, number)
			}
			values[name] += value
		}
	}
	most := map[string]int64{stageEmitted: s.emitted, stageAlive: int64(len(s.performers))}
	for _, a := range s.performers {
		most[a.name] = a.counted
		most[stageTotal] += a.counted
	}
	for name, value := range values {
		if value > most[name] {
			t.Errorf("%s is %d, and there are %d: %s", name, value, most[name], saying(report.Sources, name))
		}
	}
	for name, value := range s.said {
		if values[name] < value {
			t.Errorf("%s was %d, and is %d: %s", name, value, values[name], saying(report.Sources, name))
		}
	}
	for name, value := range values {
		if name != stageAlive {
			s.said[name] = value
		}
	}
	return values, report.Sources
}

// settle waits until the numbers are exact, when nothing fails.
func (s *stage) settle(t *testing.T) {
	t.Helper()
	wrong := ""
	waitFor(patience, func() bool {
		status, body, err := s.get("/sources?stats=1")
		if err != nil || status != http.StatusOK {
			wrong = fmt.Sprintf("%d %v %s", status, err, body)
			return false
		}
		values, sources := s.check(t, body)
		if wrong = s.missing(values, sources); wrong == "" {
			wrong = s.litter(t)
		}
		if wrong != "" {
			wrong += saying(sources, stageTotal)
		}
		return wrong == ""
	})
	if wrong != "" {
		t.Errorf("when nothing fails: %s", wrong)
	}
}

// missing says what is not exact.
func (s *stage) missing(values map[string]int64, sources []stageSource) string {
	var total, alive int64
	for _, a := range s.performers {
		got := values[a.name]
		total += got
		if a.state == acting {
			alive++
		}
		if got != a.counted && a.state != killed || got < s.said[a.name] {
			return fmt.Sprintf("%s is %d, of %d; ", a.name, got, a.counted)
		}
	}
	switch {
	case values[stageTotal] != total:
		return fmt.Sprintf("%s is %d, of %d; ", stageTotal, values[stageTotal], total)
	case values[stageAlive] != alive:
		return fmt.Sprintf("%d are alive, of %d; ", values[stageAlive], alive)
	case values[stageEmitted] != s.emitted:
		return fmt.Sprintf("%d are emitted, of %d; ", values[stageEmitted], s.emitted)
	}
	for _, source := range sources {
		unread := source.State == "stale" && source.Kind == "typed" && len(source.Values) == 0 // killed, and kept for an hour
		if source.State != "live" && source.State != "retained" && !unread {
			return fmt.Sprintf("%s is %s; ", source.Name, source.State)
		}
	}
	return ""
}

// litter says what is left of who is gone.
func (s *stage) litter(t *testing.T) string {
	t.Helper()
	h := &herd{dir: s.emitter.dir}
	for _, name := range h.leftovers(t) {
		if h.age(name) {
			continue
		}
		stem, _, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
		mayBeThere := false
		for _, a := range s.performers {
			unread := a.state == killed && s.said[a.name] == 0 // see missing
			mayBeThere = mayBeThere || (a.state == acting || unread) && stem == fmt.Sprint(a.Process.Pid)
		}
		if !mayBeThere {
			return name + " is left; "
		}
	}
	return ""
}

// finish ends all.
func (s *stage) finish(t *testing.T) {
	t.Helper()
	for _, a := range s.performers {
		if a.state == acting {
			a.do("close")
			a.leave("")
			a.state = closed
		}
	}
	s.settle(t)
	_ = s.serve.Process.Signal(syscall.SIGTERM)
}
