package config

import (
	"reflect"

	"github.com/statvent/statvent/pkg/pipes"
)

// values returns the value of each key as it is compared.
func (c *Config) values() map[string]any {
	list := func(values []string) []string { return append([]string{}, values...) } // nil is empty
	values := map[string]any{
		PipeDir:        c.PipeDir,
		Deadline:       c.Deadline,
		StaleAfter:     c.StaleAfter,
		Owner:          list(c.Owners),
		Aggregate:      c.rules,
		Color:          c.Color,
		Listen:         list(c.Listen),
		SocketMode:     c.SocketMode,
		AllowedHosts:   list(c.AllowedHosts),
		MaxConnections: c.MaxConnections,
		WebConfig:      c.WebConfig,
		Pprof:          c.Pprof,
		Path:           c.Path,
		StateDir:       c.StateDir,
		LogLevel:       c.LogLevel,
		LogFormat:      c.LogFormat,
		Interval:       c.Interval,
	}
	for _, k := range limitKeys {
		n := *k.of(&c.Limits)
		values[k.name] = n
		if k.bytes {
			values[k.name] = pipes.BytesText(n)
		}
	}
	return values
}

// Changed returns the keys in which two configurations differ, in the order of
// configs/statvent.yaml.
func Changed(a, b *Config) []string {
	changed := []string{}
	before, after := a.values(), b.values()
	for _, k := range keys {
		if !reflect.DeepEqual(before[k.name], after[k.name]) {
			changed = append(changed, k.name)
		}
	}
	return changed
}
