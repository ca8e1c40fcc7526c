//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

var (
	restartsFor  = flag.Duration("restarts-for", time.Minute, "how long TestServeIsKilledAgainAndAgain kills, or a tenth of it with -short")
	restartsSeed = flag.Uint64("restarts-seed", 0, "what it draws its random numbers from; 0 is another one each time")
)

const (
	restartClients = 64
	restartWorkers = 100 // at a time
)

// serve is killed and started again for a minute, at random moments and at those at
// which it changes files, while 64 clients ask it without end and 100 workers at a
// time come and go. Two of three workers end by themselves, with Close; every third
// is killed, at whatever it just does. None of the numbers in any answer is wrong:
//
//   - The answer is well formed: one JSON document, each name once and in order, and
//     no name that nobody has published.
//   - No number is above what had been counted when the answer was read to its end.
//   - What a worker had counted before the collection began is there, unless the
//     worker was killed before the answer was there. It makes no difference whether the
//     worker runs, is just ending or has ended, nor which serve answers: a worker that
//     ends by itself counts exactly, from its first step to the end of the test.
//   - Of a worker that was killed there is at least what this serve has ever said in an
//     answer: within the life of one serve no counter falls, for whoever asks after
//     somebody else has had an answer.
//   - A serve that begins anew knows what is published, retained or saved. So of a
//     worker that is killed there is at least what was in the retained file or, if it
//     wasn't folded, in the saved state when the serve before was dead; and both have at
//     least what they had when that serve was started. What had been folded is all that
//     the dead serve had said.
//   - The gauge of a worker that runs is there, once. That of one that is gone isn't,
//     from the first collection on that began after that. So it is with the labels of
//     distributions, which are what values in the range of the recorded ones can make.
//   - serve answers every request while it lives: a connection breaks only where it was
//     killed. And it saves its state not only at its start.
//
// A request may share a collection that began before it. So now and then all clients
// wait until no request is under way: what was done by then, or before the serve was
// started, was done before the collection began that answers a later request. No
// clock is needed for any of this.
//
// In the end everybody is told the same exact numbers, also the counts and sums of
// distributions, and nothing is left of all of them but the retained file, its lock
// and the saved state.
func TestServeIsKilledAgainAndAgain(t *testing.T) {
	c := newRestarts(t)
	var workers, clients sync.WaitGroup
	over, workersGone, last := make(chan struct{}), make(chan struct{}), make(chan struct{})
	for range restartWorkers {
		workers.Go(func() {
			for !isClosed(over) && c.runWorker() {
			}
		})
	}
	for range restartClients {
		clients.Go(func() { c.ask(last) })
	}
	t.Cleanup(func() { workers.Wait(); clients.Wait() })
	go func() { workers.Wait(); close(workersGone) }()
	long := *restartsFor
	if testing.Short() {
		long /= 10
	}
	time.AfterFunc(long, func() { close(over) })

	began, l := time.Now(), c.begin(nil)
	for ended := false; !ended; {
		ended = isClosed(workersGone) // the serve that is killed then isn't the last
		if !c.sawSaves && long >= 30*time.Second && time.Since(began) > long/3 {
			c.awaitSaves(t, l)
		} else {
			c.awaitSomeMoment(l)
		}
		c.kill(t, l)
		l = c.begin(l)
	}
	close(last)
	clients.Wait()
	c.report(t)
	c.checkEnd(t)
}

// restarts is what there is around the serve that is killed.
type restarts struct {
	t       *testing.T
	random  *rand.Rand // of the serves
	seed    uint64
	dir     string // the pipe directory
	state   string // the state directory
	log     *os.File
	address string
	ledger  ledger
	path    string // of the ledger

	current    atomic.Pointer[life] // set before the serve is started, nil before it is killed
	lives      int
	halfFolded int // killed workers that a dead serve had folded and not removed
	sawSaves   bool

	started   atomic.Int64 // workers
	processes [maxWorkers]atomic.Pointer[os.Process]
	signalled [maxWorkers]atomic.Bool // set before the worker is killed
	gone      [maxWorkers]atomic.Bool // set when it is no more

	asking     sync.RWMutex // shared by the requests that are under way
	answers    atomic.Int64
	longest    atomic.Int64 // that one took, in nanoseconds
	complaints atomic.Int64

	mu     sync.Mutex
	stamps map[string]bool // of all answers
	final  *restartAnswer  // the last one
}

