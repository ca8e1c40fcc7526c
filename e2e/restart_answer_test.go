//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A restartAnswer is a document of /stats.
type restartAnswer struct {
	own       map[int]int64 // steps, by worker
	alive     map[int]int64
	totals    [sums]int64                       // of quarters, how many
	labels    map[string]map[string]json.Number // kind -> label -> value
	timestamp string
}

func parseRestartAnswer(body []byte) (*restartAnswer, error) {
	a := &restartAnswer{own: make(map[int]int64), alive: make(map[int]int64), labels: make(map[string]map[string]json.Number)}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for _, want := range []json.Token{json.Delim('{'), "stats", json.Delim('{')} {
		if got, err := d.Token(); err != nil || got != want {
			return nil, fmt.Errorf("%v, %w, not %v", got, err, want)
		}
	}
	for last := ""; ; {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			break // the end of the object
		}
		if name <= last {
			return nil, fmt.Errorf("%s after %s", name, last)
		}
		last = name
		value, err := d.Token()
		if err != nil {
			return nil, err
		}
		number, ok := value.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s: %v", name, value)
		}
		if err := a.add(name, number); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if got, err := d.Token(); err != nil || got != "timestamp" {
		return nil, fmt.Errorf("%v, %w, not a timestamp", got, err)
	}
	stamp, err := d.Token()
	number, ok := stamp.(json.Number)
	if err != nil || !ok {
		return nil, fmt.Errorf("the timestamp is %v, %w", stamp, err)
	}
	a.timestamp = number.String()
	if end, err := d.Token(); err != nil || end != json.Delim('}') {
		return nil, fmt.Errorf("%v, %w, not the end", end, err)
	}
	if rest, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%v after the end", rest)
	}
	return a, nil
}

// add takes in one stat.
func (a *restartAnswer) add(name string, number json.Number) error {
	family, rest, _ := strings.Cut(name, ".")
	kind, of, isOf := strings.Cut(rest, ".")
	integer, intErr := number.Int64()
	if family == "alive" {
		n, err := strconv.Atoi(rest)
		a.alive[n] = integer
		return errors.Join(err, intErr)
	}
	if kind != ending && kind != killable {
		return errors.New("nobody has that")
	}
	sum := 0
	if kind == killable {
		sum = totalKillable - totalEnding
	}
	switch {
	case family == "own" && isOf:
		n, err := strconv.Atoi(of)
		if err == nil && kindOf(n) != kind {
			err = errors.New("nobody has that")
		}
		a.own[n] = integer
		return errors.Join(err, intErr)
	case family == "size" && isOf:
		if a.labels[kind] == nil {
			a.labels[kind] = make(map[string]json.Number)
		}
		a.labels[kind][of] = number
		return nil
	case family == "total" && !isOf:
		a.totals[totalEnding+sum] = integer
		return intErr
	case family == "quarters" && !isOf:
		f, err := number.Float64()
		if intErr == nil || f*4 != float64(int64(f*4)) {
			err = errors.Join(err, fmt.Errorf("it is %s", number))
		}
		a.totals[quartersEnding+sum] = int64(f * 4)
		return err
	}
	return errors.New("nobody has that")
}

// checkWorkers checks what an answer says of each worker: not less than was done before
// the collection, or was said of one that was killed, and not more than has begun.
func (c *restarts) checkWorkers(l *life, before, after moment, least []int64, a *restartAnswer) {
	for n := range a.own {
		if n >= len(after) {
			c.complain("worker %d is in an answer, and isn't there", n)
		}
	}
	for n, w := range after {
		low := int64(0)
		if n < len(before) {
			low = least[n]
			if !after.wasKilled(n) {
				low = max(low, before[n].done)
			}
		}
		got, ok := a.own[n]
		if got < low || got > w.begun {
			c.complain("serve %d: worker %d: %d steps (%v), not %d to %d: before %+v, after %+v, left by the last serve %d, folded %v",
				l.number, n, got, ok, low, w.begun, before.of(n), w, l.left.own[n], l.left.folded[n])
		}
		alive, ok := a.alive[n]
		if ok && (alive != 1 || before.isGone(n)) || !ok && before.ranUntil(after, n) {
			c.complain("serve %d: worker %d: its gauge is %d (%v): before %+v, after %+v", l.number, n, alive, ok, before.of(n), w)
		}
	}
}

// of returns what is known of a worker, for a message.
func (m moment) of(n int) any {
	if n < len(m) {
		return m[n]
	}
	return "nothing"
}

// checkSums checks the counters that many workers share, in the same way.
func (c *restarts) checkSums(l *life, before, after moment, least [sums]int64, a *restartAnswer) {
	var low, high [sums]int64
	low[totalKillable] = l.left.retainedTotal
	for n, w := range after {
		var done int64
		if n < len(before) {
			done = before[n].done
		}
		if kindOf(n) == ending {
			low[totalEnding] += done * totalPerStep
			low[quartersEnding] += done
			high[totalEnding] += w.begun * totalPerStep
			high[quartersEnding] += w.begun
			continue
		}
		high[totalKillable] += w.begun * totalPerStep
		high[quartersKillable] += w.begun
		if l.left.folded[n] {
			continue
		}
		if after.wasKilled(n) {
			done = 0
		}
		low[totalKillable] += max(l.left.savedTotal[n], done*totalPerStep)
	}
	for i, got := range a.totals {
		if at := max(low[i], least[i]); got < at || got > high[i] {
			c.complain("serve %d: sum %d is %d, not %d to %d", l.number, i, got, at, high[i])
		}
	}
}

// checkLabels checks the distributions: who shares one has recorded values of the same
// range, and always one that is still in the window.
func (c *restarts) checkLabels(before, after moment, a *restartAnswer) {
	for _, kind := range []string{ending, killable} {
		var runs, mayRun bool
		for n := range after {
			if kindOf(n) == kind {
				runs, mayRun = runs || before.ranUntil(after, n), mayRun || !before.isGone(n)
			}
		}
		labels := a.labels[kind]
		if len(labels) != 0 && !mayRun || runs && len(labels) == 0 {
			c.complain("%s: the labels are %v", kind, labels)
		}
		if len(labels) == 0 {
			continue
		}
		last := 1.0
		for _, name := range []string{"median", "95th", "99th", "100th"} {
			v, err := labels[name].Int64()
			if err != nil || float64(v) < last || v > largestSize {
				c.complain("%s: the labels are %v", kind, labels)
			}
			last = float64(v)
		}
		mean, err := labels["mean"].Float64()
		if err != nil || mean < 1 || mean > last || len(labels) != 5 {
			c.complain("%s: the labels are %v", kind, labels)
		}
	}
}
