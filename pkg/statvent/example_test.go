package statvent_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/statvent"
)

// show prints the stats whose names begin so, as a reader of the pipe sees them.
func show(prefix string) {
	s := statvent.Snapshot().Filter(func(name string) bool { return strings.HasPrefix(name, prefix) })
	fmt.Printf("%s", format.AppendPlain(nil, s))
}

func Example() {
	statvent.Incr("app.requests")
	statvent.IncrBy("app.requests", 2)
	statvent.IncrBy("app.seconds_busy", 0.25)
	statvent.Set("app.users", 7)
	for ms := range 150 {
		statvent.Record("app.latency.{0}", ms)
	}

	// A program that called StartRecorder says the same at its pipe.
	fmt.Printf("%s", format.AppendPlain(nil, statvent.Snapshot()))
	// Output:
	// app.latency.100th: 149
	// app.latency.95th: 144
	// app.latency.99th: 148
	// app.latency.mean: 99.5
	// app.latency.median: 99
	// app.requests: 3
	// app.seconds_busy: 0.25
	// app.users: 7
}

func ExampleStartRecorder() {
	// A signal ends a program without its deferred calls, unless it is caught.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	rec, err := statvent.StartRecorder()
	if err != nil {
		log.Print(err) // the program does its work without a pipe as well
	} else {
		defer func() {
			if err := rec.Close(); err != nil {
				log.Print(err)
			}
		}()
		log.Printf("stats are at %s", rec.Path())
	}

	statvent.Incr("app.starts")
	<-ctx.Done() // the program's work
}

func ExampleNewDistribution() {
	queries := statvent.NewDistribution("db.query_ms.{0}",
		statvent.WithWindow(1000),
		statvent.WithLabels(
			statvent.Percentile("p50", 50),
			statvent.Percentile("p99.9", 99.9),
			statvent.Mean("avg"),
		))
	for ms := range int64(2000) {
		queries.Record(ms)
	}
	show("db.")
	// Output:
	// db.query_ms.avg: 1499.5
	// db.query_ms.p50: 1499
	// db.query_ms.p99.9: 1998
}

func ExampleWithCalculation() {
	uploads := statvent.NewDistribution("upload.bytes.{0}",
		statvent.WithCalculation(func(sorted []float64) map[string]float64 {
			smallest, largest := sorted[0], sorted[len(sorted)-1]
			return map[string]float64{"range": largest - smallest, "n": float64(len(sorted))}
		}))
	for _, n := range []int64{300, 120, 4096} {
		uploads.Record(n)
	}
	show("upload.")
	// Output:
	// upload.bytes.n: 3.0
	// upload.bytes.range: 3976.0
}

// Names that come from elsewhere may have braces of their own.
func ExampleRecordFunc() {
	slash := func(name, label string) string { return name + "/" + label }
	for i := range 10 {
		statvent.RecordFunc("route /users/{0}", i, slash)
	}
	show("route ")
	// Output:
	// route /users/{0}/100th: 9
	// route /users/{0}/95th: 8
	// route /users/{0}/99th: 8
	// route /users/{0}/mean: 4.5
	// route /users/{0}/median: 4
}

func ExampleSetFunc() {
	jobs := make(chan string, 10)
	statvent.SetFunc("jobs.waiting", func() float64 { return float64(len(jobs)) })

	jobs <- "resize"
	jobs <- "send"
	show("jobs.")
	<-jobs
	show("jobs.")
	// Output:
	// jobs.waiting: 2.0
	// jobs.waiting: 1.0
}

// A program that shows its stats in a place of its own, again and again, needs no
// new memory each time.
func ExampleRegistry_SnapshotInto() {
	var snapshot format.Snapshot
	var flattener format.Flattener
	var text []byte
	r := statvent.NewRegistry()
	for n := range int64(3) {
		r.Incr("rounds")
		r.Record("size", n)
		r.SnapshotInto(&snapshot)
		text = format.AppendPlain(text[:0], flattener.Flatten(&snapshot))
	}
	fmt.Printf("%s", text)
	// Output:
	// rounds: 3
	// size.100th: 2
	// size.95th: 1
	// size.99th: 1
	// size.mean: 1.0
	// size.median: 0
}
