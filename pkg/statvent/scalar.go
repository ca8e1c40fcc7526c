package statvent

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/statvent/statvent/pkg/format"
)

// A scalar is the value of a counter or gauge. It begins as the integer 0 and
// becomes a float, for good, with the first float that it meets.
//
// As long as it is an integer that is not below -2^62, it is i, and adding to it is
// one atomic add. A scalar that is anything else is far: then i stands around
// home, where no such integer is, and the value is that of far plus the distance
// of i from home. So what is added to i counts in either case, also by somebody
// who doesn't know yet.
//
// Who adds must look whether i still has its meaning: see settle. It is enough to
// look at what i was before, which saves an instruction of few, and only if that
// was negative. Who adds 1 needn't look at all: nobody can do that 2^59 times before
// the next one who does. At 5 ns each that takes 90 years.
//
// That i is no atomic.Int64 saves a level of inlining, for which the compiler leaves
// an instruction in the caller's loop: a tenth of what an increment takes.
type scalar struct {
	_     [0]atomic.Int64 // aligns i where int64 isn't
	i     int64           //nolint:modernize // atomic: see above
	far   atomic.Pointer[far]
	gauge atomic.Bool // was set or decremented, or is a Gauge
}

// What i means, in units of 2^60 from -8 to 8:
//
//	-8 to -7  the sum has left int64, and wrapped around; it is i + 2^64
//	-7 to -5  far; home is in the middle
//	-5 to  8  the integer i; below -4 it is about to become far
//
// It takes 2^28 of those who add as much as may be added without looking first, at
// once, to get from where one of them does something about it to where i would mean
// something else.
const (
	unit  = 1 << 60
	home  = -6 * unit
	small = unit >> 29
)

func isNear(i int64) bool    { return i >= -4*unit }
func isInt(i int64) bool     { return i >= -5*unit }
func isFar(i int64) bool     { return -7*unit <= i && i < -5*unit }
func isWrapped(i int64) bool { return i < -7*unit }

// A far is a value that is no near integer: n, or a float for good.
type far struct {
	mu      sync.Mutex // guards n, and bringing in what i has
	n       int64
	floated atomic.Bool   // the value is f; set under mu
	f       atomic.Uint64 // a float64's bits
}

// addInt adds n. It is small enough to be inlined.
func (s *scalar) addInt(n int64) {
	if uint64(n) > small || atomic.AddInt64(&s.i, n)-n < 0 {
		s.addRarely(n)
	}
}

// addRarely is the rest of addInt: n is not added yet if it is negative or large.
func (s *scalar) addRarely(n int64) {
	if n < 0 {
		s.becomeGauge()
	}
	if n < -small || n > small {
		s.addLarge(n)
		return
	}
	if n < 0 {
		atomic.AddInt64(&s.i, n)
	}
	s.settle()
}

// settle sees to it that i keeps its meaning: a far one is brought in before it is
// half a unit away from home.
func (s *scalar) settle() {
	if i := atomic.LoadInt64(&s.i); !isNear(i) && (i < home-unit/2 || i > home+unit/2) {
		s.lockFar().mu.Unlock()
	}
}

