//go:build linux

package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	loadConnections = 64
	loadTime        = 10 * time.Second
)

// BenchmarkServe puts `statvent serve` under load by wrk, which has the same
// processors. The collection time that its slowest answers are held against is
// that of requests one after another, just before.
func BenchmarkServe(b *testing.B) {
	for _, size := range []hostSize{{200, 4}, {200, 200}} {
		b.Run(fmt.Sprintf("%v/connections=%d", size, loadConnections), func(b *testing.B) { benchmarkServe(b, size) })
	}
}

func benchmarkServe(b *testing.B, size hostSize) {
	wrk := findWrk(b)
	set := startPublishers(b, size)
	serve := startServe(b, set)
	var single []time.Duration
	for range 100 {
		single = append(single, stopwatch(func() { serve.get(b) }))
	}
	before := memoryOf(b, serve.pid)
	var load wrkResult
	for b.Loop() {
		load = runWrk(b, wrk, serve.url, loadTime)
	}
	after := memoryOf(b, serve.pid)
	checkAllLive(b, serve, size.pipes)
	one := medianTime(single)
	b.ReportMetric(0, "ns/op") // it is wrk's duration
	b.ReportMetric(load.perSecond, "answers/s")
	b.ReportMetric(float64(load.p50.Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(load.p99.Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(one.Nanoseconds()), "single-ns")
	b.ReportMetric(float64(load.p99)/float64(one), "p99/single-ratio")
	b.ReportMetric(float64(load.failed), "failed")
	b.ReportMetric(before.rss, "rss-before-MB")
	b.ReportMetric(after.rss, "rss-after-MB")
	b.ReportMetric(after.peak, "rss-peak-MB")
}

// requestsVariable says how many requests BenchmarkServeMemory makes.
const requestsVariable = "STATVENT_BENCH_REQUESTS"

// BenchmarkServeMemory shows whether the memory of a serve grows with what it is
// asked: $STATVENT_BENCH_REQUESTS times, for which 1000000 take some minutes.
func BenchmarkServeMemory(b *testing.B) {
	wanted, err := strconv.Atoi(os.Getenv(requestsVariable))
	if err != nil {
		b.Skip("SKIPPED: " + requestsVariable + " doesn't say how many requests to make, such as 1000000")
	}
	const step = 100_000
	size := hostSize{200, 4}
	b.Run(fmt.Sprintf("%v/requests=%d", size, wanted), func(b *testing.B) {
		wrk := findWrk(b)
		set := startPublishers(b, size)
		serve := startServe(b, set)
		var steps []memory
		made, failed, looks := 0, 0, 0
		for b.Loop() {
			for made < wanted {
				r := runWrk(b, wrk, serve.url, loadTime)
				if r.requests == 0 {
					b.Fatal("nobody answers")
				}
				made += r.requests
				failed += r.failed
				if made/step > looks || made >= wanted {
					looks = made / step
					m := memoryOf(b, serve.pid)
					steps = append(steps, m)
					b.Logf("after %d requests: %.1f MB, at the most %.1f", made, m.rss, m.peak)
				}
			}
		}
		checkAllLive(b, serve, size.pipes)
		first, last := steps[0], steps[len(steps)-1]
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(failed), "failed")
		b.ReportMetric(first.rss, "rss-first-MB")
		b.ReportMetric(last.rss, "rss-last-MB")
		b.ReportMetric(last.peak, "rss-peak-MB")
		b.ReportMetric(last.rss/first.rss, "last/first-ratio")
	})
}

// checkAllLive says whether the sources have answered under load: a serve goes on
// with old values where one doesn't.
func checkAllLive(b *testing.B, serve *httpServer, sources int) {
	b.Helper()
	of := *serve
	of.url = strings.TrimSuffix(serve.url, "/stats") + "/sources"
	var answer struct{ Sources []struct{ State string } }
	if err := json.Unmarshal(of.get(b), &answer); err != nil {
		b.Fatal(err)
	}
	live := 0
	for _, s := range answer.Sources {
		if s.State == "live" {
			live++
		}
	}
	if live != sources {
		b.Fatalf("%d of %d sources are live", live, sources)
	}
}

func findWrk(b *testing.B) string {
	b.Helper()
	path, err := exec.LookPath("wrk")
	if err != nil {
		b.Skip("SKIPPED: there is no wrk")
	}
	return path
}

// A wrkResult is what wrk says at its end.
type wrkResult struct {
	requests  int
	perSecond float64
	p50, p99  time.Duration
	failed    int // answers that aren't 200, and connections that broke
}

func runWrk(b *testing.B, wrk, url string, d time.Duration) wrkResult {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d+patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, wrk, "-t", "2", "-c", strconv.Itoa(loadConnections),
		"-d", strconv.Itoa(int(d.Seconds()))+"s", "--timeout", "10s", "--latency", url)
	dieWithUs(cmd)
	said, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	r, err := parseWrk(said)
	if err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	return r
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkMedian   = regexp.MustCompile(`50%\s+([\d.]+[a-z]+)`)
	wrkSlow     = regexp.MustCompile(`99%\s+([\d.]+[a-z]+)`)
	wrkStatus   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	wrkSocket   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

func parseWrk(said []byte) (r wrkResult, err error) {
	find := func(what *regexp.Regexp) string {
		if m := what.FindSubmatch(said); m != nil {
			return string(m[1])
		}
		return ""
	}
	if r.requests, err = strconv.Atoi(find(wrkRequests)); err != nil {
		return r, err
	}
	if r.perSecond, err = strconv.ParseFloat(find(wrkRate), 64); err != nil {
		return r, err
	}
	if r.p50, err = time.ParseDuration(find(wrkMedian)); err != nil {
		return r, err
	}
	if r.p99, err = time.ParseDuration(find(wrkSlow)); err != nil {
		return r, err
	}
	for _, m := range [][][]byte{wrkStatus.FindSubmatch(said), wrkSocket.FindSubmatch(said)} {
		for i := 1; i < len(m); i++ { // which says nothing where there is no error
			n, err := strconv.Atoi(string(m[i]))
			if err != nil {
				return r, err
			}
			r.failed += n
		}
	}
	return r, nil
}

// A memory is what a process has of it, in MB of 2^20 bytes.
type memory struct{ rss, peak float64 }

func memoryOf(b *testing.B, pid int) (m memory) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		key, value, _ := strings.Cut(string(line), ":")
		var kB float64
		if n, _ := fmt.Sscanf(value, "%g kB", &kB); n != 1 {
			continue
		}
		switch key {
		case "VmRSS":
			m.rss = kB / 1024
		case "VmHWM":
			m.peak = kB / 1024
		}
	}
	if m.rss == 0 || m.peak == 0 {
		b.Fatalf("the process %d has no memory", pid)
	}
	return m
}
