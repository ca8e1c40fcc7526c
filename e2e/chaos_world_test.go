//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// make shares the directory with the others who need it to be where it should.
func (c *chaos) make() (made func()) {
	c.making.RLock()
	c.acting.RLock()
	return func() {
		c.acting.RUnlock()
		c.making.RUnlock()
	}
}

// turn is what happens to all, one thing after another.
func (c *chaos) turn() {
	random := rand.New(rand.NewPCG(c.seed, streamWorld))
	var events []func(*rand.Rand)
	add := func(is bool, times int, event func(*rand.Rand)) {
		for range times {
			if is {
				events = append(events, event)
			}
		}
	}
	add(true, 6, c.restartMain)
	add(c.shape.blocks, 2, func(r *rand.Rand) { c.fill("blocks", drawPause(r)) })
	add(c.shape.inodes, 2, func(r *rand.Rand) { c.fill("inodes", drawPause(r)) })
	add(c.shape.moves, 2, func(r *rand.Rand) { c.moveAway(drawPause(r)) })
	add(c.shape.deletes, 1, func(*rand.Rand) { c.deleteAll() })
	for !isClosed(c.over) {
		wait := time.Duration(random.Int64N(int64(c.shape.restarts) * int64(100*time.Millisecond)))
		event := events[random.IntN(len(events))]
		select {
		case <-time.After(wait):
			event(random)
		case <-c.over:
		}
	}
}

func drawPause(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(time.Second))) }

// disturb notes that everybody suffers until the function is called that it returns.
func (c *chaos) disturb(f func(d *disorder)) (ends func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.disorder
	c.now++
	c.ever++
	f(&c.disorder)
	absent := c.absentNow - old.absentNow
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
		c.absentNow -= absent
	}
}

// settleDown ends a disorder: when all has been done that was begun in it, and only for
// those who can answer again.
func (c *chaos) settleDown(ends func()) {
	c.acting.Lock() // that have begun have ended
	defer c.acting.Unlock()
	for _, a := range c.look().actors {
		if s := a.now(); a.role == aPuppet && s.open && !s.signalled {
			go c.untilWell(fmt.Sprintf("number %d", a.n), a, a.suffers())
		}
	}
	ends()
}

