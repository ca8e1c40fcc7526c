//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	asRoot["stick"] = getFault
	attacks["stick"] = stick
}

// An attacker's writers are stopped, in the middle of what they write. What they hold up
// is their own.
func TestHostileStoppedWriters(t *testing.T) {
	s := newSiege(t)
	a := s.attack("write")
	for range 2 {
		s.ask()
		signalAndWait(t, a.process, syscall.SIGSTOP)
		for range 3 {
			s.ask()
		}
		_ = a.Process.Signal(syscall.SIGCONT)
	}
	s.ends()
}

// An attacker's writers are stuck in the kernel and hold their pipes, so that it keeps
// whoever opens one. That takes a few threads of serve, and nothing of the others.
func TestHostileStuckWriters(t *testing.T) {
	s := newSiege(t)
	a := s.attack("stick")
	before := threadsOf(t, s.serve.Process.Pid)
	s.under(a, 6, 0)
	switch kept := threadsOf(t, s.serve.Process.Pid) - before; {
	case kept > 80:
		t.Errorf("it has %d threads more", kept)
	case kept < 10:
		t.Errorf("it has %d threads more, so the writers hold nothing", kept)
	default:
		t.Logf("%d threads more", kept)
	}
	s.isUnharmed()
	a.kill()
	s.ask()
	s.ends()
}

// kill ends the attacker in the middle of it.
func (a *attacker) kill() {
	_ = a.Process.Kill()
	<-a.exited
}

// getFault gets memory that nobody can read from: who does waits in the kernel for a
// page that never comes. A user gets such memory from a file system of their own; root
// is given it at once.
func getFault(a *assault) error {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return errno
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	// The part of linux/userfaultfd.h that it takes.
	const uffdAPI, missing = 0xAA, 1
	const ioctlAPI, ioctlRegister = 0xC018AA3F, 0xC020AA00
	api := [3]uint64{uffdAPI}
	register := [4]uint64{uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))), uint64(page), missing}
	_, _, errno1 := unix.Syscall(unix.SYS_IOCTL, fd, ioctlAPI, uintptr(unsafe.Pointer(&api)))
	_, _, errno2 := unix.Syscall(unix.SYS_IOCTL, fd, ioctlRegister, uintptr(unsafe.Pointer(&register)))
	if err := errors.Join(errnoErr(errno1), errnoErr(errno2)); err != nil {
		return err
	}
	a.fault = memory
	return nil
}

func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// stick has writers stuck at many pipes, and makes those anew with others.
func stick(a *assault) error {
	const pipes, most = 100, 1500
	for n := range most {
		name := fmt.Sprintf("stuck-%d.stats", n%pipes)
		tmp := strings.TrimSuffix(name, ".stats") + ".tmp"
		if err := a.fifo(tmp); err != nil {
			return err
		}
		fd, err := unix.Open(a.path(tmp), unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		go func() {
			_, _, _ = syscall.Syscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(a.fault))), 100)
		}()
		if err := os.Rename(a.path(tmp), a.path(name)); err != nil {
			return err
		}
		runtime.Gosched()
		if n == 2*pipes {
			a.ready()
		}
		if n > 2*pipes {
			nap()
		}
	}
	for a.goesOn() {
		nap()
	}
	return nil
}
