package conformance

import (
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

func counter(name string, v format.Value) format.Stat {
	return format.Stat{Name: name, Kind: format.Counter, Value: v}
}

func gauge(name string, v format.Value) format.Stat {
	return format.Stat{Name: name, Kind: format.Gauge, Value: v}
}

func untyped(name string, v format.Value) format.Stat {
	return format.Stat{Name: name, Kind: format.Untyped, Value: v}
}

func distribution(name string, count int64, sum format.Value, window ...format.Value) format.Stat {
	return format.Stat{Name: name, Kind: format.Distribution, Dist: &format.Samples{
		Count: count, Sum: sum, Labels: format.DefaultLabels(), Window: window,
	}}
}

// names are of every kind that a program may think of.
var names = []string{
	"", "a", "A", "_", ":", "a:b", ":a", "a_b", "a.b", "a b", "a-b", "a/b", "0a", "1", "-1", "a1",
	"http.requests", "http_requests_total", "http.requests.total", "http.requests_total",
	"GET /: time", "café", "Ünïcødé", "漢字", "😀", "😀.requests", "a\u00a0b", "\u202eabc", "\ufeffbom", "e\u0301", "\u00e9",
	"\x00", "a\x00b", "a\x01", "a\tb", "a\x1b[31mb", "\x7f", "a\u0085b", "a\u2028b",
	"\xff", "\xff\xfe", "a\xc3", "\xc3(", "\xed\xa0\x80", "\xf0\x9f\x98", "a\xffb", "a\xfeb", `a\xffb`, `a\x01`, `\x5cxff`, `\\xff`,
	`"`, `a"b`, `""`, `a""b`, `\`, `a\b`, `\\`, `a\`, `a\n`, `a\nb`, `a\"b`, `'`, `'a'`, "`",
	"{}", "{", "}", "a{", "a}", "a{}", `a{b}`, `a{b="c"`, `a{b=c}`, `a{b='c'}`, `a{b="c",}`, `a{,b="c"}`, `a{b="c"}`, `a{b="c",d="e"}`,
	`a{b="c" ,d="e"}`, `a{ b = "c" }`, `a {b="c"}`, `a{b="c"} `, `a{b="c"} 5`, `a{b="c"}x`, `a{b="c"}{d="e"}`,
	`a{b="c",b="d"}`, `a{b="c",b="c"}`, `a{d="e",b="c"}`, `{b="c"}`, `{"a"}`, `{"a",b="c"}`, `{"a b",b="c"}`, `{"a","b"}`,
	`a{"b"="c"}`, `a{"b c"="d"}`, `a{b c="d"}`, `a{1b="c"}`, `a{b:c="d"}`, `a{b.c="d"}`, `a{b="}"}`, `a{b="{"}`, `a{b=","}`, `a{b="="}`,
	`a{b="\""}`, `a{b="\\"}`, `a{b="\n"}`, `a{b="\t"}`, `a{b="\x"}`, `a{b="\"}`, `a{b="""}`, `a{b=""}`, `a{b="c",d=""}`,
	"a{b=\"\xff\"}", "a{b=\"\x00\"}", "a{b=\"\x01\"}", `a{b="😀"}`, "a{b=\"c\td\"}", `a.b{c="d"}`, `a b{c="d"}`, `0a{b="c"}`, `é{b="c"}`,
	`a{__name__="b"}`, `{__name__="b"}`, `__name__`, `__name__{a="b"}`, `a{__x__="b"}`, `a{__="b"}`, `a{job="b"}`, `a{instance="b"}`,
	`a{le="1"}`, `a{le="x"}`, `a{quantile="0.5"}`, `a{quantile="x"}`, `a{stat="b"}`, `le`, `quantile`, `stat`, `a_bucket{le="+Inf"}`,
	"statvent", "statvent_", "statvent_sources", `statvent_sources{state="live"}`, "statvent.sources", "statvent_build_info",
	"statvent_clashing", `statvent_clashing{stat="a"}`, "statvent_clashing_total", "statvent_clashing_sum", "statvent.clashing", `statvent_clashing{x="y"}`,
	"statvent_collection_duration_seconds", "statvent_collection_duration_seconds_sum", "statvent_folds", "statvent_folds_total",
	"up", "scrape_duration_seconds", "NaN", "+Inf", "# TYPE", "# HELP a b", "# EOF", "#", "# TYPE a counter", "EOF",
	"_total", "total", "a_total", "a_total_total", "a.total", "_sum", "a_sum", "_count", "a_count", "_bucket", "a_bucket", "_created", "a_created",
	"_info", "a_info", "a_gsum", "a_gcount", "a_mean", "a_total_created", "a_total_sum", "a_count_total", "a_created_total", "a_sum_total", "a_mean_total",
	`a_total{b="c"}`, `a_sum{b="c"}`, `a_count{b="c"}`, `a_created{b="c"}`,
	"U__a", "U__a_2e_b", "U___5f_", "a_dot_b", "a__b", "a__", "__a",
	"{0}", "a{0}", "a.{0}", "{0}.a", "a.{0}.b", "a_{0}", "a_{0}_b", "a{0}b", "a.{0}.{0}", "{0}{0}", "a {0}", "a-{0}", "a:{0}", "a/{0}/b", "a..{0}", "a.{0}_sum",
	`a{b="{0}"}`, `a{b="c{0}"}`, `a{b="c",d="{0}"}`, `a{0}{b="c"}`, `a.{0}{b="c"}`, `a_{0}{b="c"}`, `a{b="c"}.{0}`, `a{b="c"}_{0}`, `a{{0}="b"}`, `a{quantile="{0}"}`,
	`a{b="{0}",quantile="1"}`, "a.mean", "a.median", "a.{0}.mean",
	strings.Repeat("x", 5000), strings.Repeat("x.", 3000), strings.Repeat("😀", 200),
}
