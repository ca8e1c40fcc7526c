//go:build unix

package emit

import (
	"os"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that a timed command gets as well. Those that stop a
// process do their work as they are.
var passedOn = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2,
}

// sentByTerminal tells whether a signal is one that a terminal sends to all
// processes that run in its foreground, as on Ctrl-C, so that the command, which
// may take a second one for impatience, has it already.
func sentByTerminal(s os.Signal) bool {
	if s != unix.SIGINT && s != unix.SIGQUIT {
		return false
	}
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer terminal.Close()
	foreground, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}

// EndAtPause makes reading a pipe end, with an error, where nothing more is there
// at once. A reader that waits already goes on waiting.
func EndAtPause(pipe *os.File) {
	if info, err := pipe.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		_ = unix.SetNonblock(int(pipe.Fd()), true)
	}
}

// HasMore tells whether a pipe has something to read, or has come to its end.
func HasMore(pipe *os.File) (has bool) {
	conn, err := pipe.SyscallConn() // Fd may have it wait again
	if err != nil {
		return false
	}
	_ = conn.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		has = n > 0 && err == nil
	})
	return has
}
