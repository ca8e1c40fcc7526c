package pipes

import "time"

// A gate lets a number of readings begin, and one more for each that has ended. A
// thousand publishers that all wake up at once take turns on the processors, and
// find nothing in their caches when it is theirs: reading a few at a time takes two
// thirds of the time.
//
// Where none has ended for a moment, those under way are taken for slow ones, and
// as many more begin: they hold up nobody.
type gate chan struct{} // a token for each that may begin

const (
	gateWidth  = 32
	gateMoment = time.Millisecond
)

func newGate() gate {
	g := make(gate, gateWidth)
	g.open()
	return g
}

func (g gate) open() {
	for range cap(g) {
		g.leave()
	}
}

// enter returns when one more may begin.
func (g gate) enter() {
	select {
	case <-g:
		return
	default:
	}
	timer := time.NewTimer(gateMoment)
	defer timer.Stop()
	select {
	case <-g:
	case <-timer.C:
		g.open()
		g.enter()
	}
}

// leave says that one has ended.
func (g gate) leave() {
	select {
	case g <- struct{}{}:
	default: // those that were taken for slow come on top
	}
}
