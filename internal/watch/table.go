package watch

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// A table holds the rows of a page, and what they were before.
type table struct {
	rows []*Row // by key, a value before the distribution of that key
	tick int
	next []*Row // the memory of the rows before

	at   time.Time      // of the latest snapshot
	took [Slots]float64 // seconds up to each tick; NaN if what grew then says nothing
	full int            // snapshots that had rows
}

// An item is what a snapshot says about a row.
type item struct {
	key  string
	stat *format.Stat
	row  func(r *Row) // completes a new row, and one that is there already
}

func (i *item) isDistribution() bool { return i.stat.Kind == format.Distribution }

func (i *item) compare(r *Row) int {
	if c := strings.Compare(i.key, r.key); c != 0 {
		return c
	}
	return rank(i.isDistribution()) - rank(r.dist)
}

// rank puts what isn't so before what is.
func rank(is bool) int {
	if is {
		return 1
	}
	return 0
}

// take takes in what a snapshot says about all rows, in the order of the rows,
// and tells whether there are others than before, and other zeros. After a gap, nothing
// is compared with the snapshot before.
func (t *table) take(items []item, at time.Time, gap bool) (others, zeros bool) {
	t.tick++
	t.took[t.tick%Slots] = at.Sub(t.at).Seconds()
	if gap {
		t.took[t.tick%Slots] = math.NaN()
	}
	t.at = at
	if len(items) > 0 {
		t.full++
	}
	rows, merged := t.rows, t.next[:0]
	for i := range items {
		next := &items[i]
		for len(rows) > 0 && next.compare(rows[0]) > 0 {
			merged = t.miss(merged, rows[0])
			rows = rows[1:]
		}
		var row *Row
		if len(rows) > 0 && next.compare(rows[0]) == 0 {
			row, rows = rows[0], rows[1:]
		}
		if row == nil || row.Kind != next.stat.Kind {
			others = true
			pinned := row != nil && row.Pinned
			row = newRow(next.key, statName(next.stat), next.stat)
			row.Pinned = pinned
		}
		if next.row != nil {
			next.row(row)
		}
		zero := row.isZero()
		row.take(next.stat, at, t.tick, gap)
		zeros = zeros || row.isZero() != zero
		merged = append(merged, row)
	}
	for _, row := range rows {
		merged = t.miss(merged, row)
	}
	others = others || len(merged) != len(t.rows)
	t.rows, t.next = merged, t.rows
	return others, zeros
}

// miss keeps a row that a snapshot doesn't have, as long as there is a trace of it.
func (t *table) miss(merged []*Row, row *Row) []*Row {
	if t.tick-row.seen >= Slots {
		return merged
	}
	row.miss(t.tick)
	return append(merged, row)
}

// describe completes the rows of items that are there, and says nothing new of them.
func (t *table) describe(items []item) {
	rows := t.rows
	for i := range items {
		for len(rows) > 0 && items[i].compare(rows[0]) > 0 {
			rows = rows[1:]
		}
		if len(rows) > 0 && items[i].compare(rows[0]) == 0 {
			items[i].row(rows[0])
		}
	}
}

// keep drops the rows that aren't wanted any more.
func (t *table) keep(wanted func(*Row) bool) {
	t.rows = slices.DeleteFunc(t.rows, func(r *Row) bool { return !wanted(r) })
}

// gap interrupts all traces.
func (t *table) gap() {
	t.tick++
	t.took[t.tick%Slots] = 0
	for _, row := range t.rows {
		row.gap(t.tick)
	}
}

// values appends what a row was at the last n ticks, the oldest first.
func (t *table) values(to []float64, r *Row, n int) []float64 {
	for tick := t.tick - min(n, Slots) + 1; tick <= t.tick; tick++ {
		to = append(to, r.valueAt(tick))
	}
	return to
}

// rates appends by how much a row grew a second up to each of the last n ticks, since
// it was seen before.
func (t *table) rates(to []float64, r *Row, n int) []float64 {
	before, seconds := math.NaN(), 0.0
	for tick := t.tick - Slots + 1; tick <= t.tick; tick++ {
		value, rate := r.valueAt(tick), math.NaN()
		seconds += t.took[max(0, tick)%Slots]
		if !math.IsNaN(value) {
			if value >= before && seconds > 0 { // it was not reset
				rate = (value - before) / seconds
			}
			before, seconds = value, 0
		}
		if tick > t.tick-n {
			to = append(to, rate)
		}
	}
	return to
}

// statItems are those of a snapshot, which is sorted by name.
func statItems(to []item, s *format.Snapshot, match func(*format.Stat) bool) []item {
	to = to[:0]
	for i := range s.Stats {
		stat := &s.Stats[i]
		if match != nil && !match(stat) {
			continue
		}
		to = append(to, item{key: stat.Name, stat: stat})
		if n := len(to); n > 1 && to[n-2].key == to[n-1].key && to[n-2].isDistribution() {
			to[n-2], to[n-1] = to[n-1], to[n-2]
		}
	}
	return to
}

// statsNamed returns what one source says of a stat: one value and one distribution
// at the most.
func statsNamed(s *format.Snapshot, name string) []format.Stat {
	if s == nil {
		return nil
	}
	from, found := slices.BinarySearchFunc(s.Stats, name, func(stat format.Stat, name string) int {
		return strings.Compare(stat.Name, name)
	})
	if !found {
		return nil
	}
	to := from
	for to < len(s.Stats) && s.Stats[to].Name == name {
		to++
	}
	return format.Combine(&format.Snapshot{Stats: s.Stats[from:to], Ended: s.Ended}).Stats
}
