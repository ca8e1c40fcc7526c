package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// An Input is a host or a file.
type Input interface {
	Name() string
	// read returns what it says now. It is called by one goroutine at a time, and
	// returns when ctx is done.
	read(ctx context.Context, eachSource bool) (*said, error)
}

// said is what an input says.
type said struct {
	snapshots []*format.Snapshot // that make its total
	sources   []pipes.Source     // with their snapshots, if these are wanted
	about     []host.Source      // for each of them
	limits    []string           // that were hit
}

// Inputs is the feed of several inputs together.
//
// They are read at the same time. One that hangs is waited for once, and no more until
// it has answered; meanwhile, and while one fails, what it said last goes on, and that
// is said.
type Inputs struct {
	combiner format.Combiner
	inputs   []*inputState
	ctx      context.Context // of readings, which outlive the update that began them
	cancel   context.CancelFunc
	patience time.Duration
}

type inputState struct {
	Input
	results chan inputResult // of the reading under way
	reading bool
	late    bool  // not waited for
	last    *said // nil if it has never said anything
	lastAt  time.Time
	err     error // why the last reading failed
	ended   bool
}

type inputResult struct {
	said *said
	err  error
}

// patience is how long an input may take.
const patience = 3 * time.Second

// NewInputs returns the feed of some inputs.
func NewInputs(combiner format.Combiner, inputs ...Input) *Inputs {
	f := &Inputs{combiner: combiner, patience: patience}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for _, input := range inputs {
		f.inputs = append(f.inputs, &inputState{Input: input, results: make(chan inputResult, 1)})
	}
	return f
}

// Close ends the readings that are under way.
func (f *Inputs) Close() { f.cancel() }

// Next reads all inputs, and returns the error if none has anything to say.
func (f *Inputs) Next(ctx context.Context, eachSource bool) (*watch.Update, error) {
	began := time.Now()
	for _, in := range f.inputs {
		in.begin(f.ctx, eachSource)
	}
	others, err := f.wait(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.failure(); err != nil {
		return nil, err
	}
	if f.paced() {
		began = f.inputs[0].lastAt
	}
	update := &watch.Update{Time: began, EachSource: eachSource, Others: others, Nobody: true}
	var snapshots []*format.Snapshot
	report := &host.Report{}
	for _, in := range f.inputs {
		if why := in.why(); why != "" {
			update.Problems = append(update.Problems, in.Name()+": "+why)
			update.Partial = true
		}
		update.Nobody = update.Nobody && in.err == nil && in.last != nil && len(in.last.sources) == 0
		f.describe(update, report, in)
		if in.last != nil {
			snapshots = append(snapshots, in.last.snapshots...)
			for _, text := range in.last.limits {
				update.Problems = append(update.Problems, in.Name()+": "+text)
			}
		}
	}
	update.Total = f.combiner.Combine(snapshots...)
	update.Problems = append(update.Problems, oddities(update.Total)...)
	update.Report = func() *host.Report { return report }
	return update, nil
}

// wait waits for what is under way, and tells whether others than before have something
// to say.
func (f *Inputs) wait(ctx context.Context) (others bool, err error) {
	timeout := time.NewTimer(f.patience)
	defer timeout.Stop()
	expired := timeout.C
	if f.paced() {
		expired = nil
	}
	for _, in := range f.inputs {
		if in.late {
			others = in.poll() || others
			continue
		}
		select {
		case result := <-in.results:
			others = in.take(result) || others
		case <-expired:
			expired = closed // for those that follow
			others = in.poll() || others
			in.late = in.reading
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return others, nil
}

// paced tells whether there is a stream alone, whose documents set the pace.
func (f *Inputs) paced() bool { return len(f.inputs) == 1 && isStream(f.inputs[0].Input) }

// closed is a timer that has expired.
var closed = func() <-chan time.Time { c := make(chan time.Time); close(c); return c }()

// failure returns why there is nothing to say at all.
func (f *Inputs) failure() error {
	var failures []string
	for _, in := range f.inputs {
		switch {
		case in.err == nil && in.last != nil:
			return nil
		case in.ended && len(f.inputs) == 1:
			return io.EOF
		default:
			failures = append(failures, in.Name()+": "+in.why())
		}
	}
	return errors.New(strings.Join(failures, "; "))
}

// begin begins to read, unless that is under way.
func (in *inputState) begin(ctx context.Context, eachSource bool) {
	if in.reading || in.ended {
		return
	}
	in.reading = true
	go func() {
		said, err := in.read(ctx, eachSource)
		in.results <- inputResult{said, err}
	}()
}

// poll takes the result of a reading that has ended.
func (in *inputState) poll() (others bool) {
	select {
	case result := <-in.results:
		return in.take(result)
	default:
		return false
	}
}

// take takes the result of a reading, and tells whether the one before had none: what
// it counts was not counted since then.
func (in *inputState) take(result inputResult) (others bool) {
	others = in.err != nil || in.late || in.last == nil
	in.reading, in.late, in.err = false, false, result.err
	if errors.Is(result.err, io.EOF) {
		in.ended = true
	}
	if result.err != nil {
		return false
	}
	in.last, in.lastAt = result.said, time.Now()
	return others
}

// why says why there is nothing new of an input, "" if there is.
func (in *inputState) why() string {
	var why string
	switch {
	case in.ended:
		why = "it has ended"
	case in.err != nil:
		why = in.err.Error()
	case in.late && !isStream(in.Input):
		why = "no answer yet"
	case in.last == nil:
		why = "nothing yet"
	default:
		return ""
	}
	if in.last != nil {
		why += fmt.Sprintf(" (its values are of %v ago)", time.Since(in.lastAt).Round(time.Second))
	}
	return why
}

// describe adds the sources of an input to an update. Where there are several inputs,
// the names of a host's say which host it is.
func (f *Inputs) describe(update *watch.Update, report *host.Report, in *inputState) {
	prefix := ""
	if _, isHost := in.Input.(*Host); isHost && len(f.inputs) > 1 {
		prefix = in.Name() + "/"
	}
	if why := in.why(); why != "" {
		state := pipes.Unresponsive
		if in.err != nil {
			state = pipes.Failed
		}
		update.Sources = append(update.Sources, pipes.Source{Name: in.Name(), State: state, Err: errors.New(why)})
		report.Sources = append(report.Sources, host.Source{Name: in.Name(), State: state, Error: why})
	}
	if in.last == nil {
		return
	}
	for i := range in.last.sources {
		source, about := in.last.sources[i], in.last.about[i]
		source.Name, about.Name = prefix+source.Name, prefix+about.Name
		update.Sources = append(update.Sources, source)
		report.Sources = append(report.Sources, about)
	}
}

// add adds a source, and what is known about it.
func (s *said) add(source pipes.Source, about host.Source) {
	s.sources, s.about = append(s.sources, source), append(s.about, about)
}

func isStream(in Input) bool { _, ok := in.(*stream); return ok }

// Names are those of the inputs.
func (f *Inputs) Names() []string {
	names := make([]string, len(f.inputs))
	for i, in := range f.inputs {
		names[i] = in.Name()
	}
	return names
}
