//go:build linux

package e2e

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	chaosFor  = flag.Duration("chaos-for", 20*time.Second, "how long TestChaos goes on")
	chaosSeed = flag.Uint64("chaos-seed", 0, "what it draws its random numbers from; 0 is another one each time")
)

// Programs do all that programs do, and all is done to them that the world does, while
// serves and readers of every kind read; and nobody is ever told a wrong number.
//
// From one number, SEED, each of a few slots draws the lives of programs, one after
// another: with the library, in the manner of the first statvent, or calls of emit. They
// count, record, set, close and start again, execute themselves, exit without Close, are
// killed (also while they start or close), terminated, stopped and continued; their pipes
// are deleted, their pids used again; they run out of descriptors and of memory; the disk
// runs out of room and of inodes, the directory is renamed and comes back, or is deleted;
// serve is ended, killed and started again, with what it has saved or without. What is
// done, and in which order in each slot, depends on SEED alone; when, and how far it gets,
// on the machine. So a seed that fails may have to be tried a few times.
//
// What is true is in a ledger that outlives the programs: each counts there before a step
// and after it. So at every moment there is a least and a most that a counter may be. The
// invariants, and what they allow (docs/promises.md, docs/host-numbers.md):
//
//   - No counter is ever above what was begun, and nobody counts twice: not while a recorder
//     is folded, and not when it ends while its pipe is away.
//   - Of a recorder that lives and answers there is all that it had done before the reading
//     began. Who could answer for ten seconds and doesn't is a fault.
//   - What was closed, or stored by an emit that returned 0, stays, for everybody. A
//     Close or an emit fails only for want of disk or descriptors; then Close leaves it as if
//     the process had been killed, and emit has stored nothing.
//   - For one serve nothing falls: not by a process that is stopped, killed, out of
//     descriptors, without disk, or has lost its pipe. It goes on with what was saved
//     and retained when the serve before it was dead. Allowed is what users are told: what a
//     killed process had done since it was last read is lost; others than the one serve that
//     folds may see less of it; two serves that fold may each fold what the other has read
//     later.
//   - Deleting does what it says: without its .live file nobody knows that a recorder
//     lives, so it may be missing, or be read as a plain one; killed in that state, or without
//     its pipe, it is lost. What was retained goes with the directory. But whatever somebody
//     deletes of one that lives is back within a minute.
//   - A gauge is there while its process lives and answers, once, and is not when a reading
//     begins after the process has gone. That of emit stays.
//   - The count and the sum of a distribution belong to the same prefix of what was recorded,
//     also when it is folded; percentiles are in order and within what was recorded.
//   - A sum that many share is that of its parts; no name is there that nobody has.
//   - One read of a plain pipe is one whole snapshot, or nothing, and ends; who reads a
//     little and leaves, or waits, disturbs nobody.
//   - No reading takes longer than the deadline, but for what a busy machine takes.
//   - Exit codes are 0; 3 where somebody didn't answer; 1 for cat where there is no
//     directory. No output and no log has a panic, a stack or an error of serve's own.
//   - In the end everybody is told the same, and of what was closed properly exactly what was
//     done. No file is left but those retained, and, for an hour, those of killed recorders
//     that the serve has never read or that had lost files. No program and no serve
//     holds a goroutine or a descriptor that it didn't hold at first.
//
// A tmpfs of its own is the disk, and a pid namespace has the pids: without root, and
// without these, what needs them is left out, and said to be.
func TestChaos(t *testing.T) {
	if os.Getenv(chaosVariable) == "" {
		if os.Geteuid() == 0 && chaosInNamespaces(t) {
			return
		}
		t.Run("pids are used again, the disk gets full", func(t *testing.T) {
			t.Skip("SKIPPED: needs root, and leave to make namespaces")
		})
	} else if err := settleNamespaces(); err != nil {
		t.Fatal(err)
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	end := time.Now().Add(*chaosFor)
	for first := true; first || time.Until(end) > 15*time.Second; first = false {
		c := newChaos(t, seed)
		c.run(min(c.shape.long, max(time.Until(end)-episodeEnd, 5*time.Second)))
		if t.Failed() {
			t.Fatalf("the actions come again with `make chaos SEED=%d`; when they happen is another matter. All that happened is in %s", seed, c.keep())
		}
		seed++
	}
}

// episodeEnd is about how long an episode takes when all is over.
const episodeEnd = 6 * time.Second

// chaosVariable is set where the test has namespaces of its own.
const chaosVariable = "STATVENT_TEST_CHAOS"

// chaosInNamespaces runs the test where pids are its own, and so can be used again,
// and disks can be mounted; all of it ends with it. It returns false if that may not be.
func chaosInNamespaces(t *testing.T) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-test.run=^TestChaos$", "-test.v", "-test.timeout=" + (*chaosFor + 5*time.Minute).String(),
		"-chaos-for=" + chaosFor.String(), "-chaos-seed=" + strconv.FormatUint(*chaosSeed, 10),
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), chaosVariable+"=1", binaryVariable+"="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Logf("no namespaces: %v", err)
		return false
	}
	// Line by line, as it takes long.
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		t.Errorf("in namespaces of its own: %v", err)
	}
	return true
}

