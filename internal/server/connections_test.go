package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statvent/statvent/internal/testcert"
	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/pipes"
)

// run has the server serve at a port of its own until the test ends.
func run(t *testing.T, s *Server) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// limited returns a server that has so many connections at the most.
func limited(t *testing.T, most int, collect collectFunc) *Server {
	t.Helper()
	return New(Options{Path: "/stats", Collector: collect, Log: slog.New(slog.DiscardHandler), MaxConnections: most})
}

func collectNothing(context.Context) (*pipes.Collection, error) { return collection(), nil }

// connect opens a connection and sends the text.
func connect(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered reports whether the server answers with 200.
func answered(conn net.Conn) bool {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err == nil && resp.StatusCode == http.StatusOK
}

// isClosed waits for the server to close the connection.
func isClosed(conn net.Conn) bool {
	n, err := conn.Read(make([]byte, 1))
	return n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// counts waits until there are so many.
func counts(t *testing.T, s *Server, idle, busy int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.connections.mu.Lock()
		gotIdle, gotBusy := s.connections.idle.Len(), s.connections.busy.Len()
		s.connections.mu.Unlock()
		if gotIdle == idle && gotBusy == busy {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d idle and %d busy, want %d and %d", gotIdle, gotBusy, idle, busy)
		}
	}
}

const question = "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestConnectionThatDoesNothingTheLongestMakesRoom(t *testing.T) {
	s := limited(t, 3, collectNothing)
	address := run(t, s)
	slow := []net.Conn{
		connect(t, address, ""),
		connect(t, address, "GET /stats HTTP/1.1\r\nHo"),
	}
	counts(t, s, 2, 0)
	idle := connect(t, address, question)
	if !answered(idle) {
		t.Error("the third isn't answered")
	}
	counts(t, s, 3, 0)
	fourth := connect(t, address, question)
	if !answered(fourth) || !isClosed(slow[0]) {
		t.Error("the first has not made room for the fourth")
	}
	counts(t, s, 3, 0)
	if _, err := io.WriteString(idle, question); err != nil || !answered(idle) { // it is the youngest now
		t.Error("the third isn't answered again")
	}
	counts(t, s, 3, 0)
	if !answered(connect(t, address, question)) || !isClosed(slow[1]) {
		t.Error("one that has sent a part of its header has not made room")
	}
	counts(t, s, 3, 0)
	if !answered(connect(t, address, question)) || !isClosed(fourth) {
		t.Error("one between two requests has not made room")
	}
}

func TestBusyConnectionsAreNotClosedForOthers(t *testing.T) {
	finish := make(chan struct{})
	s := limited(t, 2, func(context.Context) (*pipes.Collection, error) {
		<-finish
		return collection(), nil
	})
	address := run(t, s)
	busy := []net.Conn{connect(t, address, question), connect(t, address, question)}
	counts(t, s, 0, 2)
	if !isClosed(connect(t, address, "")) {
		t.Error("there is room for a third")
	}
	close(finish)
	for _, conn := range busy {
		if !answered(conn) {
			t.Error("one of those that came first isn't answered")
		}
	}
	counts(t, s, 2, 0)
	if !answered(connect(t, address, question)) {
		t.Error("there is no room when they are idle")
	}
}

// Readers that don't read their answers lock out nobody for longer than maxStall.
func TestStalledReadersMakeRoom(t *testing.T) {
	now := time.Now()
	m := newConnections(slog.New(slog.DiscardHandler), 2)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	stalled := m.add(ours, now)
	ours, other := net.Pipe()
	defer other.Close()
	working := m.add(ours, now)
	working.change(&m.busy)
	stalled.change(&m.busy)
	written := make(chan error, 1)
	go func() {
		_, err := stalled.Write(make([]byte, 1<<20))
		written <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); !stalled.stalled.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the writing isn't seen to stall")
		}
	}
	conn, _ := net.Pipe()
	if m.add(conn, now.Add(maxStall/2)) != nil {
		t.Error("a reader has too little time")
	}
	third := m.add(conn, now.Add(2*maxStall))
	if third == nil {
		t.Fatal("one that doesn't read has not made room")
	}
	if err := <-written; err == nil {
		t.Error("it is still written to")
	}
	third.change(&m.busy)
	if m.add(conn, now.Add(time.Hour)) != nil {
		t.Error("one whose answer is being made has made room")
	}
	for _, c := range []*connection{stalled, working, third} {
		c.Close()
	}
	if m.idle.Len()+m.busy.Len() != 0 {
		t.Errorf("%d idle, %d busy", m.idle.Len(), m.busy.Len())
	}
}

