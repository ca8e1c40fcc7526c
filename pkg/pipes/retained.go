package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// What finished processes leave behind is folded: added to their user's
// retained file, with a note of the id, in one rewrite under a lock; then the
// id's path is unlinked. A note stays for as long as the path is linked. So
// whoever finds the id noted, or the path gone, knows that it is in the retained
// file, and nobody adds it twice, whenever a process is killed.

// putFinal puts what a publisher counted at the name of its typed pipe, in the
// place of the FIFO.
func (d *directory) putFinal(name string, replaces *fifo, text []byte) error {
	if err := d.checkPlace(name, replaces); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "write", Path: filepath.Join(d.path, name), Err: err}
	}
	return d.putFile(name, effectiveUID(), text)
}

// Retain hands what a program has counted to the host, as a Publisher does when
// it is closed: when it returns nil, the snapshot's counters and the counts and
// sums of its distributions are part of every collection. The directory is made
// if it isn't there.
func Retain(dir string, s *format.Snapshot) error {
	pid := os.Getpid()
	return retain(Dir(dir), strconv.Itoa(pid), &format.Document{PID: pid, Snapshot: s.Lasting()})
}

// retain puts a final where there is no typed pipe.
func retain(path, stem string, doc *format.Document) error {
	d, err := makeDirectory(path)
	if err != nil {
		return err
	}
	defer d.close()
	if len(doc.Snapshot.Stats) == 0 {
		return nil
	}
	if err := d.leave(stem, doc); err != nil {
		return err
	}
	// It is stored. What can't be folded now, somebody will fold.
	_, _ = d.fold(effectiveUID(), nil)
	return nil
}

// leave puts a final there, for somebody to fold, unless it is more than anybody
// reads of one source.
func (d *directory) leave(stem string, doc *format.Document) error {
	doc.ID = newID()
	name, text, limits := typedName(stem, doc.ID), format.AppendTyped(nil, doc), Limits{}.withDefaults()
	if len(doc.Snapshot.Stats) > limits.MaxStats || len(text) > limits.MaxBytes {
		return &fs.PathError{Op: "write", Path: filepath.Join(d.path, name), Err: errTooMuch}
	}
	return d.putFinal(name, nil, text)
}

var errTooMuch = errors.New("it would have more stats or bytes than anybody reads")

// readTypedFile reads a regular file with one document, if it belongs to one of
// the owners.
func (d *directory) readTypedFile(name string, limits Limits, owners owners) (*format.Document, fileInfo, error) {
	file, info, err := d.openFile(name, owners)
	if err != nil {
		return nil, info, err
	}
	defer file.Close()
	parser := newParser(typedText, limits, nil)
	if err := copyLimited(parser, file, limits); err != nil {
		return nil, info, err
	}
	doc, err := parser.end()
	return doc, info, err
}

// retainedLimits bound a retained file, which has the names of many processes. A
// file beyond them is left as it is, and what would be added stays beside it.
var retainedLimits = Limits{MaxStats: 1_000_000}.withDefaults()

// readRetained reads the retained file of a user; what isn't there is empty.
func (d *directory) readRetained(uid int) (*format.Document, fileInfo, error) {
	doc, info, err := d.readTypedFile(retainedName(uid), retainedLimits, nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &format.Document{Snapshot: &format.Snapshot{Ended: true}}, info, nil
	case err == nil && info.uid != uid:
		err = fmt.Errorf("it belongs to user %d", info.uid)
	}
	if err != nil {
		return nil, info, &fs.PathError{Op: "read", Path: filepath.Join(d.path, retainedName(uid)), Err: err}
	}
	doc.Snapshot.Ended = true
	return doc, info, nil
}

// mayFold tells whether this process may write that user's files.
func mayFold(uid int) bool { return effectiveUID() == uid || actsForAll() }

// lockRetained tries to get the lock on a user's retained file, which is free
// again after unlock, or when its holder ends.
func (d *directory) lockRetained(uid int) (lock *os.File, got bool, err error) {
	name := retainedLockName(uid)
	for range maxLockTries {
		lock, info, err := d.openFile(name, nil)
		if errors.Is(err, fs.ErrNotExist) {
			if err := d.createLock(name, uid); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, false, err
			}
			continue
		}
		if err == nil && (info.uid != uid || info.mode.Perm()&0o077 != 0) {
			_ = lock.Close()
			err = errPlanted
		}
		if err != nil {
			// Who acts for all removes what isn't the user's own; others can't.
			if actsForAll() && d.remove(name, info.id) == nil {
				continue
			}
			return nil, false, &fs.PathError{Op: "lock", Path: filepath.Join(d.path, name), Err: err}
		}
		got, err := tryLock(int(lock.Fd()), true)
		if err != nil || !got {
			_ = lock.Close()
			return nil, false, err
		}
		if now, err := statAt(d.fd, name); err == nil && now.id == info.id {
			return lock, true, nil
		}
		_ = lock.Close() // that file isn't the lock any more
	}
	return nil, false, nil
}

