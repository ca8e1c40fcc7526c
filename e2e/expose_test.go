//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An exposed is a serve that strangers can reach.
type exposed struct {
	*service
	address string // HOST:PORT
	socket  string
}

// startExposed starts a serve at a port and at a socket, where there are thousands
// of stats with long names.
func startExposed(t *testing.T) *exposed {
	t.Helper()
	base := memoryDir(t)
	e := &exposed{socket: filepath.Join(base, "socket")}
	dir := filepath.Join(base, "pipes")
	var lines bytes.Buffer
	for i := range 4000 {
		fmt.Fprintf(&lines, "%s.%d: %d\n", strings.Repeat("long.name.", 30), i, i)
	}
	emit := exec.CommandContext(t.Context(), binary, "emit", "-d", dir, "-")
	emit.Stdin = &lines
	if out, err := emit.CombinedOutput(); err != nil {
		t.Fatalf("emit: %v\n%s", err, out)
	}
	e.service = startServe(t, dir, "--listen", "unix:"+e.socket)
	e.address = strings.TrimPrefix(e.url, "http://")
	return e
}

// open connects to the port.
func (e *exposed) open(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// says sends a request, which may be endless, and checks the statuses of the
// answers.
func (e *exposed) says(t *testing.T, what string, request io.Reader, want ...int) {
	t.Helper()
	conn := e.open(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, request) // until the server has enough of it
	}()
	answers := bufio.NewReader(conn)
	for _, status := range want {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("%s: %v, want %d", what, err, status)
			break
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || err != nil {
			t.Errorf("%s: got %s, %v, want %d", what, resp.Status, err, status)
		}
	}
	conn.Close()
	<-sent
}

// ask asks over a connection of its own, and returns how long that took.
func (e *exposed) ask(path string) (took time.Duration, err error) {
	transport := &http.Transport{DisableKeepAlives: true}
	begin := time.Now()
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(e.url + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}
	return time.Since(begin), nil
}

// answersOthers asks for /stats twenty times, which is answered within that time but
// for twice: a busy machine may hold up anybody.
func (e *exposed) answersOthers(t *testing.T, within time.Duration, meanwhile string) {
	t.Helper()
	const asked, held = 20, 18
	var all []time.Duration
	for range asked {
		took, err := e.ask("/stats")
		if err != nil {
			t.Errorf("%s: %v", meanwhile, err)
		}
		all = append(all, took)
	}
	slices.Sort(all)
	t.Logf("%s: %d answers, the longest took %v", meanwhile, asked, all[asked-1])
	if all[held-1] > within {
		t.Errorf("%s: %d of %d answers took %v or longer", meanwhile, asked-held+1, asked, all[held-1])
	}
}

// rss returns the resident memory of a process in bytes.
func rss(t *testing.T, pid int) int {
	t.Helper()
	return memory(t, pid, "VmRSS:")
}

// peak returns the most memory that a process has had since forgetPeak.
func peak(t *testing.T, pid int) int {
	t.Helper()
	return memory(t, pid, "VmHWM:")
}

func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// memory returns a line of a process' status, in bytes.
func memory(t *testing.T, pid int, line string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(text, line); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("there is no " + line)
	return 0
}

// An endless reader has always more of the same.
type endless []byte

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// What strangers do to a server that they can reach costs it little memory, and
// costs others no time. Not parallel to other tests, as it holds answers to a time.
func TestServeIsSafeToExpose(t *testing.T) {
	e := startExposed(t)
	// What it needs for answers themselves, and when garbage is collected, is not what grows.
	resident := func() (least, most int) {
		least = math.MaxInt
		for range 10 {
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					if _, err := e.ask("/stats"); err != nil {
						t.Error(err)
					}
				})
			}
			clients.Wait()
			now := rss(t, e.Process.Pid)
			least, most = min(least, now), max(most, now)
		}
		return least, most
	}
	_, before := resident()
	t.Run("SlowLoris", func(t *testing.T) { slowLoris(t, e) })
	during, _ := resident()
	t.Run("LongHeaders", func(t *testing.T) { longHeaders(t, e) })
	least, _ := resident()
	during = max(during, least)
	t.Run("SlowReaders", func(t *testing.T) { slowReaders(t, e) })
	t.Run("Requests", func(t *testing.T) { requests(t, e) })
	t.Run("HeadIsGetWithoutBody", func(t *testing.T) { heads(t, e) })
	after, _ := resident()
	t.Logf("resident memory: %d KiB before, %d KiB after slow connections, %d KiB after all", before>>10, during>>10, after>>10)
	if grown := max(during, after) - before; grown > 20_000_000 {
		t.Errorf("it grew by %d bytes", grown)
	}
	e.end(t)
}

