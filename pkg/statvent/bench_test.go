package statvent

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// both runs f, which does its work n times, in one goroutine and in as many as
// there are processors. The loop is f's own: calling it through a function for
// each time would cost as much as an atomic add.
func both(b *testing.B, f func(n int)) {
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		f(b.N)
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		procs := runtime.GOMAXPROCS(0)
		together(times(procs, func() { f(b.N/procs + 1) })...)
	})
}

// crowd returns a registry that has as many stats as a large program.
func crowd() *Registry {
	r := NewRegistry()
	for i := range 1000 {
		r.IncrBy(fmt.Sprintf("app.requests.by.path.%d", i), int64(i))
	}
	for i := range 50 {
		d := r.NewDistribution(fmt.Sprintf("app.latency.{0}.%d", i))
		for n := range int64(DefaultWindow) {
			d.Record(n * 7919 % 1000)
		}
	}
	return r
}

func BenchmarkCounterIncr(b *testing.B) {
	c := NewRegistry().NewCounter("hits")
	both(b, func(n int) {
		for range n {
			c.Incr()
		}
	})
}

func BenchmarkCounterIncrByFloat(b *testing.B) {
	c := NewRegistry().NewCounter("seconds")
	both(b, func(n int) {
		for range n {
			c.IncrByFloat(0.5)
		}
	})
}

func BenchmarkIncr(b *testing.B) {
	r, name := crowd(), variable("app.requests.by.path.500")
	both(b, func(n int) {
		for range n {
			r.Incr(name)
		}
	})
}

func BenchmarkIncrBy(b *testing.B) {
	name := variable("app.bytes")
	both(b, func(n int) {
		for range n {
			IncrBy(name, 1500)
		}
	})
}

func BenchmarkGaugeSet(b *testing.B) {
	g := NewRegistry().NewGauge("users")
	both(b, func(n int) {
		for range n {
			g.Set(7)
		}
	})
}

func BenchmarkSet(b *testing.B) {
	r, name := crowd(), variable("app.requests.by.path.500")
	both(b, func(n int) {
		for range n {
			r.Set(name, 7)
		}
	})
}

func BenchmarkDistributionRecord(b *testing.B) {
	d := NewRegistry().NewDistribution("latency")
	both(b, func(n int) {
		for range n {
			d.Record(7)
		}
	})
}

func BenchmarkDistributionRecordFloat(b *testing.B) {
	d := NewRegistry().NewDistribution("latency")
	both(b, func(n int) {
		for range n {
			d.RecordFloat(0.7)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	r, name := crowd(), variable("app.latency.{0}.25")
	both(b, func(n int) {
		for range n {
			r.Record(name, 7)
		}
	})
}

// BenchmarkSnapshot is what a program pays for one reader.
func BenchmarkSnapshot(b *testing.B) {
	benchmark := func(name string, appendTo func(b []byte, s *format.Snapshot) []byte) {
		b.Run(name, func(b *testing.B) {
			r := crowd()
			var s format.Snapshot
			var text []byte
			b.ReportAllocs()
			for b.Loop() {
				r.SnapshotInto(&s)
				text = appendTo(text[:0], &s)
			}
			b.SetBytes(int64(len(text)))
		})
	}
	var f format.Flattener
	benchmark("plain", func(b []byte, s *format.Snapshot) []byte { return format.AppendPlain(b, f.Flatten(s)) })
	benchmark("typed", func(b []byte, s *format.Snapshot) []byte {
		return format.AppendTyped(b, &format.Document{Snapshot: s})
	})
}
