package statvent

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/statvent/statvent/pkg/format"
)

// checkAllocs calls f once, which may allocate, and then again and again.
func checkAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}

// variable returns the name as one that the compiler doesn't know, which would
// spare it the allocation that is looked for.
func variable(name string) string { return strings.Clone(name) }

func TestRecordingByNameAllocatesOnlyTheFirstTime(t *testing.T) {
	r := freshDefault(t)
	incr, set, setFloat := variable("incr"), variable("set"), variable("set float")
	incrBy, incrByFloat := variable("incr by"), variable("incr by float")
	record, recordFloat, recordFunc := variable("record"), variable("record float"), variable("record func")
	checkAllocs(t, "Incr", func() { Incr(incr) })
	checkAllocs(t, "IncrBy", func() { IncrBy(incrBy, 1000) })
	checkAllocs(t, "IncrBy with a float", func() { IncrBy(incrByFloat, 1000.5) })
	checkAllocs(t, "Set", func() { Set(set, uint16(1000)) })
	checkAllocs(t, "Set with a float", func() { Set(setFloat, 1000.5) })
	checkAllocs(t, "Record", func() { Record(record, 1000) })
	checkAllocs(t, "Record with a float", func() { Record(recordFloat, float32(1000.5)) })
	checkAllocs(t, "RecordFunc", func() { RecordFunc(recordFunc, 1000, upper) })
	checkAllocs(t, "Registry.Incr", func() { r.Incr(incr) })
	checkAllocs(t, "Registry.IncrBy", func() { r.IncrBy(incrBy, 1000) })
	checkAllocs(t, "Registry.IncrByFloat", func() { r.IncrByFloat(incrByFloat, 1000.5) })
	checkAllocs(t, "Registry.Set", func() { r.Set(set, 1000) })
	checkAllocs(t, "Registry.SetFloat", func() { r.SetFloat(setFloat, 1000.5) })
	checkAllocs(t, "Registry.Record", func() { r.Record(record, 1000) })
	checkAllocs(t, "Registry.RecordFloat", func() { r.RecordFloat(recordFloat, 1000.5) })
	checkAllocs(t, "NewCounter", func() { NewCounter(incr) })
	checkAllocs(t, "NewGauge", func() { NewGauge(set) })
	checkAllocs(t, "NewDistribution", func() { NewDistribution(record) })
}

func TestRecordingByANameThatIsCleanedAllocatesOnlyTheFirstTime(t *testing.T) {
	freshDefault(t)
	name := variable(" two\nlines ")
	checkAllocs(t, "Incr", func() { Incr(name) })
	checkAllocs(t, "Set", func() { Set(name, 1) })
	checkAllocs(t, "Record", func() { Record(name, 1) })
	checkAllocs(t, "RecordFunc", func() { RecordFunc(name, 1, upper) })
}

func TestRecordingByANameInABufferAllocatesOnlyTheFirstTime(t *testing.T) {
	freshDefault(t)
	buf := []byte("requests.200")
	name := unsafe.String(&buf[0], len(buf))
	checkAllocs(t, "Incr", func() {
		buf[len(buf)-1] ^= 1 // one of two names
		Incr(name)
		Record(name, 1)
	})
}

func TestRecordingByHandleNeverAllocates(t *testing.T) {
	r := NewRegistry()
	c, cf, g, gf := r.NewCounter("c"), r.NewCounter("cf"), r.NewGauge("g"), r.NewGauge("gf")
	checkAllocs(t, "Counter.Incr", func() { c.Incr() })
	checkAllocs(t, "Counter.IncrBy", func() { c.IncrBy(1000) })
	checkAllocs(t, "Counter.IncrByFloat", func() { cf.IncrByFloat(1000.5) })
	checkAllocs(t, "Gauge.Incr", func() { g.Incr() })
	checkAllocs(t, "Gauge.IncrBy", func() { g.IncrBy(-1000) })
	checkAllocs(t, "Gauge.IncrByFloat", func() { gf.IncrByFloat(-1000.5) })
	checkAllocs(t, "Gauge.Set", func() { g.Set(1000) })
	checkAllocs(t, "Gauge.SetFloat", func() { gf.SetFloat(1000.5) })
	d, df := r.NewDistribution("d"), r.NewDistribution("df")
	checkAllocs(t, "Distribution.Record", func() { d.Record(1000) })
	checkAllocs(t, "Distribution.RecordFloat", func() { df.RecordFloat(1000.5) })
}

// AllocsPerRun rounds down, so that what happens a few times in many calls
// must be looked for in one run: filling a window, and its change to floats.
func TestDistributionAllocatesOnlyForItsFirstValue(t *testing.T) {
	check := func(size int) {
		t.Helper()
		const runs = 20
		distributions := make([]*Distribution, runs+1) // and one for AllocsPerRun to begin with
		for i := range distributions {
			distributions[i] = NewRegistry().NewDistribution("d", WithWindow(size))
			distributions[i].Record(0)
		}
		if n := testing.AllocsPerRun(runs, func() {
			d := distributions[0]
			distributions = distributions[1:]
			for i := range int64(2 * size) {
				d.Record(i)
			}
			for i := range 2 * size {
				d.RecordFloat(float64(i))
			}
		}); n != 0 {
			t.Errorf("a window of %d allocates %v times after the first value", size, n)
		}
	}
	check(1)
	check(7)
	check(DefaultWindow)
}

// What a reader costs: see pipes.Publish.
func TestSnapshotsInOneMemoryAllocateNothing(t *testing.T) {
	r := crowd()
	r.NewDistribution("floats").RecordFloat(0.5)
	r.NewDistribution("none")
	r.SetFunc("computed", func() float64 { return 1 })
	var s format.Snapshot
	var f format.Flattener
	var text []byte
	checkAllocs(t, "a plain snapshot", func() {
		r.Incr("app.requests.by.path.1")
		r.Record("app.latency.{0}.1", 1)
		r.RecordFloat("floats", 0.25)
		r.SnapshotInto(&s)
		text = format.AppendPlain(text[:0], f.Flatten(&s))
	})
	doc := format.Document{ID: "x", PID: 1, Snapshot: &s}
	checkAllocs(t, "a typed snapshot", func() {
		r.SnapshotInto(&s)
		text = format.AppendTyped(text[:0], &doc)
	})
}