// What readers don't read is memory: those who have taken the longest are cut off.
func TestAnswersThatAreNotReadAreBounded(t *testing.T) {
	now := time.Now()
	m := newConnections(slog.New(slog.DiscardHandler), 10)
	conns := make([]*connection, fewSenders+2)
	for i := range conns {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		conns[i] = m.add(ours, now)
		conns[i].change(&m.busy)
	}
	last := conns[len(conns)-1]
	is := func(sending, senders, cut int) {
		t.Helper()
		for i, c := range conns {
			if (c.in == nil) != (i < cut) {
				t.Errorf("connection %d: closed is %v", i, c.in == nil)
			}
		}
		if m.sending != sending || m.senders != senders {
			t.Errorf("%d bytes are being sent to %d, want %d to %d", m.sending, m.senders, sending, senders)
		}
	}
	for _, c := range conns[:fewSenders+1] {
		m.send(c, maxSending, now)
	}
	is((fewSenders+1)*maxSending, fewSenders+1, 0) // they have their time
	m.send(last, 1, now.Add(2*minSend))
	is((fewSenders-1)*maxSending+1, fewSenders, 2) // and a few have theirs
	for _, c := range conns {
		m.sent(c, maxSending)
	}
	is(0, 0, 2)
	m.send(last, 1, now.Add(2*minSend))
	m.send(conns[0], 1, now)
	is(1, 1, 2)
	last.Close()
	if m.sending != 0 || m.senders != 0 {
		t.Errorf("%d bytes are being sent to %d who are gone", m.sending, m.senders)
	}
}

// What is left of a body that nobody wants is not a request that is being
// answered.
func TestBodyThatIsNotReadKeepsNoRoom(t *testing.T) {
	s := limited(t, 1, collectNothing)
	address := run(t, s)
	slow := connect(t, address, "POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || !resp.Close {
		t.Errorf("got %s, close %v", resp.Status, resp.Close)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn := connect(t, address, question)
		if answered(conn) {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("there is no room")
		}
	}
}

func TestHandshakesCount(t *testing.T) {
	dir, ca := t.TempDir(), testcert.NewCA(t)
	ca.Issue(t, "localhost").Write(t, dir, "server")
	file := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(file, []byte("tls_server_config: {cert_file: server.pem, key_file: server.key}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := limited(t, 2, collectNothing)
	opts := s.opts
	var err error
	if opts.Web, err = webconfig.Open(file, opts.Log); err != nil {
		t.Fatal(err)
	}
	s = New(opts)
	address := run(t, s)
	secure := func() net.Conn {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("%s is spoken", p)
		}
		return conn
	}
	slow := []net.Conn{connect(t, address, ""), connect(t, address, "\x16\x03")}
	counts(t, s, 2, 0)
	for range 3 {
		conn := secure()
		if _, err := io.WriteString(conn, question); err != nil || !answered(conn) {
			t.Error("it isn't answered")
		}
	}
	if !isClosed(slow[0]) || !isClosed(slow[1]) {
		t.Error("those that don't shake hands are still there")
	}
	counts(t, s, 2, 0)
}

// Headers that don't end take memory: the largest go, of those that are as large the
// oldest, and those that wait for their next request stay.
func TestBytesOfHeadersAreBounded(t *testing.T) {
	s := limited(t, 100, collectNothing)
	address := run(t, s)
	idle := connect(t, address, question)
	if !answered(idle) {
		t.Error("it isn't answered")
	}
	counts(t, s, 1, 0)
	const size = 10 << 10
	text := "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", size)
	var slow []net.Conn
	for range maxHeld/(size-freeHeld) + 10 {
		slow = append(slow, connect(t, address, text))
	}
	for _, conn := range slow[:5] {
		if !isClosed(conn) {
			t.Error("one of the oldest is open")
		}
	}
	for range 3 {
		if _, err := io.WriteString(idle, question); err != nil || !answered(idle) {
			t.Error("one that was idle isn't answered")
		}
	}
	for _, conn := range slow {
		conn.Close()
	}
	counts(t, s, 1, 0)
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	if s.connections.held != 0 {
		t.Errorf("%d bytes are held by none", s.connections.held)
	}
}

