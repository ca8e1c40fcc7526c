//go:build linux

package benchmarks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// patience is how long anything is waited for that should take milliseconds.
const patience = 30 * time.Second

const statsPerSource = 100

// A hostSize says how many sources there are, and in how many processes. A host
// has one in each. Many processes that were asleep and all wake cost more than
// few, most of which goes into Go's scheduler: that there are both shows how much.
type hostSize struct{ pipes, processes int }

func (size hostSize) String() string {
	return fmt.Sprintf("pipes=%d/processes=%d", size.pipes, size.processes)
}

// sourceNames returns the names of the stats of each source: 22 to 33 bytes,
// and without dots, so that Prometheus takes the same names.
func sourceNames() []string {
	areas := []string{
		"http_server", "http_client", "grpc_server", "postgres_pool", "redis_cache",
		"kafka_consumer", "job_queue", "session_store", "object_storage", "mail_gateway",
	}
	events := []string{
		"requests_completed", "connections_opened", "bytes_received", "errors_returned", "retries_attempted",
		"timeouts_reached", "items_processed", "lookups_missed", "rows_written_last", "seconds_spent",
	}
	names := make([]string, 0, statsPerSource)
	for _, area := range areas {
		for _, event := range events {
			names = append(names, area+"_"+event)
		}
	}
	return names
}

// sourceValues returns the values of a source, one for each name. One of twenty is
// a float. They are fresh with each seed: a reader of the same numbers over and
// over is made faster by the branch predictor than it is.
func sourceValues(seed uint64, source int) []format.Value {
	r := rand.New(rand.NewPCG(seed, uint64(source)))
	values := make([]format.Value, statsPerSource)
	for i := range values {
		values[i] = format.Int(r.Int64N(1 << (4 + r.IntN(30))))
		if i%20 == 9 {
			values[i] = format.Float(r.Float64() * 1e4)
		}
	}
	return values
}

// A publisherSet is a pipe directory and the processes that publish in it.
type publisherSet struct {
	dir     string
	seed    uint64
	sources int // of which each has one pipe that is read
	workers []*worker
}

// memoryDir makes a directory that is removed at the end. It is in memory if it
// can be: on a disk's file system most of the time goes into making FIFOs, which
// isn't what is measured, and differs from one disk to the next.
func memoryDir(b *testing.B) string {
	b.Helper()
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "statvent-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startPublishers starts that many sources in processes of their own, so that
// what they do isn't in the figures, and the profile, of the one that reads.
func startPublishers(b *testing.B, size hostSize) *publisherSet {
	b.Helper()
	return startPublishersOf(b, size, rand.Uint64())
}

// startPublishersOf does so with the values of that seed.
func startPublishersOf(b *testing.B, size hostSize, seed uint64) *publisherSet {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	set := &publisherSet{dir: memoryDir(b), seed: seed, sources: size.pipes}
	for i := range size.processes {
		first, next := i*size.pipes/size.processes, (i+1)*size.pipes/size.processes
		job, err := json.Marshal(publisherJob{set.dir, set.seed, first, next - first})
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), publisherVariable+"="+string(job))
		set.workers = append(set.workers, startWorker(b, cmd))
	}
	for _, w := range set.workers {
		w.expect(b, "ready")
	}
	return set
}

