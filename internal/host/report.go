// Package host describes the sources of a host to people: which process and
// whose it is, how it fares, and why there may be none.
package host

import (
	"encoding/json"
	"os/user"
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
}

// A Source is one publisher.
type Source struct {
	Name    string      `json:"name"`          // its pipe is <name>.stats
	PID     int         `json:"pid,omitempty"` // left out if unknown
	User    string      `json:"user"`          // the pipe's owner
	Command string      `json:"command,omitempty"`
	Age     *float64    `json:"age_seconds,omitempty"` // since it began to publish, or its process started
	State   pipes.State `json:"state"`
	Stats   int         `json:"stats"`
	Skipped int         `json:"skipped_lines"`
	Error   string      `json:"error,omitempty"` // why it has no stats

	Values json.RawMessage `json:"values,omitempty"` // {NAME: NUMBER}; see AddValues
}

// A PassedOver is an entry of the directory that isn't a source.
type PassedOver struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Describe returns the report of a collection.
func Describe(c *pipes.Collection) *Report {
	r := &Report{
		PipeDir:    c.Dir,
		Timestamp:  float64(c.Time.UnixMilli()) / 1000,
		Sources:    []Source{},
		PassedOver: []PassedOver{},
	}
	users := make(userNames)
	for _, s := range c.Sources {
		out := Source{Name: s.Name, PID: s.PID, User: users.name(s.UID), State: s.State}
		if s.Snapshot != nil {
			out.Stats, out.Skipped = len(s.Snapshot.Flatten().Stats), s.Snapshot.Skipped
		}
		if s.Err != nil {
			out.Error = s.Err.Error()
		}
		started := s.Since
		if process, ok := findProcess(s.PID, s.UID, c.Time); ok && s.State != pipes.Stale {
			out.Command = process.command
			if started.IsZero() {
				started = process.started
			}
		}
		if !started.IsZero() {
			age := max(c.Time.Sub(started), 0).Round(time.Millisecond).Seconds()
			out.Age = &age
		}
		r.Sources = append(r.Sources, out)
	}
	for _, p := range c.PassedOver {
		r.PassedOver = append(r.PassedOver, PassedOver(p))
	}
	return r
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
