//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// startReaders starts all that read until there is silence.
func (c *chaos) startReaders(group *sync.WaitGroup) {
	stream := uint64(streamReaders)
	begin := func(f func(r *rand.Rand)) {
		stream++
		r := rand.New(rand.NewPCG(c.seed, stream))
		group.Go(func() { f(r) })
	}
	for range 2 {
		begin(func(r *rand.Rand) { c.askWithoutEnd(c.main.Load, r) })
	}
	for _, s := range c.others {
		begin(func(r *rand.Rand) { c.askWithoutEnd(func() *server { return s }, r) })
	}
	begin(c.collectWithoutEnd)
	for range 2 {
		begin(c.runWithoutEnd)
		begin(c.catWithoutEnd)
	}
}

// collectWithoutEnd reads in this process.
func (c *chaos) collectWithoutEnd(r *rand.Rand) {
	collector := pipes.NewCollector(pipes.CollectorOptions{Dir: c.dir, Deadline: chaosDeadline})
	defer collector.Close()
	told, deletions := newTold(), 0
	for !isClosed(c.silence) {
		if now := c.disorders().deletions; now != deletions {
			told, deletions = newTold(), now
		}
		c.collectOnce(collector, told)
		time.Sleep(time.Duration(r.Int64N(int64(50 * time.Millisecond))))
	}
}

func (c *chaos) collectOnce(collector *pipes.Collector, told *told) {
	h := &hearing{who: "collector", least: told, tell: told}
	h.before = c.look()
	began := time.Now()
	collection, err := collector.Collect(c.t.Context())
	took := time.Since(began)
	h.after = c.look()
	if err != nil {
		if h.present() || !errors.Is(err, fs.ErrNotExist) {
			c.complain("%s: %v", h.who, err)
		}
		return
	}
	c.noteTime(h.who, took)
	h.hearSources(func(yield func(pid int, state string) bool) {
		for _, s := range collection.Sources {
			if s.Kind == pipes.TypedSource && !yield(s.PID, string(s.State)) {
				return
			}
		}
	})
	h.take(collection.Total())
	c.check(h)
}

// take takes in a snapshot of the whole host.
func (h *hearing) take(total *format.Snapshot) {
	h.sizes = make(map[string]sizes)
	for _, stat := range total.Stats {
		if stat.Kind == format.Distribution {
			h.sizes[stat.Name] = sizes{stat.Dist.Count, stat.Dist.Sum.Int64()}
		}
	}
	h.values, _ = parsePlain(string(format.AppendPlain(nil, total.Flatten())))
}

// parsePlain reads the plain format, and checks that it is whole lines in order.
func parsePlain(text string) (map[string]json.Number, error) {
	values, last := make(map[string]json.Number), ""
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || !strings.HasSuffix(value, "\n") || name <= last {
			return nil, fmt.Errorf("line %q comes after %q", line, last)
		}
		values[name], last = json.Number(strings.TrimSuffix(value, "\n")), name
	}
	return values, nil
}

// A result is what a command has printed.
type result struct {
	span
	who            string
	stdout, stderr string
	code           int
	tooLate        bool
}

// command runs one with that on its standard input, and ends it if it takes too long.
func (c *chaos) command(stdin string, patience time.Duration, name string, args ...string) *result {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+c.dir, "STATVENT_DEADLINE="+chaosDeadline.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r := &result{who: strings.Join(args, " ")}
	r.before = c.look()
	began := time.Now()
	p, err := c.spawn(cmd, 0)
	if err != nil {
		c.complain("%s: %v", r.who, err)
		return nil
	}
	go func() {
		_, _ = io.WriteString(p.stdin, stdin) // or it doesn't read it
		_ = p.stdin.Close()
	}()
	select {
	case <-p.exited:
	case <-time.After(patience):
		r.tooLate = true
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		<-p.exited
	}
	took := time.Since(began)
	r.after = c.look()
	r.stdout, r.stderr, r.code = stdout.String(), stderr.String(), p.ProcessState.ExitCode()
	if name == c.tool {
		if !r.tooLate { // else whoever has run it may know why
			c.noteTime(r.who, took)
		}
		if troubleInLog.MatchString(r.stderr) {
			c.complain("%s: it says %s", r.who, r.stderr)
		}
	}
	return r
}

