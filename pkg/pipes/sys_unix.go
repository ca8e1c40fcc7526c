//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package pipes

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// retry repeats a system call that a signal interrupted.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err != unix.EINTR {
			return v, err
		}
	}
}

func retryErr(call func() error) error {
	_, err := retry(func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// maxDescriptors is how many files this process may have open.
func maxDescriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt32 { //nolint:unconvert // signed on FreeBSD
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// openDir opens the directory itself, never one that a link points to.
func openDir(path string) (int, error) {
	return openDirAt(unix.AT_FDCWD, path)
}

func openDirAt(dir int, path string) (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(dir, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// readNames lists a directory. Entries that others rename meanwhile are missed
// when a listing takes several getdents calls, so the buffer is made large
// enough for one call to return all. Where a larger one brings no more, because
// the file system returns a page at a time, several must do.
func readNames(dir int) ([]string, error) {
	const maxSize = 256 << 20
	for size, before := 64<<10, 0; ; size *= 4 {
		if _, err := unix.Seek(dir, 0, 0); err != nil {
			return nil, err
		}
		buf := make([]byte, size)
		n, err := retry(func() (int, error) { return unix.ReadDirent(dir, buf) })
		if err != nil {
			return nil, err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		if n == 0 {
			return names, nil
		}
		rest, err := moreNames(dir, buf[n:])
		switch {
		case err != nil:
			return nil, err
		case len(rest) == 0:
			return names, nil
		case n > before && size < maxSize:
			before = n // there was more than the buffer could hold
			continue
		}
		for len(rest) > 0 {
			names = append(names, rest...)
			if rest, err = moreNames(dir, buf); err != nil {
				return nil, err
			}
		}
		return names, nil
	}
}

// moreNames returns what the next getdents call says, with a buffer of its own
// where this one is too small.
func moreNames(dir int, buf []byte) ([]string, error) {
	if len(buf) < 4<<10 {
		buf = make([]byte, 4<<10)
	}
	n, err := retry(func() (int, error) { return unix.ReadDirent(dir, buf) })
	if err != nil {
		return nil, err
	}
	_, _, names := unix.ParseDirent(buf[:n], -1, nil)
	return names, nil
}

func infoOf(st *unix.Stat_t) fileInfo {
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeDevice
	}
	return fileInfo{
		id:    fileID{uint64(st.Dev), st.Ino}, //nolint:unconvert // Dev is an int32 on macOS
		mode:  mode,
		uid:   int(st.Uid),
		links: uint64(st.Nlink), //nolint:unconvert // smaller on 32-bit Linux and on macOS
		size:  st.Size,
		mtime: time.Unix(st.Mtim.Unix()),
	}
}

func statAt(dir int, name string) (fileInfo, error) {
	var st unix.Stat_t
	err := retryErr(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrPermission) && isMountedOver(dir, name) {
		return fileInfo{}, errMounted
	}
	if err != nil {
		return fileInfo{}, statError(err)
	}
	return infoOf(&st), nil
}

// errMounted is the error of an entry that its owner has mounted a file system of their
// own on, in which root sees nothing: FUSE lets everybody do that.
var errMounted = errors.New("a file system is mounted on it")

func statPath(path string) (fileInfo, error) { return statAt(unix.AT_FDCWD, path) }

func statFD(fd int) (fileInfo, error) {
	var st unix.Stat_t
	if err := retryErr(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return fileInfo{}, statError(err)
	}
	return infoOf(&st), nil
}

// An unseenError is that a file may not be looked at. That isn't for its owner to say,
// as it is to open it, but for the directory's, and for a security module; see also
// errMounted.
type unseenError struct{ error }

func (e unseenError) Unwrap() error { return e.error }

func statError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return unseenError{err}
	}
	return err
}

// moveByLink renames a file to a name that must be free. For a moment it has
// both names.
func moveByLink(dir int, from, to string) error {
	err := retryErr(func() error { return unix.Linkat(dir, from, dir, to, 0) })
	if err != nil {
		return err
	}
	return unlinkAt(dir, from)
}

func renameAt(dir int, from, to string) error {
	return retryErr(func() error { return unix.Renameat(dir, from, dir, to) })
}

func unlinkAt(dir int, name string) error {
	return retryErr(func() error { return unix.Unlinkat(dir, name, 0) })
}

// rmdirAt removes an empty directory.
func rmdirAt(dir int, name string) error {
	return retryErr(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

// createAt makes a regular file for writing that wasn't there before.
func createAt(dir int, name string, perm uint32) (int, error) {
	return aboveStd(retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
	}))
}

func chmodFD(fd int, perm uint32) error {
	return retryErr(func() error { return unix.Fchmod(fd, perm) })
}

func chownFD(fd, uid int) error {
	return retryErr(func() error { return unix.Fchown(fd, uid, -1) })
}

// openReadAt opens for reading without ever waiting: O_NONBLOCK on a FIFO
// opens at once, writer or not.
func openReadAt(dir int, name string) (int, error) {
	return aboveStd(retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}))
}

// setNonblock makes reads and writes of a FIFO return EAGAIN where they would wait.
// It has no other flags that could be set.
func setNonblock(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_NONBLOCK)
	return err
}

