//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is a listener at a path of the file system.
type socket struct {
	*net.UnixListener
	path  string
	made  fs.FileInfo // what it made at the path
	close sync.Once
}

// openSocket makes a socket. One that a server left which is gone is replaced.
func openSocket(path string, mode fs.FileMode) (net.Listener, error) {
	if err := checkSocket(path); err != nil {
		return nil, err
	}
	defer lockDirectory(path)()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := bind(path, mode)
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // it would remove whatever is there by then
	made, err := os.Lstat(path)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return &socket{UnixListener: listener, path: path, made: made}, nil
}

// Close removes the socket, if it is still the one that was made.
func (s *socket) Close() error {
	err := net.ErrClosed
	s.close.Do(func() {
		defer lockDirectory(s.path)()
		// As long as it is open its inode is no other's.
		if there, err := os.Lstat(s.path); err == nil && os.SameFile(there, s.made) {
			_ = os.Remove(s.path)
		}
		err = s.UnixListener.Close()
	})
	return err
}

// checkSocket says why no socket can be made at the path, whoever does it and when.
func checkSocket(path string) error {
	switch {
	case path == "":
		return errNoPath
	case strings.HasPrefix(path, "@"):
		return errAbstract // net would make one
	case len(path) >= len(unix.RawSockaddrUnix{}.Path):
		return errTooLong
	}
	if there, err := os.Lstat(path); err == nil && there.Mode().Type() != fs.ModeSocket {
		return errNotSocket
	}
	return nil
}

// removeStale removes a socket that nobody listens at.
func removeStale(path string) error {
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.Mode().Type() != fs.ModeSocket {
		return errNotSocket
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = conn.Close()
		return errInUse
	case errors.Is(err, syscall.EAGAIN): // so many wait that no more may
		return errInUse
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("whether a server answers there can't be told: %w", bare(err))
}

// umask is held while that of the process is changed.
var umask sync.Mutex

// bind makes the socket by means of the umask: so it has its mode from the
// beginning, where a chmod would come after somebody has connected.
func bind(path string, mode fs.FileMode) (*net.UnixListener, error) {
	umask.Lock()
	defer umask.Unlock()
	before := unix.Umask(int(fs.ModePerm &^ mode.Perm()))
	defer unix.Umask(before)
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// lockPatience is how long somebody else may hold the lock of a directory, for
// what takes microseconds.
const lockPatience = 2 * time.Second

// lockDirectory makes servers that replace one socket do so one after the other:
// the second would remove what the first has just made. Where there is no lock to be
// had they do without, and removeStale sees all but what happens at that moment:
// one may write where one may not read, and whoever may read can hold the lock.
func lockDirectory(path string) (unlock func()) {
	file, err := os.Open(filepath.Dir(path))
	if err != nil {
		return func() {}
	}
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		retry := errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR)
		if !retry || time.Since(begin) > lockPatience {
			return func() { file.Close() }
		}
	}
}
