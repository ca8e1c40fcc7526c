package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// help returns what --help prints: the examples first, since most who look for help
// want one to begin with.
func help(cmd *cobra.Command) string {
	var b strings.Builder
	section := func(title, text string) {
		if text = strings.Trim(text, "\n"); text == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		if title != "" {
			b.WriteString(title + ":\n")
		}
		b.WriteString(strings.TrimRight(text, " \n") + "\n")
	}
	section("Examples", cmd.Example)
	section("", cmd.Long)
	section("Usage", "  "+UseLine(cmd))
	section("Commands", commandList(cmd))
	section("Options", cmd.LocalFlags().FlagUsages())
	section("Options of all commands", cmd.InheritedFlags().FlagUsages())
	return b.String()
}

// UseLine returns the form of a command's line.
func UseLine(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name() + " COMMAND [OPTION]..."
	}
	return strings.Replace(cmd.UseLine(), "[flags]", "[OPTION]...", 1)
}

func commandList(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			fmt.Fprintf(&b, "  %-12s %s\n", sub.Name(), sub.Short)
		}
	}
	return b.String()
}

// printHelp prints the help of a command; cobra takes no error of it.
func (a *app) printHelp(cmd *cobra.Command, _ []string) {
	if _, err := io.WriteString(a.streams.Out, help(cmd)); err != nil {
		a.helpError = err
	}
}

// newHelp returns the command that prints the help of others.
func newHelp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print how a command is used",
		Long:  `help prints what --help does.`,
		Example: `  statvent help
  statvent help cat`,
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if len(args) > 0 && (err != nil || about == cmd.Root() || len(rest) > 0) {
				return unknown(cmd, "topic", args[0])
			}
			a.printHelp(about, nil)
			return nil
		},
	}
}

// unknown returns an error about a command that there is not, with those that may be
// meant.
func unknown(cmd *cobra.Command, what, name string) error {
	message := fmt.Sprintf("unknown %s %q", what, name)
	var names []string
	for _, known := range cmd.Root().Commands() {
		if !known.Hidden {
			names = append(names, known.Name())
		}
	}
	if similar := suggest(name, names); len(similar) > 0 {
		message += ": did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usage(cmd, errors.New(message))
}
