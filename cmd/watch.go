package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/feed"
	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/screen"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
)

type watchOptions struct {
	match      func(name string) bool // nil means all
	count      int                    // of snapshots; 0 means without end
	output     string
	urls       []string // of other hosts
	files      []string // and files, rather than of the pipes of this host
	httpConfig string
}

// isRemote tells whether it is not about the pipes of this host.
func (o *watchOptions) isRemote() bool { return len(o.urls)+len(o.files) > 0 }

func newWatch(a *app) *cobra.Command {
	var opts watchOptions
	var once bool
	cmd := &cobra.Command{
		Use:   "watch [GLOB]...",
		Short: "Show the stats of a host live, or of several, with rates",
		Long: `watch shows the stats whose name matches one of the patterns, or all, and by how
much each grows in a second. On a terminal it has the full screen: ? lists the
keys, q quits. Elsewhere, and with --once, --count or -o, one snapshot follows
the other, an empty line between them; JSON has a line for each.

--url and --file, which may be repeated, show other hosts in place of this one, all
added up: what 'statvent serve' answers at an address, HOST[:PORT], URL or unix:PATH,
and files that are read each time, with what 'statvent cat -o typed' prints. The file
- is standard input, where each document takes the place of the one before.

--http-config names a file with the basic_auth and tls_config of Prometheus' own
tools, for hosts that want a password or have a certificate of one's own.`,
		Example: `  statvent watch
  statvent watch 'app.*' '*.errors' -n 5s
  statvent watch --once
  statvent watch -o json -n 10s >> stats.jsonl
  statvent watch --url web1 --url https://web2:7828
  ssh web1 statvent watch -o typed | statvent watch --file -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.CheckFormat(opts.output, output.WatchFormats()); err != nil {
				return usage(cmd, err)
			}
			if len(args) > 0 {
				var err error
				if opts.match, err = glob.Compile(args...); err != nil {
					return usage(cmd, err)
				}
			}
			switch {
			case opts.count < 0:
				return usage(cmd, errors.New("--count takes a number of snapshots"))
			case opts.httpConfig != "" && len(opts.urls) == 0:
				return usage(cmd, errors.New("--http-config is for --url"))
			case cmd.Flags().Changed("owner") && opts.isRemote():
				return usage(cmd, errors.New("--owner is for the pipes of this host"))
			}
			if once {
				opts.count = 1
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return a.watch(ctx, cmd, &opts)
		},
	}
	config.AddFlag(cmd.Flags(), config.Interval, "n")
	config.AddFlag(cmd.Flags(), config.Aggregate, "")
	config.AddFlag(cmd.Flags(), config.Owner, "")
	cmd.Flags().BoolVar(&once, "once", false, "show one snapshot")
	cmd.Flags().IntVar(&opts.count, "count", 0, "`number` of snapshots to show; 0 is no end")
	cmd.Flags().StringArrayVar(&opts.urls, "url", nil, "`address` of a statvent serve; may be repeated")
	cmd.Flags().StringArrayVarP(&opts.files, "file", "f", nil, "`file` with stats, - for standard input; may be repeated")
	cmd.Flags().StringVar(&opts.httpConfig, "http-config", "", "`file` with basic_auth and tls_config for the addresses")
	outputFlag(cmd, &opts.output, "table", output.WatchFormats())
	return cmd
}

func (a *app) watch(ctx context.Context, cmd *cobra.Command, opts *watchOptions) error {
	stats, err := a.feed(cmd, opts)
	if err != nil {
		return err
	}
	defer stats.Close()
	if opts.count == 0 && opts.output == "table" && a.streams.OnTerminal() {
		err := a.watchScreen(ctx, stats, opts)
		if !errors.Is(err, screen.ErrNoScreen) {
			return err
		}
	}
	return a.watchSeries(ctx, stats, opts)
}

// feed returns where the stats come from.
func (a *app) feed(cmd *cobra.Command, opts *watchOptions) (feed.Feed, error) {
	options, err := collectorOptions(a.config)
	if err != nil || !opts.isRemote() {
		return feed.NewPipes(options), err
	}
	var http *feed.HTTPConfig
	if opts.httpConfig != "" {
		if http, err = feed.ReadHTTPConfig(opts.httpConfig); err != nil {
			return nil, err
		}
	}
	var inputs []feed.Input
	for _, address := range distinct(opts.urls) {
		host, err := feed.NewHost(address, version(), http)
		if err != nil {
			return nil, usage(cmd, fmt.Errorf("--url: %w", err))
		}
		inputs = append(inputs, host)
	}
	for _, path := range distinct(opts.files) {
		if path == "-" {
			inputs = append(inputs, feed.NewStream(a.streams.In))
		} else {
			inputs = append(inputs, feed.NewFile(path, options))
		}
	}
	return feed.NewInputs(format.Combiner{Aggregate: options.Aggregate}, inputs...), nil
}

// distinct returns what is named, each once.
func distinct(names []string) (each []string) {
	for _, name := range names {
		if !slices.Contains(each, name) {
			each = append(each, name)
		}
	}
	return each
}

// watchSeries prints one snapshot after the other.
func (a *app) watchSeries(ctx context.Context, from feed.Feed, opts *watchOptions) error {
	series := a.streams.NewSeries(opts.output)
	ticker := time.NewTicker(a.config.Interval)
	defer ticker.Stop()
	stats := output.Stats{Rates: true, Match: opts.match}
	for shown := 0; ; {
		update, err := from.Next(ctx, false)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case err != nil && shown == 0:
			return a.explainFeed(err, opts)
		case err != nil: // it has been otherwise
			series.Fail(a.explainFeed(err, opts))
		default:
			stats.Previous, stats.PreviousTime = stats.Snapshot, stats.Time
			if update.Others {
				stats.Previous = nil
			}
			stats.Snapshot, stats.Time = update.Total, update.Time
			if err := series.Print(&stats, a.problems(update, opts)); err != nil {
				return err
			}
			if shown++; shown == opts.count {
				if update.Partial {
					return errPartial
				}
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// explainFeed adds to an error of a feed what can be done about it.
func (a *app) explainFeed(err error, opts *watchOptions) error {
	if opts.isRemote() {
		return err
	}
	return explain(err, a.config.PipeDir)
}

// problems says what is missing from an update.
func (a *app) problems(update *watch.Update, opts *watchOptions) []string {
	if update.Nobody {
		return []string{a.nobody(opts)}
	}
	return update.Problems
}

// nobody says that there are no stats.
func (a *app) nobody(opts *watchOptions) string {
	if opts.isRemote() {
		return "no program publishes there"
	}
	return nobodyPublishes(a.config)
}

// watchScreen has the full screen until somebody quits.
func (a *app) watchScreen(ctx context.Context, from feed.Feed, opts *watchOptions) error {
	look := &screen.Look{Colors: a.streams.Colors(), UTF8: screen.HasUTF8(), Where: where(from), Empty: a.nobody(opts)}
	model := watch.New(opts.match, a.config.Interval)
	bound := watch.BoundMemory()
	return screen.Run(ctx, model, look, func(ctx context.Context, eachSource bool) (*watch.Update, error) {
		update, err := from.Next(ctx, eachSource)
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("standard input has ended")
		case err != nil:
			return nil, a.explainFeed(err, opts)
		case update.Nobody && update.LeftOut == 0 && !opts.isRemote():
			update.Advice = host.Advice(a.config.PipeDir)
		}
		bound(update)
		return update, nil
	})
}

// where says in a few words whose stats there are.
func where(from feed.Feed) string {
	if inputs, ok := from.(*feed.Inputs); ok {
		return output.Escape(strings.Join(inputs.Names(), " + "))
	}
	if name, err := os.Hostname(); err == nil {
		return output.Escape(name)
	}
	return "this host"
}
