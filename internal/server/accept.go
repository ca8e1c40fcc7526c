package server

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// listen returns a listener whose connections are among these.
func (m *connections) listen(l net.Listener) net.Listener {
	return &countedListener{Listener: l, all: m, closed: make(chan struct{})}
}

type countedListener struct {
	net.Listener
	all    *connections
	closed chan struct{}
}

// How long Accept rests after an error.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Accept waits for a connection that there is room for. It goes on after an error: it
// may be that of one connection, which failed before it was accepted, or of a host
// that has no memory or descriptors left just now, or of a firewall.
func (l *countedListener) Accept() (net.Conn, error) {
	for pause := acceptPauseMin; ; {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.all.add(conn, time.Now()); c != nil {
				return c, nil
			}
			_ = conn.Close()
			pause = acceptPauseMin
			continue
		case isFinal(err):
			return nil, err
		}
		l.all.cannotAccept(err, time.Now())
		select {
		case <-time.After(pause):
			pause = min(2*pause, acceptPauseMax)
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

// isFinal tells whether nothing will ever be accepted any more: it is closed, or none
// to accept from.
func isFinal(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

// Close is called once, by a http.Server.
func (l *countedListener) Close() error {
	close(l.closed)
	return l.Listener.Close()
}

// cannotAccept logs why, and the same once a minute.
func (m *connections) cannotAccept(err error, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err.Error() != m.why || now.Sub(m.saidWhy) > time.Minute {
		m.why, m.saidWhy = err.Error(), now
		m.log.Warn("a connection can't be accepted", "error", err)
	}
}
