package cmd

import (
	"bytes"
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
		return c.Fail(config.Path, err)
	}
	if len(c.Listen) == 0 {
		return c.Fail(config.Listen, errors.New("no address is named"))
	}
	for _, address := range c.Listen {
		if err := listen.Check(address); err != nil {
			return c.Fail(config.Listen, err)
		}
	}
	if c.Pprof != "" {
		if err := listen.Check(c.Pprof); err != nil {
			return c.Fail(config.Pprof, err)
		}
	}
	for _, name := range c.AllowedHosts {
		if err := server.CheckHost(name); err != nil {
			return c.Fail(config.AllowedHosts, err)
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
	if err := webconfig.Check(c.WebConfig); err != nil {
		return c.Fail(config.WebConfig, err)
	}
	return nil
}

// checkAll says that as well of the directory that serve would read.
func checkAll(c *config.Config) error {
	if err := checkUnused(c); err != nil {
		return err
	}
	info, err := os.Lstat(c.PipeDir)
	switch {
	case err == nil && info.Mode().Type() == fs.ModeSymlink:
		return c.Fail(config.PipeDir, fmt.Errorf("%s %w", c.PipeDir, pipes.ErrSymlink))
	case err == nil && !info.IsDir():
		return c.Fail(config.PipeDir, fmt.Errorf("%s is not a directory", c.PipeDir))
	}
	return nil // there may be one later
}

// check prints that the configuration is valid, which it is, and warns of what will
// not work with it here and now.
func (a *app) check() error {
	_, err := os.ReadDir(a.config.PipeDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.streams.Warn("%s does not exist yet: the first program that publishes makes it", a.config.PipeDir)
	case err != nil:
		a.streams.Warn("%v", err)
	}
	if warning := host.OwnerWarning(a.config.PipeDir); warning != "" {
		a.streams.Warn("%s", warning)
	}
	if a.config.StateDir == "" {
		a.streams.Warn("%s", noStateDir)
	}
	file := a.config.File
	if file == "" {
		file = "there is no file; defaults, environment and options"
	} else if text, err := os.ReadFile(file); err == nil && len(bytes.TrimSpace(text)) == 0 {
		a.streams.Warn("%s is empty: a serve that starts takes the defaults, and one that runs goes on as before", file)
	}
	_, err = fmt.Fprintln(a.streams.Out, "the configuration is valid: "+file)
	return err
}

const noStateDir = "what was seen last is not saved, so counters may fall at the next start: set state_dir"
