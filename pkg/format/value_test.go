package format

import (
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// randomRounds is how often a property is tried with fresh random data.
const randomRounds = 20_000

// freshRand returns a new source of random data; a failing test shows how to
// make the same one again.
func freshRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed1, seed2 := rand.Uint64(), rand.Uint64()
	t.Logf("random data of rand.NewPCG(%#x, %#x)", seed1, seed2)
	return rand.New(rand.NewPCG(seed1, seed2))
}

// randomInt returns an integer of 0 to 64 bits, so that small ones come as
// often as big ones.
func randomInt(r *rand.Rand) int64 { return int64(r.Uint64()) >> r.IntN(64) }

// randomFloat returns any bit pattern, or one of the floats that people use.
func randomFloat(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return float64(r.IntN(2_000_001)-1_000_000) / 1000
	case 1:
		return float64(randomInt(r))
	case 2: // around the places where the exponent begins
		return r.Float64() * math.Pow10(r.IntN(24)-6)
	default:
		return math.Float64frombits(r.Uint64())
	}
}

func randomValue(r *rand.Rand) Value {
	if r.IntN(2) == 0 {
		return Int(randomInt(r))
	}
	return Float(randomFloat(r))
}

// sameValue tells whether two values have the same kind and the same bits,
// all NaNs being one.
func sameValue(v, w Value) bool {
	if !v.IsFloat() || !w.IsFloat() {
		return v.IsFloat() == w.IsFloat() && v.Int64() == w.Int64()
	}
	f, g := v.Float64(), w.Float64()
	return math.Float64bits(f) == math.Float64bits(g) || f != f && g != g
}

var (
	inf          = math.Inf(1)
	nan          = math.NaN()
	negativeZero = math.Copysign(0, -1)
)

func TestZeroValueIsIntegerZero(t *testing.T) {
	var v Value
	if v.IsFloat() || v.Int64() != 0 || v.String() != "0" {
		t.Errorf("the zero Value is %v, float %v", v, v.IsFloat())
	}
}

func TestIntegerKeepsAllBits(t *testing.T) {
	f := func(i int64, want string) {
		t.Helper()
		v := Int(i)
		if v.IsFloat() || v.Int64() != i || v.String() != want {
			t.Errorf("Int(%d): float %v, Int64 %d, text %q", i, v.IsFloat(), v.Int64(), v)
		}
	}
	f(0, "0")
	f(1, "1")
	f(-1, "-1")
	f(1<<53, "9007199254740992")
	f(1<<53+1, "9007199254740993") // no float64
	f(-1<<53-1, "-9007199254740993")
	f(999999999999999999, "999999999999999999")
	f(1000000000000000000, "1000000000000000000")
	f(math.MaxInt64-1, "9223372036854775806")
	f(math.MaxInt64, "9223372036854775807")
	f(math.MinInt64, "-9223372036854775808")
}

// The texts are those of Python's repr.
func TestFloatIsShortestTextThatStaysFloat(t *testing.T) {
	f := func(x float64, want string) {
		t.Helper()
		v := Float(x)
		if got := v.String(); got != want || !v.IsFloat() {
			t.Errorf("Float(%g) is written %q, float %v, want %q", x, got, v.IsFloat(), want)
		}
	}
	f(0, "0.0")
	f(negativeZero, "-0.0")
	f(1, "1.0")
	f(-1, "-1.0")
	f(100, "100.0")
	f(99.5, "99.5")
	f(0.1, "0.1")
	f(0.30000000000000004, "0.30000000000000004")
	f(1.0/3, "0.3333333333333333")
	f(-3.14, "-3.14")
	f(123456789012345, "123456789012345.0")
	f(1234567890123456, "1234567890123456.0")
	f(12345678901234567, "1.2345678901234568e+16")
	f(1e15, "1000000000000000.0")
	f(1<<53, "9007199254740992.0")
	f(9999999999999998, "9999999999999998.0")
	f(1e16, "1e+16")
	f(-1e16, "-1e+16")
	f(1.5e16, "1.5e+16")
	f(1<<63, "9.223372036854776e+18")
	f(1e21, "1e+21")
	f(1e100, "1e+100")
	f(0.0001, "0.0001")
	f(-0.00012, "-0.00012")
	f(0.00009999, "9.999e-05")
	f(1e-05, "1e-05")
	f(-1.5e-05, "-1.5e-05")
	f(1e-9, "1e-09")
	f(math.MaxFloat64, "1.7976931348623157e+308")
	f(2.2250738585072014e-308, "2.2250738585072014e-308")
	f(math.SmallestNonzeroFloat64, "5e-324")
	f(inf, "inf")
	f(-inf, "-inf")
	f(nan, "nan")
	f(math.Copysign(nan, -1), "nan")
}

