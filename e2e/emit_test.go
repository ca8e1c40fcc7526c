//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// nobodyUID is a user without rights; becomeNobody makes a process one of its.
const nobodyUID = 65534

// anotherUser returns a user beside the one who runs the tests, or skips the test.
func anotherUser(t *testing.T) (uid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can become another user")
	}
	if err := os.Chmod(filepath.Dir(binary), 0o711); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "--version")
	become(cmd, nobodyUID)
	if err := cmd.Run(); err != nil {
		t.Skipf("SKIPPED: user %d can't run %s: %v", nobodyUID, binary, err)
	}
	return nobodyUID
}

// become makes a command run as that user.
func become(cmd *exec.Cmd, uid int) {
	if uid == os.Geteuid() {
		return
	}
	cmd.Env = append(cmd.Environ(), "HOME=/")
	cmd.Dir = "/"
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
}

// forUsers runs a test as the user who runs it, which may be root, and as one
// without rights.
func forUsers(t *testing.T, test func(t *testing.T, uid int)) {
	t.Helper()
	t.Run("own user", func(t *testing.T) {
		t.Parallel()
		test(t, os.Geteuid())
	})
	t.Run("another user", func(t *testing.T) {
		t.Parallel()
		test(t, anotherUser(t))
	})
}

// memoryDir returns a directory in memory, where there is such a thing, in which
// everybody may look around.
func memoryDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "statvent-e2e-")
	if err != nil {
		dir, err = os.MkdirTemp("", "statvent-e2e-")
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// pipeDirIn makes a pipe directory as `chmod 1777` does.
func pipeDirIn(tb testing.TB, base string) string {
	tb.Helper()
	dir := filepath.Join(base, "pipes")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777|os.ModeSticky)); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// An emitter runs `statvent emit` as a user in a pipe directory.
type emitter struct {
	t   *testing.T
	uid int
	dir string
}

func newEmitter(t *testing.T) emitter {
	t.Helper()
	return emitter{t, os.Geteuid(), pipeDirIn(t, memoryDir(t))}
}

// as returns an emitter of another user.
func (e emitter) as(uid int) emitter { return emitter{e.t, uid, e.dir} }

func (e emitter) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, append([]string{"emit"}, args...)...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+e.dir)
	cmd.WaitDelay = patience / 4 // for whoever it leaves behind with its stderr
	become(cmd, e.uid)
	return cmd
}

// An outcome is what became of a command.
type outcome struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

func (o outcome) String() string {
	return fmt.Sprintf("exit code %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
}

func (e emitter) run(stdin string, args ...string) outcome {
	e.t.Helper()
	cmd := e.command(args...)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	return complete(e.t, cmd)
}

// complete runs a command to its end, which has to come.
func complete(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !tooLong.Stop() {
		t.Fatalf("%v does not end", cmd.Args)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(begin)}
}

// stores runs an emit that has to succeed, in silence.
func (e emitter) stores(args ...string) {
	e.t.Helper()
	e.storesLines("", args...)
}

func (e emitter) storesLines(stdin string, args ...string) {
	e.t.Helper()
	if got := e.run(stdin, args...); got.code != 0 || got.stdout != "" || got.stderr != "" {
		e.t.Errorf("user %d: emit %q: %v, want success in silence", e.uid, args, got)
	}
}

// refuses runs an emit that can't store anything: it fails with one line that has
// each of these words in it, or with none if it is to be quiet, and whatever was
// in the directory is as it was.
func (e emitter) refuses(words []string, args ...string) {
	e.t.Helper()
	before := contents(e.t, e.dir)
	loud := e.run("lines: 1\n", args...)
	isOneLine := strings.HasPrefix(loud.stderr, "statvent: ") && strings.Count(loud.stderr, "\n") == 1 && strings.HasSuffix(loud.stderr, "\n")
	if loud.code != 1 || loud.stdout != "" || !isOneLine {
		e.t.Errorf("user %d: emit %q: %v, want exit code 1 and one line on stderr", e.uid, args, loud)
	}
	for _, word := range words {
		if !strings.Contains(loud.stderr, word) {
			e.t.Errorf("user %d: emit %q says %q, without %q", e.uid, args, loud.stderr, word)
		}
	}
	quiet := e.run("lines: 1\n", append([]string{"--quiet"}, args...)...)
	if quiet.code != loud.code || quiet.stdout != "" || quiet.stderr != "" {
		e.t.Errorf("user %d: emit --quiet %q: %v, want exit code %d in silence", e.uid, args, quiet, loud.code)
	}
	after := contents(e.t, e.dir)
	delete(after, lockName(e.uid)) // which has nothing in it
	delete(before, lockName(e.uid))
	if !maps.Equal(before, after) {
		e.t.Errorf("user %d: emit %q has changed the directory: it had\n%v, and has\n%v", e.uid, args, before, after)
	}
}

func lockName(uid int) string { return fmt.Sprintf(".retained-%d.lock", uid) }

func retainedName(uid int) string { return fmt.Sprintf(".retained-%d.typed", uid) }

// contents returns what is in a directory: of each entry the kind, the mode, the
// owner, and the text or where a link points to.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		text := []byte(nil)
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
		target, _ := os.Readlink(path)
		found[entry.Name()] = fmt.Sprint(info.Mode(), info.Sys().(*syscall.Stat_t).Uid, target, string(text))
	}
	return found
}

