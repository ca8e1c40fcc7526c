//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a serve holds when nobody asks it.
type usage struct{ goroutines, descriptors, threads int }

func (s *server) usage() (u usage, err error) {
	resp, err := http.Get(s.pprof + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return u, err
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscanf(resp.Body, "goroutine profile: total %d", &u.goroutines); err != nil {
		return u, err
	}
	proc := "/proc/" + strconv.Itoa(s.Process.Pid)
	descriptors, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return u, err
	}
	threads, err := os.ReadDir(proc + "/task")
	u.descriptors, u.threads = len(descriptors), len(threads)
	return u, err
}

// lookAtRest sees what a serve holds that has answered a few times.
func (c *chaos) lookAtRest() {
	s, err := c.launch("at-rest", filepath.Join(c.home, "at-rest"), os.Geteuid(), newTold())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range documents {
		c.ask(s, path)
	}
	s.clients.CloseIdleConnections()
	time.Sleep(100 * time.Millisecond)
	if c.atRest, err = s.usage(); err != nil {
		c.t.Fatal(err)
	}
	c.endServe(s, syscall.SIGTERM)
}

// threadsBeyond is how many threads a serve may have more than at first: Go keeps
// what it once needed.
const threadsBeyond = 24

// checkRest waits until a serve holds what it held at first.
func (c *chaos) checkRest(s *server) {
	s.clients.CloseIdleConnections()
	var now usage
	var err error
	waitFor(5*time.Second, func() bool {
		now, err = s.usage()
		return err != nil || now.goroutines <= c.atRest.goroutines && now.descriptors <= c.atRest.descriptors
	})
	c.t.Logf("%s has %+v at the end, and one that did nothing %+v", s.name, now, c.atRest)
	if err != nil || now.goroutines > c.atRest.goroutines || now.descriptors > c.atRest.descriptors || now.threads > c.atRest.threads+threadsBeyond {
		c.complain("%s: it holds %+v, %v, and at first %+v", s.name, now, err, c.atRest)
	}
}

// settleLast waits until nothing is left of all but what is retained.
func (c *chaos) settleLast() {
	s := c.last
	if c.main.Load() == nil || s == nil {
		c.complain("there is no serve in the end")
		return
	}
	var left []string
	waitFor(20*time.Second, func() bool {
		c.ask(s, "/stats")
		if left = c.leftovers(s); len(left) > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		return len(left) == 0
	})
	if len(left) > 0 {
		c.complain("left over: %q", left)
	}
	// The rest stays for an hour, and is waited for.
	unread := (&herd{dir: c.dir}).leftovers(c.t)
	for _, name := range unread {
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil {
			c.complain("%v", err)
		}
	}
	c.trace.note("test", "what no serve has read: %q", unread)
	c.ask(s, "/stats")
}

// leftovers returns what shouldn't be in the directory when all have ended. What a serve
// has never read of one that was killed stays for an hour.
func (c *chaos) leftovers(s *server) (left []string) {
	h := &herd{dir: c.dir}
	for _, name := range h.leftovers(c.t) {
		switch {
		case h.age(name):
			left = append(left, name)
		case c.isLost(name) || !strings.HasSuffix(name, ".stats") && c.isUnread(name, s):
		default:
			left = append(left, name)
		}
	}
	return left
}

// isUnread tells whether the serve may never have read that recorder.
func (c *chaos) isUnread(name string, s *server) bool {
	_, id, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
	id, _, _ = strings.Cut(id, ".")
	_, isRead := s.read.Load(id)
	return !isRead
}

// isLost tells whether that is of an actor that was killed when somebody had deleted
// some of its files.
func (c *chaos) isLost(name string) bool {
	stem, _, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
	pid, _, _ := strings.Cut(stem, "-")
	return slices.ContainsFunc(c.look().actors, func(a *actor) bool { return strconv.Itoa(a.pid) == pid && a.now().lost })
}

// checkEnd checks that everybody is told the same when all is quiet. What may be said
// then has become one number for all that were closed properly.
func (c *chaos) checkEnd() {
	if c.last == nil || c.main.Load() == nil {
		return
	}
	for i, s := range c.look().standings {
		if a := c.actors[i]; a.kind == ending && !s.signalled && a.role == aPuppet && s.open {
			c.complain("number %d: it wasn't closed: %v", a.n, s)
		}
	}
	servers := append([]*server{c.last}, c.others...)
	for _, s := range servers {
		c.settle(s)
		for _, path := range documents {
			c.ask(s, path)
		}
	}
	c.catHost()
	c.catTyped()
	for _, s := range servers {
		c.checkRest(s)
		c.endServe(s, syscall.SIGTERM)
	}
	saved, err := os.ReadDir(c.state)
	for _, entry := range saved {
		if !strings.HasPrefix(entry.Name(), "seen-") && !strings.HasPrefix(entry.Name(), ".tmp-seen-") {
			c.complain("the state directory has %s", entry.Name())
		}
	}
	if err != nil {
		c.complain("%v", err)
	}
}
