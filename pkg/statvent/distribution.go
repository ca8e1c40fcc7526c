package statvent

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/statvent/statvent/pkg/format"
)

// A FormatFunc puts a label into the name of a distribution.
type FormatFunc func(name, label string) string

// A Calculation computes what a distribution shows, a value for each label,
// from its last values, sorted ascending. There is at least one. The slice is
// the function's own.
type Calculation func(sorted []float64) map[string]float64

// A Label is the name of one number that is computed from a distribution.
type Label = format.Label

// Percentile returns a label for the p-th percentile, 0 to 100, of the last
// values: of n, sorted ascending, the one at index max(0, floor(n*p/100) - 1).
func Percentile(name string, p float64) Label {
	return Label{Name: name, Percentile: min(max(p, 0), 100)}
}

// Mean returns a label for the mean of the last values.
func Mean(name string) Label { return Label{Name: name, Percentile: format.Mean} }

// DefaultWindow is how many values a distribution remembers.
const DefaultWindow = 100

// maxWindow bounds a distribution to 8 MiB.
const maxWindow = 1 << 20

// A DistributionOption changes what a distribution remembers or shows.
type DistributionOption func(*Distribution)

// WithFormat sets how a label gets into the name. The default replaces each
// "{0}" of the name by the label, and appends ".{0}" to a name without it.
func WithFormat(f FormatFunc) DistributionOption {
	return func(d *Distribution) { d.format = f }
}

// WithLabels sets the labels, in place of median, 95th, 99th, 100th and mean.
func WithLabels(labels ...Label) DistributionOption {
	return func(d *Distribution) { d.labels = slices.Clone(labels) }
}

// WithCalculation computes the labels and their values by c. Such values can't
// be merged with those of other processes, only added to them.
func WithCalculation(c Calculation) DistributionOption {
	return func(d *Distribution) { d.calculate = c }
}

// WithWindow sets how many values are remembered, 1 to 1,048,576.
func WithWindow(n int) DistributionOption {
	return func(d *Distribution) { d.size = min(max(n, 1), maxWindow) }
}

// A Distribution is a handle of a stat of recorded values. All methods are safe
// for concurrent use.
type Distribution struct {
	// Set when it is made:
	name      string
	format    FormatFunc
	labels    []Label
	calculate Calculation
	size      int

	template atomic.Pointer[string] // see findTemplate; nil if there is none

	mu     sync.Mutex // guards what follows
	window []uint64   // a ring of ints, or of the bits of floats; nil before the first
	next   int        // where the next one goes
	floats bool       // a float was recorded once
	count  int64
	sum    totalSum
}

// newDistribution returns one with a name that is clean.
func newDistribution(name string, opts []DistributionOption) *Distribution {
	d := &Distribution{name: name, size: DefaultWindow}
	for _, opt := range opts {
		if opt != nil {
			opt(d)
		}
	}
	if d.labels == nil {
		d.labels = format.DefaultLabels()
	}
	if d.format == nil {
		d.name = format.LabelTemplate(name)
	}
	return d
}

// Record adds n to the values: as a float, if a float was ever recorded.
func (d *Distribution) Record(n int64) {
	d.mu.Lock() // a deferred Unlock takes longer, and nothing here panics
	if d.floats {
		d.keep(math.Float64bits(float64(n)))
		d.sum.real += float64(n)
	} else {
		d.keep(uint64(n))
		d.sum.addInt(n)
	}
	d.mu.Unlock()
}

// RecordFloat adds x to the values, all of which are floats from then on.
func (d *Distribution) RecordFloat(x float64) {
	d.mu.Lock()
	if !d.floats {
		d.becomeFloat()
	}
	d.keep(math.Float64bits(x))
	d.sum.real += x
	d.mu.Unlock()
}

// keep puts a value into the ring. The caller holds mu.
func (d *Distribution) keep(bits uint64) {
	if d.window == nil {
		d.window = make([]uint64, cmp.Or(d.size, DefaultWindow))
	}
	d.window[d.next] = bits
	if d.next++; d.next == len(d.window) {
		d.next = 0
	}
	d.count++
}

