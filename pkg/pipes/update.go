package pipes

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// ErrLocked is the error of an Update that could not get the lock in time:
// another process holds it, which may be stopped.
var ErrLocked = errors.New("another process holds the lock")

// Update makes the changes to what is kept of this process's user, and so to what
// every collection has, in one rewrite of the user's retained file. The directory
// is made if it isn't there. When it returns nil the changes are stored; else
// none of them is, and what was there is as it was.
//
// It waits for the lock on that file until nobody has stored anything for as long
// as patience says, or ctx is done, and returns ErrLocked then. It doesn't wait with
// what only counts, which can be stored beside the file (see format.Changes.Counted).
//
// Of the limits those of what is kept count; beyond them the error is ErrFull.
func Update(ctx context.Context, dir string, changes *format.Changes, patience time.Duration, limits Limits) error {
	d, err := makeDirectory(Dir(dir))
	if err != nil {
		return err
	}
	defer d.close()
	d.limits = limits
	counted, counts := changes.Counted()
	locked := func() error {
		return &fs.PathError{Op: "lock", Path: filepath.Join(d.path, retainedLockName(effectiveUID())), Err: ErrLocked}
	}
	var last fileInfo // the retained file
	var since time.Time
	for nap := updateNapMin; ; nap = min(2*nap, updateNapMax) {
		f := folding{dir: d, uid: effectiveUID(), changes: changes}
		err := f.run()
		if f.changes == nil {
			return nil // the changes are stored; what else could not be done, the next one does
		}
		if errors.Is(err, format.ErrInfinite) || errors.Is(err, ErrFull) {
			return err
		}
		if counts && !d.dependsOnKept(changes) {
			counted.PID = os.Getpid()
			leaveErr := d.leave(strconv.Itoa(counted.PID), counted)
			if leaveErr == nil && err == nil {
				_, _ = d.fold(effectiveUID(), nil) // or whoever has the lock will
			}
			if !errors.Is(leaveErr, errTooMuch) {
				return leaveErr
			}
		}
		if err != nil {
			return err
		}
		if now, _ := statAt(d.fd, retainedName(f.uid)); since.IsZero() || now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= patience {
			return locked()
		}
		select {
		case <-time.After(nap/2 + rand.N(nap)):
		case <-ctx.Done():
			return locked()
		}
	}
}

// How long an Update rests, more or less, before it tries the lock again: in a crowd
// of hundreds that must leave the processors to the one that has it.
const (
	updateNapMin = 100 * time.Microsecond
	updateNapMax = 50 * time.Millisecond
)

// dependsOnKept tells whether what the changes do depends on what is kept already:
// where that can't be read, nothing of it counts.
func (d *directory) dependsOnKept(changes *format.Changes) bool {
	kept, _, err := d.readRetained(effectiveUID())
	return err == nil && changes.DependOn(kept.Unexpired(time.Now()))
}
