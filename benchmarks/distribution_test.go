package benchmarks

import (
	"context"
	"sync"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/HdrHistogram/hdrhistogram-go"
	victoriametrics "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	rcrowley "github.com/rcrowley/go-metrics"
	"github.com/statvent/statvent/pkg/statvent"
	"github.com/uber-go/tally/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// fewNames is how many distributions a large program has.
const fewNames = 50

// newHDR returns a histogram of microseconds up to an hour, with the three digits
// that its README has.
func newHDR() *hdrhistogram.Histogram { return hdrhistogram.New(1, 3_600_000_000, 3) }

// buckets are those of seconds, from 100 microseconds to 3.3 seconds.
var buckets = tally.MustMakeExponentialValueBuckets(1e-4, 2, 16)

// objectives are those of the example in the documentation of prometheus.
var objectives = map[float64]float64{0.5: 0.05, 0.9: 0.01, 0.99: 0.001}

// BenchmarkRecord records values in a distribution that the program holds. All
// goroutines record in the same one. Integers are for those that take them;
// tally's, prometheus's and otel's histograms know buckets and no quantiles.
func BenchmarkRecord(b *testing.B) {
	b.Run("values=int", recordInts)
	b.Run("values=float", recordFloats)
}

func recordInts(b *testing.B) {
	b.Run("lib=statvent", func(b *testing.B) {
		d := statvent.NewRegistry().NewDistribution("latency")
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Record(micros[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=mutex-ring", func(b *testing.B) {
		d := new(ring[int64])
		goroutines(b, func(n int, at uint) {
			for range n {
				d.record(micros[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=hdrhistogram", func(b *testing.B) {
		var mu sync.Mutex
		d := newHDR()
		goroutines(b, func(n int, at uint) {
			for range n {
				mu.Lock()
				_ = d.RecordValue(micros[at%inputs])
				mu.Unlock()
				at++
			}
		})
	})
	b.Run("lib=rcrowley-uniform", func(b *testing.B) {
		d := rcrowley.NewHistogram(rcrowley.NewUniformSample(1028))
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Update(micros[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=rcrowley-expdecay", func(b *testing.B) {
		d := rcrowley.NewHistogram(rcrowley.NewExpDecaySample(1028, 0.015))
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Update(micros[at%inputs])
				at++
			}
		})
	})
}

func recordFloats(b *testing.B) {
	b.Run("lib=statvent", func(b *testing.B) {
		d := statvent.NewRegistry().NewDistribution("latency")
		goroutines(b, func(n int, at uint) {
			for range n {
				d.RecordFloat(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=mutex-ring", func(b *testing.B) {
		d := new(ring[float64])
		goroutines(b, func(n int, at uint) {
			for range n {
				d.record(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=victoriametrics-summary", func(b *testing.B) {
		d := victoriametrics.NewSet().NewSummary("latency")
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Update(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=victoriametrics-histogram", func(b *testing.B) {
		d := victoriametrics.NewSet().NewHistogram("latency")
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Update(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=ddsketch", func(b *testing.B) {
		var mu sync.Mutex
		d, err := ddsketch.NewDefaultDDSketch(0.01)
		if err != nil {
			b.Fatal(err)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				mu.Lock()
				_ = d.Add(seconds[at%inputs])
				mu.Unlock()
				at++
			}
		})
	})
	b.Run("lib=prometheus-summary", func(b *testing.B) {
		d := prometheus.NewSummary(prometheus.SummaryOpts{Name: "latency", Objectives: objectives})
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Observe(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=prometheus-histogram", func(b *testing.B) {
		d := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "latency"})
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Observe(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=tally", func(b *testing.B) {
		d := scope().Histogram("latency", buckets)
		goroutines(b, func(n int, at uint) {
			for range n {
				d.RecordValue(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=otel", func(b *testing.B) {
		d, err := meter().Float64Histogram("latency")
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Record(ctx, seconds[at%inputs])
				at++
			}
		})
	})
}

// BenchmarkRecordByName records values in distributions that are found by their
// names, in random order.
func BenchmarkRecordByName(b *testing.B) {
	b.Run("values=int", recordIntsByName)
	b.Run("values=float", recordFloatsByName)
}

func recordIntsByName(b *testing.B) {
	names, order := statNames(fewNames), randomOrder(fewNames)
	copies := clones(names)
	b.Run("lib=statvent", func(b *testing.B) {
		r := statvent.NewRegistry()
		for _, name := range names {
			r.NewDistribution(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				r.Record(copies[order[at%inputs]], micros[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=cow-map-ring", func(b *testing.B) {
		m := newCowMap[ring[int64]](names)
		goroutines(b, func(n int, at uint) {
			for range n {
				m.get(copies[order[at%inputs]]).record(micros[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=rcrowley-uniform", func(b *testing.B) {
		// GetOrRegisterHistogram would make a sample for each call.
		r := rcrowley.NewRegistry()
		for _, name := range names {
			rcrowley.NewRegisteredHistogram(name, r, rcrowley.NewUniformSample(1028))
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				r.Get(copies[order[at%inputs]]).(rcrowley.Histogram).Update(micros[at%inputs])
				at++
			}
		})
	})
}

func recordFloatsByName(b *testing.B) {
	names, order := statNames(fewNames), randomOrder(fewNames)
	copies := clones(names)
	b.Run("lib=statvent", func(b *testing.B) {
		r := statvent.NewRegistry()
		for _, name := range names {
			r.NewDistribution(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				r.RecordFloat(copies[order[at%inputs]], seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=cow-map-ring", func(b *testing.B) {
		m := newCowMap[ring[float64]](names)
		goroutines(b, func(n int, at uint) {
			for range n {
				m.get(copies[order[at%inputs]]).record(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=victoriametrics-summary", func(b *testing.B) {
		s := victoriametrics.NewSet()
		copies := metricNames(names)
		for _, name := range clones(copies) {
			s.NewSummary(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				s.GetOrCreateSummary(copies[order[at%inputs]]).Update(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=prometheus-histogram", func(b *testing.B) {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "latency"}, []string{"path"})
		for _, name := range names {
			vec.WithLabelValues(name)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				vec.WithLabelValues(copies[order[at%inputs]]).Observe(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=tally", func(b *testing.B) {
		s := scope()
		for _, name := range names {
			s.Histogram(name, buckets)
		}
		goroutines(b, func(n int, at uint) {
			for range n {
				s.Histogram(copies[order[at%inputs]], buckets).RecordValue(seconds[at%inputs])
				at++
			}
		})
	})
	b.Run("lib=hashicorp", func(b *testing.B) {
		m := inMemory(b)
		goroutines(b, func(n int, at uint) {
			for range n {
				m.AddSample([]string{copies[order[at%inputs]]}, float32(seconds[at%inputs]))
				at++
			}
		})
	})
	b.Run("lib=otel", func(b *testing.B) {
		d, err := meter().Float64Histogram("latency")
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		goroutines(b, func(n int, at uint) {
			for range n {
				d.Record(ctx, seconds[at%inputs], metric.WithAttributes(attribute.String("path", copies[order[at%inputs]])))
				at++
			}
		})
	})
}
