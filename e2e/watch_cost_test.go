//go:build linux

package e2e

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// With 10,000 stats that all change ten times a second, watch takes less than 64 MB,
// and less than a quarter of a core beyond what it takes to collect them, which is
// what it takes where it shows none of them; on a machine where collecting them takes
// longer than that, less than collecting does. Both run in turns: what else the machine
// does makes either of them dearer, never cheaper, so that the least of several turns is
// what they cost themselves, if each had some of its own.
func TestWatchManyStatsCostsLittle(t *testing.T) {
	const stats, quietTurns, turns = 10_000, 3, 12
	for _, sources := range []int{1, 10} {
		t.Run(fmt.Sprintf("of %d", sources), func(t *testing.T) {
			dir := memoryDir(t)
			for i := range sources {
				startSelf(t, asFull, dir, strconv.Itoa(stats/sources), fmt.Sprintf("app%d", i))
			}
			all := startCosting(t, dir, "", fmt.Sprintf("%d stats", stats))
			none := startCosting(t, dir, "none", "no stat matches")
			costly := func() bool { return all.least-none.least >= max(0.25, none.least) }
			for turn := 0; turn < turns && (costly() || min(all.quiet, none.quiet) < quietTurns); turn++ {
				all.measure()
				none.measure()
			}
			if all.memory() >= 64 {
				t.Errorf("it takes %d MB", all.memory())
			}
			said := fmt.Sprintf("it takes %.0f %% of a core, and %.0f %% without showing anything", 100*all.least, 100*none.least)
			t.Logf("%s, %d MB; %d and %d quiet turns", said, all.memory(), all.quiet, none.quiet)
			switch {
			case !costly():
			case min(all.quiet, none.quiet) < quietTurns:
				t.Skipf("SKIPPED: the machine was never quiet: %s", said)
			default:
				t.Error(said)
			}
		})
	}
}

// A costing is a watch of a directory whose cost is measured a while now and then.
type costing struct {
	*tmux
	dir   string
	pid   string
	least float64 // of a core, at ten collections a second
	quiet int     // turns in which it ran much longer than it waited for a processor
}

// startCosting starts a watch, which pauses as soon as it shows a text.
func startCosting(t *testing.T, dir, pattern, shown string) *costing {
	s := startTmux(t, pipes.DirVariable+"="+dir)
	s.do("resize-window", "-x", "300", "-y", "100")
	s.run("exec " + binary + " watch -n 100ms " + pattern)
	s.waits(shown)
	s.keys("Space")
	s.waits("PAUSED")
	return &costing{s, dir, strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}")), math.Inf(1), 0}
}

// measure lets it run for a while. Where the machine has little time for it, it collects
// less often: what counts is what each collection costs, and they are as many as it has
// read all pipes.
func (c *costing) measure() {
	c.t.Helper()
	const while, aSecond = time.Second, 10
	c.keys("Space")
	c.waits("!PAUSED")
	ran, waited := c.scheduled()
	read := c.hasRead()
	time.Sleep(while) // what it costs meanwhile is the question
	ranSince, waitedSince := c.scheduled()
	ran, waited, read = ranSince-ran, waitedSince-waited, c.hasRead()-read
	c.keys("Space")
	c.waits("PAUSED")
	collections := float64(read) / float64(sizeOfPipes(c.t, c.dir))
	if collections < 2 {
		return
	}
	c.least = min(c.least, ran.Seconds()/collections*aSecond)
	if waited < ran/2 {
		c.quiet++
	}
}

// scheduled returns how long its threads have run, and how long they have waited for a
// processor.
func (c *costing) scheduled() (ran, waited time.Duration) {
	c.t.Helper()
	paths, err := filepath.Glob("/proc/" + c.pid + "/task/*/schedstat")
	if err != nil || len(paths) == 0 {
		c.t.Skipf("SKIPPED: there is no schedstat in /proc: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		var r, w time.Duration
		if _, err := fmt.Sscan(string(text), &r, &w); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
		ran, waited = ran+r, waited+w
	}
	return ran, waited
}

// hasRead returns how many bytes it has read so far.
func (c *costing) hasRead() (bytes int) {
	c.t.Helper()
	text, err := os.ReadFile("/proc/" + c.pid + "/io")
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &bytes); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
	return bytes
}

// memory returns the most megabytes that it has had.
func (c *costing) memory() int {
	c.t.Helper()
	status, err := os.ReadFile("/proc/" + c.pid + "/status")
	if err != nil {
		c.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		c.t.Fatalf("there is no VmHWM in %s", status)
	}
	kilobytes, _ := strconv.Atoi(string(m[1]))
	return kilobytes / 1000
}

// sizeOfPipes returns how many bytes the typed pipes of a directory answer with.
func sizeOfPipes(t *testing.T, dir string) (bytes int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, ".*.typed"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(text)
	}
	return bytes
}

// abound is a program with many stats, every tenth a distribution, all of which
// change all the time.
func abound(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rec, err := statvent.StartRecorder()
	if err != nil {
		return err
	}
	var change []func(step int)
	for i := range n {
		name := fmt.Sprintf("%s.part%02d.stat%05d", args[1], i%100, i)
		if i%10 == 0 {
			d := statvent.NewDistribution(name + ".{0}")
			change = append(change, func(step int) { d.Record(int64(step * i % 977)) })
		} else {
			c := statvent.NewCounter(name)
			change = append(change, func(step int) { c.IncrBy(int64(step%7 + 1)) })
		}
	}
	go func() {
		for step := range time.Tick(50 * time.Millisecond) {
			for _, f := range change {
				f(step.Nanosecond() / 1e6)
			}
		}
	}()
	fmt.Println("ready", rec.Path())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return rec.Close()
}
