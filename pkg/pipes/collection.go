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
	Ended        State = "ended"        // it has ended, and left what it counted in a file
	Retained     State = "retained"     // what is kept of a user's processes that have ended
)

// States returns all states.
func States() []State { return []State{Live, Unresponsive, Stale, Failed, Ended, Retained} }

// A SourceKind says what a source is.
type SourceKind string

// The kinds of sources.
const (
	TypedSource    SourceKind = "typed"    // a process that publishes in the typed format
	PlainSource    SourceKind = "plain"    // a process that publishes in the plain format alone
	RetainedSource SourceKind = "retained" // a retained file
)

// A Source is one publisher, or one retained file, as a collection saw it.
type Source struct {
	Name  string // the stem of its pipe's name, or "retained-" and the user's id
	ID    string // of a recorder; empty otherwise
	Kind  SourceKind
	Path  string
	PID   int       // 0 if unknown; of the publisher's pid namespace
	UID   int       // the owner
	Since time.Time // when the publisher began, if it says so
	State State

	// Snapshot is nil if nothing is known. If Err isn't nil, it is what was seen
	// last: of a process that is gone, what outlives it.
	Snapshot *format.Snapshot
	At       time.Time // when the snapshot was complete, or the file written
	Err      error     // why it didn't answer

	// Emitted says which stats of a retained file are those of scripts.
	Emitted map[string]format.Emitted

	// Overflow is how many of its names have no value of their own in the Total: see
	// Collector.
	Overflow int
}

// A PassedOver is an entry of the directory that is no source, and why.
type PassedOver struct {
	Name string
	Why  string
}

// MaxPassedOver is how many of the entries that are no sources a Collection names:
// anybody may make as many as the disk has room for.
const MaxPassedOver = 100

// A Collection is what all sources of a directory said at one moment.
type Collection struct {
	Dir        string
	Time       time.Time // when it began
	Took       time.Duration
	Sources    []Source     // by pid, then by name
	PassedOver []PassedOver // by name; of a whole directory the first MaxPassedOver
	// MorePassedOver is how many more there are.
	MorePassedOver int
	// LeftOut is what CollectorOptions.Owners leave out, by user. Where
	// CollectorOptions.Select asks for such a source, it is in Sources instead, with
	// an OwnerError.
	LeftOut []LeftOut
	// Hits are the limits that were hit, by their names and by user.
	Hits []LimitHit
	// Troubles are errors of what a Collector that tidies up does in the
	// background.
	Troubles []error
	// Folded is how many recorders have been folded by this Collector so far.
	Folded int

	combiner format.Combiner
}

// Total returns what the snapshots of all sources are together.
func (c *Collection) Total() *format.Snapshot {
	var snapshots []*format.Snapshot
	for _, s := range c.Sources {
		if s.Snapshot != nil {
			snapshots = append(snapshots, s.Snapshot)
		}
	}
	return c.combiner.Combine(snapshots...)
}

// Silent returns the sources that didn't answer. What is in Total of them, if
// anything, is what was seen last.
func (c *Collection) Silent() []Source {
	var silent []Source
	for _, s := range c.Sources {
		if s.Err != nil {
			silent = append(silent, s)
		}
	}
	return silent
}

// boundPassedOver leaves MaxPassedOver of those, which are sorted.
func (c *Collection) boundPassedOver() {
	c.MorePassedOver = max(0, len(c.PassedOver)-MaxPassedOver)
	c.PassedOver = c.PassedOver[:len(c.PassedOver)-c.MorePassedOver]
}

func (c *Collection) sort() {
	slices.SortFunc(c.Sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(c.PassedOver, func(a, b PassedOver) int { return strings.Compare(a.Name, b.Name) })
}
