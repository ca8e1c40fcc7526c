// Command worker is a program that has something to count: it works in bursts,
// for ever, and publishes how that goes. Run some of them, then:
//
//	statvent watch 'worker.*'
package main

import (
	"context"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/statvent/statvent/pkg/statvent"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("worker: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	// A signal that nobody catches ends a program without its deferred calls.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	recorder, err := statvent.StartRecorder()
	if err != nil {
		return err
	}
	defer recorder.Close()
	log.Print("cat ", recorder.Path())

	started := time.Now()
	statvent.SetFunc("worker.uptime_seconds", func() float64 { return time.Since(started).Seconds() })

	for ctx.Err() == nil {
		burst(ctx)
	}
	return nil
}

// burst does some jobs and records how long each took.
func burst(ctx context.Context) {
	jobs := 1 + rand.IntN(10)
	statvent.Set("worker.queue_length", jobs)
	for range jobs {
		start := time.Now()
		select {
		case <-time.After(time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond))):
		case <-ctx.Done():
			return
		}
		statvent.Incr("worker.jobs")
		statvent.IncrBy("worker.bytes", 100+rand.IntN(4000))
		statvent.Record("worker.job_milliseconds.{0}", time.Since(start).Seconds()*1000)
		statvent.IncrBy("worker.queue_length", -1)
	}
}
