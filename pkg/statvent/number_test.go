package statvent

import (
	"math"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

func checkInt[N Number](t *testing.T, n N, want int64) {
	t.Helper()
	v := valueOf(n)
	if v.IsFloat() || v.Int64() != want {
		t.Errorf("%T %v is the value %s, want the integer %d", n, n, v, want)
	}
}

func checkFloat[N Number](t *testing.T, n N, want float64) {
	t.Helper()
	v := valueOf(n)
	if !v.IsFloat() || math.Float64bits(v.Float64()) != math.Float64bits(want) {
		t.Errorf("%T %v is the value %s, want the float %v", n, n, v, want)
	}
}

func TestEachIntegerTypeIsAnInteger(t *testing.T) {
	checkInt(t, int(0), 0)
	checkInt(t, int(-3), -3)
	checkInt(t, int8(math.MinInt8), -128)
	checkInt(t, int8(math.MaxInt8), 127)
	checkInt(t, int16(math.MinInt16), -32768)
	checkInt(t, int16(math.MaxInt16), 32767)
	checkInt(t, int32(math.MinInt32), -2147483648)
	checkInt(t, int32(math.MaxInt32), 2147483647)
	checkInt(t, int64(math.MinInt64), math.MinInt64)
	checkInt(t, int64(math.MaxInt64), math.MaxInt64)
	checkInt(t, uint(7), 7)
	checkInt(t, uint8(math.MaxUint8), 255)
	checkInt(t, uint16(math.MaxUint16), 65535)
	checkInt(t, uint32(math.MaxUint32), 4294967295)
	checkInt(t, uint64(0), 0)
	checkInt(t, uint64(math.MaxInt64), math.MaxInt64)
	checkInt(t, uintptr(0xffff), 65535)
}

func TestEachFloatTypeIsAFloat(t *testing.T) {
	checkFloat(t, float32(0), 0)
	checkFloat(t, float32(3), 3)
	checkFloat(t, float32(0.1), float64(float32(0.1)))
	checkFloat(t, float32(-1.5), -1.5)
	checkFloat(t, float64(0), 0)
	checkFloat(t, float64(3), 3)
	checkFloat(t, 0.1, 0.1)
	checkFloat(t, -math.MaxFloat64, -math.MaxFloat64)
	checkFloat(t, math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64)
	checkFloat(t, math.Inf(1), math.Inf(1))
	checkFloat(t, math.Inf(-1), math.Inf(-1))
	if v := valueOf(math.NaN()); v.String() != "nan" {
		t.Errorf("NaN is the value %s", v)
	}
}

func TestUnsignedBeyondInt64IsAFloat(t *testing.T) {
	checkFloat(t, uint64(math.MaxInt64)+1, 1<<63)
	checkFloat(t, uint64(math.MaxUint64), 1<<64)
	if math.MaxUint == math.MaxUint64 {
		checkFloat(t, uint(math.MaxUint), 1<<64)
		checkFloat(t, ^uintptr(0), 1<<64)
	}
}

func TestNamedTypesAreLikeTheTypesTheyAreMadeOf(t *testing.T) {
	type (
		tiny    int8
		offset  int64
		size    uint64
		octet   uint8
		ratio   float32
		seconds float64
	)
	checkInt(t, tiny(-128), -128)
	checkInt(t, offset(math.MinInt64), math.MinInt64)
	checkInt(t, size(42), 42)
	checkFloat(t, size(math.MaxUint64), 1<<64)
	checkInt(t, octet(255), 255)
	checkInt(t, 3*time.Millisecond, 3_000_000)
	checkFloat(t, ratio(0.5), 0.5)
	checkFloat(t, seconds(2), 2)
}

func TestValuesOfNumbersPrintAsWhatTheyAre(t *testing.T) {
	check := func(v format.Value, want string) {
		t.Helper()
		if v.String() != want {
			t.Errorf("got %s, want %s", v, want)
		}
	}
	check(valueOf(3), "3")
	check(valueOf(3.0), "3.0")
	check(valueOf(uint8(200)), "200")
	check(valueOf(uint64(math.MaxUint64)), "1.8446744073709552e+19")
}
