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
	one := &format.Snapshot{Stats: []format.Stat{
		{Name: "load", Value: format.Float(0.5)},
		{Name: "requests", Value: format.Int(42)},
	}}
	other := &format.Snapshot{Stats: []format.Stat{
		{Name: "load", Value: format.Int(1)},
		{Name: "requests", Value: format.Int(8)},
		{Name: "users", Value: format.Int(3)},
	}}
	os.Stdout.Write(format.AppendPlain(nil, format.Combine(one, other)))
	// Output:
	// load: 1.5
	// requests: 50
	// users: 3
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
