package statvent

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/statvent/statvent/pkg/pipes"
)

// A RecorderOption changes where and what a recorder publishes.
type RecorderOption func(*recorderOptions)

type recorderOptions struct {
	publisher pipes.PublisherOptions
	registry  *Registry
	runtime   bool
}

// WithPipeDir sets the pipe directory, in place of $STATVENT_PIPE_DIR or
// /tmp/stats-pipe. It is made if it isn't there.
func WithPipeDir(dir string) RecorderOption {
	return func(o *recorderOptions) { o.publisher.Dir = dir }
}

// WithName names the pipe <name>.stats in place of <pid>.stats. A name has no
// slash and no line break, doesn't begin with a dot, and is 200 bytes long at
// the most. Where somebody who lives has taken it, the pipe is <name>-2.stats and
// so on: Path says which.
func WithName(name string) RecorderOption {
	return func(o *recorderOptions) { o.publisher.Name = name }
}

// WithRegistry publishes that registry in place of Default; nil is Default.
func WithRegistry(r *Registry) RecorderOption {
	return func(o *recorderOptions) { o.registry = cmp.Or(r, defaultRegistry) }
}

// WithMode sets the permission bits of the pipe, whatever the umask, in place of
// 0644. Its owner may always read and write it.
func WithMode(mode fs.FileMode) RecorderOption {
	return func(o *recorderOptions) { o.publisher.Mode = mode }
}

// WithRuntimeStats adds stats of the Go runtime, computed when somebody reads:
//
//	go.goroutines          how many there are
//	go.gomaxprocs          how many of them may run at once
//	go.heap_bytes          of live objects and those not swept yet
//	go.memory_bytes        mapped by the runtime in all
//	go.allocated_bytes     ever, on the heap (a counter)
//	go.gc_cycles           ever (a counter)
func WithRuntimeStats() RecorderOption {
	return func(o *recorderOptions) { o.runtime = true }
}

// A Recorder publishes the stats of a registry at a named pipe.
type Recorder struct {
	key       recorderKey
	published *published
	publisher *pipes.Publisher
	users     int           // guarded by recorders.Mutex
	ended     chan struct{} // closed when Close has handed over
}

type recorderKey struct {
	dir      string
	registry *Registry
}

// recorders are those that run.
var recorders struct {
	sync.Mutex
	byKey map[recorderKey]*Recorder
}

// StartRecorder makes a pipe, <pid>.stats in the pipe directory, and from then
// on answers everyone who reads it with the stats as they are at that moment.
// It costs nothing until somebody reads: its thread waits in the kernel, and
// once a minute the pipe is looked for, and put back if somebody removed it.
//
// Starting a second recorder for the same directory and registry returns the
// first, which then ends with the last Close; options beyond these two are
// those of the first call.
//
// The error, if the pipe can't be made, wraps an *fs.PathError that says which
// file and why, or errors.ErrUnsupported where the system has no named pipes. It is
// an error without these if the name is none, or a thousand of its kind are taken.
func StartRecorder(opts ...RecorderOption) (*Recorder, error) {
	o := recorderOptions{registry: defaultRegistry}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	key := recorderKey{absolute(pipes.Dir(o.publisher.Dir)), o.registry}
	o.publisher.Dir = key.dir

	recorders.Lock()
	defer recorders.Unlock()
	for {
		rec := recorders.byKey[key]
		if rec == nil {
			break
		}
		if rec.users > 0 {
			rec.users++
			return rec, nil
		}
		// It is being closed. What it hands over is no part of the next one's.
		recorders.Unlock()
		<-rec.ended
		recorders.Lock()
	}
	published := newPublished(o.registry, key.dir, o.runtime)
	publisher, err := pipes.Publish(o.publisher, published)
	if err != nil {
		published.end(false)
		return nil, err
	}
	rec := &Recorder{key, published, publisher, 1, make(chan struct{})}
	if recorders.byKey == nil {
		recorders.byKey = make(map[recorderKey]*Recorder)
	}
	recorders.byKey[key] = rec
	return rec, nil
}

// absolute returns the path of a directory that stays the same when the
// program changes its working directory.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Path returns where the pipe is. That changes if somebody takes the name while the
// pipe is gone.
func (r *Recorder) Path() string { return r.publisher.Path() }

// Close removes the pipe and ends the recorder, or, where StartRecorder
// returned it more than once, takes back one of these. It doesn't wait for
// readers. A Close too many does nothing, nor does that of a nil Recorder, so that a
// program that goes on without one may defer it.
//
// What the program has counted stays in the numbers of the host: the counters,
// and the counts and sums of the distributions. They are in a file that everyone
// may read, whatever WithMode said. A recorder that is started later publishes
// what was counted since. Gauges and recorded values end with the recorder.
//
// The error, if the counters could not be kept, the pipe could not be removed or
// a function of the program's still runs, is for the log: the recorder has ended.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	recorders.Lock()
	r.users--
	last := r.users == 0
	recorders.Unlock()
	if !last {
		return nil
	}
	err := r.publisher.Close()
	r.published.end(r.publisher.Kept())
	recorders.Lock()
	defer recorders.Unlock()
	delete(recorders.byKey, r.key)
	close(r.ended)
	return err
}
