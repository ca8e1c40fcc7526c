package statvent

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

type step func(*scalar)

func addInt(n int64) step     { return func(s *scalar) { s.addInt(n) } }
func addFloat(x float64) step { return func(s *scalar) { s.addFloat(x) } }
func setInt(n int64) step     { return func(s *scalar) { s.setInt(n) } }
func setFloat(x float64) step { return func(s *scalar) { s.setFloat(x) } }

func checkSteps(t *testing.T, want format.Value, steps ...step) {
	t.Helper()
	s := new(scalar)
	for _, do := range steps {
		do(s)
	}
	checkValue(t, "the value", s.value(), want)
}

// readUntil looks at the value as long as it is good, the last time after the
// end. It lets others run in between: there may be more of them than
// processors.
func readUntil(end func() bool, s *scalar, good func(float64) bool) {
	for reads, last := 0, false; !last; reads++ {
		last = end()
		if !good(s.value().Float64()) {
			return
		}
		if reads%16 == 15 {
			runtime.Gosched()
		}
	}
}

func TestScalarBeginsAsTheIntegerZero(t *testing.T) {
	checkSteps(t, format.Int(0))
	checkSteps(t, format.Int(0), addInt(0))
}

func TestScalarAddsIntegersUp(t *testing.T) {
	checkSteps(t, format.Int(1), addInt(1))
	checkSteps(t, format.Int(6), addInt(1), addInt(2), addInt(3))
	checkSteps(t, format.Int(-1), addInt(2), addInt(-3))
	checkSteps(t, format.Int(math.MaxInt64), addInt(math.MaxInt64-1), addInt(1))
	checkSteps(t, format.Int(math.MinInt64), addInt(math.MinInt64+1), addInt(-1))
	checkSteps(t, format.Int(-1), addInt(math.MaxInt64), addInt(math.MinInt64))
	checkSteps(t, format.Int(-1), addInt(math.MinInt64), addInt(math.MaxInt64))
	checkSteps(t, format.Int(math.MaxInt64), addInt(math.MaxInt64), addInt(0))
	checkSteps(t, format.Int(math.MinInt64), addInt(math.MinInt64), addInt(0))
}

func TestScalarTakesTheLastSetAndAddsToIt(t *testing.T) {
	checkSteps(t, format.Int(7), setInt(7))
	checkSteps(t, format.Int(-7), setInt(7), setInt(-7))
	checkSteps(t, format.Int(0), setInt(7), setInt(0))
	checkSteps(t, format.Int(7), addInt(100), setInt(7))
	checkSteps(t, format.Int(9), setInt(7), addInt(2))
	checkSteps(t, format.Float(2.5), setInt(7), setFloat(2.5))
	checkSteps(t, format.Float(2.5), addInt(7), addFloat(0.25), setFloat(2.5))
	checkSteps(t, format.Float(3), setFloat(2.5), addFloat(0.5))
}

func TestScalarOnceFloatStaysFloat(t *testing.T) {
	checkSteps(t, format.Float(0.5), addFloat(0.5))
	checkSteps(t, format.Float(0), addFloat(0))
	checkSteps(t, format.Float(3), addInt(2), addFloat(1))
	checkSteps(t, format.Float(3), addFloat(1), addInt(2))
	checkSteps(t, format.Float(2), addInt(2), addFloat(0))
	checkSteps(t, format.Float(0), addFloat(0.5), addFloat(-0.5))
	checkSteps(t, format.Float(7), setFloat(0.5), setInt(7))
	checkSteps(t, format.Float(7), addFloat(0.5), setInt(7))
	checkSteps(t, format.Float(0), setFloat(0.5), setInt(0))
	checkSteps(t, format.Float(9), setInt(1), setFloat(0.5), setInt(7), addInt(2))
	checkSteps(t, format.Float(8), setInt(1), addFloat(0.5), setInt(7), setInt(8))
}

