//go:build unix

package statvent

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// host returns what a collection of the directory adds up to.
func host(t *testing.T, dir string) *format.Snapshot {
	t.Helper()
	collector := pipes.NewCollector(pipes.CollectorOptions{Dir: dir, Deadline: patience})
	defer collector.Close()
	return collectTotal(t, collector)
}

func collectTotal(t *testing.T, collector *pipes.Collector) *format.Snapshot {
	t.Helper()
	collection, err := collector.Collect(t.Context())
	if err != nil {
		t.Error(err)
		return &format.Snapshot{}
	}
	for _, s := range collection.Silent() {
		t.Errorf("%s is %s: %v", s.Name, s.State, s.Err)
	}
	return collection.Total()
}

// checkHost compares what the host has with the lines: "counter a: 1",
// "distribution d.{0}: 3, 12 in all".
func checkHost(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	for _, stat := range host(t, dir).Stats {
		text := fmt.Sprintf("%s %s: %s", stat.Kind, stat.Name, stat.Value)
		if stat.Kind == format.Distribution {
			text = fmt.Sprintf("%s %s: %d, %s in all", stat.Kind, stat.Name, stat.Dist.Count, stat.Dist.Sum)
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the host has %q, want %q", got, want)
	}
}

// restart closes the recorder, if there is one, and starts another.
func restart(t *testing.T, rec *Recorder, opts ...RecorderOption) *Recorder {
	t.Helper()
	if rec != nil {
		closeRecorder(t, rec)
	}
	return start(t, opts...)
}

func TestHostKnowsTheKindsByTheirUse(t *testing.T) {
	noLeaks(t)
	check := func(use func(r *Registry), want string) {
		t.Helper()
		dir := t.TempDir()
		r := NewRegistry()
		start(t, WithPipeDir(dir), WithRegistry(r))
		use(r)
		checkHost(t, dir, want)
	}
	check(func(r *Registry) { r.NewCounter("x") }, "counter x: 0")
	check(func(r *Registry) { r.NewCounter("x").IncrBy(0) }, "counter x: 0")
	check(func(r *Registry) { r.NewCounter("x").IncrByFloat(0.5) }, "counter x: 0.5")
	check(func(r *Registry) { r.NewCounter("x").IncrBy(-1) }, "gauge x: -1")
	check(func(r *Registry) { r.NewCounter("x").IncrByFloat(-0.5) }, "gauge x: -0.5")
	check(func(r *Registry) { r.NewCounter("x"); r.Set("x", 0) }, "gauge x: 0")
	check(func(r *Registry) { r.NewGauge("x") }, "gauge x: 0")
	check(func(r *Registry) { r.NewGauge("x").Incr() }, "gauge x: 1")
	check(func(r *Registry) { r.NewCounter("x").Incr(); r.NewGauge("x") }, "gauge x: 1")
	check(func(r *Registry) { r.NewGauge("x"); r.NewCounter("x").Incr() }, "gauge x: 1")
	check(func(r *Registry) { r.SetFunc("x", func() float64 { return 1 }) }, "gauge x: 1.0")
	check(func(r *Registry) { r.Record("x", 3) }, "distribution x.{0}: 1, 3 in all")
}

func TestCloseKeepsWhatWasCounted(t *testing.T) {
	noLeaks(t)
	check := func(use func(r *Registry), want ...string) {
		t.Helper()
		for _, isRead := range []bool{false, true} {
			dir := t.TempDir()
			r := NewRegistry()
			rec := start(t, WithPipeDir(dir), WithRegistry(r))
			use(r)
			if isRead {
				read(t, rec.Path())
			}
			closeRecorder(t, rec)
			checkHost(t, dir, want...)
		}
	}
	check(func(*Registry) {})
	check(func(r *Registry) { r.IncrBy("big", math.MaxInt64-1) }, "counter big: 9223372036854775806")
	check(func(r *Registry) {
		for range 10 {
			r.IncrByFloat("x", 0.1)
		}
	}, "counter x: 0.9999999999999999") // as the program has it
	check(func(r *Registry) { r.IncrBy("x", math.MaxInt64); r.Incr("x") }, "counter x: 9.223372036854776e+18")
	check(func(r *Registry) {
		for n := range int64(250) { // more than its window
			r.Record("d", n)
		}
	}, "distribution d.{0}: 250, 31125 in all")
	check(func(r *Registry) { r.Record("d", 1); r.RecordFloat("d", 0.25) }, "distribution d.{0}: 2, 1.25 in all")
	check(func(r *Registry) { r.NewDistribution("d", WithFormat(dashed)).Record(7) }, "distribution d-{0}: 1, 7 in all")
	check(func(r *Registry) { r.Incr("two\nlines: 5") }, "counter two lines: 5: 1")

	// What ends with the program:
	check(func(r *Registry) {
		r.Set("set", 1)
		r.Incr("set later")
		r.Set("set later", 1)
		r.Incr("decremented")
		r.IncrBy("decremented", -1)
		r.NewGauge("gauge").Incr()
		r.SetFunc("func", func() float64 { return 1 })
		r.NewDistribution("never recorded")
		r.NewDistribution("not a template", WithFormat(upper)).Record(1)
		r.NewDistribution("calculated", WithCalculation(func([]float64) map[string]float64 {
			return map[string]float64{"x": 1}
		})).Record(1)
		r.NewDistribution("broken", WithFormat(func(string, string) string { panic("on purpose") })).Record(1)
	})
}

func dashed(name, label string) string { return name + "-" + label }

// Nobody can read what was recorded by the processes that have ended, so that
// the host shows no label of it.
func TestCloseKeepsNoSamples(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	r.Record("d", 5)
	if n := len(host(t, dir).Flatten().Stats); n != 5 {
		t.Errorf("while it runs there are %d labels", n)
	}
	closeRecorder(t, rec)
	if flat := host(t, dir).Flatten().Stats; len(flat) > 0 {
		t.Errorf("after Close there is %v", flat)
	}
}

func TestRecordersOneAfterAnotherAreCountedOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	opts := []RecorderOption{WithPipeDir(dir), WithRegistry(r)}
	count := func() {
		r.IncrBy("i", 3)
		r.IncrByFloat("f", 0.1)
		r.Record("d", 10)
	}
	var rec *Recorder
	var f float64
	for n := range 20 {
		checks := func(when string) {
			t.Helper()
			want := []string{
				fmt.Sprintf("distribution d.{0}: %d, %d in all", 3*n, 30*n),
				"counter f: " + format.Float(f).String(),
				fmt.Sprintf("counter i: %d", 9*n),
			}
			if n > 0 {
				checkHost(t, dir, want...)
			}
			if t.Failed() {
				t.Fatalf("that was %s recorder %d", when, n)
			}
		}
		rec = restart(t, rec, opts...)
		checks("at the beginning of")
		count()
		closeRecorder(t, rec)
		count() // while there is none
		rec = start(t, opts...)
		count()
		for range 3 {
			f += 0.1
		}
		n++
		checks("at the end of")
		closeRecorder(t, rec)
		checks("after")
	}
}

