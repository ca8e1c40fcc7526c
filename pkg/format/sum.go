package format

import (
	"math"
	"math/bits"
)

// A Sum adds values without rounding: only its Value is rounded, once. So it
// doesn't depend on the order of the values or on how they were grouped, and
// it never falls when something is added that isn't negative. With plain float
// addition both happen, and a counter that falls by its last bit is a reset to
// whoever computes rates. The zero Sum is the integer 0. One that leaves the
// range of float64 on its way is infinite from then on. A Sum must not be copied.
type Sum struct {
	hi int64 // hi<<64 + lo is the sum of the integers
	lo uint64
	// parts are floats that don't overlap, in increasing order of their size,
	// whose exact sum is that of the floats (J. R. Shewchuk, Adaptive Precision
	// Floating-Point Arithmetic, 1997).
	parts   []float64
	special float64 // the sum of infinities and NaNs, where there were any
	float   bool    // a float was added
}

// reset makes it the zero Sum, which keeps its memory.
func (s *Sum) reset() { *s = Sum{parts: s.parts[:0]} }

// Add adds v.
func (s *Sum) Add(v Value) {
	if v.float {
		s.float = true
		s.parts, s.special = addExactly(s.parts, s.special, v.Float64())
		return
	}
	i := int64(v.bits)
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(i), 0)
	s.hi += i>>63 + int64(carry)
}

// Sub subtracts v.
func (s *Sum) Sub(v Value) {
	if v.float {
		s.Add(Float(-v.Float64()))
		return
	}
	i := int64(v.bits)
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, uint64(i), 0)
	s.hi -= i>>63 + int64(borrow)
}

// addAll adds what is in t.
func (s *Sum) addAll(t *Sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, t.lo, 0)
	s.hi += t.hi + int64(carry)
	s.float = s.float || t.float
	s.special += t.special
	for _, x := range t.parts {
		s.parts, s.special = addExactly(s.parts, s.special, x)
	}
}

// addExactly adds x to parts.
func addExactly(parts []float64, special, x float64) ([]float64, float64) {
	if math.IsInf(x, 0) || x != x {
		return parts, special + x
	}
	kept := parts[:0]
	for _, y := range parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		sum := x + y
		if math.IsInf(sum, 0) {
			return kept, special + sum
		}
		if rest := y - (sum - x); rest != 0 {
			kept = append(kept, rest)
		}
		x = sum
	}
	if x != 0 {
		kept = append(kept, x)
	}
	return kept, special
}

// Value returns the sum: an integer if all values were and it fits int64, else
// the float that is nearest.
func (s *Sum) Value() Value {
	if i, ok := s.integer(); ok && !s.float {
		return Int(i)
	}
	var memory [8]float64 // there are seldom more
	parts, special := s.floats(memory[:0])
	if special != 0 || special != special {
		return Float(special)
	}
	return Float(nearest(parts))
}

// Parts returns values whose exact sum is that of s: one, unless no single integer
// or float is that.
func (s *Sum) Parts() []Value {
	if i, ok := s.integer(); ok && !s.float {
		return []Value{Int(i)}
	}
	parts, special := s.floats(nil)
	if special != 0 || special != special {
		return []Value{Float(special)}
	}
	if len(parts) == 0 {
		return []Value{Float(0)}
	}
	values := make([]Value, len(parts))
	for i, part := range parts {
		values[i] = Float(part)
	}
	return values
}

// integer returns the sum of the integers, if it fits.
func (s *Sum) integer() (int64, bool) {
	return int64(s.lo), s.hi == int64(s.lo)>>63
}

// floats appends the parts of the whole sum, integers included.
func (s *Sum) floats(parts []float64) ([]float64, float64) {
	parts, special := append(parts, s.parts...), s.special
	// Each of these is exact: 32 bits fit a float, and so does hi, which is no
	// larger than the number of values.
	for _, x := range []float64{
		float64(s.lo & math.MaxUint32),
		float64(s.lo>>32) * (1 << 32),
		float64(s.hi) * (1 << 64),
	} {
		parts, special = addExactly(parts, special, x)
	}
	return parts, special
}

// nearest returns the float that is nearest to the sum of parts that don't
// overlap, the even one where two are.
func nearest(parts []float64) float64 {
	n := len(parts)
	if n == 0 {
		return 0
	}
	sum, rest := parts[n-1], 0.0
	for n--; n > 0 && rest == 0; n-- {
		larger := sum
		sum = larger + parts[n-1]
		rest = parts[n-1] - (sum - larger)
	}
	// If rest is half of the last bit of sum, that was rounded to even, but what
	// comes below rest may decide otherwise.
	if n > 0 && (rest < 0) == (parts[n-1] < 0) {
		if up := sum + 2*rest; up-sum == 2*rest {
			return up
		}
	}
	return sum
}
