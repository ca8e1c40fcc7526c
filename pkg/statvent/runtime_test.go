package statvent

import (
	"slices"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func TestRuntimeStatsAreAddedInOrder(t *testing.T) {
	r := NewRegistry()
	r.Incr("a")
	r.Incr("go.h")
	r.Incr("z")
	s := r.Snapshot()
	appendRuntimeStats(s)
	var got []string
	for _, stat := range s.Stats {
		got = append(got, stat.Kind.String()+" "+stat.Name)
	}
	want := []string{
		"counter a",
		"counter go.allocated_bytes",
		"counter go.gc_cycles",
		"gauge go.gomaxprocs",
		"gauge go.goroutines",
		"counter go.h",
		"gauge go.heap_bytes",
		"gauge go.memory_bytes",
		"counter z",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRuntimeStatsAreTheRuntimesOwn(t *testing.T) {
	s := &format.Snapshot{}
	appendRuntimeStats(s)
	value := func(name string) int64 {
		t.Helper()
		v, ok := s.Lookup(name)
		if !ok || v.IsFloat() {
			t.Errorf("%s is %s, want an integer", name, v)
		}
		return v.Int64()
	}
	if n := value("go.goroutines"); n < 2 || n > 1000 { // this one and its parent
		t.Errorf("there are %d goroutines", n)
	}
	if n := value("go.gomaxprocs"); n < 1 || n > 1<<16 {
		t.Errorf("GOMAXPROCS is %d", n)
	}
	heap, memory, allocated := value("go.heap_bytes"), value("go.memory_bytes"), value("go.allocated_bytes")
	if heap < 1<<10 || memory < heap || allocated < 1<<10 {
		t.Errorf("the heap has %d of %d bytes, and %d were ever allocated", heap, memory, allocated)
	}
	value("go.gc_cycles")
}