// A counter that overflows costs itself, and what others counted is there again
// when it is gone.
func TestInfiniteCounterIsLeftOut(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	for range 2 {
		r.IncrByFloat("x", math.MaxFloat64)
	}
	r.Incr("y")
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	checkHost(t, dir, "counter y: 1")
	restart(t, rec, WithPipeDir(dir), WithRegistry(r))
	checkHost(t, dir, "counter x: 0.0", "counter y: 1")
}

// What a reader of the plain pipe alone sees begins anew with each recorder.
func TestRecorderPublishesWhatWasCountedSinceTheOneBefore(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.IncrBy("c", 5)
	r.Set("g", 5)
	onlyMax := WithLabels(Percentile("max", 100))
	r.NewDistribution("d", onlyMax).Record(9)
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	checkRead(t, rec, "c: 5\nd.max: 9\ng: 5\n")
	rec = restart(t, rec, WithPipeDir(dir), WithRegistry(r))
	checkRead(t, rec, "c: 0\nd.max: 9\ng: 5\n")
	r.IncrBy("c", 2)
	r.Set("g", 2)
	r.Record("d", 2)
	r.Incr("new")
	checkRead(t, rec, "c: 2\nd.max: 9\ng: 2\nnew: 1\n")
	checkText(t, r, "c: 7", "d.max: 9", "g: 2", "new: 1") // the program's own numbers go on
}

