package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A failing listener fails so many times before it accepts each connection, with one
// error after another.
type failing struct {
	net.Listener
	errs  []error
	calls atomic.Int64
}

func (l *failing) Accept() (net.Conn, error) {
	if n := int(l.calls.Add(1)) - 1; n < len(l.errs) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.errs[n])}
	}
	return l.Listener.Accept()
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// What fails for a moment, or for one connection, isn't the end, and is logged once.
func TestAcceptGoesOnAfterAnError(t *testing.T) {
	var log bytes.Buffer
	m := newConnections(slog.New(slog.NewTextHandler(&log, nil)), 10)
	l := m.listen(&failing{Listener: listener(t), errs: []error{
		syscall.ENOBUFS, syscall.ENOBUFS, syscall.EPERM, syscall.EMFILE, syscall.ENOSPC,
	}})
	client := connect(t, l.Addr().String(), "x")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("it accepts %v, not %v", conn.RemoteAddr(), client.LocalAddr())
	}
	lines := strings.Count(log.String(), "\n")
	for _, text := range []error{syscall.ENOBUFS, syscall.EPERM, syscall.EMFILE, syscall.ENOSPC} {
		if strings.Count(log.String(), text.Error()) != 1 || lines != 4 {
			t.Errorf("%v: the log says %s", text, &log)
		}
	}
}

func TestAcceptEndsWhereThereIsNothingToAcceptFrom(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK} {
		l := newConnections(slog.New(slog.DiscardHandler), 10).listen(&failing{Listener: listener(t), errs: []error{errno}})
		if _, err := l.Accept(); !errors.Is(err, errno) {
			t.Errorf("it returns %v, not %v", err, errno)
		}
	}
}

// A listener that is closed while it rests doesn't rest any longer.
func TestAcceptEndsWhenItIsClosed(t *testing.T) {
	errs := make([]error, 1000) // half an hour's rest
	for i := range errs {
		errs[i] = syscall.EMFILE
	}
	read, write := io.Pipe()
	l := newConnections(slog.New(slog.NewTextHandler(write, nil)), 10).listen(&failing{Listener: listener(t), errs: errs})
	ended := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if _, err := read.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	read.Close()
	l.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("it returns %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it doesn't end")
	}
}
