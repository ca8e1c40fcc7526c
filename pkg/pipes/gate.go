package pipes

import "time"

// A gate lets a number of readings begin, and one more for each that has ended. A
// thousand publishers that all wake up at once take turns on the processors, and
// find nothing in their caches when it is theirs: reading a few at a time takes two
// thirds of the time.
//
// Where there is none to begin for a moment, those under way are taken for slow
// ones, and as many more begin. So a thousand that never end cost the others as many
// milliseconds as there are gates full of them.
type gate struct {
	tokens chan struct{} // one for each that may begin
	opened time.Time     // when it was full last
}

const (
	gateWidth  = 32
	gateMoment = time.Millisecond
)

func newGate() *gate {
	g := &gate{tokens: make(chan struct{}, gateWidth)}
	g.open()
	return g
}

func (g *gate) open() {
	for range gateWidth {
		g.leave()
	}
	g.opened = time.Now()
}

// enter returns when one more may begin. It is for one goroutine.
func (g *gate) enter() {
	select {
	case <-g.tokens:
		return
	default:
	}
	timer := time.NewTimer(time.Until(g.opened.Add(gateMoment)))
	defer timer.Stop()
	select {
	case <-g.tokens:
	case <-timer.C:
		g.open()
		<-g.tokens
	}
}

// leave says that one has ended.
func (g *gate) leave() {
	select {
	case g.tokens <- struct{}{}:
	default: // those that were taken for slow come on top
	}
}
