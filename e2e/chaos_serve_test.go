//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

// A server is one serve, from its start to its end.
type server struct {
	*service
	name    string
	main    bool // it is restarted, and goes on from what the one before has saved
	uid     int
	pprof   string
	log     string
	clients http.Client

	asking sync.RWMutex // shared by the requests that are under way
	before atomic.Pointer[view]
	told   atomic.Pointer[told]
	read   sync.Map // ids of recorders -> whether it has said something of them
}

// told is what a serve has said of each actor at the least, and of the sums that many
// share: it goes on from there. Another one begins when all was deleted.
type told struct {
	mu     sync.Mutex
	own    map[int]int64
	shared map[string]float64
	silent map[int]bool // the pids of those who hadn't answered in time the last time
}

// noteSilent notes which pids haven't answered, and returns of which that was so before.
func (t *told) noteSilent(silent map[int]bool) (before map[int]bool) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before, t.silent = t.silent, silent
	return before
}

func newTold() *told { return &told{own: make(map[int]int64), shared: make(map[string]float64)} }

// least returns what was said by now.
func (t *told) least() *told {
	if t == nil {
		return newTold()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return &told{own: maps.Clone(t.own), shared: maps.Clone(t.shared)}
}

func (t *told) raise(own map[int]int64, shared map[string]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, v := range own {
		t.own[n] = max(t.own[n], v)
	}
	for name, v := range shared {
		t.shared[name] = max(t.shared[name], v)
	}
}

// What the serves of an episode are told.
const (
	chaosDeadline   = pipes.DefaultDeadline
	chaosStaleAfter = 2 * time.Second
)

var pprofInLog = regexp.MustCompile(`address=(http://[^/]+)/debug`)

// launch starts a serve and returns when it listens.
func (c *chaos) launch(name, state string, uid int, least *told) (*server, error) {
	s := &server{name: name, uid: uid, log: filepath.Join(c.home, name+".log")}
	s.clients.Transport = &http.Transport{}
	s.told.Store(least)
	s.before.Store(c.look())
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.tool, "serve", "-d", c.dir, "--listen", "127.0.0.1:0", "--pprof", "127.0.0.1:0", "--state-dir", state,
		"--deadline", chaosDeadline.String(), "--stale-after", chaosStaleAfter.String())
	cmd.Stderr, cmd.Stdout = log, log
	become(cmd, uid)
	p, err := c.spawn(cmd, 0)
	if err != nil {
		return nil, err
	}
	s.service = &service{process: p}
	for began := time.Now(); s.url == "" || s.pprof == ""; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(s.log)
		if m := urlInLog.FindSubmatch(text); m != nil {
			s.url = string(m[1])
		}
		if m := pprofInLog.FindSubmatch(text); m != nil {
			s.pprof = string(m[1])
		}
		if err != nil || time.Since(began) > patience || isClosed(p.exited) {
			return nil, fmt.Errorf("it doesn't listen: %w: %s", err, text)
		}
	}
	return s, nil
}

// startServes starts those that there are from the beginning.
func (c *chaos) startServes() {
	c.beginMain(newTold())
	start := func(name string, uid int) {
		state := filepath.Join(c.home, name)
		if err := os.Mkdir(state, 0o700); err != nil {
			c.t.Fatal(err)
		}
		if err := os.Chown(state, uid, -1); err != nil {
			c.t.Fatal(err)
		}
		s, err := c.launch(name, state, uid, newTold())
		if err != nil {
			c.t.Fatal(err)
		}
		c.others = append(c.others, s)
	}
	if c.shape.twoRoots {
		start("second", os.Geteuid())
	}
	if c.shape.another {
		start("nobodys", nobodyUID)
	}
}

func (c *chaos) beginMain(least *told) {
	name := fmt.Sprintf("serve-%d", c.tally.restarts.Load())
	s, err := c.launch(name, c.state, os.Geteuid(), least)
	if err != nil {
		c.complain("%s: %v", name, err)
		return
	}
	s.main = true
	c.trace.note("world", "%s listens", name)
	c.last = s
	c.main.Store(s)
}

// restartMain ends the serve, in one way or another, and starts it again, with what it
// has saved or without.
func (c *chaos) restartMain(r *rand.Rand) {
	signal := []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[r.IntN(2)]
	pause := time.Duration(r.Int64N(int64(300 * time.Millisecond)))
	forgets := r.IntN(5) == 0
	s := c.last
	c.trace.note("world", "%s gets %v; the next one comes after %v, and state is dropped: %v", s.name, signal, pause, forgets)
	c.main.Store(nil)
	c.endServe(s, signal)
	c.tally.restarts.Add(1)
	if forgets {
		if err := os.RemoveAll(c.state); err != nil {
			c.complain("%v", err)
		}
	}
	time.Sleep(pause)
	c.beginMain(c.inherited(s))
}

// endServe ends one, and checks what it leaves.
func (c *chaos) endServe(s *server, signal syscall.Signal) {
	_ = s.Process.Signal(signal)
	select {
	case <-s.exited:
	case <-time.After(patience):
		c.complain("%s doesn't end", s.name)
		_ = s.Process.Kill()
		<-s.exited
	}
	s.clients.CloseIdleConnections()
	want := 0
	if signal == syscall.SIGKILL {
		want = -1
	}
	if code := s.ProcessState.ExitCode(); code != want {
		c.complain("%s ends with exit code %d", s.name, code)
	}
	c.checkLog(s)
}

// troubleInLog is what no log may have.
var troubleInLog = regexp.MustCompile(`panic|goroutine \d|fatal error|level=ERROR|DATA RACE`)

func (c *chaos) checkLog(s *server) {
	text, err := os.ReadFile(s.log)
	if err != nil {
		c.complain("%v", err)
	}
	for line := range strings.Lines(string(text)) {
		if troubleInLog.MatchString(line) {
			c.complain("%s logs %s", s.name, line)
		}
	}
}

// settle takes down a moment at which no collection is made: what was done by then was
// done before the collection began that answers a later request.
func (c *chaos) settle(s *server) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.before.Store(c.look())
}
