//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

// programFaults are the calls that the library makes in a program, and how they fail.
// It reads nothing, and what it writes to a reader who leaves it writes again.
var programFaults = []injection{
	{calls: anyOpen, error: "EMFILE", when: "1+2"},
	{calls: anyOpen, error: "EACCES", when: "2+3"},
	{calls: anyOpen, error: "EIO", when: "2+3"},
	{calls: strings.Join([]string{anyOpen, anyStat, anyMknod, anyRename, anyUnlink, anyChmod, "flock,getdents64"}, ","), error: "EINTR", when: "1+2"},
	{calls: anyStat, error: "EIO", when: "2+3"},
	{calls: anyStat, error: "EACCES", when: "2+3"},
	{calls: anyMknod, error: "ENOSPC", when: "1+2"},
	{calls: anyMknod, error: "EIO", when: "1+2"},
	{calls: anyMknod, error: "EACCES", when: "1+2"},
	{calls: anyRename, error: "ENOSPC", when: "1+2"},
	{calls: anyRename, error: "EIO", when: "1+2"},
	{calls: anyUnlink, error: "EIO", when: "1+2"},
	{calls: anyChmod, error: "EIO", when: "1+2"},
	{calls: "flock", error: "ENOLCK", when: "1+2"},
	{calls: "getdents64", error: "EIO", when: "1+2"},
	{calls: "fcntl", error: "EIO", when: "1+2"},
}

// System calls of a program that publishes fail, one after another, while it begins to
// publish, publishes, and ends. Its own work goes on; no reader ever sees more than it
// has counted, nor less than before; when nothing fails any more all of it is there,
// and nothing else is left.
func TestProgramWhileSystemCallsFail(t *testing.T) {
	needStrace(t)
	for _, i := range programFaults {
		t.Run(i.String(), func(t *testing.T) {
			t.Parallel()
			failed := 0
			for _, phase := range []string{"begins", "publishes", "ends"} {
				t.Run(phase, func(t *testing.T) {
					p := &program{t: t, i: i, dir: newEmitter(t).dir}
					p.puppet = startPuppet(t, p.dir)
					p.collector = pipes.NewCollector(pipes.CollectorOptions{Dir: p.dir, Deadline: stageDeadline, StaleAfter: time.Second, Tidy: true})
					defer p.collector.Close()
					p.play(phase)
					failed += p.failed
				})
			}
			if failed == 0 {
				t.Errorf("nothing failed: %s is not called", i.name())
			}
		})
	}
}

type program struct {
	*puppet
	t         *testing.T
	i         injection
	dir       string
	collector *pipes.Collector
	counted   int64
	seen      int64 // by the collector
	failed    int   // calls
}

func (p *program) play(phase string) {
	t := p.t
	p.count()
	if phase != "begins" {
		p.do("start")
		p.awaitAll()
	}
	end, failed := p.i.into(t, p.Process.Pid)
	p.count()
	begun, closed := phase != "begins", false
	switch phase {
	case "begins":
		begun = p.tries("start")
	case "publishes":
		for range 6 {
			p.look()
			p.count()
		}
	case "ends":
		closed = p.tries("close")
	}
	p.count()
	p.look()
	end()
	p.failed = len(failed())
	t.Logf("%d calls failed", p.failed)
	if !begun {
		p.do("start")
	}
	if phase != "ends" {
		p.awaitAll()
		p.do("close")
	} else {
		// What is counted after Close is for the next recorder.
		p.do("start")
		p.count()
		p.do("close")
	}
	p.leave("")
	if phase == "ends" && !closed {
		// Close has said that it couldn't: what a reader had seen is all that is sure.
		p.awaitTidy()
		return
	}
	p.awaitAll()
	p.awaitTidy()
}

func (p *program) count() {
	p.counted += 3
	p.do("incr jobs 3")
}

// tries does something that may fail, and tells whether it did not.
func (p *program) tries(what string) bool {
	p.t.Helper()
	p.say(what)
	_ = p.pipe.SetReadDeadline(time.Now().Add(patience))
	answer, err := p.answers.ReadString('\n')
	if err != nil {
		p.t.Fatalf("it doesn't %s: %v: %s", what, err, p.stderr)
	}
	said := strings.TrimPrefix(strings.TrimSpace(answer), what+" ")
	if said != "<nil>" && !strings.Contains(said, errorTexts[p.i.error]) && !strings.Contains(said, "out of descriptors") {
		p.t.Errorf("it can't %s: %s", what, said)
	}
	return said == "<nil>"
}

// look reads what is published.
func (p *program) look() (all bool) {
	p.t.Helper()
	collection, err := p.collector.Collect(p.t.Context())
	if err != nil {
		if !os.IsNotExist(err) {
			p.t.Error(err)
		}
		return false
	}
	value, _ := collection.Total().Lookup("jobs")
	if got := value.Int64(); got > p.counted || got < p.seen {
		p.t.Errorf("%d are seen, of %d, and %d were", got, p.counted, p.seen)
	}
	p.seen = value.Int64()
	return p.seen == p.counted
}

func (p *program) awaitAll() {
	p.t.Helper()
	waitUntil(p.t, fmt.Sprintf("all %d are seen", p.counted), p.look)
}

// awaitTidy waits until nothing is left but the retained file and its lock.
func (p *program) awaitTidy() {
	p.t.Helper()
	h := &herd{dir: p.dir}
	var left []string
	waitFor(patience, func() bool {
		left = nil
		for _, name := range h.leftovers(p.t) {
			if p.i.calls == anyUnlink {
				h.age(name)
			}
			left = append(left, name)
		}
		p.look()
		return len(left) == 0
	})
	if len(left) > 0 {
		p.t.Errorf("left over: %q", left)
	}
}
