//go:build linux

package pipes

import "testing"

// One more gets in for each that leaves, and many that never leave hold up nobody.
func TestGate(t *testing.T) {
	g := newGate()
	for range 10 * gateWidth {
		g.enter() // a moment for each gateWidth of them
	}
	for range 3 * gateWidth {
		g.leave()
	}
	if len(g.tokens) != gateWidth {
		t.Errorf("%d may begin at once, want %d", len(g.tokens), gateWidth)
	}
	for range gateWidth {
		g.enter()
	}
	entered := make(chan struct{})
	go func() {
		g.enter()
		close(entered)
	}()
	g.leave()
	await(t, "another one gets in", entered)
}
