package format

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Value is an integer or a float. The two don't mix silently: an integer is
// written without a point and keeps all of its 64 bits, and what was ever
// touched by a float stays a float. The zero Value is the integer 0.
type Value struct {
	bits  uint64 // an int64, or a float64's bits
	float bool
}

// Int returns the integer value i.
func Int(i int64) Value { return Value{bits: uint64(i)} }

// Float returns the float value f, which may be infinite or not a number.
func Float(f float64) Value { return Value{bits: math.Float64bits(f), float: true} }

// IsFloat tells whether v is a float.
func (v Value) IsFloat() bool { return v.float }

// Int64 returns v as an integer; a float loses what stands behind its point,
// and one beyond the range of int64 yields the nearest end of that range
// (NaN yields 0).
func (v Value) Int64() int64 {
	if !v.float {
		return int64(v.bits)
	}
	switch f := v.Float64(); {
	case f != f:
		return 0
	case f >= math.MaxInt64: // the constant rounds to 2^63, the first float beyond
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	default:
		return int64(f)
	}
}

// Float64 returns v as a float. Integers beyond 2^53 are rounded.
func (v Value) Float64() float64 {
	if v.float {
		return math.Float64frombits(v.bits)
	}
	return float64(int64(v.bits))
}

// IsFinite tells whether v is neither infinite nor NaN.
func (v Value) IsFinite() bool {
	f := v.Float64()
	return f-f == 0
}

// ToFloat returns v as a float value.
func (v Value) ToFloat() Value { return Float(v.Float64()) }

// Add returns v + w: an integer if both are and their sum fits int64, else a
// float.
func (v Value) Add(w Value) Value {
	if v.float || w.float {
		return Float(v.Float64() + w.Float64())
	}
	a, b := int64(v.bits), int64(w.bits)
	sum := a + b
	if (sum > a) != (b > 0) { // it wrapped around
		return Float(float64(a) + float64(b))
	}
	return Int(sum)
}

// Compare orders values by size, NaN before everything else.
func (v Value) Compare(w Value) int {
	if !v.float && !w.float {
		return cmp.Compare(int64(v.bits), int64(w.bits))
	}
	return cmp.Compare(v.Float64(), w.Float64())
}

// Append appends v as text. An integer has no point. A float is the shortest
// text that reads back to the same float and always has a point, an exponent,
// "inf" or "nan", so that its reader sees a float again. That is the text of
// Python's repr, exponent from 1e16 on and below 1e-4 included.
func (v Value) Append(b []byte) []byte {
	if !v.float {
		return strconv.AppendInt(b, int64(v.bits), 10)
	}
	f := v.Float64()
	switch {
	case f != f:
		return append(b, "nan"...)
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	if slices.Contains(b[start:], '.') {
		return b
	}
	return append(b, ".0"...)
}

// String returns the text that Append writes.
func (v Value) String() string { return string(v.Append(nil)) }

// ParseValue reads a decimal integer or float, as the plain format has them:
// an optional sign, digits, a point, an exponent; inf, infinity and nan in any
// case. An integer that doesn't fit int64 becomes the nearest float. Neither
// hexadecimal nor digit separators are numbers here.
func ParseValue(s string) (Value, error) {
	v, ok := parseValue(s)
	if !ok {
		return Value{}, fmt.Errorf("not a number: %q", s)
	}
	return v, nil
}

// parseValue is ParseValue without an error to make: s needn't be on the heap.
func parseValue(s string) (Value, bool) {
	if v, ok := parseShortInt(s); ok {
		return v, true
	}
	if v, ok := parseShortFloat(s); ok {
		return v, true
	}
	if isInteger(s) { // else ParseInt would make an error for nothing
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return Int(i), true
		}
	}
	if strings.ContainsAny(s, "xX_") {
		return Value{}, false
	}
	if unsigned := strings.TrimLeft(s, "+-"); len(s)-len(unsigned) == 1 && strings.EqualFold(unsigned, "nan") {
		s = unsigned // C's printf writes "-nan"
	}
	f, err := strconv.ParseFloat(s, 64)
	return Float(f), err == nil || math.IsInf(f, 0) // beyond the range of float64 is infinite, as in Python
}

// isInteger tells whether there is nothing but digits behind a sign.
func isInteger(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseShortInt reads up to 18 digits, which can't overflow. Nearly every
// value of a snapshot is one.
func parseShortInt[T string | []byte](s T) (Value, bool) {
	digits, negative := s, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	if len(digits) == 0 || len(digits) > 18 {
		return Value{}, false
	}
	var n int64
	for i := range len(digits) {
		c := digits[i] - '0'
		if c > 9 {
			return Value{}, false
		}
		n = n*10 + int64(c)
	}
	if negative {
		n = -n
	}
	return Int(n), true
}

// parseShortFloat reads up to 15 digits with a point among them, as nearly every
// float is written. Both the digits and the power of ten are floats without
// rounding, so that their quotient is rounded once, as it should be (W. D.
// Clinger, How to Read Floating Point Numbers Accurately, 1990).
func parseShortFloat[T string | []byte](s T) (Value, bool) {
	digits, negative := s, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	if len(digits) > 16 {
		return Value{}, false
	}
	var n int64
	point := -1 // where it is
	for i := range len(digits) {
		switch c := digits[i]; {
		case '0' <= c && c <= '9':
			n = n*10 + int64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return Value{}, false
		}
	}
	if point <= 0 || point == len(digits)-1 {
		return Value{}, false
	}
	f := float64(n) / powersOfTen[len(digits)-1-point]
	if negative {
		f = -f
	}
	return Float(f), true
}

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}
