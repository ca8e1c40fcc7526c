package pipes

import (
	"errors"
	"io/fs"
	"time"
)

// ErrUnsupported is returned on systems that have no named pipes in their file
// system.
var ErrUnsupported = errors.New("this system has no named pipes (FIFOs)")

// A fileID tells one file from every other on the host.
type fileID struct{ dev, ino uint64 }

// fileInfo is what statvent wants to know of a file, which is always asked
// without following links.
type fileInfo struct {
	id    fileID
	mode  fs.FileMode
	uid   int
	links uint64
	size  int64
	mtime time.Time
}

func (i fileInfo) isFIFO() bool { return i.mode.Type() == fs.ModeNamedPipe }

// kind names the file's type for people.
func (i fileInfo) kind() string {
	switch i.mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeNamedPipe:
		return "a named pipe"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSocket:
		return "a socket"
	default:
		return "a device"
	}
}

// What a poll of a FIFO's reading end says.
type pollState struct {
	readable bool // there is something to read
	hungUp   bool // a writer has come and gone since our open, and none is there now
}
