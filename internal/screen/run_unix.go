//go:build unix

package screen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/watch"
)

// Run shows the model until somebody quits, ctx is done or a signal says so. It
// returns ErrNoScreen, and has done nothing, where there can't be a full screen.
func Run(ctx context.Context, m *watch.Model, look *Look, collect Collect) (err error) {
	// Before the terminal is another: from then on it must be given back, and each
	// change of its size seen.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, watchedSignals()...)
	defer signal.Stop(signals)
	terminal, err := openTerminal()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoScreen, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &loop{
		terminal: terminal,
		model:    m,
		look:     look,
		tasks:    make(chan task, 1),
		results:  make(chan result),
		typed:    make(chan []byte),
		pressed:  make(chan struct{}, 1),
		lost:     make(chan error, 1),
		signals:  signals,
		done:     make(chan struct{}),
		report:   new(report),
	}
	if err := l.enter(); err != nil {
		cancel()
		terminal.close()
		if errors.Is(err, errEnd) {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrNoScreen, err)
	}
	go l.work(ctx, collect)
	go l.read(ctx)
	defer func() {
		if problem := recover(); problem != nil {
			err = panicked(problem)
		}
		// The terminal first: a collection may take a while to end, and whoever knows the
		// names of users even longer.
		terminal.close()
		cancel()
		select {
		case <-l.done:
		case <-time.After(patience):
		}
	}()
	if err := l.run(ctx); !errors.Is(err, errEnd) {
		return err
	}
	return nil
}

// A loop is what runs while the screen is there.
type loop struct {
	terminal *terminal
	model    *watch.Model
	look     *Look
	tasks    chan task
	results  chan result
	typed    chan []byte
	pressed  chan struct{} // sent when that was seen to
	lost     chan error    // the terminal is
	signals  chan os.Signal
	done     chan struct{} // closed when nothing is collected any more

	input  input
	dirty  bool      // the screen isn't what it should be
	busy   bool      // with a task
	began  time.Time // the last collection
	report *report   // of the last collection
}

// errEnd ends the loop as it should.
var errEnd = errors.New("asked to end")

// read reads what is typed while the terminal is ours: nothing after a key before it is
// known that this one doesn't end that.
func (l *loop) read(ctx context.Context) {
	for {
		buffer := make([]byte, 256)
		n, err := l.terminal.file.Read(buffer)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // it was given back
			l.lost <- err
			return
		}
		select {
		case l.typed <- buffer[:n]:
		case <-ctx.Done():
			return
		}
		select {
		case <-l.pressed:
		case <-ctx.Done():
			return
		}
	}
}

// escapeDelay is how long an escape may be the beginning of a sequence, rather than
// the Esc key: the rest of one comes with it, or in the next packet.
const escapeDelay = 50 * time.Millisecond

// run draws whatever happens, until it is over.
func (l *loop) run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	escape := time.NewTimer(time.Hour)
	defer escape.Stop()
	l.dirty = true
	for {
		if l.dirty && !l.terminal.busy {
			l.dirty = false
			Draw(l.terminal.grid, l.model, l.look)
			l.terminal.show()
		}
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err := <-l.terminal.wrote:
			l.terminal.busy = false
			if err != nil {
				return fmt.Errorf("the terminal is gone: %w", err)
			}
			continue
		case err := <-l.lost:
			return fmt.Errorf("the terminal is gone: %w", err)
		case <-next.C:
			l.collect()
			continue
		case r := <-l.results:
			err = l.takeResult(r)
		case text := <-l.typed:
			if err = l.press(l.input.feed(text)); err == nil {
				l.pressed <- struct{}{}
			}
			if l.input.waits() {
				escape.Reset(escapeDelay)
			}
		case <-escape.C:
			err = l.press(l.input.flush())
		case s := <-l.signals:
			err = l.takeSignal(s)
		}
		if err != nil {
			return err
		}
		l.dirty = true
		l.schedule(next)
	}
}

// press does what the keys say.
func (l *loop) press(keys []watch.Key) error {
	for _, key := range keys {
		switch {
		case key == ctrlC:
			return errEnd
		case key == ctrlL:
			l.terminal.all = true
		case key == ctrlZ:
			if err := l.suspend(true); err != nil {
				return err
			}
		case l.model.Press(key):
			return errEnd
		}
	}
	return nil
}

// schedule sets when the next collection begins: some time after the last one began,
// or as soon as that is over. What is to be described comes first.
func (l *loop) schedule(next *time.Timer) {
	switch {
	case l.busy:
	case l.report.isMissing():
		l.describe()
	case l.model.TakeStep():
		next.Reset(0)
	case l.model.Paused:
		next.Stop()
	default:
		next.Reset(time.Until(l.began.Add(l.model.Delay())))
	}
}

// panicked says in one line what went wrong, and where. It is called by the function
// that has recovered.
func panicked(problem any) error {
	var frames [32]uintptr
	found := runtime.CallersFrames(frames[:runtime.Callers(1, frames[:])])
	where, after := "", false
	for {
		frame, more := found.Next()
		if after && !strings.HasPrefix(frame.Function, "runtime.") {
			where = fmt.Sprintf(" at %s:%d", filepath.Base(frame.File), frame.Line)
			break
		}
		after = after || frame.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	return fmt.Errorf("a mistake in statvent%s: %v", where, problem)
}
