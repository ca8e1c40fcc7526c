package output

import (
	"io"
	"slices"
)

// A Series prints one snapshot after another.
type Series struct {
	streams  *Streams
	format   string
	begun    bool     // something was printed already
	problems []string // that were said last
}

// NewSeries returns a series on stdout in a format of WatchFormats.
func (s *Streams) NewSeries(format string) *Series { return &Series{streams: s, format: format} }

// Print prints a snapshot, an empty line before it where its format doesn't say where
// it begins, and to stderr the problems, unless they are those of the snapshot before.
func (s *Series) Print(stats *Stats, problems []string) error {
	if !slices.Equal(problems, s.problems) {
		s.problems = problems
		for _, problem := range problems {
			s.streams.Warn("%s", problem)
		}
	}
	if s.begun && s.format != "json" && s.format != "typed" {
		if _, err := io.WriteString(s.streams.Out, "\n"); err != nil {
			return err
		}
	}
	s.begun = true
	return s.streams.PrintStats(s.format, stats)
}

// Fail says why there is no snapshot, once.
func (s *Series) Fail(err error) {
	if said := []string{err.Error()}; !slices.Equal(said, s.problems) {
		s.problems = said
		s.streams.Warn("%v", err)
	}
}
