package statvent

import (
	"math"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

func TestFunctionsOfThePackageUseTheDefaultRegistry(t *testing.T) {
	r := freshDefault(t)
	if Default() != r {
		t.Fatal("Default is another registry")
	}
	onlyMax := WithLabels(Percentile("max", 100))
	Incr("incr")
	IncrBy("incr by", 2)
	Set("set", 3)
	SetFunc("set func", func() float64 { return 4 })
	NewCounter("counter").IncrBy(5)
	NewGauge("gauge").Set(6)
	NewDistribution("distribution", onlyMax).Record(7)
	NewDistribution("record", onlyMax)
	Record("record", 8)
	RecordFunc("record func", 9, func(name, label string) string { return name + " " + label })
	checkText(t, r,
		"counter: 5",
		"distribution.max: 7",
		"gauge: 6",
		"incr: 1",
		"incr by: 2",
		"record func 100th: 9", "record func 95th: 9", "record func 99th: 9", "record func mean: 9.0", "record func median: 9",
		"record.max: 8",
		"set: 3",
		"set func: 4.0")
	if got, want := string(format.AppendPlain(nil, Snapshot())), plainText(r); got != want {
		t.Errorf("Snapshot is\n%s\nwant\n%s", got, want)
	}
}

func TestFunctionsOfThePackageTakeEachTypeOfNumber(t *testing.T) {
	type load float32
	r := freshDefault(t)
	IncrBy("incr", uint8(200))
	IncrBy("incr", int16(100))
	IncrBy("incr float", 1)
	IncrBy("incr float", 0.5)
	IncrBy("incr huge", uint64(math.MaxUint64))
	Set("set", time.Second)
	Set("set float", load(0.5))
	Set("set float", 2)
	NewDistribution("record", WithLabels(Percentile("max", 100)))
	Record("record", uint16(3))
	checkText(t, r,
		"incr: 300",
		"incr float: 1.5",
		"incr huge: 1.8446744073709552e+19",
		"record.max: 3",
		"set: 1000000000",
		"set float: 2.0")
	Record("record", load(1))
	got, _ := r.Snapshot().Flatten().Lookup("record.max")
	checkValue(t, "record.max", got, format.Float(3))
}

func TestFunctionsOfThePackageKnowCountersFromGauges(t *testing.T) {
	check := func(record func(), want format.Kind) {
		t.Helper()
		r := freshDefault(t)
		record()
		if got := r.Snapshot().Stats[0].Kind; got != want {
			t.Errorf("it is a %s, want a %s", got, want)
		}
	}
	check(func() { Incr("x") }, format.Counter)
	check(func() { IncrBy("x", uint64(math.MaxUint64)) }, format.Counter)
	check(func() { IncrBy("x", 0.5) }, format.Counter)
	check(func() { IncrBy("x", int8(-1)) }, format.Gauge)
	check(func() { IncrBy("x", -0.5) }, format.Gauge)
	check(func() { Set("x", 1) }, format.Gauge)
	check(func() { Set("x", 1.5) }, format.Gauge)
	check(func() { NewGauge("x") }, format.Gauge)
	check(func() { SetFunc("x", func() float64 { return 1 }) }, format.Gauge)
	check(func() { Record("x", 1) }, format.Distribution)
	check(func() { RecordFunc("x", 1, upper) }, format.Untyped)
}

func TestRecordFuncKeepsTheFirstFormat(t *testing.T) {
	r := freshDefault(t)
	RecordFunc("d", 1, upper)
	RecordFunc("d", 3, func(string, string) string { return "other" })
	Record("d", 2)
	checkText(t, r, "D.100TH: 3", "D.95TH: 2", "D.99TH: 2", "D.MEAN: 2.0", "D.MEDIAN: 1")
}

func TestRecordFuncWithoutFormatIsRecord(t *testing.T) {
	r := freshDefault(t)
	RecordFunc("d", 1, nil)
	Record("d", 3)
	checkText(t, r, "d.100th: 3", "d.95th: 1", "d.99th: 1", "d.mean: 2.0", "d.median: 1")
}
