package cmd

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/gather"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/format"
)

type catOptions struct {
	names  []string
	output string
}

func newCat(a *app) *cobra.Command {
	var opts catOptions
	cmd := &cobra.Command{
		Use:   "cat [PID|NAME|FILE|-]...",
		Short: "Print one snapshot of a process, of several, or of the whole host",
		Long: `cat prints the stats of the processes with these pids or names together; of the
whole host, if there is no argument. A FILE, or - for standard input, is in
either format: plain lines, NAME: VALUE, or what 'statvent cat -o typed' prints,
of one host or of several, and counts whoever it belongs to.`,
		Example: `  statvent cat                    # the whole host
  statvent cat 3435 3436          # two processes
  statvent cat -o json 3435 | jq .stats
  statvent cat <(ssh web1 statvent cat -o typed) <(ssh web2 statvent cat -o typed)`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.CheckFormat(opts.output, output.StatsFormats()); err != nil {
				return usage(cmd, err)
			}
			opts.names = args
			return a.cat(cmd.Context(), opts)
		},
	}
	config.AddFlag(cmd.Flags(), config.Aggregate, "")
	config.AddFlag(cmd.Flags(), config.Owner, "")
	outputFlag(cmd, &opts.output, "plain", output.StatsFormats())
	return cmd
}

func (a *app) cat(ctx context.Context, opts catOptions) error {
	result, err := a.gather(ctx, opts.names)
	if err != nil {
		return explain(err, a.config.PipeDir)
	}
	if result.Read == 0 && len(opts.names) > 0 {
		last := len(result.Errors) - 1
		for _, err := range result.Errors[:last] {
			a.streams.Warn("%v", err)
		}
		err := result.Errors[last]
		if errors.Is(err, gather.ErrNotFound) {
			err = output.WithHint(err, "'statvent list' shows the sources in "+a.config.PipeDir)
		}
		return err
	}
	if err := a.streams.PrintStats(opts.output, &output.Stats{Snapshot: result.Total, Time: result.Time}); err != nil {
		return err
	}
	return a.report(result)
}

func (a *app) gather(ctx context.Context, names []string) (*gather.Result, error) {
	options, err := collectorOptions(a.config)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return gather.Host(ctx, options)
	}
	return gather.Names(ctx, options, a.streams.In, names)
}

// report says what is missing from a result.
func (a *app) report(result *gather.Result) error {
	switch n := result.Total.Skipped; {
	case n == 1:
		a.streams.Warn("1 line could not be read and was skipped")
	case n > 1:
		a.streams.Warn("%d lines could not be read and were skipped", n)
	}
	// That values without a kind are added is nothing to say each time; list does.
	a.reportConflicts(slices.DeleteFunc(result.Total.Conflicts, format.Conflict.IsUntyped))
	for _, err := range result.Errors {
		a.streams.Warn("%v", err)
	}
	if len(result.Errors) > 0 {
		return errPartial
	}
	return nil
}

// reportConflicts says which stats aren't the same everywhere.
func (a *app) reportConflicts(conflicts []format.Conflict) {
	const most = 3
	for i, conflict := range conflicts {
		if i == most {
			a.streams.Warn("%d more stats are of one kind here and of another there", len(conflicts)-most)
			a.streams.Hint("'statvent list -o json' has all under \"conflicts\"")
			break
		}
		a.streams.Warn("%v", conflict)
	}
}