// What is added and isn't a number would never go away.
func TestScalarFloatsThatAreNoNumbers(t *testing.T) {
	checkSteps(t, format.Int(1), addFloat(math.Inf(1)), addFloat(math.Inf(-1)), addFloat(math.NaN()), addInt(1))
	checkSteps(t, format.Float(math.Inf(-1)), setFloat(math.Inf(-1)))
	checkSteps(t, format.Float(1), setFloat(math.NaN()), setInt(1))
	checkSteps(t, format.Float(math.Inf(1)), addFloat(math.MaxFloat64), addFloat(math.MaxFloat64))
}

func TestScalarBeyondInt64GoesOnAsFloat(t *testing.T) {
	checkSteps(t, format.Float(1<<63), addInt(math.MaxInt64), addInt(1))
	checkSteps(t, format.Float(1<<64), addInt(math.MaxInt64), addInt(math.MaxInt64), addInt(2))
	checkSteps(t, format.Float(3<<63), addInt(math.MaxInt64), addInt(math.MaxInt64), addInt(math.MaxInt64))
	checkSteps(t, format.Float(1<<63), setInt(math.MaxInt64), addInt(1))
	checkSteps(t, format.Float(1<<62), addInt(math.MaxInt64), addInt(1), addInt(-1<<62))
	checkSteps(t, format.Float(5), addInt(math.MaxInt64), addInt(1), setInt(5))

	checkSteps(t, format.Float(-(1<<63)-4096), addInt(math.MinInt64), addInt(-4096))
	checkSteps(t, format.Float(-1<<64), addInt(math.MinInt64), addInt(math.MinInt64))
	checkSteps(t, format.Float(-3<<63), addInt(math.MinInt64), addInt(math.MinInt64), addInt(math.MinInt64))
	checkSteps(t, format.Float(-1<<63), addInt(math.MinInt64), addInt(-1))
	checkSteps(t, format.Float(5), addInt(math.MinInt64), addInt(-1), setInt(5))
}

func TestScalarIsACounterUntilItIsSetOrDecremented(t *testing.T) {
	check := func(want format.Kind, steps ...step) {
		t.Helper()
		s := new(scalar)
		for _, do := range steps {
			do(s)
		}
		if got := s.kind(); got != want {
			t.Errorf("it is a %s, want a %s", got, want)
		}
	}
	check(format.Counter)
	check(format.Counter, addInt(1))
	check(format.Counter, addInt(0))
	check(format.Counter, addFloat(0.5))
	check(format.Counter, addFloat(0))
	check(format.Counter, addInt(math.MaxInt64), addInt(1))
	check(format.Gauge, addInt(-1))
	check(format.Gauge, addInt(5), addInt(-1), addInt(1))
	check(format.Gauge, addFloat(-0.5))
	check(format.Counter, addFloat(math.Inf(-1)))
	check(format.Gauge, addInt(math.MinInt64), addInt(math.MinInt64))
	check(format.Gauge, setInt(1))
	check(format.Gauge, setInt(0))
	check(format.Gauge, setFloat(1))
	check(format.Gauge, addInt(1), setInt(5), addInt(1))
	check(format.Gauge, addFloat(1), setInt(5))
}

func TestScalarCountsConcurrentIncrementsExactly(t *testing.T) {
	each := 1_000_000
	if testing.Short() {
		each = 50_000
	}
	r := NewRegistry()
	together(times(8, func() {
		for range each {
			r.Incr("hits")
		}
	})...)
	checkValue(t, "hits", onlyStat(t, r).Value, format.Int(int64(8*each)))
}

// The first float comes while integers are on their way, in each round anew.
func TestScalarCountsConcurrentIntegersAndFloatsExactly(t *testing.T) {
	const rounds, each = 300, 100
	for range rounds {
		s := new(scalar)
		ints := func() {
			for range each {
				s.addInt(3)
			}
		}
		floats := func() {
			for range each {
				s.addFloat(0.25)
			}
		}
		late := func() {
			for i := range each {
				if i < each/2 {
					s.addInt(1)
				} else {
					s.addFloat(0.5)
				}
			}
		}
		together(ints, ints, ints, late, late, late, floats, floats)
		checkValue(t, "the sum", s.value(), format.Float(3*each*3+3*each/2*1.5+2*each*0.25))
		if t.Failed() {
			return
		}
	}
}

