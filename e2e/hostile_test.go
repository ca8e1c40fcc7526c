//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	owners "github.com/statvent/statvent/internal/host"
)

// The people of a siege beside root: one who runs a program, and one who means no good.
const (
	victimUID   = 61002
	attackerUID = 61001
)

// A siege is a pipe directory that everybody may write to: root runs serve and a
// program there, a user another program, and somebody attacks them. Whatever that is,
// each answer has the right numbers of the two, and comes within twice the quiet time
// and the deadline.
type siege struct {
	t        *testing.T
	base     string // everybody can get at it
	dir      string // the pipe directory
	outside  string // what is none of statvent's business, in base
	config   string // of serve
	serve    *service
	citizens []*citizen
	quiet    time.Duration // of the slowest answer without an attack
	slowest  time.Duration // with one
	lag      atomic.Int64  // see watchLag
	answers  int
	late     int                    // answers in which a citizen had not answered
	mayLate  bool                   // that is what may happen: what was seen last counts then
	last     map[string]json.Number // what serve said last
	happened func() []string        // to what is outside
	before   []string               // what is outside
}

// siegeDeadline is that of serve.
const siegeDeadline = time.Second

// limit is how long an answer may take: what is promised, and a fifth of the deadline. A
// machine that is busy with something else adds to that what it does to a process that
// only sleeps, which is a part of what it does to those who ask and answer each other.
func (s *siege) limit(lag time.Duration) time.Duration {
	return 2*s.quiet + siegeDeadline + siegeDeadline/5 + 4*lag
}

// watchLag notes by how much a process that only sleeps sleeps longer.
func (s *siege) watchLag() {
	const nap = 5 * time.Millisecond
	ended := make(chan struct{})
	s.t.Cleanup(func() { close(ended) })
	go func() {
		for {
			began := time.Now()
			select {
			case <-ended:
				return
			case <-time.After(nap):
			}
			for lag := int64(time.Since(began) - nap); ; {
				longest := s.lag.Load()
				if lag <= longest || s.lag.CompareAndSwap(longest, lag) {
					break
				}
			}
		}
	}()
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	s := prepareSiege(t)
	s.dir = pipeDirIn(t, s.base)
	s.begin()
	return s
}

// prepareSiege makes what is outside.
func prepareSiege(t *testing.T) *siege {
	t.Helper()
	anotherUser(t)
	s := &siege{t: t, base: memoryDir(t)}
	s.outside = filepath.Join(s.base, "outside")
	secret, pipe := filepath.Join(s.outside, secretName), filepath.Join(s.outside, "private.stats")
	if err := errors.Join(
		os.Mkdir(s.outside, 0o755),
		os.WriteFile(secret, []byte("stolen: 1\n"), 0o600),
		unix.Mkfifo(pipe, 0o600),
		os.Lchown(pipe, victimUID, victimUID),
	); err != nil {
		t.Fatal(err)
	}
	s.before = listing(t, s.outside)
	s.happened = watchOutside(t, s.outside)
	return s
}

const secretName = "secret.stats"

