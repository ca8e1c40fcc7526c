package format_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

func ExampleAppendPlain() {
	s := &format.Snapshot{Stats: []format.Stat{
		{Name: "app.requests", Kind: format.Counter, Value: format.Int(42)},
		{Name: "app.load", Kind: format.Gauge, Value: format.Float(1)},
		{Name: "app.latency.{0}", Kind: format.Distribution, Dist: &format.Samples{
			Labels: format.DefaultLabels(),
			Window: []format.Value{format.Int(12), format.Int(9), format.Int(30)},
		}},
	}}
	s.Sort()
	os.Stdout.Write(format.AppendPlain(nil, s))
	// Output:
	// app.latency.100th: 30
	// app.latency.95th: 12
	// app.latency.99th: 12
	// app.latency.mean: 17.0
	// app.latency.median: 9
	// app.load: 1.0
	// app.requests: 42
}

func ExamplePlainParser() {
	text := "requests GET http://host:80/: 42\nload: 0.5\nthis is no stat\nusers: 12"

	var p format.PlainParser
	if _, err := io.Copy(&p, strings.NewReader(text)); err != nil {
		fmt.Println(err)
		return
	}
	s := p.Snapshot()
	for _, stat := range s.Stats {
		fmt.Printf("%q is %v\n", stat.Name, stat.Value)
	}
	fmt.Println(s.Skipped, "lines skipped: one without a number, and the last, which was cut")
	// Output:
	// "load" is 0.5
	// "requests GET http://host:80/" is 42
	// 2 lines skipped: one without a number, and the last, which was cut
}

func ExampleCombine() {
	process := &format.Snapshot{Stats: []format.Stat{
		{Name: "load", Kind: format.Gauge, Value: format.Float(0.5)},
		{Name: "requests", Kind: format.Counter, Value: format.Int(42)},
		{Name: "size", Kind: format.Gauge, Value: format.Int(7)},
	}}
	other := &format.Snapshot{Stats: []format.Stat{
		{Name: "load", Kind: format.Gauge, Value: format.Int(1)},
		{Name: "requests", Kind: format.Counter, Value: format.Int(8)},
		{Name: "size", Kind: format.Counter, Value: format.Int(1)},
	}}
	gone := &format.Snapshot{Ended: true, Stats: []format.Stat{
		{Name: "requests", Kind: format.Counter, Value: format.Int(100)},
		{Name: "size", Kind: format.Counter, Value: format.Int(1000)},
	}}
	total := format.Combine(process, other, gone)
	os.Stdout.Write(format.AppendPlain(nil, total))
	fmt.Println(total.Conflicts)
	// Output:
	// load: 1.5
	// requests: 150
	// size: 8
	// [size is counter here and gauge there]
}

func ExampleCombiner() {
	temperature := func(v format.Value) *format.Snapshot {
		return &format.Snapshot{Stats: []format.Stat{{Name: "temperature", Kind: format.Gauge, Value: v}}}
	}
	c := format.Combiner{Aggregate: func(string) format.Aggregate { return format.AggregateMax }}
	os.Stdout.Write(format.AppendPlain(nil, c.Combine(temperature(format.Int(19)), temperature(format.Int(23)))))
	// Output:
	// temperature: 23
}

func ExampleAppendTyped() {
	os.Stdout.Write(format.AppendTyped(nil, &format.Document{
		PID: 3435,
		Snapshot: &format.Snapshot{Stats: []format.Stat{
			{Name: "latency.{0}", Kind: format.Distribution, Dist: &format.Samples{
				Count: 150, Sum: format.Int(11175),
				Labels: []format.Label{{Name: "median", Percentile: 50}, {Name: "mean", Percentile: format.Mean}},
				Window: []format.Value{format.Int(148), format.Int(149)}, // the last 2, here
			}},
			{Name: "requests", Kind: format.Counter, Value: format.Int(42)},
		}},
	}))
	// Output:
	// statvent: 1
	// pid: 3435
	// distribution latency.{0}: 150
	// sum latency.{0}: 11175
	// label median latency.{0}: 50
	// label mean latency.{0}: -1
	// sample latency.{0}: 148
	// sample latency.{0}: 149
	// counter requests: 42
	// end 9: 2
}

func ExampleTypedParser() {
	text := "statvent: 1\npid: 3435\ncounter requests: 42\nend 3: 1\n" +
		"statvent: 1\npid: 3436\ncounter requests: 8\n" // its end is missing

	var p format.TypedParser
	if _, err := io.Copy(&p, strings.NewReader(text)); err != nil {
		fmt.Println(err)
		return
	}
	documents, err := p.Documents()
	for _, d := range documents {
		for _, stat := range d.Snapshot.Stats {
			fmt.Println(d.PID, stat.Kind, stat.Name, stat.Value)
		}
	}
	fmt.Println(err)
	// Output:
	// 3435 counter requests 42
	// the snapshot is torn: a part of it is missing
}

func ExampleAppendJSON() {
	s := &format.Snapshot{Stats: []format.Stat{
		{Name: "load", Value: format.Float(2)},
		{Name: "name with a byte \xff", Value: format.Int(1)},
		{Name: "ratio", Value: format.Float(1e16)},
		{Name: "requests", Value: format.Int(42)},
	}}
	os.Stdout.Write(format.AppendJSON(nil, s, time.Unix(1700000000, 0)))
	// Output:
	// {"stats":{"load":2.0,"name with a byte \\xff":1,"ratio":1.0e+16,"requests":42},"timestamp":1700000000.000}
}

func ExampleExposition() {
	s := &format.Snapshot{Stats: []format.Stat{
		{Name: "app.requests", Kind: format.Counter, Value: format.Int(42)},
		{Name: `http_requests_total{method="GET"}`, Kind: format.Counter, Value: format.Int(7)},
	}}
	fmt.Printf("%s\n", format.Exposition{}.Append(nil, s, nil, nil))
	e := format.ParseAccept("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8")
	fmt.Printf("%s", e.Append(nil, s, nil, nil))
	// Output:
	// # TYPE app_requests_total counter
	// app_requests_total 42
	// # TYPE http_requests_total counter
	// http_requests_total{method="GET"} 7
	//
	// # TYPE "app.requests" counter
	// {"app.requests_total"} 42
	// # TYPE http_requests counter
	// http_requests_total{method="GET"} 7
	// # EOF
}
