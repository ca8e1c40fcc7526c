package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/listen"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/internal/webconfig"
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
next serve. SIGTERM and SIGINT end it after the requests in flight.

It serves this host alone, unless --listen says otherwise; for others there are
TLS, client certificates and users with --web-config, which is read again when it
has changed. A request that calls the host by a name is refused, unless that is
localhost or one of --allowed-hosts.`,
		Example: `  statvent serve
  statvent serve --listen 127.0.0.1:8000 --listen unix:/run/statvent/statvent.sock
  statvent serve --listen :7828 --allowed-hosts stats.example.org --web-config web.yml
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
	config.AddFlag(cmd.Flags(), config.AllowedHosts, "")
	config.AddFlag(cmd.Flags(), config.MaxConnections, "")
	config.AddFlag(cmd.Flags(), config.WebConfig, "")
	config.AddFlag(cmd.Flags(), config.Pprof, "")
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
	web, err := webconfig.Open(a.config.WebConfig, log)
	if err != nil {
		return output.WithHint(fmt.Errorf("the web configuration is wrong: %w", err),
			"--web-config takes a file such as https://prometheus.io/docs/prometheus/latest/configuration/https/ describes")
	}
	scheme := "http"
	if web.TLS() != nil {
		scheme = "https"
	}
	profiles, err := a.openProfiles(log, scheme)
	if err != nil {
		return err
	}
	defer listen.CloseAll(profiles)
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
		log.Info("serving", "url", listen.URL(l, scheme, a.config.Path), "pipe_dir", a.config.PipeDir)
	}
	return server.New(server.Options{
		Version:   version(),
		PipeDir:   a.config.PipeDir,
		Path:      a.config.Path,
		Deadline:  a.config.Deadline,
		Collector: collector,
		Log:       log,

		AllowedHosts:   a.config.AllowedHosts,
		MaxConnections: a.config.MaxConnections,
		Web:            web,
		Profiles:       profiles,
	}).Serve(ctx, listeners...)
}

// openProfiles returns where the profiles of this process are served, if
// anywhere.
func (a *app) openProfiles(log *slog.Logger, scheme string) ([]net.Listener, error) {
	if a.config.Pprof == "" {
		return nil, nil
	}
	listeners, err := listen.Open("--pprof", a.config.SocketMode, a.config.Pprof)
	if err != nil {
		return nil, err
	}
	log.Info("serving profiles of this process", "address", listen.URL(listeners[0], scheme, "/debug/pprof/"))
	if !listen.IsLocal(listeners[0]) {
		log.Warn("other hosts can reach the profiles of this process, which tell much about it and take its time")
	}
	return listeners, nil
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
