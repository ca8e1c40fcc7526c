package benchmarks

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	victoriametrics "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/statvent"
)

// plainRenderer and typedRenderer return what a recorder does for each who reads
// its pipes: see those of pipes.Publisher.

func plainRenderer(r *statvent.Registry) func(b []byte) []byte {
	var snapshot format.Snapshot
	var flattener format.Flattener
	return func(b []byte) []byte {
		r.SnapshotInto(&snapshot)
		return format.AppendPlain(b, flattener.Flatten(&snapshot))
	}
}

func typedRenderer(r *statvent.Registry) func(b []byte) []byte {
	var snapshot format.Snapshot
	var doc format.Document
	return func(b []byte) []byte {
		r.SnapshotInto(&snapshot)
		doc = format.Document{PID: os.Getpid(), Snapshot: &snapshot}
		return format.AppendTyped(b, &doc)
	}
}

// BenchmarkSnapshot renders 1,000 counters and 50 distributions into a buffer that
// is used again. Between one time and the next, which isn't measured, each
// counter grows and each distribution is recorded a window of 100 random values:
// nothing is sorted or formatted that was before. Microseconds are integers for
// those that can record them as such, and floats without a fraction for others.
//
// A summary of victoriametrics keeps up to 1,000 values and sorts them all; each of
// victoriametrics-static has had 100, which stay the same.
func BenchmarkSnapshot(b *testing.B) {
	b.Run("values=int", func(b *testing.B) { renderAll(b, true) })
	b.Run("values=float", func(b *testing.B) { renderAll(b, false) })
}

func renderAll(b *testing.B, ints bool) {
	counters, distributions := statNames(manyNames), distributionNames(fewNames)
	b.Run("lib=statvent", func(b *testing.B) {
		p := newProgram(counters, distributions, ints)
		appendText := plainRenderer(p.registry)
		var text []byte
		render(b, p.work, func() { text = appendText(text[:0]) })
	})
	b.Run("lib=statvent-typed", func(b *testing.B) {
		p := newProgram(counters, distributions, ints)
		appendText := typedRenderer(p.registry)
		var text []byte
		render(b, p.work, func() { text = appendText(text[:0]) })
	})
	b.Run("lib=strconv-loop", func(b *testing.B) {
		if ints {
			renderLoop(b, counters, distributions, randomMicros, func(b []byte, n int64) []byte {
				return strconv.AppendInt(b, n, 10)
			})
		} else {
			renderLoop(b, counters, distributions, randomSeconds, appendFloat)
		}
	})
	b.Run("lib=victoriametrics-static", func(b *testing.B) {
		renderVictoriaMetrics(b, counters, distributions, ints, true)
	})
	b.Run("lib=victoriametrics", func(b *testing.B) {
		renderVictoriaMetrics(b, counters, distributions, ints, false)
	})
	b.Run("lib=prometheus", func(b *testing.B) {
		renderPrometheus(b, counters, distributions, ints)
	})
}

// render measures renderings, with work before each.
func render(b *testing.B, work, render func()) {
	b.ReportAllocs()
	for range 11 { // until buffers have their size and summaries are full
		work()
		render()
	}
	for b.Loop() {
		b.StopTimer()
		work()
		b.StartTimer()
		render()
	}
}

// distributionNames returns n different names with a place for the label.
func distributionNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = "http.seconds.GET./api/v1/items." + strconv.Itoa(i) + ".{0}"
	}
	return names
}

// randomCount is what a counter has reached: a few or millions.
func randomCount() int64 { return rand.Int64N(10 << rand.IntN(24)) }

// randomFloat returns a value for a library that knows no integers.
func randomFloat(ints bool) float64 {
	if ints {
		return float64(randomMicros())
	}
	return randomSeconds()
}

// A program records with statvent.
type program struct {
	registry      *statvent.Registry
	counters      []*statvent.Counter
	distributions []*statvent.Distribution
	ints          bool // rather than floats are recorded
}

func newProgram(counters, distributions []string, ints bool) *program {
	p := &program{registry: statvent.NewRegistry(), ints: ints}
	for _, name := range counters {
		c := p.registry.NewCounter(name)
		c.IncrBy(randomCount())
		p.counters = append(p.counters, c)
	}
	for _, name := range distributions {
		p.distributions = append(p.distributions, p.registry.NewDistribution(name))
	}
	return p
}

func (p *program) work() {
	for _, c := range p.counters {
		c.IncrBy(rand.Int64N(1000))
	}
	for _, d := range p.distributions {
		for range statvent.DefaultWindow {
			if p.ints {
				d.Record(randomMicros())
			} else {
				d.RecordFloat(randomSeconds())
			}
		}
	}
}

