//go:build unix

package screen

import (
	"os"
	"os/signal"
	"syscall"
	"time"
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
		l.terminal.release()
		return l.terminal.take()
	}
}

// suspend gives the terminal back, stops the process, and takes the terminal over
// again when it goes on. What a key stops is the whole process group, as the
// terminal would do it.
func (l *loop) suspend(group bool) error {
	if signal.Ignored(syscall.SIGTSTP) {
		return nil
	}
	l.terminal.release()
	signal.Reset(syscall.SIGTSTP)
	who := os.Getpid()
	if group {
		who = 0
	}
	if err := syscall.Kill(who, syscall.SIGTSTP); err == nil {
		if err := l.awaitContinue(); err != nil {
			return err
		}
	}
	signal.Notify(l.signals, syscall.SIGTSTP)
	return l.terminal.take()
}

// awaitContinue returns when the process goes on, or is to end. In an orphaned
// process group it isn't stopped at all: POSIX has SIGTSTP ignored where nobody could
// let it go on.
func (l *loop) awaitContinue() error {
	timeout := time.After(300 * time.Millisecond)
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
			return nil
		}
	}
}
