package format

import "slices"

// A window is values in the order of their size, for their percentiles. Its memory
// is used again by each fill.
type window struct {
	floats bool
	ints   []int64
	reals  []float64 // if floats
	sum    Sum
}

// fill takes values in the place of those before.
func (w *window) fill(values []Value) {
	w.floats = slices.ContainsFunc(values, Value.IsFloat)
	w.ints, w.reals = w.ints[:0], w.reals[:0]
	w.sum.reset()
	for _, v := range values {
		w.sum.Add(v)
		if w.floats {
			w.reals = append(w.reals, v.Float64())
		} else {
			w.ints = append(w.ints, v.Int64())
		}
	}
	slices.Sort(w.ints)
	slices.Sort(w.reals)
}

// value returns the value at a percentile, or the mean. There must be values.
func (w *window) value(percentile float64) Value {
	n := len(w.ints) + len(w.reals)
	switch {
	case percentile == Mean:
		return Float(w.sum.Value().Float64() / float64(n))
	case w.floats:
		return Float(w.reals[percentileIndex(n, percentile)])
	default:
		return Int(w.ints[percentileIndex(n, percentile)])
	}
}
