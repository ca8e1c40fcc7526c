//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package pipes

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// defaultPipeSize is what a FIFO holds, in bytes.
const defaultPipeSize = 8 << 10

func (d *directory) makeFIFO(name string, perm uint32) error {
	return retryErr(func() error { return unix.Mkfifo(filepath.Join(d.path, name), perm) })
}

// moveAt renames a file to a name that must be free.
func moveAt(dir int, from, to string) error { return moveByLink(dir, from, to) }

// chmodDir sets all mode bits of a directory that isn't a link.
func chmodDir(path string, mode uint32) error {
	return unix.Fchmodat(unix.AT_FDCWD, path, mode, unix.AT_SYMLINK_NOFOLLOW)
}

// moveDir renames a directory to a path where there is none.
func moveDir(from, to string) error { return os.Rename(from, to) }

// isMountedOver can't tell here.
func isMountedOver(int, string) bool { return false }

// probeProcess sends a process no signal.
func probeProcess(pid int) error { return unix.Kill(pid, 0) }

// lockBeside has no lock here that goes with an open file and isn't its flock.
func lockBeside(int) (held int, got bool, err error) { return -1, false, errors.ErrUnsupported }

// openHandle has no O_PATH to use here: the FIFO is known by its path alone,
// and can't be reached when that is gone.
func (d *directory) openHandle(string) (int, error) { return -1, nil }

func (f *fifo) openForWriting() (int, error) {
	return retry(func() (int, error) {
		return unix.Open(f.path, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

func (f *fifo) releaseReaders() {}

func (f *fifo) openAsReader() (int, error) {
	return retry(func() (int, error) {
		return unix.Open(f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

func (f *fifo) chmod(d *directory, tmp string, perm uint32) error {
	return retryErr(func() error { return unix.Fchmodat(d.fd, tmp, perm, unix.AT_SYMLINK_NOFOLLOW) })
}

func enlarge(int, int) {}

// actsForAll tells whether this process may do what it likes with the files of every
// user.
func actsForAll() bool { return effectiveUID() == 0 }
