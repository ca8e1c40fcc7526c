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
// As long as it is an integer and near, which is less than 2^62 away from 0, it is
// i, and adding to it is one atomic add whose result shows that it still is. A
// scalar that is anything else is far: then i stands around home, where no near
// integer is, and the value is that of far plus the distance of i from home. So
// what is added to i counts in either case, also by somebody who doesn't know
// yet.
type scalar struct {
	i     atomic.Int64
	far   atomic.Pointer[far]
	gauge atomic.Bool // was set or decremented, or is a Gauge
}

const (
	near  = 1 << 62
	home  = -3 << 61 // in the middle between -2^63 and -2^62
	stray = 1 << 60  // how far from home i may ever be
	// small is the most that is added to i without looking first. It takes 2^29 of
	// those who add that to get from where one of them does something about it
	// to where i means something else.
	small = 1 << 31
)

func isNear(i int64) bool { return i+near >= 0 } // beyond 2^62 that wraps around

func isFar(i int64) bool { return isWithin(stray, i) }

// isWithin tells whether i is at home, give or take so much. The difference may
// wrap around, and is then too large without its sign.
func isWithin(d uint64, i int64) bool { return uint64(i-home)+d < 2*d }

// A far is a value that is no near integer: n, or a float for good.
type far struct {
	mu      sync.Mutex // guards n, and bringing in what i has
	n       int64
	floated atomic.Bool   // the value is f; set under mu
	f       atomic.Uint64 // a float64's bits
}

// incr adds 1. It is small enough to be inlined.
func (s *scalar) incr() {
	if !isNear(s.i.Add(1)) {
		s.settle()
	}
}

// addInt adds n. It is small enough to be inlined.
func (s *scalar) addInt(n int64) {
	if uint64(n) > small || !isNear(s.i.Add(n)) {
		s.addRarely(n)
	}
}

// addRarely is the rest of addInt, for where n is negative or large, and not
// added yet, or has led out of what is near.
func (s *scalar) addRarely(n int64) {
	if n < 0 {
		s.becomeGauge()
	}
	switch {
	case n < -small || n > small:
		s.addLarge(n)
	case n >= 0 || !isNear(s.i.Add(n)):
		s.settle()
	}
}

func (s *scalar) addLarge(n int64) {
	for {
		old := s.i.Load()
		sum := old + n
		if !isNear(old) || !isNear(n) || !isNear(sum) {
			break
		}
		if s.i.CompareAndSwap(old, sum) {
			return
		}
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	f.addInt(n)
}

// settle is called where something was added to an i that isn't near.
func (s *scalar) settle() {
	if i := s.i.Load(); isNear(i) || isWithin(stray/2, i) {
		return
	}
	s.lockFar().mu.Unlock()
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
	for i := s.i.Load(); !isFar(i); i = s.i.Load() {
		if s.i.CompareAndSwap(i, home) {
			f.n = i
			return f
		}
	}
	f.addInt(s.i.Swap(home) - home)
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
	for pause := 1; ; pause *= 2 {
		old := f.f.Load()
		if f.f.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
		// Somebody else is at it, and gets more done if nobody takes the cache
		// line away each time.
		for range min(pause, maxPause) {
		}
	}
}

// maxPause is how many steps of an empty loop are waited at the most.
const maxPause = 128

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
	for i := s.i.Load(); !isFar(i) && isNear(n); i = s.i.Load() {
		if s.i.CompareAndSwap(i, n) {
			return
		}
	}
	f := s.lockFar()
	defer f.mu.Unlock()
	switch {
	case f.floated.Load():
		f.f.Store(math.Float64bits(float64(n)))
	case isNear(n):
		s.i.Store(n)
	default:
		f.n = n
	}
}

func (s *scalar) setFloat(x float64) {
	s.becomeGauge()
	f := s.float()
	if s.i.Load() != home {
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
	i := s.i.Load()
	if !isFar(i) {
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
