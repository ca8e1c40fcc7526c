package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func sumOf(values ...Value) *Sum {
	var s Sum
	for _, v := range values {
		s.Add(v)
	}
	return &s
}

func TestSum(t *testing.T) {
	f := func(want string, values ...Value) {
		t.Helper()
		if got := sumOf(values...).Value().String(); got != want {
			t.Errorf("%v: got %s, want %s", values, got, want)
		}
	}
	f("0")
	f("6", ints(1, 2, 3)...)
	f("-1", ints(math.MaxInt64, math.MinInt64)...)
	f("6.0", Int(1), Float(2), Int(3))
	f("1.0", floats(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)...) // 0.9999999999999999 otherwise
	f("2.0", floats(1, 1e100, 1, -1e100)...)
	f("2.0", Int(1), Float(1e300), Int(1), Float(-1e300))
	// Integers that leave int64 are floats, those that come back are not.
	f("9.223372036854776e+18", ints(math.MaxInt64, 1)...)
	f("-9.223372036854776e+18", ints(math.MinInt64, -1)...)
	f("9223372036854775806", ints(math.MaxInt64, 1, -2)...)
	f("-9223372036854775808", ints(math.MinInt64, math.MinInt64, math.MaxInt64, 1)...)
	// What is half way between two floats goes to the even one, if nothing small
	// decides.
	f("9007199254740992.0", Float(1<<53), Float(1))
	f("9007199254740994.0", Float(1<<53), Float(1), Float(5e-324))
	f("9007199254740996.0", Float(1<<53+2), Float(1))
	f("9007199254740994.0", Float(1<<53+2), Float(1), Float(-5e-324))
	f("-9007199254740994.0", Float(-1<<53), Int(-1), Float(-5e-324))
	f("9007199254740994.0", Int(1<<53+1), Float(5e-324))
	// Subnormal floats.
	f("1.5e-323", floats(5e-324, 5e-324, 5e-324)...)
	f("5e-324", floats(2.2250738585072014e-308, 5e-324, -2.2250738585072014e-308)...)
	// Zeros: a sum is never the negative one.
	f("0.0", Float(negativeZero))
	f("0.0", Float(negativeZero), Float(negativeZero))
	f("0.0", Int(0), Float(negativeZero))
	f("0.0", floats(1.5, -1.5)...)
	f("0.0", Int(1), Float(-1))
	// Infinities and NaN.
	f("inf", Float(inf), Int(1), Float(-1e308))
	f("-inf", Float(-inf), Float(-inf))
	f("nan", Float(inf), Float(1), Float(-inf))
	f("nan", Float(nan), Int(1))
	f("nan", Float(inf), Float(nan))
	// Beyond the range of float64.
	f("inf", floats(math.MaxFloat64, math.MaxFloat64)...)
	f("-inf", floats(-math.MaxFloat64, -1e308)...)
	f("1.7976931348623157e+308", Float(math.MaxFloat64), Int(math.MaxInt64))
}

// The whole sum is what counts, not what it was on its way.
// What leaves the range of float64 on its way doesn't come back.
func TestSumBeyondFloatRange(t *testing.T) {
	f := func(want string, values ...float64) {
		t.Helper()
		if got := sumOf(floats(values...)...).Value().String(); got != want {
			t.Errorf("%v: got %s, want %s", values, got, want)
		}
	}
	const most = math.MaxFloat64
	f("1.7976931348623157e+308", most, -most, most)
	f("inf", most, most, -most)
	f("-inf", -most, -most, 1)
	f("nan", most, most, -most, -most)
}

func TestPartsOfOneValueAreOne(t *testing.T) {
	f := func(want string, values ...Value) {
		t.Helper()
		if got := fmt.Sprint(sumOf(values...).Parts()); got != want {
			t.Errorf("%v: got %s, want %s", values, got, want)
		}
	}
	f("[0]")
	f("[3]", ints(1, 2)...)
	f("[9223372036854775807]", ints(math.MaxInt64)...)
	f("[0.0]", Float(negativeZero)) // once a float, always a float
	f("[0.0]", Int(1), Float(-1))
	f("[4.0]", Int(1), Float(3))
	f("[1.0 1e+100]", floats(1e100, 1)...)
	f("[1.0 9.223372036854776e+18]", ints(math.MaxInt64, 2)...)
	f("[inf]", floats(inf, 1, 1e100)...)
	f("[nan]", floats(inf, -inf)...)
	f("[inf]", floats(math.MaxFloat64, math.MaxFloat64)...)
}

