package host

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/pipes"
)

func TestLimitsInWords(t *testing.T) {
	is := func(limit pipes.Limit, leftOut int, want string) {
		t.Helper()
		hits := DescribeLimits([]pipes.LimitHit{{Limit: limit, UID: 42424242, Max: 40, LeftOut: leftOut}})
		if got := hits[0].Text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if unread := limit == pipes.LimitSources; hits[0].Unread() != unread {
			t.Errorf("%s: Unread is %v", limit, !unread)
		}
	}
	is(pipes.LimitSources, 1, "1 more source of 42424242 is not read: max_sources is 40; one user has 30 of them at the most")
	is(pipes.LimitSources, 2, "2 more sources of 42424242 are not read: max_sources is 40; one user has 30 of them at the most")
	is(pipes.LimitHostStats, 1, "1 stat of 42424242 has no place, its counters are added up in statvent.overflow and all else is left out: max_host_stats is 40; one user has 30 of them at the most")
	is(pipes.LimitHostStats, 9, "9 stats of 42424242 have no place, their counters are added up in statvent.overflow and all else is left out: max_host_stats is 40; one user has 30 of them at the most")
	is(pipes.LimitRetainedStats, 1, "what is retained of 42424242 is full, and 1 file stays beside it: max_retained_stats is 40")
	is(pipes.LimitRetainedBytes, 2, "what is retained of 42424242 is full, and 2 files stay beside it: max_retained_bytes is 40")
	is(pipes.LimitSourceStats, 1, "") // the source says so itself
	is(pipes.LimitSourceBytes, 1, "")
}

// The number of files that may be open is a limit that nobody has set.
func TestLimitByOpenFiles(t *testing.T) {
	most := pipes.MaxOpenSources()
	hit := LimitHit{Key: "max_sources", Max: most, User: "app", LeftOut: 3}
	want := fmt.Sprintf("3 more sources of app are not read: max_sources is %d, three quarters of the files that may be open (ulimit -n); one user has %d of them at the most", most, pipes.Share(most))
	if got := hit.Text(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if hit.Max--; strings.Contains(hit.Text(), "ulimit") {
		t.Errorf("got %q", hit.Text())
	}
}

func TestLimitsInJSON(t *testing.T) {
	text, err := json.Marshal(DescribeLimits([]pipes.LimitHit{{Limit: pipes.LimitHostStats, UID: 42424242, Max: 40, LeftOut: 3}}))
	const want = `[{"key":"max_host_stats","max":40,"user":"42424242","left_out":3}]`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}
