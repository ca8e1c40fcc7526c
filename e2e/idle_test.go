//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Nobody reads for 130 s: a recorder adds nothing in that time to what its
// program does, but the look for its pipe that it takes once a minute. What a
// look costs in Go, where a timer wakes the runtime's monitor as well, is seen
// from programs that do nothing else.
func TestIdleCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: it takes 130 s")
	}
	t.Parallel()
	const idle = 130 * time.Second
	// How often the monitor looks around before it sleeps again varies.
	modes := []string{withRecorder, withNothing, withCheck, withCheck, withCheck}
	programs := make([]*process, len(modes))
	for i, mode := range modes {
		programs[i], _ = startSelf(t, mode, t.TempDir(), "a=1")
	}
	<-time.After(time.Second) // that it takes to settle
	before := make([]int, len(modes))
	for i := range modes {
		before[i] = switches(t, programs[i])
	}
	<-time.After(idle)           // the event is that nothing happens
	cost := make(map[string]int) // the largest of each mode
	for i, mode := range modes {
		cost[mode] = max(cost[mode], switches(t, programs[i])-before[i])
	}
	t.Logf("voluntary context switches in %v: %v", idle, cost)
	if allowed := cost[withCheck] + cost[withCheck]/2; cost[withRecorder] > allowed {
		t.Errorf("%d with a recorder, %d with a look once a minute", cost[withRecorder], cost[withCheck])
	}
	if cost[withRecorder] == 0 {
		t.Error("the recorder never looked for its pipe")
	}
}

// switches counts the voluntary context switches of all threads of a process.
func switches(t *testing.T, p *process) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Process.Pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	total := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
		}
	}
	return total
}
