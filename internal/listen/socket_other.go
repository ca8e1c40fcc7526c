//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package listen

import (
	"io/fs"
	"net"
)

func openSocket(string, fs.FileMode) (net.Listener, error) { return nil, errNoSockets }

func checkSocket(string) error { return errNoSockets }
