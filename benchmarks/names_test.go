package benchmarks

import (
	"context"
	"expvar"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	victoriametrics "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/puzpuzpuz/xsync/v4"
	rcrowley "github.com/rcrowley/go-metrics"
	"github.com/statvent/statvent/pkg/statvent"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// manyNames is how many stats a large program has.
const manyNames = 1000

// A cowMap is the fastest map there is to read from: nothing in it ever changes.
type cowMap[V any] struct {
	read atomic.Pointer[map[string]*V]
	mu   sync.Mutex // held while another map takes its place
}

func newCowMap[V any](names []string) *cowMap[V] {
	values := make(map[string]*V, len(names))
	for _, name := range names {
		values[name] = new(V)
	}
	m := new(cowMap[V])
	m.read.Store(&values)
	return m
}

func (m *cowMap[V]) get(name string) *V {
	if v, ok := (*m.read.Load())[name]; ok {
		return v
	}
	return m.add(name)
}

func (m *cowMap[V]) add(name string) *V {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := *m.read.Load()
	if v, ok := values[name]; ok {
		return v
	}
	values = maps.Clone(values)
	values[name] = new(V)
	m.read.Store(&values)
	return values[name]
}

// BenchmarkIncrByName adds 1 to counters that are found by their names, of which
// there are many, in random order.
func BenchmarkIncrByName(b *testing.B) {
	b.Run("names=1000", func(b *testing.B) {
		names := statNames(manyNames)
		incrByName(b, names, clones(names), randomOrder(manyNames))
	})
	// Always the same, as one busy line of a program does it: everybody adds to
	// one counter.
	b.Run("names=same", func(b *testing.B) {
		names := statNames(manyNames)
		incrByName(b, names, clones(names), randomOrder(1))
	})
	// Put together anew for each call in a buffer that is used again, as fast
	// servers do: neither the address nor the bytes behind it tell the name.
	b.Run("names=built", incrByBuiltName)
}

// incrByName registers the names and adds 1 to the copies, in that order.
func incrByName(b *testing.B, names, copies []string, order *[inputs]uint16) {
	b.Run("lib=statvent", func(b *testing.B) {
		r := statvent.NewRegistry()
		for _, name := range names {
			r.NewCounter(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				r.Incr(copies[order[at%inputs]])
				at++
			}
		})
	})
	b.Run("lib=statvent-package", func(b *testing.B) {
		for _, name := range names {
			statvent.NewCounter(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				statvent.Incr(copies[order[at%inputs]])
				at++
			}
		})
	})
	b.Run("lib=cow-map", func(b *testing.B) {
		m := newCowMap[atomic.Int64](names)
		goroutines(b, func(n int, at uint) {
			for range n {
				m.get(copies[order[at%inputs]]).Add(1)
				at++
			}
		})
	})
	b.Run("lib=xsync-map", func(b *testing.B) {
		m := xsync.NewMap[string, *atomic.Int64]()
		for _, name := range names {
			m.Store(name, new(atomic.Int64))
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				name := copies[order[at%inputs]]
				at++
				c, ok := m.Load(name)
				if !ok {
					c, _ = m.LoadOrStore(name, new(atomic.Int64))
				}
				c.Add(1)
			}
		})
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		s := victoriametrics.NewSet()
		copies := metricNames(names)
		for _, name := range clones(copies) {
			s.NewCounter(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				s.GetOrCreateCounter(copies[order[at%inputs]]).Inc()
				at++
			}
		})
	})
	b.Run("lib=expvar", func(b *testing.B) {
		m := new(expvar.Map)
		for _, name := range names {
			m.Add(name, 0)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				m.Add(copies[order[at%inputs]], 1)
				at++
			}
		})
	})
	b.Run("lib=prometheus", func(b *testing.B) {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, []string{"path"})
		for _, name := range names {
			vec.WithLabelValues(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				vec.WithLabelValues(copies[order[at%inputs]]).Inc()
				at++
			}
		})
	})
	b.Run("lib=rcrowley", func(b *testing.B) {
		r := rcrowley.NewRegistry()
		for _, name := range names {
			rcrowley.GetOrRegisterCounter(name, r)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				rcrowley.GetOrRegisterCounter(copies[order[at%inputs]], r).Inc(1)
				at++
			}
		})
	})
	b.Run("lib=hashicorp", func(b *testing.B) {
		m := inMemory(b)
		goroutines(b, func(n int, at uint) {
			for range n {
				m.IncrCounter([]string{copies[order[at%inputs]]}, 1)
				at++
			}
		})
	})
	b.Run("lib=tally", func(b *testing.B) {
		s := scope()
		for _, name := range names {
			s.Counter(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				s.Counter(copies[order[at%inputs]]).Inc(1)
				at++
			}
		})
	})
	b.Run("lib=otel", func(b *testing.B) {
		c, err := meter().Int64Counter("requests")
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		goroutines(b, func(n int, at uint) {
			for range n {
				c.Add(ctx, 1, metric.WithAttributes(attribute.String("path", copies[order[at%inputs]])))
				at++
			}
		})
	})
}

