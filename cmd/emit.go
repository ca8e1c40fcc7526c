package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/statvent/statvent/internal/config"
	"github.com/statvent/statvent/internal/emit"
	"github.com/statvent/statvent/internal/output"
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

	stdin bool // - stands in the place of the name
}

func newEmit(a *app) *cobra.Command {
	opts := emitOptions{wait: duration(2 * time.Second)}
	cmd := &cobra.Command{
		Use:   "emit [OPTION]... NAME [VALUE]...",
		Short: "Count, set or record something, from a script",
		Long: `emit hands values to the host: they are there for serve, watch and cat when the
script is long gone, whether or not anything runs at that moment. NAME alone
counts one more; a VALUE, integer or float, is added. A negative one makes a
gauge of the stat, and so does --set. In the NAME of what is recorded, {0} is
where median, 95th, 99th, 100th and mean go; without it they are appended.

Counters stay; gauges and recorded values stay until they are replaced, deleted,
or their --ttl is over. Options come before NAME, so that a value may be
negative; a NAME that looks like an option comes after "--".

With - in the place of NAME, lines NAME: VALUE are read from stdin and stored
together. A bad line is reported with its number; the others are stored.

Exit codes: 0 stored, 1 nothing stored, 2 wrong usage, 3 some lines left out;
--time exits as its command does. emit waits for no reader, and for another emit
of the same user that doesn't get on for --wait at most.`,
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
		Args:                  cobra.ArbitraryArgs,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			literal := cmd.ArgsLenAtDash() == 0 // "--" says that none of them is an option, nor stdin
			opts.stdin = len(args) > 0 && args[0] == "-" && !literal
			err := opts.checkOptions(cmd.Flags().Changed)
			if err == nil {
				err = opts.checkArguments(args, literal)
			}
			if err != nil {
				return usage(cmd, err)
			}
			err = a.emit(cmd.Context(), opts, args)
			if opts.quiet && err != nil && !errors.As(err, new(exitCode)) {
				return exitCode(exitFailed)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.BoolVar(&opts.set, "set", false, "make VALUE the gauge's value")
	flags.BoolVar(&opts.record, "record", false, "add each VALUE to a distribution")
	flags.BoolVar(&opts.time, "time", false, "run the command after NAME, record its seconds, count a failure under the label failures, exit as it does")
	flags.BoolVar(&opts.remove, "delete", false, "delete each NAME: what scripts and ended programs of this user have left")
	flags.BoolVar(&opts.typed, "typed", false, "read lines KIND NAME: VALUE, of the kinds counter, gauge and sample")
	flags.BoolVar(&opts.hold, "hold", false, "be a live source until stdin ends; then counters stay, and gauges go")
	flags.StringVar(&opts.name, "name", "", "`name` of the source, in place of the pid (with --hold)")
	flags.Var(&opts.ttl, "ttl", "`time` until the stat is deleted, such as 90s, 1h or 7d; without it, it stays")
	flags.Var(&opts.wait, "wait", "`time` to wait for another emit of the same user that doesn't get on")
	flags.BoolVarP(&opts.quiet, "quiet", "q", false, "say nothing but what is wrong with the command line")
	return cmd
}

// A duration is the value of a flag: a time greater than zero.
type duration time.Duration

const longest = 100 * 365 * 24 * time.Hour

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "time" }

func (d *duration) Set(s string) error {
	parsed, err := config.ParseDuration(s)
	if err == nil && (parsed <= 0 || parsed > longest) {
		err = fmt.Errorf("%q is not more than 0 and at most 100 years", s)
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

// checkOptions says which options don't go together.
func (o *emitOptions) checkOptions(given func(flag string) bool) error {
	verbs := 0
	for _, one := range []bool{o.set, o.record, o.time, o.remove, o.typed} {
		if one {
			verbs++
		}
	}
	switch {
	case verbs > 1:
		return errors.New("only one of --set, --record, --time, --delete and --typed may be given")
	case o.hold && (given("ttl") || given("wait")):
		return errors.New("--hold keeps its stats for as long as it runs: it takes neither --ttl nor --wait")
	case !o.hold && given("name"):
		return errors.New("--name names the source of --hold")
	case o.remove && given("ttl"):
		return errors.New("what is deleted takes no --ttl")
	case o.hold && !o.stdin:
		return errors.New("--hold reads lines from stdin: its only argument is -")
	case o.typed && !o.stdin:
		return errors.New("--typed reads lines from stdin: its only argument is -")
	case o.stdin && (o.time || o.remove):
		return errors.New("--time and --delete take a name, and don't read stdin")
	}
	return nil
}

// checkArguments says what is wrong with the name and what follows it.
func (o *emitOptions) checkArguments(args []string, literal bool) error {
	if len(args) == 0 {
		return errors.New("the name is missing")
	}
	if o.time {
		if err := format.CheckName(args[0]); err != nil {
			return fmt.Errorf("the command is not run: %w", err)
		}
		if len(args) > 1 && strings.HasPrefix(args[1], "-") && args[1] != "--" {
			return fmt.Errorf("the command is not run: %s comes after the name, and options come before it", args[1])
		}
		if len(o.command(args)) == 0 {
			return errors.New("--time takes a name and a command: statvent emit --time NAME -- COMMAND")
		}
		return nil
	}
	for _, arg := range args[1:] {
		if _, err := format.ParseValue(arg); err != nil && len(arg) > 1 && arg[0] == '-' && !literal {
			return fmt.Errorf("%s comes after the name, and options come before it", arg)
		}
	}
	switch {
	case o.remove:
		return nil
	case o.stdin && len(args) > 1:
		return errors.New(`- reads lines from stdin and takes no value; a stat of that name comes after "--"`)
	case (o.set || o.record) && !o.stdin && len(args) == 1:
		return fmt.Errorf("the value of %s is missing", args[0])
	case !o.record && len(args) > 2:
		return fmt.Errorf("%s takes one value, and %q is one too many", args[0], args[2])
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

func (a *app) emit(ctx context.Context, opts emitOptions, args []string) error {
	if opts.hold {
		return a.emitLive(ctx, opts)
	}
	changes := &format.Changes{TTL: time.Duration(opts.ttl)}
	switch {
	case opts.stdin:
		return a.emitLines(ctx, opts, changes)
	case opts.time:
		return a.emitTiming(ctx, opts, changes, args[0], opts.command(args))
	case opts.remove:
		for _, name := range args {
			if err := format.CheckName(name); err != nil {
				return fmt.Errorf("nothing is deleted: %w", err)
			}
			changes.Delete(name)
		}
		return a.store(ctx, opts, changes)
	default:
		return a.emitValues(ctx, opts, changes, args[0], args[1:])
	}
}

// emitValues stores values of the command line.
func (a *app) emitValues(ctx context.Context, opts emitOptions, changes *format.Changes, name string, values []string) error {
	if len(values) == 0 {
		values = []string{"1"}
	}
	target := emit.Stored(changes, a.config.Limits.MaxRetainedStats)
	for _, text := range values {
		v, err := format.ParseValue(text)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		} else {
			err = opts.verb().Apply(target, name, v)
		}
		if err != nil {
			return fmt.Errorf("nothing is stored: %w", err)
		}
	}
	return a.store(ctx, opts, changes)
}

// crowdFactor is how many times --wait an emit waits at the most where others get
// through.
const crowdFactor = 30

// store makes the changes. Its error is one line that says all.
func (a *app) store(ctx context.Context, opts emitOptions, changes *format.Changes) error {
	patience := time.Duration(opts.wait)
	ctx, cancel := context.WithTimeout(ctx, crowdFactor*min(patience, time.Hour))
	defer cancel()
	changes.At = time.Now()
	err := pipes.Update(ctx, a.config.PipeDir, changes, patience, a.config.Limits)
	pathErr := new(fs.PathError)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pipes.ErrLocked):
		return fmt.Errorf("nothing is stored after %v: %w", patience, err)
	case errors.As(err, &pathErr) && (pathErr.Op == "write" || pathErr.Op == "mkdir") && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("nothing is stored: %s can't be written: %w", a.config.PipeDir, fs.ErrPermission)
	case errors.Is(err, pipes.ErrFull):
		return output.WithHint(fmt.Errorf("nothing is stored: %w", err),
			"'statvent emit --delete NAME...' makes room; names that hold an id have no end")
	default:
		return fmt.Errorf("nothing is stored: %w", err)
	}
}

// emitLines stores what is read from stdin.
func (a *app) emitLines(ctx context.Context, opts emitOptions, changes *format.Changes) error {
	good, bad, err := a.readLines(opts, opts.lineReader(emit.Stored(changes, a.config.Limits.MaxRetainedStats)))
	switch {
	case good == 0 && err != nil:
		return fmt.Errorf("nothing is stored: stdin can't be read: %w", err)
	case good == 0 && bad > 0:
		return fmt.Errorf("nothing is stored: none of %d lines could be read", bad)
	case good == 0:
		return nil
	}
	if err := a.store(ctx, opts, changes); err != nil {
		return err
	}
	return a.leftOut(opts, bad, err)
}

// lineReader returns what applies a line of stdin to a target.
func (o emitOptions) lineReader(target *emit.Target) func(line string) error {
	if o.typed {
		return func(line string) error { return emit.TypedLine(target, line) }
	}
	return func(line string) error { return o.verb().Line(target, line) }
}

// readLines applies the lines of stdin, says which it can't, and returns how many
// there were of both. Its error is that of stdin.
func (a *app) readLines(opts emitOptions, apply func(line string) error) (good, bad int, err error) {
	const named = 20
	good, err = emit.ReadLines(a.streams.In, apply, func(number int, err error) {
		if bad++; bad <= named && !opts.quiet {
			a.streams.Warn("line %d is left out: %v", number, err)
		}
	})
	if bad > named && !opts.quiet {
		a.streams.Warn("%d more lines are left out", bad-named)
	}
	return good, bad, err
}

// leftOut ends a command that has done what it could with stdin.
func (a *app) leftOut(opts emitOptions, bad int, err error) error {
	if err != nil && !opts.quiet {
		a.streams.Warn("stdin can't be read to its end, and what follows is left out: %v", err)
	}
	if err != nil || bad > 0 {
		return errPartial
	}
	return nil
}

// emitTiming runs a command and stores how long it took.
func (a *app) emitTiming(ctx context.Context, opts emitOptions, changes *format.Changes, name string, command []string) error {
	timing, err := emit.Time(command)
	if err != nil {
		a.streams.Error(err) // about the command, so also with --quiet
	} else {
		changes.Record(name, format.Float(timing.Took.Seconds()))
	}
	failures := int64(0)
	if timing.Status != 0 {
		failures = 1
	}
	changes.Increment(format.ExpandLabel(name, "failures"), format.Int(failures))
	err = a.store(ctx, opts, changes)
	if timing.Status == 0 {
		return err
	}
	if err != nil && !opts.quiet {
		a.streams.Error(err)
	}
	return exitCode(timing.Status)
}

// After a signal --hold goes on with what is there to be read. It ends where there has
// been nothing for maxQuiet drainTimes, one of which the machine may have taken for
// itself, and after maxDrains if somebody writes without end.
const (
	drainTime = 50 * time.Millisecond
	maxQuiet  = 2
	maxDrains = 40
)

// emitLive publishes what is read from stdin until that ends, or a signal comes.
func (a *app) emitLive(ctx context.Context, opts emitOptions) error {
	ctx, stop := signal.NotifyContext(ctx, emit.Heeded(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)...)
	defer stop()
	registry := statvent.NewRegistry()
	recorder, err := statvent.StartRecorder(
		statvent.WithPipeDir(a.config.PipeDir), statvent.WithName(opts.name), statvent.WithRegistry(registry))
	if err != nil {
		return fmt.Errorf("nothing is published: %w", err)
	}
	var lines atomic.Int64
	apply := opts.lineReader(emit.Live(registry))
	ended := make(chan func() error, 1)
	go func() {
		_, bad, err := a.readLines(opts, func(line string) error {
			lines.Add(1)
			return apply(line)
		})
		ended <- func() error {
			if ctx.Err() != nil {
				err = nil // what follows a signal isn't read
			}
			return a.leftOut(opts, bad, err)
		}
	}()
	select {
	case leftOut := <-ended:
		err = leftOut()
	case <-ctx.Done():
		emit.EndAtPause(os.Stdin)
		err = drained(ended, &lines)
	}
	if closeErr := recorder.Close(); errors.Is(closeErr, pipes.ErrFull) {
		a.streams.Warn("%v", closeErr) // it counts
	} else if closeErr != nil {
		return fmt.Errorf("what was counted is not stored: %w", closeErr)
	}
	return err
}

// drained waits until the reading has ended, whose error it returns, or waits for more
// lines.
func drained(ended <-chan func() error, lines *atomic.Int64) error {
	for drains, quiet := 0, 0; drains < maxDrains && quiet < maxQuiet; drains++ {
		before := lines.Load()
		select {
		case leftOut := <-ended:
			return leftOut()
		case <-time.After(drainTime):
		}
		if quiet++; lines.Load() != before || emit.HasMore(os.Stdin) {
			quiet = 0
		}
	}
	select {
	case leftOut := <-ended:
		return leftOut()
	default:
		return nil
	}
}
