//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

// livesPerSlot is how many numbers each slot has; two for each life.
const livesPerSlot = 1 << 10

// number returns that of an actor: it is another one in no other run.
func number(slot, life int) int { return slot*livesPerSlot + 2*life }

func (c *chaos) randomOf(slot, life int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, streamSlots+uint64(number(slot, life))))
}

// spawn starts a process, with that pid if it isn't 0 and can be had.
func (c *chaos) spawn(cmd *exec.Cmd, pid int) (*process, error) {
	p, err := newProcess(cmd)
	if err != nil {
		return nil, err
	}
	if err := c.fork(cmd, pid); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive[p] = true
	go func() {
		_ = cmd.Wait() // what it was is in ProcessState
		close(p.exited)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.alive, p)
	}()
	return p, nil
}

// lastPID says after which pid the kernel looks for the next one of a namespace.
const lastPID = "/proc/sys/kernel/ns_last_pid"

func (c *chaos) fork(cmd *exec.Cmd, pid int) error {
	c.forking.Lock()
	defer c.forking.Unlock()
	if pid > 0 {
		if err := os.WriteFile(lastPID, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			return err
		}
	}
	return cmd.Start()
}

// killAll ends what is left of an episode.
func (c *chaos) killAll() {
	c.mu.Lock()
	var left []*process
	for p := range c.alive {
		left = append(left, p)
	}
	c.mu.Unlock()
	for _, p := range left {
		_ = p.Process.Kill()
		<-p.exited
	}
}

// add makes an actor known.
func (c *chaos) add(a *actor) *actor {
	c.tally.lives.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actors = append(c.actors, a)
	return a
}

// A role is a puppet that plays its script.
type role struct {
	c      *chaos
	name   string
	script script
	*puppet
	*actor
}

// playPuppets plays one puppet after another.
func (c *chaos) playPuppets(slot int) {
	pid := 0
	for life := 0; life < livesPerSlot/2 && !isClosed(c.over); life++ {
		r := &role{c: c, name: fmt.Sprintf("puppet %d.%d", slot, life), script: c.shape.drawScript(c.randomOf(slot, life))}
		wanted := pid
		if err := r.enter(number(slot, life), wanted); err != nil {
			c.complain("%s: %v", r.name, err)
			return
		}
		if wanted > 0 {
			c.tally.tried.Add(1)
			if r.pid == wanted {
				c.tally.reused.Add(1)
			}
		}
		r.play()
		r.leaveStage()
		if pid = 0; r.script.again {
			pid = r.pid
		}
	}
}