// begin starts serve and the two programs, and measures how long an answer takes.
func (s *siege) begin() {
	s.t.Helper()
	config := filepath.Join(s.t.TempDir(), "statvent.yaml")
	if err := os.WriteFile(config, []byte(s.config), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.serve = startServe(s.t, s.dir, "--deadline", siegeDeadline.String(), "--config", config)
	s.citizens = []*citizen{s.settle("root", 0), s.settle("victim", victimUID)}
	s.watchLag()
	for range 20 {
		s.ask()
	}
	s.quiet, s.slowest, s.answers = s.slowest, 0, 0
}

// A citizen is a program that counts, and does no harm to anybody.
type citizen struct {
	*puppet
	name string
	uid  int
	jobs int
	said int64 // of them, by serve
}

func (s *siege) settle(name string, uid int) *citizen {
	s.t.Helper()
	p := startPuppet(s.t, s.dir, func(cmd *exec.Cmd) {
		cmd.Path = "/proc/self/exe" // which is nowhere that a user could get at
		become(cmd, uid)
	})
	c := &citizen{puppet: p, name: name, uid: uid}
	p.do("set "+name+".users 7", "record "+name+".size 2 4", "start")
	return c
}

// user is what statvent calls the citizen's user.
func (c *citizen) user() string {
	if c.uid == 0 {
		return "root"
	}
	return strconv.Itoa(c.uid)
}

// numbers are all that the citizen publishes.
func (c *citizen) numbers() map[string]string {
	numbers := map[string]string{
		c.name + ".users":       "7",
		c.name + ".size.median": "2",
		c.name + ".size.95th":   "2",
		c.name + ".size.99th":   "2",
		c.name + ".size.100th":  "4",
		c.name + ".size.mean":   "3.0",
	}
	if c.jobs > 0 {
		numbers[c.name+".jobs"] = strconv.Itoa(c.jobs)
	}
	return numbers
}

// ask lets the citizens count and looks whether serve says so.
func (s *siege) ask() {
	s.t.Helper()
	for _, c := range s.citizens {
		c.do("incr " + c.name + ".jobs 1")
		c.jobs++
	}
	stats, took := s.serve.stats(s.t)
	s.took("/stats", took)
	sources, took := s.serve.report(s.t)
	s.took("/sources", took)
	s.checkSources(sources)
	for _, c := range s.citizens {
		jobs, err := stats[c.name+".jobs"].Int64()
		isLate := s.mayLate && err == nil && jobs >= c.said && jobs < int64(c.jobs)
		for name, want := range c.numbers() {
			if got := stats[name].String(); got != want && (!isLate || name != c.name+".jobs") {
				s.t.Errorf("answer %d: %s is %q, want %s, and before that serve said %d", s.answers, name, got, want, c.said)
			}
		}
		c.said = jobs
	}
	for name := range stats {
		if strings.Contains(name, "stolen") {
			s.t.Errorf("answer %d has %s", s.answers, name)
		}
	}
	if s.t.Failed() {
		s.t.FailNow() // with one answer that is wrong, a thousand more say nothing new
	}
}

func (s *siege) took(what string, took time.Duration) {
	s.t.Helper()
	s.answers++
	s.slowest = max(s.slowest, took)
	lag := time.Duration(s.lag.Swap(0))
	if s.quiet > 0 && took > s.limit(lag) {
		s.t.Errorf("answer %d, %s, took %v, and %v is the most, where a process that only sleeps was late by %v", s.answers, what, took, s.limit(lag), lag)
	}
}

// checkSources looks for the citizens, of which each has one source, that lives.
func (s *siege) checkSources(sources []reported) {
	s.t.Helper()
	for _, c := range s.citizens {
		i := slices.IndexFunc(sources, func(r reported) bool { return r.PID == c.Process.Pid && r.User == c.user() })
		if i < 0 {
			s.t.Errorf("answer %d: %s is not among the sources", s.answers, c.name)
			continue
		}
		r := sources[i]
		if s.mayLate && r.State == "unresponsive" {
			s.late++
			continue
		}
		if r.State != "live" || r.Kind != "typed" || r.Name != strconv.Itoa(c.Process.Pid) && !strings.HasPrefix(r.Name, strconv.Itoa(c.Process.Pid)+"-") {
			s.t.Errorf("answer %d: the source of %s is %+v", s.answers, c.name, r)
		}
		for name, want := range c.numbers() {
			if got := r.Values[name].String(); got != want {
				s.t.Errorf("answer %d: the source of %s has %s: %q, want %s", s.answers, c.name, name, got, want)
			}
		}
	}
	for _, r := range sources {
		isCitizen := slices.ContainsFunc(s.citizens, func(c *citizen) bool { return r.PID == c.Process.Pid && r.User == c.user() })
		if r.User != strconv.Itoa(attackerUID) && r.Kind != "retained" && !isCitizen {
			s.t.Errorf("answer %d: a source is said to be of %s: %+v", s.answers, r.User, r)
		}
		if info, err := os.Stat(fmt.Sprintf("/proc/%d", r.PID)); err == nil && r.User != "root" && r.Command != "" && info.Sys().(*syscall.Stat_t).Uid == 0 {
			s.t.Errorf("answer %d: a source of %s has the command of a process of root's: %+v", s.answers, r.User, r)
		}
	}
}

// isCapped checks that /sources says that the attacker is beyond a limit.
func (s *siege) isCapped(key string) {
	s.t.Helper()
	var document struct {
		Limits []owners.LimitHit `json:"limits"`
	}
	if err := s.serve.tryGet("/sources", &document); err != nil {
		s.t.Fatal(err)
	}
	for _, hit := range document.Limits {
		if hit.Key == key && hit.User == strconv.Itoa(attackerUID) && hit.LeftOut > 0 {
			s.t.Logf("%s is %d, and leaves %d out", key, hit.Max, hit.LeftOut)
			return
		}
	}
	s.t.Errorf("nobody is told that the attacker is beyond %s: %+v", key, document.Limits)
}

// A reported is a source as /sources has it.
type reported struct {
	sourceJSON
	User    string `json:"user"`
	Command string `json:"command"`
}

// report asks for /sources with the stats.
func (s *service) report(t *testing.T) ([]reported, time.Duration) {
	t.Helper()
	var document struct {
		Sources []reported `json:"sources"`
	}
	begin := time.Now()
	if err := s.tryGet("/sources?stats=1", &document); err != nil {
		t.Fatal(err)
	}
	return document.Sources, time.Since(begin)
}

// under asks again and again while an attack goes on, for that many answers and rounds
// of the attack at least.
func (s *siege) under(a *attacker, answers, rounds int) {
	s.t.Helper()
	s.answers, s.slowest = 0, 0
	for s.answers < answers || a.rounds.Load() < int64(rounds) {
		s.ask()
	}
	s.t.Logf("%s: %d answers, the slowest took %v, without the attack %v; %d rounds; late %d times",
		a.name, s.answers, s.slowest.Round(time.Microsecond), s.quiet.Round(time.Microsecond), a.rounds.Load(), s.late)
}

// isUnharmed looks at what is outside: nobody has so much as opened anything of it.
func (s *siege) isUnharmed() {
	s.t.Helper()
	if events := s.happened(); len(events) > 0 {
		s.t.Errorf("outside, something was touched: %q", events)
	}
	if now := listing(s.t, s.outside); !slices.Equal(now, s.before) {
		s.t.Errorf("outside are %q, and there were %q", now, s.before)
	}
}

// listing describes all files below a directory: what it is, whose, its mode, inode,
// size and times.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			st.Atim = unix.Timespec{} // it is this that reads it
		}
		if err == nil {
			files = append(files, fmt.Sprintf("%s: inode %d, mode %o, user %d, group %d, links %d, size %d, read %v, written %v, changed %v",
				strings.TrimPrefix(path, dir), st.Ino, st.Mode, st.Uid, st.Gid, st.Nlink, st.Size, st.Atim, st.Mtim, st.Ctim))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// watchOutside returns a function that says what was done with what is in a directory
// since it was called last.
func watchOutside(t *testing.T, dir string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	const all = unix.IN_OPEN | unix.IN_ACCESS | unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE | unix.IN_CLOSE
	if _, err := unix.InotifyAddWatch(fd, dir, all); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		var events []string
		buf := make([]byte, 64<<10)
		n, err := unix.Read(fd, buf)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		for rest := buf[:max(n, 0)]; len(rest) >= unix.SizeofInotifyEvent; {
			mask, size := native32(rest[4:]), int(native32(rest[12:]))
			name := strings.TrimRight(string(rest[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size]), "\x00")
			if name != "" { // the directory itself is listed by the test
				events = append(events, fmt.Sprintf("%s: %#x", name, mask))
			}
			rest = rest[unix.SizeofInotifyEvent+size:]
		}
		return events
	}
}