func TestRecorderInAnotherDirectoryPublishesEverything(t *testing.T) {
	noLeaks(t)
	first, second := t.TempDir(), t.TempDir()
	r := NewRegistry()
	r.IncrBy("c", 5)
	rec := start(t, WithPipeDir(first), WithRegistry(r))
	rec = restart(t, rec, WithPipeDir(second), WithRegistry(r))
	checkRead(t, rec, "c: 5\n")
	r.Incr("c")
	closeRecorder(t, rec)
	checkHost(t, first, "counter c: 5")
	checkHost(t, second, "counter c: 6")
	rec = start(t, WithPipeDir(first), WithRegistry(r))
	checkRead(t, rec, "c: 1\n")
	closeRecorder(t, rec)
	checkHost(t, first, "counter c: 6")
	checkHost(t, second, "counter c: 6")
}

func TestTwoRegistriesOfOneProcessAreAddedUp(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	a, b := NewRegistry(), NewRegistry()
	a.IncrBy("c", 5)
	b.IncrBy("c", 7)
	first := start(t, WithPipeDir(dir), WithRegistry(a))
	second := start(t, WithPipeDir(dir), WithRegistry(b))
	checkHost(t, dir, "counter c: 12")
	closeRecorder(t, first)
	checkHost(t, dir, "counter c: 12")
	checkRead(t, second, "c: 7\n") // nothing of it was handed over
	first = start(t, WithPipeDir(dir), WithRegistry(a))
	a.Incr("c")
	checkHost(t, dir, "counter c: 13")
	closeRecorder(t, second)
	closeRecorder(t, first)
	checkHost(t, dir, "counter c: 13")
}

// A name may be that of a counter and of a distribution, or of two
// distributions: each has its own value.
func TestStatsOfOneNameAreCountedOnce(t *testing.T) {
	noLeaks(t)
	check := func(use func(r *Registry), want ...string) {
		t.Helper()
		dir := t.TempDir()
		r := NewRegistry()
		rec := start(t, WithPipeDir(dir), WithRegistry(r))
		use(r)
		checkHost(t, dir, want...)
		for range 2 {
			rec = restart(t, rec, WithPipeDir(dir), WithRegistry(r))
			checkHost(t, dir, want...)
		}
	}
	check(func(r *Registry) { r.IncrBy("d.{0}", 5); r.Record("d", 7) },
		"counter d.{0}: 5", "distribution d.{0}: 1, 7 in all")
	check(func(r *Registry) {
		r.Record("d", 1)
		r.Record("d", 1)
		r.NewDistribution("e", WithFormat(func(_, label string) string { return "d." + label })).Record(5)
	}, "distribution d.{0}: 3, 7 in all")
}

// counterOf returns the value of a counter that the host has.
func counterOf(t *testing.T, s *format.Snapshot, name string) int64 {
	t.Helper()
	v, ok := s.Lookup(name)
	if !ok || v.IsFloat() {
		t.Errorf("%s is %s, want an integer", name, v)
	}
	return v.Int64()
}

func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

func TestFinalIsWhatOutlivesTheRecorder(t *testing.T) {
	r := NewRegistry()
	r.Set("gauge", 1)
	r.Incr("counter")
	r.Record("d", 1)
	final := newPublished(r, t.TempDir(), true).Final()
	var got []string
	for _, stat := range final.Stats {
		got = append(got, stat.Kind.String()+" "+stat.Name)
		if stat.Kind == format.Distribution && len(stat.Dist.Window) > 0 {
			t.Errorf("%s has samples", stat.Name)
		}
	}
	want := []string{"counter counter", "distribution d.{0}", "counter go.allocated_bytes", "counter go.gc_cycles"}
	if !slices.Equal(got, want) || !final.Ended {
		t.Errorf("got %q, ended %v, want %q", got, final.Ended, want)
	}
}

