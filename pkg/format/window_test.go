package format

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Keys of every length and spread, with equal ones among them.
func TestRadixSort(t *testing.T) {
	var spare []uint64
	for range 2000 {
		n, bits := rand.IntN(4*fewKeys), rand.IntN(65)
		if rand.IntN(20) == 0 {
			n = rand.IntN(5000)
		}
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = rand.Uint64() >> (64 - bits) << rand.IntN(8)
		}
		want := slices.Sorted(slices.Values(keys))
		keys, spare = radixSort(keys, spare)
		if !slices.Equal(keys, want) {
			t.Fatalf("%d keys of %d bits: got %x, want %x", n, bits, keys, want)
		}
	}
}

// Keys are in the order of the values, and each is that of its value.
func TestKeysAreInTheOrderOfTheValues(t *testing.T) {
	ints := []int64{math.MinInt64, math.MinInt64 + 1, -1 << 40, -2, -1, 0, 1, 2, 255, 256, 1 << 40, math.MaxInt64}
	floats := []float64{
		math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0,
		math.SmallestNonzeroFloat64, 0.5, 1, math.MaxFloat64, math.Inf(1),
	}
	for range 100 {
		ints = append(ints, int64(rand.Uint64()))
		floats = append(floats, rand.NormFloat64()*math.Pow(10, float64(rand.IntN(600)-300)))
	}
	check := func(a, b Value) {
		t.Helper()
		if less := a.key() < b.key(); less != (a.Compare(b) < 0) {
			t.Errorf("%s and %s: the key of the first is less: %t", a, b, less)
		}
		if got := fromKey(a.key(), a.IsFloat()); got != a {
			t.Errorf("the key of %s is that of %s", a, got)
		}
	}
	for _, a := range ints {
		for _, b := range ints {
			check(Int(a), Int(b))
		}
	}
	for _, a := range floats {
		for _, b := range floats {
			check(Float(a), Float(b))
		}
	}
	nan := Float(math.NaN())
	for _, f := range floats {
		if nan.key() >= Float(f).key() || Float(f).key() < nan.key() {
			t.Errorf("NaN is not before %v", f)
		}
	}
	if got := fromKey(nan.key(), true).Float64(); got == got {
		t.Errorf("the key of NaN is that of %v", got)
	}
}
