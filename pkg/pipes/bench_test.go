//go:build linux

package pipes

import (
	"context"
	"fmt"
	"testing"
)

// One reader and one publisher, from the opening to the snapshot's end.
func BenchmarkReadOneSnapshot(b *testing.B) {
	for _, stats := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("stats=%d", stats), func(b *testing.B) {
			var said Stats = renderText("")
			if stats > 0 {
				said = newNumbered(stats, 40)
			}
			path := publish(b, PublisherOptions{Dir: b.TempDir()}, said).Path()
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				snapshot, err := ReadFIFO(ctx, path, Limits{})
				if err != nil || len(snapshot.Stats) != stats {
					b.Fatalf("%d stats, %v", len(snapshot.Stats), err)
				}
			}
		})
	}
}

func BenchmarkCollect(b *testing.B) {
	const publishers, stats = 200, 100
	dir := b.TempDir()
	n := newNumbered(stats, 40)
	for i := range publishers {
		publish(b, PublisherOptions{Dir: dir, Name: fmt.Sprintf("p%d", i)}, n)
	}
	c := newCollector(b, CollectorOptions{Dir: dir, Deadline: patience})
	b.ReportAllocs()
	for b.Loop() {
		collection := collect(b, c)
		if missing := collection.Silent(); len(collection.Sources) != publishers || len(missing) > 0 {
			b.Fatalf("of %d sources %d are missing", len(collection.Sources), len(missing))
		}
	}
}

func BenchmarkPublishAndClose(b *testing.B) {
	dir := b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		p, err := Publish(PublisherOptions{Dir: dir}, renderText("x: 1\n"))
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
