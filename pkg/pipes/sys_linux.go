package pipes

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// defaultPipeSize is what a FIFO holds unless it is enlarged, in bytes.
const defaultPipeSize = 64 << 10

func (d *directory) makeFIFO(name string, perm uint32) error {
	return retryErr(func() error { return unix.Mkfifoat(d.fd, name, perm) })
}

// moveAt renames a file to a name that must be free.
func moveAt(dir int, from, to string) error {
	err := retryErr(func() error { return unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE) })
	if err == unix.EINVAL || err == unix.ENOSYS { // not every file system can
		return moveByLink(dir, from, to)
	}
	return err
}

// chmodDir sets all mode bits of a directory that isn't a link, even if it is
// one that its owner can't open.
func chmodDir(path string, mode uint32) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	defer closeFD(fd)
	err = retryErr(func() error { return unix.Chmod(procPath(fd), mode) })
	if err == unix.ENOENT { // there is no /proc
		err = retryErr(func() error { return unix.Fchmodat(unix.AT_FDCWD, path, mode, 0) })
	}
	return err
}

// moveDir renames a directory to a path that must be free.
func moveDir(from, to string) error {
	err := retryErr(func() error {
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	})
	if err == unix.EINVAL || err == unix.ENOSYS {
		return os.Rename(from, to) // which replaces no directory either
	}
	return err
}

// lockBeside takes a lock that the file has beside its flock, one of an open file
// description for writing, without waiting. It goes with the descriptor it returns. Its
// error may be that the file isn't this process's to write.
func lockBeside(fd int) (held int, got bool, err error) {
	held, err = aboveStd(retry(func() (int, error) {
		return unix.Open(procPath(fd), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}))
	if err != nil {
		return -1, false, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = retryErr(func() error { return unix.FcntlFlock(uintptr(held), unix.F_OFD_SETLK, &lock) })
	if err == nil {
		return held, true, nil
	}
	closeFD(held)
	if err == unix.EAGAIN || err == unix.EACCES {
		err = nil
	}
	return -1, false, err
}

// openHandle opens a descriptor that stands for the file, whatever happens to
// its name, without opening the FIFO: neither readers nor writers see it.
func (d *directory) openHandle(name string) (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// procPath is the path at which a descriptor's file can be opened again, even
// after it was unlinked.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// open opens the FIFO of the handle. Without a /proc, as in a bare chroot, it
// opens what stands at the FIFO's path, if that is still it.
func (f *fifo) open(flags int) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(procPath(f.handle), flags|unix.O_CLOEXEC, 0) })
	if err != unix.ENOENT {
		return fd, err
	}
	if info, err := statPath(f.path); err != nil || info.id != f.id {
		return -1, unix.ENOENT
	}
	return retry(func() (int, error) { return unix.Open(f.path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) })
}

// openForWriting waits in the kernel until the FIFO has a reader.
func (f *fifo) openForWriting() (int, error) { return f.open(unix.O_WRONLY) }

// openAsReader opens the FIFO's reading end, which wakes the writer that waits
// for one.
func (f *fifo) openAsReader() (int, error) { return f.open(unix.O_RDONLY | unix.O_NONBLOCK) }

// releaseReaders lets go of whoever waits to read the FIFO: their open returns
// and they find its end. Without one it does nothing (ENXIO).
func (f *fifo) releaseReaders() {
	if w, err := f.open(unix.O_WRONLY | unix.O_NONBLOCK); err == nil {
		closeFD(w)
	}
}

func (f *fifo) chmod(d *directory, tmp string, perm uint32) error {
	err := retryErr(func() error { return unix.Chmod(procPath(f.handle), perm) })
	if err == unix.ENOENT {
		err = retryErr(func() error { return unix.Fchmodat(d.fd, tmp, perm, 0) })
	}
	return err
}

// enlarge asks for a pipe that holds size bytes. It may be refused: beyond
// fs.pipe-max-size, or when the user's pipes have too many pages already.
func enlarge(fd, size int) {
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size)
}

// isMountedOver tells whether another file system is mounted on an entry of the
// directory. Who asks for nothing but the device is told also by a FUSE of another user.
func isMountedOver(dir int, name string) bool {
	var entry, parent unix.Statx_t
	err := retryErr(func() error { return unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, 0, &entry) })
	if err == nil {
		err = retryErr(func() error { return unix.Statx(dir, "", unix.AT_EMPTY_PATH, 0, &parent) })
	}
	return err == nil && (entry.Dev_major != parent.Dev_major || entry.Dev_minor != parent.Dev_minor)
}

// probeProcess sends a process no signal. kill would find a thread with that number as
// well, for as long as the other process has it. One that has ended and that its parent
// hasn't waited for yet is none any more: nobody in it publishes.
func probeProcess(pid int) error {
	if err := unix.Tgkill(pid, pid, 0); err == unix.ESRCH {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err // out of descriptors, or Linux before 5.3
	}
	defer closeFD(fd)
	if state, err := pollReader(fd); err == nil && state.readable {
		return unix.ESRCH
	}
	return nil
}

// foldingRights are what it takes to fold for another user who isn't root: giving
// files away, taking the place of others' in a directory with the sticky bit and
// setting modes, and opening the lock, which is that user's alone.
const foldingRights = 1<<unix.CAP_CHOWN | 1<<unix.CAP_FOWNER | 1<<unix.CAP_DAC_READ_SEARCH

// actsForAll tells whether this process may do what it likes with the files of every
// user: it is root's, or has the capabilities.
func actsForAll() bool {
	if effectiveUID() == 0 {
		return true
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // of 32 capabilities each
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&foldingRights == foldingRights
}
