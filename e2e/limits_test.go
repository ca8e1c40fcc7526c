//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	owners "github.com/statvent/statvent/internal/host"
)

// A limited host is one whose configuration has low limits.
type limited struct {
	t      *testing.T
	dir    string
	config string
	more   []string // of every command
	serve  *service
}

func newLimited(t *testing.T, config string) *limited {
	t.Helper()
	l := &limited{t, t.TempDir(), filepath.Join(t.TempDir(), "statvent.yaml"), nil, nil}
	if err := os.WriteFile(l.config, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs a command with the configuration.
func (l *limited) run(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	return runStatvent(l.t, l.dir, slices.Concat(args[:1], l.more, []string{"--config", l.config}, args[1:])...)
}

// says checks what a command says, in any order of the words.
func (l *limited) says(code int, words []string, args ...string) {
	l.t.Helper()
	stdout, stderr, got := l.run(args...)
	if got != code {
		l.t.Errorf("%q: exit code %d, want %d", args, got, code)
	}
	l.has(strings.Join(args, " "), stdout+stderr, words)
}

func (l *limited) has(what, text string, words []string) {
	l.t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			l.t.Errorf("%s: no %q in\n%s", what, word, text)
		}
	}
}

// serves checks what is said at an address.
func (l *limited) serves(path string, words ...string) {
	l.t.Helper()
	if l.serve == nil {
		l.serve = startServe(l.t, l.dir, append(l.more, "--config", l.config, "--state-dir", l.t.TempDir())...)
	}
	body, _ := l.serve.get(l.t, path)
	l.has(path, string(body), words)
}

func counters(prefix string, n int) []string {
	var stats []string
	for i := range n {
		stats = append(stats, fmt.Sprintf("%s%02d=1", prefix, i))
	}
	return stats
}

