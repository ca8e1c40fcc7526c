//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// lastPort is the one that was looked at last, so that no two tests get the same. It
// begins somewhere, for others that run these tests.
var lastPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(rand.Int64N(1 << 30))
	return &n
}()

// freeAddress returns an address with a port that nobody listens on, and that the
// kernel gives to nobody who asks for any, as a rule: who takes it gives it back and takes
// it again.
func freeAddress(t *testing.T, host string) string {
	t.Helper()
	const first = 10_000
	last := 0
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &last)
	}
	if err != nil {
		t.Fatalf("which ports does the kernel give away? %q, %v", text, err)
	}
	if last <= first {
		last = 1 << 16 // it gives away all of them
	}
	for range last - first {
		port := first + lastPort.Add(1)%int64(last-first)
		address := net.JoinHostPort(host, strconv.FormatInt(port, 10))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