// collector returns a Collector of the directory that has read it once, as that
// of a serve that runs.
func (set *publisherSet) collector(b *testing.B) *pipes.Collector {
	b.Helper()
	c := pipes.NewCollector(pipes.CollectorOptions{Dir: set.dir, Deadline: patience})
	b.Cleanup(func() { _ = c.Close() })
	collection, err := c.Collect(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	set.checkCollection(b, collection)
	total := collection.Total()
	checkSum(b, func(name string) (float64, bool) {
		v, ok := total.Lookup(name)
		return v.Float64(), ok
	}, set.seed, set.sources)
	return c
}

func (set *publisherSet) checkCollection(b *testing.B, collection *pipes.Collection) {
	b.Helper()
	if len(collection.Sources) != set.sources {
		b.Fatalf("%d sources in place of %d", len(collection.Sources), set.sources)
	}
	for _, s := range collection.Sources {
		if s.State != pipes.Live || s.Kind != pipes.TypedSource || len(s.Snapshot.Stats) != statsPerSource {
			b.Fatalf("source %s is %s and %s: %v", s.Name, s.Kind, s.State, s.Err)
		}
	}
}

// publisherVariable has the job of a process that publishes: the test binary,
// started again.
const publisherVariable = "STATVENT_BENCH_PUBLISHER"

type publisherJob struct {
	Dir          string
	Seed         uint64
	First, Count int
}

// It is an init, so that it needs no say in TestMain.
func init() {
	text, ok := os.LookupEnv(publisherVariable)
	if !ok {
		return
	}
	var job publisherJob
	err := json.Unmarshal([]byte(text), &job)
	if err == nil {
		err = job.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run publishes until standard input ends, and says at each line how much
// processor time it has used.
func (job *publisherJob) run() error {
	for i := job.First; i < job.First+job.Count; i++ {
		r := statvent.NewRegistry()
		values := sourceValues(job.Seed, i)
		for n, name := range sourceNames() {
			if v := values[n]; v.IsFloat() {
				r.NewCounter(name).IncrByFloat(v.Float64())
			} else {
				r.NewCounter(name).IncrBy(v.Int64())
			}
		}
		_, err := statvent.StartRecorder(
			statvent.WithRegistry(r), statvent.WithName("worker-"+strconv.Itoa(i)), statvent.WithPipeDir(job.Dir))
		if err != nil {
			return err
		}
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var usage unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		fmt.Println(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return os.RemoveAll(job.Dir) // in case the one that started us was killed
}

// A worker is a process that answers each line with a line.
type worker struct {
	name   string
	pid    int
	stdin  io.Writer
	lines  chan string // closed when it has ended
	stderr *tail
}

// startWorker starts a process that ends when its standard input does: with the
// benchmark, or with this process, in whatever way that ends.
func startWorker(b *testing.B, cmd *exec.Cmd) *worker {
	b.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	w := &worker{name: filepath.Base(cmd.Path), stdin: stdin, lines: make(chan string, 1), stderr: &tail{}}
	cmd.Stderr = w.stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	w.pid = cmd.Process.Pid
	go func() {
		defer close(w.lines)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			w.lines <- lines.Text()
		}
	}()
	b.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		for range w.lines {
		}
		_ = cmd.Wait() // the exit status of one that was ended says nothing
	})
	return w
}

// next returns what the worker says next.
func (w *worker) next(b *testing.B) string {
	b.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case line, ok := <-w.lines:
		if !ok {
			b.Fatalf("%s has ended: %s", w.name, w.stderr)
		}
		return line
	case <-timer.C:
		b.Fatalf("%s doesn't answer: %s", w.name, w.stderr)
	}
	return ""
}

func (w *worker) expect(b *testing.B, line string) {
	b.Helper()
	if got := w.next(b); got != line {
		b.Fatalf("%s says %q in place of %q", w.name, got, line)
	}
}

// ask returns the answer to a line.
func (w *worker) ask(b *testing.B, line string) string {
	b.Helper()
	if _, err := io.WriteString(w.stdin, line+"\n"); err != nil {
		b.Fatalf("%s has ended: %v %s", w.name, err, w.stderr)
	}
	return w.next(b)
}

// cpuTime returns what a publishing process has used until now.
func (w *worker) cpuTime(b *testing.B) time.Duration {
	b.Helper()
	ns, err := strconv.ParseInt(w.ask(b, "usage"), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

// cpuTime returns what all publishing processes have used until now.
func (set *publisherSet) cpuTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, w := range set.workers {
		sum += w.cpuTime(b)
	}
	return sum
}

// A tail keeps the end of what a process says on its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(text), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// A duel holds the times of two that take turns. Only their ratio can be
// compared with that of another day: the machine's speed swings from minute to
// minute, and both have the same of it.
type duel struct{ ours, theirs []time.Duration }

func (d *duel) add(ours, theirs time.Duration) {
	d.ours = append(d.ours, ours)
	d.theirs = append(d.theirs, theirs)
}

// ratio returns the median of the ratios of all pairs.
func (d *duel) ratio() float64 {
	ratios := make([]float64, len(d.ours))
	for i := range ratios {
		ratios[i] = float64(d.ours[i]) / float64(d.theirs[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// report gives the medians of both and the ratio.
func (d *duel) report(b *testing.B, ours, theirs string) {
	b.Helper()
	b.ReportMetric(float64(medianTime(d.ours).Nanoseconds()), ours+"-ns")
	b.ReportMetric(float64(medianTime(d.theirs).Nanoseconds()), theirs+"-ns")
	b.ReportMetric(d.ratio(), ours+"/"+theirs+"-ratio")
}

// medianTime returns the median.
func medianTime(times []time.Duration) time.Duration { return timeAt(times, 0.5) }

// timeAt returns the time that the given part of all is below.
func timeAt(times []time.Duration, part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// stopwatch returns how long it took.
func stopwatch(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// typedPipes returns the names of the typed pipes, which are those that the
// Collector reads. They stay the same for as long as the publishers live.
func (set *publisherSet) typedPipes(b *testing.B) []string {
	b.Helper()
	entries, err := os.ReadDir(set.dir)
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".typed") && e.Type() == fs.ModeNamedPipe {
			names = append(names, e.Name())
		}
	}
	if len(names) != set.sources {
		b.Fatalf("%d typed pipes in place of %d", len(names), set.sources)
	}
	return names
}