func TestRuntimeStatsAreCountedOnce(t *testing.T) {
	noLeaks(t)
	const name = "go.allocated_bytes"
	dir := t.TempDir()
	r := NewRegistry()
	r.Incr("a")
	var before int64
	check := func(when string) {
		t.Helper()
		s := host(t, dir)
		now := counterOf(t, s, name)
		if most := allocated(); now < before || now > most {
			t.Fatalf("%s: %d bytes were ever allocated, after %d and of %d", when, now, before, most)
		}
		before = now
	}
	base := []RecorderOption{WithPipeDir(dir), WithRegistry(r)}
	rec := start(t, append(base, WithRuntimeStats())...)
	check("the first recorder")
	closeRecorder(t, rec)
	check("after it")
	for stat := range slices.Values(host(t, dir).Stats) {
		if stat.Kind != format.Counter {
			t.Errorf("after Close there is the %s %s", stat.Kind, stat.Name)
		}
	}
	rec = start(t, append(base, WithRuntimeStats())...)
	check("the second recorder")
	rec = restart(t, rec, base...)
	check("one without them")
	rec = restart(t, rec, append(base, WithRuntimeStats())...)
	check("one with them again")
	closeRecorder(t, rec)
	check("after all")
}

// Close calls no function that computes a stat: one may never return.
func TestFunctionsDoNotDisturbWhatCloseKeeps(t *testing.T) {
	noLeaks(t)
	check := func(f func(entered chan<- struct{}, leave <-chan struct{}) float64, wantErr bool) {
		t.Helper()
		dir := t.TempDir()
		r := NewRegistry()
		r.IncrBy("c", 5)
		r.Record("d", 7)
		entered, leave := make(chan struct{}, 100), make(chan struct{})
		r.SetFunc("f", func() float64 { return f(entered, leave) })
		rec := start(t, WithPipeDir(dir), WithRegistry(r))
		reader := make(chan struct{})
		go func() {
			defer close(reader)
			_, _ = os.ReadFile(rec.Path())
		}()
		within(t, "waiting for a reader", func() { <-entered })
		r.Incr("c")
		within(t, "Close", func() {
			if err := rec.Close(); (err != nil) != wantErr {
				t.Errorf("Close says %v", err)
			}
		})
		checkHost(t, dir, "counter c: 6", "distribution d.{0}: 1, 7 in all")
		close(leave)
		within(t, "the reader", func() { <-reader })
		checkHost(t, dir, "counter c: 6", "distribution d.{0}: 1, 7 in all")
	}
	check(func(entered chan<- struct{}, leave <-chan struct{}) float64 {
		entered <- struct{}{}
		<-leave
		return 1
	}, true)
	check(func(entered chan<- struct{}, _ <-chan struct{}) float64 {
		entered <- struct{}{}
		panic("on purpose")
	}, false)
}

// A format function that doesn't return may cost its distribution, but not what
// else was counted, nor the program its end.
func TestCloseDoesNotWaitForAFormat(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.Incr("c")
	var blocking atomic.Bool
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	r.NewDistribution("d", WithFormat(func(name, label string) string {
		if blocking.Load() {
			entered <- struct{}{}
			<-leave
		}
		return dashed(name, label)
	})).Record(1)
	blocking.Store(true)
	rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(r))
	if err != nil {
		t.Fatal(err)
	}
	reader, closed := make(chan struct{}), make(chan struct{})
	defer func() {
		close(leave)
		within(t, "the reader", func() { <-reader })
		within(t, "Close in the end", func() { <-closed })
	}()
	go func() {
		defer close(reader)
		_, _ = os.ReadFile(rec.Path())
	}()
	within(t, "waiting for a reader", func() {
		select {
		case <-entered:
		case <-reader: // who didn't need the function
		}
	})
	go func() {
		defer close(closed)
		_ = rec.Close()
	}()
	within(t, "Close", func() { <-closed })
	if n := counterOf(t, host(t, dir), "c"); n != 1 {
		t.Errorf("the host has %d, want 1", n)
	}
}

func TestFormatIsAskedForItsTemplateOnce(t *testing.T) {
	noLeaks(t)
	check := func(f FormatFunc, want ...string) {
		t.Helper()
		dir := t.TempDir()
		r := NewRegistry()
		templates := 0
		r.NewDistribution("d", WithLabels(Percentile("max", 100)), WithFormat(func(name, label string) string {
			if label == "{0}" {
				templates++
			}
			return f(name, label)
		})).Record(5)
		for range 3 {
			r.Snapshot()
		}
		rec := start(t, WithPipeDir(dir), WithRegistry(r))
		checkHost(t, dir, want...)
		closeRecorder(t, rec)
		if templates != 1 {
			t.Errorf("it was asked %d times", templates)
		}
	}
	check(dashed, "distribution d-{0}: 1, 5 in all")
	check(upper, "untyped D.MAX: 5")
	check(func(name, label string) string {
		if label == "{0}" {
			panic("on purpose")
		}
		return dashed(name, label)
	}, "untyped d-max: 5")
}

