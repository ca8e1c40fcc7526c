package cmd

import (
	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/output"
)

func newConfig(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration in force, and where each value came from",
		Long: `config shows each key with its value and what has decided about it: an option, an
environment variable, the configuration file, or nobody, which is the default. It
takes the options of all commands, and shows what would be in force with them.`,
		Example: `  statvent config
  statvent config --listen :7828 --deadline 1s
  STATVENT_COLOR=never statvent config -o json | jq '.settings[] | select(.source != "default")'`,
		Args: arguments(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.CheckFormat(format, output.SettingsFormats()); err != nil {
				return usage(cmd, err)
			}
			return a.streams.PrintSettings(format, &output.Settings{File: a.config.File, Keys: a.config.Settings()})
		},
	}
	config.AddFlag(cmd.Flags(), config.Listen, "l")
	config.AddFlag(cmd.Flags(), config.Interval, "n")
	config.AddAllFlags(cmd.Flags(), a.flags)
	outputFlag(cmd, &format, "table", output.SettingsFormats())
	return cmd
}