// maxLockTries bounds how often lockRetained begins anew because somebody makes
// or removes the file at the same moment.
const maxLockTries = 100

// unlockRetained gives the lock back, also where a process that is just being
// started has a copy of its descriptor.
func unlockRetained(lock *os.File) {
	_ = unlock(int(lock.Fd()))
	_ = lock.Close()
}

var errPlanted = errors.New("somebody else has made it")

// createLock makes a lock file that nobody but its user can open: who can, can
// hold it. Its error is fs.ErrExist if there is one.
func (d *directory) createLock(name string, uid int) error {
	return d.makeFile(name, uid, 0o600, nil, moveAt)
}

// fold adds the finals of a user to the retained file, and what was seen last of
// killed recorders of that user, by the names of their typed pipes. It returns how
// many recorders that were.
func (d *directory) fold(uid int, killed map[string]*format.Snapshot) (recorders int, err error) {
	f := folding{dir: d, uid: uid, killed: killed}
	err = f.run()
	return f.folded, err
}

// run does nothing if somebody else has the lock, who will look once more for
// finals when giving it up, as is done here.
func (f *folding) run() error {
	f.unreadable = make(map[string]bool)
	for patience := time.Now().Add(foldingTime); ; {
		lock, got, err := f.dir.lockRetained(f.uid)
		if err != nil || !got {
			return err
		}
		err = f.foldLocked(lock)
		unlockRetained(lock)
		if err != nil {
			return err
		}
		if more, err := f.moreFinals(); err != nil || !more || time.Now().After(patience) {
			return err
		}
	}
}

// foldingTime bounds how long one process works for those that end after it. What
// is left then counts where it is, and the next one folds it.
const foldingTime = 50 * time.Millisecond

// A folding is what one process does to a retained file.
type folding struct {
	dir        *directory
	uid        int
	killed     map[string]*format.Snapshot
	changes    *format.Changes // to be made once, beside; nil if there are none, or none any more
	unreadable map[string]bool // names of finals
	folded     int             // how many recorders
}

// foldLocked does one rewrite. The caller has the lock.
func (f *folding) foldLocked(lock *os.File) error {
	kept, info, err := f.dir.readRetained(f.uid)
	if err != nil && info.uid != f.uid && actsForAll() {
		// Somebody has planted it.
		if err := f.dir.remove(retainedName(f.uid), info.id); err != nil {
			return err
		}
		kept, _, err = f.dir.readRetained(f.uid)
	}
	if err != nil {
		return err
	}
	l, err := f.dir.list() // under the lock, or a note would be dropped whose path is linked
	if err != nil {
		return err
	}
	found := f.find(l, kept.Folded, true)
	err = f.rewrite(kept, found, lock)
	if errors.Is(err, errFull) && f.changes != nil {
		// What has ended counts where it is; the changes may make room.
		found = f.find(l, kept.Folded, false)
		err = f.rewrite(kept, found, lock)
	}
	if err != nil {
		return err
	}
	f.folded += len(found.ended)
	f.dir.removeLitter(l.tmp, time.Now(), nil)
	var errs []error
	for name, id := range found.done {
		errs = append(errs, f.dir.remove(name, id))
	}
	return errors.Join(errs...)
}

// rewrite adds what was found, and makes the changes, if there is any of that.
func (f *folding) rewrite(kept *format.Document, found leftovers, lock *os.File) error {
	if len(found.ended) == 0 && f.changes == nil {
		return nil
	}
	doc := kept.Unexpired(time.Now()).Fold(found.ended...)
	doc.Folded = found.notes
	if f.changes != nil {
		if err := f.changes.Apply(doc); err != nil {
			return err
		}
	}
	if err := f.write(doc, lock); err != nil {
		return err
	}
	f.changes = nil
	return nil
}

