package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A history logs what changes from one collection to the next, once.
type history struct {
	log     *slog.Logger
	pipeDir string
	states  map[string]pipes.State // of the sources that don't answer, by path
	passed  map[string]bool
	empty   bool // the last collection had no sources
	failed  string
	warning string             // about the directory's owner
	trouble map[string]bool    // of the background
	unequal map[string]bool    // conflicts
	limits  map[string]bool    // that are hit, and by whom
	lines   map[kindOfLine]int // of one collection
}

func newHistory(log *slog.Logger, pipeDir string) history {
	return history{log: log, pipeDir: pipeDir, passed: make(map[string]bool), lines: make(map[kindOfLine]int)}
}

// note logs what is new in a collection, or that there was none.
func (h *history) note(c *pipes.Collection, total *format.Snapshot, err error) {
	h.noteFailure(err)
	if err != nil {
		return
	}
	h.notePublishers(c)
	h.noteSources(c.Sources)
	h.trouble = h.news(h.trouble, "something failed in the background", "error", texts(c.Troubles))
	h.unequal = h.news(h.unequal, "a stat is not of one kind", "stat", texts(slices.DeleteFunc(slices.Clone(total.Conflicts), format.Conflict.IsUntyped)))
	h.noteLimits(c.Hits)
	h.notePassedOver(c.PassedOver)
	h.countUnsaid()
}

func (h *history) noteFailure(err error) {
	switch {
	case err != nil && h.failed != err.Error():
		h.failed = err.Error()
		h.log.Error("the pipes can't be read", "error", err)
	case err == nil && h.failed != "":
		h.failed = ""
		h.log.Info("the pipes can be read again", "pipe_dir", h.pipeDir)
	}
}

// notePublishers notes whose the directory is, and whether anybody publishes there.
func (h *history) notePublishers(c *pipes.Collection) {
	if warning := host.OwnerWarning(h.pipeDir); warning != h.warning {
		h.warning = warning
		if warning != "" {
			h.log.Warn(warning)
		}
	}
	if empty := !host.HasPublishers(c); empty != h.empty {
		h.empty = empty
		switch {
		case empty && len(c.LeftOut) > 0:
			h.log.Info("no program of the owners publishes here", "pipe_dir", h.pipeDir)
		case empty:
			h.log.Info("no program publishes here", "pipe_dir", h.pipeDir, "advice", host.Advice(h.pipeDir))
		default:
			h.log.Info("programs publish here", "pipe_dir", h.pipeDir, "sources", len(c.Sources))
		}
	}
}

// noteSources notes who answers and who doesn't.
func (h *history) noteSources(sources []pipes.Source) {
	states := make(map[string]pipes.State)
	for _, s := range sources {
		before, wasAway := h.states[s.Path]
		switch {
		case s.Err == nil && wasAway:
			message := "source answers again"
			if before == pipes.Failed {
				message = "source can be read again"
			}
			h.say(slog.LevelInfo, s.UID, message, "source", s.Name)
		case s.Err != nil:
			states[s.Path] = s.State
			if s.State != before {
				level, message := slog.LevelWarn, "source does not answer"
				switch s.State {
				case pipes.Stale:
					level = slog.LevelInfo // processes end
				case pipes.Failed:
					message = "source can't be read"
				}
				h.say(level, s.UID, message, "source", s.Name, "state", s.State, "error", s.Err)
			}
		}
		if s.Snapshot != nil && s.Snapshot.Skipped > 0 {
			h.say(slog.LevelDebug, s.UID, "lines skipped", "source", s.Name, "lines", s.Snapshot.Skipped)
		}
	}
	h.states = states
}

func (h *history) noteLimits(hits []pipes.LimitHit) {
	limits := make(map[string]bool)
	for _, hit := range host.DescribeLimits(hits) {
		what := hit.Key + " of " + hit.User
		limits[what] = true
		if !h.limits[what] {
			h.log.Warn("a limit is hit", "limit", hit.Key, "max", hit.Max, "user", hit.User, "left_out", hit.LeftOut)
		}
	}
	h.limits = limits
}

func (h *history) notePassedOver(entries []pipes.PassedOver) {
	passed := make(map[string]bool)
	for _, p := range entries {
		passed[p.Name] = true
		if !h.passed[p.Name] {
			h.say(slog.LevelWarn, anybodys, "passed over", "entry", p.Name, "why", p.Why)
		}
	}
	h.passed = passed
}

// maxLines is how many lines of one kind a user's sources may cause in a collection.
// Anybody may make thousands of pipes that don't answer, and others each time.
const maxLines = 20

// A kindOfLine is what the lines that are counted together have in common.
type kindOfLine struct {
	level   slog.Level
	message string
	uid     int
}

// anybodys stands for the user where that isn't known.
const anybodys = -1

// say logs a line about what is that user's, unless there were too many.
func (h *history) say(level slog.Level, uid int, message string, args ...any) {
	if !h.log.Enabled(context.Background(), level) {
		return
	}
	kind := kindOfLine{level, message, uid}
	if h.lines[kind]++; h.lines[kind] <= maxLines {
		h.log.Log(context.Background(), level, message, args...)
	}
}

// countUnsaid logs how many lines were too many.
func (h *history) countUnsaid() {
	for kind, n := range h.lines {
		if n <= maxLines {
			continue
		}
		args := []any{"message", kind.message, "times", n - maxLines}
		if kind.uid != anybodys {
			args = append(args, "user", host.UserName(kind.uid))
		}
		h.log.Log(context.Background(), kind.level, "and more of the same", args...)
	}
	clear(h.lines)
}

// news warns of the texts that weren't there before, and returns all.
func (h *history) news(before map[string]bool, message, key string, texts []string) map[string]bool {
	now := make(map[string]bool, len(texts))
	for _, text := range texts {
		now[text] = true
		if !before[text] {
			h.say(slog.LevelWarn, anybodys, message, key, text)
		}
	}
	return now
}

func texts[T any](things []T) []string {
	said := make([]string, len(things))
	for i, thing := range things {
		said[i] = fmt.Sprint(thing)
	}
	return said
}
