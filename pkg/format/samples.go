package format

import (
	"math"
	"strings"
	"sync"
)

// Mean stands in the place of a percentile and asks for the mean.
const Mean = -1

// A Label names one number computed from a distribution's samples.
type Label struct {
	Name       string
	Percentile float64 // 0 to 100, or Mean
}

// DefaultLabels returns the labels that a distribution has unless it is given
// others: median, 95th, 99th, 100th and mean.
func DefaultLabels() []Label {
	return []Label{
		{"median", 50},
		{"95th", 95},
		{"99th", 99},
		{"100th", 100},
		{"mean", Mean},
	}
}

// Samples is what is known of a distribution: its last recorded values and
// what is computed from them.
type Samples struct {
	Count  int64   // how many values were ever recorded
	Sum    Value   // the sum of all of them
	Labels []Label // what is computed, from Window
	Window []Value // the last values, oldest first
}

// A LabelValue is one computed number of a distribution.
type LabelValue struct {
	Label string
	Value Value
}

// Compute returns the value of each label over the window: nothing if that is
// empty. With n values sorted ascending, a percentile p is the value at index
// max(0, floor(n*p/100) - 1), as it was in the first statvent; the mean is
// their sum over n and always a float. One float in the window makes floats of
// all percentiles.
func (s *Samples) Compute() []LabelValue {
	if len(s.Window) == 0 {
		return nil
	}
	w := windows.Get().(*window)
	defer windows.Put(w)
	w.fill(s.Window)
	values := make([]LabelValue, len(s.Labels))
	for i, label := range s.Labels {
		values[i] = LabelValue{label.Name, w.value(label.Percentile)}
	}
	return values
}

// windows are there to be filled again: whoever shows a thousand distributions ten times
// a second would leave more memory behind with them than with all else.
var windows = sync.Pool{New: func() any { return new(window) }}

// percentileIndex returns max(0, floor(n*p/100) - 1), kept inside of n values
// whatever p is.
func percentileIndex(n int, p float64) int {
	rank := math.Floor(float64(n) * p / 100)
	if !(rank > 1) { // NaN included
		return 0
	}
	if rank > float64(n) {
		return n - 1
	}
	return int(rank) - 1
}

// ExpandLabel puts label in the place of each "{0}" of LabelTemplate(name), and
// cleans what comes out.
func ExpandLabel(name, label string) string {
	return CleanName(strings.ReplaceAll(LabelTemplate(name), labelPlace, label))
}

// LabelTemplate returns name if it has a place for the label, "{0}", else name
// with ".{0}" appended.
func LabelTemplate(name string) string {
	if strings.Contains(name, labelPlace) {
		return name
	}
	return name + "." + labelPlace
}

const labelPlace = "{0}"
