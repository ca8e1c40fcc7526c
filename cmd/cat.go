package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/assert"
	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/gather"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/format"
)

type catOptions struct {
	names  []string
	expect []*assert.Expectation // print none but what is not as expected
	output string
}

func newCat(a *app) *cobra.Command {
	var opts catOptions
	var expectations []string
	cmd := &cobra.Command{
		Use:   "cat [PID|NAME|FILE|-]...",
		Short: "Print one snapshot of a process, of several, or of the whole host",
		Long: `cat prints the stats of the processes with these pids or names together; of the
whole host, if there is no argument. A FILE, or - for standard input, is in
either format: plain lines, NAME: VALUE, or what 'statvent cat -o typed' prints,
of one host or of several, and counts whoever it belongs to.

--assert prints no stats, and nothing at all where they are as expected; else a
line a stat that is not, to stdout, with its value and what was expected. It takes
NAME OPERATOR NUMBER, with one of < <= > >= == !=. The name is as cat prints it; in
quotes, or where there is such a stat, it is no GLOB, else all that match are
meant. A stat that is missing is not as expected, nor is nan, but for !=.

Exit codes: 0 all printed, or as expected; 1 failed, or a stat is not as expected;
2 wrong usage; 3 all others are, but some sources could not be read. To Nagios
these are OK, WARNING, CRITICAL and UNKNOWN.`,
		Example: `  statvent cat                    # the whole host
  statvent cat 3435 3436          # two processes
  statvent cat -o json 3435 | jq .stats
  statvent cat <(ssh web1 statvent cat -o typed) <(ssh web2 statvent cat -o typed)

  # in a crontab: a mail when there is something to say
  */5 * * * *  statvent cat --assert 'errors < 5' --assert 'latency.99th < 0.5'
  # in a Dockerfile
  HEALTHCHECK CMD ["statvent", "cat", "--assert", "app.*.errors == 0"]
  # for Nagios: critical where it would be a warning
  statvent cat --assert 'errors < 5' && echo OK || { s=$?; [ $s = 1 ] && exit 2; exit $s; }`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.CheckFormat(opts.output, output.StatsFormats()); err != nil {
				return usage(cmd, err)
			}
			for _, text := range expectations {
				expectation, err := assert.Parse(text)
				if err != nil {
					return usage(cmd, fmt.Errorf("--assert: %w", err))
				}
				opts.expect = append(opts.expect, expectation)
			}
			if len(opts.expect) > 0 && cmd.Flags().Changed("output") {
				return usage(cmd, errors.New("--assert prints no stats, so it takes no --output"))
			}
			opts.names = args
			return a.cat(cmd.Context(), opts)
		},
	}
	config.AddFlag(cmd.Flags(), config.Aggregate, "")
	config.AddFlag(cmd.Flags(), config.Owner, "")
	cmd.Flags().StringArrayVar(&expectations, "assert", nil, "`expectation` such as 'errors < 5': print only what is not as expected; may be repeated")
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
			err = output.WithHint(err, a.whereToLook(opts.names))
		}
		return err
	}
	if len(opts.expect) > 0 {
		return a.assert(result, opts.expect)
	}
	if err := a.streams.PrintStats(opts.output, &output.Stats{Snapshot: result.Total, Time: result.Time}); err != nil {
		return err
	}
	return a.report(result)
}

// whereToLook says where what was named may be found.
func (a *app) whereToLook(names []string) string {
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "retained-") }) {
		return "what is retained of processes that have ended is part of the whole host alone: 'statvent cat'"
	}
	return "'statvent list' shows the sources in " + a.config.PipeDir
}

// assert prints which stats are not as expected. Of the rest it says only what may
// be missing from them.
func (a *app) assert(result *gather.Result, expectations []*assert.Expectation) error {
	failed, flat := false, result.Total.Flatten()
	for _, expectation := range expectations {
		for _, failure := range expectation.Check(flat) {
			failed = true
			if err := a.streams.PrintLine(failure.String()); err != nil {
				return err
			}
		}
	}
	a.reportMissing(result)
	switch {
	case failed:
		return exitCode(exitFailed)
	case len(result.Errors) > 0:
		return errPartial
	default:
		return nil
	}
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
	a.reportMissing(result)
	if len(result.Errors) > 0 {
		return errPartial
	}
	return nil
}

// reportMissing says what is not in a result.
func (a *app) reportMissing(result *gather.Result) {
	for _, text := range result.Limits {
		a.streams.Warn("%s", text)
	}
	for _, err := range result.Errors {
		a.streams.Warn("%v", err)
	}
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
