// Package host describes the sources of a host to people: which process and
// whose it is, how it fares, and why there may be none.
package host

import (
	"encoding/json"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Report is what list prints and /sources serves; its JSON is that of both.
type Report struct {
	PipeDir    string       `json:"pipe_dir"`
	Timestamp  float64      `json:"timestamp"` // Unix time of the collection
	Sources    []Source     `json:"sources"`
	PassedOver []PassedOver `json:"passed_over"`
	// MorePassedOver is how many there are beside those.
	MorePassedOver int        `json:"more_passed_over,omitempty"`
	LeftOut        []LeftOut  `json:"left_out"`
	Conflicts      []Conflict `json:"conflicts"`
	Limits         []LimitHit `json:"limits"`
}

// A Source is one publisher, or what is kept of a user's processes that have
// ended.
type Source struct {
	Name    string           `json:"name"`          // its pipe is <name>.stats
	ID      string           `json:"id,omitempty"`  // of the recorder, if it has one
	Kind    pipes.SourceKind `json:"kind"`          // typed, plain or retained
	PID     int              `json:"pid,omitempty"` // left out if unknown
	User    string           `json:"user"`          // the owner
	Command string           `json:"command,omitempty"`
	Age     *float64         `json:"age_seconds,omitempty"` // since it began to publish, or its process started
	State   pipes.State      `json:"state"`
	Stats   int              `json:"stats"`
	Skipped int              `json:"skipped_lines"`
	// Overflow is how many of its names have no value of their own.
	Overflow int `json:"overflow_stats,omitempty"`
	// ValuesAge is how old its values are; left out if it has none.
	ValuesAge *float64 `json:"values_age_seconds,omitempty"`
	Error     string   `json:"error,omitempty"` // why it didn't answer

	// Emitted is about what scripts have left; left out if there is nothing.
	Emitted *Emitted `json:"emitted,omitempty"`

	Values json.RawMessage `json:"values,omitempty"` // {NAME: NUMBER}; see AddValues
}

// Emitted says how many stats scripts have left, and how long it is since one of
// them was changed, for the one changed last and the one longest ago.
type Emitted struct {
	Stats     int     `json:"stats"`
	NewestAge float64 `json:"newest_age_seconds"`
	OldestAge float64 `json:"oldest_age_seconds"`
}

// A Conflict is a stat that is of one kind here and of another there.
type Conflict struct {
	Name  json.RawMessage `json:"name"` // as in the document of the stats
	Kinds []string        `json:"kinds"`
}

// A PassedOver is an entry of the directory that isn't a source.
type PassedOver struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// PassedOverTexts says what is passed over and why, a line each, and how much more is. The
// names are as somebody has made them.
func (r *Report) PassedOverTexts() (texts []string) {
	for _, p := range r.PassedOver {
		texts = append(texts, "passed over: "+p.Name+": "+p.Why)
	}
	if r.MorePassedOver > 0 {
		texts = append(texts, fmt.Sprintf("passed over: %d more", r.MorePassedOver))
	}
	return texts
}

// LeftOut says how many sources of a user don't count, because others were named
// whose sources do.
type LeftOut struct {
	User    string `json:"user"`
	Sources int    `json:"sources"`
}

// Describe returns the report of a collection and of its total.
func Describe(c *pipes.Collection, total *format.Snapshot) *Report {
	r := &Report{
		PipeDir:        c.Dir,
		Timestamp:      float64(c.Time.UnixMilli()) / 1000,
		Sources:        []Source{},
		PassedOver:     []PassedOver{},
		MorePassedOver: c.MorePassedOver,
		LeftOut:        []LeftOut{},
		Conflicts:      []Conflict{},
		Limits:         DescribeLimits(c.Hits),
	}
	users := make(userNames)
	for _, s := range c.Sources {
		out := Source{Name: s.Name, ID: s.ID, Kind: s.Kind, PID: s.PID, User: users.name(s.UID), State: s.State, Overflow: s.Overflow}
		if s.Snapshot != nil {
			out.Stats, out.Skipped = countStats(s.Snapshot), s.Snapshot.Skipped
			out.ValuesAge = seconds(c.Time.Sub(s.At)) // not negative, if it came after the beginning
		}
		if s.Err != nil {
			out.Error = s.Err.Error()
		}
		out.Emitted = describeEmitted(s.Emitted, c.Time)
		started := s.Since
		if process, ok := findProcess(s.PID, s.UID, c.Time); ok && s.State != pipes.Stale && s.State != pipes.Ended {
			out.Command = process.command
			if started.IsZero() {
				started = process.started
			}
		}
		if !started.IsZero() {
			out.Age = seconds(c.Time.Sub(started))
		}
		r.Sources = append(r.Sources, out)
	}
	for _, p := range c.PassedOver {
		r.PassedOver = append(r.PassedOver, PassedOver(p))
	}
	for _, l := range c.LeftOut {
		r.LeftOut = append(r.LeftOut, LeftOut{users.name(l.UID), l.Sources})
	}
	for _, conflict := range total.Conflicts {
		out := Conflict{Name: format.AppendJSONName(nil, conflict.Name)}
		for _, kind := range conflict.Kinds {
			out.Kinds = append(out.Kinds, kind.String())
		}
		r.Conflicts = append(r.Conflicts, out)
	}
	return r
}

func describeEmitted(emitted map[string]format.Emitted, now time.Time) *Emitted {
	if len(emitted) == 0 {
		return nil
	}
	newest, oldest := time.Time{}, now
	for _, e := range emitted {
		if e.At.After(newest) {
			newest = e.At
		}
		if e.At.Before(oldest) && !e.At.IsZero() {
			oldest = e.At
		}
	}
	return &Emitted{len(emitted), *seconds(now.Sub(newest)), *seconds(now.Sub(oldest))}
}

// HasPublishers tells whether there is a program among the sources, or something
// of a script, or only what is left of programs.
func HasPublishers(c *pipes.Collection) bool {
	return slices.ContainsFunc(c.Sources, func(s pipes.Source) bool {
		return s.Kind != pipes.RetainedSource && s.State != pipes.Ended || len(s.Emitted) > 0
	})
}

// countStats counts the names in a snapshot.
func countStats(s *format.Snapshot) int {
	n := 0
	for i, stat := range s.Stats {
		if i == 0 || stat.Name != s.Stats[i-1].Name {
			n++
		}
	}
	return n
}

// seconds returns the duration to the millisecond.
func seconds(d time.Duration) *float64 {
	s := float64(max(d, 0).Round(time.Millisecond).Milliseconds()) / 1000
	return &s
}

// AddValues adds the stats of each source of the collection, which must be the
// one that the report is of.
func (r *Report) AddValues(c *pipes.Collection) {
	for i, s := range c.Sources {
		if s.Snapshot != nil {
			r.Sources[i].Values = format.AppendJSONStats(nil, s.Snapshot)
		}
	}
}

// UserName returns the name of a user, or the number of one who has none here.
func UserName(uid int) string { return make(userNames).name(uid) }

// userNames remembers the names of users by uid.
type userNames map[int]string

func (names userNames) name(uid int) string {
	name, ok := names[uid]
	if !ok {
		name = strconv.Itoa(uid)
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		names[uid] = name
	}
	return name
}
