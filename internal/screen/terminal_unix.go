//go:build unix

package screen

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A terminal is the one of the process, in full screen.
type terminal struct {
	file    *os.File
	saved   *term.State // as it was found; nil if it isn't taken over
	grid    *Grid       // what is drawn
	shown   *Grid       // what was written
	entered bool        // the screen is ours
	all     bool        // what it shows is unknown
	frames  chan []byte // to be written
	wrote   chan error  // sent after each of them
	busy    bool        // one is being written
	buffer  []byte
}

// openTerminal opens the terminal, which must be that of stdout.
func openTerminal() (*terminal, error) {
	switch os.Getenv("TERM") {
	case "":
		return nil, errors.New("TERM is not set")
	case "dumb":
		return nil, errors.New("TERM is dumb")
	}
	if _, err := unix.IoctlGetInt(int(os.Stdout.Fd()), unix.TIOCGPGRP); err != nil {
		return nil, os.NewSyscallError("tcgetpgrp", err)
	}
	file, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &terminal{file: file, frames: make(chan []byte), wrote: make(chan error, 1)}
	t.resize()
	go t.writeFrames()
	return t, nil
}

// control calls a function with the descriptor, which stays one that doesn't block.
func (t *terminal) control(f func(fd int) error) error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// isForeground tells whether the terminal is for this process now, rather than for a
// shell that has started it in the background.
func (t *terminal) isForeground() bool {
	group := 0
	err := t.control(func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	return err != nil || group == unix.Getpgrp()
}

// resize asks how large the terminal is.
func (t *terminal) resize() {
	const usualWidth, usualHeight, most = 80, 24, 2000
	width, height := 0, 0
	_ = t.control(func(fd int) (err error) {
		width, height, err = term.GetSize(fd)
		return err
	})
	if width <= 0 || height <= 0 {
		width, height = usualWidth, usualHeight
	}
	width, height = min(width, most), min(height, most)
	if t.grid == nil || t.grid.Width != width || t.grid.Height != height {
		t.grid, t.shown = NewGrid(width, height), NewGrid(width, height)
	}
	t.all = true
}

// writeFrames writes what is to be written, one after the other. One who reads
// slowly, or not at all, holds up nobody else.
func (t *terminal) writeFrames() {
	for frame := range t.frames {
		_, err := t.file.Write(frame)
		t.wrote <- err
	}
}

// write begins to write; t.wrote says when that is done. There must not be another one
// that isn't.
func (t *terminal) write(text []byte) {
	t.busy = true
	t.frames <- text
}

// show writes what has changed in the grid. It must not be busy.
func (t *terminal) show() {
	before := ""
	switch {
	case !t.entered:
		before = enterScreen
	case t.all:
		before = hideCursor + clearScreen
	}
	if before != "" {
		t.shown.Clear()
	}
	t.entered, t.all = true, false
	t.buffer = t.grid.appendChanges(t.buffer[:0], t.shown, before)
	t.shown.copyFrom(t.grid)
	if len(t.buffer) > 0 {
		t.write(t.buffer)
	}
}

// patience is how long a terminal may take to take a text, or anything else to end. One
// that nobody reads from takes none.
const patience = 2 * time.Second

// settle waits until nothing is being written, and tells whether that is so.
func (t *terminal) settle() bool {
	if !t.busy {
		return true
	}
	select {
	case err := <-t.wrote:
		t.busy = false
		return err == nil
	case <-time.After(patience):
		return false
	}
}

// release gives the terminal back as it was found. What is typed from then on is for
// whoever has it next.
func (t *terminal) release() {
	_ = t.file.SetReadDeadline(time.Unix(0, 1)) // not everywhere can that be
	if t.settle() && t.entered {
		t.entered = false
		t.write([]byte(leaveScreen))
		t.settle()
	}
	if t.saved != nil {
		// Without waiting for what is still to be written.
		_ = t.control(func(fd int) error { return term.Restore(fd, t.saved) })
	}
}

// take takes the terminal over, or takes it over again: the next frame enters the
// screen. It must be in the foreground, as what is found is what release puts back.
func (t *terminal) take() error {
	t.entered = false
	t.resize()
	return t.control(func(fd int) error {
		saved, err := term.MakeRaw(fd)
		if err == nil {
			t.saved = saved
			_ = t.file.SetReadDeadline(time.Time{})
		}
		return err
	})
}

// close gives the terminal back for good.
func (t *terminal) close() {
	t.release()
	close(t.frames)
	t.file.Close()
}
