package benchmarks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// inputs is how many random values a loop goes through before it meets one
// again: more than a branch predictor learns. They are walked through in
// order, so that the next ones are in the cache.
const inputs = 1 << 16

// The values are those of requests: how long each took, in microseconds and in
// seconds, to the nanosecond.
var (
	micros  [inputs]int64
	seconds [inputs]float64
)

func init() {
	for i := range inputs {
		micros[i] = randomMicros()
		seconds[i] = randomSeconds()
	}
}

func randomMicros() int64    { return 1 + int64(rand.ExpFloat64()*50_000) }
func randomSeconds() float64 { return math.Ceil(rand.ExpFloat64()*50e6) / 1e9 }

// goroutines measures a loop in one goroutine and in as many as there are
// processors. The loop makes n calls, with the inputs from at on. It belongs to
// each library: calling through a function for each time would cost as much as
// an atomic add. Time is that on the wall divided by the calls of all.
func goroutines(b *testing.B, loop func(n int, at uint)) {
	for _, count := range slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) {
		b.Run(fmt.Sprintf("goroutines=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			var running sync.WaitGroup
			for i := range count {
				n, at := (b.N+i)/count, uint(rand.IntN(inputs))
				running.Go(func() { loop(n, at) })
			}
			running.Wait()
		})
	}
}

// statNames returns n different names as programs have them, in random order.
func statNames(n int) []string {
	names := make([]string, n)
	for i, number := range rand.Perm(n) {
		names[i] = statName(number)
	}
	return names
}

func statName(number int) string {
	switch number % 5 {
	case 0:
		return fmt.Sprintf("http.requests.GET./api/v1/items/%d.status.200", number)
	case 1:
		return fmt.Sprintf("http.requests.POST./orders/%d.status.500", number)
	case 2:
		return fmt.Sprintf("db.orders.queries.select.%d", number)
	case 3:
		return fmt.Sprintf("cache.sessions.%d.hits", number)
	default:
		return fmt.Sprintf("queue.mail.worker.%d.jobs.done", number)
	}
}

// metricNames returns names of the same length that Prometheus and
// VictoriaMetrics accept.
func metricNames(names []string) []string {
	metrics := make([]string, len(names))
	for i, name := range names {
		metrics[i] = metricName(name)
	}
	return metrics
}

func metricName(name string) string {
	metric := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, name)
	return strings.Clone(metric) // which holds no more memory than it needs
}

// clones returns the same names with bytes of their own: what a caller has is
// not the string with which the stat was made.
func clones(names []string) []string {
	copies := make([]string, len(names))
	for i, name := range names {
		copies[i] = strings.Clone(name)
	}
	return copies
}

// randomOrder returns indexes of n names.
func randomOrder(n int) *[inputs]uint16 {
	order := new([inputs]uint16)
	for i := range order {
		order[i] = uint16(rand.IntN(n))
	}
	return order
}

// A ring is the least that can give quantiles: the last values, and the count
// and the sum of all.
type ring[N int64 | float64] struct {
	mu     sync.Mutex
	window [100]N
	next   int
	count  int64
	sum    N
}

func (r *ring[N]) record(v N) {
	r.mu.Lock()
	r.window[r.next] = v
	if r.next++; r.next == len(r.window) {
		r.next = 0
	}
	r.count++
	r.sum += v
	r.mu.Unlock()
}