// settleNamespaces makes what is mounted the namespace's own, and /proc that of its
// processes.
func settleNamespaces() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount /: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// A shape is what happens in an episode, beside what happens in all.
type shape struct {
	long     time.Duration
	puppets  int
	nobody   bool // some run as another user
	twoRoots bool // two serves that fold
	another  bool // and one that may not
	inodes   bool // the disk runs out of them
	blocks   bool // or of room
	moves    bool // the directory is renamed, and comes back
	deletes  bool // or is deleted
	unlinks  bool // somebody deletes pipes
	stops    bool // programs are stopped
	starves  bool // they are out of descriptors
	reuse    bool // their pids come again
	restarts int  // of serve: how often on average, in tenths of a second
}

func (c *chaos) drawShape() {
	r := rand.New(rand.NewPCG(c.seed, streamShape))
	yes := func(tenths int) bool { return r.IntN(10) < tenths }
	s := &c.shape
	s.long = time.Duration(14+r.IntN(12)) * time.Second
	if yes(1) {
		s.long = 100 * time.Second // what is put back within a minute
	}
	s.puppets = 3 + r.IntN(7)
	s.nobody, s.twoRoots, s.another = yes(5), yes(2), yes(4)
	s.inodes, s.blocks, s.moves, s.deletes = yes(3), yes(3), yes(3), yes(1)
	s.unlinks, s.stops, s.starves, s.reuse = yes(4), yes(6), yes(4), yes(6)
	s.restarts = 10 + r.IntN(60)
	if !c.private {
		s.inodes, s.blocks, s.reuse = false, false, false
	}
	if s.reuse {
		f, err := os.OpenFile(lastPID, os.O_WRONLY, 0)
		if err != nil {
			c.t.Logf("SKIPPED: pids are not used again: %v", err)
			s.reuse = false
		}
		_ = f.Close()
	}
	if os.Geteuid() != 0 {
		s.nobody, s.another = false, false
	}
}

// The streams of random numbers, each of which one goroutine draws from. Those of
// the slots and readers are beyond these.
const (
	streamShape = iota
	streamWorld
	streamSlots   = 1000
	streamReaders = 1 << 40
)

// chaos is an episode.
type chaos struct {
	t       *testing.T
	seed    uint64
	shape   shape
	private bool // it has namespaces of its own
	home    string
	disk    string // where the pipe directory is
	dir     string
	state   string // of the serve that is restarted
	self    string // the program that puppets are
	tool    string // statvent
	path    string // of the ledger
	ledger  ledger
	trace   *trace

	over    chan struct{} // when nothing new begins
	silence chan struct{} // when nobody reads any more

	acting  sync.RWMutex // shared by those who start, close or emit
	making  sync.RWMutex // shared by those of them who make the directory if it is away
	forking sync.Mutex   // while a process is started, so that it gets the pid that was chosen

	main   atomic.Pointer[server] // the serve that is restarted, nil while there is none
	others []*server
	atRest usage // of a serve that nobody has asked anything
	last   *server

	complaints atomic.Int64
	tally      tally

	mu sync.Mutex // guards what follows
	disorder
	actors []*actor
	alive  map[*process]bool
}

