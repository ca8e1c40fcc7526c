package pipes

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A liveFile shows that its publisher lives: the kernel drops the flock on it
// when the process ends, in whatever way, or executes another program, and at
// no other time. That holds across pid namespaces and however often pids are
// used again.
type liveFile struct {
	name string
	id   fileID
	fd   int
}

// createLive makes the stem's .live file for this process. Nobody else ever has
// it unlocked: it is made under a temporary name that only we can open, locked,
// and opened to the others and renamed after that.
func (d *directory) createLive(stem, id string, pid int) (*liveFile, error) {
	tmp := tmpName(effectiveUID())
	name := liveName(stem, id)
	fd, err := createAt(d.fd, tmp, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: filepath.Join(d.path, name), Err: err}
	}
	info, err := d.fillLive(fd, tmp, name, pid)
	if err != nil {
		closeFD(fd)
		_ = unlinkAt(d.fd, tmp)
		return nil, &fs.PathError{Op: "create", Path: filepath.Join(d.path, name), Err: err}
	}
	return &liveFile{name, info.id, fd}, nil
}

var errLocked = errors.New("somebody else has locked it") // root, then

func (d *directory) fillLive(fd int, tmp, name string, pid int) (fileInfo, error) {
	if locked, err := tryLock(fd, true); err != nil || !locked {
		return fileInfo{}, cmp.Or(err, errLocked)
	}
	if err := chmodFD(fd, 0o644); err != nil {
		return fileInfo{}, err
	}
	if _, err := writeFD(fd, []byte("pid: "+strconv.Itoa(pid)+"\n")); err != nil {
		return fileInfo{}, err
	}
	info, err := statFD(fd)
	if err != nil {
		return fileInfo{}, err
	}
	return info, renameAt(d.fd, tmp, name)
}

func (l *liveFile) remove(d *directory) error {
	err := d.remove(l.name, l.id)
	closeFD(l.fd)
	return err
}

// openLive opens somebody's .live file, which is a regular file with one link,
// checked before it is opened and after.
func (d *directory) openLive(stem, id string) (int, fileInfo, error) {
	name := liveName(stem, id)
	return d.openChecked(name, func(info fileInfo) error {
		if !info.mode.IsRegular() || info.links > 1 {
			return fmt.Errorf("%s is %s with %d links", name, info.kind(), info.links)
		}
		return nil
	})
}

// speaksFor tells whether a .live file says anything about the pipe beside it:
// anybody may put a file of that name there, so it must be of the pipe's owner
// or of root.
func (i fileInfo) speaksFor(pipe fileInfo) bool { return i.uid == pipe.uid || i.uid == 0 }

// speakingFor returns those of the ids whose .live files speak for the pipe, or may, the
// first maxSpeaking of them.
func (d *directory) speakingFor(pipe fileInfo, stem string, ids []string) []string {
	var speaking []string
	for _, id := range ids {
		if len(speaking) == maxSpeaking {
			break
		}
		info, err := statAt(d.fd, liveName(stem, id))
		if err == nil && info.speaksFor(pipe) || cannotTell(err) {
			speaking = append(speaking, id)
		}
	}
	return speaking
}

// maxSpeaking is how many .live files are asked about one plain pipe, and how many are
// locked at once. There is one where its user means well.
const maxSpeaking = 64

// A liveness is what the .live files of a pipe say about its publisher: that it is
// alive also while somebody removes what a dead one has left.
type liveness int

const (
	unknown liveness = iota // there are none: a plain publisher
	alive
	dead
	hidden // this process can't look just now
)

// mayBeAlive tells whether nothing may be done that takes a dead publisher.
func (l liveness) mayBeAlive() bool { return l == alive || l == hidden }

func (d *directory) liveness(stem string, ids []string, pipe fileInfo) liveness {
	said := unknown
	for _, id := range ids {
		fd, info, err := d.openLive(stem, id)
		got := false
		if err == nil {
			got, err = tryLock(fd, false)
			closeFD(fd)
		}
		switch {
		case cannotTell(err):
			said = hidden
		case err != nil || !info.speaksFor(pipe):
		case !got:
			return alive
		case said != hidden:
			said = dead
		}
	}
	return said
}

