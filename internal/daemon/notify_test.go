//go:build linux

package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// manager is a service manager's end of NOTIFY_SOCKET.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	noErr(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		noErr(t, conn.SetReadDeadline(time.Now().Add(patience)))
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		noErr(t, err)
		return string(buf[:n])
	}
}

func TestWhatTheManagerIsTold(t *testing.T) {
	next := manager(t)
	is := func(err error, want string) {
		t.Helper()
		noErr(t, err)
		if got := next(); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	is(Ready("serving"), "READY=1\nSTATUS=serving")
	is(Reloading(), "RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*")
	is(Stopping(), "STOPPING=1\nSTATUS=stopping")
}

func TestManagerThatIsNotThere(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	noErr(t, Ready("serving"))
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := Ready("serving"); err == nil || !strings.Contains(err.Error(), "can't be told") {
		t.Errorf("got %v", err)
	}
}

func TestWatchdogIsFedByTheHealthyAlone(t *testing.T) {
	defer goleak.VerifyNone(t)
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	var ill atomic.Pointer[error]
	health := func() error {
		if err := ill.Load(); err != nil {
			return *err
		}
		return nil
	}
	sick := make(chan error, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watchdog(ctx, health, func(err error) { sick <- err })
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	hangs := errors.New("it hangs")
	ill.Store(&hangs)
	if err := <-sick; !errors.Is(err, hangs) {
		t.Errorf("got %v", err)
	}
	ill.Store(nil) // and it lives again
	for got := ""; got != "WATCHDOG=1"; {
		got = next()
	}
	cancel()
	<-done
	if len(sick) > 0 {
		t.Errorf("it is said again: %v", <-sick)
	}
}

func TestWatchdogThatNobodyWantsReturns(t *testing.T) {
	for _, env := range [][2]string{{"", ""}, {"nonsense", ""}, {"1000", "1"}} {
		t.Setenv("WATCHDOG_USEC", env[0])
		t.Setenv("WATCHDOG_PID", env[1])
		Watchdog(context.Background(), func() error { t.Error("health is asked for"); return nil }, nil)
	}
}

func TestNoSocketsArePassed(t *testing.T) {
	for _, env := range [][2]string{{"", ""}, {"1", "1"}} { // or to another process
		t.Setenv("LISTEN_PID", env[0])
		t.Setenv("LISTEN_FDS", env[1])
		if listeners, err := Sockets(); err != nil || len(listeners) > 0 {
			t.Errorf("%q: got %v, %v", env, listeners, err)
		}
	}
	if os.Getenv("LISTEN_FDS") != "" {
		t.Error("it would be said to those whom this process starts")
	}
}
