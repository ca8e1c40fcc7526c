package cmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/complete"
)

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the script that completes commands, pids and names of stats",
		Long: `completion prints the script for a shell. With it, TAB completes commands, options,
and what is published at that moment: pids and sources for cat, names of stats and
patterns for watch and --assert, users for --owner, and what scripts have left for
emit. What can't be told within 150 ms is not offered.`,
		Example: `  source <(statvent completion bash)       # in ~/.bashrc
  source <(statvent completion zsh)        # in ~/.zshrc, after compinit
  statvent completion fish | source        # in ~/.config/fish/config.fish
  statvent completion powershell | Out-String | Invoke-Expression`,
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			scripts := map[string]string{"bash": complete.Bash, "zsh": complete.Zsh, "fish": complete.Fish}
			switch {
			case len(args) == 0:
				return cmd.Help()
			case len(args) > 1:
				return usage(cmd, fmt.Errorf("one shell is taken: %q", args[1]))
			case args[0] == "powershell":
				return cmd.Root().GenPowerShellCompletionWithDesc(a.streams.Out)
			case scripts[args[0]] == "":
				return usage(cmd, fmt.Errorf("unknown shell %q: there are %s", args[0], strings.Join(cmd.ValidArgs, ", ")))
			}
			_, err := io.WriteString(a.streams.Out, scripts[args[0]])
			return err
		},
	}
}