// nastyValues returns values whose sum is hard to get right: their sizes differ
// by hundreds of orders, they cancel each other out, and they come to lie at and
// beside the middle between two floats.
func nastyValues(r *rand.Rand) []Value {
	values := make([]Value, 0, 40)
	base := r.IntN(1900) - 1000
	for range r.IntN(cap(values)) {
		var v Value
		switch n := r.IntN(8); {
		case n == 0:
			v = Int(randomInt(r))
		case n == 1:
			v = Int(math.MaxInt64 ^ int64(r.IntN(3)-1)) // the ends and their neighbors
		case n == 2: // subnormal
			v = Float(math.Float64frombits(r.Uint64() >> (12 + r.IntN(52))))
		case n == 3:
			v = Float(math.Ldexp(r.Float64()-0.5, r.IntN(2000)-1074))
		case n == 4:
			v = Float(math.Ldexp(1, base+r.IntN(120)))
		case n == 5: // a neighbor of a power of two
			v = Float(math.Nextafter(math.Ldexp(1, base+r.IntN(120)), inf*float64(r.IntN(2)*2-1)))
		case len(values) > 0 && n == 6:
			v = Float(-values[r.IntN(len(values))].Float64())
		default:
			v = Float(float64(r.IntN(2001)-1000) / 100)
		}
		if v.IsFloat() && r.IntN(2) == 0 {
			v = Float(-v.Float64())
		}
		values = append(values, v)
	}
	return values
}

// exactly returns the exact sum of values that are finite.
func exactly(values []Value) *big.Rat {
	sum := new(big.Rat)
	for _, v := range values {
		if v.IsFloat() {
			sum.Add(sum, new(big.Rat).SetFloat64(v.Float64()))
		} else {
			sum.Add(sum, new(big.Rat).SetInt64(v.Int64()))
		}
	}
	return sum
}

// rounded returns the value that a sum of such values should have.
func rounded(exact *big.Rat, float bool) Value {
	if !float && exact.Num().IsInt64() {
		return Int(exact.Num().Int64())
	}
	nearest, _ := exact.Float64()
	return Float(nearest)
}

func anyFloat(values []Value) bool {
	for _, v := range values {
		if v.IsFloat() {
			return true
		}
	}
	return false
}

// checkSum tells what is wrong with the sum of values that are finite and don't
// leave the range of float64.
func checkSum(s *Sum, values []Value) error {
	exact, float := exactly(values), anyFloat(values)
	want := rounded(exact, float)
	if got := s.Value(); !sameValue(got, want) {
		return fmt.Errorf("the sum of %v is %v, want %v", values, got, want)
	}
	parts := s.Parts()
	if exactly(parts).Cmp(exact) != 0 {
		return fmt.Errorf("the parts of %v are %v, whose sum isn't exact", values, parts)
	}
	if got := sumOf(parts...).Value(); !sameValue(got, want) {
		return fmt.Errorf("the parts of %v are %v, whose sum is %v, want %v", values, parts, got, want)
	}
	for i := 1; i < len(parts); i++ {
		if smaller, larger := parts[i-1].Float64(), parts[i].Float64(); smaller == 0 || math.Abs(smaller) >= lastBit(larger) {
			return fmt.Errorf("the parts %v of %v overlap", parts, values)
		}
	}
	return nil
}

// lastBit returns what the lowest bit that is set in x is worth.
func lastBit(x float64) float64 {
	fraction, exponent := math.Frexp(math.Abs(x))
	mantissa := uint64(math.Ldexp(fraction, 53))
	return math.Ldexp(float64(mantissa&-mantissa), exponent-53)
}