// Each limit that is hit is seen wherever somebody may look, and costs no other
// source anything.
func TestLimitsAreSeen(t *testing.T) {
	t.Parallel()
	user := owners.UserName(os.Geteuid())
	logged := func(l *limited, limit string) {
		t.Helper()
		text, err := os.ReadFile(l.serve.Stderr.(*os.File).Name())
		if n := strings.Count(string(text), `msg="a limit is hit" limit=`+limit+" "); err != nil || n != 1 {
			t.Errorf("serve has logged %s %d times, %v:\n%s", limit, n, err, text)
		}
	}

	t.Run("stats of the host", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_host_stats: 20\n")
		startPublisher(t, l.dir, "z.requests=5", "z.load=0.5")
		bomb, _ := startPublisher(t, l.dir, counters("a", 50)...)
		warning := fmt.Sprintf("40 stats of %s have no place, their counters are added up in statvent.overflow and all else is left out: max_host_stats is 20; one user has 15 of them at the most", user)
		l.says(0, []string{"40 stats have no place: statvent.overflow", warning}, "list")
		l.says(0, []string{"a00: 1\n", "statvent.overflow: 40\n", "z.requests: 5\n", "z.load: 0.5\n", warning}, "cat")
		l.says(0, []string{"statvent.overflow", warning}, "watch", "--once")
		l.serves("/sources", `"overflow_stats":40`, `"limits":[{"key":"max_host_stats","max":20,"user":"`+user+`","left_out":40}]`)
		l.serves("/metrics", "\nstatvent_left_out{limit=\"host_stats\"} 40\n", "\nstatvent_overflow_total 40\n", "\nz_requests_total 5\n")
		// What the bomb has counted stays when it ends, where it was.
		before, _ := l.serve.stats(t)
		bomb.stdin.Close()
		<-bomb.exited
		after, _ := l.serve.stats(t)
		if !maps.Equal(before, after) {
			t.Errorf("it was %v and is %v", before, after)
		}
		logged(l, "max_host_stats")
	})

	t.Run("bytes of the host", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_host_bytes: 8KiB\n")
		startPublisher(t, l.dir, "z.requests=5")
		l.serves("/stats", `"z.requests":5`)
		startPublisher(t, l.dir, counters("a", 200)...)
		const error = "sent more than there is room for: one user has 6KiB at the most (max_host_bytes is 8KiB)"
		l.serves("/sources", error, `"key":"max_host_bytes","max":8192,"user":"`+user+`","left_out":1`)
		l.serves("/metrics", "\nstatvent_left_out{limit=\"host_bytes\"} 1\n", "\nz_requests_total 5\n")
		l.says(3, []string{" failed ", error}, "list")
		logged(l, "max_host_bytes")
	})

	t.Run("stats and bytes of a source", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_source_stats: 50\nmax_source_bytes: 2KiB\n")
		startPublisher(t, l.dir, "z.requests=5")
		startPublisher(t, l.dir, counters("a", 50)...)
		startPublisher(t, l.dir, counters("b", 51)...)
		startPublisher(t, l.dir, counters(strings.Repeat("c", 500), 5)...)
		errors := []string{"sent more than 50 stats (max_source_stats)", "sent more than 2KiB (max_source_bytes)"}
		l.says(3, append([]string{" failed "}, errors...), "list")
		l.says(3, append([]string{"z.requests: 5\n", "a49: 1\n"}, errors...), "cat")
		l.serves("/sources", append([]string{`"key":"max_source_bytes","max":2048,"user":"` + user + `","left_out":1`, `"key":"max_source_stats","max":50`}, errors...)...)
		l.serves("/metrics", "\nstatvent_left_out{limit=\"source_stats\"} 1\n", "\nstatvent_left_out{limit=\"source_bytes\"} 1\n", "\nz_requests_total 5\n")
		logged(l, "max_source_stats")
		logged(l, "max_source_bytes")
	})

	t.Run("bytes of a line", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_line_bytes: 64\n")
		name := strings.Repeat("n", 64-len("counter : 1"))
		startPublisher(t, l.dir, "z.requests=5", name+"=1", name+"n=1")
		l.says(0, []string{"1 line skipped"}, "list")
		l.says(0, []string{"z.requests: 5\n", name + ": 1\n", "1 line could not be read and was skipped"}, "cat")
		l.serves("/sources", `"skipped_lines":1`)
		l.serves("/metrics", "\nstatvent_skipped_lines 1\n")
	})

	t.Run("sources", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_sources: 8\n")
		startPublisher(t, l.dir, "z.requests=5")
		for i := range 200 {
			if err := unix.Mkfifo(filepath.Join(l.dir, fmt.Sprintf("flood%03d.stats", i)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l.more = []string{"--deadline", "5s"}
		warning := fmt.Sprintf("195 more sources of %s are not read: max_sources is 8; one user has 6 of them at the most", user)
		l.says(3, []string{" live ", warning}, "list")
		l.says(3, []string{"z.requests: 5\n", warning}, "cat")
		l.says(3, []string{warning}, "cat", "--assert", "z.requests == 5")
		l.serves("/sources", `"limits":[{"key":"max_sources","max":8,"user":"`+user+`","left_out":195}]`)
		l.serves("/metrics", "\nstatvent_left_out{limit=\"sources\"} 195\n", "\nz_requests_total 5\n")
		logged(l, "max_sources")
	})

	t.Run("what is retained", func(t *testing.T) {
		t.Parallel()
		l := newLimited(t, "max_retained_stats: 3\n")
		for _, name := range []string{"a", "b", "c"} {
			l.says(0, nil, "emit", name)
		}
		l.says(1, []string{"nothing is stored: ", "it is full: it would have more than 3 stats (max_retained_stats)", "emit --delete NAME"}, "emit", "d")
		l.says(0, nil, "emit", "a")
		l.says(0, nil, "emit", "--delete", "c")
		l.says(0, nil, "emit", "c")
		publisher, _ := startPublisher(t, l.dir, "new=1")
		lock := holdLock(t, l.dir, os.Geteuid())
		publisher.stdin.Close()
		<-publisher.exited
		lock.Close()
		warning := fmt.Sprintf("what is retained of %s is full, and 1 file stays beside it: max_retained_stats is 3", user)
		l.says(0, []string{" ended ", warning}, "list")
		l.says(0, []string{"a: 2\nb: 1\nc: 1\nnew: 1\n", warning}, "cat")
		l.serves("/sources", `"limits":[{"key":"max_retained_stats","max":3,"user":"`+user+`","left_out":1}]`)
		waitUntil(t, "serve says that it can't fold", func() bool {
			body, _ := l.serve.get(t, "/metrics")
			return strings.Contains(string(body), "\nstatvent_background_errors 1\n")
		})
		l.serves("/metrics", "\nstatvent_left_out{limit=\"retained_stats\"} 1\n", "\nnew_total 1\n")
		logged(l, "max_retained_stats")
		// There is room when something has gone.
		l.says(0, nil, "emit", "--delete", "b")
		l.says(0, []string{"a: 2\nc: 1\nnew: 1\n"}, "cat")
		if stdout, stderr, code := l.run("cat"); stdout != "a: 2\nc: 1\nnew: 1\n" || stderr != "" || code != 0 {
			t.Errorf("cat: %d, %q, %q", code, stdout, stderr)
		}
	})
}