func (s *scalar) addLarge(n int64) {
	for {
		old := atomic.LoadInt64(&s.i)
		sum := old + n
		if !isNear(old) || !isNear(sum) || (sum > old) != (n > 0) {
			break
		}
		if atomic.CompareAndSwapInt64(&s.i, old, sum) {
			return
		}
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	f.addInt(n)
}

// lockFar makes the scalar a far one, if it isn't, locks it, and takes over what
// was added to i.
func (s *scalar) lockFar() *far {
	f := s.far.Load()
	if f == nil {
		f = new(far)
		if !s.far.CompareAndSwap(nil, f) {
			f = s.far.Load()
		}
	}
	f.mu.Lock()
	for i := atomic.LoadInt64(&s.i); !isFar(i); i = atomic.LoadInt64(&s.i) {
		if !atomic.CompareAndSwapInt64(&s.i, i, home) {
			continue
		}
		f.n = i
		if isWrapped(i) {
			f.f.Store(math.Float64bits(float64(uint64(i))))
			f.floated.Store(true)
		}
		return f
	}
	// First there, then not here any more: who finds i at home, as setFloat does,
	// knows that nothing is on its way.
	if n := atomic.LoadInt64(&s.i) - home; n != 0 {
		f.addInt(n)
		atomic.AddInt64(&s.i, -n)
	}
	return f
}

// addInt adds n. The caller has locked f.
func (f *far) addInt(n int64) {
	if !f.floated.Load() {
		sum := f.n + n
		if (sum > f.n) == (n > 0) {
			f.n = sum
			return
		}
		f.becomeFloat() // it would leave int64
	}
	f.addFloat(float64(n))
}

// becomeFloat makes a float of it. The caller has locked f.
func (f *far) becomeFloat() {
	if !f.floated.Load() {
		f.f.Store(math.Float64bits(float64(f.n)))
		f.floated.Store(true)
	}
}

// addFloat adds x to a value that is a float.
func (f *far) addFloat(x float64) {
	for pause := 16; ; pause = min(2*pause, maxPause) {
		old := f.f.Load()
		if f.f.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
		// Somebody else is at it, and gets more done if nobody takes the cache
		// line away each time.
		for range pause {
		}
	}
}

// maxPause is how many steps of an empty loop are waited at the most.
const maxPause = 1024

// addFloat is as fast as it can be where x isn't negative and the scalar a float.
func (s *scalar) addFloat(x float64) {
	if f := s.far.Load(); x >= 0 && x <= math.MaxFloat64 && f != nil && f.floated.Load() {
		f.addFloat(x)
		return
	}
	if x-x != 0 {
		return // NaN or infinite: it would stay so for good, and so would the host's sum
	}
	if x < 0 {
		s.becomeGauge()
	}
	s.float().addFloat(x)
}

// float returns the float that the scalar becomes, if it isn't one.
func (s *scalar) float() *far {
	if f := s.far.Load(); f != nil && f.floated.Load() {
		return f
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	f.becomeFloat()
	return f
}

func (s *scalar) setInt(n int64) {
	s.becomeGauge()
	for i := atomic.LoadInt64(&s.i); isInt(i) && isNear(n); i = atomic.LoadInt64(&s.i) {
		if atomic.CompareAndSwapInt64(&s.i, i, n) {
			return
		}
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	switch {
	case f.floated.Load():
		f.f.Store(math.Float64bits(float64(n)))
	case isNear(n):
		atomic.StoreInt64(&s.i, n)
	default:
		f.n = n
	}
}

func (s *scalar) setFloat(x float64) {
	s.becomeGauge()
	f := s.float()
	if atomic.LoadInt64(&s.i) != home {
		defer s.lockFar().mu.Unlock()
	}
	f.f.Store(math.Float64bits(x))
}

func (s *scalar) becomeGauge() {
	if !s.gauge.Load() {
		s.gauge.Store(true)
	}
}

func (s *scalar) add(v format.Value) {
	if v.IsFloat() {
		s.addFloat(v.Float64())
	} else {
		s.addInt(v.Int64())
	}
}

func (s *scalar) set(v format.Value) {
	if v.IsFloat() {
		s.setFloat(v.Float64())
	} else {
		s.setInt(v.Int64())
	}
}

func (s *scalar) value() format.Value {
	i := atomic.LoadInt64(&s.i)
	if isInt(i) {
		return format.Int(i)
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	if f.floated.Load() {
		return format.Float(math.Float64frombits(f.f.Load()))
	}
	return format.Int(f.n)
}

func (s *scalar) kind() format.Kind {
	if s.gauge.Load() {
		return format.Gauge
	}
	return format.Counter
}
