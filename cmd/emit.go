package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/emit"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

type emitOptions struct {
	set, record, time, remove, typed, hold bool

	name  string // of the pipe of --hold
	ttl   duration
	wait  duration
	quiet bool
}

func newEmit(a *app) *cobra.Command {
	opts := emitOptions{wait: duration(2 * time.Second)}
	cmd := &cobra.Command{
		Use:   "emit [OPTION]... NAME [VALUE]...",
		Short: "Count, set or record something, from a script",
		Long: `emit hands values to the host: they are there for serve, watch and cat when the
script is long gone, whether or not anything runs at that moment. NAME alone
counts one more; a VALUE, integer or float, is added. A negative one makes a
gauge of the stat, and so does --set.

Counters stay; gauges and recorded values stay until they are replaced, deleted,
or their --ttl is over. Options come before NAME, so that a value may be
negative; a NAME that looks like an option comes after "--".

With - in the place of NAME, lines NAME: VALUE are read from stdin and stored
together. A line that can't be read is named, and costs no other.

Exit code 0 means stored. It waits for no reader, and for another emit of the
same user no longer than --wait.`,
		Example: `  statvent emit jobs.done                     # one more
  statvent emit bytes.copied 51200            # that many more
  statvent emit --set queue.depth 17
  statvent emit --record 'backup.seconds.{0}' 12.5 13.1
  statvent emit --time 'backup.seconds.{0}' -- rsync -a src dst
  statvent emit --ttl 1h --set backup.last_ok "$(date +%s)"
  statvent emit --delete queue.depth
  producer | statvent emit -                  # many lines NAME: VALUE
  producer | statvent emit --typed -          # lines such as gauge NAME: VALUE
  coproc statvent emit --hold --name nightly -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			isStdin := len(args) == 1 && args[0] == "-" && cmd.ArgsLenAtDash() != 0
			if err := opts.check(args, isStdin, cmd.Flags().Changed); err != nil {
				return usage(cmd, err)
			}
			err := a.emit(cmd.Context(), opts, args, isStdin)
			if opts.quiet && err != nil && !errors.As(err, new(exitCode)) {
				return exitCode(exitFailed)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.BoolVar(&opts.set, "set", false, "set a gauge to VALUE")
	flags.BoolVar(&opts.record, "record", false, "add each VALUE to a distribution")
	flags.BoolVar(&opts.time, "time", false, "run the command after NAME, record its seconds, and count it under the label failures if it fails; exit as it does")
	flags.BoolVar(&opts.remove, "delete", false, "delete what scripts and ended programs of this user have left under each NAME")
	flags.BoolVar(&opts.typed, "typed", false, "read lines KIND NAME: VALUE, of the kinds counter, gauge and sample")
	flags.BoolVar(&opts.hold, "hold", false, "publish what is read as a program does, until stdin ends; then counters stay, and gauges go")
	flags.StringVar(&opts.name, "name", "", "`name` of the pipe of --hold, in place of the pid")
	flags.Var(&opts.ttl, "ttl", "`time` after which the stat is gone, such as 90s, 1h or 7d")
	flags.Var(&opts.wait, "wait", "`time` to wait for others who store something for the same user")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "say nothing if it can't be stored")
	return cmd
}

// A duration is a flag's.
type duration time.Duration

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "time" }

func (d *duration) Set(s string) error {
	parsed, err := config.ParseDuration(s)
	if err == nil && parsed <= 0 {
		err = fmt.Errorf("%q is not greater than zero", s)
	}
	*d = duration(parsed)
	return err
}

func (o *emitOptions) verb() emit.Verb {
	switch {
	case o.set:
		return emit.Set
	case o.record:
		return emit.Record
	default:
		return emit.Increment
	}
}

// check says what is wrong with the command line.
func (o *emitOptions) check(args []string, isStdin bool, given func(flag string) bool) error {
	verbs := 0
	for _, one := range []bool{o.set, o.record, o.time, o.remove, o.typed} {
		if one {
			verbs++
		}
	}
	switch {
	case verbs > 1:
		return errors.New("only one of --set, --record, --time, --delete and --typed can be done at a time")
	case o.hold && (given("ttl") || given("wait")):
		return errors.New("--hold keeps its stats for as long as it runs: it takes neither --ttl nor --wait")
	case !o.hold && given("name"):
		return errors.New("--name names the pipe of --hold")
	case (o.hold || o.typed) && (!isStdin || o.time || o.remove):
		return errors.New("--hold and --typed read lines from stdin: they take - and nothing else")
	case isStdin && (o.time || o.remove):
		return errors.New("--time and --delete take a name, and don't read stdin")
	case o.remove && given("ttl"):
		return errors.New("what is deleted takes no --ttl")
	case len(args) == 0:
		return errors.New("a name is missing")
	case isStdin || o.remove:
		return nil
	case o.time && len(o.command(args)) == 0:
		return fmt.Errorf("the command to time is missing: --time %s -- COMMAND", args[0])
	case o.set && len(args) != 2:
		return fmt.Errorf("--set takes a name and one value, and got %q", args)
	case o.record && len(args) < 2:
		return errors.New("--record takes a name and one value or more")
	case !o.record && !o.time && len(args) > 2:
		return fmt.Errorf("a name and one value are taken, and %q is one too many; options come before the name", args[2])
	}
	return nil
}

// command returns what --time runs.
func (o *emitOptions) command(args []string) []string {
	command := args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	return command
}

func (a *app) emit(ctx context.Context, opts emitOptions, args []string, isStdin bool) error {
	if opts.hold {
		return a.emitLive(ctx, opts)
	}
	changes := &format.Changes{TTL: time.Duration(opts.ttl)}
	switch {
	case isStdin:
		return a.emitLines(ctx, opts, changes)
	case opts.time:
		return a.emitTiming(ctx, opts, changes, args[0], opts.command(args))
	case opts.remove:
		for _, name := range args {
			if err := emit.CheckName(name); err != nil {
				return err
			}
			changes.Delete(name)
		}
	default:
		values := args[1:]
		if len(values) == 0 {
			values = []string{"1"}
		}
		for _, text := range values {
			v, err := format.ParseValue(text)
			if err == nil {
				err = opts.verb().Apply(changes, args[0], v)
			}
			if err != nil {
				return fmt.Errorf("nothing is stored: %w", err)
			}
		}
	}
	return a.store(ctx, opts, changes)
}

func (a *app) store(ctx context.Context, opts emitOptions, changes *format.Changes) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(opts.wait))
	defer cancel()
	changes.At = time.Now()
	err := pipes.Update(ctx, a.config.PipeDir, changes)
	if errors.Is(err, pipes.ErrLocked) {
		return fmt.Errorf("nothing is stored after %v: %w", time.Duration(opts.wait), err)
	}
	if err != nil {
		return fmt.Errorf("nothing is stored: %w", err)
	}
	return nil
}

// emitLines stores what is read from stdin.
func (a *app) emitLines(ctx context.Context, opts emitOptions, changes *format.Changes) error {
	good, err := a.readLines(opts, changes)
	if good > 0 {
		if err := a.store(ctx, opts, changes); err != nil {
			return err
		}
	}
	return err
}

// readLines applies the lines of stdin to a target, says which it can't, and
// returns how many it could.
func (a *app) readLines(opts emitOptions, target emit.Target) (good int, err error) {
	each := func(line string) error { return opts.verb().Line(target, line) }
	if opts.typed {
		each = func(line string) error { return emit.TypedLine(target, line) }
	}
	const named = 20
	bad := 0
	good, err = emit.ReadLines(a.streams.In, each, func(number int, err error) {
		if bad++; bad <= named && !opts.quiet {
			a.streams.Warn("line %d is left out: %v", number, err)
		}
	})
	if bad > named && !opts.quiet {
		a.streams.Warn("%d more lines are left out", bad-named)
	}
	if err != nil {
		return good, fmt.Errorf("stdin could not be read to its end: %w", err)
	}
	if bad > 0 {
		return good, errPartial
	}
	return good, nil
}

// emitTiming runs a command and stores how long it took.
func (a *app) emitTiming(ctx context.Context, opts emitOptions, changes *format.Changes, name string, command []string) error {
	if err := emit.CheckName(name); err != nil {
		return err
	}
	timing, err := emit.Time(command)
	if err != nil && !opts.quiet {
		a.streams.Error(err)
	}
	failures := int64(0)
	if timing.Status != 0 {
		failures = 1
	}
	changes.Increment(format.ExpandLabel(name, "failures"), format.Int(failures))
	if timing.Took > 0 {
		changes.Record(name, format.Float(timing.Took.Seconds()))
	}
	err = a.store(ctx, opts, changes)
	if timing.Status == 0 {
		return err
	}
	if err != nil && !opts.quiet {
		a.streams.Error(err)
	}
	return exitCode(timing.Status)
}

// emitLive publishes what is read from stdin until that ends, or a signal comes.
func (a *app) emitLive(ctx context.Context, opts emitOptions) (err error) {
	ctx, stop := signal.NotifyContext(ctx, emit.Heeded(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)...)
	defer stop()
	registry := statvent.NewRegistry()
	recorder, err := statvent.StartRecorder(
		statvent.WithPipeDir(a.config.PipeDir), statvent.WithName(opts.name), statvent.WithRegistry(registry))
	if err != nil {
		return fmt.Errorf("nothing is published: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := a.readLines(opts, emit.Live(registry))
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	if closeErr := recorder.Close(); closeErr != nil {
		return fmt.Errorf("what was counted is not stored: %w", closeErr)
	}
	return err
}