func TestAppendLooksOnlyAtItsOwnText(t *testing.T) {
	f := func(before string, v Value, want string) {
		t.Helper()
		if got := string(v.Append([]byte(before))); got != want {
			t.Errorf("Append(%q, %v) = %q, want %q", before, v, got, want)
		}
	}
	f("a.b: ", Float(1), "a.b: 1.0")
	f("a.b: ", Int(1), "a.b: 1")
	f("e: ", Float(1e16), "e: 1e+16")
	f("inf: ", Float(-inf), "inf: -inf")
	f("", Float(nan), "nan")
}

func TestInt64OfFloatIsNearestEnd(t *testing.T) {
	f := func(x float64, want int64) {
		t.Helper()
		if got := Float(x).Int64(); got != want {
			t.Errorf("Float(%g).Int64() = %d, want %d", x, got, want)
		}
	}
	f(0, 0)
	f(negativeZero, 0)
	f(1.9, 1)
	f(-1.9, -1)
	f(1e15+0.5, 1e15)
	f(9223372036854774784, 9223372036854774784) // the last float below 2^63
	f(1<<63, math.MaxInt64)
	f(1e300, math.MaxInt64)
	f(inf, math.MaxInt64)
	f(-1<<63, math.MinInt64)
	f(-1e300, math.MinInt64)
	f(-inf, math.MinInt64)
	f(nan, 0)
}

func TestToFloatRoundsIntegersBeyond53Bits(t *testing.T) {
	f := func(v Value, want string) {
		t.Helper()
		if got := v.ToFloat(); got.String() != want || got.Float64() != v.Float64() {
			t.Errorf("%v.ToFloat() = %v (Float64 %g), want %s", v, got, v.Float64(), want)
		}
	}
	f(Int(0), "0.0")
	f(Int(-5), "-5.0")
	f(Int(1<<53), "9007199254740992.0")
	f(Int(1<<53+1), "9007199254740992.0")
	f(Int(math.MaxInt64), "9.223372036854776e+18")
	f(Int(math.MinInt64), "-9.223372036854776e+18")
	f(Float(0.5), "0.5")
	f(Float(-inf), "-inf")
}

func TestAdd(t *testing.T) {
	f := func(v, w Value, want string) {
		t.Helper()
		if got := v.Add(w).String(); got != want {
			t.Errorf("%v + %v = %s, want %s", v, w, got, want)
		}
		if got := w.Add(v).String(); got != want {
			t.Errorf("%v + %v = %s, want %s", w, v, got, want)
		}
	}
	f(Int(0), Int(0), "0")
	f(Int(1), Int(2), "3")
	f(Int(5), Int(-5), "0")
	f(Int(1<<53), Int(1), "9007199254740993")
	f(Int(math.MaxInt64), Int(0), "9223372036854775807")
	f(Int(math.MaxInt64-1), Int(1), "9223372036854775807")
	f(Int(math.MinInt64), Int(0), "-9223372036854775808")
	f(Int(math.MinInt64+1), Int(-1), "-9223372036854775808")
	f(Int(math.MinInt64), Int(math.MaxInt64), "-1")
	// Once a float, always a float.
	f(Int(1), Float(2), "3.0")
	f(Float(0.5), Float(0.5), "1.0")
	f(Int(1), Float(-1), "0.0")
	f(Int(7), Float(inf), "inf")
	f(Float(inf), Float(-inf), "nan")
	f(Float(nan), Int(1), "nan")
	f(Float(math.MaxFloat64), Float(math.MaxFloat64), "inf")
}

func TestAddBeyondInt64GoesOnAsFloat(t *testing.T) {
	f := func(a, b int64, want string) {
		t.Helper()
		if got := Int(a).Add(Int(b)); got.String() != want || !got.IsFloat() {
			t.Errorf("%d + %d = %v, float %v, want %s", a, b, got, got.IsFloat(), want)
		}
		if got := Int(b).Add(Int(a)); got.String() != want || !got.IsFloat() {
			t.Errorf("%d + %d = %v, float %v, want %s", b, a, got, got.IsFloat(), want)
		}
	}
	f(math.MaxInt64, 1, "9.223372036854776e+18")
	f(math.MaxInt64, math.MaxInt64, "1.8446744073709552e+19")
	f(1<<62, 1<<62, "9.223372036854776e+18")
	f(math.MinInt64, -1, "-9.223372036854776e+18")
	f(math.MinInt64, math.MinInt64, "-1.8446744073709552e+19")
	f(-1<<62-1, -1<<62, "-9.223372036854776e+18")
}