// ends ends the citizens properly, and looks whether all that they have counted is
// there when they are gone, and nothing else is left of them.
func (s *siege) ends() {
	s.t.Helper()
	s.isUnharmed()
	for _, c := range s.citizens {
		c.do("close")
	}
	waitUntil(s.t, "what the programs have counted is folded", func() bool {
		sources, _ := s.serve.report(s.t)
		return !slices.ContainsFunc(sources, func(r reported) bool {
			return r.Kind == "typed" && r.User != strconv.Itoa(attackerUID)
		})
	})
	s.last, _ = s.serve.stats(s.t)
	for _, c := range s.citizens {
		if got := s.last[c.name+".jobs"].String(); got != strconv.Itoa(c.jobs) {
			s.t.Errorf("in the end %s.jobs is %q, want %d", c.name, got, c.jobs)
		}
		for name, mode := range map[string]uint32{retainedName(c.uid): 0o644, lockName(c.uid): 0o600} {
			var st unix.Stat_t
			err := unix.Lstat(filepath.Join(s.dir, name), &st)
			if err != nil || int(st.Uid) != c.uid || st.Mode != syscall.S_IFREG|mode {
				s.t.Errorf("%s is of user %d, mode %o, %v", name, st.Uid, st.Mode, err)
			}
		}
	}
	s.isUnharmed()
	s.serve.end(s.t)
}
