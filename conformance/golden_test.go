package conformance

import (
	"slices"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// What is exposed, by the main cases: as Prometheus 2 reads it, and, where that is
// something else, as Prometheus 3 does, which takes names in quotes.
func TestSeriesOfNames(t *testing.T) {
	is := func(stats []format.Stat, legacy, whole []string) {
		t.Helper()
		if whole == nil {
			whole = legacy
		}
		for accept, want := range map[string][]string{
			text004:                           legacy,
			text100:                           legacy,
			open100:                           legacy,
			text100 + ";escaping=allow-utf-8": whole,
			open100 + ";escaping=allow-utf-8": whole,
		} {
			samples, err := scrape(expose(accept, stats...))
			if err != nil {
				t.Errorf("%s: %v", accept, err)
			}
			var got []string
			for _, s := range samples {
				got = append(got, s.String())
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q becomes\n%q, want\n%q", accept, stats[0].Name, got, want)
			}
		}
	}
	stats := func(stats ...format.Stat) []format.Stat { return stats }
	series := func(series ...string) []string { return series }
	one, two, three := format.Int(1), format.Int(2), format.Int(3)

	// Kinds.
	is(stats(counter("requests", one)), series(`{__name__="requests_total"} 1`), nil)
	is(stats(counter("requests_total", one)), series(`{__name__="requests_total"} 1`), nil)
	is(stats(gauge("users", one)), series(`{__name__="users"} 1`), nil)
	is(stats(untyped("users", one)), series(`{__name__="users"} 1`), nil)
	is(stats(distribution("latency.{0}", 3, format.Int(6), one, two, three)),
		series(`{__name__="latency", quantile="0.5"} 1`, `{__name__="latency", quantile="0.95"} 2`, `{__name__="latency", quantile="0.99"} 2`,
			`{__name__="latency", quantile="1.0"} 3`, `{__name__="latency_sum"} 6`, `{__name__="latency_count"} 3`, `{__name__="latency_mean"} 2`), nil)
	is(stats(distribution(`latency{path="/"}.{0}`, 3, format.Int(6))),
		series(`{__name__="latency_sum", path="/"} 6`, `{__name__="latency_count", path="/"} 3`), nil)

	// Names that are series, and those that look like it.
	is(stats(counter(`http_requests_total{method="GET",code="200"}`, one)), series(`{__name__="http_requests_total", code="200", method="GET"} 1`), nil)
	is(stats(counter(`hits{path="/"}`, one)), series(`{__name__="hits_total", path="/"} 1`), nil)
	is(stats(gauge(`a{b="\"\\\n}"}`, one)), series(`{__name__="a", b="\"\\\n}"} 1`), nil)
	is(stats(gauge("a:b", one)), series(`{__name__="a:b"} 1`), nil)
	is(stats(gauge(`a{b="c",b="d"}`, one)), series(`{__name__="a_b__c__b__d__"} 1`), series(`{__name__="a{b=\"c\",b=\"d\"}"} 1`))
	is(stats(gauge(`a{__name__="b"}`, one)), series(`{__name__="a___name____b__"} 1`), series(`{__name__="a{__name__=\"b\"}"} 1`))
	is(stats(gauge(`a{b="c"`, one)), series(`{__name__="a_b__c_"} 1`), series(`{__name__="a{b=\"c\""} 1`))

	// Free names.
	is(stats(counter("app.requests", one)), series(`{__name__="app_requests_total"} 1`), series(`{__name__="app.requests_total"} 1`))
	is(stats(gauge("GET /", one)), series(`{__name__="GET__"} 1`), series(`{__name__="GET /"} 1`))
	is(stats(gauge("😀", one)), series(`{__name__="_"} 1`), series(`{__name__="😀"} 1`))
	is(stats(gauge("a\xff", one)), series(`{__name__="a_xff"} 1`), series(`{__name__="a\\xff"} 1`))
	is(stats(gauge("a\x00", one)), series(`{__name__="a_x00"} 1`), series(`{__name__="a\\x00"} 1`))

	// Names that become the same.
	is(stats(gauge("a.b", one), gauge("a b", two)),
		series(`{__name__="a_b", stat="a.b"} 1`, `{__name__="a_b", stat="a b"} 2`), series(`{__name__="a.b"} 1`, `{__name__="a b"} 2`))
	is(stats(gauge("a.b", one), gauge("a_b", two)),
		series(`{__name__="a_b", stat="a.b"} 1`, `{__name__="a_b"} 2`), series(`{__name__="a.b"} 1`, `{__name__="a_b"} 2`))
	is(stats(gauge("a\xff", one), gauge(`a\xff`, two)),
		series(`{__name__="a_xff"} 1`, `{__name__="a_x5cxff"} 2`), series(`{__name__="a\\xff"} 1`, `{__name__="a\\x5cxff"} 2`))

	// Names that another stat's summary has.
	is(stats(distribution("d.{0}", 1, two), gauge("d_count", three)),
		series(`{__name__="d_sum"} 2`, `{__name__="d_count"} 1`, `{__name__="statvent_clashing", stat="d_count"} 3`), nil)
	is(stats(gauge("statvent_clashing", one)), series(`{__name__="statvent_clashing", stat="statvent_clashing"} 1`), nil)
}
