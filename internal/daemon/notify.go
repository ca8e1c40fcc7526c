// Package daemon is what a service is to the one who manages it: it takes sockets
// that are passed in, says how it fares, and loads its configuration again when
// that is asked for or its file changes. Where nobody manages it, none of that
// costs anything.
package daemon

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
)

// Ready tells the service manager that the service does its work, or does it again
// after a reload, and what it does, in a line. Without a $NOTIFY_SOCKET it does
// nothing, as the others.
func Ready(status string) error {
	return notify(sd.SdNotifyReady, "STATUS="+status)
}

// Reloading tells the service manager that a configuration is being loaded, until
// Ready.
func Reloading() error {
	// systemd wants to know when this began, in microseconds of the monotonic clock.
	return notify(sd.SdNotifyReloading, strings.TrimSpace(sd.SdNotifyMonotonicUsec()))
}

// Stopping tells the service manager that the service is about to end.
func Stopping() error {
	return notify(sd.SdNotifyStopping, "STATUS=stopping")
}

func notify(lines ...string) error {
	if _, err := sd.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("the service manager can't be told: %w", err)
	}
	return nil
}

// Watchdog tells the service manager that the service is well, twice in the time
// that it has for that ($WATCHDOG_USEC), for as long as it is, until ctx is done.
// It returns at once if nobody wants to know. When the service isn't well any more,
// sick is called with the reason, once; the manager restarts it unless it recovers.
func Watchdog(ctx context.Context, health func() error, sick func(error)) {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil || limit <= 0 {
		return
	}
	ticker := time.NewTicker(max(limit/2, time.Millisecond))
	defer ticker.Stop()
	said := false
	for {
		if err := health(); err == nil {
			said = false
			_ = notify(sd.SdNotifyWatchdog) // the next one may get there
		} else if !said {
			said = true
			sick(err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sockets returns the listening sockets that the service manager has passed to this
// process, in its order: none if it has passed none. It says so once.
func Sockets() ([]net.Listener, error) {
	var listeners []net.Listener
	for _, file := range activation.Files(true) {
		listener, err := net.FileListener(file)
		name := file.Name()
		_ = file.Close() // the listener has a descriptor of its own
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, fmt.Errorf("the socket %s that was passed in is not one to listen on: %w", name, err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}
