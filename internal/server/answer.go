package server

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// An answer is a collection and what is made of it: each document once for all who
// share it, when the first asks.
type answer struct {
	collection *pipes.Collection
	total      *format.Snapshot
	own        *format.Snapshot // what the server says of itself

	flattened   sync.Once
	flat        *format.Snapshot
	statsJSON   document
	sourcesJSON [2]document // with the values of each, and without
	typedText   [2]document // of each source, and of all together
	live        document
	expositions [format.OpenMetrics + 1][format.EscapeNothing + 1]document
}

// A document is a body that is made when the first asks for it.
type document struct {
	once sync.Once
	body body
	err  error
}

func (d *document) get(build func() ([]byte, error)) (*body, error) {
	d.once.Do(func() { d.body.plain, d.err = build() })
	return &d.body, d.err
}

// values returns the total as names and values.
func (a *answer) values() *format.Snapshot {
	a.flattened.Do(func() { a.flat = a.total.Flatten() })
	return a.flat
}

func (a *answer) stats() (*body, error) {
	return a.statsJSON.get(func() ([]byte, error) {
		return format.AppendJSON(nil, a.values(), a.collection.Time), nil
	})
}

func (a *answer) sources(withValues bool) (*body, error) {
	d := &a.sourcesJSON[0]
	if !withValues {
		d = &a.sourcesJSON[1]
	}
	return d.get(func() ([]byte, error) {
		report := host.Describe(a.collection, a.total)
		if withValues {
			report.AddValues(a.collection)
		}
		text, err := json.Marshal(report)
		return append(text, '\n'), err
	})
}

func (a *answer) typed(eachSource bool) (*body, error) {
	if !eachSource {
		return a.typedText[1].get(func() ([]byte, error) {
			return format.AppendTyped(nil, &format.Document{Snapshot: a.total}), nil
		})
	}
	return a.typedText[0].get(func() ([]byte, error) {
		var text []byte
		for _, s := range a.collection.Sources {
			if s.Snapshot != nil {
				text = format.AppendTyped(text, &format.Document{ID: s.ID, PID: s.PID, Source: s.Name, Snapshot: s.Snapshot})
			}
		}
		return text, nil
	})
}

func (a *answer) exposition(e format.Exposition) (*body, error) {
	return a.expositions[e.Syntax][e.Escaping].get(func() ([]byte, error) {
		return e.Append(nil, a.total, a.own, help()), nil
	})
}

// writeShared answers with a document.
func writeShared(w http.ResponseWriter, r *http.Request, contentType string, b *body, err error) {
	if err != nil {
		fail(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, r, http.StatusOK, contentType, b)
}

// maxAlone is how many bodies are made for one request alone at a time. What it
// takes to make one would else be multiplied by the number of connections.
const maxAlone = 4

// writeAlone answers with JSON that nobody shares.
func (s *Server) writeAlone(w http.ResponseWriter, r *http.Request, build func() []byte) {
	select {
	case s.alone <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	text, encoding := func() ([]byte, string) {
		defer func() { <-s.alone }() // also if this one fails
		return (&body{plain: build()}).encoded(r)
	}()
	send(w, http.StatusOK, jsonType, text, encoding)
}
