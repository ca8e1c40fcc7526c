package statvent

import (
	"fmt"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// full returns a registry with as many stats as it may have but some.
func full(free int) *Registry {
	r := NewRegistry()
	for i := range MaxStats - free {
		r.Incr(fmt.Sprintf("n%d", i))
	}
	return r
}

func TestFullRegistry(t *testing.T) {
	r := full(3)
	r.Incr("last")
	r.Record("d", 1)
	r.SetFunc("f", func() float64 { return 1 })
	if s := r.Snapshot(); len(s.Stats) != MaxStats || s.Has(format.Overflow) {
		t.Fatalf("it has %d stats", len(s.Stats))
	}

	before := r.Snapshot()
	for i := range 1000 {
		name := fmt.Sprintf("request-%d", i)
		r.Incr(name)
		r.IncrBy(name, 2)
		r.IncrByFloat(name, 0.5)
		r.IncrBy(name, -1) // a gauge's
		r.Set(name, 1000)
		r.SetFloat(name, 1000.5)
		r.Record(name, 1)
		r.SetFunc(name, func() float64 { return 1 })
	}
	r.NewCounter("c").Incr()
	r.NewGauge("g").Set(7)
	r.NewDistribution("e").Record(8)
	after := r.Snapshot()
	if n, ok := after.Lookup(format.Overflow); !ok || n != format.Float(3501) || len(after.Stats) != len(before.Stats)+1 {
		t.Errorf("in the overflow are %v, and there are %d stats, %d before", n, len(after.Stats), len(before.Stats))
	}
	for _, stat := range after.Stats {
		if stat.Name == format.Overflow && stat.Kind != format.Counter {
			t.Errorf("the overflow is a %v", stat.Kind)
		}
	}

	// What is there goes on, and its room can be used again where there are functions.
	r.Incr("last ")
	r.Record("d.{0}", 5)
	r.SetFunc("f", func() float64 { return 2 })
	s := r.Snapshot()
	if n, _ := s.Lookup("last"); n != format.Int(2) {
		t.Errorf("a counter that was there is %v", n)
	}
	if n, _ := s.Lookup("f"); n != format.Float(2) {
		t.Errorf("a function that was there is %v", n)
	}
	if n, _ := s.Flatten().Lookup("d.100th"); n != format.Int(5) {
		t.Errorf("a distribution that was there is %v", n)
	}
}

func TestFullRegistryAllocatesNothing(t *testing.T) {
	r := full(0)
	names := []string{"a", "b", "c"}
	use := func() {
		for _, name := range names {
			r.Incr(name)
			r.Set(name, 1)
			r.Record(name, 1)
		}
	}
	use()
	if n := testing.AllocsPerRun(100, use); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
