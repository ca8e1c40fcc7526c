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

// BenchmarkParsers reads the stats of one process: for the first time, again when
// nothing has changed but the values, and when half of the names have.
func BenchmarkParsers(b *testing.B) {
	snapshot := func(value int64, suffix string) *Snapshot {
		s := alikeSnapshots(1, 5)[0]
		for i := range s.Stats {
			s.Stats[i].Value = Int(value)
			if i%2 == 0 {
				s.Stats[i].Name += suffix
			}
			if i%10 == 0 {
				s.Stats[i].Value = Float(float64(value) / 8)
			}
		}
		return s
	}
	appendTyped := func(b []byte, s *Snapshot) []byte { return AppendTyped(b, &Document{Snapshot: s}) }
	for name, appendText := range map[string]func([]byte, *Snapshot) []byte{"Plain": AppendPlain, "Typed": appendTyped} {
		like := readLike(appendText(nil, snapshot(1000, "")), nil).Snapshot
		run := func(when string, s, like *Snapshot) {
			b.Run(name+when, func(b *testing.B) {
				text := appendText(nil, s)
				b.ReportAllocs()
				for b.Loop() {
					readLike(text, like)
				}
			})
		}
		run("First", snapshot(2000, ""), nil)
		run("Again", snapshot(2000, ""), like)
		run("Renamed", snapshot(2000, ".renamed"), like)
	}
}
