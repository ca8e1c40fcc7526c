package config

import (
	"slices"
	"testing"
)

func TestChanged(t *testing.T) {
	is := func(before, after string, want ...string) {
		t.Helper()
		a, err := load(t, before)
		if err != nil {
			t.Fatal(err)
		}
		b, err := load(t, after)
		if err != nil {
			t.Fatal(err)
		}
		if got := Changed(a, b); !slices.Equal(got, want) {
			t.Errorf("from %q to %q: got %q, want %q", before, after, got, want)
		}
	}
	is("", "")
	is("deadline: 1s\n", "deadline: 1000ms # the same\n")
	is("max_source_bytes: 1MiB\n", "max_source_bytes: 1024 KiB\n")
	is("listen: [a:1, b:1]\n", "listen: a:1 b:1\n")
	is("aggregate: 'a: max'\n", "aggregate: |\n  a: min\n", Aggregate)
	is("", "path: /x\nowner: root\ndeadline: 1s\n", Deadline, Owner, Path)

	other := map[string]string{
		PipeDir: "/a", Deadline: "9s", StaleAfter: "9s", Owner: "a", Aggregate: "'a: max'", Color: "never", Listen: "a:1",
		SocketMode: "0600", AllowedHosts: "a", MaxConnections: "9", WebConfig: "/a", Pprof: "a:1", Path: "/a", StateDir: "/a",
		LogLevel: "error", LogFormat: "json", Interval: "9s", MaxSources: "9", MaxHostStats: "9", MaxSourceStats: "9",
		MaxHostBytes: "9KiB", MaxSourceBytes: "9KiB", MaxLineBytes: "9KiB", MaxRetainedStats: "9", MaxRetainedBytes: "9KiB",
	}
	for _, k := range keys {
		is("", k.name+": "+other[k.name]+"\n", k.name)
	}
}
