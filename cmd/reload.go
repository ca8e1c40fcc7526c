package cmd

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/daemon"
	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/pipes"
)

// A part of a running serve makes itself ready for another configuration and returns
// what puts that in force. Where one part can't, all stay as they are.
type part func(*config.Config) (apply func(), err error)

// Keys that a running serve goes by as soon as they change, and those that it has
// nothing to do with. All others take a restart.
var (
	liveKeys = []string{
		config.Deadline, config.StaleAfter, config.Owner, config.Aggregate,
		config.AllowedHosts, config.MaxConnections, config.WebConfig, config.LogLevel,
		config.MaxSources, config.MaxHostStats, config.MaxHostBytes, config.MaxSourceStats, config.MaxSourceBytes, config.MaxLineBytes,
		config.MaxRetainedStats, config.MaxRetainedBytes,
	}
	foreignKeys = []string{config.Color, config.Interval}
)

// serving is a serve that runs.
type serving struct {
	load    func() (*config.Config, error)
	parts   []part
	started *config.Config // in force of what takes a restart
	current *config.Config // in force of the rest
	status  string         // for the service manager
	log     *slog.Logger
}

// collecting is the part that reads the pipes.
func collecting(collector *pipes.Collector, server *server.Server) part {
	return func(c *config.Config) (func(), error) {
		opts, err := collectorOptions(c)
		return func() {
			server.SetDeadline(c.Deadline)
			collector.Change(opts)
		}, err
	}
}

// answering is the part that decides whom to answer.
func answering(server *server.Server) part {
	return func(c *config.Config) (func(), error) {
		return func() {
			server.SetAllowedHosts(c.AllowedHosts)
			server.SetMaxConnections(c.MaxConnections)
		}, nil
	}
}

// guarding is the part that has the users and the certificates.
func guarding(web *webconfig.File) part {
	return func(c *config.Config) (func(), error) {
		return web.Prepare(c.WebConfig)
	}
}

// logging is the part that decides what is logged.
func logging(level *slog.LevelVar) part {
	return func(c *config.Config) (func(), error) {
		var now slog.Level
		err := now.UnmarshalText([]byte(c.LogLevel))
		return func() { level.Set(now) }, err
	}
}

// reload puts the configuration in force as it is now, or says why not. It returns
// the file that it comes from, and what that says.
func (s *serving) reload() (file, text string) {
	s.tell(daemon.Reloading())
	defer func() { s.tell(daemon.Ready(s.status)) }()
	next, err := s.load()
	if err == nil {
		err = checkUnused(next)
	}
	var apply []func()
	for _, part := range s.parts {
		if err == nil {
			var f func()
			f, err = part(next)
			apply = append(apply, f)
		}
	}
	if err != nil {
		s.keep(err)
		return "", ""
	}
	for _, f := range apply {
		f()
	}
	changed := slices.DeleteFunc(config.Changed(s.current, next), func(key string) bool { return !slices.Contains(liveKeys, key) })
	s.current = next
	s.log.Info("configuration reloaded", "file", next.File, "changed", changed)
	waiting := slices.DeleteFunc(config.Changed(s.started, next), func(key string) bool {
		return slices.Contains(liveKeys, key) || slices.Contains(foreignKeys, key)
	})
	if len(waiting) > 0 {
		s.log.Warn("a change of these takes a restart", "keys", waiting)
	}
	return next.File, next.FileText
}

// keep says why another configuration is not in force.
func (s *serving) keep(err error) {
	s.log.Error("the configuration is not reloaded, what was in force stays so", "error", err)
}

// manage says to the service manager how serve fares, and loads the configuration
// again when asked to or when it has changed, until ctx is done. What it returns
// ends the rest of that.
func (s *serving) manage(ctx context.Context, hangups <-chan os.Signal, health func() error) (end func()) {
	var running sync.WaitGroup
	reloader := daemon.Reloader{
		Signals: hangups,
		Load:    s.reload,
		Gone:    s.keep,
		Blind: func(err error) {
			s.log.Warn("changes of the configuration are not seen, only SIGHUP loads it again", "error", err)
		},
	}
	reloader.Watch(s.current.File, s.current.FileText)
	s.tell(daemon.Ready(s.status))
	running.Go(func() { reloader.Run(ctx) })
	alive, done := context.WithCancel(context.WithoutCancel(ctx)) // while requests in flight are answered as well
	running.Go(func() {
		daemon.Watchdog(alive, health, func(err error) { s.log.Error("the watchdog isn't fed any more", "error", err) })
	})
	told := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		s.tell(daemon.Stopping())
		close(told)
	})
	return func() {
		if !stopped() {
			<-told
		}
		done()
		running.Wait()
	}
}

// tell logs what the service manager could not be told.
func (s *serving) tell(err error) {
	if err != nil {
		s.log.Warn(err.Error())
	}
}
