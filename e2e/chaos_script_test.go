//go:build linux

package e2e

import (
	"math/rand/v2"
	"time"
)

// A script is the life of a puppet, drawn before it begins, so that nothing of it
// depends on when things happen.
type script struct {
	kind  string
	other bool // it runs as another user
	pads  int
	deeds []deed
	end   deed
	again bool // the next one gets its pid
}

// A deed is one thing that a puppet does, or that is done to it.
type deed struct {
	what  string
	count int
	nap   time.Duration // between steps
	wait  time.Duration // until the other thing is done to it
	pause time.Duration // for which that is done
}

// What the deeds are, beside steps.
const (
	doSteps   = "steps"
	doNap     = "nap"
	doAgain   = "close and start"
	doStop    = "is stopped"
	doUnlink  = "loses files"
	doStarve  = "runs out of descriptors"
	endClose  = "close"
	endKill   = "is killed at its steps"
	endKillAt = "is killed while it closes"
	endBirth  = "is killed while it starts"
	endTerm   = "is terminated"
	endExec   = "executes itself"
	endExit   = "exits"
	endBurst  = "runs out of memory"
	endStarve = "closes without descriptors"
)

func (s shape) drawScript(r *rand.Rand) script {
	var out script
	out.kind = ending
	if r.IntN(5) < 2 {
		out.kind = killable
	}
	out.other = s.nobody && r.IntN(3) == 0
	if r.IntN(6) == 0 {
		out.pads = fatPads
	}
	for range 1 + r.IntN(10) {
		out.deeds = append(out.deeds, s.drawDeed(r))
	}
	out.end = drawSteps(r)
	out.end.what = endClose
	out.end.wait = time.Duration(r.Int64N(int64(30 * time.Millisecond)))
	if out.kind == killable {
		ends := []string{endKill, endKill, endKillAt, endKillAt, endBirth, endTerm, endExec, endExit, endBurst, endStarve}
		out.end.what = ends[r.IntN(len(ends))]
	}
	if out.end.what == endKillAt || out.end.what == endBirth {
		out.end.wait = time.Duration(r.Int64N(int64(3 * time.Millisecond)))
	}
	out.again = s.reuse && r.IntN(2) == 0
	return out
}

func (s shape) drawDeed(r *rand.Rand) deed {
	a := drawSteps(r)
	a.wait = time.Duration(r.Int64N(int64(20 * time.Millisecond)))
	a.pause = time.Duration(r.Int64N(int64(300 * time.Millisecond)))
	switch n := r.IntN(20); {
	case n < 3:
		a.what = doNap
	case n < 7:
		a.what = doAgain
	case n < 9 && s.stops:
		a.what = doStop
		if r.IntN(4) == 0 {
			a.pause *= 10
		}
	case n < 10 && s.unlinks:
		a.what = doUnlink
		a.count = 1 + r.IntN(7) // which of the files
	case n < 11 && s.starves:
		a.what = doStarve
		a.count = r.IntN(4) // so many are left
	}
	return a
}

func drawSteps(r *rand.Rand) deed {
	return deed{what: doSteps, count: 1 + r.IntN(300), nap: time.Duration(r.Int64N(int64(10 * time.Millisecond)))}
}