// write replaces the retained file, unless that would become one that nobody can
// read, or the lock is one no more.
func (f *folding) write(doc *format.Document, lock *os.File) error {
	name := retainedName(f.uid)
	text := format.AppendTyped(nil, doc)
	if len(text) > retainedLimits.MaxBytes || len(doc.Snapshot.Stats) > retainedLimits.MaxStats {
		return &fs.PathError{Op: "write", Path: filepath.Join(f.dir.path, name), Err: errFull}
	}
	if held, err := statFD(int(lock.Fd())); err != nil || held.links == 0 {
		return &fs.PathError{Op: "write", Path: filepath.Join(f.dir.path, name), Err: errUnlocked}
	}
	return f.dir.putFile(name, f.uid, text)
}

var (
	errFull     = errors.New("it would have more than 1,000,000 stats or 64 MiB")
	errUnlocked = errors.New("somebody has deleted its lock")
)

// leftovers are what there is to be folded.
type leftovers struct {
	ended []*format.Document // to be added
	notes []string           // ids that are in the file then, and linked
	done  map[string]fileID  // names that are to be removed then
}

// find looks for what has ended, or only for what is noted already.
func (f *folding) find(l *listing, noted []string, ended bool) leftovers {
	isNoted := make(map[string]bool, len(noted))
	for _, id := range noted {
		isNoted[id] = true
	}
	found := leftovers{done: make(map[string]fileID)}
	for stem, ids := range l.typed {
		for _, id := range ids {
			name := typedName(stem, id)
			doc, info, ok := f.left(stem, id)
			noted := isNoted[id] && info.uid == f.uid
			if !noted && (!ok || !ended) {
				continue
			}
			if !info.isFIFO() || f.dir.clearPlain(stem, l) {
				found.done[name] = info.id
			}
			if noted || len(doc.Snapshot.Stats) > 0 {
				found.notes = append(found.notes, id)
			}
			if !noted && len(doc.Snapshot.Stats) > 0 {
				found.ended = append(found.ended, doc)
			}
		}
	}
	return found
}

// clearPlain removes the plain pipe of a killed recorder's stem, before its typed
// one goes, and tells whether it is gone or is another's. Left alone it would be
// read as a plain publisher's; and a new recorder that takes the stem would be
// read there, as nobody's in particular.
func (d *directory) clearPlain(stem string, l *listing) bool {
	pipe, err := statAt(d.fd, statsName(stem))
	if err != nil || !pipe.isFIFO() || d.liveness(stem, l.live[stem], pipe) != dead {
		return true
	}
	if pidLives(stem) {
		return false // it may be that of another program with the same pid
	}
	removed, err := d.removeDead(stem, l.live[stem], l.typed[stem])
	return err == nil && removed
}

// left returns what the recorder of that typed pipe left behind, if it has ended
// and belongs to the user.
func (f *folding) left(stem, id string) (doc *format.Document, info fileInfo, ok bool) {
	name := typedName(stem, id)
	info, err := statAt(f.dir.fd, name)
	if err != nil || info.uid != f.uid {
		return nil, info, false
	}
	if info.isFIFO() {
		seen, ok := f.killed[name]
		return &format.Document{Snapshot: seen}, info, ok
	}
	if !f.isFinal(stem, id, info) {
		return nil, info, false
	}
	doc, info, err = f.dir.readTypedFile(name, Limits{}.withDefaults(), nil)
	if err != nil || info.uid != f.uid {
		f.unreadable[name] = true
		return nil, info, false
	}
	doc.Snapshot = doc.Snapshot.Lasting()
	return doc, info, true
}

// isFinal tells whether the regular file at that typed pipe is a final that can be
// folded. Its .live file must have gone: as long as that is locked, a path that is
// gone means to readers that the recorder has lost its pipe, and still counts.
// Whoever ends tries to fold once more after that.
func (f *folding) isFinal(stem, id string, info fileInfo) bool {
	return info.mode.IsRegular() && info.uid == f.uid && !f.unreadable[typedName(stem, id)] &&
		f.dir.liveness(stem, []string{id}, info) != alive
}

// moreFinals tells whether there are finals of the user that could be folded.
func (f *folding) moreFinals() (bool, error) {
	l, err := f.dir.list()
	if err != nil {
		return false, err
	}
	for stem, ids := range l.typed {
		for _, id := range ids {
			if info, err := statAt(f.dir.fd, typedName(stem, id)); err == nil && f.isFinal(stem, id, info) {
				return true, nil
			}
		}
	}
	return false, nil
}
