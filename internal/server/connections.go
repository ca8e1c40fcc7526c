package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those that are open, a bounded number of them. When one comes
// that is too many, the one that has had nothing to do for the longest is closed:
// it may be on its way to send a request, or wait for the next, or never mean to.
// So whoever opens many closes his own, unless he opens as many as there may be
// in the time that another takes to send a request.
type connections struct {
	log *slog.Logger

	mu      sync.Mutex
	max     int
	idle    list.List // those without a whole request, the one for the longest first
	busy    list.List // those with one, the same
	held    int       // bytes beyond freeHeld that those in idle have sent
	sending int       // bytes of answers that are being sent
	senders int       // connections that they are sent to

	// when it was logged
	saidBusy time.Time // that all are busy
	saidHeld time.Time // that headers take too much
	saidWhy  time.Time // why one can't be accepted

	why string // the last error of that
}

// A connection is one of them.
type connection struct {
	net.Conn
	all *connections

	// all.mu guards these.
	in    *list.List // idle or busy; nil once it is closed
	place *list.Element
	since time.Time // it is in there
	held  int       // bytes that it has sent since, if it is in idle

	sending int // bytes of its answer that are being sent

	// stalled: the answer is there, and its reader isn't.
	stalled atomic.Bool
}

// maxStall is how long a reader may take its time before its connection is one
// that can be closed for another. It is far below the timeout for answers, so
// that those who don't read hold up others no longer than this.
const maxStall = 5 * time.Second

// Answers that are being sent may take maxSending bytes together. Beyond that, and
// if they are more than a few, those are cut off that aren't done minSend after
// their request, the oldest first.
const (
	maxSending = 16 << 20
	fewSenders = 8 // of answers that may be large
	minSend    = time.Second
)

// Headers that have begun and don't end take up to twenty times their size, and so
// do handshakes that don't; those that are whole are answered at once. A usual one
// has less than freeHeld bytes, which each connection may take: as much in the
// shortest lines makes the process 100 kB larger. What goes beyond that is bounded by
// maxHeld for all together, and the largest is closed. So nobody can have a usual one
// closed.
const (
	freeHeld = 3 << 10
	maxHeld  = 64 << 10
)

func newConnections(log *slog.Logger, most int) *connections {
	return &connections{log: log, max: most}
}

// add makes room for a connection; it returns nil if all others are busy.
func (m *connections) add(conn net.Conn, now time.Time) *connection {
	c := &connection{Conn: conn, all: m}
	m.mu.Lock()
	var victim *connection
	if m.idle.Len()+m.busy.Len() >= m.max {
		if victim = m.victim(now); victim == nil {
			defer m.mu.Unlock()
			if now.Sub(m.saidBusy) > time.Minute {
				m.saidBusy = now
				m.log.Warn("connections are refused: all have a request that is being answered", "max_connections", m.max)
			}
			return nil
		}
		victim.move(nil, now)
	}
	c.move(&m.idle, now)
	m.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close()
	}
	return c
}

// victim returns the connection that is missed the least; nil if there is none.
// m.mu is held.
func (m *connections) victim(now time.Time) *connection {
	if first := m.idle.Front(); first != nil {
		return first.Value.(*connection)
	}
	for e := m.busy.Front(); e != nil; e = e.Next() {
		c := e.Value.(*connection)
		if now.Sub(c.since) < maxStall {
			break
		}
		if c.stalled.Load() {
			return c
		}
	}
	return nil
}

// setMax changes how many there may be.
func (m *connections) setMax(most int) {
	m.mu.Lock()
	m.max = most
	var victims []*connection
	for m.idle.Len() > 0 && m.idle.Len()+m.busy.Len() > m.max {
		c := m.idle.Front().Value.(*connection)
		c.move(nil, time.Time{})
		victims = append(victims, c)
	}
	m.mu.Unlock()
	for _, c := range victims {
		_ = c.Conn.Close()
	}
}

// move puts a connection at the end of a list; nil means that it is closed. all.mu
// is held.
func (c *connection) move(to *list.List, now time.Time) {
	if c.in != nil {
		c.in.Remove(c.place)
	}
	c.all.held -= c.excess()
	c.held = 0
	if to == nil {
		c.sends(-c.sending)
	}
	if c.in, c.since = to, now; to != nil {
		c.place = to.PushBack(c)
	}
}