// incrByBuiltName is for those that find a name without allocating. The time
// includes the copying, which is the same for all.
func incrByBuiltName(b *testing.B) {
	names, order := statNames(manyNames), randomOrder(manyNames)
	copies := clones(names)
	b.Run("lib=statvent", func(b *testing.B) {
		r := statvent.NewRegistry()
		for _, name := range names {
			r.NewCounter(name)
		}
		goroutines(b, func(n int, at uint) {
			buf := make([]byte, 0, 64)
			for range n {
				buf = append(buf[:0], copies[order[at%inputs]]...)
				at++
				r.Incr(unsafe.String(unsafe.SliceData(buf), len(buf)))
			}
		})
	})
	b.Run("lib=cow-map", func(b *testing.B) {
		m := newCowMap[atomic.Int64](names)
		goroutines(b, func(n int, at uint) {
			buf := make([]byte, 0, 64)
			for range n {
				buf = append(buf[:0], copies[order[at%inputs]]...)
				at++
				m.get(unsafe.String(unsafe.SliceData(buf), len(buf))).Add(1)
			}
		})
	})
	b.Run("lib=xsync-map", func(b *testing.B) {
		m := xsync.NewMap[string, *atomic.Int64]()
		for _, name := range names {
			m.Store(name, new(atomic.Int64))
		}
		goroutines(b, func(n int, at uint) {
			buf := make([]byte, 0, 64)
			for range n {
				buf = append(buf[:0], copies[order[at%inputs]]...)
				at++
				if c, ok := m.Load(unsafe.String(unsafe.SliceData(buf), len(buf))); ok {
					c.Add(1)
				}
			}
		})
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		s := victoriametrics.NewSet()
		copies := metricNames(names)
		for _, name := range clones(copies) {
			s.NewCounter(name)
		}
		goroutines(b, func(n int, at uint) {
			buf := make([]byte, 0, 64)
			for range n {
				buf = append(buf[:0], copies[order[at%inputs]]...)
				at++
				s.GetOrCreateCounter(unsafe.String(unsafe.SliceData(buf), len(buf))).Inc()
			}
		})
	})
}

// BenchmarkNewNames makes counters by adding 1 to names that are new. The time for
// one should not depend on how many there are.
func BenchmarkNewNames(b *testing.B) {
	for _, count := range []int{10_000, 100_000} {
		names := statNames(count)
		metrics := metricNames(names)
		b.Run(fmt.Sprintf("names=%d", count), func(b *testing.B) {
			b.Run("lib=statvent", func(b *testing.B) {
				newNames(b, count, func() {
					r := statvent.NewRegistry()
					for _, name := range names {
						r.Incr(name)
					}
				})
			})
			b.Run("lib=victoriametrics", func(b *testing.B) {
				newNames(b, count, func() {
					s := victoriametrics.NewSet()
					for _, name := range metrics {
						s.GetOrCreateCounter(name).Inc()
					}
				})
			})
			// It keeps its names in sorted order, which is quadratic.
			if count <= 10_000 {
				b.Run("lib=expvar", func(b *testing.B) {
					newNames(b, count, func() {
						m := new(expvar.Map)
						for _, name := range names {
							m.Add(name, 1)
						}
					})
				})
			}
			b.Run("lib=prometheus", func(b *testing.B) {
				newNames(b, count, func() {
					vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, []string{"path"})
					for _, name := range names {
						vec.WithLabelValues(name).Inc()
					}
				})
			})
		})
	}
}

// newNames measures how long each of count names takes.
func newNames(b *testing.B, count int, makeAll func()) {
	b.ReportAllocs()
	for b.Loop() {
		makeAll()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/name")
	b.ReportMetric(0, "ns/op") // would be of all names
}