func TestScalarBeyondInt64IsExactWhenIncrementedConcurrently(t *testing.T) {
	check := func(rounds int, first int64, each int, want float64, increments ...int64) {
		t.Helper()
		for range rounds {
			up, down := new(scalar), new(scalar)
			up.addInt(first)
			down.addInt(-first)
			var functions []func()
			for _, n := range increments {
				functions = append(functions, func() {
					for range each {
						up.addInt(n)
						down.addInt(-n)
					}
				})
			}
			together(functions...)
			checkValue(t, fmt.Sprintf("%d plus %d times %d", first, each, increments), up.value(), format.Float(want))
			checkValue(t, fmt.Sprintf("%d minus %d times %d", -first, each, increments), down.value(), format.Float(-want))
			if t.Failed() {
				return
			}
		}
	}
	const n = 1 << 60
	check(300, 0, 100, 400*n, n, n, n, n)
	check(2000, n, 1, 9*n, 4*n, 4*n)
	check(5000, 3*n, 1, 9*n, 3*n, 3*n)
	check(2000, 2*n, 1, 11*n, 3*n, 3*n, 3*n)
	// Beyond int64 by little more than a float can tell.
	check(2000, 4096, 1, 1<<63+2*4096, math.MaxInt64, 4096)
	check(2000, math.MaxInt64-4096, 1, 1<<63+4096, 4096, 4096)
	check(2000, 0, 1, 1<<63, math.MaxInt64, 1, 1)
}

// A counter at the end of int64 is either still there or beyond it.
func TestScalarBeyondInt64NeverLooksNegativeInBetween(t *testing.T) {
	for range 5000 {
		s := new(scalar)
		s.addInt(math.MaxInt64)
		var done atomic.Bool
		together(
			func() {
				s.addInt(1 << 60)
				done.Store(true)
			},
			func() {
				readUntil(done.Load, s, func(got float64) bool {
					if got < 0 {
						t.Errorf("a reader saw %v", got)
					}
					return got >= 0
				})
			})
		if t.Failed() {
			return
		}
	}
}

// Whichever is last, nothing of what was before the set is left.
func TestScalarBeyondInt64IsForgottenByAConcurrentSet(t *testing.T) {
	for range 10_000 {
		s := new(scalar)
		s.addInt(math.MaxInt64)
		together(func() { s.addInt(1) }, func() { s.setInt(5) })
		if got := s.value().Float64(); got != 5 && got != 6 {
			t.Fatalf("it is %v, want 5 or 6", got)
		}
	}
}

// One sets while others increment: what it finds then is what it set, and at
// most what they added. A set that is lost would leave less.
func TestScalarNeverLosesASetToConcurrentIncrements(t *testing.T) {
	const rounds, sets, writers, each = 200, 50, 3, 200
	const size = 1 << 20 // of a set; far more than all increments together
	check := func(what string, set func(s *scalar, i int64), incr step) {
		t.Helper()
		for range rounds {
			s := new(scalar)
			verify := func(when string, i int64) {
				least := float64(i * size)
				if got := s.value().Float64(); got < least || got > least+writers*each {
					t.Errorf("%s: %s it is %v, want %v plus up to %d", what, when, got, least, writers*each)
				}
			}
			functions := times(writers, func() {
				for range each {
					incr(s)
				}
			})
			together(append(functions, func() {
				for i := int64(1); i <= sets && !t.Failed(); i++ {
					set(s, i)
					verify("after a set", i)
				}
			})...)
			verify("at the end", sets)
			if t.Failed() {
				return
			}
		}
	}
	integer := func(s *scalar, i int64) { s.setInt(i * size) }
	float := func(s *scalar, i int64) { s.setFloat(float64(i * size)) }
	mixed := func(s *scalar, i int64) {
		if i%2 == 1 {
			integer(s, i)
		} else {
			float(s, i)
		}
	}
	check("integers beside integers", integer, addInt(1))
	check("integers beside floats", integer, addFloat(0.5))
	check("floats beside integers", float, addInt(1))
	check("floats beside floats", float, addFloat(0.5))
	check("both beside integers", mixed, addInt(1))
	check("both beside floats", mixed, addFloat(0.5))
}

