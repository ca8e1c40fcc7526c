package pipes

import (
	"errors"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

func snapshotOf(name string, value int64) *format.Snapshot {
	return &format.Snapshot{Stats: []format.Stat{{Name: name, Value: format.Int(value)}}, Skipped: 1}
}

func TestTotalIsTheSumOfThoseThatAnswered(t *testing.T) {
	c := &Collection{Sources: []Source{
		{Name: "1", State: Live, Snapshot: snapshotOf("x", 40)},
		{Name: "2", State: Unresponsive, Err: errors.New("no answer")},
		{Name: "3", State: Live, Snapshot: snapshotOf("x", 2)},
		{Name: "4", State: Live, Snapshot: &format.Snapshot{}},
	}}
	total := c.Total()
	if got := string(format.AppendPlain(nil, total)); got != "x: 42\n" {
		t.Errorf("the total is %q, want %q", got, "x: 42\n")
	}
	if total.Skipped != 2 {
		t.Errorf("%d lines were skipped, want 2", total.Skipped)
	}
	if silent := c.Silent(); len(silent) != 1 || silent[0].Name != "2" {
		t.Errorf("silent are %+v, want source 2", silent)
	}
}

func TestTotalOfNothingIsEmpty(t *testing.T) {
	c := &Collection{}
	if total := c.Total(); total == nil || len(total.Stats) > 0 {
		t.Errorf("the total of nothing is %+v", total)
	}
	if silent := c.Silent(); len(silent) > 0 {
		t.Errorf("silent are %+v", silent)
	}
}

func TestSourcesAreSortedByPidThenName(t *testing.T) {
	c := &Collection{
		Sources:    []Source{{Name: "20", PID: 20}, {Name: "b"}, {Name: "3-2", PID: 3}, {Name: "a"}, {Name: "3", PID: 3}},
		PassedOver: []PassedOver{{Name: "z"}, {Name: "y"}},
	}
	c.sort()
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	for _, p := range c.PassedOver {
		names = append(names, p.Name)
	}
	if got, want := strings.Join(names, " "), "a b 3 3-2 20 y z"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}
