//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/statvent/statvent/pkg/pipes"
)

// A hearing is what a reader was told of the whole host.
type hearing struct {
	who string
	span
	values map[string]json.Number // as in the plain format
	sizes  map[string]sizes       // counts and sums of distributions, where they are told
	least  *told                  // what the same reader was told before
	tell   *told                  // where it remembers what it is told now; nil if it doesn't
	from   *server                // nil if it is no serve

	// answered tells whether that actor's recorder has answered; nil where nobody knows.
	answered func(a *actor) bool
	// silent tells whether it is known not to have; nil where nobody knows.
	silent func(a *actor) bool
}

// hearSources takes from the states of typed sources who has answered. Who hadn't in time
// before may have begun to answer then: what comes late counts the next time.
func (h *hearing) hearSources(state func(yield func(pid int, state string) bool)) {
	live, silent := make(map[int]bool), make(map[int]bool)
	for pid, state := range state {
		live[pid] = live[pid] || state == string(pipes.Live)
		silent[pid] = silent[pid] || state == string(pipes.Unresponsive) || state == string(pipes.Failed)
	}
	late := h.tell.noteSilent(silent)
	h.answered = func(a *actor) bool { return live[a.pid] && !late[a.pid] }
	h.silent = func(a *actor) bool { return silent[a.pid] }
}

type sizes struct{ count, sum int64 }

// check compares all of it with what is known.
func (c *chaos) check(h *hearing) {
	c.tally.readings.Add(1)
	if h.least == nil {
		h.least = newTold()
	}
	own, shared, least, most := make(map[int]int64), make(map[string]float64), make(map[string]int64), make(map[string]int64)
	lost, hides := make(map[string]bool), make(map[string]bool)
	known := make(map[int]bool, len(h.after.actors))
	for i, a := range h.after.actors {
		known[a.n] = true
		b := c.checkActor(h, i)
		if a.role != aPuppet {
			continue
		}
		if _, ok := h.values[ownName(a.kind, a.n)]; ok && !h.hides(i) {
			own[a.n] = h.integer(c, ownName(a.kind, a.n))
		}
		least[a.kind] += b.least
		most[a.kind] += b.most
		lost[a.kind] = lost[a.kind] || h.mayFall(i) || c.foldsElsewhere(a, h.after.standings[i])
		hides[a.kind] = hides[a.kind] || h.hides(i)
	}
	for _, kind := range []string{ending, killable} {
		sums := map[string]float64{
			totalName(kind):    h.float(totalName(kind)) / totalPerStep,
			quartersName(kind): h.float(quartersName(kind)) * 4,
		}
		for name, steps := range sums {
			low := float64(least[kind])
			if !lost[kind] && h.present() {
				low = max(low, h.least.shared[name])
			}
			if steps < low || steps > float64(most[kind]) {
				c.complain("%s: %s is that of %v steps, not of %v to %d", h.who, name, steps, low, most[kind])
			}
			if !hides[kind] {
				shared[name] = steps
			}
		}
		if !hides[kind] { // else it may be read at its plain pipe, whose labels are added
			c.checkLabels(h, sizeName(kind))
		}
	}
	for name := range h.values {
		if !isKnown(name, known) {
			c.complain("%s: %q is there, and nobody has that", h.who, name)
		}
	}
	if h.tell != nil && h.present() {
		h.tell.raise(own, shared)
	}
}

// isKnown tells whether somebody may have published that.
func isKnown(name string, known map[int]bool) bool {
	family, rest, _ := strings.Cut(name, ".")
	switch family {
	case "total", "quarters", "size":
		kind, _, _ := strings.Cut(rest, ".")
		return kind == ending || kind == killable
	case "own", "mine", "emit":
		_, rest, _ = strings.Cut(rest, ".")
	case "alive", "aa", "zz", "pad", "plain":
	default:
		return false
	}
	number, _, _ := strings.Cut(rest, ".")
	n, ok := actorOf("." + number)
	return ok && known[n]
}

func (h *hearing) integer(c *chaos, name string) int64 {
	number, ok := h.values[name]
	if !ok {
		return 0
	}
	v, err := number.Int64()
	if err != nil {
		c.complain("%s: %s is %s", h.who, name, number)
	}
	return v
}

func (h *hearing) float(name string) float64 {
	v, _ := h.values[name].Float64()
	return v
}

// mayFall tells whether the counters of an actor may fall for the one who hears: he
// isn't the one who will fold it, or nobody can.
func (h *hearing) mayFall(i int) bool {
	s := h.after.standings[i]
	if s.closing != s.kept && s.troubles > 0 && !h.calm() {
		return true // somebody has deleted its pipe, and there is no room for what it leaves
	}
	return h.hides(i) || s.signalled && (s.lost || h.from == nil || !h.from.main)
}

