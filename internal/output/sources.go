package output

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

type reportFormat func(w io.Writer, colored bool, r *host.Report) error

var reportFormats = map[string]reportFormat{
	"table": reportTable,
	"plain": reportPlain,
	"json": func(w io.Writer, _ bool, r *host.Report) error {
		return encodeJSON(w, r)
	},
}

// ReportFormats are the names of the formats that PrintReport knows.
func ReportFormats() []string { return slices.Sorted(maps.Keys(reportFormats)) }

// PrintReport prints a report to stdout in the format of that name.
func (s *Streams) PrintReport(format string, r *host.Report) error {
	return reportFormats[format](s.Out, s.outColor, r)
}

var stateColors = map[pipes.State]color.Attribute{
	pipes.Live:         color.FgGreen,
	pipes.Unresponsive: color.FgYellow,
	pipes.Stale:        color.FgRed,
	pipes.Failed:       color.FgRed,
	pipes.Ended:        color.FgBlue,
	pipes.Retained:     color.FgBlue,
}

func reportTable(w io.Writer, colored bool, r *host.Report) error {
	columns := []column{
		{"SOURCE", false},
		{"PID", true},
		{"USER", false},
		{"AGE", true},
		{"STATS", true},
		{"STATE", false},
		{"COMMAND", false},
		{"NOTE", false},
	}
	rows := make([][]cell, 0, len(r.Sources))
	for _, s := range r.Sources {
		rows = append(rows, []cell{
			{Escape(s.Name), 0},
			{orDash(s.PID > 0, strconv.Itoa(s.PID)), 0},
			{Escape(s.User), 0},
			{age(s.Age), 0},
			{orDash(s.ValuesAge != nil, strconv.Itoa(s.Stats)), 0},
			{string(s.State), stateColors[s.State]},
			{orDash(s.Command != "", shorten(Escape(s.Command), 40)), 0},
			{Note(&s), color.FgYellow},
		})
	}
	if len(rows) > 0 {
		if err := writeTable(w, colored, columns, rows); err != nil {
			return err
		}
	}
	for _, text := range r.PassedOverTexts() {
		if _, err := fmt.Fprintln(w, Escape(text)); err != nil {
			return err
		}
	}
	return nil
}

// reportPlain writes a line a source without a header, its fields separated by
// tabs: name, pid, user, age in seconds, stats, state, command. An unknown field
// is empty.
func reportPlain(w io.Writer, _ bool, r *host.Report) error {
	for _, s := range r.Sources {
		pid, seconds, stats := "", "", ""
		if s.PID > 0 {
			pid = strconv.Itoa(s.PID)
		}
		if s.Age != nil {
			seconds = strconv.FormatFloat(*s.Age, 'f', 0, 64)
		}
		if s.ValuesAge != nil {
			stats = strconv.Itoa(s.Stats)
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			Escape(s.Name), pid, Escape(s.User), seconds, stats, s.State, Escape(s.Command))
		if err != nil {
			return err
		}
	}
	return nil
}

// Note says what else there is to say of a source: why it doesn't answer, or what is odd.
func Note(s *host.Source) string {
	var notes []string
	if s.Error != "" {
		notes = append(notes, Escape(s.Error))
	}
	switch {
	case s.Overflow == 1:
		notes = append(notes, "1 stat has no place: "+format.Overflow)
	case s.Overflow > 1:
		notes = append(notes, fmt.Sprintf("%d stats have no place: %s", s.Overflow, format.Overflow))
	}
	switch {
	case s.Skipped == 1:
		notes = append(notes, "1 line skipped")
	case s.Skipped > 1:
		notes = append(notes, fmt.Sprintf("%d lines skipped", s.Skipped))
	}
	if s.Emitted != nil {
		notes = append(notes, emittedNote(s.Emitted))
	}
	return strings.Join(notes, "; ")
}

// emittedNote says what scripts have left, and how long ago.
func emittedNote(e *host.Emitted) string {
	stats := "1 stat of a script"
	if e.Stats > 1 {
		stats = fmt.Sprintf("%d stats of scripts", e.Stats)
	}
	newest, oldest := age(&e.NewestAge), age(&e.OldestAge)
	if newest == oldest {
		return stats + ", " + newest + " old"
	}
	return stats + ", " + newest + " to " + oldest + " old"
}

func orDash(known bool, text string) string {
	if known {
		return text
	}
	return "-"
}

// age returns a duration in its largest unit, 59s, 59m, 23h or 365d.
func age(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

func shorten(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-3]) + "..."
	}
	return s
}
