package benchmarks

import (
	"context"
	"expvar"
	"math"
	"sync/atomic"
	"testing"
	"time"

	victoriametrics "github.com/VictoriaMetrics/metrics"
	hashicorp "github.com/hashicorp/go-metrics"
	"github.com/prometheus/client_golang/prometheus"
	rcrowley "github.com/rcrowley/go-metrics"
	"github.com/statvent/statvent/pkg/statvent"
	"github.com/uber-go/tally/v4"
	"go.opentelemetry.io/otel/metric"
	otel "go.opentelemetry.io/otel/sdk/metric"
)

// Peers that need more than a call to be ready.

// meter returns one whose stats somebody could read, which makes them count.
func meter() metric.Meter {
	return otel.NewMeterProvider(otel.WithReader(otel.NewManualReader())).Meter("benchmarks")
}

// scope returns one that reports to nobody.
func scope() tally.Scope {
	s, _ := tally.NewRootScope(tally.ScopeOptions{Reporter: tally.NullStatsReporter}, 0)
	return s
}

// inMemory returns hashicorp's metrics as its README sets them up, without the
// goroutine that adds stats of the runtime.
func inMemory(b *testing.B) *hashicorp.Metrics {
	config := hashicorp.DefaultConfig("service")
	config.EnableRuntimeMetrics = false
	m, err := hashicorp.New(config, hashicorp.NewInmemSink(10*time.Second, time.Minute))
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// BenchmarkIncr adds 1 to a counter that the program holds. All goroutines add to
// the same one.
func BenchmarkIncr(b *testing.B) {
	b.Run("lib=statvent", func(b *testing.B) {
		c := statvent.NewRegistry().NewCounter("requests")
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Incr()
			}
		})
	})
	b.Run("lib=atomic", func(b *testing.B) {
		c := new(atomic.Int64)
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Add(1)
			}
		})
	})
	b.Run("lib=expvar", func(b *testing.B) {
		c := new(expvar.Int)
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Add(1)
			}
		})
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		c := victoriametrics.NewSet().NewCounter("requests")
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Inc()
			}
		})
	})
	b.Run("lib=prometheus", func(b *testing.B) {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "requests"})
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Inc()
			}
		})
	})
	b.Run("lib=rcrowley", func(b *testing.B) {
		c := rcrowley.NewCounter()
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Inc(1)
			}
		})
	})
	b.Run("lib=tally", func(b *testing.B) {
		c := scope().Counter("requests")
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Inc(1)
			}
		})
	})
	b.Run("lib=otel", func(b *testing.B) {
		c, err := meter().Int64Counter("requests")
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		goroutines(b, func(n int, _ uint) {
			for range n {
				c.Add(ctx, 1)
			}
		})
	})
}

// BenchmarkAddFloat adds a float to a counter that the program holds. All
// goroutines add to the same one.
func BenchmarkAddFloat(b *testing.B) {
	b.Run("lib=statvent", func(b *testing.B) {
		c := statvent.NewRegistry().NewCounter("seconds")
		goroutines(b, func(n int, at uint) {
			for range n {
				c.IncrByFloat(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=cas-loop", func(b *testing.B) {
		c := new(casFloat)
		goroutines(b, func(n int, at uint) {
			for range n {
				c.add(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=expvar", func(b *testing.B) {
		c := new(expvar.Float)
		goroutines(b, func(n int, at uint) {
			for range n {
				c.Add(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		c := victoriametrics.NewSet().NewFloatCounter("seconds")
		goroutines(b, func(n int, at uint) {
			for range n {
				c.Add(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=prometheus", func(b *testing.B) {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "seconds"})
		goroutines(b, func(n int, at uint) {
			for range n {
				c.Add(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=otel", func(b *testing.B) {
		c, err := meter().Float64Counter("seconds")
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		goroutines(b, func(n int, at uint) {
			for range n {
				c.Add(ctx, seconds[at%inputs])
				at++
			}
		})
	})
}

// A casFloat is the least that a float which many add to can be.
type casFloat struct{ bits atomic.Uint64 }

func (f *casFloat) add(x float64) {
	for {
		old := f.bits.Load()
		if f.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
	}
}