// renderLoop is what a program can do that has nothing but its own stats in mind:
// their names are sorted, and those of the labels made, before the first time.
func renderLoop[N int64 | float64](b *testing.B, counters, distributions []string, random func() N, appendValue func([]byte, N) []byte) {
	counters = slices.Sorted(slices.Values(counters))
	values := make([]atomic.Int64, len(counters))
	for i := range values {
		values[i].Store(randomCount())
	}
	labels := []string{"median", "95th", "99th", "100th", "mean"}
	at := []int{49, 94, 98, 99}
	var lines []string // "NAME: ", five for each distribution
	for _, name := range distributions {
		for _, label := range labels {
			lines = append(lines, strings.Replace(name, "{0}", label, 1)+": ")
		}
	}
	rings := make([]ring[N], len(distributions))
	work := func() {
		for i := range values {
			values[i].Add(rand.Int64N(1000))
		}
		for i := range rings {
			for range len(rings[i].window) {
				rings[i].record(random())
			}
		}
	}
	var text []byte
	var sorted [100]N
	render(b, work, func() {
		text = text[:0]
		for i := range rings {
			r := &rings[i]
			r.mu.Lock()
			sorted = r.window
			r.mu.Unlock()
			slices.Sort(sorted[:])
			lines := lines[i*len(labels):]
			for j, index := range at {
				text = append(text, lines[j]...)
				text = append(appendValue(text, sorted[index]), '\n')
			}
			var sum N
			for _, v := range sorted {
				sum += v
			}
			text = append(text, lines[len(at)]...)
			text = append(appendFloat(text, float64(sum)/100), '\n')
		}
		for i := range values {
			text = append(text, counters[i]...)
			text = append(text, ": "...)
			text = strconv.AppendInt(text, values[i].Load(), 10)
			text = append(text, '\n')
		}
	})
}

func appendFloat(b []byte, x float64) []byte { return strconv.AppendFloat(b, x, 'f', -1, 64) }

func renderVictoriaMetrics(b *testing.B, counters, distributions []string, ints, static bool) {
	set := victoriametrics.NewSet()
	handles := make([]*victoriametrics.Counter, 0, len(counters))
	for _, name := range metricNames(counters) {
		c := set.NewCounter(name)
		c.AddInt64(randomCount())
		handles = append(handles, c)
	}
	summaries := make([]*victoriametrics.Summary, 0, len(distributions))
	for _, name := range metricNames(distributions) {
		s := set.NewSummaryExt(name, 5*time.Minute, []float64{0.5, 0.95, 0.99, 1})
		for range statvent.DefaultWindow {
			s.Update(randomFloat(ints))
		}
		summaries = append(summaries, s)
	}
	work := func() {
		for _, c := range handles {
			c.Add(rand.IntN(1000))
		}
		if static {
			return
		}
		for _, s := range summaries {
			for range statvent.DefaultWindow {
				s.Update(randomFloat(ints))
			}
		}
	}
	var text bytes.Buffer
	render(b, work, func() {
		text.Reset()
		set.WritePrometheus(&text)
	})
}

func renderPrometheus(b *testing.B, counters, distributions []string, ints bool) {
	registry := prometheus.NewRegistry()
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests", Help: "Requests."}, []string{"path"})
	summaryVec := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Name: "latency", Help: "Latencies.", Objectives: objectives,
	}, []string{"path"})
	registry.MustRegister(vec, summaryVec)
	handles := make([]prometheus.Counter, 0, len(counters))
	for _, name := range counters {
		c := vec.WithLabelValues(name)
		c.Add(float64(randomCount()))
		handles = append(handles, c)
	}
	summaries := make([]prometheus.Observer, 0, len(distributions))
	for _, name := range distributions {
		summaries = append(summaries, summaryVec.WithLabelValues(name))
	}
	work := func() {
		for _, c := range handles {
			c.Add(float64(rand.IntN(1000)))
		}
		for _, s := range summaries {
			for range statvent.DefaultWindow {
				s.Observe(randomFloat(ints))
			}
		}
	}
	var text bytes.Buffer
	render(b, work, func() {
		text.Reset()
		families, err := registry.Gather()
		if err != nil {
			b.Fatal(err)
		}
		encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkIncrDuringSnapshots measures how long 64 increments take, of all times
// the median, the 99th percentile and the longest, while another goroutine
// renders snapshots of the same registry without pause. That is to be compared
// with one that does nothing but compute, which shares as much of the processor.
func BenchmarkIncrDuringSnapshots(b *testing.B) {
	counters, distributions := statNames(manyNames), distributionNames(fewNames)
	b.Run("beside=snapshots", func(b *testing.B) {
		p := newProgram(counters, distributions, true)
		p.work()
		appendPlain, appendTyped := plainRenderer(p.registry), typedRenderer(p.registry)
		var text []byte
		incrBeside(b, p.counters[0], func() {
			text = appendPlain(text[:0])
			text = appendTyped(text[:0])
		})
	})
	b.Run("beside=busy", func(b *testing.B) {
		p := newProgram(counters, distributions, true)
		x := uint64(1)
		incrBeside(b, p.counters[0], func() {
			for range 1 << 16 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
		})
		runtime.KeepAlive(x)
	})
	b.Run("beside=nothing", func(b *testing.B) {
		p := newProgram(counters, distributions, true)
		incrBeside(b, p.counters[0], nil)
	})
}

// incrBeside measures increments while another goroutine does other things again
// and again.
func incrBeside(b *testing.B, c *statvent.Counter, other func()) {
	const batch = 64
	times := make([]int64, b.N)
	for i := range times {
		times[i] = -1 // so that the memory is there
	}
	var stop atomic.Bool
	begun, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		close(begun)
		for other != nil && !stop.Load() {
			other()
		}
	}()
	<-begun
	b.ResetTimer()
	last := time.Now()
	for i := range times {
		for range batch {
			c.Incr()
		}
		now := time.Now()
		times[i] = int64(now.Sub(last))
		last = now
	}
	b.StopTimer()
	stop.Store(true)
	<-ended

	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2]), "p50-ns")
	b.ReportMetric(float64(times[len(times)*99/100]), "p99-ns")
	b.ReportMetric(float64(times[len(times)-1]), "max-ns")
}
