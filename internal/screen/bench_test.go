package screen

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// many returns a snapshot of so many stats, every tenth a distribution, all of which
// change with each.
func many(n int, second int64) *format.Snapshot {
	s := &format.Snapshot{Stats: make([]format.Stat, n)}
	for i := range s.Stats {
		stat := &s.Stats[i]
		stat.Name = fmt.Sprintf("app.part%02d.stat%05d", i%100, i)
		switch i % 10 {
		case 0:
			stat.Name += ".{0}"
			stat.Kind = format.Distribution
			stat.Dist = &format.Samples{Count: second, Sum: format.Int(second), Labels: format.DefaultLabels()}
			for v := range int64(100) {
				stat.Dist.Window = append(stat.Dist.Window, format.Int((v*7919+second+int64(i))%1000))
			}
		case 1, 2, 3:
			stat.Kind = format.Gauge
			stat.Value = format.Float(float64(i) + float64(second)/7)
		default:
			stat.Kind = format.Counter
			stat.Value = format.Int(int64(i) * second)
		}
	}
	s.Sort()
	return s
}

// BenchmarkFrame is all that there is to do for a snapshot of 10,000 stats, beyond its
// collection: at ten a second, 25 ms are 25 % of a core.
func BenchmarkFrame(b *testing.B) {
	b.Run("80x24", func(b *testing.B) { benchmarkFrame(b, 80, 24, "") })
	b.Run("300x100", func(b *testing.B) { benchmarkFrame(b, 300, 100, "") })
	b.Run("by-rate", func(b *testing.B) { benchmarkFrame(b, 300, 100, "3") })
	b.Run("filter", func(b *testing.B) { benchmarkFrame(b, 300, 100, "/part1 count\r3") })
}

func benchmarkFrame(b *testing.B, width, height int, keys string) {
	updates := make([]*watch.Update, 4)
	for i := range updates {
		total := many(10_000, int64(i+1))
		updates[i] = &watch.Update{Total: total, Sources: []pipes.Source{{Name: "one", State: pipes.Live, Snapshot: total}}}
	}
	m := watch.New(nil, 100*time.Millisecond)
	look := &Look{UTF8: true, Colors: true, Where: "here"}
	grid, shown := NewGrid(width, height), NewGrid(width, height)
	now := start
	var written []byte
	frame := func(i int) {
		now = now.Add(100 * time.Millisecond)
		update := *updates[i%len(updates)]
		update.Time = now
		m.Take(&update)
		Draw(grid, m, look)
		written = grid.appendChanges(written[:0], shown, "")
		shown.copyFrom(grid)
	}
	frame(0)
	var in input
	for _, key := range in.feed([]byte(keys)) {
		m.Press(key)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		frame(i + 1)
	}
	b.StopTimer()
	b.ReportMetric(float64(len(written)), "bytes-written")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*10*100, "%core-at-10/s")
	updates = nil
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "heap-MB")
	runtime.KeepAlive(m)
}
