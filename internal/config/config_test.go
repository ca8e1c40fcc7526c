package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/statvent/statvent/pkg/pipes"
)

// load loads a configuration from the arguments and a file with that text, for
// somebody who has no other.
func load(t *testing.T, text string, args ...string) (*Config, error) {
	t.Helper()
	t.Setenv("HOME", "/nowhere")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("STATE_DIRECTORY", "")
	file := ""
	if text != "" {
		file = filepath.Join(t.TempDir(), "test.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	for _, k := range keys {
		AddFlag(flags, k.name, "")
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags, file)
}

func TestDefaults(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		PipeDir: "/tmp/stats-pipe", Deadline: 500 * time.Millisecond, StaleAfter: time.Minute,
		Color: "auto", Path: "/stats",
		Listen: []string{"127.0.0.1:7828"}, SocketMode: 0o660, MaxConnections: 256,
		LogLevel: "info", LogFormat: "text", Interval: time.Second,
		StateDir: "/nowhere/.local/state/statvent",
		Limits: pipes.Limits{
			MaxBytes: 64 << 20, MaxStats: 100_000, MaxLine: 64 << 10, MaxSources: 10_000, MaxHostStats: 100_000, MaxHostBytes: 128 << 20,
			MaxRetainedBytes: 64 << 20, MaxRetainedStats: 200_000,
		},
	}
	if len(c.Owners)+len(c.AllowedHosts) > 0 {
		t.Errorf("there are owners %q and hosts %q", c.Owners, c.AllowedHosts)
	}
	c.Owners, c.AllowedHosts, c.find = nil, nil, nil // no matter whether nil or empty
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got %+v, want %+v", *c, want)
	}
}

// aggregateOf returns how the gauges of that name become one.
func aggregateOf(c *Config, name string) string {
	if c.Aggregate == nil {
		return "no rules"
	}
	return string(c.Aggregate(name))
}

// Every key comes from its flag, else its variable, else the file.
func TestPrecedenceOfEveryKey(t *testing.T) {
	values := map[string][3]string{ // in the file, the environment, the flag
		PipeDir:    {"/a", "/b", "/c"},
		Deadline:   {"1s", "2s", "3s"},
		StaleAfter: {"1s", "2s", "3s"},
		Color:      {"always", "never", "auto"},
		Owner:      {"a b", "b c", "c"},
		Listen:     {"a:1", "b:1", "c:1"},
		SocketMode: {"0600", "0644", "0666"},

		AllowedHosts:   {"a", "b", "c"},
		MaxConnections: {"1", "2", "3"},
		WebConfig:      {"/a", "/b", "/c"},
		Pprof:          {"a:1", "b:1", "c:1"},

		Path:      {"/a", "/b", "/c"},
		LogLevel:  {"debug", "warn", "error"},
		LogFormat: {"json", "text", "json"},
		Interval:  {"1s", "2s", "3s"},
		StateDir:  {"/a", "/b", "/c"},
		Aggregate: {"g: min", "g: max", "g: avg"},

		MaxSources:       {"1", "2", "3"},
		MaxHostStats:     {"1", "2", "3"},
		MaxHostBytes:     {"1KiB", "2000", "1GiB"},
		MaxSourceStats:   {"1", "2", "3"},
		MaxSourceBytes:   {"1KiB", "2000", "3MiB"},
		MaxLineBytes:     {"1KiB", "2000", "3MiB"},
		MaxRetainedStats: {"1", "2", "3"},
		MaxRetainedBytes: {"1KiB", "2000", "1GiB"},
	}
	get := func(c *Config, key string) string {
		for _, k := range limitKeys {
			if k.name == key {
				return k.text(*k.of(&c.Limits))
			}
		}
		return map[string]string{
			PipeDir: c.PipeDir, Deadline: c.Deadline.String(), StaleAfter: c.StaleAfter.String(),
			Color: c.Color, Listen: strings.Join(c.Listen, " "), Path: c.Path,
			SocketMode: fmt.Sprintf("0%o", c.SocketMode), AllowedHosts: strings.Join(c.AllowedHosts, " "), Owner: strings.Join(c.Owners, " "),
			MaxConnections: strconv.Itoa(c.MaxConnections), WebConfig: c.WebConfig, Pprof: c.Pprof,
			LogLevel: c.LogLevel, LogFormat: c.LogFormat, Interval: c.Interval.String(),
			StateDir: c.StateDir, Aggregate: "g: " + aggregateOf(c, "g"),
		}[key]
	}
	for _, k := range keys {
		t.Run(k.name, func(t *testing.T) {
			value, ok := values[k.name]
			if !ok {
				t.Fatal("this key has no case here")
			}
			text := k.name + ": '" + value[0] + "'\n"
			check := func(from, want string, args ...string) {
				t.Helper()
				c, err := load(t, text, args...)
				if err != nil {
					t.Fatal(err)
				}
				if got := get(c, k.name); got != want {
					t.Errorf("with the %s: got %q, want %q", from, got, want)
				}
			}
			check("file", value[0])
			t.Setenv(variable(k.name), value[1])
			check("variable", value[1])
			check("flag", value[2], "--"+flagName(k.name), value[2])
		})
	}
}

