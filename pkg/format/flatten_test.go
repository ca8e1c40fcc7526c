package format

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A Flattener that has seen other snapshots says the same as one that hasn't,
// whatever has changed in between: values, names, labels, kinds.
func TestFlattenerThatRemembers(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	labels := [][]Label{DefaultLabels(), {{"max", 100}}, {{"0", 50}, {"a", Mean}}, nil}
	snapshot := func() *Snapshot {
		s := &Snapshot{Skipped: random.IntN(3)}
		for i := range 1 + random.IntN(12) {
			name := fmt.Sprintf("%c%d", 'a'+random.IntN(4), i%4)
			if random.IntN(2) == 0 {
				s.Stats = append(s.Stats, Stat{Name: name, Kind: Counter, Value: Int(random.Int64N(100))})
				continue
			}
			samples := &Samples{Labels: labels[random.IntN(len(labels))]}
			for range random.IntN(3) {
				samples.Window = append(samples.Window, Int(random.Int64N(100)))
			}
			s.Stats = append(s.Stats, Stat{Name: name + ".{0}", Kind: Distribution, Dist: samples})
		}
		s.Sort()
		return s
	}
	var f Flattener
	last := snapshot()
	for range 5000 {
		if random.IntN(3) == 0 { // else only the values change
			last = snapshot()
		}
		for i := range last.Stats {
			last.Stats[i].Value = Int(random.Int64N(100))
		}
		got, want := f.Flatten(last), new(Flattener).Flatten(last)
		if g, w := string(AppendPlain(nil, got)), string(AppendPlain(nil, want)); g != w || got.Skipped != want.Skipped {
			t.Fatalf("got\n%s, want\n%s", g, w)
		}
	}
}