// slowLoris opens a thousand connections that are never done with their header,
// and open another when they are closed.
func slowLoris(t *testing.T, e *exposed) {
	const slow = 1000
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var opened, open atomic.Int32
	for i := range slow {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
				if err != nil {
					continue
				}
				opened.Add(1)
				open.Add(1)
				hang(ctx, conn, i%2 == 0)
				open.Add(-1)
				select { // it comes again
				case <-ctx.Done():
				case <-time.After(2 * time.Second):
				}
			}
		})
	}
	defer func() {
		stop()
		clients.Wait()
	}()
	waitUntil(t, "all slow connections have come", func() bool { return opened.Load() >= slow })
	e.answersOthers(t, time.Second, "with 1,000 slow connections")
	t.Logf("%d slow connections were opened, %d are open", opened.Load(), open.Load())
	waitUntil(t, "there are as many as may be", func() bool { return open.Load() >= 200 })
}

// hang sends a byte of a header now and then, or nothing, until the server has
// closed the connection.
func hang(ctx context.Context, conn net.Conn, sends bool) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if sends {
		if _, err := io.WriteString(conn, "GET /stats HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
			return
		}
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
			}
		}()
	}
	_, _ = conn.Read(make([]byte, 1))
}

// longHeaders begins requests whose headers are as long as they may be, and take
// twenty times as much memory.
func longHeaders(t *testing.T, e *exposed) {
	var conns []net.Conn
	for range 400 {
		conn := e.open(t)
		_, _ = io.WriteString(conn, "GET /stats HTTP/1.1\r\n"+strings.Repeat("X:\r\n", 3000)) // or it is closed by then
		conns = append(conns, conn)
	}
	e.answersOthers(t, 5*time.Second, "with 400 long headers")
	for _, conn := range conns {
		conn.Close()
	}
}

// slowReaders ask for a large answer and don't read it. The buffers of a socket in
// the file system don't grow, so that the answer doesn't fit into them.
func slowReaders(t *testing.T, e *exposed) {
	var readers []net.Conn
	for range 10 { // of more, the slowest would be cut off
		conn, err := net.Dial("unix", e.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, conn)
	}
	first := make([]byte, 1)
	for _, conn := range readers { // the answer has begun
		if _, err := io.ReadFull(conn, first); err != nil {
			t.Fatal(err)
		}
	}
	e.answersOthers(t, time.Second, "with 10 readers that don't read")
	for _, conn := range readers {
		resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(first), conn)), nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n < 1_000_000 {
			t.Errorf("a slow reader got %d bytes, %v", n, err)
		}
	}
}

