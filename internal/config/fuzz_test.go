package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/statvent/statvent/pkg/format"
)

// FuzzFile loads a file. Where it is a configuration, what is in force is written as
// one, which loads as the same; where it isn't, the error names the file.
func FuzzFile(f *testing.F) {
	shipped, err := os.ReadFile("../../configs/statvent.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, text := range []string{
		"", "# nothing\n", "---\n", "null\n", "[]\n", "\tx: 1\n", "\xff", "unknown: 1\n", "listen: [a:1, unix:/x]\n", "listen: 'a:1 b:2'\n", "listen: {a: 1}\n",
		"socket_mode: 0600\n", "socket_mode: '600'\n", "socket_mode: 0o600\nmax_connections: 7\n", "socket_mode: 9\n", "deadline: 1\nstale_after: 1d\ninterval: 1.5s\n",
		"aggregate: |\n  *.max: max\n  [ab]: avg\n", "aggregate: '*.max: max, *: min'\n", "aggregate: {a: b}\n", "owner: [0, root]\n", "owner: 4294967295\n",
		"Path: /x\n", "path: /x\npath: /y\n", "color: sometimes\n", "log_level: debug\nlog_format: json\n", "pipe_dir: ''\n", "web_config: &a /x\npprof: *a\n", "allowed_hosts: [a, [b]]\n",
		"state_dir: ~\n", "max_connections: 1e2\n", "pipe_dir: \"\\x00\"\n",
	} {
		f.Add([]byte(text))
	}
	f.Setenv("HOME", "/nowhere")
	f.Setenv("XDG_CONFIG_HOME", "")
	f.Setenv("XDG_STATE_HOME", "")
	f.Setenv("STATE_DIRECTORY", "")
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(memory(t), "test.yaml")
		load := func(text []byte) (*Config, error) {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			return Load(pflag.NewFlagSet("test", pflag.ContinueOnError), file)
		}
		c, err := load(text)
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("%q: the error doesn't name the file: %v", text, err)
			}
			return
		}
		_, _ = c.OwnerIDs()
		values := make(map[string]any)
		for _, s := range c.Settings() {
			values[s.Key] = s.Value
			if s.Key == Aggregate {
				values[s.Key] = strings.Join(s.Value.([]string), "\n")
			}
		}
		written, err := yaml.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		again, err := load(written)
		if err != nil {
			t.Fatalf("%q is written %q, and not read: %v", text, written, err)
		}
		if got, want := inForce(t, again), inForce(t, c); got != want {
			t.Errorf("%q is written %q, and read %s, want %s", text, written, got, want)
		}
	})
}

// memory returns a directory in memory, where there is such a thing, for the time of
// a test.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "statvent-config-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// inForce returns the values as text, without where they are from.
func inForce(t *testing.T, c *Config) string {
	t.Helper()
	values := make(map[string]any)
	for _, s := range c.Settings() {
		values[s.Key] = s.Value
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// FuzzAggregate reads rules, from a file and in a line, and one after another.
func FuzzAggregate(f *testing.F) {
	for _, text := range []string{"", "*: max", "a.*: min, b: avg\n*: sum", "a:b: max", ": max", "[: max", "a", "a: most", ",,\n,", "größe\xff: max"} {
		f.Add(text, "a.b")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		aggregate, err := parseAggregate(text)
		list := ruleList(text)
		if err == nil && (aggregate == nil) != (len(list) == 0) {
			t.Errorf("%q: there are %d rules, and %v", text, len(list), aggregate != nil)
		}
		for _, separator := range []string{"\n", ",", " ,\n "} {
			again, againErr := parseAggregate(strings.Join(list, separator))
			if (err == nil) != (againErr == nil) || err == nil && aggregate != nil && again(name) != aggregate(name) {
				t.Errorf("%q is not what it is with %q between the rules: %v, %v", text, separator, err, againErr)
			}
		}
		if err != nil || aggregate == nil {
			return
		}
		want := format.AggregateSum
		for _, rule := range list {
			one, err := parseAggregate(rule + "\n*: avg")
			if err != nil {
				t.Fatalf("%q: %v", rule, err)
			}
			other, err := parseAggregate(rule + "\n*: min")
			if err != nil {
				t.Fatalf("%q: %v", rule, err)
			}
			if one(name) == other(name) { // this one decides
				want = one(name)
				break
			}
		}
		if got := aggregate(name); got != want && !strings.Contains(name, "\n") {
			t.Errorf("%q: %q is %v, want %v", text, name, got, want)
		}
	})
}

// FuzzWords reads the values that have a form: times, modes, owners, lists.
func FuzzWords(f *testing.F) {
	for _, text := range []string{"1s", "7d", "1.5", "-1h", "1e300d", "nan", "0660", "0o7", "8", "root", "4294967294", "4294967295", "99999999999999999999", "a, b\tc", ",", "", "١"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil {
			if again, err := ParseDuration(durationText(d)); err != nil || again != d {
				t.Errorf("%q is %v, which is written %q and read %v, %v", text, d, durationText(d), again, err)
			}
		}
		if d, err := parseTimeout(text); err == nil && (d <= 0 || d > 24*time.Hour) {
			t.Errorf("%q is a timeout of %v", text, d)
		}
		if mode, err := parseMode(text); err == nil {
			if again, err := parseMode("0" + strconv.FormatUint(uint64(mode), 8)); err != nil || again != mode || mode > 0o777 {
				t.Errorf("%q is the mode %o, and read again %o, %v", text, mode, again, err)
			}
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			id, idErr := ownerID(text)
			if (idErr == nil) != (n <= maxOwner) || idErr == nil && uint64(uint32(id)) != n {
				t.Errorf("the owner %q is %d, %v", text, id, idErr)
			}
		}
		list := words(text)
		again := words(strings.Join(list, ", "))
		if strings.Join(again, "\x00") != strings.Join(list, "\x00") {
			t.Errorf("%q is %q, and then %q", text, list, again)
		}
	})
}
