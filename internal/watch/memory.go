package watch

import (
	"math"
	"runtime/debug"
)

// BoundMemory keeps the process small: of what collections leave behind, no more
// waits to be collected than makes 44 MiB, or more where there are more than 10,000
// stats. The program's text and its stacks come to that. A GOMEMLIMIT of somebody's
// stays in force.
func BoundMemory() (bound func(stats int)) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func(int) {}
	}
	const usual, usualStats, each = 44 << 20, 10_000, 6 << 10
	var inForce int64
	return func(stats int) {
		// In steps: the limit is not for every single stat.
		more := int64(max(0, stats-usualStats)+999) / 1000 * 1000
		if limit := usual + more*each; limit != inForce {
			inForce = limit
			debug.SetMemoryLimit(limit)
		}
	}
}
