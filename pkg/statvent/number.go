package statvent

import (
	"math"

	"github.com/statvent/statvent/pkg/format"
)

// A Number is a value that can be counted, set or recorded.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr |
		~float32 | ~float64
}

// valueOf returns n as an integer, if its type is one and n fits int64, else
// as a float.
func valueOf[N Number](n N) format.Value {
	if isFloat := N(1)/2 != 0; isFloat {
		return format.Float(float64(n))
	}
	if n > 0 && uint64(n) > math.MaxInt64 {
		return format.Float(float64(n))
	}
	return format.Int(int64(n))
}
