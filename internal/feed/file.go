package feed

import (
	"context"
	"errors"
	"io/fs"
	"strconv"

	"github.com/statvent/statvent/internal/gather"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// file is a file that is read each time, or a FIFO.
type file struct {
	path string
	opts pipes.CollectorOptions
}

// NewFile returns the input of a file with documents in the typed format, or with a
// plain snapshot. What follows one another in it is added up.
func NewFile(path string, opts pipes.CollectorOptions) Input { return &file{path, opts} }

func (f *file) Name() string { return f.path }

func (f *file) read(ctx context.Context, _ bool) (*said, error) {
	snapshots, err := gather.File(ctx, f.opts, f.path)
	if pathErr := new(fs.PathError); errors.As(err, &pathErr) {
		return nil, pathErr.Err // of which file is said anyway
	}
	if err != nil {
		return nil, err
	}
	return saidBy(f.path, snapshots), nil
}

// saidBy returns what documents say that are nothing but snapshots.
func saidBy(name string, snapshots []*format.Snapshot) *said {
	s := &said{snapshots: snapshots}
	for i, snapshot := range snapshots {
		name := name
		if i > 0 {
			name += "#" + strconv.Itoa(i+1)
		}
		s.add(pipes.Source{Name: name, State: pipes.Live, Snapshot: snapshot},
			host.Source{Name: name, State: pipes.Live, Stats: len(snapshot.Stats), Skipped: snapshot.Skipped, ValuesAge: new(float64)})
	}
	return s
}
