//go:build unix

package screen

import (
	"bytes"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchedSignals are those that concern the terminal. What ends the process ends it
// with the terminal given back.
func watchedSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGCONT, syscall.SIGWINCH}
	if !signal.Ignored(syscall.SIGTSTP) {
		signals = append(signals, syscall.SIGTSTP)
	}
	return signals
}

// isEnd tells whether a signal ends the process.
func isEnd(s os.Signal) bool {
	return s == syscall.SIGTERM || s == os.Interrupt || s == syscall.SIGHUP || s == syscall.SIGQUIT
}

// takeSignal does what a signal says.
func (l *loop) takeSignal(s os.Signal) error {
	switch {
	case isEnd(s):
		return errEnd
	case s == syscall.SIGTSTP:
		return l.suspend(false)
	case s == syscall.SIGWINCH:
		l.terminal.resize()
		return nil
	default: // it goes on, after something that can't be caught has stopped it
		if err := l.awaitForeground(); err != nil {
			return err
		}
		l.terminal.release()
		return l.terminal.take()
	}
}

// enter takes the terminal over as soon as it is for this process. In the background
// it would find the settings that the shell has for its own line, and leave them to
// whatever comes next.
func (l *loop) enter() error {
	if err := l.awaitForeground(); err != nil {
		return err
	}
	return l.terminal.take()
}

// awaitForeground stops the process until it is in the foreground, as the kernel stops
// one that writes to a terminal's settings from the background.
func (l *loop) awaitForeground() error {
	for !l.terminal.isForeground() && !signal.Ignored(syscall.SIGTTOU) && !isOrphaned() {
		_ = syscall.Kill(0, syscall.SIGTTOU)
		if err := l.awaitContinue(); err != nil {
			return err
		}
	}
	return nil
}

// suspend gives the terminal back, stops the process, and takes the terminal over
// again when it goes on. What a key stops is the whole process group, as the
// terminal would do it.
func (l *loop) suspend(group bool) error {
	if signal.Ignored(syscall.SIGTSTP) || isOrphaned() {
		return nil
	}
	l.terminal.release()
	who := os.Getpid()
	if group {
		who = 0
	}
	// Not SIGTSTP: what Go was once asked to notify, it never leaves to the kernel
	// again.
	if err := syscall.Kill(who, syscall.SIGSTOP); err == nil {
		if err := l.awaitContinue(); err != nil {
			return err
		}
	}
	return l.enter()
}

// isOrphaned tells whether there is no shell that could let the process group go on:
// as POSIX has it, "the parent of every member of the group is either itself a
// member of the group or is not a member of the group's session". Nothing stops such
// a group by a key.
func isOrphaned() bool {
	session, err := unix.Getsid(0)
	if err != nil {
		return true
	}
	for pid := os.Getppid(); pid > 0; pid = parentOf(pid) {
		if sid, err := unix.Getsid(pid); err != nil || sid != session {
			return true
		}
		if group, err := unix.Getpgid(pid); err != nil || group != unix.Getpgrp() {
			return err != nil
		}
	}
	return true
}

// parentOf returns the parent of a process, 0 where nobody says.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// Field 2 is the command in brackets, and may hold anything; field 4 the parent.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// awaitContinue returns when the process goes on, or is to end.
func (l *loop) awaitContinue() error {
	timeout := time.After(time.Second) // nobody stopped it, or time went on meanwhile
	for {
		select {
		case s := <-l.signals:
			if s == syscall.SIGCONT {
				return nil
			}
			if isEnd(s) {
				return errEnd
			}
		case <-timeout:
			if len(l.signals) == 0 {
				return nil
			}
			timeout = time.After(0)
		}
	}
}
