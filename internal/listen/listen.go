// Package listen opens the addresses that a server answers at.
package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/statvent/statvent/internal/output"
)

// unixPrefix is what the address of a socket in the file system begins with.
const unixPrefix = "unix:"

// Open opens all of the addresses, or none: each is HOST:PORT, or unix: and the
// path of a socket, which is made with that mode whatever the umask, and removed
// when its listener is closed. option is what names the addresses, for hints.
func Open(option string, mode fs.FileMode, addresses ...string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		listener, err := open(option, mode, address)
		if err == nil {
			listeners = append(listeners, listener)
			if listener.Addr() == nil { // net doesn't say why not
				err = fmt.Errorf("can't listen on %s: the system doesn't say at which address that is", address)
			}
		}
		if err != nil {
			CloseAll(listeners)
			return nil, err
		}
	}
	return listeners, nil
}

// Check says what is wrong with an address, as far as that can be told without
// opening it.
func Check(address string) error {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		if err := checkSocket(path); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address and a port, such as 127.0.0.1:7828, or %sPATH", address, unixPrefix)
	}
	return nil
}

// CloseAll closes the listeners.
func CloseAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // a server has closed it, or the process ends
	}
}

func open(option string, mode fs.FileMode, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		listener, err := openSocket(path, mode)
		if err != nil {
			return nil, explainSocket(err, option, path)
		}
		return listener, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, explainTCP(err, option, address)
	}
	return listener, nil
}

// URL returns how clients call a listener: a URL with a path, or unix: and the
// path of the socket.
func URL(l net.Listener, scheme, path string) string {
	if address := l.Addr(); address.Network() == "unix" {
		return unixPrefix + address.String()
	}
	return scheme + "://" + l.Addr().String() + path
}

// IsLocal reports whether nobody on another host can reach the listener.
func IsLocal(l net.Listener) bool {
	address, ok := l.Addr().(*net.TCPAddr)
	return !ok || address.IP.IsLoopback()
}

// explainTCP says what can be done about an address that can't be used.
func explainTCP(err error, option, address string) error {
	hint := option + " takes an address and a port, such as 127.0.0.1:7828, or " + unixPrefix + "PATH"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another statvent serve may run; " + option + " takes another port"
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 are root's; " + option + " takes another"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this host has no such address; " + option + " takes one of its own, or 0.0.0.0 for all"
	}
	return output.WithHint(fmt.Errorf("can't listen on %s: %w", address, bare(err)), hint)
}

// bare takes away what net says around an error, which names the address again.
func bare(err error) error {
	if opErr := new(net.OpError); errors.As(err, &opErr) {
		return opErr.Err
	}
	return err
}

// What openSocket finds at the path.
var (
	errInUse     = errors.New("a server answers there")
	errNotSocket = errors.New("something is there that is not a socket")
	errAbstract  = errors.New("a socket without a file has no mode")
	errTooLong   = errors.New("the path is too long")
	errNoPath    = errors.New("no path is named")
	errNoSockets = errors.New("this system has no sockets with a mode")
)

// explainSocket says what can be done about a path where no socket can be made.
func explainSocket(err error, option, path string) error {
	hint := "its directory must be there, and be writable"
	switch {
	case errors.Is(err, errInUse):
		hint = "another statvent serve may run; " + option + " takes another path"
	case errors.Is(err, errNotSocket):
		hint = "nothing else is ever removed; " + option + " takes another path"
	case errors.Is(err, errAbstract), errors.Is(err, errNoPath):
		hint = option + " takes " + unixPrefix + " and the path of a file, such as " + unixPrefix + "/run/statvent/statvent.sock"
	case errors.Is(err, errNoSockets):
		hint = option + " takes an address and a port"
	case errors.Is(err, errTooLong):
		hint = "the path of a socket has about a hundred bytes at the most"
	}
	return output.WithHint(fmt.Errorf("can't listen on %s%s: %w", unixPrefix, path, bare(err)), hint)
}