// becomeFloat makes floats of all values. The caller holds mu.
func (d *Distribution) becomeFloat() {
	d.floats = true
	for i, bits := range d.window { // those that aren't there yet are 0
		d.window[i] = math.Float64bits(float64(int64(bits)))
	}
	d.sum.becomeFloat()
}

// A totalSum is that of all values ever recorded, an integer until it becomes a float.
type totalSum struct {
	int   int64
	float bool
	real  float64 // the sum, if float
}

func (s *totalSum) addInt(n int64) {
	if s.float {
		s.real += float64(n)
		return
	}
	sum := s.int + n
	if (sum > s.int) != (n > 0) { // it would leave int64
		s.becomeFloat()
		s.real += float64(n)
		return
	}
	s.int = sum
}

func (s *totalSum) becomeFloat() {
	if !s.float {
		s.float, s.real = true, float64(s.int)
	}
}

func (s *totalSum) value() format.Value {
	if s.float {
		return format.Float(s.real)
	}
	return format.Int(s.int)
}

func (d *Distribution) record(v format.Value) {
	if v.IsFloat() {
		d.RecordFloat(v.Float64())
	} else {
		d.Record(v.Int64())
	}
}

// copyTo makes a copy of what is known, in the memory of s, and tells whether
// anything was recorded yet.
func (d *Distribution) copyTo(s *format.Samples) bool {
	window := s.Window[:0]
	d.mu.Lock()
	defer d.mu.Unlock()
	*s = format.Samples{Count: d.count, Sum: d.sum.value(), Labels: d.labels}
	var oldest []uint64 // those behind next, once the ring is full
	if d.count >= int64(len(d.window)) {
		oldest = d.window[d.next:]
	}
	for _, part := range [][]uint64{oldest, d.window[:d.next]} {
		if d.floats {
			for _, bits := range part {
				window = append(window, format.Float(math.Float64frombits(bits)))
			}
		} else {
			for _, bits := range part {
				window = append(window, format.Int(int64(bits)))
			}
		}
	}
	s.Window = window
	return d.count > 0
}

// appendTo appends the distribution to the snapshot: as such where its labels
// and names are of the ordinary kind, else as the values that they yield.
func (d *Distribution) appendTo(s *format.Snapshot) {
	stat := s.Extend()
	if stat.Dist == nil {
		stat.Dist = new(format.Samples)
	}
	samples := stat.Dist
	recorded := d.copyTo(samples)
	template := d.template.Load()
	if recorded && d.calculate == nil && template != nil {
		stat.Name, stat.Kind = *template, format.Distribution
		return
	}
	s.Stats = s.Stats[:len(s.Stats)-1]
	switch {
	case !recorded:
	case d.calculate != nil:
		for label, v := range d.calculate(sortedFloats(samples.Window)) {
			s.Stats = append(s.Stats, format.Stat{Name: d.labelName(label), Value: format.Float(v)})
		}
	default:
		for _, lv := range samples.Compute() {
			s.Stats = append(s.Stats, format.Stat{Name: d.labelName(lv.Label), Value: lv.Value})
		}
	}
}

func sortedFloats(values []format.Value) []float64 {
	floats := make([]float64, len(values))
	for i, v := range values {
		floats[i] = v.Float64()
	}
	slices.Sort(floats)
	return floats
}

// findTemplate looks for a name with a place for the label that says the same
// as the format function for each label. With it the samples can be published,
// without it only what is computed from them.
func (d *Distribution) findTemplate() {
	if d.calculate != nil {
		return
	}
	defer func() { _ = recover() }() // the function's; then there is none
	template := d.labelName("{0}")
	for _, label := range d.labels {
		if format.ExpandLabel(template, label.Name) != d.labelName(label.Name) {
			return
		}
	}
	d.template.Store(&template)
}

func (d *Distribution) labelName(label string) string {
	if d.format == nil {
		return format.ExpandLabel(d.name, label)
	}
	return format.CleanName(d.format(d.name, label))
}
