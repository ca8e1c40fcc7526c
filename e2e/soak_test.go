//go:build linux

package e2e

import (
	"bytes"
	byteorder "encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

var soakFor = flag.Duration("soak-for", 20*time.Second, "how long TestSoak runs, or a quarter of it with -short")

const (
	soakWorkers = 100 // at a time
	soakLife    = 6 * time.Second
	soakCounter = "soak.steps"
	soakLatency = "soak.latency.{0}"
)

// toil is what a worker of the soak does: it counts and records for some seconds, and
// ends with Close. How far it is stands in its slot of a file that the test sees.
func toil(args []string) error {
	slot, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	life, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	shared, err := mapFile(args[0], soakWorkers*8)
	if err != nil {
		return err
	}
	rec, err := statvent.StartRecorder()
	if err != nil {
		return err
	}
	steps, latency := statvent.NewCounter(soakCounter), statvent.NewDistribution(soakLatency)
	statvent.Set("soak.workers", 1)
	for end := time.Now().Add(life); time.Now().Before(end); {
		n := byteorder.NativeEndian.Uint64(shared[8*slot:])
		byteorder.NativeEndian.PutUint64(shared[8*slot:], n+1)
		steps.Incr()
		latency.RecordFloat(rand.Float64())
		time.Sleep(20 * time.Millisecond) // work
	}
	return rec.Close()
}

// mapFile maps a file that several processes write and read, each its own place.
func mapFile(path string, size int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(int64(size)); err != nil {
		return nil, err
	}
	return unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// load is what serve takes, and what there is in the pipe directory.
type load struct {
	memory, descriptors, threads, entries int
}

func (u load) String() string {
	return fmt.Sprintf("%.1f MB, %d descriptors, %d threads, %d entries in the pipe directory",
		float64(u.memory)/(1<<20), u.descriptors, u.threads, u.entries)
}

func loadOf(t *testing.T, pid int, dir string) load {
	t.Helper()
	return load{
		memory:      rss(t, pid),
		descriptors: entriesOf(t, fmt.Sprintf("/proc/%d/fd", pid)),
		threads:     threadsOf(t, pid),
		entries:     entriesOf(t, dir),
	}
}

func threadsOf(t *testing.T, pid int) int {
	t.Helper()
	return entriesOf(t, fmt.Sprintf("/proc/%d/task", pid))
}

// entriesOf returns how many entries a directory has.
func entriesOf(t *testing.T, dir string) int {
	t.Helper()
	return len(listNames(t, dir))
}

// Workers turn over every few seconds while serve is scraped, for as long as -soak-for
// says: what serve takes stays what it was, and so does what is in the pipe directory. In
// the end not a step is missing.
func TestSoak(t *testing.T) {
	t.Parallel()
	long := *soakFor
	if testing.Short() {
		long /= 4
	}
	base := memoryDir(t)
	dir, truth := filepath.Join(base, "pipes"), filepath.Join(base, "truth")
	shared, err := mapFile(truth, soakWorkers*8)
	if err != nil {
		t.Fatal(err)
	}
	serve := startServe(t, dir)
	over := make(chan struct{})
	var started atomic.Int64
	var workers, readers sync.WaitGroup
	for slot := range soakWorkers {
		workers.Go(func() {
			for !isClosed(over) && !t.Failed() {
				started.Add(1)
				runSoakWorker(t, dir, truth, slot)
			}
		})
	}
	gone := make(chan struct{})
	go func() { workers.Wait(); close(gone) }()
	var scrapes atomic.Int64
	for _, path := range []string{"/stats", "/metrics", "/sources?stats=1", "/typed", "/live"} {
		readers.Go(func() {
			until(gone, 200*time.Millisecond, func() {
				scrapes.Add(1)
				scrape(t, serve.url+path)
			})
		})
	}
	t.Cleanup(func() { workers.Wait(); readers.Wait() })

	seen := watchLoad(t, serve, dir, long, func(u load) {
		t.Logf("%v, %d workers, %d scrapes", u, started.Load(), scrapes.Load())
	})
	close(over)
	readers.Wait()
	checkFlat(t, seen)

	var want uint64
	for slot := range soakWorkers {
		want += byteorder.NativeEndian.Uint64(shared[8*slot:])
	}
	stats, _ := serve.stats(t)
	if got := string(stats[soakCounter]); got != strconv.FormatUint(want, 10) {
		t.Errorf("%s steps are served, and %d were made", got, want)
	}
	if _, ok := stats["soak.workers"]; ok {
		t.Error("a gauge is left of workers that have ended")
	}
	waitUntil(t, "only what was retained is left", func() bool {
		serve.get(t, "/stats")
		return loadOf(t, serve.Process.Pid, dir).entries == 2 // the file and its lock
	})
}

func runSoakWorker(t *testing.T, dir, truth string, slot int) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	life := soakLife/2 + rand.N(soakLife)
	cmd := exec.CommandContext(t.Context(), self, truth, strconv.Itoa(slot), life.String())
	cmd.Env = append(os.Environ(), publishVariable+"="+asSoak, pipes.DirVariable+"="+dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil && t.Context().Err() == nil {
		t.Errorf("a worker: %v: %s", err, &output)
	}
}

// scrape reads an answer to its end.
func scrape(t *testing.T, url string) {
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, resp.Status, err)
	}
}

// watchLoad looks at what serve takes for that long, often, and reports it once a
// minute, or a few times in less.
func watchLoad(t *testing.T, serve *service, dir string, long time.Duration, report func(load)) []load {
	t.Helper()
	const looks = 120
	var seen []load
	every := min(time.Minute, long/4)
	reported := time.Now()
	for end := time.Now().Add(long); time.Now().Before(end) && !t.Failed(); {
		<-time.After(max(long/looks, 50*time.Millisecond)) // it is about time
		u := loadOf(t, serve.Process.Pid, dir)
		seen = append(seen, u)
		if time.Since(reported) >= every {
			reported = time.Now()
			report(u)
		}
	}
	return seen
}

// checkFlat compares the last third with the second: the first is for growing up.
func checkFlat(t *testing.T, seen []load) {
	t.Helper()
	third := len(seen) / 3
	if third < 3 {
		t.Fatalf("only %d looks", len(seen))
	}
	flat := func(what string, slack int, figure func(load) int) {
		t.Helper()
		var figures []int
		for _, u := range seen[third:] {
			figures = append(figures, figure(u))
		}
		before, after := median(figures[:third]), median(figures[third:])
		if after > before+before/10+slack {
			t.Errorf("%s has grown from %d to %d", what, before, after)
		}
	}
	flat("memory", 4<<20, func(u load) int { return u.memory })
	flat("the number of descriptors", 20, func(u load) int { return u.descriptors })
	flat("the number of threads", 4, func(u load) int { return u.threads })
	flat("the number of entries in the pipe directory", 60, func(u load) int { return u.entries })
}