// sends adds to what is being sent. all.mu is held.
func (c *connection) sends(n int) {
	before := c.sending
	c.sending += n
	c.all.sending += n
	switch {
	case before == 0 && c.sending > 0:
		c.all.senders++
	case before > 0 && c.sending == 0:
		c.all.senders--
	}
}

// change is move for one that may be closed by now.
func (c *connection) change(to *list.List) {
	now := time.Now()
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.in != nil {
		c.move(to, now)
	}
}

// Close makes room for another.
func (c *connection) Close() error {
	c.change(nil)
	return c.Conn.Close()
}

// CloseWrite says that there is nothing more to come: so an answer that ends a
// connection early reaches a client that is still sending.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.all.hold(c, n)
	}
	return n, err
}

// excess returns how many of the bytes that it has sent count. all.mu is held.
func (c *connection) excess() int { return max(0, c.held-freeHeld) }

// hold notes that a connection has sent so much. If that is too much, those are
// closed that have sent the most.
func (m *connections) hold(c *connection, n int) {
	now := time.Now()
	m.mu.Lock()
	if c.in != &m.idle {
		m.mu.Unlock()
		return
	}
	if c.held == 0 {
		c.move(&m.idle, now) // it begins a request, once
	}
	m.held -= c.excess()
	c.held += n
	m.held += c.excess()
	var victims []*connection
	for m.held > maxHeld {
		victim := m.largest()
		victim.move(nil, now)
		victims = append(victims, victim)
	}
	if len(victims) > 0 && now.Sub(m.saidHeld) > time.Minute {
		m.saidHeld = now
		m.log.Warn("connections are closed: headers that don't end take too much memory", "max_bytes", maxHeld)
	}
	m.mu.Unlock()
	for _, victim := range victims {
		_ = victim.Conn.Close()
	}
}

// largest returns that of idle which has sent the most. m.mu is held.
func (m *connections) largest() *connection {
	var largest *connection
	for e := m.idle.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*connection); largest == nil || c.held > largest.held {
			largest = c
		}
	}
	return largest
}

func (c *connection) Write(p []byte) (int, error) {
	before := c.stalled.Swap(true)
	defer c.stalled.Store(before)
	return c.Conn.Write(p)
}

// send notes that a part of an answer is being sent, and makes room for it.
func (m *connections) send(c *connection, n int, now time.Time) {
	m.mu.Lock()
	if c.in == nil {
		m.mu.Unlock()
		return
	}
	c.sends(n)
	var victims []*connection
	for e := m.busy.Front(); e != nil && m.sending > maxSending && m.senders > fewSenders; {
		victim := e.Value.(*connection)
		e = e.Next()
		if now.Sub(victim.since) < minSend {
			break
		}
		if victim.sending > 0 && victim != c {
			victim.move(nil, now)
			victims = append(victims, victim)
		}
	}
	m.mu.Unlock()
	for _, victim := range victims {
		_ = victim.Conn.Close()
	}
}

// sent notes that it has been sent.
func (m *connections) sent(c *connection, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.sends(-min(n, c.sending)) // nothing, if it was cut off
}

// A countedWriter keeps account of what is being sent.
type countedWriter struct {
	http.ResponseWriter
	c *connection
}

func (w *countedWriter) Write(p []byte) (int, error) {
	w.c.all.send(w.c, len(p), time.Now())
	defer w.c.all.sent(w.c, len(p))
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type connectionKey struct{}

// context is for http.Server's ConnContext.
func (m *connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, connectionOf(conn))
}

// state is for http.Server's ConnState. Its own StateActive begins with the first
// byte of a header, which those who are slow on purpose have sent.
func (m *connections) state(conn net.Conn, state http.ConnState) {
	if c := connectionOf(conn); c != nil && state == http.StateIdle {
		c.change(&m.idle)
	}
}

// wrap returns a handler whose connections are busy.
func (m *connections) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _ := r.Context().Value(connectionKey{}).(*connection); c != nil {
			c.stalled.Store(false)
			c.change(&m.busy)
			defer c.stalled.Store(true) // what is left of the answer and of the request
			w = &countedWriter{w, c}
		}
		next.ServeHTTP(w, r)
	})
}

// connectionOf returns which of them it is, below TLS.
func connectionOf(conn net.Conn) *connection {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*connection)
	return c
}
