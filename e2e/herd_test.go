//go:build linux

package e2e

import (
	byteorder "encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// A herd is many short-lived processes, some at a time, each of which counts up
// and ends: what prefork servers and cron jobs do to a host.
type herd struct {
	dir      string // the pipe directory
	progress string // the directory of what each has counted
	size     int
	atOnce   int
	kill     func(i int) bool // which are killed, at some moment
	nobody   func(i int) bool // which run as that user

	pids []int // of all, once run has returned
}

const (
	herdSteps = 1000 // of each process
	intName   = "herd.steps"
	floatName = "herd.tenths"
)

// count is what a process of a herd does. Its progress is in a file that others
// see, whatever becomes of it: how many steps it has begun.
func count(args []string) error {
	progress, err := os.OpenFile(args[0], os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := progress.Truncate(8); err != nil {
		return err
	}
	shared, err := unix.Mmap(int(progress.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		if err := becomeNobody(); err != nil {
			return err
		}
	}
	rec, err := statvent.StartRecorder()
	if err != nil {
		return err
	}
	steps, tenths := statvent.NewCounter(intName), statvent.NewCounter(floatName)
	statvent.Set("herd.alive", 1)
	for i := range herdSteps {
		byteorder.NativeEndian.PutUint64(shared, uint64(i+1))
		steps.Incr()
		tenths.IncrByFloat(0.1)
		if i%100 == 0 {
			time.Sleep(10 * time.Millisecond) // work
		}
	}
	return rec.Close()
}

// tenths is what the float counter of a process says in the end.
func tenths() format.Value {
	var c float64
	for range herdSteps {
		c += 0.1
	}
	return format.Float(c)
}

// begun returns how many steps a process has begun.
func (h *herd) begun(i int) int64 {
	text, err := os.ReadFile(h.file(i))
	if err != nil || len(text) < 8 {
		return 0
	}
	return int64(byteorder.NativeEndian.Uint64(text))
}

func (h *herd) file(i int) string { return filepath.Join(h.progress, strconv.Itoa(i)) }

// truth returns how many steps all of them have begun.
func (h *herd) truth() (sum int64) {
	for i := range h.size {
		sum += h.begun(i)
	}
	return sum
}

// run runs all of them and returns when the last has ended.
func (h *herd) run(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, h.atOnce)
	h.pids = make([]int, h.size)
	for i := range h.size {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			cmd := exec.Command(self, h.file(i))
			if h.nobody != nil && h.nobody(i) {
				cmd.Args = append(cmd.Args, "nobody")
			}
			cmd.Env = append(os.Environ(), publishVariable+"="+asHerd, pipes.DirVariable+"="+h.dir)
			var output strings.Builder
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			h.pids[i] = cmd.Process.Pid
			killed := h.kill != nil && h.kill(i)
			if killed {
				waitFor(10*time.Second, func() bool { return h.begun(i) > 0 })
				time.Sleep(rand.N(150 * time.Millisecond)) // any instant will do
				_ = cmd.Process.Kill()
			}
			if err := cmd.Wait(); err != nil && !killed {
				t.Errorf("process %d: %v: %s", i, err, output.String())
			}
		})
	}
	group.Wait()
}

func waitFor(patience time.Duration, happened func() bool) {
	for began := time.Now(); !happened() && time.Since(began) < patience; {
		time.Sleep(time.Millisecond)
	}
}