// requests are those that nobody sends who means well.
func requests(t *testing.T, e *exposed) {
	text := strings.NewReader
	const question = "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n"
	query := func(q string) io.Reader {
		return text("GET /stats?" + q + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	for range 3 {
		e.says(t, "a header of 10 MB", io.MultiReader(text("GET /stats HTTP/1.1\r\nHost: localhost\r\nX-Long: "), io.LimitReader(endless("x"), 10<<20), text("\r\n\r\n")), 431)
		e.says(t, "a line of 10 MB", io.MultiReader(text("GET /"), io.LimitReader(endless("x"), 10<<20)), 431)
		e.says(t, "endless headers", io.MultiReader(text("GET /stats HTTP/1.1\r\nHost: localhost\r\n"), endless("X-More: x\r\n")), 431)
		for method, status := range map[string]int{"GET": 413, "POST": 405} {
			chunked := text(method + " /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
			e.says(t, "an endless body of "+method, io.MultiReader(chunked, endless("4\r\nbody\r\n")), status)
			long := text(method + " /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000000\r\n\r\n")
			e.says(t, "an endless body of "+method, io.MultiReader(long, endless("body")), status)
		}
	}
	e.says(t, "a body that doesn't come", text("POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"), 405)
	e.says(t, "a body that is waited for", text("POST /stats HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"), 405)
	e.says(t, "a body of another encoding", text("GET /stats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"), 501)

	e.says(t, "HTTP/1.0", text("GET /stats HTTP/1.0\r\n\r\n"), 200)
	e.says(t, "HTTP/1.0 with Host", text("GET /stats HTTP/1.0\r\nHost: localhost\r\n\r\n"), 200)
	e.says(t, "HTTP/1.0 with a strange Host", text("GET /stats HTTP/1.0\r\nHost: evil.example\r\n\r\n"), 421)
	e.says(t, "HTTP/1.1 without Host", text("GET /stats HTTP/1.1\r\n\r\n"), 400)
	e.says(t, "two Hosts", text("GET /stats HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400)
	e.says(t, "a strange Host", text("GET /stats HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421)
	e.says(t, "a strange Host in the line", text("GET http://evil.example/stats HTTP/1.1\r\nHost: localhost\r\n\r\n"), 421)
	e.says(t, "HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 405)
	e.says(t, "HTTP/9.9", text("GET /stats HTTP/9.9\r\nHost: localhost\r\n\r\n"), 505)
	e.says(t, "OPTIONS *", text("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405)
	e.says(t, "CONNECT", text("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405)
	e.says(t, "an upgrade", text("GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 200)

	e.says(t, "a query of 60 kB", query(strings.Repeat("x", 60_000)), 431)
	e.says(t, "5,000 patterns", query(strings.Repeat("match=a&", 5000)), 431)
	e.says(t, "1,500 patterns", query(strings.Repeat("match=a&", 1500)), 400)
	e.says(t, "1,500 parameters", query(strings.Repeat("m=&", 1500)), 200)
	e.says(t, "a long pattern", query("match="+strings.Repeat("*a", 4000)), 200)
	e.says(t, "NUL", query("match=\x00"), 400)
	e.says(t, "an escaped NUL", query("match=%00"), 200)
	e.says(t, "bad escapes", query("match=%zz&match=%"), 400)
	e.says(t, "a bad escape in the path", text("GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400)
	e.says(t, "half a pattern", query("match=["), 400)
	e.says(t, "bytes that are no UTF-8", query("match=%ff%fe*"), 200)

	e.says(t, "garbage", text("\x16\x03\x01\x00\xff\r\n\r\n"), 400)
	e.says(t, "pipelined garbage", text(question+question+"\x00\xff garbage\r\n\r\n"), 200, 200, 400)
	e.says(t, "pipelined requests", text(strings.Repeat(question, 50)), slices.Repeat([]int{200}, 50)...)
	e.answersOthers(t, 5*time.Second, "after absurd requests")
}

// heads checks that HEAD has the headers of GET, and nothing else.
func heads(t *testing.T, e *exposed) {
	for _, path := range []string{"/", "/stats", "/stats?match=nothing", "/stats?match=[", "/sources", "/typed", "/metrics", "/-/healthy", "/-/ready", "/nothing"} {
		var headers [2]http.Header
		var statuses [2]int
		for i, method := range []string{http.MethodGet, http.MethodHead} {
			conn := e.open(t)
			// Over the wire: a client of Go's looks for no body behind HEAD.
			if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
			if (len(body) == 0) != (method == http.MethodHead) {
				t.Errorf("%s %s: %d bytes of body", method, path, len(body))
			}
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(append(head, "\r\n\r\n"...))), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			headers[i], statuses[i] = resp.Header, resp.StatusCode
			for _, name := range []string{"Date", "Etag", "Last-Modified"} {
				resp.Header.Del(name)
			}
			if resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("Server") != "" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %v", method, path, resp.Header)
			}
		}
		if path == "/sources" || path == "/metrics" { // they have times in them
			for _, header := range headers {
				header.Set("Content-Length", "0")
			}
		}
		if statuses[0] != statuses[1] || !maps.EqualFunc(headers[0], headers[1], slices.Equal) {
			t.Errorf("%s: GET has %d %v, HEAD has %d %v", path, statuses[0], headers[0], statuses[1], headers[1])
		}
	}
}