// recorderOf returns which of the ids is that of the recorder whose plain pipe that
// is, if it is one's that may live.
func (d *directory) recorderOf(stem string, ids []string, pipe fileInfo) (id string) {
	for _, id := range ids {
		live, err := statAt(d.fd, liveName(stem, id))
		if cannotTell(err) || err == nil && live.uid == pipe.uid && d.liveness(stem, []string{id}, pipe).mayBeAlive() {
			return id
		}
	}
	return ""
}

// isRecorders tells whether the plain pipe may be that of a recorder that lives: as
// long as a recorder has one, its .live file is there. It may be called while somebody
// else lists the directory.
func (d *directory) isRecorders(stem string, pipe fileInfo) (bool, error) {
	l, err := d.listAnew()
	if err != nil {
		return false, err
	}
	return d.recorderOf(stem, l.live[stem], pipe) != "", nil
}

// livePID returns the pid that the stem's publisher wrote into its .live file,
// and when it began: of the one that lives, if any does. It returns 0 if none
// of the files speaks for the pipe.
func (d *directory) livePID(stem string, ids []string, pipe fileInfo) (pid int, since time.Time) {
	for _, id := range ids {
		fd, info, err := d.openLive(stem, id)
		if err != nil {
			continue
		}
		free, err := tryLock(fd, false)
		buf := make([]byte, 64)
		n, readErr := readFD(fd, buf)
		closeFD(fd)
		if err != nil || readErr != nil || !info.speaksFor(pipe) {
			continue
		}
		text, _ := strings.CutPrefix(string(buf[:n]), "pid: ")
		said, err := strconv.Atoi(strings.TrimSuffix(text, "\n"))
		if err != nil {
			continue
		}
		pid, since = said, info.mtime
		if !free {
			break // it lives
		}
	}
	return pid, since
}

// lockDead locks a dead publisher's .live file for who cleans up after it, until
// unlock is called and fd closed; unlock is nil if the publisher lives, or somebody
// else is at it. The flock that goes with fd is a shared one, since to others the
// publisher must not look alive meanwhile; what keeps out others who clean up is a
// lock of another kind, where there is one.
func lockDead(fd int) (unlock func(), err error) {
	if got, err := tryLock(fd, false); err != nil || !got {
		return nil, err
	}
	held, got, err := lockBeside(fd)
	switch {
	case err == nil && got:
		return func() { closeFD(held) }, nil
	case err == nil, cannotTell(err):
		return nil, err
	}
	// Not ours to write, or there is no such lock here.
	if got, err := tryLock(fd, true); err != nil || !got {
		return nil, err
	}
	return func() {}, nil
}

// removeDead removes what the dead publishers of a stem left behind: the pipe,
// then their .live files, except those of the ids in typed, whose counters
// nobody has taken over yet. It does nothing and says false if one of them
// lives, if none of the files speaks for the pipe, or if another remover or a
// newcomer is at it: see lockDead.
func (d *directory) removeDead(stem string, ids, typed []string) (removed bool, err error) {
	pipe, err := statAt(d.fd, statsName(stem))
	hasPipe := err == nil
	if hasPipe && !pipe.isFIFO() {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, &fs.PathError{Op: "remove", Path: filepath.Join(d.path, statsName(stem)), Err: err}
	}
	found := false
	dead := make(map[string]fileID)
	if hasPipe {
		ids = d.speakingFor(pipe, stem, ids)
	}
	for _, id := range ids[:min(len(ids), maxSpeaking)] {
		fd, info, err := d.openLive(stem, id)
		if cannotTell(err) {
			return false, &fs.PathError{Op: "lock", Path: filepath.Join(d.path, liveName(stem, id)), Err: err}
		}
		if err != nil {
			continue // gone, or not what a publisher makes
		}
		defer closeFD(fd) // which unlocks it
		if hasPipe && !info.speaksFor(pipe) {
			continue
		}
		unlock, err := lockDead(fd)
		if err != nil || unlock == nil {
			return false, err
		}
		defer unlock()
		found = true
		if !has(typed, id) {
			dead[liveName(stem, id)] = info.id
		}
	}
	if !found {
		return false, nil
	}
	if hasPipe {
		if err := d.remove(statsName(stem), pipe.id); err != nil {
			return false, err
		}
	}
	for name, id := range dead {
		if err := d.remove(name, id); err != nil {
			return false, err
		}
	}
	return true, nil
}
