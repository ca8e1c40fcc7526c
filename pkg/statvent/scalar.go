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
// Its value is i as long as floated is false and i + f after that. Adding takes
// no lock. Once floated is set, i only receives what was on its way already.
//
// Three things take mu: setting an integer to i and the change to floats, lest
// an integer be set in i beside a float in f; and setting f while there is
// something in i, which readers that find something in i wait for.
type scalar struct {
	i       atomic.Int64
	f       atomic.Uint64 // a float64's bits
	floated atomic.Bool
	gauge   atomic.Bool // was set or decremented, or is a Gauge
	mu      sync.Mutex
}

func (s *scalar) addInt(n int64) {
	if n < 0 {
		s.becomeGauge()
	}
	for !s.floated.Load() {
		old := s.i.Load()
		sum := old + n
		if (sum > old) != (n > 0) { // it would leave int64
			s.becomeFloat()
			break
		}
		if s.i.CompareAndSwap(old, sum) {
			return
		}
	}
	s.addToFloat(float64(n))
}

func (s *scalar) addFloat(x float64) {
	if x-x != 0 {
		return // NaN or infinite: it would stay so for good, and so would the host's sum
	}
	if x < 0 {
		s.becomeGauge()
	}
	s.becomeFloat()
	s.addToFloat(x)
}

func (s *scalar) addToFloat(x float64) {
	for {
		old := s.f.Load()
		if s.f.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+x)) {
			return
		}
	}
}

func (s *scalar) setInt(n int64) {
	s.becomeGauge()
	if !s.floated.Load() && s.setIfInt(n) {
		return
	}
	s.setToFloat(float64(n))
}

func (s *scalar) setIfInt(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.floated.Load() {
		return false
	}
	s.i.Store(n)
	return true
}

func (s *scalar) setFloat(x float64) {
	s.becomeGauge()
	s.becomeFloat()
	s.setToFloat(x)
}

// setToFloat sets a value that is a float already.
func (s *scalar) setToFloat(x float64) {
	if s.i.Load() == 0 {
		s.f.Store(math.Float64bits(x))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.Store(math.Float64bits(x)) // before i: who finds 0 there reads this
	s.i.Store(0)
}

func (s *scalar) becomeFloat() {
	if s.floated.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floated.Store(true)
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
	if !s.floated.Load() {
		return format.Int(i)
	}
	if i = s.i.Load(); i != 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		i = s.i.Load()
	}
	return format.Float(float64(i) + math.Float64frombits(s.f.Load()))
}

func (s *scalar) kind() format.Kind {
	if s.gauge.Load() {
		return format.Gauge
	}
	return format.Counter
}
