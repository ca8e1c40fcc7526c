package pipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// What finished processes leave behind is folded: added to their user's
// retained file, with a note of the id, in one rewrite under a lock; then the
// id's path is unlinked. A note stays for as long as the path is linked, or the
// .live file: whoever cleans up locks that, and the recorder looks alive meanwhile.
// So whoever finds the id noted, or the path gone of one that doesn't live, knows
// that it is in the retained file, and nobody adds it twice, whenever a process is
// killed.

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
	name, text := typedName(stem, doc.ID), format.AppendTyped(nil, doc)
	if err := d.checkFinal(doc, text); err != nil {
		return &fs.PathError{Op: "write", Path: filepath.Join(d.path, name), Err: err}
	}
	return d.putFinal(name, nil, text)
}

// checkFinal says so if nobody would read that.
func (d *directory) checkFinal(doc *format.Document, text []byte) error {
	limits := d.limits.atLeastDefaults()
	if len(doc.Snapshot.Stats) > limits.MaxStats || len(text) > limits.MaxBytes {
		return fmt.Errorf("%w: %d stats, %d bytes", errTooMuch, len(doc.Snapshot.Stats), len(text))
	}
	return nil
}

var errTooMuch = errors.New("it would be more than anybody reads")

// readTypedFile reads a regular file with one document, if it belongs to one of
// the owners.
func (d *directory) readTypedFile(name string, limits Limits, owners owners) (*format.Document, fileInfo, error) {
	return d.parseFile(name, newParser(typedText, limits, nil), limits, owners)
}

func (d *directory) parseFile(name string, parser parser, limits Limits, owners owners) (*format.Document, fileInfo, error) {
	file, info, err := d.openFile(name, owners)
	if err != nil {
		return nil, info, err
	}
	defer file.Close()
	if info.size > int64(limits.MaxBytes) { // and need not be read to know it
		return nil, info, &LimitError{LimitSourceBytes, limits.MaxBytes}
	}
	if err := copyLimited(parser, file, limits); err != nil {
		return nil, info, err
	}
	doc, err := parser.end()
	return doc, info, err
}

// readRetained reads the retained file of a user; what isn't there is empty.
func (d *directory) readRetained(uid int) (*format.Document, fileInfo, error) {
	// Its owner is looked at first: the text of what somebody has planted may be long.
	doc, info, err := d.readTypedFile(retainedName(uid), d.limits.toReadRetained(), owners{uid})
	others, limit := new(OwnerError), new(LimitError)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &format.Document{Snapshot: &format.Snapshot{Ended: true}}, info, nil
	case errors.As(err, &others):
		err = &plantedError{others.UID}
	case errors.As(err, &limit) && limit.Limit == LimitSourceStats:
		err = &LimitError{LimitRetainedStats, limit.Max}
	case errors.As(err, &limit):
		err = &LimitError{LimitRetainedBytes, limit.Max}
	}
	if err != nil {
		return nil, info, &fs.PathError{Op: "read", Path: filepath.Join(d.path, retainedName(uid)), Err: err}
	}
	doc.Snapshot.Ended = true
	return doc, info, nil
}

// A plantedError is the error of a user's retained file that belongs to another.
type plantedError struct{ uid int }

