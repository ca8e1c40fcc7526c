// Package config finds out what the user wants: a flag beats the environment,
// which beats the configuration file, which beats the default.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/statvent/statvent/internal/yamltext"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Config is the configuration in force.
type Config struct {
	PipeDir    string
	Deadline   time.Duration
	StaleAfter time.Duration
	Owners     []string // names or numbers of users; empty means all
	Limits     pipes.Limits
	Color      string // auto, always or never
	Path       string
	LogLevel   string
	LogFormat  string // text or json
	Interval   time.Duration
	StateDir   string // empty if there is no place for one

	Listen         []string // HOST:PORT, or unix: and a path
	SocketMode     fs.FileMode
	AllowedHosts   []string
	MaxConnections int
	WebConfig      string // a file; empty if there is none
	Pprof          string // HOST:PORT; empty if it isn't asked for

	// Aggregate returns how the gauges of that name become one; nil means that all
	// are added up.
	Aggregate func(name string) format.Aggregate
	rules     string // of which Aggregate is made

	// find says what has decided about a key.
	find func(key string) (source Source, from string)

	// File is the configuration file that was read, and FileText what it said; both are
	// empty if there is none.
	File, FileText string
}

// A FlagError says what is wrong with an option. What else is wrong with a configuration
// is in a variable or the file.
type FlagError struct{ error }

func (e FlagError) Unwrap() error { return e.error }

// Fail returns the error of a key, which says where its value was found: "--listen",
// "listen in FILE", or the key alone where nobody has said anything.
func (c *Config) Fail(key string, err error) error {
	if c.find == nil { // nobody has loaded it
		return failure(key, FromDefault, "", err)
	}
	source, from := c.find(key)
	return failure(key, source, from, err)
}

// Names of the keys. A key's environment variable is its name in capitals with
// STATVENT_ before it; its flag has dashes for underscores.
const (
	PipeDir          = "pipe_dir"
	Deadline         = "deadline"
	StaleAfter       = "stale_after"
	Owner            = "owner"
	Aggregate        = "aggregate"
	Color            = "color"
	Listen           = "listen"
	SocketMode       = "socket_mode"
	AllowedHosts     = "allowed_hosts"
	MaxConnections   = "max_connections"
	WebConfig        = "web_config"
	Pprof            = "pprof"
	Path             = "path"
	StateDir         = "state_dir"
	MaxSources       = "max_sources"
	MaxHostStats     = "max_host_stats"
	MaxHostBytes     = "max_host_bytes"
	MaxSourceStats   = "max_source_stats"
	MaxSourceBytes   = "max_source_bytes"
	MaxLineBytes     = "max_line_bytes"
	MaxRetainedStats = "max_retained_stats"
	MaxRetainedBytes = "max_retained_bytes"
	LogLevel         = "log_level"
	LogFormat        = "log_format"
	Interval         = "interval"
)

// keys are all keys, in the order of configs/statvent.yaml, with what they are
// where nobody says anything else. One without a usage has no option.
var keys = []struct{ name, value, usage string }{
	{PipeDir, pipes.DefaultDir, "`directory` of the pipes"},
	{Deadline, pipes.DefaultDeadline.String(), "`time` to wait for a source that does not answer"},
	{StaleAfter, pipes.DefaultStaleAfter.String(), "`time` that a silent pipe without its process is kept"},
	{Owner, "", "`user` whose sources count, by name or number; may be repeated, and all count if none is named"},
	{Aggregate, "", "`rule` how gauges become one, GLOB: sum, min, max or avg; may be repeated, the first that matches counts"},
	{MaxSources, number(pipes.DefaultMaxSources), "the most `sources` that are read"},
	{MaxHostStats, number(pipes.DefaultMaxHostStats), "the most `stats` of the whole host"},
	{MaxHostBytes, pipes.BytesText(pipes.DefaultMaxHostBytes), ""},
	{MaxSourceStats, number(pipes.DefaultMaxStats), ""},
	{MaxSourceBytes, pipes.BytesText(pipes.DefaultMaxBytes), ""},
	{MaxLineBytes, pipes.BytesText(pipes.DefaultMaxLine), ""},
	{MaxRetainedStats, number(pipes.DefaultMaxRetainedStats), ""},
	{MaxRetainedBytes, pipes.BytesText(pipes.DefaultMaxRetainedBytes), ""},
	{Color, "auto", "`when` to use colour: auto, always or never"},
	{Listen, "127.0.0.1:7828", "`address` and port to serve at, or unix:PATH; may be repeated"},
	{SocketMode, "0660", "`mode` of the sockets that unix:PATH makes"},
	{AllowedHosts, "", "`name` that requests may call this host by, beside localhost and IP addresses; may be repeated"},
	{MaxConnections, "256", "the most `connections` at a time"},
	{WebConfig, "", "`file` with TLS and the users, as Prometheus' exporters have it"},
	{Pprof, "", "`address` and port, or unix:PATH, to serve profiles of serve itself at; none if empty"},
	{Path, "/stats", "`path` of the JSON document"},
	{StateDir, "", "`directory` for what was seen last, $STATE_DIRECTORY or ~/.local/state/statvent if none is named"},
	{LogLevel, "info", "least `level` that is logged: debug, info, warn or error"},
	{LogFormat, "text", "`format` of the log: text or json"},
	{Interval, "1s", "`time` between two snapshots"},
}

