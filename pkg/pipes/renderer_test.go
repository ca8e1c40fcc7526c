package pipes

import (
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// steady are Stats that allocate nothing after the first time.
type steady struct{ n int64 }

func (s *steady) Snapshot(snapshot *format.Snapshot) {
	s.n++
	snapshot.Reset()
	*snapshot.Extend() = format.Stat{Name: "count", Kind: format.Counter, Value: format.Int(s.n)}
	stat := snapshot.Extend()
	if stat.Dist == nil {
		stat.Dist = new(format.Samples)
	}
	stat.Name, stat.Kind = "size.{0}", format.Distribution
	stat.Dist.Count, stat.Dist.Labels = s.n, labels
	stat.Dist.Window = append(stat.Dist.Window[:0], format.Int(s.n), format.Float(0.5))
	*snapshot.Extend() = format.Stat{Name: "users", Kind: format.Gauge, Value: format.Float(0.25)}
}

var labels = format.DefaultLabels()

func (*steady) Final() *format.Snapshot { return &format.Snapshot{} }

// What a publisher does for each reader but the first takes no memory.
func TestRenderingAllocatesNothing(t *testing.T) {
	p := &Publisher{source: new(steady), id: newID()}
	check := func(format string, render func(b []byte) []byte) {
		t.Helper()
		text := make([]byte, 0, 1000)
		if n := testing.AllocsPerRun(200, func() { text = render(text[:0]) }); n != 0 {
			t.Errorf("a snapshot in the %s format allocates %v times", format, n)
		}
		if len(text) < 100 {
			t.Errorf("the %s format is only\n%s", format, text)
		}
	}
	check("plain", p.plainRenderer())
	check("typed", p.typedRenderer())
}
