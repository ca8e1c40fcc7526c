// Package cmd is the command line: it turns arguments into options and calls
// what does the work.
package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/pipes"
)

// Exit codes, as `statvent --help` has them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPartial = 3
)

// An exitCode ends a command that has said all there is to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// errPartial ends a command that has done what could be done and said what
// couldn't.
const errPartial = exitCode(exitPartial)

// Main runs the command line of the process and returns its exit code.
func Main() int {
	return run(context.Background(), output.System(), os.Args[1:])
}

func run(ctx context.Context, streams *output.Streams, args []string) int {
	streams.SetColor("auto")
	a := &app{streams: streams}
	root := newRoot(a, args)
	root.SetArgs(args)
	err := cmp.Or(root.ExecuteContext(ctx), a.helpError)
	if err == nil {
		return exitDone
	}
	if output.IsClosed(err) {
		return exitFailed
	}
	if code := exitCode(0); errors.As(err, &code) {
		return int(code)
	}
	streams.Error(err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}

// errUsage is what every error about the command line is.
var errUsage = errors.New("wrong usage")

type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

// usage returns an error about the command line, with a hint where to look.
func usage(cmd *cobra.Command, err error) error {
	return output.WithHint(usageError{err}, fmt.Sprintf("'%s --help' shows how it is used", cmd.CommandPath()))
}

// misconfigured returns an error about the configuration, with a hint where to look.
func misconfigured(cmd *cobra.Command, err error) error {
	if errors.As(err, new(config.FlagError)) {
		return usage(cmd, err)
	}
	return output.WithHint(usageError{err}, "'statvent config' shows all keys and where each value comes from, once that is mended")
}

// app is what all commands share.
type app struct {
	streams    *output.Streams
	configFile string
	config     *config.Config // loaded before a command runs
	flags      *pflag.FlagSet // of all commands
	started    time.Time      // when a completion began
	helpError  error          // why help could not be printed
}

// Root returns all commands, for whoever describes them.
func Root() *cobra.Command {
	root := newRoot(&app{streams: output.System()}, nil)
	root.InitDefaultHelpCmd()
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		cmd.InitDefaultHelpFlag()
	}
	root.InitDefaultVersionFlag()
	return root
}

// newRoot returns the command for a command line with these arguments.
func newRoot(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "statvent",
		Short: "See the stats that programs publish at named pipes",
		Long: `statvent reads the stats that the programs of a host publish at named pipes,
brings them together, and serves or prints them.

What configs/statvent.yaml lists can also be set by an environment variable
(--pipe-dir by STATVENT_PIPE_DIR) or in a file (pipe_dir),
~/.config/statvent/statvent.yaml or /etc/statvent/statvent.yaml. The option wins
over the variable, the variable over the file.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part: some sources could
not be read, or some lines could not be stored (the others were printed, or stored).`,
		Example: `  statvent serve           # all processes together at http://127.0.0.1:7828/
  statvent list            # who publishes
  statvent watch 'app.*'   # live, with rates
  statvent cat 3435        # one process
  statvent emit jobs.done  # count something, from a script`,
		Version:       build().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, "command", args[0])
		},
		PersistentPreRunE: a.configure,
	}
	root.SetIn(a.streams.In)
	root.SetOut(a.streams.Out)
	root.SetErr(a.streams.Err)
	root.SetHelpFunc(a.printHelp)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if color := cmd.Flags().Lookup("color"); color != nil && color.Changed {
			a.streams.SetColor(color.Value.String())
		}
		return usage(cmd, err)
	})

	flags := root.PersistentFlags()
	a.flags = flags
	config.AddFlag(flags, config.PipeDir, "d")
	config.AddFlag(flags, config.Deadline, "")
	config.AddFlag(flags, config.Color, "")
	flags.StringVar(&a.configFile, "config", "", "configuration `file`")

	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newEmit(a))
	if len(args) > 0 && args[0] == "emit" {
		// Scripts call it thousands of times, without need for the others.
		return root
	}
	root.AddCommand(newServe(a), newCat(a), newList(a), newWatch(a), newConfig(a), newVersion(a), newCompletion(a))
	root.SetHelpCommand(newHelp(a))
	if len(args) > 0 && isCompletion(args[0]) {
		a.addCompletion(root)
	}
	return root
}

// configure loads the configuration before a command runs. What helps with the
// command line must work without one.
func (a *app) configure(cmd *cobra.Command, _ []string) error {
	for c := cmd; c != nil; c = c.Parent() {
		switch c.Name() {
		case "help", "completion", "version", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd, bashRequest:
			return nil
		}
	}
	c, err := config.Load(cmd.Flags(), a.configFile)
	if err != nil {
		return misconfigured(cmd, err)
	}
	a.config = c
	a.streams.SetColor(c.Color)
	return nil
}

// collectorOptions are those that a configuration asks for. It fails where an owner
// is nobody.
func collectorOptions(c *config.Config) (pipes.CollectorOptions, error) {
	owners, err := c.OwnerIDs()
	if err != nil {
		return pipes.CollectorOptions{}, usageError{err}
	}
	return pipes.CollectorOptions{
		Dir:        c.PipeDir,
		Deadline:   c.Deadline,
		StaleAfter: c.StaleAfter,
		Aggregate:  c.Aggregate,
		Owners:     owners,
		Limits:     c.Limits,
	}, nil
}

// nobodyPublishes says that no program does of those that count.
func nobodyPublishes(c *config.Config) string {
	if len(c.Owners) == 0 {
		return "no program publishes in " + c.PipeDir
	}
	return "no program of " + strings.Join(c.Owners, " or ") + " publishes in " + c.PipeDir
}

// arguments makes a usage error of what a check of the arguments says.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}

// noArguments is for commands that take none.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("no arguments are taken: %q", args[0])
	}
	return nil
}

// outputFlag adds -o with the known formats; output.CheckFormat checks it.
func outputFlag(cmd *cobra.Command, value *string, fallback string, known []string) {
	cmd.Flags().StringVarP(value, "output", "o", fallback, "output `format`: "+strings.Join(known, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
}
