package statvent

import (
	"math"
	"runtime/metrics"

	"github.com/statvent/statvent/pkg/format"
)

// runtimeStats are the runtime's metrics that WithRuntimeStats publishes.
// Reading them doesn't stop the world.
var runtimeStats = []struct {
	name   string
	kind   format.Kind
	metric string
}{
	{"go.allocated_bytes", format.Counter, "/gc/heap/allocs:bytes"},
	{"go.gc_cycles", format.Counter, "/gc/cycles/total:gc-cycles"},
	{"go.gomaxprocs", format.Gauge, "/sched/gomaxprocs:threads"},
	{"go.goroutines", format.Gauge, "/sched/goroutines:goroutines"},
	{"go.heap_bytes", format.Gauge, "/memory/classes/heap/objects:bytes"},
	{"go.memory_bytes", format.Gauge, "/memory/classes/total:bytes"},
}

// appendRuntimeStats adds the runtime's stats and sorts the snapshot again.
func appendRuntimeStats(s *format.Snapshot) {
	samples := make([]metrics.Sample, len(runtimeStats))
	for i, stat := range runtimeStats {
		samples[i].Name = stat.metric
	}
	metrics.Read(samples)
	for i, stat := range runtimeStats {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			continue // this Go has no such metric
		}
		n := int64(min(samples[i].Value.Uint64(), math.MaxInt64))
		s.Stats = append(s.Stats, format.Stat{Name: stat.name, Kind: stat.kind, Value: format.Int(n)})
	}
	s.Sort()
}
