// Package gather collects the stats that somebody names: of sources, of files,
// of standard input, or of the whole host.
package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Result is the sum of what could be read, and why the rest could not.
type Result struct {
	Total  *format.Snapshot
	Time   time.Time
	Read   int      // how many sources and files are in Total
	Errors []error  // one for each that isn't
	Limits []string // that were hit, but leave no source out
}

// ErrNotFound is the error of a name that is neither a source nor a file.
var ErrNotFound = errors.New("neither a source nor a file")

// Names reads what the names say: "-" is standard input; what has a slash in it
// is a file or a FIFO; all else is the pid or the name of a source, or, if there
// is none, a file. A name that stands twice counts once.
func Names(ctx context.Context, opts pipes.CollectorOptions, stdin io.Reader, names []string) (*Result, error) {
	result := &Result{Time: time.Now()}
	var snapshots []*format.Snapshot
	add := func(name string, read []*format.Snapshot, err error) {
		snapshots = append(snapshots, read...)
		if err != nil {
			result.Errors = append(result.Errors, withName(name, err))
		}
	}
	sum := func() {
		result.Read = len(snapshots)
		result.Total = format.Combiner{Aggregate: opts.Aggregate}.Combine(snapshots...)
	}

	names = slices.Compact(slices.Sorted(slices.Values(names)))
	wanted := make(map[string]bool) // names of sources -> whether there is one
	for _, name := range names {
		switch {
		case name == "-":
			s, err := pipes.ReadText(stdin, opts.Limits)
			add("standard input", s, err)
		case strings.Contains(name, "/"):
			s, err := File(ctx, opts, name)
			add(name, s, err)
		default:
			wanted[name] = false
		}
	}
	if len(wanted) == 0 {
		sum()
		return result, nil
	}
	collection, err := collectSome(ctx, opts, wanted)
	if err != nil {
		return nil, err
	}
	for _, s := range collection.Sources {
		add(s.Name, one(s.Snapshot), withOwner(s.Err))
		wanted[s.Name], wanted[strconv.Itoa(s.PID)] = true, true
	}
	for _, p := range collection.PassedOver {
		if name := strings.TrimSuffix(p.Name, ".stats"); !wanted[name] && slices.Contains(names, name) {
			add(p.Name, nil, errors.New(p.Why))
			wanted[name] = true
		}
	}
	for _, name := range names {
		if found, isSource := wanted[name]; isSource && !found {
			s, err := File(ctx, opts, name)
			if errors.Is(err, fs.ErrNotExist) {
				err = ErrNotFound
			}
			add(name, s, err)
		}
	}
	sum()
	return result, nil
}

// one returns the snapshot if there is one.
func one(s *format.Snapshot) []*format.Snapshot {
	if s == nil {
		return nil
	}
	return []*format.Snapshot{s}
}

// collectSome reads the sources whose name or pid is wanted.
func collectSome(ctx context.Context, opts pipes.CollectorOptions, wanted map[string]bool) (*pipes.Collection, error) {
	opts.Select = func(name string, pid int) bool {
		_, byName := wanted[name]
		_, byPID := wanted[strconv.Itoa(pid)]
		return byName || byPID && pid != 0
	}
	collection, err := collectOnce(ctx, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return &pipes.Collection{}, nil
	}
	return collection, err
}

// Host reads all sources of the host.
func Host(ctx context.Context, opts pipes.CollectorOptions) (*Result, error) {
	collection, err := collectOnce(ctx, opts)
	if err != nil {
		return nil, err
	}
	return Summarize(collection), nil
}

// Summarize returns the result of a collection.
func Summarize(c *pipes.Collection) *Result {
	result := &Result{Total: c.Total(), Time: c.Time}
	for _, s := range c.Sources {
		if s.Snapshot != nil {
			result.Read++
		}
	}
	for _, s := range c.Silent() {
		if s.State != pipes.Stale { // there is nothing more to be had of one that is gone
			result.Errors = append(result.Errors, withName(s.Name, s.Err))
		}
	}
	for _, hit := range host.DescribeLimits(c.Hits) {
		switch text := hit.Text(); {
		case hit.Unread():
			result.Errors = append(result.Errors, errors.New(text))
		case text != "":
			result.Limits = append(result.Limits, text)
		}
	}
	return result
}

func collectOnce(ctx context.Context, opts pipes.CollectorOptions) (*pipes.Collection, error) {
	collector := pipes.NewCollector(opts)
	defer collector.Close()
	return collector.Collect(ctx)
}

// File reads a FIFO within the deadline, or a file: a snapshot in the plain format, or
// one or several in the typed one.
func File(ctx context.Context, opts pipes.CollectorOptions, path string) ([]*format.Snapshot, error) {
	if file := inherited(path); file != nil {
		return pipes.ReadText(file, opts.Limits) // not ours to close
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() == fs.ModeNamedPipe {
		ctx, cancel := context.WithTimeout(ctx, opts.Deadline)
		defer cancel()
		s, err := pipes.ReadFIFO(ctx, path, opts.Limits)
		return one(s), err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return pipes.ReadText(file, opts.Limits)
}

// inherited returns the file of a path like /dev/fd/63, which a shell makes of
// <(command): a descriptor that this process was started with. Opening the path
// would wait for another writer.
func inherited(path string) *os.File {
	if path == "/dev/stdin" {
		return os.Stdin
	}
	number, ok := strings.CutPrefix(path, "/dev/fd/")
	fd, err := strconv.ParseUint(number, 10, 31)
	if !ok || err != nil {
		return nil
	}
	if file, ok := inheritedFiles.Load(fd); ok {
		return file.(*os.File)
	}
	file := os.NewFile(uintptr(fd), path)
	inheritedFiles.Store(fd, file)
	return file
}

// inheritedFiles holds the files of inherited descriptors, which aren't ours to
// close: a file that nobody holds is closed by the garbage collector.
var inheritedFiles sync.Map // uint64 -> *os.File

// withOwner says in words whose a source is that is left out.
func withOwner(err error) error {
	if others := new(pipes.OwnerError); errors.As(err, &others) {
		return fmt.Errorf("it belongs to %s, whose sources are left out: owner names others", host.UserName(others.UID))
	}
	return err
}

// withName says which source an error is of, unless it says so itself.
func withName(name string, err error) error {
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
