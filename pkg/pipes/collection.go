package pipes

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// A State says how a source fared in a collection.
type State string

// The states.
const (
	Live         State = "live"         // it answered
	Unresponsive State = "unresponsive" // it lives, or may, and didn't answer in time
	Stale        State = "stale"        // the pipe of a process that is gone
	Failed       State = "failed"       // it can't be read, or sent more than it may
)

// A Source is one publisher as a collection saw it.
type Source struct {
	Name  string // the stem of its pipe's name
	Path  string
	PID   int       // 0 if unknown; of the publisher's pid namespace
	UID   int       // the pipe's owner
	Since time.Time // when the publisher began, if it says so
	State State

	Snapshot *format.Snapshot // nil unless State is Live
	At       time.Time        // when the snapshot was complete
	Err      error            // why there is none
}

// A PassedOver is an entry of the directory that is no source, and why.
type PassedOver struct {
	Name string
	Why  string
}

// A Collection is what all sources of a directory said at one moment.
type Collection struct {
	Dir        string
	Time       time.Time // when it began
	Took       time.Duration
	Sources    []Source // by pid, then by name
	PassedOver []PassedOver
}

// Total returns the sum over all sources that answered.
func (c *Collection) Total() *format.Snapshot {
	var snapshots []*format.Snapshot
	for _, s := range c.Sources {
		if s.Snapshot != nil {
			snapshots = append(snapshots, s.Snapshot)
		}
	}
	return format.Combine(snapshots...)
}

// Missing returns the sources whose numbers are not in Total.
func (c *Collection) Missing() []Source {
	var missing []Source
	for _, s := range c.Sources {
		if s.Snapshot == nil {
			missing = append(missing, s)
		}
	}
	return missing
}

func (c *Collection) sort() {
	slices.SortFunc(c.Sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(c.PassedOver, func(a, b PassedOver) int { return strings.Compare(a.Name, b.Name) })
}