// enter starts the program.
func (r *role) enter(n, pid int) error {
	c := r.c
	cmd := exec.Command(c.self)
	cmd.Env = append(os.Environ(), publishVariable+"="+asPuppet, pipes.DirVariable+"="+c.dir)
	uid := os.Geteuid()
	if r.script.other {
		uid = nobodyUID
		become(cmd, uid)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout = write
	process, err := c.spawn(cmd, pid)
	_ = write.Close()
	if err != nil {
		return err
	}
	r.puppet = &puppet{process: process, t: c.t, pipe: read, answers: bufio.NewReader(read)}
	c.trace.note(r.name, "begins: number %d, pid %d (wanted %d), %s, user %d, pads %d, ends with %q", n, process.Process.Pid, pid, r.script.kind, uid, r.script.pads, r.script.end.what)
	if err := r.tryHear(puppetBegins); err != nil {
		return err
	}
	return r.becomeActor(n, r.script.kind, uid)
}

// becomeActor gives the program a number.
func (r *role) becomeActor(n int, kind string, uid int) error {
	r.actor = r.c.add(&actor{n: n, role: aPuppet, kind: kind, uid: uid, pid: r.Process.Pid})
	return r.tryDo(fmt.Sprintf("play %s %s %d %d", r.c.path, kind, n, r.script.pads))
}

// do has the puppet do something that must not fail, and tells whether it did.
func (r *role) do(line string) bool {
	if err := r.tryDo(line); err != nil {
		r.c.complain("%s: %s: %v: %s", r.name, line, err, r.stderr)
		return false
	}
	return true
}

// play does the whole script.
func (r *role) play() {
	c := r.c
	if r.script.end.what == endBirth {
		defer c.make()()
		r.isToDie("start")
		return
	}
	if !r.start() {
		return
	}
	for _, a := range r.script.deeds {
		if isClosed(c.over) {
			break
		}
		if !r.perform(a) {
			return
		}
	}
	r.finish(r.script.end)
}

// start begins to publish. It may fail while the disk is full, and is tried again.
func (r *role) start() bool {
	for !isClosed(r.c.over) {
		made := r.c.make()
		before := r.c.disorders()
		err := r.tryDo("start")
		if err == nil {
			r.begins()
		}
		made()
		r.c.trace.note(r.name, "has started: %v", err)
		if err == nil {
			return true
		}
		if before.now == 0 && before.ever == r.c.disorders().ever {
			r.c.complain("%s: it can't start: %v", r.name, err)
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

func (r *role) perform(a deed) bool {
	r.c.trace.note(r.name, "%s", a)
	steps := fmt.Sprintf("steps %d %d", a.count, int64(a.nap))
	switch a.what {
	case doNap:
		time.Sleep(a.pause)
		return true
	case doAgain:
		if !r.close() {
			return false
		}
		return r.do(steps) && r.start()
	case doStop:
		return r.while(steps, a.wait, func() { r.stopFor(a.pause) })
	case doUnlink:
		return r.while("steps 20 1000000", a.wait, func() { r.c.loseFiles(r.name, r.actor, a.count) })
	case doStarve:
		return r.starveFor(a)
	}
	return r.do(steps)
}

func (a deed) String() string {
	return fmt.Sprintf("%s (%d, %v, %v, %v)", a.what, a.count, a.nap, a.wait, a.pause)
}

// while has the puppet do something, and does something to it a moment later.
func (r *role) while(line string, wait time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(wait)
		f()
	}()
	ok := r.do(line)
	<-done
	return ok
}

func (r *role) stopFor(pause time.Duration) {
	recovers := r.suffers()
	defer recovers()
	_ = r.Process.Signal(syscall.SIGSTOP)
	time.Sleep(pause)
	_ = r.Process.Signal(syscall.SIGCONT)
}

func (r *role) starveFor(a deed) bool {
	recovers := r.suffers()
	if !r.do(fmt.Sprintf("starve %d", a.count)) {
		return false
	}
	time.Sleep(a.pause)
	ok := r.do("fed")
	r.c.untilWell(r.name, r.actor, recovers)
	return ok
}

// close closes what it publishes, and tells whether it is to go on.
func (r *role) close() bool {
	r.c.acting.RLock()
	defer r.c.acting.RUnlock()
	before := r.c.disorders()
	r.closes(&r.c.ledger[r.n])
	err := r.tryDo("close")
	r.closed(err == nil)
	r.c.trace.note(r.name, "has closed: %v", err)
	if err == nil {
		return true
	}
	r.c.tally.failedCloses.Add(1)
	if before.now == 0 && before.ever == r.c.disorders().ever {
		r.c.complain("%s: it can't close: %v: %s", r.name, err, r.stderr)
	}
	return false
}

// finish ends the program in the way that the script says.
func (r *role) finish(a deed) {
	r.c.trace.note(r.name, "%s", a)
	steps := fmt.Sprintf("steps %d %d", a.count, int64(a.nap))
	switch a.what {
	case endClose:
		if r.do(steps) && r.close() {
			r.do("rest")
		}
	case endKill:
		r.isToDie(steps)
	case endKillAt:
		if r.do(steps) {
			r.c.acting.RLock()
			defer r.c.acting.RUnlock()
			r.isToDie("close")
		}
	case endTerm:
		r.isKilled(r.hasLostFiles())
		_ = r.Process.Signal(syscall.SIGTERM)
	case endExit:
		r.isKilled(r.hasLostFiles())
		_ = r.trySay("exit")
	case endBurst:
		r.isKilled(r.hasLostFiles())
		_ = r.trySay("burst")
	case endStarve:
		r.suffers()
		if r.do("starve 0") {
			r.isKilled(true) // whatever becomes of it
			r.c.trace.note(r.name, "has closed without descriptors: %v", r.tryDo("close"))
		}
	case endExec:
		r.isKilled(r.hasLostFiles())
		r.execItself(a)
	}
}

// isToDie has it do something, and kills it at that.
func (r *role) isToDie(line string) {
	_ = r.trySay(line)
	time.Sleep(r.script.end.wait)
	r.isKilled(r.hasLostFiles())
	_ = r.Process.Kill()
}

// execItself goes on as another actor with the same pid, which closes properly.
func (r *role) execItself(a deed) {
	old := r.actor
	err := r.trySay("exec")
	if err == nil {
		err = r.tryHear(puppetBegins)
	}
	if err == nil {
		old.hasGone()
		err = r.becomeActor(old.n+1, ending, old.uid)
	}
	if err != nil {
		r.c.complain("%s: it can't execute itself: %v: %s", r.name, err, r.stderr)
		return
	}
	if r.start() && r.do(fmt.Sprintf("steps %d %d", a.count, int64(a.nap))) && r.close() {
		r.do("rest")
	}
}

// leaveStage sees to it that the program ends.
func (r *role) leaveStage() {
	_ = r.stdin.Close()
	if s := r.now(); s.signalled {
		r.c.tally.kills.Add(1)
	}
	select {
	case <-r.exited:
	case <-time.After(10 * time.Second):
		r.c.complain("%s: it doesn't end", r.name)
		_ = r.Process.Kill()
		<-r.exited
	}
	r.hasGone()
	r.c.trace.note(r.name, "is gone: %v", r.ProcessState)
	_ = r.pipe.Close()
	if text := r.stderr.String(); text != "" && r.script.end.what != endBurst {
		r.c.complain("%s: it says %s", r.name, text)
	}
}

// hasLostFiles tells whether the actor suffers from that just now.
func (r *role) hasLostFiles() bool { return r.now().troubles > 0 }

// playPlain plays one program without the library after another.
func (c *chaos) playPlain(slot int) {
	for life := 0; life < livesPerSlot/2 && !isClosed(c.over); life++ {
		random := c.randomOf(slot, life)
		long := time.Duration(random.Int64N(int64(5 * time.Second)))
		signal := []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[random.IntN(2)]
		n, name := number(slot, life), fmt.Sprintf("plain %d.%d", slot, life)
		cmd := exec.Command(c.self, c.path, strconv.Itoa(n))
		cmd.Env = append(os.Environ(), publishVariable+"="+asPlain, pipes.DirVariable+"="+c.dir)
		p, err := c.spawn(cmd, 0)
		if err != nil {
			c.complain("%s: %v", name, err)
			return
		}
		a := c.add(&actor{n: n, role: aPlain, kind: killable, uid: os.Geteuid(), pid: p.Process.Pid})
		c.trace.note(name, "begins: number %d, pid %d, %v after %v", n, a.pid, signal, long)
		select {
		case <-time.After(long):
		case <-c.over:
		}
		a.isKilled(false)
		_ = p.Process.Signal(signal)
		<-p.exited
		a.hasGone()
		c.trace.note(name, "is gone")
		if text := p.stderr.String(); strings.TrimSpace(text) != "" {
			c.complain("%s: it says %s", name, text)
		}
	}
}
