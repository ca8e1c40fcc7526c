package format

import (
	"maps"
	"time"
)

// A Document is a snapshot as the typed format carries it.
type Document struct {
	ID       string   // of the recorder; empty if it isn't of one
	PID      int      // of its process; 0 if unknown
	Source   string   // the name of the source, where several follow one another
	Folded   []string // ids of the recorders whose counters are in it; see package pipes
	Snapshot *Snapshot

	// Emitted says of the stats that scripts have left, by name, since when and
	// for how long.
	Emitted map[string]Emitted
}

// Emitted says when a script last changed the stats of a name, and when they
// expire.
type Emitted struct {
	At      time.Time
	Expires time.Time // zero means never
}

// isOver tells whether the stat is gone by now.
func (e Emitted) isOver(now time.Time) bool { return !e.Expires.IsZero() && !e.Expires.After(now) }

// Unexpired returns the document without the stats whose time is over.
func (d *Document) Unexpired(now time.Time) *Document {
	over := make(map[string]bool)
	for name, emitted := range d.Emitted {
		if emitted.isOver(now) {
			over[name] = true
		}
	}
	if len(over) == 0 {
		return d
	}
	left := *d
	left.Snapshot = d.Snapshot.Filter(func(name string) bool { return !over[name] })
	left.Emitted = maps.Clone(d.Emitted)
	maps.DeleteFunc(left.Emitted, func(name string, _ Emitted) bool { return over[name] })
	return &left
}

// Fold returns the document with the counts of ended processes added: see the
// function Fold.
func (d *Document) Fold(ended ...*Document) *Document {
	folded := *d
	folded.Emitted = make(map[string]Emitted, len(d.Emitted))
	maps.Copy(folded.Emitted, d.Emitted)
	snapshots := make([]*Snapshot, len(ended))
	for i, other := range ended {
		snapshots[i] = other.Snapshot
		for name, emitted := range other.Emitted {
			kept := folded.Emitted[name]
			if emitted.At.After(kept.At) {
				kept.At = emitted.At
			}
			folded.Emitted[name] = kept
		}
	}
	folded.Snapshot = Fold(d.Snapshot, snapshots...)
	return &folded
}
