//go:build linux

package e2e

import (
	"io"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/statvent/statvent/pkg/statvent"
)

// shopVariable says which process of the shop it is.
const shopVariable = "STATVENT_TEST_SHOP"

// sell is the program of the screenshot: one process of a shop on the web, with
// numbers such as one has. It ends when its stdin does.
func sell(role string) error {
	recorder, err := statvent.StartRecorder(statvent.WithName(role))
	if err != nil {
		return err
	}
	defer recorder.Close()
	go func() {
		random := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
		for began, step := time.Now(), 0; ; step++ {
			act(role, random, time.Since(began).Seconds(), step)
			time.Sleep(50 * time.Millisecond)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// act is what happens in 50 ms.
func act(role string, random *rand.Rand, t float64, step int) {
	// Load comes in waves, with a rush every two minutes.
	load := 1 + 0.35*math.Sin(t/23) + 0.15*math.Sin(t/7)
	if math.Mod(t, 120) > 85 && math.Mod(t, 120) < 110 {
		load *= 1.9
	}
	some := func(mean float64) int {
		n := 0
		for mean *= load; mean > random.Float64(); mean-- {
			n++
		}
		return n
	}
	if role[:3] == "web" {
		for range some(6) {
			statvent.Incr("shop.requests")
			statvent.IncrBy("shop.bytes_sent", 900+random.IntN(18000))
			statvent.Record("shop.response.milliseconds.{0}", math.Round(10*(8+12*load*load*random.ExpFloat64()))/10)
			statvent.Record("shop.database.milliseconds.{0}", math.Round(100*(1+2.2*load*random.ExpFloat64()))/100)
			statvent.IncrBy("shop.database.queries", 1+random.IntN(4))
			if random.Float64() < 0.87 {
				statvent.Incr("shop.cache.hits")
			} else {
				statvent.Incr("shop.cache.misses")
			}
			if random.Float64() < 0.004*load {
				statvent.Incr("shop.errors")
			}
		}
		statvent.IncrBy("shop.logins", some(0.05))
		statvent.IncrBy("shop.orders", some(0.08))
		statvent.IncrBy("shop.payments.accepted", some(0.07))
		statvent.IncrBy("shop.payments.declined", some(0.006))
		statvent.IncrBy("shop.search.queries", some(0.9))
		statvent.Record("shop.search.milliseconds.{0}", math.Round(10*(2+9*random.ExpFloat64()))/10)
		statvent.Set("shop.queue.indexing", int(3*load*load))
		statvent.Set("shop.sessions", int(140*load)+random.IntN(4))
		statvent.Set("shop.database.connections", 3+int(5*load))
		return
	}
	for range some(0.9) {
		statvent.Incr("mail.sent")
		statvent.Record("mail.seconds.{0}", math.Round(1000*(0.05+0.08*random.ExpFloat64()))/1000)
	}
	statvent.IncrBy("mail.bounced", some(0.01))
	statvent.Set("mail.queue", int(18*load*load*load))
	if step%40 == 0 {
		statvent.Set("mail.smtp.connections", 2+int(2*load))
		statvent.Set("mail.smtp.version", 3)
	}
}
