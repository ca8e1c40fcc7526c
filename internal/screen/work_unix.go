//go:build unix

package screen

import (
	"context"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/watch"
)

// What takes time is done beside the loop, which goes on drawing: to collect, and to
// describe the sources, for which users and processes are looked up.

// A task is one of them, or both.
type task struct {
	collect    bool
	eachSource bool                // with the stats of each
	describe   func() *host.Report // what was collected before
	report     bool                // describe what is collected
}

// A result is what comes of a task.
type result struct {
	task
	update *watch.Update
	report *host.Report
	err    error
	fatal  bool // there will be no more
}

// work does one task after the other.
func (l *loop) work(ctx context.Context, collect Collect) {
	defer close(l.done)
	send := func(r result) {
		select {
		case l.results <- r:
		case <-ctx.Done():
		}
	}
	defer func() {
		if problem := recover(); problem != nil {
			send(result{err: panicked(problem), fatal: true})
		}
	}()
	for {
		select {
		case t := <-l.tasks:
			r := result{task: t}
			if t.collect {
				r.update, r.err = collect(ctx, t.eachSource)
				if r.err == nil && t.report {
					t.describe = r.update.Report
				}
			}
			if t.describe != nil {
				r.report = t.describe()
			}
			send(r)
		case <-ctx.Done():
			return
		}
	}
}

// A report is that of a collection, as far as anybody has asked for it.
type report struct {
	make  func() *host.Report // nil: there is nothing to be made any more
	made  *host.Report
	asked bool // it is on the screen
}

// get returns it as soon as it is made.
func (r *report) get() *host.Report {
	r.asked = true
	return r.made
}

// isMissing tells whether it is to be made.
func (r *report) isMissing() bool { return r.asked && r.made == nil && r.make != nil }

// collect asks for a collection, unless something is under way.
func (l *loop) collect() {
	if l.busy {
		return
	}
	l.busy, l.began = true, time.Now()
	l.tasks <- task{collect: true, eachSource: l.model.WantsEachSource(), report: l.report.asked}
}

// describe asks for the report of what was collected last.
func (l *loop) describe() {
	l.busy = true
	l.tasks <- task{describe: l.report.make}
}

// takeResult takes what came of a task.
func (l *loop) takeResult(r result) error {
	l.busy = false
	switch {
	case r.fatal:
		return r.err
	case r.err != nil:
		l.model.Fail(r.err)
	case r.collect:
		l.report = &report{make: r.update.Report, made: r.report}
		r.update.Report = l.report.get
		l.model.Take(r.update)
	default:
		l.report.make, l.report.made = nil, r.report
		l.model.Describe()
	}
	return nil
}