// catSays returns what cat prints.
func catSays(t *testing.T, dir string) map[string]string {
	t.Helper()
	out, errOut, code := runStatvent(t, dir, "cat")
	if code != 0 && code != 3 {
		t.Fatalf("cat: exit code %d, %s", code, errOut)
	}
	return plainStats(t, out)
}

// catWants checks what cat says of some stats: NAME=VALUE, or NAME= if there is no
// such stat.
func catWants(t *testing.T, dir string, stats ...string) {
	t.Helper()
	printed := catSays(t, dir)
	for _, stat := range stats {
		name, want, _ := strings.Cut(stat, "=")
		if got := printed[name]; got != want {
			t.Errorf("cat says %s: %q, want %q", name, got, want)
		}
	}
}

// A crowd is many emits that begin at once: each is a shell at first, which waits
// at a gate and becomes the emit when that is opened.
type crowd struct {
	emitter

	gateOut, gateIn *os.File
	members         []*member
	waiting         sync.WaitGroup
}

type member struct {
	*exec.Cmd
	output bytes.Buffer
	err    error // of Wait
}

func newCrowd(e emitter) *crowd {
	e.t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { out.Close(); in.Close() })
	return &crowd{emitter: e, gateOut: out, gateIn: in}
}

// join adds an emit of that user.
func (c *crowd) join(uid int, args ...string) {
	c.t.Helper()
	m := &member{Cmd: c.as(uid).command(args...)}
	m.Args = append([]string{"sh", "-c", `read -r _ <&3; exec 3<&-; exec "$@"`, "sh"}, m.Args...)
	m.Path = lookup(c.t, "sh")
	m.ExtraFiles = []*os.File{c.gateOut}
	m.Stdout, m.Stderr = &m.output, &m.output
	if err := m.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.members = append(c.members, m)
	c.waiting.Go(func() {
		tooLong := time.AfterFunc(time.Minute, func() { _ = m.Process.Kill() })
		defer tooLong.Stop()
		m.err = m.Wait()
	})
}

// emitting counts those that are emits just now.
func (c *crowd) emitting() (n int) {
	for _, m := range c.members {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", m.Process.Pid)); err == nil && exe == binary {
			n++
		}
	}
	return n
}

// open lets all of them begin, and returns when the last has ended. The locks are
// held until so many of them are there at the same time, of which all that do more
// than count wait for them.
func (c *crowd) open(atOnce int, locks ...*os.File) {
	c.t.Helper()
	_ = c.gateIn.Close()
	waitUntil(c.t, fmt.Sprintf("there are %d emits at once", atOnce), func() bool { return c.emitting() >= atOnce })
	for _, lock := range locks {
		_ = lock.Close()
	}
	c.waiting.Wait()
}

