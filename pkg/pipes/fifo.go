package pipes

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// A fifo is one FIFO of ours, known by its inode: its name goes to the next one
// before anything is written to it.
type fifo struct {
	path   string
	id     fileID
	handle int // stands for the inode without opening it; -1 where there is no such thing
	waker  int // a reading end of ours that wakes the writer, or -1
}

// createFIFO makes a FIFO with exactly that mode and gives it the name, which
// must be free, or takes over the name of the FIFO that it replaces.
//
// It isn't made before it is needed, although that would save the time: a
// reader that opens every entry of the directory, as the first statvent's did,
// would wait in a spare FIFO for ever.
func (d *directory) createFIFO(name string, perm fs.FileMode, replaces *fifo) (*fifo, error) {
	f, err := d.placeFIFO(name, perm, replaces)
	if err != nil {
		return nil, &fs.PathError{Op: "make pipe", Path: filepath.Join(d.path, name), Err: err}
	}
	return f, nil
}

func (d *directory) placeFIFO(name string, perm fs.FileMode, replaces *fifo) (*fifo, error) {
	// Seen before anything is made that a reader of every entry could find.
	if err := d.checkPlace(name, replaces); err != nil {
		return nil, err
	}
	tmp := tmpName(effectiveUID())
	if err := d.makeFIFO(tmp, uint32(perm.Perm())); err != nil {
		return nil, err
	}
	f, err := d.newFIFO(tmp, name, perm)
	if err != nil {
		_ = unlinkAt(d.fd, tmp)
		return nil, err
	}
	if replaces == nil {
		err = moveAt(d.fd, tmp, name)
	} else {
		err = renameAt(d.fd, tmp, name)
	}
	if err != nil {
		_ = unlinkAt(d.fd, tmp)
		letGo(f)
		return nil, err
	}
	return f, nil
}

// checkPlace says whether a FIFO can get the name: nobody has it, or the one
// that it replaces.
func (d *directory) checkPlace(name string, replaces *fifo) error {
	info, err := statAt(d.fd, name)
	switch {
	case replaces == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case replaces == nil || info.id != replaces.id:
		return fs.ErrExist
	default:
		return nil
	}
}

// newFIFO opens a handle of the FIFO just made and corrects what the umask did
// to its mode.
func (d *directory) newFIFO(tmp, name string, perm fs.FileMode) (*fifo, error) {
	handle, err := d.openHandle(tmp)
	if err != nil {
		return nil, err
	}
	f := &fifo{path: filepath.Join(d.path, name), handle: handle, waker: -1}
	info, err := f.stat(d, tmp)
	if err == nil && (!info.isFIFO() || info.uid != effectiveUID() || info.links > 1) {
		err = errPlanted // the directory's owner can swap it
	}
	if err == nil && info.mode.Perm() != perm.Perm() {
		err = f.chmod(d, tmp, uint32(perm.Perm()))
	}
	if err != nil {
		f.close()
		return nil, err
	}
	f.id = info.id
	return f, nil
}

func (f *fifo) stat(d *directory, name string) (fileInfo, error) {
	if f.handle < 0 {
		return statAt(d.fd, name)
	}
	return statFD(f.handle)
}

// wake makes an openForWriting that waits, or comes later, return. It works
// until close.
func (f *fifo) wake() {
	if f.waker < 0 {
		f.waker, _ = f.openAsReader() // -1 on error: out of descriptors, or no way to reach it
	}
}

func (f *fifo) closeWaker() {
	if f.waker >= 0 {
		closeFD(f.waker)
		f.waker = -1
	}
}

func (f *fifo) close() {
	f.closeWaker()
	if f.handle >= 0 {
		closeFD(f.handle)
		f.handle = -1
	}
}
