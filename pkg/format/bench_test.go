package format

import (
	"fmt"
	"testing"
)

// alikeSnapshots returns those of n processes of one program, with counters and
// distributions of so many labels.
func alikeSnapshots(n, labels int) []*Snapshot {
	var snapshots []*Snapshot
	for range n {
		s := &Snapshot{}
		for i := range 80 {
			s.Stats = append(s.Stats, Stat{Name: fmt.Sprintf("app.counter.%03d", i), Kind: Counter, Value: Int(int64(i))})
		}
		for i := range 20 {
			samples := &Samples{Count: 10, Sum: Int(10), Window: ints(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}
			for l := range labels {
				samples.Labels = append(samples.Labels, Label{fmt.Sprintf("label%d", l), float64(l)})
			}
			s.Stats = append(s.Stats, Stat{Name: fmt.Sprintf("app.latency.%03d.{0}", i), Kind: Distribution, Dist: samples})
		}
		snapshots = append(snapshots, s)
	}
	return snapshots
}

func BenchmarkCombine(b *testing.B) {
	for _, labels := range []int{0, 5, 100} {
		b.Run(fmt.Sprintf("%dLabels", labels), func(b *testing.B) {
			snapshots := alikeSnapshots(100, labels)
			b.ReportAllocs()
			for b.Loop() {
				Combine(snapshots...)
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	snapshots := alikeSnapshots(2, 5)
	b.ReportAllocs()
	for b.Loop() {
		Fold(snapshots[0], snapshots[1:]...)
	}
}

func BenchmarkExposition(b *testing.B) {
	s := alikeSnapshots(1, 5)[0]
	b.ReportAllocs()
	for b.Loop() {
		Exposition{}.Append(nil, s, nil, nil)
	}
}

func BenchmarkTypedParser(b *testing.B) {
	text := AppendTyped(nil, &Document{Snapshot: alikeSnapshots(1, 5)[0]})
	b.ReportAllocs()
	for b.Loop() {
		var p TypedParser
		p.Write(text)
		_, _ = p.Documents()
	}
}