// newRestarts returns it before anything is started.
func newRestarts(t *testing.T) *restarts {
	t.Helper()
	base := memoryDir(t)
	c := &restarts{
		t: t, seed: *restartsSeed, dir: pipeDirIn(t, base), state: filepath.Join(base, "state"), path: filepath.Join(base, "ledger"),
		stamps: make(map[string]bool),
	}
	if c.seed == 0 {
		c.seed = rand.Uint64()
	}
	t.Logf("-restarts-seed=%d", c.seed)
	c.random = rand.New(rand.NewPCG(c.seed, 0))
	var err error
	if c.log, err = os.Create(filepath.Join(base, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.log.Close() })
	if c.ledger, err = openLedger(c.path); err != nil {
		t.Fatal(err)
	}
	// Clients have another address, so that none gets the port by chance and talks to
	// itself while there is no serve.
	c.address = freeAddress(t, "127.0.0.2")
	return c
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

const (
	ending   = "clean"
	killable = "killed"
)

func kindOf(n int) string {
	if n%3 == 0 {
		return killable
	}
	return ending
}

// runWorker starts one, returns when it is gone, and tells whether there can be more.
func (c *restarts) runWorker() bool {
	n := int(c.started.Add(1)) - 1
	self, err := os.Executable()
	if err != nil || n >= maxWorkers {
		c.t.Errorf("worker %d: there can't be more than %d: %v", n, maxWorkers, err)
		return false
	}
	random := rand.New(rand.NewPCG(c.seed, uint64(n+1)))
	naps, steps := 1+random.IntN(150), 1+random.IntN(10)
	ctx := c.t.Context()
	cmd := exec.CommandContext(ctx, self, c.path, kindOf(n), strconv.Itoa(n), strconv.Itoa(naps), strconv.Itoa(steps))
	cmd.Env = append(os.Environ(), publishVariable+"="+asWorker, pipes.DirVariable+"="+c.dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		c.t.Error(err)
		return false
	}
	c.processes[n].Store(cmd.Process)
	if kindOf(n) == killable {
		moment := time.Duration(random.Int64N(int64(6 * time.Second))) // some have ended by then
		defer time.AfterFunc(moment, func() { c.killWorker(n) }).Stop()
	}
	err = cmd.Wait()
	if err == nil {
		c.signalled[n].Store(false) // it came too late
	} else if !c.signalled[n].Load() && ctx.Err() == nil {
		c.t.Errorf("worker %d: %v: %s", n, err, &output)
	}
	c.gone[n].Store(true)
	return ctx.Err() == nil
}

func (c *restarts) killWorker(n int) {
	c.signalled[n].Store(true)
	_ = c.processes[n].Load().Kill()
}

// A moment is what is known of all workers, of each at some time while it was taken.
type moment []struct {
	begun, done              int64
	closing, signalled, gone bool
}

func (c *restarts) look() moment {
	m := make(moment, min(c.started.Load(), maxWorkers))
	for n := range m {
		w, e := &m[n], &c.ledger[n]
		w.gone, w.done = c.gone[n].Load(), e.done.Load()
		w.closing, w.signalled = e.closing.Load() != 0, c.signalled[n].Load()
		w.begun = e.begun.Load()
	}
	return m
}

// wasKilled tells whether the worker may have lost something by then.
func (m moment) wasKilled(n int) bool { return kindOf(n) == killable && m[n].signalled }

// isGone tells whether the worker was gone by then.
func (m moment) isGone(n int) bool { return n < len(m) && m[n].gone }

// ranUntil tells whether the worker ran all the time between the two moments.
func (m moment) ranUntil(after moment, n int) bool {
	return n < len(m) && m[n].done > 0 && !after[n].closing && !after[n].signalled
}

// A life is that of one serve.
type life struct {
	*process
	number int
	before atomic.Pointer[moment] // all collections that are to come
	left   remains

	// What it has said at least, by worker and of all. At its start that is what must
	// be there anyway.
	own    [maxWorkers]atomic.Int64
	totals [sums]atomic.Int64
}

// The sums that stand in each answer.
const (
	totalEnding = iota
	totalKillable
	quartersEnding
	quartersKillable
	sums
)

// remains is what a dead serve has left of the workers that may be killed.
type remains struct {
	retainedTotal int64
	folded        [maxWorkers]bool
	own           [maxWorkers]int64 // retained or saved
	savedTotal    [maxWorkers]int64 // of those that aren't folded
}

// begin starts a serve. The one before it is dead.
func (c *restarts) begin(previous *life) *life {
	c.t.Helper()
	l, now := new(life), c.look()
	l.before.Store(&now)
	if previous != nil {
		c.inherit(l, previous)
	}
	cmd := exec.Command(binary, "serve", "-d", c.dir, "--listen", c.address, "--state-dir", c.state)
	cmd.Stderr = c.log
	c.lives++
	l.number = c.lives
	c.current.Store(l)
	l.process = start(c.t, cmd)
	return l
}

// kill kills a serve, which must have been alive.
func (c *restarts) kill(t *testing.T, l *life) {
	t.Helper()
	c.current.Store(nil)
	_ = l.Process.Kill()
	<-l.exited
	if l.ProcessState.ExitCode() != -1 {
		t.Fatalf("serve has ended by itself: %v\n%s", l.ProcessState, c.readLog(t))
	}
}

// inherit finds out what a serve must say of workers that are killed, from its start
// on.
func (c *restarts) inherit(l, previous *life) {
	c.t.Helper()
	left := &l.left
	for _, doc := range c.documents(c.retained()) {
		for _, id := range doc.Folded {
			paths, _ := filepath.Glob(filepath.Join(c.dir, ".*."+id+".typed"))
			for _, path := range paths { // a regular file is that of one which ends just now
				if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeNamedPipe {
					c.halfFolded++
				}
			}
		}
		for _, stat := range doc.Snapshot.Stats {
			if n, ok := ownNumber(stat.Name); ok {
				left.folded[n], left.own[n] = true, stat.Value.Int64()
			}
		}
		total, _ := doc.Snapshot.Lookup(totalName(killable))
		left.retainedTotal = total.Int64()
	}
	for _, path := range c.stateFiles() {
		for _, doc := range c.documents(path) {
			for _, stat := range doc.Snapshot.Stats {
				if n, ok := ownNumber(stat.Name); ok && !left.folded[n] {
					total, _ := doc.Snapshot.Lookup(totalName(killable))
					left.own[n], left.savedTotal[n] = stat.Value.Int64(), total.Int64()
				}
			}
		}
	}
	for n := range *l.before.Load() {
		if kindOf(n) == ending {
			l.own[n].Store(previous.own[n].Load())
			continue
		}
		l.own[n].Store(left.own[n])
		if had := previous.left.own[n]; left.own[n] < had {
			c.complain("worker %d: %d steps were retained or saved, and %d are", n, had, left.own[n])
		}
		if said := previous.own[n].Load(); left.folded[n] && left.own[n] < said {
			c.complain("worker %d: serve said %d steps, and %d were folded", n, said, left.own[n])
		}
		if begun := c.ledger[n].begun.Load(); left.own[n] > begun {
			c.complain("worker %d: %d steps are retained or saved of %d", n, left.own[n], begun)
		}
	}
	if left.retainedTotal < previous.left.retainedTotal {
		c.complain("%d were retained of all, and %d are", previous.left.retainedTotal, left.retainedTotal)
	}
}

// ownNumber returns the worker whose own counter that is, if it may be killed.
func ownNumber(name string) (n int, ok bool) {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	return n, err == nil && name == ownName(killable, n)
}

// documents reads a file in the typed format.
func (c *restarts) documents(path string) []*format.Document {
	c.t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(text) == 0 {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	parser := format.TypedParser{MaxStats: 1_000_000}
	_, err = parser.Write(text)
	documents, parseErr := parser.Documents()
	if err := errors.Join(err, parseErr); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	return documents
}

func (c *restarts) retained() string {
	return filepath.Join(c.dir, fmt.Sprintf(".retained-%d.typed", os.Geteuid()))
}

func (c *restarts) stateFiles() []string {
	paths, _ := filepath.Glob(filepath.Join(c.state, "seen-*"))
	return paths
}

// saving returns the files that the killed have left where they save.
func (c *restarts) saving() []string {
	paths, _ := filepath.Glob(filepath.Join(c.state, ".tmp-*"))
	return paths
}

// awaitSomeMoment waits for one at which the serve is to be killed: any, or one at
// which it has just begun to fold, or to save its state.
func (c *restarts) awaitSomeMoment(l *life) {
	longest := []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}[c.random.IntN(3)]
	select {
	case <-time.After(c.below(longest)):
	case <-l.exited:
		return
	}
	switch c.random.IntN(3) {
	case 0:
		c.awaitFold()
	case 1:
		c.awaitChange(func() any { return len(c.saving()) })
	}
}

func (c *restarts) below(longest time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(longest)))
}

