package server

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// A pace is how long a collection may take, which may change while the server runs,
// and how long the one that is under way has taken.
type pace struct {
	deadline atomic.Int64 // a time.Duration
	began    atomic.Int64 // Unix time in nanoseconds; 0 if none is under way
}

// SetDeadline says what the deadline of a collection is from here on.
func (s *Server) SetDeadline(d time.Duration) { s.pace.deadline.Store(int64(d)) }

func (s *Server) deadline() time.Duration { return time.Duration(s.pace.deadline.Load()) }

// grant gives an answer the time that a longer deadline takes than the one that the
// server began with.
func (s *Server) grant(w http.ResponseWriter) {
	if deadline := s.deadline(); deadline > s.opts.Deadline {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout + deadline))
	}
}

// begin notes that a collection begins, and returns what notes its end.
func (p *pace) begin() (end func()) {
	p.began.Store(time.Now().UnixNano())
	return func() { p.began.Store(0) }
}

// overtime is what a collection may take beyond its deadline on a busy host before
// it counts as one that hangs.
const overtime = 10 * time.Second

// Health returns an error while a collection hangs: it should have ended by its
// deadline whatever the sources do.
func (s *Server) Health() error { return s.health(time.Now()) }

func (s *Server) health(now time.Time) error {
	began := s.pace.began.Load()
	if took := now.Sub(time.Unix(0, began)); began != 0 && took > s.deadline()+overtime {
		return fmt.Errorf("a collection has been under way for %v", took.Round(time.Second))
	}
	return nil
}