// fill fills the disk, and empties it again.
func (c *chaos) fill(with string, pause time.Duration) {
	c.trace.note("world", "the disk has no %s for %v", with, pause)
	ends := c.disturb(func(*disorder) {})
	ballast := filepath.Join(c.disk, "ballast")
	began := time.Now()
	// What is freed meanwhile is taken as well.
	for first := true; first || time.Since(began) < pause; first = false {
		if err := pour(ballast, with); !errors.Is(err, unix.ENOSPC) {
			c.complain("the disk doesn't get full: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := os.RemoveAll(ballast); err != nil {
		c.complain("the disk: %v", err)
	}
	c.trace.note("world", "the disk has %s again", with)
	c.settleDown(ends)
}

func pour(ballast, with string) error {
	if err := os.MkdirAll(ballast, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(ballast, "much"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for i := 0; ; i++ {
		if with == "blocks" {
			_, err = file.Write(make([]byte, 4096))
		} else {
			err = os.Symlink("nothing", filepath.Join(ballast, strconv.FormatInt(time.Now().UnixNano(), 10)+"."+strconv.Itoa(i)))
		}
		if err != nil {
			return err
		}
	}
}

// moveAway renames the directory and brings it back.
func (c *chaos) moveAway(pause time.Duration) {
	c.making.Lock() // nobody else makes one
	defer c.making.Unlock()
	before := c.look()
	c.trace.note("world", "the directory is away for %v", pause)
	ends := c.disturb(func(d *disorder) { d.absentNow++; d.absentEver++ })
	away := c.dir + ".away"
	if err := os.Rename(c.dir, away); err != nil {
		c.complain("%v", err)
	}
	time.Sleep(pause)
	if err := os.Rename(away, c.dir); err != nil {
		// A program has looked for its pipe, as they do once a minute, and made a new
		// one. What it has kept there in this moment is given up with it.
		c.trace.note("world", "somebody has made another: %v", err)
		if err := errors.Join(os.Rename(c.dir, c.dir+".new"), os.Rename(away, c.dir), os.RemoveAll(c.dir+".new")); err != nil {
			c.complain("%v", err)
		}
		c.giveUp(before)
	}
	c.trace.note("world", "the directory is back")
	c.settleDown(ends)
}

// giveUp notes that what was closed since then may be lost.
func (c *chaos) giveUp(since *view) {
	for i, a := range since.actors {
		kept := since.standings[i].kept
		a.change(func(s *standing) {
			if s.kept != kept {
				s.kept, s.closing, s.signalled, s.lost = kept, kept, true, true
			}
		})
	}
}

// deleteAll deletes the directory with all that is in it, and waits until somebody has
// made another one.
func (c *chaos) deleteAll() {
	c.acting.Lock()
	c.trace.note("world", "the directory is deleted")
	ends := c.disturb(func(d *disorder) { d.absentNow++; d.absentEver++; d.deletions++ })
	for _, a := range c.look().actors {
		a.change(func(s *standing) {
			s.deleted = s.kept
			s.lost = s.lost || s.signalled
		})
	}
	for _, s := range append([]*server{c.last}, c.others...) {
		s.told.Store(newTold())
	}
	// Somebody may put something into it meanwhile.
	for os.RemoveAll(c.dir) != nil {
		time.Sleep(time.Millisecond)
	}
	c.acting.Unlock()
	waitFor(patience/4, func() bool { return exists(c.dir) })
	if !exists(c.dir) { // all are ending
		if err := errors.Join(os.Mkdir(c.dir, 0o700), os.Chmod(c.dir, 0o777|os.ModeSticky)); err != nil && !errors.Is(err, fs.ErrExist) {
			c.complain("%v", err)
		}
	}
	c.trace.note("world", "the directory is there")
	c.settleDown(ends)
}

// loseFiles deletes some of what the actor has in the directory, by bits.
func (c *chaos) loseFiles(name string, a *actor, which int) {
	recovers := a.suffers()
	if which&4 != 0 {
		suffers, appears := recovers, a.vanishes()
		recovers = func() { suffers(); appears() }
	}
	stem, id, ok := c.filesOf(a.pid)
	if ok {
		for i, file := range []string{stem + ".stats", "." + stem + "." + id + ".typed", "." + stem + "." + id + ".live"} {
			if which&(1<<i) != 0 {
				err := os.Remove(filepath.Join(c.dir, file))
				c.trace.note(name, "loses %s: %v", file, err)
			}
		}
	}
	go c.untilWell(name, a, recovers)
}

// putBack is how long a program may take to put back what somebody has deleted: it
// looks once a minute, and is on a busy machine.
const putBack = 75 * time.Second

// untilWell waits until an actor has all its files, or has ended.
func (c *chaos) untilWell(name string, a *actor, recovers func()) {
	defer recovers()
	session := a.now().session
	for began := time.Now(); !isClosed(c.silence); time.Sleep(50 * time.Millisecond) {
		s := a.now()
		if s.signalled || s.session != session || !s.open && s.kept == s.closing {
			return
		}
		if _, _, ok := c.filesOf(a.pid); ok {
			return
		}
		if time.Since(began) > putBack {
			c.complain("%s: what it lost isn't back after %v", name, putBack)
			return
		}
	}
}

// filesOf finds a recorder that lives, as the design says: by the lock on its file
// that has the pid in it. It is ok if it has both pipes.
func (c *chaos) filesOf(pid int) (stem, id string, ok bool) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return "", "", false
	}
	for _, entry := range entries {
		name, isLive := strings.CutSuffix(entry.Name(), ".live")
		if !isLive || !isHeld(filepath.Join(c.dir, entry.Name()), pid) {
			continue
		}
		dot := strings.LastIndexByte(name, '.')
		stem, id := name[1:dot], name[dot+1:]
		typed, typedErr := os.Lstat(filepath.Join(c.dir, name+".typed"))
		plain, plainErr := os.Lstat(filepath.Join(c.dir, stem+".stats"))
		if errors.Join(typedErr, plainErr) == nil && typed.Mode().Type() == fs.ModeNamedPipe && plain.Mode().Type() == fs.ModeNamedPipe {
			return stem, id, true
		}
	}
	return "", "", false
}

func isHeld(path string, pid int) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil || string(text) != fmt.Sprintf("pid: %d\n", pid) {
		return false
	}
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), syscall.EWOULDBLOCK)
}
