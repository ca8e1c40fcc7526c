//go:build linux

package e2e

import (
	"fmt"
	"io"
	"os"
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
// what it takes where it shows none of them.
func TestWatchManyStatsCostsLittle(t *testing.T) {
	const stats, interval, seconds = 10_000, 100 * time.Millisecond, 4
	dir := memoryDir(t)
	startSelf(t, asFull, dir, strconv.Itoa(stats))
	costs := func(pattern, shown string) (share float64, megabytes int) {
		s := startTmux(t, pipes.DirVariable+"="+dir)
		s.do("resize-window", "-x", "300", "-y", "100")
		s.run("exec " + binary + " watch -n " + interval.String() + " " + pattern)
		s.waits(shown)
		pid := strings.TrimSpace(s.do("display-message", "-p", "#{pane_pid}"))
		before, began := cpuTime(t, pid), time.Now()
		time.Sleep(seconds * time.Second) // what it costs meanwhile is the question
		share = (cpuTime(t, pid) - before).Seconds() / time.Since(began).Seconds()
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			t.Fatalf("there is no VmHWM in %s", status)
		}
		kilobytes, _ := strconv.Atoi(string(m[1]))
		s.keys("q")
		return share, kilobytes / 1000
	}
	all, megabytes := costs("", fmt.Sprintf("%d stats", stats))
	none, _ := costs("none", "no stat matches")
	t.Logf("%.0f %% of a core, %.0f %% without showing anything, %d MB", 100*all, 100*none, megabytes)
	if all-none > 0.25 {
		t.Errorf("it takes %.0f %% of a core, and %.0f %% without showing anything", 100*all, 100*none)
	}
	if megabytes >= 64 {
		t.Errorf("it takes %d MB", megabytes)
	}
}

// cpuTime returns what a process has had of the processors.
func cpuTime(t *testing.T, pid string) time.Duration {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const userField, systemField, tick = 14 - 3, 15 - 3, 10 * time.Millisecond // see proc(5)
	user, _ := strconv.Atoi(fields[userField])
	system, _ := strconv.Atoi(fields[systemField])
	return time.Duration(user+system) * tick
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
		name := fmt.Sprintf("app.part%02d.stat%05d", i%100, i)
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