// Once there is a template, the function isn't called any more: so it can't
// change its mind, nor panic while the program ends.
func TestFormatThatIsATemplateIsCalledForNothingElse(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	var broken atomic.Bool
	r.NewDistribution("d", WithFormat(func(name, label string) string {
		if broken.Load() {
			panic("on purpose")
		}
		return dashed(name, label)
	})).Record(5)
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	checkHost(t, dir, "distribution d-{0}: 1, 5 in all")
	broken.Store(true)
	checkHost(t, dir, "distribution d-{0}: 1, 5 in all")
	closeRecorder(t, rec)
	checkHost(t, dir, "distribution d-{0}: 1, 5 in all")
}

func TestRetainHandsOverWhatWasCountedSince(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "new")
	r := NewRegistry()
	retain := func(r *Registry, dir string, want ...string) {
		t.Helper()
		if err := r.Retain(dir); err != nil {
			t.Fatal(err)
		}
		checkHost(t, dir, want...)
	}
	retain(r, dir)
	checkEntries(t, dir, "where nothing was counted")
	r.Set("g", 1)
	r.SetFunc("f", func() float64 { t.Error("the function was called"); return 1 })
	r.NewDistribution("calculated", WithCalculation(func([]float64) map[string]float64 {
		t.Error("the calculation was called")
		return nil
	})).Record(1)
	retain(r, dir)
	r.IncrBy("c", 5)
	r.Record("d", 7)
	retain(r, dir, "counter c: 5", "distribution d.{0}: 1, 7 in all")
	retain(r, dir, "counter c: 5", "distribution d.{0}: 1, 7 in all")
	r.Incr("c")
	retain(r, dir, "counter c: 6", "distribution d.{0}: 1, 7 in all")
	retain(r, t.TempDir(), "counter c: 6", "distribution d.{0}: 1, 7 in all")
	r.Record("d", 3)
	retain(r, dir+"/../new/", "counter c: 6", "distribution d.{0}: 2, 10 in all")
	other := NewRegistry()
	other.Incr("c")
	retain(other, dir, "counter c: 7", "distribution d.{0}: 2, 10 in all")
	checkEntries(t, dir, "in the end", kept()...)
}

func TestRetainFindsTheDirectoryAsARecorderDoes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(pipes.DirVariable, dir)
	r := NewRegistry()
	r.Incr("c")
	if err := r.Retain(""); err != nil {
		t.Fatal(err)
	}
	checkHost(t, dir, "counter c: 1")
	t.Chdir(dir)
	if err := r.Retain("."); err != nil {
		t.Fatal(err)
	}
	checkHost(t, dir, "counter c: 1")
}

func TestRetainBetweenRecorders(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	for n := range 5 {
		r.Incr("c")
		rec := start(t, WithPipeDir(dir), WithRegistry(r))
		r.Incr("c")
		closeRecorder(t, rec)
		r.Incr("c")
		if err := r.Retain(dir); err != nil {
			t.Fatal(err)
		}
		checkHost(t, dir, fmt.Sprintf("counter c: %d", 3*(n+1)))
	}
}

func TestRetainBesideARecorderIsCountedOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.IncrBy("c", 5)
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	if err := r.Retain(dir); err != nil {
		t.Fatal(err)
	}
	checkHost(t, dir, "counter c: 5")
	r.Incr("c")
	checkHost(t, dir, "counter c: 6")
	closeRecorder(t, rec)
	checkHost(t, dir, "counter c: 6")
}

func TestRetainByManyAtOnceIsCountedOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	const callers, rounds = 4, 50
	for range rounds {
		together(times(callers, func() {
			r.Incr("c")
			if err := r.Retain(dir); err != nil {
				t.Error(err)
			}
		})...)
	}
	checkHost(t, dir, fmt.Sprintf("counter c: %d", callers*rounds))
	if err := r.Retain(dir); err != nil {
		t.Error(err)
	}
	checkEntries(t, dir, "in the end", kept()...)
}

