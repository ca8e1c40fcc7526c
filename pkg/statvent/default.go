package statvent

import "github.com/statvent/statvent/pkg/format"

// Incr adds 1 to the counter of that name, which begins at 0.
func Incr(name string) { defaultRegistry.Incr(name) }

// IncrBy adds n to the stat of that name. A float makes it a float, for good; a
// negative n makes it a gauge.
func IncrBy[N Number](name string, n N) { defaultRegistry.scalar(name, n >= 0).add(valueOf(n)) }

// Set makes v the value of the gauge of that name. A float makes it a float,
// for good.
func Set[N Number](name string, v N) { defaultRegistry.scalar(name, false).set(valueOf(v)) }

// SetFunc makes f compute the gauge of that name, each time when somebody
// reads. Another f takes its place; nil removes the stat. If f panics, the stat
// is missing from that snapshot.
func SetFunc(name string, f func() float64) { defaultRegistry.SetFunc(name, f) }

// Record adds v to the distribution of that name. Of its last 100 values it
// shows the median, 95th, 99th and 100th percentile and the mean: each label
// takes the place of "{0}" in the name, or is appended with a dot.
func Record[N Number](name string, v N) { defaultRegistry.NewDistribution(name).record(valueOf(v)) }

// RecordFunc is Record for names with which "{0}" would conflict: f puts the
// labels into the name. The f of the first call for a name is kept.
func RecordFunc[N Number](name string, v N, f FormatFunc) {
	defaultRegistry.distributionBy(name, f).record(valueOf(v))
}

// Snapshot returns all stats of the default registry as they are now.
func Snapshot() *format.Snapshot { return defaultRegistry.Snapshot() }

// NewCounter returns the counter of that name, made with the value 0 if it
// isn't there yet.
func NewCounter(name string) *Counter { return defaultRegistry.NewCounter(name) }

// NewGauge returns the gauge of that name, made with the value 0 if it isn't
// there yet. A counter of that name becomes a gauge.
func NewGauge(name string) *Gauge { return defaultRegistry.NewGauge(name) }

// NewDistribution returns the distribution of that name, made with the options
// if it isn't there yet.
func NewDistribution(name string, opts ...DistributionOption) *Distribution {
	return defaultRegistry.NewDistribution(name, opts...)
}
