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
	file   *os.File
	saved  *term.State // as it was found
	grid   *Grid       // what is drawn
	shown  *Grid       // what was written
	all    bool        // what it shows is unknown
	frames chan []byte // to be written
	wrote  chan error  // sent after each of them
	busy   bool        // one is being written
	buffer []byte
}

// openTerminal takes the terminal over, which must be that of stdout.
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
	if t.saved, err = t.makeRaw(); err != nil {
		file.Close()
		return nil, err
	}
	go t.writeFrames()
	t.write([]byte(enterScreen))
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

func (t *terminal) makeRaw() (before *term.State, err error) {
	err = t.control(func(fd int) (err error) {
		before, err = term.MakeRaw(fd)
		return err
	})
	return before, err
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
	t.buffer = t.buffer[:0]
	if t.all {
		t.all = false
		t.shown.Clear()
		t.buffer = append(t.buffer, clearScreen+hideCursor...)
	}
	t.buffer = t.grid.appendChanges(t.buffer, t.shown)
	t.shown.copyFrom(t.grid)
	if len(t.buffer) > 0 {
		t.write(t.buffer)
	}
}

// patience is how long a terminal may take to take a text. One that nobody reads from
// takes none.
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

// release gives the terminal back as it was found.
func (t *terminal) release() {
	if t.settle() {
		t.write([]byte(leaveScreen))
		t.settle()
	}
	// Without waiting for what is still to be written.
	_ = t.control(func(fd int) error { return term.Restore(fd, t.saved) })
}

// take takes the terminal over again.
func (t *terminal) take() (err error) {
	if t.saved, err = t.makeRaw(); err != nil {
		return err
	}
	if t.settle() {
		t.write([]byte(enterScreen))
	}
	t.resize()
	return nil
}

// close gives the terminal back for good.
func (t *terminal) close() {
	t.release()
	close(t.frames)
	t.file.Close()
}
