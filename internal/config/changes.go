package config

import "reflect"

// get returns the value of each key as it is compared.
var get = map[string]func(*Config) any{
	PipeDir:        func(c *Config) any { return c.PipeDir },
	Deadline:       func(c *Config) any { return c.Deadline },
	StaleAfter:     func(c *Config) any { return c.StaleAfter },
	Owner:          func(c *Config) any { return append([]string{}, c.Owners...) },
	Aggregate:      func(c *Config) any { return c.rules },
	Color:          func(c *Config) any { return c.Color },
	Listen:         func(c *Config) any { return append([]string{}, c.Listen...) },
	SocketMode:     func(c *Config) any { return c.SocketMode },
	AllowedHosts:   func(c *Config) any { return append([]string{}, c.AllowedHosts...) },
	MaxConnections: func(c *Config) any { return c.MaxConnections },
	WebConfig:      func(c *Config) any { return c.WebConfig },
	Pprof:          func(c *Config) any { return c.Pprof },
	Path:           func(c *Config) any { return c.Path },
	StateDir:       func(c *Config) any { return c.StateDir },
	LogLevel:       func(c *Config) any { return c.LogLevel },
	LogFormat:      func(c *Config) any { return c.LogFormat },
	Interval:       func(c *Config) any { return c.Interval },
}

// Changed returns the keys in which two configurations differ, in the order of
// configs/statvent.yaml.
func Changed(a, b *Config) []string {
	changed := []string{}
	for _, k := range keys {
		if !reflect.DeepEqual(get[k.name](a), get[k.name](b)) {
			changed = append(changed, k.name)
		}
	}
	return changed
}
