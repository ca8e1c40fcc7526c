package benchmarks

import (
	"expvar"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	victoriametrics "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/statvent/statvent/pkg/statvent"
)

// BenchmarkMemory measures what 100,000 counters hold of the heap. The names are
// put together for each call and belong to nobody else, as those of a program
// that has so many do: so their bytes are counted for all alike, for those that
// keep the string that they are given and for those that make a copy of it.
func BenchmarkMemory(b *testing.B) {
	numbers := rand.Perm(100_000)
	b.Run("lib=statvent", func(b *testing.B) {
		measureMemory(b, len(numbers), func() any {
			r := statvent.NewRegistry()
			for _, number := range numbers {
				r.Incr(statName(number))
			}
			return r
		})
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		measureMemory(b, len(numbers), func() any {
			s := victoriametrics.NewSet()
			for _, number := range numbers {
				s.GetOrCreateCounter(metricName(statName(number))).Inc()
			}
			return s
		})
	})
	b.Run("lib=expvar", func(b *testing.B) {
		measureMemory(b, len(numbers), func() any {
			m := new(expvar.Map)
			// It keeps them in sorted order: making them in any other is quadratic.
			for _, name := range slices.Sorted(slices.Values(statNames(len(numbers)))) {
				m.Add(name, 1)
			}
			return m
		})
	})
	b.Run("lib=prometheus", func(b *testing.B) {
		measureMemory(b, len(numbers), func() any {
			vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, []string{"path"})
			for _, number := range numbers {
				vec.WithLabelValues(statName(number)).Inc()
			}
			return vec
		})
	})
}

// measureMemory reports the bytes for each of count names that what makeAll
// returns holds.
func measureMemory(b *testing.B, count int, makeAll func() any) {
	var held int64
	for b.Loop() {
		before := heap()
		all := makeAll()
		held += heap() - before
		runtime.KeepAlive(all)
	}
	b.ReportMetric(float64(held)/float64(b.N)/float64(count), "B/name")
	b.ReportMetric(0, "ns/op") // says nothing: most of it is the garbage collector's
}

// heap returns how many bytes are live. Pools are empty after the second
// collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