// listKeys are the keys that have several values: an option that may be repeated,
// a list in a file, and words separated by blanks or commas everywhere.
var listKeys = []string{Owner, Listen, AllowedHosts}

// flagName returns the name of the key's flag.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

const envPrefix = "STATVENT"

// variable returns the name of the key's environment variable.
func variable(key string) string { return envPrefix + "_" + strings.ToUpper(key) }

// AddFlag adds the key's flag, with a one-letter shorthand unless that is empty.
func AddFlag(flags *pflag.FlagSet, key, shorthand string) {
	for _, k := range keys {
		if k.name == key {
			switch {
			case key == Aggregate:
				flags.VarP(new(rules), flagName(key), shorthand, k.usage)
			case slices.Contains(listKeys, key):
				flags.StringSliceP(flagName(key), shorthand, words(k.value), k.usage)
			default:
				flags.StringP(flagName(key), shorthand, k.value, k.usage)
			}
			return
		}
	}
	panic("no such key: " + key)
}

// Load reads the configuration: that of file if it isn't empty, else that of
// the first of defaultFiles that is there. Its errors say which key is wrong
// and where it was found.
func Load(flags *pflag.FlagSet, file string) (*Config, error) {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.AutomaticEnv()
	for _, k := range keys {
		v.SetDefault(k.name, k.value)
		if flag := flags.Lookup(flagName(k.name)); flag != nil {
			_ = v.BindPFlag(k.name, flag) // fails for a nil flag only
		}
	}
	file, text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	settings, err := parseSettings(text, file)
	if err != nil {
		return nil, err
	}
	if err := v.MergeConfigMap(settings); err != nil {
		return nil, err
	}
	find := func(key string) (Source, string) { return find(key, flags, v, file) }
	c, err := decode(v, find)
	if err != nil {
		return nil, err
	}
	c.find = find
	c.File, c.FileText = file, string(text)
	return c, nil
}

// defaultFiles are the files that are looked for, the first that exists wins.
func defaultFiles() []string {
	var files []string
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "statvent", "statvent.yaml"))
	}
	return append(files, "/etc/statvent/statvent.yaml")
}

// readFile returns which file is in force, if any, and what is in it.
func readFile(file string) (string, []byte, error) {
	candidates := []string{file}
	if file == "" {
		candidates = defaultFiles()
	}
	for _, candidate := range candidates {
		text, err := os.ReadFile(candidate)
		if file == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)) {
			continue // not there, or in somebody else's home, or that is /dev/null
		}
		if err != nil {
			return "", nil, fmt.Errorf("the configuration file can't be read: %w", err)
		}
		return candidate, text, nil
	}
	return "", nil, nil
}

// parseSettings reads what is in the file. A mode is its text: 0660 is a number to
// YAML, and so is 660, which is another one.
func parseSettings(text []byte, file string) (map[string]any, error) {
	malformed := func(err error) error {
		return fmt.Errorf("the configuration file %s is malformed: %w", file, yamltext.Error(err))
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, malformed(err)
	}
	settings := make(map[string]any, len(nodes))
	for key, node := range nodes {
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		if strings.EqualFold(key, SocketMode) && node.Kind == yaml.ScalarNode {
			value = node.Value
		}
		settings[key] = value
	}
	return settings, checkSettings(settings, file)
}

// checkSettings says what of a file is not a key, or not a value that a key can
// have.
func checkSettings(settings map[string]any, file string) error {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if err := checkKey(strings.ToLower(key)); err != nil {
			return fmt.Errorf("%w in %s", err, file)
		}
		switch value := settings[key].(type) {
		case []any:
			if !slices.Contains(listKeys, strings.ToLower(key)) {
				return fmt.Errorf("%s in %s is a list, where one value is taken", key, file)
			}
			for _, item := range value {
				switch item.(type) {
				case []any, map[string]any, nil:
					return fmt.Errorf("%s in %s is a list of words, one a line behind a dash", key, file)
				}
			}
		case map[string]any:
			if strings.EqualFold(key, Aggregate) {
				return fmt.Errorf("%s in %s is text: write \"%[1]s: |\" and the rules below it, one a line", Aggregate, file)
			}
			return fmt.Errorf("%s in %s has keys below it, which no key takes", key, file)
		}
	}
	return nil
}

