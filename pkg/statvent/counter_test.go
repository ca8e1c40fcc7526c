package statvent

import (
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func TestCounterAddsUp(t *testing.T) {
	r := NewRegistry()
	c := r.NewCounter("hits")
	checkText(t, r, "hits: 0")
	c.Incr()
	c.Incr()
	checkText(t, r, "hits: 2")
	c.IncrBy(40)
	checkText(t, r, "hits: 42")
	c.IncrByFloat(0.5)
	checkText(t, r, "hits: 42.5")
	c.Incr()
	checkText(t, r, "hits: 43.5")
	if kind := onlyStat(t, r).Kind; kind != format.Counter {
		t.Errorf("it is a %s", kind)
	}
}

func TestCounterThatIsDecrementedIsAGauge(t *testing.T) {
	check := func(decrement func(*Counter), want string) {
		t.Helper()
		r := NewRegistry()
		decrement(r.NewCounter("hits"))
		checkText(t, r, want)
		if kind := onlyStat(t, r).Kind; kind != format.Gauge {
			t.Errorf("it is a %s", kind)
		}
	}
	check(func(c *Counter) { c.IncrBy(-1) }, "hits: -1")
	check(func(c *Counter) { c.IncrByFloat(-1) }, "hits: -1.0")
}