// runWithoutEnd runs the commands that read.
func (c *chaos) runWithoutEnd(r *rand.Rand) {
	for !isClosed(c.silence) {
		which, pause := r.IntN(7), time.Duration(r.Int64N(int64(150*time.Millisecond)))
		switch choice := r.Uint64(); which {
		case 0:
			c.catHost()
		case 1:
			c.catTyped()
		case 2:
			c.catOne(choice)
		case 3:
			c.listSources()
		case 4:
			c.watchHost()
		case 5:
			c.leaveEarly()
		case 6:
			c.watchServe()
		}
		time.Sleep(pause)
	}
}

// hears turns what a command has printed of the whole host into a hearing, if it is
// one; it may fail only where there is no directory.
func (c *chaos) hears(r *result) *hearing {
	if r == nil || r.code == 1 && !r.present() && strings.Contains(r.stderr, "does not exist") {
		return nil
	}
	if r.code != 0 && r.code != 3 {
		c.complain("%s: exit code %d: %s", r.who, r.code, r.stderr)
		return nil
	}
	h := &hearing{who: r.who, span: r.span}
	if r.code == 0 {
		h.answered, h.silent = func(*actor) bool { return true }, func(*actor) bool { return false } // it says so
	}
	return h
}

func (c *chaos) catHost() {
	r := c.command("", patience, c.tool, "cat")
	if h := c.hears(r); h != nil {
		c.hearPlain(h, r.stdout)
	}
}

func (c *chaos) hearPlain(h *hearing, text string) {
	var err error
	if h.values, err = parsePlain(text); err != nil {
		c.complain("%s: %v", h.who, err)
		return
	}
	c.check(h)
}

// parseTyped takes in the one document of a host.
func (h *hearing) parseTyped(text string) error {
	parser := format.TypedParser{MaxStats: 1_000_000}
	_, err := io.WriteString(&parser, text)
	parsed, parseErr := parser.Documents()
	if err := errors.Join(err, parseErr); err != nil {
		return err
	}
	if len(parsed) != 1 {
		return fmt.Errorf("%d documents", len(parsed))
	}
	h.take(parsed[0].Snapshot)
	return nil
}

// catTyped has one cat read what another one has printed.
func (c *chaos) catTyped() {
	r := c.command("", patience, c.tool, "cat", "-o", "typed")
	h := c.hears(r)
	if h == nil {
		return
	}
	if err := h.parseTyped(r.stdout); err != nil {
		c.complain("%s: %v", h.who, err)
		return
	}
	c.check(h)
	again := c.command(r.stdout, patience, c.tool, "cat", "-")
	if again == nil {
		return
	}
	if again.code != 0 {
		c.complain("%s: exit code %d: %s", again.who, again.code, again.stderr)
	}
	h.who, h.sizes = "typed by cat -", nil
	c.hearPlain(h, again.stdout)
}

// pick returns a puppet that has not ended.
func (c *chaos) pick(choice uint64) (i int, a *actor) {
	v := c.look()
	var some []int
	for i, s := range v.standings {
		if v.actors[i].role == aPuppet && s.open {
			some = append(some, i)
		}
	}
	if len(some) == 0 {
		return 0, nil
	}
	i = some[choice%uint64(len(some))]
	return i, v.actors[i]
}

// catOne reads one process.
func (c *chaos) catOne(choice uint64) {
	i, a := c.pick(choice)
	if a == nil {
		return
	}
	r := c.command("", patience, c.tool, "cat", strconv.Itoa(a.pid))
	if r == nil || !r.answers(i) {
		return
	}
	if r.code == 3 || r.code == 1 && strings.Contains(r.stderr, "no answer") {
		c.tally.excused.Add(1)
		return
	}
	if r.code != 0 {
		c.complain("%s: exit code %d: %s: before %s, after %v", r.who, r.code, r.stderr, r.before.of(i), r.after.standings[i])
		return
	}
	c.checkOwn(r, i, r.stdout, r.before.standings[i].kept)
}

// checkOwn checks what a process says of itself, which is what it hasn't handed over. What
// it has may stand beside it, until it is folded, for whoever asks for the process.
func (c *chaos) checkOwn(r *result, i int, text string, beside int64) {
	a, before, after := r.after.actors[i], r.before.standings[i], r.after.standings[i]
	values, err := parsePlain(text)
	if err != nil {
		c.complain("%s of number %d: %v", r.who, a.n, err)
		return
	}
	got, err := values[ownName(a.kind, a.n)].Int64()
	if err != nil || got < before.done-before.kept || got > after.begun-before.kept+beside {
		c.complain("%s of number %d: %d steps, %v: before %v, after %v", r.who, a.n, got, err, before, after)
	}
	for _, name := range []string{firstName(a.n), lastName(a.n), aliveName(a.n)} {
		if values[name] != "1" {
			c.complain("%s of number %d: %s is %q", r.who, a.n, name, values[name])
		}
	}
}