func TestErrorsNameTheKeyAndWhereItWasFound(t *testing.T) {
	fails := func(text string, args []string, want ...string) {
		t.Helper()
		_, err := load(t, text, args...)
		if err == nil {
			t.Errorf("no error for %q %q", text, args)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error %q does not say %q", err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("the error %q has more than one line", err)
		}
	}
	fails("pipe_dri: /x\n", nil, `unknown key "pipe_dri"`, "test.yaml")
	fails("server:\n  port: 1\n", nil, `unknown key "server"`)
	fails("deadline: soon\n", nil, "deadline in ", "test.yaml", `"soon"`)
	fails("deadline: 0\n", nil, "deadline", "between")
	fails("color: [auto]\n", nil, "color in ", "list", "one value")
	fails("listen: [[a]]\n", nil, "listen in ", "list of words")
	fails("socket_mode: 0999\n", nil, "socket_mode", "0660")
	fails("socket_mode: 1660\n", nil, "socket_mode", "0660")
	fails("max_connections: 0\n", nil, "max_connections", "above 0")
	fails("max_sources: 0\n", nil, "max_sources", `"0" is not a number from 1 to 1000000`)
	fails("max_host_stats: 10000001\n", nil, "max_host_stats", `"10000001"`)
	fails("max_source_stats: 1MiB\n", nil, "max_source_stats", `"1MiB" is not a number from 1 to 10000000`)
	fails("max_source_bytes: 1023\n", nil, "max_source_bytes", `"1023" is not a number of bytes from 1KiB to 1GiB, such as 65536 or 64KiB`)
	fails("max_line_bytes: 63\n", nil, "max_line_bytes", "from 64 to 16MiB")
	fails("max_retained_bytes: 2GiB\n", nil, "max_retained_bytes", `"2GiB"`)
	fails("max_retained_bytes: 99999999999999999999\n", nil, "max_retained_bytes", "from 1KiB to 1GiB")
	fails("max_retained_bytes: -9007199254740993GiB\n", nil, "max_retained_bytes", "from 1KiB to 1GiB")
	fails("max_host_bytes: 1025GiB\n", nil, "max_host_bytes", "from 1KiB to ")
	fails("max_retained_bytes: 64 MB\n", nil, "max_retained_bytes", `"64 MB"`)
	fails("max_connections: many\n", nil, "max_connections", `"many"`)
	fails("color: pink\n", nil, "color", `"pink"`, "auto")
	fails("pipe_dir: ''\n", nil, "pipe_dir", "no directory")
	fails("pipe_dir: [\n", nil, "malformed", "test.yaml")
	fails("", []string{"--interval", "-1"}, "--interval")
	fails("", []string{"--deadline", "25h"}, "--deadline", "24h")
	fails("", []string{"--log-level", "loud"}, "--log-level", "debug")

	t.Setenv("STATVENT_COLOR", "pink")
	fails("", nil, "STATVENT_COLOR", `"pink"`)
}

func noFlags() *pflag.FlagSet { return pflag.NewFlagSet("test", pflag.ContinueOnError) }

