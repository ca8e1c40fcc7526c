package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/gather"
	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/internal/screen"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/pipes"
)

type watchOptions struct {
	match  func(name string) bool // nil means all
	count  int                    // of snapshots; 0 means without end
	output string
	screen bool // full screen, where there can be one
}

func newWatch(a *app) *cobra.Command {
	var opts watchOptions
	var once bool
	cmd := &cobra.Command{
		Use:   "watch [GLOB]...",
		Short: "Show the stats of the whole host live, with rates",
		Long: `watch shows the stats whose name matches one of the patterns, or all, and by how
much each grows in a second. On a terminal it has the full screen: ? lists the
keys, q quits. Elsewhere, and with --once, --count or -o, one snapshot follows
the other, an empty line between them; JSON has a line for each.`,
		Example: `  statvent watch
  statvent watch 'app.*' '*.errors' -n 5s
  statvent watch --once
  statvent watch -o json -n 10s >> stats.jsonl`,
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
			if opts.count < 0 {
				return usage(cmd, errors.New("--count takes a number of snapshots"))
			}
			if once {
				opts.count = 1
			}
			opts.screen = opts.count == 0 && !cmd.Flags().Changed("output") && a.streams.OnTerminal()
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return a.watch(ctx, opts)
		},
	}
	config.AddFlag(cmd.Flags(), config.Interval, "n")
	config.AddFlag(cmd.Flags(), config.Aggregate, "")
	config.AddFlag(cmd.Flags(), config.Owner, "")
	cmd.Flags().BoolVar(&once, "once", false, "show one snapshot")
	cmd.Flags().IntVar(&opts.count, "count", 0, "show that `many` snapshots")
	outputFlag(cmd, &opts.output, "table", output.WatchFormats())
	return cmd
}

func (a *app) watch(ctx context.Context, opts watchOptions) error {
	options, err := collectorOptions(a.config)
	if err != nil {
		return err
	}
	collector := pipes.NewCollector(options)
	defer collector.Close()
	if opts.screen {
		err := a.watchScreen(ctx, collector, opts)
		if !errors.Is(err, screen.ErrNoScreen) {
			return err
		}
	}
	screen := a.streams.NewScreen(opts.output)
	defer screen.Close()
	ticker := time.NewTicker(a.config.Interval)
	defer ticker.Stop()

	stats := output.Stats{Rates: true, Match: opts.match}
	var result *gather.Result
	for shown := 1; ; shown++ {
		collection, err := a.collect(ctx, collector)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return explain(err, a.config.PipeDir)
		}
		result = gather.Summarize(collection)
		stats.Previous, stats.PreviousTime = stats.Snapshot, stats.Time
		stats.Snapshot, stats.Time = result.Total, result.Time
		stats.Problems = problems(result, a.config)
		if err := screen.Show(&stats); err != nil {
			return err
		}
		if shown == opts.count && len(result.Errors) > 0 {
			return errPartial
		}
		if shown == opts.count {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// collect makes a collection, an empty one where nobody has published anything yet.
func (a *app) collect(ctx context.Context, collector *pipes.Collector) (*pipes.Collection, error) {
	collection, err := collector.Collect(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return &pipes.Collection{Dir: a.config.PipeDir, Time: time.Now()}, nil
	}
	return collection, err
}

// watchScreen has the full screen until somebody quits.
func (a *app) watchScreen(ctx context.Context, collector *pipes.Collector, opts watchOptions) error {
	look := &screen.Look{Colors: a.streams.Colors(), UTF8: screen.HasUTF8(), Where: "this host", Empty: nobodyPublishes(a.config)}
	if name, err := os.Hostname(); err == nil {
		look.Where = output.Escape(name)
	}
	model := watch.New(opts.match, a.config.Interval)
	bound := watch.BoundMemory()
	return screen.Run(ctx, model, look, func(ctx context.Context) (*watch.Update, error) {
		collection, err := a.collect(ctx, collector)
		if err != nil {
			return nil, explain(err, a.config.PipeDir)
		}
		result := gather.Summarize(collection)
		bound(len(result.Total.Stats))
		return &watch.Update{
			Time:     collection.Time,
			Total:    result.Total,
			Sources:  collection.Sources,
			Problems: problems(result, a.config),
			Report:   func() *host.Report { return host.Describe(collection, result.Total) },
		}, nil
	})
}

// problems says what is missing from a result.
func problems(result *gather.Result, c *config.Config) []string {
	if result.Read == 0 && len(result.Errors) == 0 {
		return []string{nobodyPublishes(c)}
	}
	var said []string
	for _, err := range result.Errors {
		said = append(said, err.Error())
	}
	return said
}
