package cmd

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/pipes"
)

type listOptions struct {
	output string
}

func newList(a *app) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show who publishes, and how they fare",
		Long: `list asks every source of the host once and shows its process, its user, how long
it has published, how many stats it has and in which state it is:

  live           it answered
  unresponsive   it lives, or may, and did not answer in time
  stale          its process is gone, and left its pipe; 'statvent serve' removes it
  failed         it can't be read, or sent more than it may
  ended          it has ended, and left what it counted
  retained       what a user's processes have counted that ended earlier

Entries of the pipe directory that are no sources are passed over, and why is
said, and so is how many sources --owner leaves out. Where there is no source at
all, list says why that may be.`,
		Example: `  statvent list
  statvent list -o json | jq '.sources[] | select(.state != "live")'`,
		Args: arguments(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.CheckFormat(opts.output, output.ReportFormats()); err != nil {
				return usage(cmd, err)
			}
			return a.list(cmd.Context(), opts)
		},
	}
	config.AddFlag(cmd.Flags(), config.Owner, "")
	outputFlag(cmd, &opts.output, "table", output.ReportFormats())
	return cmd
}

func (a *app) list(ctx context.Context, opts listOptions) error {
	options, err := collectorOptions(a.config)
	if err != nil {
		return err
	}
	collector := pipes.NewCollector(options)
	defer collector.Close()
	collection, err := collector.Collect(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		collection, err = &pipes.Collection{Dir: a.config.PipeDir, Time: time.Now()}, nil
	}
	if err != nil {
		return explain(err, a.config.PipeDir)
	}
	total := collection.Total()
	report := host.Describe(collection, total)
	if err := a.streams.PrintReport(opts.output, report); err != nil {
		return err
	}
	if text := report.LeftOutText(); text != "" {
		a.streams.Warn("%s", text)
	}
	for _, text := range report.LimitTexts() {
		a.streams.Warn("%s", text)
	}
	a.reportConflicts(total.Conflicts)
	if warning := host.OwnerWarning(a.config.PipeDir); warning != "" {
		a.streams.Warn("%s", warning)
	}
	if !host.HasPublishers(collection) {
		a.streams.Warn("%s", nobodyPublishes(a.config))
	}
	if !host.HasPublishers(collection) && len(collection.LeftOut) == 0 {
		for _, advice := range host.Advice(a.config.PipeDir) {
			a.streams.Hint(advice)
		}
	}
	if slices.ContainsFunc(report.Limits, host.LimitHit.Unread) {
		return errPartial
	}
	for _, s := range collection.Silent() {
		if s.State != pipes.Stale {
			return errPartial
		}
	}
	return nil
}