// awaitFold kills a worker and waits until serve is at folding it: it removes the
// plain pipe, then writes the retained file, and then removes the typed pipe.
func (c *restarts) awaitFold() {
	var some []int
	for n, w := range c.look() {
		if kindOf(n) == killable && w.done > 0 && !w.closing && !w.signalled {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return
	}
	n := some[c.random.IntN(len(some))]
	c.killWorker(n)
	plain := filepath.Join(c.dir, fmt.Sprintf("%d.stats", c.processes[n].Load().Pid))
	c.awaitChange(func() any { return exists(plain) })
	if c.random.IntN(2) == 0 {
		return
	}
	c.awaitChange(func() any { // nobody else has the lock
		var file syscall.Stat_t
		_ = syscall.Stat(c.retained(), &file)
		return file.Ino
	})
}

// awaitChange waits for something that takes microseconds, and so without a pause,
// but not for long.
func (c *restarts) awaitChange(look func() any) {
	for began, first := time.Now(), look(); look() == first && time.Since(began) < time.Second; {
	}
}

// awaitSaves waits until a serve has saved its state twice.
func (c *restarts) awaitSaves(t *testing.T, l *life) {
	t.Helper()
	savedAt := func() (at time.Time) {
		for _, path := range c.stateFiles() {
			if info, err := os.Stat(path); err == nil {
				at = info.ModTime()
			}
		}
		return at
	}
	saves, last := 0, savedAt()
	waitFor(time.Minute, func() bool {
		if at := savedAt(); !at.Equal(last) {
			last = at
			saves++
		}
		return saves == 2 || isClosed(l.exited)
	})
	if saves < 2 {
		t.Errorf("serve has saved its state %d times in a minute", saves)
	}
	c.sawSaves = true
}

// ask is what a client does: it asks again and again, on one connection to each
// serve, and of the last one it hears a few answers.
func (c *restarts) ask(last <-chan struct{}) {
	var conn *connection
	for heard := 0; heard < 3 && c.t.Context().Err() == nil; time.Sleep(rand.N(200 * time.Millisecond)) {
		isLast := isClosed(last)
		if isLast || rand.N(restartClients/2) == 0 {
			c.settle()
		}
		if conn = c.askOnce(conn); conn != nil && isLast {
			heard++
		}
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// A connection is one to a serve that is known.
type connection struct {
	net.Conn
	life *life
	in   *bufio.Reader
}

// connect returns nil if there is no serve just now.
func (c *restarts) connect() *connection {
	l := c.current.Load()
	if l == nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.address, time.Minute)
	if err != nil {
		return nil
	}
	if c.current.Load() != l { // it may be either's
		_ = conn.Close()
		return nil
	}
	return &connection{conn, l, bufio.NewReader(conn)}
}

// get returns the body of an answer.
func (conn *connection) get(path string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+conn.RemoteAddr().String()+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // it is a test's own
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(conn.in, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || resp.Close) {
		err = fmt.Errorf("%s: %v %s", resp.Status, resp.Header, body)
	}
	return body, err
}

// settle takes down a moment at which no collection is made.
func (c *restarts) settle() {
	c.asking.Lock()
	defer c.asking.Unlock()
	if l := c.current.Load(); l != nil {
		now := c.look()
		l.before.Store(&now)
	}
}

// askOnce asks for the stats, and checks them. It returns the connection, a new one
// if there was none, and nil if nobody answers.
func (c *restarts) askOnce(conn *connection) *connection {
	c.asking.RLock()
	if conn == nil {
		// Not before: serve waits for a first request, but not for long.
		if conn = c.connect(); conn == nil {
			c.asking.RUnlock()
			return nil
		}
	}
	l := conn.life
	before := *l.before.Load()
	least := make([]int64, len(before))
	for n := range least {
		least[n] = l.own[n].Load()
	}
	var leastTotals [sums]int64
	for i := range leastTotals {
		leastTotals[i] = l.totals[i].Load()
	}
	began := time.Now()
	body, err := conn.get("/stats")
	took := time.Since(began)
	c.asking.RUnlock()
	if err != nil {
		if c.current.Load() == l {
			c.complain("serve %d lives, and doesn't answer, after %v: %v", l.number, took, err)
		}
		_ = conn.Close()
		return nil
	}
	raise(&c.longest, int64(took))
	after := c.look()
	c.answers.Add(1)
	a, err := parseRestartAnswer(body)
	if err != nil {
		c.complain("%v in %s", err, body)
		return conn
	}
	c.checkWorkers(l, before, after, least, a)
	c.checkSums(l, before, after, leastTotals, a)
	c.checkLabels(before, after, a)
	for n, got := range a.own {
		raise(&l.own[n], got)
	}
	for i, got := range a.totals {
		raise(&l.totals[i], got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamps[a.timestamp] = true
	c.final = a
	return conn
}

func raise(v *atomic.Int64, to int64) {
	for {
		is := v.Load()
		if is >= to || v.CompareAndSwap(is, to) {
			return
		}
	}
}

// complain reports what is wrong, the first few times.
func (c *restarts) complain(message string, args ...any) {
	c.t.Helper()
	if c.complaints.Add(1) <= 20 {
		c.t.Errorf(message, args...)
	}
}

// checkEnd checks what is there when all workers are gone. What the answers say
// then was checked as all of them were, with bounds that had become one number.
func (c *restarts) checkEnd(t *testing.T) {
	t.Helper()
	all := c.look()
	total := collectTotal(t, c.dir)
	for _, kind := range []string{ending, killable} {
		var want format.Samples
		var sum int64
		for n, w := range all {
			if kindOf(n) != kind {
				continue
			}
			want.Count += w.begun
			for step := range w.begun {
				sum += sizeOf(step + 1)
			}
		}
		for _, stat := range total.Stats {
			if stat.Name != sizeName(kind) {
				continue
			}
			isRight := stat.Dist.Count == want.Count && stat.Dist.Sum == format.Int(sum)
			if kind == killable {
				isRight = stat.Dist.Count <= want.Count && stat.Dist.Sum.Int64() <= sum
			}
			if !isRight {
				t.Errorf("%d sizes of the %s workers, with a sum of %v, are counted, of %d with %d",
					stat.Dist.Count, kind, stat.Dist.Sum, want.Count, sum)
			}
			want.Labels = stat.Dist.Labels
		}
		if len(want.Labels) == 0 {
			t.Errorf("the sizes of the %s workers are not there", kind)
		}
	}
	c.checkLeftovers(t, all)
	for line := range strings.Lines(c.readLog(t)) {
		// The plain pipe of one that was killed may be there for a moment longer.
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "error=\"its process is gone") {
			c.complain("serve has logged %s", line)
		}
	}
}

// checkLeftovers waits until nothing is left of the workers but what they counted, and
// what no serve has read of those that were killed at once: that stays for an hour.
func (c *restarts) checkLeftovers(t *testing.T, all moment) {
	t.Helper()
	unread := make(map[string]bool) // by pid
	for n := range all {
		if _, ok := c.final.own[n]; !ok && all.wasKilled(n) {
			unread[strconv.Itoa(c.processes[n].Load().Pid)] = true
		}
	}
	h, serve := &herd{dir: c.dir}, &service{c.current.Load().process, "http://" + c.address}
	aged := time.Now().Add(-time.Hour)
	var left []string
	waitFor(20*time.Second, func() bool {
		left = nil
		for _, name := range h.leftovers(t) {
			switch pid, _, _ := strings.Cut(strings.TrimPrefix(name, "."), "."); {
			case h.age(name), !unread[pid]:
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			serve.get(t, "/stats")
		}
		return len(left) == 0
	})
	if len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	for _, path := range c.saving() {
		_ = os.Chtimes(path, aged, aged)
	}
	serve.end(t) // when it saves
	saved, err := os.ReadDir(c.state)
	if err != nil || len(saved) != 1 || len(c.stateFiles()) != 1 {
		t.Errorf("the state directory has %v, %v", saved, err)
	}
}

func (c *restarts) readLog(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// report says how much was tried.
func (c *restarts) report(t *testing.T) {
	t.Helper()
	all := c.look()
	var begun, counted int64
	killed := 0
	for n, w := range all {
		begun += w.begun
		counted += c.final.own[n]
		if all.wasKilled(n) {
			killed++
		}
	}
	t.Logf("serve was killed %d times, and left %d workers folded and not removed", c.lives-1, c.halfFolded)
	t.Logf("%d answers of %d collections were checked; one took %v", c.answers.Load(), len(c.stamps), time.Duration(c.longest.Load()))
	t.Logf("%d workers were there, and %d of them killed; of %d steps %d were lost", len(all), killed, begun, begun-counted)
}
