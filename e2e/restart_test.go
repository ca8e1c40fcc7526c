//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
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
//   - serve answers every request while it lives: a connection breaks or is refused
//     only where it was killed. And it saves its state not only at its start.
//
// A request may share a collection that began before it, but none that was there when
// an answer to an earlier request had come: so what a client saw done before its last
// request on the same connection, or else before the serve was started, was done
// before the collection began. No clock is needed for any of this.
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
			for !isClosed(over) {
				c.runWorker()
			}
		})
	}
	for range restartClients {
		clients.Go(func() { c.ask(last) })
	}
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
	t.Logf("serve was killed %d times; %d answers of %d collections were checked; %d workers, of which %d were killed: "+
		"%d steps, %d of them lost", c.lives-1, c.answers.Load(), c.collections(), c.started.Load(), c.killed(), c.steps(), c.steps()-c.counted)
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

	current  atomic.Pointer[life] // set before the serve is started, nil before it is killed
	lives    int
	sawSaves bool

	started   atomic.Int64 // workers
	pids      [maxWorkers]atomic.Int64
	signalled [maxWorkers]atomic.Bool // set before the worker is killed
	gone      [maxWorkers]atomic.Bool // set when it is no more

	answers    atomic.Int64
	complaints atomic.Int64

	mu      sync.Mutex
	stamps  map[string]bool // of all answers
	final   *restartAnswer  // the last one
	counted int64           // steps in it
}

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
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = listener.Addr().String()
	_ = listener.Close()
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

// runWorker starts one and returns when it is gone.
func (c *restarts) runWorker() {
	self, err := os.Executable()
	if err != nil {
		c.t.Error(err)
		return
	}
	n := int(c.started.Add(1)) - 1
	if n >= maxWorkers {
		c.t.Error("there are too many workers")
		return
	}
	random := rand.New(rand.NewPCG(c.seed, uint64(n+1)))
	naps, steps := 1+random.IntN(150), 1+random.IntN(10)
	cmd := exec.CommandContext(c.t.Context(), self, c.path, kindOf(n), strconv.Itoa(n), strconv.Itoa(naps), strconv.Itoa(steps))
	cmd.Env = append(os.Environ(), publishVariable+"="+asWorker, pipes.DirVariable+"="+c.dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		c.t.Error(err)
		return
	}
	c.pids[n].Store(int64(cmd.Process.Pid))
	if kindOf(n) == killable {
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(8*time.Second))), func() { // some have ended by then
			c.signalled[n].Store(true)
			_ = cmd.Process.Kill()
		})
		defer timer.Stop()
	}
	err = cmd.Wait()
	if err == nil {
		c.signalled[n].Store(false) // it came too late
	} else if !c.signalled[n].Load() && c.t.Context().Err() == nil {
		c.t.Errorf("worker %d: %v: %s", n, err, &output)
	}
	c.gone[n].Store(true)
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

