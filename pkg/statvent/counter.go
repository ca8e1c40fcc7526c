package statvent

import "sync/atomic"

// A Counter is a handle of a stat that is incremented. Using it costs an atomic
// add; looking the stat up by its name, as Incr does, costs several. All
// methods are safe for concurrent use.
type Counter struct{ s scalar }

// Incr adds 1.
func (c *Counter) Incr() { atomic.AddInt64(&c.s.i, 1) }

// IncrBy adds n. A negative n makes the stat a gauge.
func (c *Counter) IncrBy(n int64) { c.s.addInt(n) }

// IncrByFloat adds x and makes the stat a float. A negative x makes it a gauge;
// one that is infinite or not a number is ignored.
func (c *Counter) IncrByFloat(x float64) { c.s.addFloat(x) }
