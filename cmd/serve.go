package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/daemon"
	"github.com/statvent/statvent/internal/listen"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/server"
	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/pipes"
)

func newServe(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the stats of all processes together: a page, JSON, Prometheus",
		Long: `serve answers for all processes of the host together. Nothing is read before
somebody asks.

  /          a live page for a browser
  /stats     {"stats": {NAME: NUMBER, ...}, "timestamp": SECONDS}; with
             ?match=GLOB the stats whose name matches
  /metrics   the same for Prometheus
  /sources   what 'statvent list -o json' prints; with ?stats=1 the values of each
  /typed     what 'statvent cat -o typed' prints; with ?sources=1 that of each
  /-/healthy, /-/ready   200 while it runs

The counters of processes that are gone go on in the user's retained file, and
their pipes are removed. What was seen last of each process is saved, for the
next serve. SIGTERM and SIGINT end it after the requests in flight.

It serves this host alone, unless --listen says otherwise; for others there are
TLS, client certificates and users with --web-config, which is read again when it
has changed. A request that calls the host by a name is refused, unless that is
localhost or one of --allowed-hosts.

SIGHUP loads the configuration again, and so does a change of its file. One that is
wrong is not put in force, and why is logged. What takes a restart is logged as well.
--check says whether the configuration is one that serve can go by, and ends.

A service manager that passes sockets in ($LISTEN_FDS) has it serve there instead of
at --listen, and is told how it fares ($NOTIFY_SOCKET, $WATCHDOG_USEC).`,
		Example: `  statvent serve
  statvent serve --listen 127.0.0.1:8000 --listen unix:/run/statvent/statvent.sock
  statvent serve --listen :7828 --allowed-hosts stats.example.org --web-config web.yaml
  curl -s 'http://127.0.0.1:7828/stats?match=app.*'`,
		Args: arguments(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			validate := checkServe
			if check {
				validate = checkAll
			}
			if err := validate(a.config); err != nil {
				return misconfigured(cmd, err)
			}
			if check {
				return a.check()
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return a.serve(ctx, func() (*config.Config, error) { return config.Load(cmd.Flags(), a.configFile) })
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
	config.AddFlag(cmd.Flags(), config.MaxSources, "")
	config.AddFlag(cmd.Flags(), config.MaxHostStats, "")
	config.AddFlag(cmd.Flags(), config.StateDir, "")
	config.AddFlag(cmd.Flags(), config.LogLevel, "")
	config.AddFlag(cmd.Flags(), config.LogFormat, "")
	cmd.Flags().BoolVar(&check, "check", false, "check the configuration and end")
	return cmd
}

// serve runs until ctx is done. Load loads the configuration as it is then.
func (a *app) serve(ctx context.Context, load func() (*config.Config, error)) (err error) {
	level := new(slog.LevelVar)
	log, err := a.logger(level)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the log any more isn't the end
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	listeners, err := a.openListeners(log)
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
		log.Warn(noStateDir)
	}
	collector := pipes.NewCollector(opts)
	defer func() {
		if closeErr := collector.Close(); err == nil {
			err = closeErr
		}
	}()
	urls := make([]string, len(listeners))
	for i, l := range listeners {
		urls[i] = listen.URL(l, scheme, "/")
		log.Info("serving", "url", urls[i], "stats", a.config.Path, "pipe_dir", a.config.PipeDir)
	}
	server := server.New(server.Options{
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
	})
	running := serving{
		load:    load,
		parts:   []part{collecting(collector, server), answering(server), guarding(web), logging(level)},
		started: a.config,
		current: a.config,
		status:  "serving " + strings.Join(urls, " "),
		log:     log,
	}
	defer running.manage(ctx, hangups, server.Health)()
	return server.Serve(ctx, listeners...)
}

// openListeners returns where to serve: the sockets that a service manager passed
// in, else those of the configuration.
func (a *app) openListeners(log *slog.Logger) ([]net.Listener, error) {
	listeners, err := daemon.Sockets()
	if err != nil {
		return nil, err
	}
	if len(listeners) > 0 {
		log.Info("the service manager has passed sockets in, so no others are listened on", "sockets", len(listeners))
		return listeners, nil
	}
	return listen.Open("--listen", a.config.SocketMode, a.config.Listen...)
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

// logger returns the log that the configuration asks for, of which the level may
// change.
func (a *app) logger(level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(a.config.LogLevel)); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	if a.config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.streams.Err, opts)), nil
	}
	return slog.New(slog.NewTextHandler(a.streams.Err, opts)), nil
}