// newHerd returns a herd in a pipe directory of its own, in memory where there
// is such a thing.
func newHerd(t *testing.T) *herd {
	t.Helper()
	base, err := os.MkdirTemp("/dev/shm", "statvent-e2e-")
	if err != nil {
		base = t.TempDir()
	} else {
		t.Cleanup(func() { _ = os.RemoveAll(base) })
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &herd{dir: filepath.Join(base, "pipes"), progress: filepath.Join(base, "progress"), size: 200, atOnce: 20}
	for dir, mode := range map[string]os.FileMode{h.dir: 0o777 | os.ModeSticky, h.progress: 0o755} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// A monotone checks that what somebody says of the herd's counters never falls.
type monotone struct {
	who        string
	steps      int64
	tenths     float64
	answers    int
	complaints int
}

func (m *monotone) check(t *testing.T, steps int64, tenths float64) {
	t.Helper()
	m.answers++
	if (steps < m.steps || tenths < m.tenths) && m.complaints < 5 {
		m.complaints++
		t.Errorf("%s: answer %d: %d steps after %d, %v tenths after %v", m.who, m.answers, steps, m.steps, tenths, m.tenths)
	}
	m.steps, m.tenths = steps, tenths
}

// until calls ask again and again, with a pause in between, until stop is
// closed, and then once more.
func until(stop <-chan struct{}, pause time.Duration, ask func()) {
	for {
		ask()
		select {
		case <-stop:
			ask()
			return
		case <-time.After(pause):
		}
	}
}

// collectWithoutPause reads the host in this process.
func (h *herd) collectWithoutPause(t *testing.T, stop <-chan struct{}) *monotone {
	m := &monotone{who: "the collector"}
	c := pipes.NewCollector(pipes.CollectorOptions{Dir: h.dir})
	defer c.Close()
	until(stop, 0, func() {
		collection, err := c.Collect(t.Context())
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		total := collection.Total()
		steps, _ := total.Lookup(intName)
		tenths, _ := total.Lookup(floatName)
		m.check(t, steps.Int64(), tenths.Float64())
	})
	return m
}

// askServe asks a serve 20 times a second. From time to time the serve is
// another one.
func (h *herd) askServe(t *testing.T, who string, serve *atomic.Pointer[service], stop <-chan struct{}) *monotone {
	m := &monotone{who: who}
	until(stop, 50*time.Millisecond, func() {
		s := serve.Load()
		if s == nil {
			return
		}
		stats, err := s.tryStats()
		if err != nil {
			if serve.Load() == s {
				t.Errorf("%s: %v", who, err)
			}
			return
		}
		if stats[intName] == "" && m.steps == 0 {
			return
		}
		steps, _ := stats[intName].Int64()
		tenths, _ := stats[floatName].Float64()
		m.check(t, steps, tenths)
	})
	return m
}

// checkEnd checks that the host's counters are exact, and that nothing is left
// of the processes but what they counted.
func (h *herd) checkEnd(t *testing.T, serve *service, readers ...*monotone) {
	t.Helper()
	var sum format.Sum
	for range h.size {
		sum.Add(tenths())
	}
	wantSteps, wantTenths := int64(h.size*herdSteps), sum.Value().Float64()
	for _, m := range readers {
		t.Logf("%s: %d answers", m.who, m.answers)
		if m.steps != wantSteps || m.tenths != wantTenths {
			t.Errorf("%s: %d steps and %v tenths in the end, want %d and %v", m.who, m.steps, m.tenths, wantSteps, wantTenths)
		}
		if m.answers < 10 {
			t.Errorf("%s: only %d answers", m.who, m.answers)
		}
	}
	h.awaitTidiness(t, serve)
}

// awaitTidiness waits until nothing is left of the processes but what they
// counted. Who closes works for the others only for so long; a serve does the rest.
func (h *herd) awaitTidiness(t *testing.T, serve *service) {
	t.Helper()
	waitUntil(t, "only the retained files are left", func() bool {
		serve.get(t, "/stats")
		return len(h.leftovers(t)) == 0
	})
}

// leftovers returns the entries of the pipe directory that are neither retained
// files nor their locks.
func (h *herd) leftovers(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(listNames(t, h.dir), func(name string) bool { return strings.HasPrefix(name, ".retained-") })
}

// age makes an hour old what was left by somebody who was killed while he wrote, so that
// it goes: that is when it is a minute old. It tells whether the name is that of such.
func (h *herd) age(name string) bool {
	if !strings.HasPrefix(name, ".tmp-") {
		return false
	}
	aged := time.Now().Add(-time.Hour)
	_ = os.Chtimes(filepath.Join(h.dir, name), aged, aged) // it may have gone
	return true
}

func TestCountersNeverFall(t *testing.T) {
	situations := []struct {
		name       string
		prepare    func(t *testing.T, h *herd)
		restarts   int  // of a serve on the way
		twoServes  bool // another one, that goes on
		rewrites   bool // of the retained file, by somebody else
		plainReads bool // cat on the plain pipes
	}{
		{name: "alone"},
		{name: "two serves", twoServes: true},
		{name: "serve restarts", restarts: 5},
		{name: "two users", prepare: func(t *testing.T, h *herd) {
			if os.Geteuid() != 0 {
				t.Skip("SKIPPED: needs root, to be two users")
			}
			h.nobody = func(i int) bool { return i%2 == 1 }
		}},
		{name: "rewrites", rewrites: true},
		{name: "cat", plainReads: true},
		{name: "everything", twoServes: true, restarts: 5, rewrites: true, plainReads: true},
	}
	for _, situation := range situations {
		t.Run(situation.name, func(t *testing.T) {
			h := newHerd(t)
			if testing.Short() {
				h.size = 40
			}
			if situation.prepare != nil {
				situation.prepare(t, h)
			}
			var first, second atomic.Pointer[service]
			stop := make(chan struct{})
			var background sync.WaitGroup
			var readers []*monotone
			var mu sync.Mutex
			read := func(f func() *monotone) {
				background.Go(func() {
					m := f()
					mu.Lock()
					defer mu.Unlock()
					readers = append(readers, m)
				})
			}
			state := t.TempDir()
			first.Store(startServe(t, h.dir, "--state-dir", state))
			read(func() *monotone { return h.collectWithoutPause(t, stop) })
			read(func() *monotone { return h.askServe(t, "serve", &first, stop) })
			if situation.twoServes {
				second.Store(startServe(t, h.dir))
				read(func() *monotone { return h.askServe(t, "the second serve", &second, stop) })
			}
			if situation.rewrites {
				background.Go(func() { h.rewriteWithoutPause(t, stop) })
			}
			if situation.plainReads {
				background.Go(func() { h.catWithoutPause(stop) })
			}
			for i := range situation.restarts {
				background.Go(func() {
					waitFor(time.Minute, func() bool { return h.truth() > int64(i+1)*int64(h.size*herdSteps)/7 })
					mu.Lock() // one at a time
					defer mu.Unlock()
					old := first.Swap(nil)
					old.end(t)
					first.Store(startServe(t, h.dir, "--state-dir", state))
				})
			}
			h.run(t)
			close(stop)
			background.Wait()
			h.checkEnd(t, first.Load(), readers...)
		})
	}
}

// rewriteWithoutPause does what short-lived scripts do: it adds to the retained
// file, again and again.
func (h *herd) rewriteWithoutPause(t *testing.T, stop <-chan struct{}) {
	rewrites := 0
	until(stop, 0, func() {
		r := statvent.NewRegistry()
		r.Incr("script.runs")
		if err := r.Retain(h.dir); err != nil {
			t.Error(err)
		}
		rewrites++
	})
	total := collectTotal(t, h.dir)
	if runs, _ := total.Lookup("script.runs"); runs.Int64() != int64(rewrites) {
		t.Errorf("%v runs of %d are in the host's numbers", runs, rewrites)
	}
	t.Logf("%d rewrites by scripts", rewrites)
}

func collectTotal(t *testing.T, dir string) *format.Snapshot {
	t.Helper()
	c := pipes.NewCollector(pipes.CollectorOptions{Dir: dir})
	defer c.Close()
	collection, err := c.Collect(t.Context())
	if err != nil {
		t.Error(err)
		return &format.Snapshot{}
	}
	return collection.Total()
}

// catWithoutPause reads the plain pipes as a shell does.
func (h *herd) catWithoutPause(stop <-chan struct{}) {
	until(stop, 0, func() {
		paths, _ := filepath.Glob(filepath.Join(h.dir, "*.stats"))
		for _, path := range paths {
			// It may be that of a process that ends just now.
			_ = exec.Command("timeout", "1", "cat", path).Run()
		}
	})
}

// A third of the processes are killed at some instant. As one serve answers,
// which is started again on the way, nothing falls, and nothing is lost but what
// they did since that serve had last read them.
func TestCountersOfKilledProcessesNeverFall(t *testing.T) {
	h := newHerd(t)
	h.kill = func(i int) bool { return i%3 == 0 }
	state := t.TempDir()
	var serve atomic.Pointer[service]
	serve.Store(startServe(t, h.dir, "--state-dir", state))
	stop := make(chan struct{})
	var background sync.WaitGroup
	m := &monotone{who: "the sources"}
	seen := make(map[int]int64)      // what each was seen with, by pid
	seenIDs := make(map[string]bool) // of all that were
	toFold := 0                      // of the last answer, what was seen of processes that are gone
	ask := func() {
		s := serve.Load()
		if s == nil {
			return
		}
		sources, err := s.trySources()
		if err != nil {
			if serve.Load() == s {
				t.Error(err)
			}
			return
		}
		var steps int64
		toFold = 0
		for _, source := range sources {
			n, _ := source.Values[intName].Int64()
			steps += n
			if len(source.Values) > 0 && source.Kind == "typed" {
				seen[source.PID], seenIDs[source.ID] = max(seen[source.PID], n), true
				if source.State == "stale" {
					toFold++
				}
			}
		}
		m.check(t, steps, 0)
		if truth := h.truth(); steps > truth {
			t.Errorf("serve says %d steps of %d", steps, truth)
		}
	}
	background.Go(func() { until(stop, 50*time.Millisecond, ask) })
	var total *monotone
	background.Go(func() { total = h.askServe(t, "the total", &serve, stop) })
	background.Go(func() {
		for i := range 3 {
			waitFor(time.Minute, func() bool { return h.truth() > int64(i+1)*int64(h.size*herdSteps)/6 })
			serve.Swap(nil).end(t)
			serve.Store(startServe(t, h.dir, "--state-dir", state))
		}
	})
	h.run(t)
	close(stop)
	background.Wait()
	waitUntil(t, "all of the killed are folded", func() bool {
		ask()
		return toFold == 0
	})
	for _, name := range h.leftovers(t) {
		// What a serve has never read it keeps for an hour.
		if id := strings.Split(name, "."); strings.HasSuffix(name, ".typed") && seenIDs[id[2]] {
			t.Errorf("left over: %s", name)
		}
	}
	if total.steps > m.steps {
		t.Errorf("the total fell to %d steps from %d", m.steps, total.steps)
	}
	h.reportLoss(t, m, seen)
}

// reportLoss compares what the serve says in the end with what was done.
func (h *herd) reportLoss(t *testing.T, m *monotone, seen map[int]int64) {
	t.Helper()
	var least, killed int64
	for i := range h.size {
		if h.kill(i) {
			killed++
			least += seen[h.pids[i]]
		} else {
			least += herdSteps
		}
	}
	truth := h.truth()
	t.Logf("%d answers; %d of %d processes were killed; of %d steps %d are counted, %d lost (%.2f %%); at least %d were seen",
		m.answers, killed, h.size, truth, m.steps, truth-m.steps, 100*float64(truth-m.steps)/float64(truth), least)
	if m.steps > truth || m.steps < least {
		t.Errorf("%d steps are counted, of %d, of which %d were seen", m.steps, truth, least)
	}
}

// tryStats asks for /stats.
func (s *service) tryStats() (map[string]json.Number, error) {
	var document struct {
		Stats map[string]json.Number `json:"stats"`
	}
	err := s.tryGet("/stats", &document)
	return document.Stats, err
}

type sourceJSON struct {
	Name   string                 `json:"name"`
	ID     string                 `json:"id"`
	Kind   string                 `json:"kind"`
	PID    int                    `json:"pid"`
	State  string                 `json:"state"`
	Age    float64                `json:"values_age_seconds"`
	Values map[string]json.Number `json:"values"`
	Error  string                 `json:"error"`
}

// trySources asks for /sources with the stats.
func (s *service) trySources() ([]sourceJSON, error) {
	var document struct {
		Sources []sourceJSON `json:"sources"`
	}
	err := s.tryGet("/sources?stats=1", &document)
	return document.Sources, err
}
