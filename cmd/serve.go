package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/listen"
	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/pkg/pipes"
)

func newServe(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the stats of all processes together as JSON",
		Long: `serve answers GET /stats with the stats of all processes of the host together:
{"stats": {NAME: NUMBER, ...}, "timestamp": SECONDS}. Nothing is read before
somebody asks. /stats?match=GLOB gives the stats whose name matches, /sources
what 'statvent list -o json' prints, /sources?stats=1 with the values of each;
/-/healthy and /-/ready answer 200 while it runs.

The counters of processes that are gone go on in the user's retained file, and
their pipes are removed. What was seen last of each process is saved, for the
next serve. SIGTERM and SIGINT end it after the requests in flight.`,
		Example: `  statvent serve
  statvent serve --listen 127.0.0.1:8000
  curl -s 'http://127.0.0.1:7828/stats?match=app.*'`,
		Args: arguments(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.CheckPath(a.config.Path); err != nil {
				return usage(cmd, fmt.Errorf("%s: %w", config.Path, err))
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return a.serve(ctx)
		},
	}
	config.AddFlag(cmd.Flags(), config.Listen, "l")
	config.AddFlag(cmd.Flags(), config.SocketMode, "")
	config.AddFlag(cmd.Flags(), config.Path, "")
	config.AddFlag(cmd.Flags(), config.StaleAfter, "")
	config.AddFlag(cmd.Flags(), config.Aggregate, "")
	config.AddFlag(cmd.Flags(), config.Owner, "")
	config.AddFlag(cmd.Flags(), config.StateDir, "")
	config.AddFlag(cmd.Flags(), config.LogLevel, "")
	config.AddFlag(cmd.Flags(), config.LogFormat, "")
	return cmd
}

func (a *app) serve(ctx context.Context) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	listeners, err := listen.Open("--listen", a.config.SocketMode, a.config.Listen...)
	if err != nil {
		return err
	}
	defer listen.CloseAll(listeners)
	opts, err := collectorOptions(a.config)
	if err != nil {
		return err
	}
	opts.Tidy, opts.StateDir = true, a.config.StateDir
	if opts.StateDir == "" {
		log.Warn("what was seen last is not saved, so counters may fall at the next start: set state_dir")
	}
	collector := pipes.NewCollector(opts)
	defer collector.Close()
	for _, l := range listeners {
		log.Info("serving", "url", listen.URL(l, "http", a.config.Path), "pipe_dir", a.config.PipeDir)
	}
	return server.New(server.Options{
		Version:   version(),
		PipeDir:   a.config.PipeDir,
		Path:      a.config.Path,
		Deadline:  a.config.Deadline,
		Collector: collector,
		Log:       log,
	}).Serve(ctx, listeners...)
}

func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.config.LogLevel)); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	if a.config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.streams.Err, opts)), nil
	}
	return slog.New(slog.NewTextHandler(a.streams.Err, opts)), nil
}