// aboveStd returns the descriptor just opened, or its duplicate that isn't 0, 1
// or 2. Where a program has closed its standard streams, what it prints would go
// there, and Go kills a program that writes to a broken pipe as its standard
// output.
func aboveStd(fd int, err error) (int, error) {
	if err != nil || fd > 2 {
		return fd, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	_ = unix.Close(fd)
	return dup, err
}

func readFD(fd int, b []byte) (int, error) {
	return retry(func() (int, error) { return unix.Read(fd, b) })
}

func writeFD(fd int, b []byte) (int, error) {
	return retry(func() (int, error) { return unix.Write(fd, b) })
}

// closeFD closes the descriptor. Nothing can be done about an error, and after
// EINTR the descriptor is gone as well.
func closeFD(fd int) { _ = unix.Close(fd) }

func wouldBlock(err error) bool { return err == unix.EAGAIN }

// outOfDescriptors tells whether the process, or the host, has none left.
func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// cannotTell tells whether the error is that of this process or of the host, and so
// says nothing about the file, nor about what is to be done with it. Whoever owns a
// file can't make others fail like that.
func cannotTell(err error) bool {
	for _, errno := range []unix.Errno{unix.EIO, unix.ENOMEM, unix.ENOBUFS, unix.ENOSPC, unix.ENOLCK} {
		if errors.Is(err, errno) {
			return true
		}
	}
	unseen := unseenError{}
	return outOfDescriptors(err) || errors.As(err, &unseen) || errors.Is(err, os.ErrNoDeadline) // the poller has no room
}

// tryLock takes a flock without waiting and tells whether it got it.
func tryLock(fd int, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := retryErr(func() error { return unix.Flock(fd, how|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

func unlock(fd int) error {
	return retryErr(func() error { return unix.Flock(fd, unix.LOCK_UN) })
}

func pollReader(fd int) (pollState, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := retry(func() (int, error) { return unix.Poll(fds, 0) })
	return pollState{
		readable: fds[0].Revents&unix.POLLIN != 0,
		hungUp:   fds[0].Revents&unix.POLLHUP != 0,
	}, err
}

// processExists tells whether the pid is that of a process that runs here. Only ESRCH says
// no: EPERM is another user's process, seen even where /proc hides it.
func processExists(pid int) bool {
	return !errors.Is(probeProcess(pid), unix.ESRCH)
}

func effectiveUID() int { return os.Geteuid() }

// makeDir makes the directory with mode 1777, whatever the umask, and its
// parents. It has that mode from the first moment on: others may be starting as
// well. A directory that is already there keeps its mode.
func makeDir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), tmpName(effectiveUID()))
	err := retryErr(func() error { return unix.Mkdir(tmp, 0o700) })
	if err == nil {
		if err = chmodDir(tmp, 0o1777); err == nil {
			err = moveDir(tmp, path)
		}
		if err != nil {
			_ = os.Remove(tmp)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // else somebody was faster
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}