func TestAnySumIsExactAndRoundedOnce(t *testing.T) {
	r := freshRand(t)
	for range randomRounds / 10 {
		values := nastyValues(r)
		if err := checkSum(sumOf(values...), values); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSumDoesNotDependOnOrderOrGroups(t *testing.T) {
	r := freshRand(t)
	naiveDiffers := 0
	for range randomRounds / 4 {
		values := nastyValues(r)
		if r.IntN(10) == 0 {
			values = append(values, floats(inf, -inf, nan)[r.IntN(3)])
		}
		want := sumOf(values...).Value()
		naive := func() (sum Value) {
			for _, v := range values {
				sum = sum.Add(v)
			}
			return sum
		}
		before := naive()
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if !sameValue(naive(), before) {
			naiveDiffers++
		}
		groups := make([]Sum, 1+r.IntN(4))
		for _, v := range values {
			groups[r.IntN(len(groups))].Add(v)
		}
		all, parts := &groups[0], sumOf()
		for i := range groups {
			for _, part := range groups[i].Parts() {
				parts.Add(part)
			}
			if i > 0 {
				all.addAll(&groups[i])
			}
		}
		if got := all.Value(); !sameValue(got, want) {
			t.Fatalf("%v: in groups %v, want %v", values, got, want)
		}
		// An integer sum that was beyond int64 in a group is a float since then.
		if got := parts.Value(); !sameValue(got.ToFloat(), want.ToFloat()) {
			t.Fatalf("%v: by the parts of groups %v, want %v", values, got, want)
		}
	}
	if naiveDiffers == 0 {
		t.Error("the values have the same sum when they are added naively: they show nothing")
	}
}

func TestSumNeverFallsBySomethingThatIsNotNegative(t *testing.T) {
	r := freshRand(t)
	for range randomRounds / 10 {
		var s Sum
		last := s.Value()
		for _, v := range nastyValues(r) {
			if v.IsFloat() {
				v = Float(math.Abs(v.Float64()))
			} else {
				v = Int(v.Int64() & math.MaxInt64)
			}
			s.Add(v)
			if now := s.Value(); now.Compare(last) < 0 {
				t.Fatalf("%v + %v is %v", last, v, now)
			}
			last = s.Value()
		}
	}
}

// From the largest float to the smallest it is 2098 bits, of which a part can
// hold 53. Not all do: up to 90 parts were seen.
func TestSumOfManyHasFewParts(t *testing.T) {
	r := freshRand(t)
	var s Sum
	most := 0
	for range randomRounds {
		s.Add(Float(math.Ldexp(r.Float64()-0.5, r.IntN(2000)-1074)))
		most = max(most, len(s.Parts()))
	}
	if most > 128 {
		t.Errorf("%d parts", most)
	}
}

func TestSumOfIntegersAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var s Sum
		for i := range int64(100) {
			s.Add(Int(math.MaxInt64 - i))
			s.Add(Int(math.MinInt64 + i))
		}
		if got := s.Value(); got != Int(-100) {
			t.Errorf("got %v", got)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzSum reads values of nine bytes: whether it is a float, and its bits.
func FuzzSum(f *testing.F) {
	add := func(values ...Value) {
		var text []byte
		for _, v := range values {
			text = append(text, byte(len(v.String())*2))
			if v.IsFloat() {
				text[len(text)-1] |= 1
			}
			text = binary.BigEndian.AppendUint64(text, v.bits)
		}
		f.Add(text)
	}
	add()
	add(ints(math.MaxInt64, 1, -2)...)
	add(floats(1<<53, 1, 5e-324, -1e300, 1e300)...)
	add(Int(1<<53+1), Float(0.1), Float(-0.1), Float(2.2250738585072014e-308))
	f.Fuzz(func(t *testing.T, text []byte) {
		var values []Value
		size := 0.0
		for ; len(text) >= 9; text = text[9:] {
			v := Value{bits: binary.BigEndian.Uint64(text[1:]), float: text[0]&1 == 1}
			if f := v.Float64(); f == f && !math.IsInf(size+math.Abs(f), 0) {
				size += math.Abs(f)
				values = append(values, v)
			}
		}
		s := sumOf(values...)
		if err := checkSum(s, values); err != nil {
			t.Error(err)
		}
	})
}

func TestSubIsExact(t *testing.T) {
	r := freshRand(t)
	for range randomRounds / 10 {
		var s Sum
		values := nastyValues(r)
		exact := new(big.Rat)
		for _, v := range values {
			if r.IntN(2) == 0 {
				s.Add(v)
				exact.Add(exact, exactly([]Value{v}))
			} else {
				s.Sub(v)
				exact.Sub(exact, exactly([]Value{v}))
			}
		}
		if got, want := s.Value(), rounded(exact, anyFloat(values)); !sameValue(got, want) || exactly(s.Parts()).Cmp(exact) != 0 {
			t.Fatalf("%v: got %v of %v, want %v", values, got, s.Parts(), want)
		}
		for _, v := range values { // and what is taken away again is gone
			s.Sub(v)
			s.Add(v)
		}
		if exactly(s.Parts()).Cmp(exact) != 0 {
			t.Fatalf("%v: got %v", values, s.Parts())
		}
	}
}

func TestSubOfInfinitiesAndTheEnds(t *testing.T) {
	f := func(want string, v, w Value) {
		t.Helper()
		s := sumOf(v)
		s.Sub(w)
		if got := s.Value().String(); got != want {
			t.Errorf("%v - %v: got %s, want %s", v, w, got, want)
		}
	}
	f("0", Int(math.MinInt64), Int(math.MinInt64))
	f("9.223372036854776e+18", Int(0), Int(math.MinInt64))
	f("-1", Int(math.MinInt64), Int(-math.MaxInt64))
	f("-inf", Int(1), Float(inf))
	f("inf", Int(1), Float(-inf))
	f("nan", Float(inf), Float(inf))
	f("nan", Int(1), Float(nan))
}