func TestFileThatIsNotThere(t *testing.T) {
	_, err := Load(noFlags(), filepath.Join(t.TempDir(), "none.yaml"))
	if err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestDefaultFileOfTheUser(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	if err := os.MkdirAll(filepath.Join(home, "statvent"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "statvent", "statvent.yaml")
	if err := os.WriteFile(file, []byte("pipe_dir: /here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(noFlags(), "")
	if err != nil || c.PipeDir != "/here" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// The file that comes with statvent shows every key with its default.
func TestShippedFileIsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../../configs/statvent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if !strings.Contains(string(text), "\n"+k.name+": ") {
			t.Errorf("it does not have %s", k.name)
		}
	}
	shipped, err := load(t, string(text))
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	shipped.File, shipped.FileText, shipped.find, defaults.find = "", "", nil, nil
	if !reflect.DeepEqual(shipped, defaults) {
		t.Errorf("it says %+v, the defaults are %+v", *shipped, *defaults)
	}
}

func TestParseDuration(t *testing.T) {
	good := func(s string, want time.Duration) {
		t.Helper()
		if got, err := parseTimeout(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	bad := func(s string) {
		t.Helper()
		if got, err := parseTimeout(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
	good("1", time.Second)
	good("0.25", 250*time.Millisecond)
	good("1s", time.Second)
	good("1m30s", 90*time.Second)
	good("24h", 24*time.Hour)
	bad("")
	bad("0")
	bad("-1s")
	bad("soon")
	bad("24h1s")
	bad("1e300")
	bad("nan")
	bad("inf")
}

// What isn't bounded to a day may be days.
func TestParseDurationOfAnyLength(t *testing.T) {
	const day = 24 * time.Hour
	good := func(s string, want time.Duration) {
		t.Helper()
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	bad := func(s string) {
		t.Helper()
		if got, err := ParseDuration(s); err == nil || got != 0 || !strings.Contains(err.Error(), strconv.Quote(s)) {
			t.Errorf("%q: got %v, %v, want an error that says so", s, got, err)
		}
	}
	good("500ms", 500*time.Millisecond)
	good("2m", 2*time.Minute)
	good("1h30m", 90*time.Minute)
	good("48h", 2*day)
	good("1.5h", 90*time.Minute)
	good("1", time.Second)
	good("0.25", 250*time.Millisecond)
	good("1e3", 1000*time.Second)
	good("86400", day)
	good("1d", day)
	good("7d", 7*day)
	good("0.5d", 12*time.Hour)
	good("1e2d", 100*day)
	good("106751d", 106751*day) // the last whole day that there is
	good("9223372036", 9223372036*time.Second)

	// It is the caller who refuses these.
	good("0", 0)
	good("0d", 0)
	good("-1", -time.Second)
	good("-1d", -day)
	good("-90s", -90*time.Second)

	bad("")
	bad(" ")
	bad("d")
	bad("soon")
	bad("day")
	bad("1 d")
	bad(" 1d")
	bad("1D")
	bad("1dd")
	bad("1sd")
	bad("1d12h")
	bad("1w")
	bad("s")
	bad("nan")
	bad("nand")
	bad("inf")
	bad("-inf")
	bad("infd")
	bad("1e300")
	bad("106752d")
	bad("-106752d")
	bad("9223372037")
	bad("1e999d")
	bad("2562048h")

	if got, err := parseTimeout("1d"); err != nil || got != day {
		t.Errorf("a key of a day: got %v, %v", got, err)
	}
	if got, err := parseTimeout("1.1d"); err == nil || !strings.Contains(err.Error(), "24h") {
		t.Errorf("a key of more than a day: got %v, %v", got, err)
	}
}

// A key with several values takes them as they are most easily written in each place.
func TestLists(t *testing.T) {
	is := func(text string, args ...string) {
		t.Helper()
		c, err := load(t, text, args...)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"127.0.0.1:1", "unix:/run/x"}; !slices.Equal(c.Listen, want) {
			t.Errorf("%q %q: got %q, want %q", text, args, c.Listen, want)
		}
	}
	is("listen: [127.0.0.1:1, unix:/run/x]\n")
	is("listen:\n  - 127.0.0.1:1\n  - unix:/run/x\n")
	is("listen: 127.0.0.1:1, unix:/run/x\n")
	is("listen: |\n  127.0.0.1:1\n  unix:/run/x\n")
	is("listen: elsewhere:1\n", "--listen", "127.0.0.1:1", "--listen", "unix:/run/x")
	is("", "--listen", "127.0.0.1:1,unix:/run/x")
	t.Setenv("STATVENT_LISTEN", "127.0.0.1:1 unix:/run/x")
	is("listen: elsewhere:1\n")
}

func TestSocketModeIsOctalWithAndWithoutQuotes(t *testing.T) {
	for _, text := range []string{"0640", "'0640'", "0o640", "640", "'640'"} {
		if c, err := load(t, "socket_mode: "+text+"\n"); err != nil || c.SocketMode != 0o640 {
			t.Errorf("%s: got %v, %v", text, c, err)
		}
	}
}