// What could not be handed over is handed over the next time.
func TestRetainThatFailedIsMadeUpFor(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := NewRegistry()
	r.IncrBy("c", 5)
	if err := r.Retain(dir); !errors.Is(err, syscall.ENOTDIR) {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	r.Incr("c")
	if err := r.Retain(dir); err != nil {
		t.Fatal(err)
	}
	checkHost(t, dir, "counter c: 6")
}

// The host leaves out what ended recorders counted under the name of a gauge.
func TestCounterThatBecameAGaugeIsTheGaugeAlone(t *testing.T) {
	noLeaks(t)
	check := func(change func(r *Registry), want string) {
		t.Helper()
		dir := t.TempDir()
		r := NewRegistry()
		r.IncrBy("x", 5)
		rec := start(t, WithPipeDir(dir), WithRegistry(r))
		rec = restart(t, rec, WithPipeDir(dir), WithRegistry(r))
		r.IncrBy("x", 2)
		checkHost(t, dir, "counter x: 7")
		change(r)
		checkHost(t, dir, want)
		s := host(t, dir)
		if len(s.Conflicts) != 1 || s.Conflicts[0].Name != "x" {
			t.Errorf("the conflicts are %v", s.Conflicts)
		}
		rec = restart(t, rec, WithPipeDir(dir), WithRegistry(r))
		checkHost(t, dir, want)
		checkRead(t, rec, strings.TrimPrefix(want, "gauge ")+"\n")
	}
	check(func(r *Registry) { r.Set("x", 3) }, "gauge x: 3")
	check(func(r *Registry) { r.IncrBy("x", -1) }, "gauge x: 6")
	check(func(r *Registry) { r.NewGauge("x") }, "gauge x: 7")
}

// Programs count on while their recorders come and go, and somebody reads all
// the time.
func TestHostNeverFallsWhileRecordersComeAndGo(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.Incr("c")
	r.Record("d", 2)
	start(t, WithPipeDir(dir), WithRegistry(NewRegistry())) // so that there is somebody
	done := make(chan struct{})
	count := func() {
		for {
			select {
			case <-done:
				return
			default:
				r.Incr("c")
				r.Record("d", 2)
			}
		}
	}
	counts := func() (counted, recorded int64) {
		stats := r.Snapshot().Stats
		return stats[0].Value.Int64(), stats[1].Dist.Count
	}
	collector := pipes.NewCollector(pipes.CollectorOptions{Dir: dir, Deadline: patience})
	defer collector.Close()
	var last, lastCount int64
	look := func() {
		stats := collectTotal(t, collector).Stats
		if len(stats) == 0 {
			return // the first recorder hasn't begun
		}
		now, d := stats[0].Value.Int64(), stats[1].Dist
		counted, recorded := counts()
		if now < last || now > counted || d.Count < lastCount || d.Count > recorded || d.Sum != format.Int(2*d.Count) {
			t.Errorf("c is %d after %d, of %d; d has %d after %d, of %d, %s in all",
				now, last, counted, d.Count, lastCount, recorded, d.Sum)
		}
		last, lastCount = now, d.Count
	}
	together(count, func() {
		for !t.Failed() {
			select {
			case <-done:
				return
			default:
				look()
			}
		}
	}, func() {
		defer close(done)
		for range 50 {
			rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(r))
			if err != nil {
				t.Error(err)
				return
			}
			if err := rec.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	look()
	if err := r.Retain(dir); err != nil {
		t.Error(err)
	}
	counted, recorded := counts()
	checkHost(t, dir, fmt.Sprintf("counter c: %d", counted), fmt.Sprintf("distribution d.{0}: %d, %d in all", recorded, 2*recorded))
}

// Several goroutines start and close recorders of one registry: some share one,
// others begin just when the last one ends.
func TestRecordersOfManyGoroutinesAreCountedOnce(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	const goroutines, rounds = 4, 40
	together(times(goroutines, func() {
		for range rounds {
			r.Incr("c")
			rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(r))
			if err != nil {
				t.Error(err)
				return
			}
			r.Incr("c")
			r.Record("d", 2)
			if err := rec.Close(); err != nil {
				t.Error(err)
			}
		}
	})...)
	checkHost(t, dir,
		fmt.Sprintf("counter c: %d", 2*goroutines*rounds),
		fmt.Sprintf("distribution d.{0}: %d, %d in all", goroutines*rounds, 2*goroutines*rounds))
	checkEntries(t, dir, "in the end", kept()...)
}
