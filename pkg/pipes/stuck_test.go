//go:build linux

package pipes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A fault is memory that nobody can read from: who does waits in the kernel for the
// page until it is released. A user without rights gets such memory from a file system
// of their own.
type fault struct {
	uffd   int
	memory []byte
}

// The part of linux/userfaultfd.h that it takes.
const (
	uffdAPI         = 0xAA
	uffdioAPI       = 0xC018AA3F
	uffdioRegister  = 0xC020AA00
	registerMissing = 1
	uffdioZeropage  = 0xC020AA04
)

func newFault(t *testing.T) *fault {
	t.Helper()
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if errno != 0 {
		t.Skipf("SKIPPED: memory that makes a write wait can't be had here: userfaultfd: %v", errno)
	}
	f := &fault{uffd: int(fd)}
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	noErr(t, err)
	f.memory = memory
	api := [3]uint64{uffdAPI}
	f.ioctl(t, uffdioAPI, unsafe.Pointer(&api))
	register := [4]uint64{uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))), uint64(page), registerMissing}
	f.ioctl(t, uffdioRegister, unsafe.Pointer(&register))
	return f
}

func (f *fault) ioctl(t *testing.T, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.uffd), request, uintptr(arg)); errno != 0 {
		t.Fatal(errno)
	}
}

// release lets all go on that wait.
func (f *fault) release(t *testing.T) {
	t.Helper()
	page := [4]uint64{uint64(uintptr(unsafe.Pointer(unsafe.SliceData(f.memory)))), uint64(len(f.memory))}
	f.ioctl(t, uffdioZeropage, unsafe.Pointer(&page))
	closeFD(f.uffd)
}

// A writer that waits inside of write holds its pipe, so that the kernel keeps whoever
// opens, reads or closes that, with the thread. However many such pipes a user has, and
// however often they are made anew, they keep a few threads, and hold up nobody else.
func TestWritersStuckInTheKernelKeepFewThreads(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	dir := worldDir(t)
	const stuck = 300
	f := newFault(t)
	var writers sync.WaitGroup
	write := func(path string) {
		// The pipe has its own writing end, so that its writer needs no reader.
		w, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		noErr(t, err)
		writers.Go(func() {
			_, _, _ = syscall.Syscall(syscall.SYS_WRITE, uintptr(w), uintptr(unsafe.Pointer(unsafe.SliceData(f.memory))), 100)
			closeFD(w)
		})
	}
	stick := func(i, round int) {
		tmp := mkfifo(t, filepath.Join(dir, fmt.Sprintf("tmp-%d-%d", i, round)))
		give(t, tmp, stranger)
		write(tmp)
		noErr(t, os.Rename(tmp, filepath.Join(dir, statsName(fmt.Sprintf("stuck-%d", i)))))
	}
	startTally(t, 3, dir, "web", "nobody")
	c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	checkCount(t, first, 3)
	for round := range 3 {
		for i := range stuck {
			stick(i, round)
		}
		// A few that got a signal of Go's own go round and round in the kernel.
		eventually(t, "the writers are stuck", func() bool { return threadsIn(t, unix.SYS_WRITE) >= (round+1)*stuck*9/10 })
		began := time.Now()
		collection := collect(t, c)
		checkCount(t, collection, 3)
		checkState(t, collection, "stuck-7", Unresponsive)
		if took := time.Since(began); took > patience/2 {
			t.Errorf("it took %v", took)
		}
	}
	switch n := threadsIn(t, unix.SYS_OPENAT, unix.SYS_READ, unix.SYS_CLOSE); {
	case n > 100:
		t.Errorf("%d threads are kept", n)
	case n < 10:
		t.Errorf("only %d threads are kept, so the writers hold nothing", n)
	}
	f.release(t)
	within(t, "the writers go on", writers.Wait, func() {})
}

// threadsIn counts the threads of this process that are in one of the system calls.
func threadsIn(t *testing.T, calls ...int) (n int) {
	t.Helper()
	for _, task := range must(os.ReadDir("/proc/self/task")) {
		text, _ := os.ReadFile(filepath.Join("/proc/self/task", task.Name(), "syscall"))
		number, err := strconv.Atoi(strings.Split(string(text), " ")[0])
		if err == nil && slices.Contains(calls, number) {
			n++
		}
	}
	return n
}
