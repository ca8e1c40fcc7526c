//go:build linux

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

// inherited returns what the next serve must say from its start on, although those may
// be dead of whom it says it: what is retained, and what was saved of those that are
// still to be folded. The serve before it is dead, and had said so much.
func (c *chaos) inherited(previous *server) *told {
	left := newTold()
	if len(c.others) > 0 || !c.present() {
		return left // others fold as well, what they have seen
	}
	// In this order: what is folded in between is in neither or one of the two.
	folded := make(map[string]bool)
	retained, _ := filepath.Glob(filepath.Join(c.dir, ".retained-*.typed"))
	for _, path := range retained {
		for _, doc := range c.documents(path) {
			for _, id := range doc.Folded {
				folded[id] = true
			}
			left.add(doc.Snapshot)
		}
	}
	linked, _ := filepath.Glob(filepath.Join(c.dir, ".*.typed"))
	saved, _ := filepath.Glob(filepath.Join(c.state, "seen-*"))
	for _, path := range saved {
		for _, doc := range c.documents(path) {
			for _, pipe := range linked {
				if strings.HasSuffix(pipe, "."+doc.ID+".typed") && !folded[doc.ID] {
					left.add(doc.Snapshot)
				}
			}
		}
	}
	if !c.present() {
		return newTold()
	}
	c.trace.note("world", "%s has left %v", previous.name, left.own)
	return left
}

// present tells whether the directory is there. Nobody but the caller removes it.
func (c *chaos) present() bool { return c.disorders().absentNow == 0 }

// add adds the actors' own counters.
func (t *told) add(s *format.Snapshot) {
	for _, stat := range s.Stats {
		if n, ok := actorOf(stat.Name); ok && strings.HasPrefix(stat.Name, "own.") {
			t.own[n] += stat.Value.Int64()
		}
	}
}

// actorOf returns the number in a name.
func actorOf(name string) (n int, ok bool) {
	name = strings.TrimSuffix(name, ".{0}")
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	return n, err == nil
}

// documents reads a file in the typed format, if there is one.
func (c *chaos) documents(path string) []*format.Document {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil
	}
	parser := format.TypedParser{MaxStats: 1_000_000}
	if err == nil {
		_, err = parser.Write(text)
	}
	documents, parseErr := parser.Documents()
	if err := errors.Join(err, parseErr); err != nil {
		c.complain("%s: %v", path, err)
	}
	return documents
}
