package watch

import (
	"math"
	"runtime/debug"

	"github.com/statvent/statvent/pkg/format"
)

// BoundMemory keeps the process small: of what collections leave behind, no more
// waits to be collected than makes 51 MiB, or more where an update is larger than one
// of 10,000 stats (or two, of the size that is remembered). The program's text and its
// stacks come to that. A GOMEMLIMIT of somebody's stays in force.
func BoundMemory() (bound func(*Update)) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func(*Update) {}
	}
	const usual, usualSize, each = 51 << 20, 26_000, 3 << 10
	var inForce int64
	return func(u *Update) {
		// In steps: the limit is not for every single stat.
		more := int64(max(0, u.size()-usualSize)+999) / 1000 * 1000
		if limit := usual + more*each; limit != inForce {
			inForce = limit
			debug.SetMemoryLimit(limit)
		}
	}
}

// size is how much an update holds, of all sources and of each, in stats of the usual
// size: a distribution with the usual window counts for four.
func (u *Update) size() int {
	size := sizeOf(u.Total)
	for i := range u.Sources {
		if s := u.Sources[i].Snapshot; s != nil {
			size += sizeOf(s)
		}
	}
	return size
}

func sizeOf(s *format.Snapshot) int {
	const name, window = 256, 32
	size := len(s.Stats)
	for i := range s.Stats {
		stat := &s.Stats[i]
		size += len(stat.Name) / name
		if stat.Kind == format.Distribution {
			size += len(stat.Dist.Window) / window
		}
	}
	return size
}