// checkActor checks all that is an actor's own, and returns what its counter may be.
func (c *chaos) checkActor(h *hearing, i int) bounds {
	a, b := h.after.actors[i], h.bounds(i)
	after := h.after.standings[i]
	answered := h.answered != nil && a.role == aPuppet && h.answered(a)
	if !answered {
		b.least = b.kept
		if h.silent != nil && !h.silent(a) {
			b.least = b.closed
		}
	}
	if h.answered != nil && a.role == aPuppet && h.answers(i) {
		c.countAnswer(h, i, answered)
	}
	low := b.least
	if h.present() && !h.mayFall(i) && !c.foldsElsewhere(a, after) {
		low = max(low, h.least.own[a.n])
	}
	name := ownName(a.kind, a.n)
	switch a.role {
	case aPlain:
		name, low = fmt.Sprintf("plain.%d", a.n), 0
		if h.values[name] != h.values[name+".again"] {
			c.complain("%s: %s is %s once, and %s", h.who, name, h.values[name], h.values[name+".again"])
		}
	case anAdder:
		name = adderName(a.n)
	case aSetter:
		name = setterName(a.n)
	case aSizer:
		c.checkSizes(h, i, sizerName(a.n), b.least, b.most)
		c.checkLabels(h, sizerName(a.n))
		return b
	}
	if got := h.integer(c, name); got < low || got > b.most {
		c.complain("%s: %s is %d, not %d to %d: before %s, after %v, it was told %d, the actor has answered: %v (pid %d)",
			h.who, name, got, low, b.most, h.before.of(i), after, h.least.own[a.n], answered, a.pid)
	}
	if a.role == aPuppet {
		// Not what was told of the counter, which was looked at a moment later.
		c.checkSizes(h, i, mineName(a.kind, a.n), b.least, b.most)
		c.checkLabels(h, mineName(a.kind, a.n))
		c.checkGauges(h, i, answered)
	}
	return b
}

// foldsElsewhere tells whether another serve may have folded the dead actor, with less.
func (c *chaos) foldsElsewhere(a *actor, s standing) bool {
	return s.signalled && (c.shape.twoRoots || c.shape.another && a.uid == nobodyUID)
}

// countAnswer notes whether one has answered who could.
func (c *chaos) countAnswer(h *hearing, i int, answered bool) {
	if answered {
		c.tally.exact.Add(1)
		return
	}
	c.tally.excused.Add(1)
	if well := h.before.at.Sub(h.before.standings[i].well); well > patience/2 {
		c.complain("%s: number %d hasn't answered, and could for %v: before %s, after %v",
			h.who, h.after.actors[i].n, well, h.before.of(i), h.after.standings[i])
	}
}

// of returns what is known of an actor, for a message.
func (v *view) of(i int) string {
	if i < len(v.standings) {
		return fmt.Sprint(v.standings[i])
	}
	return "nothing"
}

// checkSizes checks the count and the sum of a distribution of one actor's.
func (c *chaos) checkSizes(h *hearing, i int, name string, low, high int64) {
	if h.sizes == nil {
		return
	}
	got := h.sizes[name]
	if got.count < low || got.count > high {
		c.complain("%s: %s has %d values, not %d to %d: before %s, after %v", h.who, name, got.count, low, high, h.before.of(i), h.after.standings[i])
	}
	if h.after.standings[i].deleted == 0 && h.after.actors[i].role == aPuppet && got.sum != sumOfSizes(got.count) {
		c.complain("%s: %s has %d values with a sum of %d, not %d", h.who, name, got.count, got.sum, sumOfSizes(got.count))
	}
}

// checkLabels checks the percentiles of a distribution, if they are there.
func (c *chaos) checkLabels(h *hearing, name string) {
	base := strings.TrimSuffix(name, "{0}")
	if _, ok := h.values[base+"mean"]; !ok {
		return
	}
	last := 1.0
	for _, label := range []string{"median", "95th", "99th", "100th"} {
		if v := h.float(base + label); v < last || v > largestSize {
			c.complain("%s: %s%s is %s", h.who, base, label, h.values[base+label])
		} else {
			last = v
		}
	}
	if mean := h.float(base + "mean"); mean < 1 || mean > last {
		c.complain("%s: %smean is %v, and the 100th %v", h.who, base, mean, last)
	}
}

// checkGauges checks that what an actor has set is there, once, as long as it lives.
func (c *chaos) checkGauges(h *hearing, i int, answered bool) {
	a := h.after.actors[i]
	gone := i < len(h.before.standings) && h.before.standings[i].gone
	for _, name := range []string{aliveName(a.n), firstName(a.n), lastName(a.n)} {
		got, ok := h.values[name]
		if ok && (got != "1" || gone) && !h.hides(i) || !ok && answered && h.answers(i) {
			c.complain("%s: %s is %q: before %s, after %v", h.who, name, got, h.before.of(i), h.after.standings[i])
		}
	}
}
