package statvent

import "sync/atomic"

// A Gauge is a handle of a stat that goes up and down. All methods are safe for
// concurrent use.
type Gauge struct{ s scalar }

// Incr adds 1.
func (g *Gauge) Incr() { atomic.AddInt64(&g.s.i, 1) }

// IncrBy adds n, which may be negative.
func (g *Gauge) IncrBy(n int64) { g.s.addInt(n) }

// IncrByFloat adds x, which may be negative, and makes the stat a float. An x that
// is infinite or not a number is ignored.
func (g *Gauge) IncrByFloat(x float64) { g.s.addFloat(x) }

// Set makes n the value: a float, if the stat ever was one.
func (g *Gauge) Set(n int64) { g.s.setInt(n) }

// SetFloat makes x the value, and the stat a float.
func (g *Gauge) SetFloat(x float64) { g.s.setFloat(x) }