func (c *chaos) listSources() {
	r := c.command("", patience, c.tool, "list", "-o", "json")
	if r == nil {
		return
	}
	var document struct {
		Sources []sourceJSON `json:"sources"`
	}
	err := json.Unmarshal([]byte(r.stdout), &document)
	if err != nil || r.code != 0 && r.code != 3 {
		c.complain("%s: exit code %d, %v: %s", r.who, r.code, err, r.stderr)
	}
	for _, s := range document.Sources {
		if s.State == "failed" && r.calm() {
			c.complain("%s: %+v", r.who, s)
		}
	}
}

// watchHost hears it several times, of one reader.
func (c *chaos) watchHost() {
	r := c.command("", patience, c.tool, watching...)
	if r == nil || r.code != 0 && !r.present() {
		return
	}
	c.hearWatched(r, nil, newTold())
}

// watchServe is the same of what a serve says.
func (c *chaos) watchServe() {
	s := c.main.Load()
	if s == nil {
		return
	}
	s.asking.RLock()
	told, before := s.told.Load(), s.before.Load()
	least := told.least()
	r := c.command("", tooLong, c.tool, append(watching, "--url", s.url)...) // it goes on where serve was ended
	s.asking.RUnlock()
	if r == nil || c.main.Load() != s { // it was ended
		return
	}
	r.before = before
	c.hearWatched(r, s, least)
}

// watching is a watch that ends.
var watching = []string{"watch", "-o", "json", "--count", "4", "-n", "0.1"}

// hearWatched checks each of the lines, none of which is less than the one before.
func (c *chaos) hearWatched(r *result, from *server, told *told) {
	if r.code != 0 && r.code != 3 {
		c.complain("%s: exit code %d: %s", r.who, r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		h := &hearing{who: r.who, span: r.span, from: from, least: told, tell: told}
		if err := h.parseStats([]byte(line)); err != nil {
			c.complain("%s: %v in %s", h.who, err, line)
			return
		}
		c.check(h)
	}
}

// leaveEarly reads the beginning of what cat prints.
func (c *chaos) leaveEarly() {
	r := c.command("", patience, "sh", "-c", `"$0" cat | head -c 100`, c.tool)
	if r != nil && troubleInLog.MatchString(r.stderr) {
		c.complain("cat | head: %s", r.stderr)
	}
}

// catWithoutEnd reads plain pipes as a shell does.
func (c *chaos) catWithoutEnd(r *rand.Rand) {
	for !isClosed(c.silence) {
		how, choice, stall, pause := r.IntN(6), r.Uint64(), r.Int64N(1000), time.Duration(r.Int64N(int64(60*time.Millisecond)))
		c.catPipe(how, choice, stall)
		time.Sleep(pause)
	}
}

// plainPatience is how long a shell's cat may wait at a pipe whose program is well.
const plainPatience = 8 * time.Second

func (c *chaos) catPipe(how int, choice uint64, stall int64) {
	i, a := c.pick(choice)
	if a == nil || !a.reading.TryLock() {
		return
	}
	defer a.reading.Unlock()
	stem, _, ok := c.filesOf(a.pid)
	if !ok {
		return
	}
	path := c.dir + "/" + stem + ".stats"
	commands := []string{`head -c 9 <"$0"`, `exec 3<"$0"; head -c 9 <&3; sleep "$1"; cat <&3`}
	var r *result
	if how < len(commands) {
		r = c.command("", plainPatience, "sh", "-c", commands[how], path, fmt.Sprintf("%.3f", float64(stall)/1000))
	} else {
		r = c.command("", plainPatience, "cat", path)
	}
	if r == nil || !r.answers(i) {
		return
	}
	c.tally.cats.Add(1)
	switch {
	case r.tooLate:
		c.complain("%s waits in vain for number %d, pid %d: before %s, after %v", r.who, a.n, a.pid, r.before.of(i), r.after.standings[i])
	case how == 0:
	case r.stdout == "":
		c.tally.empty.Add(1)
	default:
		c.checkOwn(r, i, r.stdout, 0)
	}
}