// A life is that of one serve.
type life struct {
	*process
	before moment // it was started
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
	l := &life{before: c.look()}
	if previous != nil {
		c.inherit(l, previous)
	}
	cmd := exec.Command(binary, "serve", "-d", c.dir, "--listen", c.address, "--state-dir", c.state)
	cmd.Stderr = c.log
	c.lives++
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
	retained := c.documents(filepath.Join(c.dir, fmt.Sprintf(".retained-%d.typed", os.Geteuid())))
	for _, doc := range retained {
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
	for n := range l.before {
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
	number, ok := strings.CutPrefix(name, ownName(killable, 0)[:len(ownName(killable, 0))-1])
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number)
	return n, err == nil && 0 <= n && n < maxWorkers
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

func (c *restarts) stateFiles() []string {
	paths, _ := filepath.Glob(filepath.Join(c.state, "seen-*"))
	return paths
}

// awaitSomeMoment waits for one at which the serve is to be killed.
func (c *restarts) awaitSomeMoment(l *life) {
	longest := []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second}[c.random.IntN(3)]
	pause := time.Duration(c.random.Int64N(int64(longest)))
	select {
	case <-time.After(pause):
	case <-l.exited:
		return
	}
	watched := ""
	switch c.random.IntN(3) {
	case 0:
		watched = filepath.Join(c.dir, fmt.Sprintf(".retained-%d.typed", os.Geteuid()))
	case 1:
		watched = c.state // a temporary file is made there, and renamed
	default:
		return
	}
	was, _ := os.Stat(watched)
	waitFor(time.Second, func() bool {
		is, err := os.Stat(watched)
		return err == nil && (was == nil || !is.ModTime().Equal(was.ModTime()))
	})
}

// awaitSaves waits until a serve has saved its state at its start and once more.
func (c *restarts) awaitSaves(t *testing.T, l *life) {
	t.Helper()
	var last time.Time
	saves := -1 // one is that of the serve before
	for _, path := range c.stateFiles() {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		last, saves = info.ModTime(), 0
	}
	waitFor(time.Minute, func() bool {
		for _, path := range c.stateFiles() {
			if info, err := os.Stat(path); err == nil && !info.ModTime().Equal(last) {
				last = info.ModTime()
				saves++
			}
		}
		return saves >= 2 || isClosed(l.exited)
	})
	if saves < 2 {
		t.Errorf("serve has saved its state %d times in a minute", saves)
	}
	c.sawSaves = true
}

// ask is what a client does: it asks again and again, on one connection to each
// serve, and a few more times on that to the last.
func (c *restarts) ask(last <-chan struct{}) {
	const more = 3
	for asked := 0; asked < more; {
		conn := c.connect()
		if conn == nil {
			time.Sleep(rand.N(10 * time.Millisecond))
			continue
		}
		for before := conn.life.before; asked < more; time.Sleep(rand.N(200 * time.Millisecond)) {
			if isClosed(last) {
				asked++
			}
			now := c.look()
			if err := c.askOnce(conn, before); err != nil {
				if c.current.Load() == conn.life {
					c.complain("serve lives, and doesn't answer: %v", err)
				}
				break
			}
			before = now
		}
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

// askOnce asks for the stats and checks them. Before is a moment before the
// collection began that answers.
func (c *restarts) askOnce(conn *connection, before moment) error {
	l := conn.life
	least := make([]int64, len(before))
	for n := range least {
		least[n] = l.own[n].Load()
	}
	var leastTotals [sums]int64
	for i := range leastTotals {
		leastTotals[i] = l.totals[i].Load()
	}
	body, err := conn.get("/stats")
	if err != nil {
		return err
	}
	after := c.look()
	c.answers.Add(1)
	a, err := parseRestartAnswer(body)
	if err != nil {
		c.complain("%v in %s", err, body)
		return nil
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
	c.final, c.counted = a, 0
	for _, steps := range a.own {
		c.counted += steps
	}
	return nil
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

func (c *restarts) checkWorkers(l *life, before, after moment, least []int64, a *restartAnswer) {
	for n := range a.own {
		if n >= len(after) {
			c.complain("worker %d is in an answer, and isn't there", n)
		}
	}
	for n, w := range after {
		low := int64(0)
		if n < len(before) {
			low = least[n]
			if !after.wasKilled(n) {
				low = max(low, before[n].done)
			}
		}
		got, ok := a.own[n]
		if got < low || got > w.begun {
			c.complain("serve %d: worker %d: %d steps (%v), not %d to %d: before %+v, after %+v, left by the last serve %d, folded %v",
				l.Process.Pid, n, got, ok, low, w.begun, before.of(n), w, l.left.own[n], l.left.folded[n])
		}
		alive, ok := a.alive[n]
		runs := n < len(before) && before[n].done > 0 && !w.closing && !w.signalled
		isGone := n < len(before) && before[n].gone
		if ok && (alive != 1 || isGone) || !ok && runs {
			c.complain("serve %d: worker %d: its gauge is %d (%v): before %+v, after %+v", l.Process.Pid, n, alive, ok, before.of(n), w)
		}
	}
}

func (m moment) of(n int) any {
	if n < len(m) {
		return m[n]
	}
	return "nothing"
}

func (c *restarts) checkSums(l *life, before, after moment, least [sums]int64, a *restartAnswer) {
	var low, high [sums]int64
	low[totalKillable] = l.left.retainedTotal
	for n, w := range after {
		var done int64
		if n < len(before) {
			done = before[n].done
		}
		if kindOf(n) == ending {
			low[totalEnding] += done * totalPerStep
			low[quartersEnding] += done
			high[totalEnding] += w.begun * totalPerStep
			high[quartersEnding] += w.begun
			continue
		}
		high[totalKillable] += w.begun * totalPerStep
		high[quartersKillable] += w.begun
		if l.left.folded[n] {
			continue
		}
		if after.wasKilled(n) {
			done = 0
		}
		low[totalKillable] += max(l.left.savedTotal[n], done*totalPerStep)
	}
	for i, got := range a.totals {
		if at := max(low[i], least[i]); got < at || got > high[i] {
			c.complain("serve %d: sum %d is %d, not %d to %d", l.Process.Pid, i, got, at, high[i])
		}
	}
}

func (c *restarts) checkLabels(before, after moment, a *restartAnswer) {
	for _, kind := range []string{ending, killable} {
		var runs, mayRun bool
		for n, w := range after {
			if kindOf(n) == kind {
				runs = runs || n < len(before) && before[n].done > 0 && !w.closing && !w.signalled
				mayRun = mayRun || n >= len(before) || !before[n].gone
			}
		}
		labels := a.labels[kind]
		if len(labels) != 0 && !mayRun || runs && len(labels) == 0 {
			c.complain("%s: the labels are %v", kind, labels)
		}
		if len(labels) == 0 {
			continue
		}
		last := 1.0
		for _, name := range []string{"median", "95th", "99th", "100th"} {
			v, err := labels[name].Int64()
			if err != nil || float64(v) < last || v > largestSize {
				c.complain("%s: the labels are %v", kind, labels)
			}
			last = float64(v)
		}
		mean, err := labels["mean"].Float64()
		if err != nil || mean < 1 || mean > last || len(labels) != 5 {
			c.complain("%s: the labels are %v", kind, labels)
		}
	}
}

// A restartAnswer is a document of /stats.
type restartAnswer struct {
	own       map[int]int64 // steps, by worker
	alive     map[int]int64
	totals    [sums]int64                       // of quarters, how many
	labels    map[string]map[string]json.Number // kind -> label -> value
	timestamp string
}

func parseRestartAnswer(body []byte) (*restartAnswer, error) {
	a := &restartAnswer{own: make(map[int]int64), alive: make(map[int]int64), labels: make(map[string]map[string]json.Number)}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for _, want := range []json.Token{json.Delim('{'), "stats", json.Delim('{')} {
		if got, err := d.Token(); err != nil || got != want {
			return nil, fmt.Errorf("%v, %w, not %v", got, err, want)
		}
	}
	for last := ""; ; {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			break // the end of the object
		}
		if name <= last {
			return nil, fmt.Errorf("%s after %s", name, last)
		}
		last = name
		value, err := d.Token()
		if err != nil {
			return nil, err
		}
		number, ok := value.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s: %v", name, value)
		}
		if err := a.add(name, number); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if got, err := d.Token(); err != nil || got != "timestamp" {
		return nil, fmt.Errorf("%v, %w, not a timestamp", got, err)
	}
	stamp, err := d.Token()
	number, ok := stamp.(json.Number)
	if err != nil || !ok {
		return nil, fmt.Errorf("the timestamp is %v, %w", stamp, err)
	}
	a.timestamp = number.String()
	if end, err := d.Token(); err != nil || end != json.Delim('}') {
		return nil, fmt.Errorf("%v, %w, not the end", end, err)
	}
	if rest, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%v after the end", rest)
	}
	return a, nil
}

// add takes in one stat.
func (a *restartAnswer) add(name string, number json.Number) error {
	family, rest, _ := strings.Cut(name, ".")
	kind, of, isOf := strings.Cut(rest, ".")
	integer, intErr := number.Int64()
	if family == "alive" {
		n, err := strconv.Atoi(rest)
		a.alive[n] = integer
		return errors.Join(err, intErr)
	}
	if kind != ending && kind != killable {
		return errors.New("nobody has that")
	}
	sum := 0
	if kind == killable {
		sum = totalKillable - totalEnding
	}
	switch {
	case family == "own" && isOf:
		n, err := strconv.Atoi(of)
		if err == nil && kindOf(n) != kind {
			err = errors.New("nobody has that")
		}
		a.own[n] = integer
		return errors.Join(err, intErr)
	case family == "size" && isOf:
		if a.labels[kind] == nil {
			a.labels[kind] = make(map[string]json.Number)
		}
		a.labels[kind][of] = number
		return nil
	case family == "total" && !isOf:
		a.totals[totalEnding+sum] = integer
		return intErr
	case family == "quarters" && !isOf:
		f, err := number.Float64()
		if intErr == nil || f*4 != float64(int64(f*4)) {
			err = errors.Join(err, fmt.Errorf("it is %s", number))
		}
		a.totals[quartersEnding+sum] = int64(f * 4)
		return err
	}
	return errors.New("nobody has that")
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
	if log := c.readLog(t); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") || strings.Contains(log, "fatal error") {
		t.Errorf("serve has logged errors:\n%s", log)
	}
}

// checkLeftovers waits until nothing is left of the workers but what they counted, and
// what no serve has read of those that were killed at once: that stays for an hour.
func (c *restarts) checkLeftovers(t *testing.T, all moment) {
	t.Helper()
	unread := make(map[string]bool) // by pid
	for n := range all {
		if _, ok := c.final.own[n]; !ok && all.wasKilled(n) {
			unread[strconv.FormatInt(c.pids[n].Load(), 10)] = true
		}
	}
	h := &herd{dir: c.dir}
	aged := time.Now().Add(-time.Hour)
	var left []string
	waitFor(20*time.Second, func() bool {
		left = nil
		for _, name := range h.leftovers(t) {
			switch pid, _, _ := strings.Cut(strings.TrimPrefix(name, "."), "."); {
			case strings.HasPrefix(name, ".tmp-"):
				// Whoever was killed has left it. It goes when it is a minute old.
				_ = os.Chtimes(filepath.Join(c.dir, name), aged, aged)
				left = append(left, name)
			case !unread[pid]:
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			(&service{url: "http://" + c.address}).get(t, "/stats")
		}
		return len(left) == 0
	})
	if len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	saved, err := os.ReadDir(c.state)
	if err != nil || len(saved) != 1 {
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

func (c *restarts) collections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.stamps)
}

// steps returns how many all workers have begun.
func (c *restarts) steps() (sum int64) {
	for _, w := range c.look() {
		sum += w.begun
	}
	return sum
}

func (c *restarts) killed() (sum int) {
	all := c.look()
	for n := range all {
		if all.wasKilled(n) {
			sum++
		}
	}
	return sum
}