// holdLock takes the lock of a user's retained file, as another emit does that
// takes its time.
func holdLock(t *testing.T, dir string, uid int) *os.File {
	t.Helper()
	lock, err := os.Open(filepath.Join(dir, lockName(uid)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return lock
}

// A crowd that records is stored, each in its turn: with the default --wait,
// which is for a lock that nobody gives back.
func TestCrowdThatRecords(t *testing.T) {
	c := newCrowd(newEmitter(t))
	for range crowdSize(2) {
		c.join(c.uid, "--record", "size", "1")
	}
	c.open(1)
	for _, m := range c.members {
		if m.err != nil || m.output.Len() > 0 {
			t.Errorf("%q: %v, %s", m.Args, m.err, &m.output)
		}
	}
	if got, want := typedCounts(t, c.dir)["size.{0}"], strconv.Itoa(len(c.members)); got != want {
		t.Errorf("%s values are recorded, want %s", got, want)
	}
}

// crowdUsers are the users of a crowd: two of them, where that may be.
func crowdUsers(t *testing.T, twoUsers bool) []int {
	t.Helper()
	if !twoUsers {
		return []int{os.Geteuid()}
	}
	return []int{os.Geteuid(), anotherUser(t)}
}

// crowdSize returns how many there are: 500, or a part of them.
func crowdSize(part int) int {
	if testing.Short() {
		part = 5
	}
	return 500 / part
}

// 500 emits at once, of every kind: each is stored, and nothing of what they and
// the programs of the same user count meanwhile gets lost or counts twice.
func TestEmitsAtOnceAreAllStored(t *testing.T) {
	situations := []struct {
		name       string
		part       int  // of 500 that there are
		first      bool // that there is nothing before them, not even a directory
		twoUsers   bool
		serve      bool
		serveLater bool
		programs   bool
	}{
		{name: "without serve", part: 2},
		{name: "the first of all, two users", part: 2, first: true, twoUsers: true},
		{name: "with serve, two users, programs", part: 1, serve: true, twoUsers: true, programs: true},
		{name: "serve comes later, programs", part: 2, serveLater: true, programs: true},
	}
	for _, situation := range situations {
		t.Run(situation.name, func(t *testing.T) {
			users := crowdUsers(t, situation.twoUsers)
			h := newHerd(t)
			h.size, h.atOnce = 20, 4
			var serve *service
			if situation.serve {
				serve = startServe(t, h.dir)
			}
			if situation.first {
				h.dir = filepath.Join(h.dir, "new")
			}
			c := newCrowd(emitter{t, os.Geteuid(), h.dir})
			want, size := newCrowdTotals(), crowdSize(situation.part)
			for i := range size {
				want.join(c, i, users[i/10%len(users)])
			}
			var locks []*os.File
			atOnce := 0
			if !situation.first {
				atOnce = size / 10
				for _, uid := range users {
					c.as(uid).stores("warm.up")
					locks = append(locks, holdLock(t, h.dir, uid))
				}
			}
			var background sync.WaitGroup
			if situation.programs {
				background.Go(func() { h.run(t) })
				want.programs(h.size)
			}
			stop := make(chan struct{})
			if serve != nil {
				background.Go(func() {
					until(stop, 20*time.Millisecond, func() {
						if _, err := serve.tryStats(); err != nil {
							t.Error(err)
						}
					})
				})
			}
			begin := time.Now()
			c.open(atOnce, locks...)
			t.Logf("%d emits at once took %v", len(c.members), time.Since(begin))
			close(stop)
			background.Wait()
			for _, m := range c.members {
				if m.err != nil || m.output.Len() > 0 {
					t.Errorf("%q: %v, %q", m.Args, m.err, &m.output)
				}
			}
			if situation.serveLater {
				serve = startServe(t, h.dir)
			}
			want.check(t, h.dir, serve)
			for _, uid := range users {
				c.as(uid).stores("warm.up") // and folds what the others left
			}
			want.check(t, h.dir, serve)
			if serve != nil { // who closes works for the others only for so long
				h.awaitTidiness(t, serve)
			}
			if left := h.leftovers(t); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

// crowdTotals are what is to come of a crowd.
type crowdTotals struct {
	steps, tenths format.Sum
	stats         map[string]string
	records       int64
	recorded      format.Sum
}

func newCrowdTotals() *crowdTotals { return &crowdTotals{stats: make(map[string]string)} }

// join adds member number i. Four in five count.
func (want *crowdTotals) join(c *crowd, i, uid int) {
	c.t.Helper()
	// Who does more than count waits for the lock, which the test holds for a while.
	const wait = "--wait=1m"
	n := strconv.Itoa(i)
	switch i % 10 {
	case 0, 1, 2:
		c.join(uid, intName, n)
		want.steps.Add(format.Int(int64(i)))
	case 3, 4, 5:
		c.join(uid, floatName, "0.1")
		want.tenths.Add(format.Float(0.1))
	case 6, 7:
		c.join(uid, "one."+n)
		want.stats["one."+n] = "1"
	case 8:
		c.join(uid, wait, "--set", "level."+n, n+".5")
		want.stats["level."+n] = n + ".5"
	case 9:
		c.join(uid, wait, "--record", "size", n, "0.5")
		want.records += 2
		want.recorded.Add(format.Int(int64(i)))
		want.recorded.Add(format.Float(0.5))
	}
}

// programs adds what the programs of a herd count.
func (want *crowdTotals) programs(size int) {
	for range size {
		want.steps.Add(format.Int(herdSteps))
		want.tenths.Add(tenths())
	}
}

// check checks the totals, as cat has them, and serve if there is one.
func (want *crowdTotals) check(t *testing.T, dir string, serve *service) {
	t.Helper()
	want.stats[intName], want.stats[floatName] = want.steps.Value().String(), want.tenths.Value().String()
	got := catSays(t, dir)
	for name, value := range want.stats {
		if got[name] != value {
			t.Errorf("cat says %s: %q, want %q", name, got[name], value)
		}
	}
	for name := range got {
		if _, ok := want.stats[name]; !ok && name != "warm.up" && !strings.HasPrefix(name, "size.") {
			t.Errorf("cat says %s: %q", name, got[name])
		}
	}
	if count, sum := typedCounts(t, dir)["size.{0}"], typedSum(t, dir, "size.{0}"); count != strconv.FormatInt(want.records, 10) || sum != want.recorded.Value().String() {
		t.Errorf("%s values were recorded, with the sum %s, want %d and %v", count, sum, want.records, want.recorded.Value())
	}
	if serve == nil {
		return
	}
	served, _ := serve.stats(t)
	asText := make(map[string]string)
	for name, value := range served {
		asText[name] = value.String()
	}
	if !maps.Equal(got, asText) {
		t.Errorf("serve says\n%v, and cat\n%v", asText, got)
	}
}

// typedSum returns the sum of a distribution.
func typedSum(t *testing.T, dir, name string) string {
	t.Helper()
	out, _, _ := runStatvent(t, dir, "cat", "-o", "typed")
	for line := range strings.Lines(out) {
		if sum, ok := strings.CutPrefix(line, "sum "+name+": "); ok {
			return strings.TrimSpace(sum)
		}
	}
	return ""
}

// Two in five emits are killed at some instant. Who exits 0 is stored, who was
// killed may be, nothing is left that isn't removed by who comes later, and who
// comes later can go on.
func TestKilledEmits(t *testing.T) {
	for _, twoUsers := range []bool{false, true} {
		t.Run(map[bool]string{false: "one user", true: "two users"}[twoUsers], func(t *testing.T) {
			users := crowdUsers(t, twoUsers)
			h := newHerd(t)
			e := emitter{t, os.Geteuid(), h.dir}
			verbs := [][]string{{"done"}, {"done.float", "0.25"}, {"--wait=1m", "--record", "size", "1"}, {"--wait=1m", "--set"}}
			size := crowdSize(1)
			least, most := make([]int, len(verbs)), make([]int, len(verbs)) // that are stored, by verb
			gauges := make(map[string]bool)                                 // whether they have to be there
			var mu sync.Mutex
			var group sync.WaitGroup
			slots := make(chan struct{}, 64)
			killed := 0
			for i := range size {
				slots <- struct{}{}
				group.Go(func() {
					defer func() { <-slots }()
					verb := i / 5 % len(verbs)
					args, gauge := verbs[verb], fmt.Sprint("level.", i)
					if verb == 3 {
						args = append(slices.Clone(args), gauge, "1")
					}
					cmd := e.as(users[i%len(users)]).command(args...)
					var output bytes.Buffer
					cmd.Stdout, cmd.Stderr = &output, &output
					if err := cmd.Start(); err != nil {
						t.Error(err)
						return
					}
					if i%5 < 2 {
						time.Sleep(rand.N(30 * time.Millisecond)) // any instant will do
						_ = cmd.Process.Kill()
					}
					err := cmd.Wait()
					status := cmd.ProcessState.Sys().(syscall.WaitStatus)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil && output.Len() == 0:
						least[verb]++
						gauges[gauge] = verb == 3
					case status.Signaled() && status.Signal() == syscall.SIGKILL:
						killed++
						if verb == 3 {
							gauges[gauge] = gauges[gauge] || false
						}
					default:
						t.Errorf("%q: %v, %q", cmd.Args, err, &output)
					}
					most[verb]++
				})
			}
			group.Wait()
			t.Logf("%d of %d emits were killed before they had ended; %d temporary files", killed, size, len(tmpFiles(t, h.dir)))
			if killed < size/50 {
				t.Errorf("only %d of %d emits were killed before they had ended", killed, size)
			}
			check := func(when string) {
				t.Helper()
				got := catSays(t, h.dir)
				done, _ := strconv.Atoi(got["done"])
				quarters, _ := strconv.ParseFloat(got["done.float"], 64)
				records, _ := strconv.Atoi(typedCounts(t, h.dir)["size.{0}"])
				for verb, n := range []int{done, int(4 * quarters), records} {
					if n < least[verb] || n > most[verb] {
						t.Errorf("%s: %q: %d are stored, of %d, %d of which exited 0", when, verbs[verb], n, most[verb], least[verb])
					}
				}
				for name, hasToBe := range gauges {
					if value, ok := got[name]; ok && value != "1" || !ok && hasToBe {
						t.Errorf("%s: %s is %q", when, name, value)
					}
				}
			}
			check("at first")

			// What one was about to write nobody needs after a minute.
			for _, uid := range users {
				path := filepath.Join(h.dir, fmt.Sprintf(".tmp-%d-0123456789abcdef", uid))
				if err := errors.Join(os.WriteFile(path, []byte("torn"), 0o600), os.Lchown(path, uid, -1)); err != nil {
					t.Fatal(err)
				}
			}
			longAgo := time.Now().Add(-2 * time.Minute)
			for _, path := range tmpFiles(t, h.dir) {
				if err := os.Chtimes(path, longAgo, longAgo); err != nil {
					t.Fatal(err)
				}
			}
			for _, uid := range users {
				later := e.as(uid)
				later.stores("later")
				later.stores("--set", fmt.Sprint("later.", uid), "1")
				later.stores("--record", "later.size", "1")
				catWants(t, h.dir, fmt.Sprintf("later.%d=1", uid))
			}
			catWants(t, h.dir, fmt.Sprintf("later=%d", len(users)), "later.size.mean=1.0")
			check("later")
			if left := h.leftovers(t); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

func tmpFiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ".tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What is emitted is there whether a serve runs, has never run or comes later, and
// stays when it is asked again.
func TestEmittedStaysAndIsReplaced(t *testing.T) {
	t.Parallel()
	forUsers(t, func(t *testing.T, uid int) {
		e := newEmitter(t).as(uid)
		e.stores("jobs", "2")
		e.stores("--set", "depth", "17")
		e.stores("--record", "size", "1", "3")
		catWants(t, e.dir, "jobs=2", "depth=17", "size.mean=2.0")
		serve := startServe(t, e.dir)
		want := func(stats ...string) {
			t.Helper()
			wants(t, e.dir, serve, stats...)
		}
		want("jobs=2", "depth=17", "size.mean=2.0", "size.100th=3")
		e.stores("jobs")
		e.stores("jobs", "0.5")
		e.stores("--set", "depth", "-1.5")
		e.stores("--record", "size", "8")
		want("jobs=3.5", "depth=-1.5", "size.mean=4.0", "size.100th=8")
		e.stores("depth", "-3") // a gauge goes up and down
		want("depth=-4.5")
		e.stores("jobs", "-0.5") // and what goes down is one
		want("jobs=3.0")
		serve.end(t)
		serve = startServe(t, e.dir)
		want("jobs=3.0", "depth=-4.5", "size.mean=4.0", "size.100th=8")
	})
}

// A stat is gone when its time is over, and its name is free again. One that was
// emitted again without a time stays.
func TestTTL(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	begin := time.Now()
	for _, name := range []string{"gone", "stays"} {
		e.stores("--ttl", ttl.String(), "--set", name+".gauge", "1")
		e.stores("--ttl", ttl.String(), name+".counter", "5")
		e.stores("--ttl", ttl.String(), "--record", name+".size", "3")
	}
	e.stores("--ttl", "7d", "--set", "week", "1")
	served, _ := serve.stats(t)
	printed := catSays(t, e.dir)
	if time.Since(begin) > ttl {
		t.Skipf("SKIPPED: this machine is so busy that %v were over at once", ttl)
	}
	for _, name := range []string{"gone.gauge", "gone.counter", "gone.size.mean", "stays.gauge", "stays.counter", "stays.size.mean", "week"} {
		if served[name] == "" || printed[name] == "" {
			t.Errorf("%s is not there: serve says %q, cat %q", name, served[name], printed[name])
		}
	}
	e.stores("--set", "stays.gauge", "2")
	e.stores("stays.counter", "1")
	e.stores("--record", "stays.size", "5")
	inTime := time.Since(begin) < ttl // else the last of them began anew
	waitUntil(t, "serve has forgotten what is over", func() bool {
		served, _ = serve.stats(t)
		return served["gone.gauge"] == "" && served["gone.counter"] == "" && served["gone.size.mean"] == ""
	})
	if time.Since(begin) < ttl {
		t.Errorf("it is gone after %v already", time.Since(begin))
	}
	wants(t, e.dir, serve, "gone.gauge=", "gone.counter=", "gone.size.mean=", "gone.size.median=", "week=1", "stays.gauge=2")
	if inTime {
		wants(t, e.dir, serve, "stays.counter=6", "stays.size.mean=4.0")
	}
	e.stores("gone.gauge", "3")
	wants(t, e.dir, serve, "gone.gauge=3", "gone.counter=")
	text, err := os.ReadFile(filepath.Join(e.dir, retainedName(e.uid)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone.counter", "gone.size"} {
		if strings.Contains(string(text), name) {
			t.Errorf("%s is kept for ever in\n%s", name, text)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	p := startPuppet(t, e.dir)
	p.do("incr program.jobs 4", "record program.size 4", "start", "close")
	e.stores("--delete", "nothing") // nor has it a file
	for _, name := range []string{"gauge", "counter", "size", "length", "width.{0}", "kept"} {
		switch name {
		case "gauge":
			e.stores("--set", name, "1")
		case "counter", "kept":
			e.stores(name, "3")
		default:
			e.stores("--record", name, "1", "2")
		}
	}
	e.stores("size", "7") // beside the distribution of that name
	wants(t, e.dir, serve, "gauge=1", "counter=3", "size=7", "size.median=1", "length.mean=1.5", "width.mean=1.5", "program.jobs=4")
	for _, names := range [][]string{{"gauge"}, {"counter", "nothing"}, {"size"}, {"length.{0}"}, {"width"}, {"program.jobs"}} {
		e.stores(append([]string{"--delete"}, names...)...)
		for _, name := range names {
			stem := strings.TrimSuffix(name, ".{0}")
			wants(t, e.dir, serve, stem+"=", stem+".median=", stem+".mean=", stem+".100th=")
		}
	}
	e.stores("--delete", "nothing")
	wants(t, e.dir, serve, "kept=3")
	e.stores("counter")
	e.stores("--record", "size", "9")
	wants(t, e.dir, serve, "counter=1", "size.mean=9.0")
}

// Nobody deletes, or sets, what others have.
func TestUsersHaveTheirOwn(t *testing.T) {
	t.Parallel()
	nobody := anotherUser(t)
	e := newEmitter(t)
	serve := startServe(t, e.dir)
	for _, uid := range []int{e.uid, nobody} {
		e.as(uid).stores("jobs", "3")
		e.as(uid).stores("--set", "depth", "4")
	}
	wants(t, e.dir, serve, "jobs=6", "depth=8")
	e.as(nobody).stores("--set", "depth", "1")
	wants(t, e.dir, serve, "jobs=6", "depth=5")
	e.stores("--delete", "jobs", "depth")
	wants(t, e.dir, serve, "jobs=3", "depth=1")
}

// list says what scripts have left, whose it is, and how old.
func TestListSaysWhatScriptsLeft(t *testing.T) {
	t.Parallel()
	nobody := anotherUser(t)
	e := newEmitter(t)
	begin := time.Now()
	p := startPuppet(t, e.dir)
	p.do("incr program.jobs 4", "start", "close")
	e.stores("old")
	between := time.Now()
	waitUntil(t, "a second is over", func() bool { return time.Since(between) > time.Second })
	e.stores("--set", "new", "1")
	e.stores("--record", "size", "1")
	e.as(nobody).stores("one")
	var report struct {
		Sources []struct {
			Name    string `json:"name"`
			State   string `json:"state"`
			Stats   int    `json:"stats"`
			Emitted *struct {
				Stats  int      `json:"stats"`
				Newest *float64 `json:"newest_age_seconds"`
				Oldest *float64 `json:"oldest_age_seconds"`
			} `json:"emitted"`
		} `json:"sources"`
	}
	out, errOut, code := runStatvent(t, e.dir, "list", "-o", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || errOut != "" {
		t.Fatalf("list: %v, exit code %d, %s", err, code, errOut)
	}
	took := time.Since(begin).Seconds()
	if len(report.Sources) != 2 {
		t.Fatalf("list says %s", out)
	}
	for i, want := range []struct {
		name           string
		stats, emitted int
	}{{"retained-0", 4, 3}, {fmt.Sprint("retained-", nobody), 1, 1}} {
		s := report.Sources[i]
		if s.Name != want.name || s.State != "retained" || s.Stats != want.stats || s.Emitted == nil || s.Emitted.Stats != want.emitted {
			t.Fatalf("source %d is not as %+v: %s", i, want, out)
		}
		newest, oldest := s.Emitted.Newest, s.Emitted.Oldest
		switch {
		case newest == nil || oldest == nil || *newest < 0 || *oldest > took:
			t.Errorf("the ages of source %d are out of range: %s", i, out)
		case want.emitted > 1 && *oldest < *newest+0.999, want.emitted == 1 && *oldest != *newest:
			t.Errorf("the ages of source %d are wrong: %s", i, out)
		}
	}
	out, _, _ = runStatvent(t, e.dir, "list")
	for _, want := range []string{"  3 stats of scripts, ", "s to ", "  1 stat of a script, "} {
		if !strings.Contains(out, want) {
			t.Errorf("list has no %q:\n%s", want, out)
		}
	}
	e.stores("--delete", "old", "new", "size")
	if out, _, _ = runStatvent(t, e.dir, "list", "-o", "json"); strings.Count(out, `"emitted"`) != 1 {
		t.Errorf("after all of it is deleted, list says %s", out)
	}
}

// waitForText waits until a file has that text in it.
func waitForText(t *testing.T, path, text string) {
	t.Helper()
	waitUntil(t, fmt.Sprintf("it says %q", text), func() bool {
		got, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(got), text)
	})
}

// awaitExit returns the exit code of a process that has to end.
func awaitExit(t *testing.T, p *process) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-p.exited:
		return p.ProcessState.ExitCode()
	case <-ctx.Done():
		t.Fatalf("%v does not end", p.Args)
		return -1
	}
}
