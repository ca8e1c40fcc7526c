package webconfig

import (
	"io/fs"
	"os"
	"time"
)

// A stamp says which file was at a path, without reading it.
type stamp struct {
	path string
	info fs.FileInfo
	err  error
}

func newStamp(path string) stamp {
	info, err := os.Stat(path)
	return stamp{path, info, err}
}

// stamps are of all files that a version depends on.
type stamps []stamp

// changed reports whether a file isn't the one that it was.
func (s stamps) changed() bool {
	for _, before := range s {
		now := newStamp(before.path)
		switch {
		case (now.err == nil) != (before.err == nil):
			return true
		case now.err != nil:
		case !os.SameFile(now.info, before.info), now.info.Size() != before.info.Size(), !now.info.ModTime().Equal(before.info.ModTime()):
			return true
		}
	}
	return false
}

// settling is longer than two writes can be apart and have one time of change:
// the kernel's clock for files ticks some hundred times a second, FAT's every
// other.
const settling = 2 * time.Second

// settled reports whether no file was written so shortly before that another
// write may not show.
func (s stamps) settled(at time.Time) bool {
	for _, stamp := range s {
		if stamp.err == nil && at.Sub(stamp.info.ModTime()).Abs() < settling {
			return false
		}
	}
	return true
}