func TestAddOfAnyIntegersIsExactOrFloat(t *testing.T) {
	r := freshRand(t)
	for range randomRounds {
		a, b := randomInt(r), randomInt(r)
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		sum := Int(a).Add(Int(b))
		if exact.IsInt64() {
			if sum.IsFloat() || sum.Int64() != exact.Int64() {
				t.Fatalf("%d + %d = %v, want %v", a, b, sum, exact)
			}
			continue
		}
		want, _ := new(big.Float).SetInt(exact).Float64()
		if !sum.IsFloat() || math.Abs(sum.Float64()/want-1) > 1e-15 {
			t.Fatalf("%d + %d = %v, want about %g", a, b, sum, want)
		}
	}
}

func TestCompare(t *testing.T) {
	f := func(v, w Value, want int) {
		t.Helper()
		if got := v.Compare(w); got != want {
			t.Errorf("%v.Compare(%v) = %d, want %d", v, w, got, want)
		}
		if got := w.Compare(v); got != -want {
			t.Errorf("%v.Compare(%v) = %d, want %d", w, v, got, -want)
		}
	}
	f(Int(1), Int(2), -1)
	f(Int(2), Int(2), 0)
	f(Int(-1), Int(1), -1)
	f(Int(1<<53), Int(1<<53+1), -1) // the same as floats
	f(Int(math.MinInt64), Int(math.MaxInt64), -1)
	f(Int(1), Float(1), 0)
	f(Int(1), Float(1.5), -1)
	f(Float(0.5), Int(1), -1)
	f(Float(-1), Float(-0.5), -1)
	f(Float(negativeZero), Float(0), 0)
	f(Float(-inf), Int(math.MinInt64), -1)
	f(Int(math.MaxInt64), Float(inf), -1)
	f(Float(nan), Float(-inf), -1)
	f(Float(nan), Int(math.MinInt64), -1)
	f(Float(nan), Float(nan), 0)
}

func TestParseValueInteger(t *testing.T) {
	f := func(s string, want int64) {
		t.Helper()
		v, err := ParseValue(s)
		if err != nil || v.IsFloat() || v.Int64() != want {
			t.Errorf("ParseValue(%q) = %v, float %v, error %v, want %d", s, v, v.IsFloat(), err, want)
		}
	}
	f("0", 0)
	f("-0", 0)
	f("+0", 0)
	f("7", 7)
	f("-7", -7)
	f("+7", 7)
	f("007", 7)
	f("-007", -7)
	f("9007199254740993", 9007199254740993)
	f("999999999999999999", 999999999999999999)    // 18 digits
	f("-999999999999999999", -999999999999999999)  //
	f("1000000000000000000", 1000000000000000000)  // 19
	f("0000000000000000000000000000000000042", 42) // 37
	f("9223372036854775807", math.MaxInt64)
	f("+9223372036854775807", math.MaxInt64)
	f("-9223372036854775808", math.MinInt64)
}

func TestParseValueFloat(t *testing.T) {
	f := func(s string, want float64) {
		t.Helper()
		v, err := ParseValue(s)
		if err != nil || !sameValue(v, Float(want)) {
			t.Errorf("ParseValue(%q) = %v, float %v, error %v, want %v", s, v, v.IsFloat(), err, Float(want))
		}
	}
	f("0.0", 0)
	f("-0.0", negativeZero)
	f("1.0", 1)
	f("1.", 1)
	f(".5", 0.5)
	f("-.5", -0.5)
	f("+1.5", 1.5)
	f("99.5", 99.5)
	f("1e3", 1000)
	f("1E3", 1000)
	f("1e+16", 1e16)
	f("1.0e+16", 1e16)
	f("1e-05", 1e-05)
	f("123456789012345.0", 123456789012345)
	f("0.30000000000000004", 0.30000000000000004)
	// Integers beyond int64, as C's %lu and Python write them.
	f("9223372036854775808", 1<<63)
	f("-9223372036854775809", -1<<63)
	f("18446744073709551615", 1<<64)
	f("100000000000000000000000000000", 1e29)
	f("inf", inf)
	f("+inf", inf)
	f("-inf", -inf)
	f("Inf", inf)
	f("-INF", -inf)
	f("infinity", inf)
	f("-Infinity", -inf)
	f("nan", nan)
	f("NaN", nan)
	f("NAN", nan)
	f("-nan", nan) // C's printf
	f("-NaN", nan)
	f("+nan", nan)
	f("1e999", inf)
	f("-1e999", -inf)
	f("1e-999", 0)
	f("-1e-999", negativeZero)
}

