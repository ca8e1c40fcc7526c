package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/listen"
	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/pipes"
)

// checkServe says what serve can't go by in a configuration that is one.
func checkServe(c *config.Config) error {
	if err := server.CheckPath(c.Path); err != nil {
		return fmt.Errorf("%s: %w", c.Origin(config.Path), err)
	}
	if len(c.Listen) == 0 {
		return fmt.Errorf("%s: no address is named", c.Origin(config.Listen))
	}
	for _, name := range c.AllowedHosts {
		if err := server.CheckHost(name); err != nil {
			return fmt.Errorf("%s: %w", c.Origin(config.AllowedHosts), err)
		}
	}
	_, err := c.OwnerIDs()
	return err
}

// checkUnused says that as well of what a serve that starts finds out by doing it.
func checkUnused(c *config.Config) error {
	if err := checkServe(c); err != nil {
		return err
	}
	for _, address := range c.Listen {
		if err := listen.Check(address); err != nil {
			return fmt.Errorf("%s: %w", c.Origin(config.Listen), err)
		}
	}
	if c.Pprof != "" {
		if err := listen.Check(c.Pprof); err != nil {
			return fmt.Errorf("%s: %w", c.Origin(config.Pprof), err)
		}
	}
	if err := webconfig.Check(c.WebConfig); err != nil {
		return fmt.Errorf("%s: %w", c.Origin(config.WebConfig), err)
	}
	return nil
}

// check prints that the configuration is valid, which it is, and warns of what will
// not work with it here and now.
func (a *app) check() error {
	warn := func(err error) { a.streams.Warn("%v", err) }
	info, err := os.Lstat(a.config.PipeDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.streams.Warn("%s does not exist yet: the first program that publishes makes it", a.config.PipeDir)
	case err != nil:
		warn(err)
	case info.Mode().Type() == fs.ModeSymlink:
		a.streams.Warn("the pipe directory %s %v", a.config.PipeDir, pipes.ErrSymlink)
	case !info.IsDir():
		a.streams.Warn("the pipe directory %s is not a directory", a.config.PipeDir)
	default:
		if _, err := os.ReadDir(a.config.PipeDir); err != nil {
			warn(err)
		}
	}
	if warning := host.OwnerWarning(a.config.PipeDir); warning != "" {
		a.streams.Warn("%s", warning)
	}
	if a.config.StateDir == "" {
		a.streams.Warn("%s", noStateDir)
	}
	file := a.config.File
	if file == "" {
		file = "no file, the defaults and what else was said"
	}
	_, err = fmt.Fprintln(a.streams.Out, "the configuration is valid: "+file)
	return err
}

const noStateDir = "what was seen last is not saved, so counters may fall at the next start: set state_dir"
