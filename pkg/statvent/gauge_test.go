package statvent

import (
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func TestGaugeGoesUpAndDown(t *testing.T) {
	r := NewRegistry()
	g := r.NewGauge("users")
	checkText(t, r, "users: 0")
	g.Incr()
	g.IncrBy(9)
	checkText(t, r, "users: 10")
	g.IncrBy(-4)
	checkText(t, r, "users: 6")
	g.Set(3)
	checkText(t, r, "users: 3")
	g.IncrByFloat(-0.5)
	checkText(t, r, "users: 2.5")
	g.SetFloat(0.25)
	checkText(t, r, "users: 0.25")
	g.Set(8)
	checkText(t, r, "users: 8.0")
}

func TestGaugeIsOneFromTheBeginning(t *testing.T) {
	r := NewRegistry()
	g := r.NewGauge("users")
	for range 2 {
		if kind := onlyStat(t, r).Kind; kind != format.Gauge {
			t.Errorf("it is a %s", kind)
		}
		g.Incr()
	}
}

func TestGaugeOfACounterKeepsItsValue(t *testing.T) {
	r := NewRegistry()
	c := r.NewCounter("users")
	c.IncrBy(5)
	g := r.NewGauge("users")
	g.Incr()
	c.Incr()
	checkText(t, r, "users: 7")
	if kind := onlyStat(t, r).Kind; kind != format.Gauge {
		t.Errorf("it is a %s", kind)
	}
}