func checkKey(key string) error {
	var names []string
	for _, k := range keys {
		if k.name == key {
			return nil
		}
		names = append(names, k.name)
	}
	slices.Sort(names)
	return fmt.Errorf("unknown key %q (there are %s)", key, strings.Join(names, ", "))
}

// failure returns the error of a key whose value was found there.
func failure(key string, source Source, from string, err error) error {
	switch source {
	case FromFlag:
		return FlagError{fmt.Errorf("%s: %w", from, err)}
	case FromVariable:
		return fmt.Errorf("%s: %w", from, err)
	case FromFile:
		return fmt.Errorf("%s in %s: %w", key, from, err)
	default:
		return fmt.Errorf("%s: %w", key, err)
	}
}

// decode checks the values and gives them their types.
func decode(v *viper.Viper, find func(key string) (Source, string)) (*Config, error) {
	var errs []error
	fail := func(key, format string, args ...any) {
		source, from := find(key)
		errs = append(errs, failure(key, source, from, fmt.Errorf(format, args...)))
	}
	duration := func(key string) time.Duration {
		d, err := parseTimeout(v.GetString(key))
		if err != nil {
			fail(key, "%w", err)
		}
		return d
	}
	oneOf := func(key string, allowed ...string) string {
		value := v.GetString(key)
		if !slices.Contains(allowed, value) {
			fail(key, "%q is none of %s", value, strings.Join(allowed, ", "))
		}
		return value
	}
	list := func(key string) []string {
		if text, ok := v.Get(key).(string); ok {
			return words(text)
		}
		return v.GetStringSlice(key)
	}
	c := &Config{
		PipeDir:      filepath.Clean(v.GetString(PipeDir)),
		Deadline:     duration(Deadline),
		StaleAfter:   duration(StaleAfter),
		Owners:       list(Owner),
		Color:        oneOf(Color, "auto", "always", "never"),
		Listen:       list(Listen),
		AllowedHosts: list(AllowedHosts),
		WebConfig:    v.GetString(WebConfig),
		Pprof:        v.GetString(Pprof),
		Path:         v.GetString(Path),
		LogLevel:     oneOf(LogLevel, "debug", "info", "warn", "error"),
		LogFormat:    oneOf(LogFormat, "text", "json"),
		Interval:     duration(Interval),
		StateDir:     cmp.Or(v.GetString(StateDir), defaultStateDir()),
	}
	var err error
	if c.SocketMode, err = parseMode(v.GetString(SocketMode)); err != nil {
		fail(SocketMode, "%w", err)
	}
	for _, k := range limitKeys {
		n, err := k.parse(v.GetString(k.name))
		if err != nil {
			fail(k.name, "%w", err)
		}
		*k.of(&c.Limits) = n
	}
	if c.MaxConnections, err = strconv.Atoi(v.GetString(MaxConnections)); err != nil || c.MaxConnections < 1 {
		fail(MaxConnections, "%q is not a number above 0", v.GetString(MaxConnections))
	}
	c.rules = v.GetString(Aggregate)
	if c.Aggregate, err = parseAggregate(c.rules); err != nil {
		fail(Aggregate, "%w", err)
	}
	if v.GetString(PipeDir) == "" {
		fail(PipeDir, "no directory is named")
	}
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return c, nil
}

// parseMode reads the mode of a file, in octal.
func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("%q is not a mode, such as 0660", text)
	}
	return fs.FileMode(mode), nil
}

// words returns what blanks and commas separate.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// defaultStateDir is where a service of systemd, or else a user's program, keeps
// what it wants to find again.
func defaultStateDir() string {
	if dirs := os.Getenv("STATE_DIRECTORY"); dirs != "" {
		dir, _, _ := strings.Cut(dirs, ":")
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "statvent")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "statvent")
	}
	return ""
}

// parseTimeout reads a time that is greater than zero and at most a day.
func parseTimeout(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err == nil && (d <= 0 || d > 24*time.Hour) {
		err = fmt.Errorf("%q is not a time between 0 and 24h", s)
	}
	return d, err
}

// ParseDuration reads a time like 500ms, 1s, 2m or 7d, or a number of seconds.
func ParseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	number, unit := s, time.Second
	if days, ok := strings.CutSuffix(s, "d"); ok {
		number, unit = days, 24*time.Hour
	}
	n, err := strconv.ParseFloat(number, 64)
	if d := n * float64(unit); err == nil && math.Abs(d) < math.MaxInt64 {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("%q is not a time, such as 90s, 15m, 1h or 7d", s)
}
