//go:build linux

package benchmarks

import (
	"context"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// BenchmarkCollect holds a collection, parsing included, against a bare loop over
// the same pipes. That is what a reader can't go below: its system calls, and what
// the publishers do, which run on the same processors.
//
// There are two such loops. bare=each has the Collector's concurrency, a goroutine
// for each pipe; bare=poll is one thread.
func BenchmarkCollect(b *testing.B) {
	for _, size := range []hostSize{{200, 4}, {200, 200}, {1000, 20}} {
		b.Run(size.String(), func(b *testing.B) {
			set := startPublishers(b, size)
			c := set.collector(b)
			bare := newBareReader(b, set)
			for _, loop := range []struct {
				name string
				read func(*testing.B)
			}{{"each", bare.readEach}, {"poll", bare.readPolled}} {
				b.Run("bare="+loop.name, func(b *testing.B) {
					var d duel
					before := set.cpuTime(b)
					for b.Loop() {
						ours := set.timeCollect(b, c)
						b.StopTimer()
						d.add(ours, stopwatch(func() { loop.read(b) }))
						b.StartTimer()
					}
					used := set.cpuTime(b) - before
					d.report(b, "collect", "bare")
					b.ReportMetric(float64(set.sources)/medianTime(d.ours).Seconds(), "pipes/s")
					b.ReportMetric(float64(used.Nanoseconds())/float64(2*len(d.ours)*set.sources), "publisher-cpu-ns/snapshot")
				})
			}
		})
	}
}

// BenchmarkCollectScaling holds a collection of 1,000 pipes against one of 200.
func BenchmarkCollectScaling(b *testing.B) {
	few, many := startPublishers(b, hostSize{200, 4}), startPublishers(b, hostSize{1000, 20})
	ofFew, ofMany := few.collector(b), many.collector(b)
	var d duel
	for b.Loop() {
		ours := many.timeCollect(b, ofMany)
		b.StopTimer()
		d.add(ours, few.timeCollect(b, ofFew))
		b.StartTimer()
	}
	d.report(b, "pipes=1000", "pipes=200")
}

// BenchmarkAnswer is what `statvent serve` does for an answer: it collects, brings
// the values together and makes the document of them. Two others do the same on
// the same stats: client_python out of the files of its multiprocess mode, in
// process, and node_exporter out of text files, over HTTP, with `statvent serve`
// over HTTP as well.
func BenchmarkAnswer(b *testing.B) {
	for _, size := range []hostSize{{200, 4}, {200, 200}} {
		b.Run(size.String(), func(b *testing.B) { benchmarkAnswer(b, size) })
	}
}

func benchmarkAnswer(b *testing.B, size hostSize) {
	b.Run("peer=bare", func(b *testing.B) {
		set := startPublishers(b, size)
		c := set.collector(b)
		bare := newBareReader(b, set)
		var d duel
		var combining []time.Duration
		for b.Loop() {
			ours, combine := set.timeAnswer(b, c)
			b.StopTimer()
			combining = append(combining, combine)
			d.add(ours, stopwatch(func() { bare.readEach(b) }))
			b.StartTimer()
		}
		d.report(b, "answer", "bare")
		b.ReportMetric(float64(medianTime(combining).Nanoseconds()), "combine-ns")
	})
	b.Run("peer=client_python", func(b *testing.B) {
		python := startClientPython(b, size.pipes)
		set := startPublishersOf(b, size, python.seed)
		c := set.collector(b)
		python.round(b) // the first one is slower
		var d duel
		for b.Loop() {
			ours, _ := set.timeAnswer(b, c)
			b.StopTimer()
			d.add(ours, python.round(b))
			b.StartTimer()
		}
		d.report(b, "answer", "client_python")
	})
	b.Run("peer=node_exporter", func(b *testing.B) {
		exporter := startNodeExporter(b, size.pipes)
		set := startPublishers(b, size)
		serve := startServe(b, set)
		exporter.get(b)
		serve.get(b)
		var d duel
		for b.Loop() {
			ours := stopwatch(func() { serve.get(b) })
			b.StopTimer()
			d.add(ours, stopwatch(func() { exporter.get(b) }))
			b.StartTimer()
		}
		d.report(b, "serve", "node_exporter")
	})
}

// timeCollect returns how long a collection took, in which all sources must have
// answered.
func (set *publisherSet) timeCollect(b *testing.B, c *pipes.Collector) time.Duration {
	b.Helper()
	start := time.Now()
	collection, err := c.Collect(context.Background())
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	set.checkCollection(b, collection)
	return took
}

// timeAnswer returns how long an answer took, and what of that wasn't the
// collection.
func (set *publisherSet) timeAnswer(b *testing.B, c *pipes.Collector) (all, combining time.Duration) {
	b.Helper()
	start := time.Now()
	collection, err := c.Collect(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	collected := time.Now()
	answer := format.AppendJSON(nil, collection.Total(), collection.Time)
	ended := time.Now()
	set.checkCollection(b, collection)
	if len(answer) == 0 {
		b.Fatal("the answer is empty")
	}
	return ended.Sub(start), ended.Sub(collected)
}
