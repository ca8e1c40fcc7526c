package statvent

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// patience bounds every wait for something that happens in no time unless it
// is broken.
const patience = 20 * time.Second

// freshDefault gives a test a default registry of its own.
func freshDefault(t *testing.T) *Registry {
	t.Helper()
	old := defaultRegistry
	t.Cleanup(func() { defaultRegistry = old })
	defaultRegistry = NewRegistry()
	return defaultRegistry
}

func plainText(r *Registry) string { return string(format.AppendPlain(nil, r.Snapshot())) }

// checkText compares what the registry shows with the lines.
func checkText(t *testing.T, r *Registry, lines ...string) {
	t.Helper()
	want := strings.Join(append(lines, ""), "\n")
	if got := plainText(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func checkValue(t *testing.T, what string, got, want format.Value) {
	t.Helper()
	if got.IsFloat() != want.IsFloat() || got.String() != want.String() {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}

// onlyStat returns the one stat that the registry has.
func onlyStat(t *testing.T, r *Registry) format.Stat {
	t.Helper()
	stats := r.Snapshot().Stats
	if len(stats) != 1 {
		t.Fatalf("there are %d stats, want 1: %q", len(stats), plainText(r))
	}
	return stats[0]
}

// together runs the functions at the same time, beginning as near to the same
// moment as spinning gets them, and waits for all of them.
func together(functions ...func()) {
	var missing atomic.Int32
	missing.Store(int32(len(functions)))
	var group sync.WaitGroup
	for _, f := range functions {
		group.Go(func() {
			for missing.Add(-1); missing.Load() > 0; {
				runtime.Gosched()
			}
			f()
		})
	}
	group.Wait()
}

// times returns f, n times over.
func times(n int, f func()) []func() {
	functions := make([]func(), n)
	for i := range functions {
		functions[i] = f
	}
	return functions
}

// within fails the test if f doesn't return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not return", what)
	}
}