// Whoever sends what is usual, but slowly, isn't closed for those that send more,
// even if all are slow at once.
func TestUsualHeadersAreNotClosedForLargeOnes(t *testing.T) {
	s := limited(t, 300, collectNothing)
	address := run(t, s)
	text := strings.TrimSuffix(question, "\r\n") + "X: " + strings.Repeat("x", freeHeld-200)
	var usual, large []net.Conn
	for range 200 {
		usual = append(usual, connect(t, address, text))
	}
	for range 50 {
		large = append(large, connect(t, address, text+strings.Repeat("x", 3*freeHeld)))
	}
	open := 0
	for _, conn := range usual {
		if _, err := io.WriteString(conn, "\r\n\r\n"); err == nil && answered(conn) {
			open++
		}
	}
	if open != len(usual) {
		t.Errorf("%d of %d usual ones were answered", open, len(usual))
	}
	for _, conn := range large[:10] {
		if !isClosed(conn) {
			t.Error("a large one is open")
		}
	}
}

// What many send at once is logged once a minute.
func TestThatHeadersAreTooLargeIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	m := newConnections(slog.New(slog.NewTextHandler(&log, nil)), 10)
	for range 5 {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		m.hold(m.add(ours, time.Now()), 2*maxHeld)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || m.held != 0 || m.idle.Len() != 0 {
		t.Errorf("%d warnings, %d bytes are held in %d connections:\n%s", n, m.held, m.idle.Len(), &log)
	}
}

func TestFewerConnections(t *testing.T) {
	s := limited(t, 10, collectNothing)
	address := run(t, s)
	var conns []net.Conn
	for range 5 {
		conns = append(conns, connect(t, address, ""))
		counts(t, s, len(conns), 0)
	}
	s.SetMaxConnections(2)
	for _, conn := range conns[:3] {
		if !isClosed(conn) {
			t.Error("one of the oldest is still open")
		}
	}
	counts(t, s, 2, 0)
	if !answered(connect(t, address, question)) {
		t.Error("nobody is answered")
	}
}

// One that has begun a request, and doesn't go on, holds up the end no longer than
// one that is on its way may.
func TestSlowHeadersDoNotHoldUpTheEnd(t *testing.T) {
	s := limited(t, 10, collectNothing)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	slow := connect(t, listener.Addr().String(), "GET / HT")
	counts(t, s, 1, 0)
	begin := time.Now()
	stop()
	if err := <-ended; err != nil || !isClosed(slow) {
		t.Error(err)
	}
	if took := time.Since(begin); took > lateRequests+2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Many clients of every kind come and go; in the end none is left.
func TestManyClients(t *testing.T) {
	const most = 8
	s := limited(t, most, collectNothing)
	address := run(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var clients sync.WaitGroup
	var mu sync.Mutex
	got := make(map[bool]int)
	for range 40 {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				switch rand.IntN(4) {
				case 0:
				case 1:
					fmt.Fprintf(conn, "GET /")
				default:
					for range rand.IntN(3) + 1 {
						fmt.Fprintln(conn, strings.TrimSuffix(question, "\n"))
						ok := answered(conn)
						mu.Lock()
						got[ok]++
						mu.Unlock()
						if !ok {
							break
						}
					}
				}
				conn.Close()
			}
		})
	}
	for ctx.Err() == nil {
		s.connections.mu.Lock()
		open := s.connections.idle.Len() + s.connections.busy.Len()
		s.connections.mu.Unlock()
		if open > most {
			t.Errorf("%d are open", open)
		}
		time.Sleep(time.Millisecond)
	}
	clients.Wait()
	t.Logf("answered %d, not answered %d", got[true], got[false])
	if got[true] == 0 {
		t.Error("nobody was answered")
	}
	counts(t, s, 0, 0)
}
