package config

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// A Source says what has decided about a key.
type Source string

// The sources, the first that has a word on a key decides.
const (
	FromFlag     Source = "flag"
	FromVariable Source = "variable"
	FromFile     Source = "file"
	FromDefault  Source = "default"
)

// A Setting is the value of a key that is in force, and where it was found.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"` // string, []string or int
	Source Source `json:"source"`
	From   string `json:"from,omitempty"` // the flag, the variable or the file
}

// Text returns the value as one line, several separated by commas.
func (s Setting) Text() string {
	if list, ok := s.Value.([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(s.Value)
}

// Settings returns all keys with what is in force, in the order of
// configs/statvent.yaml.
func (c *Config) Settings() []Setting {
	settings, values := make([]Setting, 0, len(keys)), c.values()
	for _, k := range keys {
		s := Setting{Key: k.name, Value: values[k.name]}
		switch value := s.Value.(type) {
		case time.Duration:
			s.Value = durationText(value)
		case fs.FileMode:
			s.Value = fmt.Sprintf("%04o", value)
		}
		if k.name == Aggregate {
			s.Value = ruleList(c.rules)
		}
		s.Source, s.From = c.find(k.name)
		settings = append(settings, s)
	}
	return settings
}

// durationText returns a time as somebody would write it, 1m and not 1m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// AddAllFlags adds the flags of all keys that have one and no command above has.
func AddAllFlags(flags, inherited *pflag.FlagSet) {
	for _, k := range keys {
		if name := flagName(k.name); k.usage != "" && flags.Lookup(name) == nil && inherited.Lookup(name) == nil {
			AddFlag(flags, k.name, "")
		}
	}
}

// find says what has decided about a key.
func find(key string, flags *pflag.FlagSet, v *viper.Viper, file string) (source Source, from string) {
	if flag := flags.Lookup(flagName(key)); flag != nil && flag.Changed {
		return FromFlag, "--" + flag.Name
	}
	if os.Getenv(variable(key)) != "" {
		return FromVariable, variable(key)
	}
	if v.InConfig(key) {
		return FromFile, file
	}
	return FromDefault, ""
}
