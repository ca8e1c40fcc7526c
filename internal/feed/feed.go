// Package feed brings what statvent watch shows: from the pipes of this host, or from
// other hosts and files, added up.
package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/statvent/statvent/internal/gather"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Feed has one update after the other. It is used by one goroutine at a time.
type Feed interface {
	// Next returns what there is now. The stats of each source are there if they are
	// wanted: to have them may cost more. The error is io.EOF where no more will come.
	Next(ctx context.Context, eachSource bool) (*watch.Update, error)
	Close()
}

// Pipes is the feed of the pipes of this host.
type Pipes struct {
	dir       string
	collector *pipes.Collector
}

// NewPipes returns the feed of a pipe directory.
func NewPipes(opts pipes.CollectorOptions) *Pipes {
	return &Pipes{opts.Dir, pipes.NewCollector(opts)}
}

// Next reads all pipes. Where there is no directory yet, nobody has published anything.
func (p *Pipes) Next(ctx context.Context, _ bool) (*watch.Update, error) {
	collection, err := p.collector.Collect(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		collection, err = &pipes.Collection{Dir: p.dir, Time: time.Now()}, nil
	}
	if err != nil {
		return nil, err
	}
	result := gather.Summarize(collection)
	update := &watch.Update{
		Time:       collection.Time,
		Total:      result.Total,
		Sources:    collection.Sources,
		EachSource: true,
		Partial:    len(result.Errors) > 0,
		Nobody:     result.Read == 0 && len(result.Errors) == 0,
		PassedOver: len(collection.PassedOver) + collection.MorePassedOver,
		Report:     func() *host.Report { return host.Describe(collection, result.Total) },
	}
	for _, others := range collection.LeftOut {
		update.LeftOut += others.Sources
	}
	for _, err := range result.Errors {
		update.Problems = append(update.Problems, err.Error())
	}
	update.Problems = append(update.Problems, result.Limits...)
	update.Problems = append(update.Problems, oddities(result.Total)...)
	return update, nil
}

// Close ends the collector.
func (p *Pipes) Close() { p.collector.Close() }

// oddities says what is odd about a total, if nothing is missing.
func oddities(total *format.Snapshot) []string {
	var said []string
	switch {
	case total.Skipped == 1:
		said = append(said, "1 line could not be read and was skipped")
	case total.Skipped > 1:
		said = append(said, fmt.Sprintf("%d lines could not be read and were skipped", total.Skipped))
	}
	for _, conflict := range total.Conflicts {
		if !conflict.IsUntyped() { // as cat has it
			said = append(said, conflict.String())
		}
	}
	return said
}