func TestParseValueError(t *testing.T) {
	f := func(s string) {
		t.Helper()
		v, err := ParseValue(s)
		if err == nil {
			t.Errorf("ParseValue(%q) = %v, want an error", s, v)
			return
		}
		if v != (Value{}) || !strings.Contains(err.Error(), strconv.Quote(s)) {
			t.Errorf("ParseValue(%q) = %v, error %q, which doesn't show the text", s, v, err)
		}
	}
	f("")
	f(" ")
	f("-")
	f("+")
	f(".")
	f("e")
	f("e5")
	f("1e")
	f("1e+")
	f("--1")
	f("+-1")
	f("- 1")
	f(" 1")
	f("1 ")
	f("1\n")
	f("1\x00")
	f("1 2")
	f("1,5")
	f("1.2.3")
	f("1:2")
	f("12a")
	f("a12")
	f("/")
	f("1/2")
	f("true")
	f("0x10")
	f("0X10")
	f("-0x1p-2")
	f("0X1P-2") // a float in Go
	f("0b1")
	f("0o7")
	f("1_000")
	f("1_0.5")
	f("infi")
	f("--inf")
	f("1e999x")
	f("--nan")
	f("+-nan")
	f("nan(1)")
	f("-nan(ind)")
	f("nanana")
	f("١٢") // digits, but not ASCII
	f("1\u00a0")
	f("\xff")
}

func TestAnyIntegerRoundTrips(t *testing.T) {
	r := freshRand(t)
	for range randomRounds {
		i := randomInt(r)
		text := Int(i).String()
		v, err := ParseValue(text)
		if err != nil || !sameValue(v, Int(i)) {
			t.Fatalf("%d is written %q and read as %v, float %v, error %v", i, text, v, v.IsFloat(), err)
		}
	}
}

func TestAnyFloatRoundTrips(t *testing.T) {
	// digits returns what is left of a number without its sign, point,
	// exponent and the zeros at either end.
	digits := func(text string) string {
		text, _, _ = strings.Cut(strings.TrimPrefix(text, "-"), "e")
		return strings.Trim(strings.Replace(text, ".", "", 1), "0")
	}
	r := freshRand(t)
	for range randomRounds {
		f := randomFloat(r)
		text := Float(f).String()
		v, err := ParseValue(text)
		if err != nil || !sameValue(v, Float(f)) {
			t.Fatalf("%g (%#x) is written %q and read as %v, float %v, error %v",
				f, math.Float64bits(f), text, v, v.IsFloat(), err)
		}
		if !math.IsInf(f, 0) && f == f && digits(text) != digits(strconv.FormatFloat(f, 'e', -1, 64)) {
			t.Fatalf("%g is written %q, which isn't the shortest", f, text)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, s := range []string{
		"", "0", "-0", "+7", "007", "-", "123456789012345678", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "1.", ".5", "1e16", "1e-05", "1e999", "-inf", "-nan", "infinity", "0x1p-2", "1_0", " 1", "1:2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseValue(s)
		i, intErr := strconv.ParseInt(s, 10, 64)
		if err != nil {
			if intErr == nil {
				t.Fatalf("ParseValue(%q) doesn't read the integer %d: %v", s, i, err)
			}
			return
		}
		if v.IsFloat() != (intErr != nil) || intErr == nil && v.Int64() != i {
			t.Fatalf("ParseValue(%q) = %v, float %v; as an integer it is %d, %v", s, v, v.IsFloat(), i, intErr)
		}
		if strings.ContainsAny(s, ": \t\r\n\v\f_xX") {
			t.Fatalf("ParseValue(%q) = %v", s, v)
		}
		text := v.String()
		again, err := ParseValue(text)
		if err != nil || !sameValue(again, v) || again.String() != text {
			t.Fatalf("ParseValue(%q) is written %q and read as %v, float %v, error %v", s, text, again, again.IsFloat(), err)
		}
	})
}

// What is read by its digits is what strconv reads, to the bit.
func TestShortFloats(t *testing.T) {
	short := regexp.MustCompile(`^-?[0-9]+\.[0-9]+$`)
	check := func(text string) {
		t.Helper()
		v, ok := parseShortFloat(text)
		f, err := strconv.ParseFloat(text, 64)
		if ok && (err != nil || v != Float(f)) {
			t.Errorf("%q is read as %s, want %v, %v", text, v, f, err)
		}
		if isShort := short.MatchString(text) && len(strings.TrimPrefix(text, "-")) <= 16; ok != isShort {
			t.Errorf("%q: %t, want %t", text, ok, isShort)
		}
	}
	for _, text := range []string{
		"", "-", ".", "-.", "..5", ".5.5", "-.1.5", "--1.5", "1.", ".5", "-.5", "1..2", "1.2.3", "0.0", "-0.0", "00.10", "1.5e3", "+1.5", " 1.5", "1.5 ",
		"999999999999999.9", "99999999999999.99", "0.99999999999999", "0.000000000000001", "0x1.8", "1_0.5", "nan", "inf",
	} {
		check(text)
	}
	for range 200_000 {
		text := strconv.FormatInt(rand.Int64N(int64(math.Pow10(1+rand.IntN(16)))), 10)
		if i := rand.IntN(len(text)); i > 0 {
			text = text[:i] + "." + text[i:]
		}
		check(text)
	}
}
