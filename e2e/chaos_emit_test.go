//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

func adderName(n int) string  { return "emit.add." + strconv.Itoa(n) }
func setterName(n int) string { return "emit.set." + strconv.Itoa(n) }
func sizerName(n int) string  { return "emit.size." + strconv.Itoa(n) + ".{0}" }

// playScripts calls emit again and again, for a counter, a gauge and a distribution. Some
// of the calls are killed.
func (c *chaos) playScripts(slot int) {
	first := c.randomOf(slot, 0)
	uid := os.Geteuid()
	if c.shape.nobody && first.IntN(2) == 0 {
		uid = nobodyUID
	}
	var actors []*actor
	for i, role := range []string{anAdder, aSetter, aSizer} {
		actors = append(actors, c.add(&actor{n: number(slot, 0) + i, role: role, kind: ending, uid: uid}))
	}
	for life := 2; life < livesPerSlot/2 && !isClosed(c.over); life++ {
		random := c.randomOf(slot, life)
		c.emit(actors[random.IntN(len(actors))], random)
		time.Sleep(time.Duration(random.Int64N(int64(60 * time.Millisecond))))
	}
}

func (c *chaos) emit(a *actor, random *rand.Rand) {
	e, amount := &c.ledger[a.n], int64(1)
	args, stdin := []string{"emit"}, ""
	switch a.role {
	case anAdder:
		amount = 1 + random.Int64N(9)
		args = append(args, adderName(a.n), strconv.FormatInt(amount, 10))
		if random.IntN(3) == 0 {
			args, stdin = []string{"emit", "-"}, strings.Repeat(adderName(a.n)+": 1\n", int(amount))
		}
	case aSetter:
		args = append(args, "--set", setterName(a.n), strconv.FormatInt(e.begun.Load()+1, 10))
	case aSizer:
		args = append(args, "--record", sizerName(a.n), strconv.FormatInt(sizeOf(e.begun.Load()+1), 10))
	}
	kill, wait := random.IntN(8) == 0, time.Duration(random.Int64N(int64(10*time.Millisecond)))
	cmd := exec.Command(c.tool, args...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+c.dir)
	become(cmd, a.uid)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	defer c.make()()
	before := c.disorders()
	e.begun.Add(amount)
	p, err := c.spawn(cmd, 0)
	if err != nil {
		c.complain("emit: %v", err)
		return
	}
	_, _ = p.stdin.Write([]byte(stdin)) // it may be dead
	_ = p.stdin.Close()
	if kill {
		time.Sleep(wait)
		_ = p.Process.Kill()
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		c.complain("%q doesn't end", args)
		_ = p.Process.Kill()
		<-p.exited
	}
	code := p.ProcessState.ExitCode()
	c.tally.emits.Add(1)
	c.trace.note("emit", "%q: exit code %d %s", args[1:], code, stderr.String())
	switch {
	case code == 0 && stdout.Len()+stderr.Len() == 0:
		e.done.Add(amount)
		if a.role == aSetter {
			e.done.Store(e.begun.Load()) // whatever became of those that were killed
		}
		a.closes(e)
		a.closed(true)
	case code == -1 && kill:
	case code == 1 && strings.Count(stderr.String(), "\n") == 1 && (before.now > 0 || c.disorders().ever != before.ever):
		c.tally.failedEmits.Add(1)
		e.begun.Add(-amount) // it says that it has stored nothing
	default:
		c.complain("%s", fmt.Sprintf("%q: exit code %d, it says %s%s", args, code, stdout.String(), stderr.String()))
	}
}