// tally is how much was tried.
type tally struct {
	readings, exact, excused, lives, kills, reused, tried, restarts, failedCloses, emits, failedEmits, cats, empty atomic.Int64
	longest                                                                                                        atomic.Int64
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	memory := memoryDir(t)
	c := &chaos{
		t: t, seed: seed, private: os.Getenv(chaosVariable) != "", home: filepath.Join(memory, "home"), disk: filepath.Join(memory, "disk"), path: filepath.Join(memory, "ledger"),
		over: make(chan struct{}), silence: make(chan struct{}), alive: make(map[*process]bool),
	}
	c.drawShape()
	t.Logf("SEED=%d: %+v", seed, c.shape)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.self, c.tool = filepath.Join(memory, "puppet"), filepath.Join(memory, "statvent")
	if err := errors.Join(copyFile(self, c.self), copyFile(binary, c.tool), os.Mkdir(c.home, 0o755)); err != nil {
		t.Fatal(err)
	}
	if c.trace, err = newTrace(filepath.Join(c.home, "trace")); err != nil {
		t.Fatal(err)
	}
	if c.ledger, err = openLedger(c.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.path, 0o666); err != nil { // other users write there as well
		t.Fatal(err)
	}
	// Everybody may make the pipe directory there when it was deleted, as in /tmp.
	if err := errors.Join(os.Mkdir(c.disk, 0o700), os.Chmod(c.disk, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	if c.private {
		if err := unix.Mount("chaos", c.disk, "tmpfs", 0, "mode=1777,size=8m,nr_inodes=2000"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(c.disk, unix.MNT_DETACH) })
	}
	c.state = filepath.Join(c.disk, "state")
	c.dir = pipeDirIn(t, c.disk)
	return c
}

// run is the whole episode.
func (c *chaos) run(long time.Duration) {
	defer c.killAll()
	c.lookAtRest()
	c.startServes()
	var players, readers, world sync.WaitGroup
	for slot := range c.shape.puppets {
		players.Go(func() { c.playPuppets(slot) })
	}
	players.Go(func() { c.playPlain(c.shape.puppets) })
	for i := range 2 {
		players.Go(func() { c.playScripts(c.shape.puppets + 1 + i) })
	}
	c.startReaders(&readers)
	world.Go(c.turn)
	select {
	case <-time.After(long):
	case <-c.t.Context().Done():
	}
	c.trace.note("test", "it is over: all end")
	close(c.over)
	world.Wait() // which leaves a serve that runs, and a directory and disk as they should be
	players.Wait()
	c.trace.note("test", "all have ended")
	c.settleLast()
	close(c.silence)
	readers.Wait()
	c.checkEnd()
	c.report()
}

// complain reports what is wrong, the first few times.
func (c *chaos) complain(message string, args ...any) {
	c.t.Helper()
	n := c.complaints.Add(1)
	c.trace.note("COMPLAINT", message, args...)
	if n <= 10 {
		c.t.Errorf("after %.3fs: %s", time.Since(c.trace.began).Seconds(), fmt.Sprintf(message, args...))
	}
	if n == 1 {
		c.t.Logf("what happened before that:\n%s", c.trace.recent())
	}
}

// keep keeps the trace and the logs of the serves, and returns where.
func (c *chaos) keep() string {
	kept, err := os.MkdirTemp("", "statvent-chaos-")
	if err == nil {
		err = os.CopyFS(filepath.Join(kept, "home"), os.DirFS(c.home))
	}
	if err != nil {
		c.t.Error(err)
	}
	return kept
}

// copyFile makes a copy that every user can run.
func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

func (c *chaos) report() {
	y := &c.tally
	if y.tried.Load() >= 20 && y.reused.Load() == 0 {
		c.t.Errorf("of %d pids none was used again", y.tried.Load())
	}
	c.t.Logf("%d actors in %d lives, %d of them killed; %d of %d pids were used again; serve was restarted %d times; %d emits, of which %d failed; %d closings failed",
		len(c.actors), y.lives.Load(), y.kills.Load(), y.reused.Load(), y.tried.Load(), y.restarts.Load(), y.emits.Load(), y.failedEmits.Load(), y.failedCloses.Load())
	c.t.Logf("%d readings were checked; %d times an actor had to answer and did, %d times it didn't; the longest reading took %v; of %d plain ones %d were empty",
		y.readings.Load(), y.exact.Load(), y.excused.Load(), time.Duration(y.longest.Load()), y.cats.Load(), y.empty.Load())
}
