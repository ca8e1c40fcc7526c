package watch

import (
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// The limit leaves room for what an update holds: with less, there would be nothing
// but the collecting of garbage that is none.
func TestTheMemoryLimitIsAboveWhatIsHeld(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	debug.SetMemoryLimit(math.MaxInt64)
	bound := BoundMemory()
	limits := func(what string, sources int, stats []format.Stat, least, most int64) {
		t.Helper()
		snapshot := snapshot(stats...)
		u := &Update{Total: snapshot}
		for range sources {
			u.Sources = append(u.Sources, pipes.Source{Snapshot: snapshot})
		}
		bound(u)
		if limit := debug.SetMemoryLimit(-1); limit < least<<20 || limit > most<<20 {
			t.Errorf("%s: the limit is %d MiB, want %d to %d MiB", what, limit>>20, least, most)
		}
	}
	var plain, windows, names []format.Stat
	for i := range 10_000 {
		plain = append(plain, counter(fmt.Sprintf("s%d", i), 1))
	}
	for i := range 100 {
		names = append(names, counter(fmt.Sprintf("%s%d", strings.Repeat("n", 50<<10), i), 1))
		windows = append(windows, distribution(fmt.Sprintf("d%d", i), 1, make([]int64, 10_000)...))
	}
	limits("nothing", 0, nil, 51, 51)
	limits("10,000 stats", 1, plain, 51, 51)
	limits("250 sources", 250, plain[:1500], 250, 2000) // they were seen to take up to 120 MiB
	limits("large windows", 1, windows, 100, 200)       // 32 MiB, without those of the next update
	limits("long names", 1, names, 80, 200)             // 10 MiB
	limits("few sources again", 3, plain[:100], 51, 51)

	debug.SetMemoryLimit(100 << 20) // somebody's
	BoundMemory()(&Update{Total: snapshot()})
	if limit := debug.SetMemoryLimit(-1); limit != 100<<20 {
		t.Errorf("the limit of somebody's becomes %d", limit)
	}
}