func TestScalarReadersSeeOnlyWhatWasSet(t *testing.T) {
	const a, b = 1000, 0.5
	check := func(what string, rounds, sets int, first step, setters ...func(s *scalar, i int)) {
		t.Helper()
		for range rounds {
			s := new(scalar)
			first(s)
			var setting atomic.Int32
			setting.Store(int32(len(setters)))
			functions := times(2, func() {
				readUntil(func() bool { return setting.Load() == 0 }, s, func(got float64) bool {
					good := got == a || got == b
					if !good {
						t.Errorf("%s: a reader saw %v, which nobody set", what, got)
					}
					return good
				})
			})
			for _, set := range setters {
				functions = append(functions, func() {
					defer setting.Add(-1)
					for i := range sets {
						set(s, i)
					}
				})
			}
			together(functions...)
			if t.Failed() {
				return
			}
		}
	}
	integer := func(s *scalar, _ int) { s.setInt(a) }
	float := func(s *scalar, _ int) { s.setFloat(b) }
	alternating := func(s *scalar, i int) {
		if i%2 == 0 {
			s.setInt(a)
		} else {
			s.setFloat(b)
		}
	}
	check("one setter", 10, 10_000, setInt(a), alternating)
	check("two setters", 10, 10_000, setInt(a), integer, float)
	check("the first float after a set", 3000, 1, setInt(a), float)
	check("the first float after increments", 3000, 1, addInt(a), float)
	check("the first float beside integers", 3000, 3, setInt(a), integer, float)
	check("the first float of two", 3000, 2, setInt(a), float, alternating)
	check("a float that becomes an integer", 1000, 3, setFloat(b), integer)
}

func TestScalarKeepsOneOfTwoConcurrentSets(t *testing.T) {
	for range 20_000 {
		s := new(scalar)
		s.setInt(1000)
		together(
			func() {
				for range 3 {
					s.setInt(1000)
				}
			},
			func() { s.setFloat(0.5) })
		if got := s.value(); !got.IsFloat() || got.Float64() != 1000 && got.Float64() != 0.5 {
			t.Fatalf("it is %s, want 1000.0 or 0.5", got)
		}
	}
}

func TestScalarReadersSeeOnlyWhatWasIncremented(t *testing.T) {
	for range 5000 {
		s := new(scalar)
		var done atomic.Bool
		together(
			func() {
				s.addInt(1000)
				s.addFloat(0.5)
				s.addInt(1000)
				done.Store(true)
			},
			func() {
				readUntil(done.Load, s, func(got float64) bool {
					good := got == 0 || got == 1000 || got == 1000.5 || got == 2000.5
					if !good {
						t.Errorf("a reader saw %v, which is no sum of the first increments", got)
					}
					return good
				})
			})
		if t.Failed() {
			return
		}
	}
}

func TestScalarThatOnlyGrowsNeverFallsForAReader(t *testing.T) {
	for range 300 {
		s := new(scalar)
		var adding atomic.Int32
		adding.Store(2)
		add := func(steps ...step) func() {
			return func() {
				defer adding.Add(-1)
				for i := range 200 {
					steps[i%len(steps)](s)
				}
			}
		}
		together(add(addInt(1)), add(addInt(1), addInt(1), addFloat(0.5)), func() {
			before := 0.0
			readUntil(func() bool { return adding.Load() == 0 }, s, func(now float64) bool {
				fell := now < before
				if fell {
					t.Errorf("it fell from %v to %v", before, now)
				}
				before = now
				return !fell
			})
		})
		if t.Failed() {
			return
		}
	}
}

// Who has incremented a gauge and then set it finds what was set, however many
// read it meanwhile and bring the increment in.
func TestSetComesAfterTheIncrementsBefore(t *testing.T) {
	var s scalar
	s.addFloat(0.5)
	done := make(chan struct{})
	read := func() {
		for {
			select {
			case <-done:
				return
			default:
				s.value()
			}
		}
	}
	together(read, read, func() {
		defer close(done)
		for i := range 200_000 {
			s.addInt(5)
			s.setFloat(1.5)
			if got := s.value(); got != format.Float(1.5) {
				t.Errorf("in round %d it is %s, want 1.5", i, got)
				return
			}
		}
	})
}
