package format

import (
	"math"
	"slices"
)

// A window is values in the order of their size, for their percentiles. Its memory
// is used again by each fill.
type window struct {
	floats bool
	keys   []uint64 // sorted; see key
	spare  []uint64
	sum    Sum
}

// fill takes values in the place of those before.
func (w *window) fill(values []Value) {
	w.floats = slices.ContainsFunc(values, Value.IsFloat)
	w.keys = w.keys[:0]
	w.sum.reset()
	for _, v := range values {
		if w.floats {
			v = v.ToFloat()
		}
		w.keys = append(w.keys, v.key())
	}
	w.keys, w.spare = radixSort(w.keys, w.spare)
	for _, key := range w.keys { // sorted: see Sum for why that could matter
		w.sum.Add(fromKey(key, w.floats))
	}
}

// value returns the value at a percentile, or the mean. There must be values.
func (w *window) value(percentile float64) Value {
	n := len(w.keys)
	if percentile == Mean {
		return Float(w.sum.Value().Float64() / float64(n))
	}
	return fromKey(w.keys[percentileIndex(n, percentile)], w.floats)
}

const (
	signBit = 1 << 63
	fewKeys = 40
)

// key returns a number that is in the order of the values, among integers or among
// floats. NaN is before everything else.
func (v Value) key() uint64 {
	switch {
	case !v.float:
		return v.bits ^ signBit
	case v.Float64() != v.Float64():
		return 0
	case v.bits&signBit != 0:
		return ^v.bits
	default:
		return v.bits | signBit
	}
}

// fromKey returns the value that has the key.
func fromKey(key uint64, float bool) Value {
	switch {
	case !float:
		return Int(int64(key ^ signBit))
	case key == 0:
		return Float(math.NaN())
	case key&signBit != 0:
		return Float(math.Float64frombits(key &^ signBit))
	default:
		return Float(math.Float64frombits(^key))
	}
}

// radixSort sorts keys, using spare, and returns both, which may have changed their
// places. It sorts by one byte after the other and compares nothing: of values
// that nobody can predict, every second comparison is a branch that the processor
// has guessed wrong. Bytes that all keys share cost nothing. Few keys are sorted
// sooner by comparing them.
func radixSort(keys, spare []uint64) (sorted, rest []uint64) {
	if len(keys) < fewKeys {
		slices.Sort(keys)
		return keys, spare
	}
	var differ uint64 // the bits in which keys differ
	for _, k := range keys {
		differ |= k ^ keys[0]
	}
	spare = slices.Grow(spare[:0], len(keys))[:len(keys)]
	for shift := 0; shift < 64; shift += 8 {
		if byte(differ>>shift) == 0 {
			continue
		}
		var places [256]int // first how many keys have each byte, then where the next one goes
		for _, k := range keys {
			places[byte(k>>shift)]++
		}
		next := 0
		for b, n := range places {
			places[b] = next
			next += n
		}
		for _, k := range keys {
			b := byte(k >> shift)
			spare[places[b]] = k
			places[b]++
		}
		keys, spare = spare, keys
	}
	return keys, spare
}