func (e *plantedError) Error() string { return fmt.Sprintf("it belongs to user %d", e.uid) }

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
			if actsForAll() && !cannotTell(err) && d.clear(name, info) == nil {
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
	if err != nil && info.uid != f.uid && actsForAll() && !cannotTell(err) {
		// Somebody has planted it.
		if err := f.dir.clear(retainedName(f.uid), info); err != nil {
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
	fold := func(fits func(*format.Document) bool) (leftovers, error) {
		found, err := f.find(l, kept.Folded, &batch{fits: fits})
		if err == nil {
			err = f.rewrite(kept, found, lock)
		}
		return found, err
	}
	var full error
	found, err := fold(everything)
	if errors.Is(err, ErrFull) {
		// What has ended counts where it is. What brings no new name needs little room.
		full = err
		found, err = fold(onlyNamesOf(kept))
	}
	if errors.Is(err, ErrFull) && f.changes != nil {
		// The changes may make room.
		found, err = fold(nothing)
	}
	if err != nil {
		return err
	}
	f.folded += len(found.ended)
	f.dir.removeLitter(l.tmp, time.Now(), nil)
	errs := []error{full}
	for name, id := range found.done {
		errs = append(errs, f.dir.remove(name, id))
	}
	return errors.Join(errs...)
}

// A batch is what one rewrite adds. Anybody may leave thousands of finals, of which each
// may be as large as a source: all that are taken are in memory at once, and the others
// come with the next rewrite. There is always one.
type batch struct {
	fits  func(*format.Document) bool
	stats int
	bytes int64
	until time.Time // when it is closed, set by the first that is looked at
}

// What a batch takes, if it isn't a single final.
const (
	maxFoldedStats = 100_000
	maxFoldedBytes = 64 << 20
	maxFoldedTime  = 250 * time.Millisecond
)

// isOpen tells whether another final of so many bytes is to be looked at.
func (b *batch) isOpen(bytes int64) bool {
	if b.until.IsZero() {
		b.until = time.Now().Add(maxFoldedTime)
		return true
	}
	return b.stats < maxFoldedStats && b.bytes+bytes <= maxFoldedBytes && time.Now().Before(b.until)
}

// take tells whether what a process has left is taken.
func (b *batch) take(doc *format.Document, bytes int64) bool {
	if !b.fits(doc) {
		return false
	}
	b.stats += len(doc.Snapshot.Stats)
	b.bytes += bytes
	return true
}

func everything(*format.Document) bool { return true }

func nothing(*format.Document) bool { return false }

// onlyNamesOf tells of documents whether they have no name that this one hasn't.
func onlyNamesOf(kept *format.Document) func(*format.Document) bool {
	names := namesOfStats(kept.Snapshot)
	return func(doc *format.Document) bool {
		return !slices.ContainsFunc(doc.Snapshot.Stats, func(stat format.Stat) bool { return !names[stat.Name] })
	}
}

func namesOfStats(s *format.Snapshot) map[string]bool {
	names := make(map[string]bool, len(s.Stats))
	for _, stat := range s.Stats {
		names[stat.Name] = true
	}
	return names
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
	limits := f.dir.limits.withDefaults()
	if len(doc.Snapshot.Stats) <= len(kept.Snapshot.Stats) {
		limits = limits.atLeastDefaults() // who has lowered them keeps out what is new
	}
	if err := f.write(doc, limits, lock); err != nil {
		return err
	}
	f.changes = nil
	return nil
}

// write replaces the retained file, unless that would become one with more than it may
// have, or the lock is one no more.
func (f *folding) write(doc *format.Document, limits Limits, lock *os.File) error {
	name := retainedName(f.uid)
	text := format.AppendTyped(nil, doc)
	if err := limits.checkRetained(len(text), len(doc.Snapshot.Stats)); err != nil {
		return &fs.PathError{Op: "write", Path: filepath.Join(f.dir.path, name), Err: err}
	}
	if err := f.checkLock(lock); err != nil {
		return &fs.PathError{Op: "write", Path: filepath.Join(f.dir.path, name), Err: err}
	}
	return f.dir.putFile(name, f.uid, text)
}

// checkLock says so if the lock is one no more: without its name it is one that others
// don't ask for.
func (f *folding) checkLock(lock *os.File) error {
	held, err := statFD(int(lock.Fd()))
	if err != nil {
		return err
	}
	now, err := statAt(f.dir.fd, retainedLockName(f.uid))
	if errors.Is(err, fs.ErrNotExist) || err == nil && now.id != held.id {
		return errUnlocked
	}
	return err
}

// ErrFull is the error of a retained file that would have more than it may.
var ErrFull = errors.New("it is full")

// checkRetained says so if that is more than a retained file may have.
func (l Limits) checkRetained(bytes, stats int) error {
	switch {
	case stats > l.MaxRetainedStats:
		return fmt.Errorf("%w: it would have %w", ErrFull, &LimitError{LimitRetainedStats, l.MaxRetainedStats})
	case bytes > l.MaxRetainedBytes:
		return fmt.Errorf("%w: it would have %w", ErrFull, &LimitError{LimitRetainedBytes, l.MaxRetainedBytes})
	default:
		return nil
	}
}

var errUnlocked = errors.New("somebody has taken its lock away")

// leftovers are what there is to be folded.
type leftovers struct {
	ended []*format.Document // to be added
	notes []string           // ids that are in the file then, and have a file of their own
	done  map[string]fileID  // names that are to be removed then
}

// find looks for what is noted already, and for what has ended and is taken. Its error is
// of one that is noted and may be linked: without its note it would be folded again.
func (f *folding) find(l *listing, noted []string, b *batch) (leftovers, error) {
	isNoted := setOf(noted)
	found := leftovers{done: make(map[string]fileID)}
	for stem, ids := range l.typed {
		for _, id := range ids {
			name := typedName(stem, id)
			info, err := statAt(f.dir.fd, name)
			if cannotTell(err) {
				return found, &fs.PathError{Op: "fold", Path: filepath.Join(f.dir.path, name), Err: err}
			}
			if err != nil || info.uid != f.uid {
				continue
			}
			noted, doc := isNoted[id], (*format.Document)(nil)
			if !noted {
				_, killed := f.killed[name]
				if info.isFIFO() && !killed || !b.isOpen(info.size) {
					continue
				}
				var ok bool
				if doc, ok = f.left(stem, id, info); !ok || !b.take(doc, info.size) {
					continue
				}
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
	stands := setOf(found.notes)
	for stem, ids := range l.live {
		for _, id := range ids {
			if !isNoted[id] || stands[id] {
				continue
			}
			name := liveName(stem, id)
			live, err := statAt(f.dir.fd, name)
			if cannotTell(err) {
				return found, &fs.PathError{Op: "fold", Path: filepath.Join(f.dir.path, name), Err: err}
			}
			if err == nil && live.speaksFor(fileInfo{uid: f.uid}) { // else anybody could have notes kept for ever
				found.notes = append(found.notes, id)
			}
		}
	}
	return found, nil
}

func setOf[T comparable](things []T) map[T]bool {
	set := make(map[T]bool, len(things))
	for _, thing := range things {
		set[thing] = true
	}
	return set
}

// clearPlain removes the plain pipe of a killed recorder's stem, before its typed
// one goes, and tells whether it is gone or is another's. Left alone it would be
// read as a plain publisher's; and a new recorder that takes the stem would be
// read there, as nobody's in particular.
func (d *directory) clearPlain(stem string, l *listing) bool {
	pipe, err := statAt(d.fd, statsName(stem))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if !pipe.isFIFO() {
		return true
	}
	if says := d.liveness(stem, l.live[stem], pipe); says != dead {
		return says != hidden
	}
	if pidLives(stem) {
		return false // it may be that of another program with the same pid
	}
	removed, err := d.removeDead(stem, l.live[stem], l.typed[stem])
	return err == nil && removed
}

// left returns what the recorder of that typed pipe of the user's left behind, if it
// has ended.
func (f *folding) left(stem, id string, info fileInfo) (doc *format.Document, ok bool) {
	name := typedName(stem, id)
	if info.isFIFO() {
		seen, ok := f.killed[name]
		return &format.Document{Snapshot: seen}, ok
	}
	if !f.isFinal(stem, id, info) {
		return nil, false
	}
	doc, now, err := f.dir.readTypedFile(name, f.dir.limits.atLeastDefaults(), nil)
	if err != nil || now.id != info.id {
		f.unreadable[name] = true
		return nil, false
	}
	doc.Snapshot = doc.Snapshot.Lasting()
	return doc, true
}

// isFinal tells whether the regular file at that typed pipe is a final that can be
// folded. Its .live file must have gone: as long as that is locked, a path that is
// gone means to readers that the recorder has lost its pipe, and still counts.
// Whoever ends tries to fold once more after that.
func (f *folding) isFinal(stem, id string, info fileInfo) bool {
	return info.mode.IsRegular() && info.uid == f.uid && !f.unreadable[typedName(stem, id)] &&
		!f.dir.liveness(stem, []string{id}, info).mayBeAlive()
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
