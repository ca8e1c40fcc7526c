package daemon

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// burstPause ends a burst of changes: an editor truncates a file, writes it, renames
// it and sets its mode. They are looked at together when there has been none for so
// long.
const burstPause = 100 * time.Millisecond

// A Reloader has a configuration loaded again: on each signal, and when the text of
// its file has changed. It looks at the file only when the kernel says that
// something has happened there.
type Reloader struct {
	Signals <-chan os.Signal

	// Load loads the configuration, and returns which file is in force then and what it
	// said; no file if there is none, or if what was in force stays so. It is called
	// once at a time.
	Load func() (file, text string)

	// Gone is called instead where the file has been deleted or is empty, unless there
	// was a signal: what it said, such as who may read, stays in force. Whoever means
	// it says so with a signal, or leaves a comment in the file.
	Gone func(error)

	// Blind is called if changes of the file can't be seen.
	Blind func(error)

	file    string
	text    string   // as it was loaded last
	trail   []string // of the file; its directories are watched
	watcher *fsnotify.Watcher
}

// Watch names the file that is in force, and what it said when it was loaded: what it
// says by now may be another change. Without it only signals count.
func (r *Reloader) Watch(file, text string) {
	if file != "" {
		r.file, r.text = file, text
	}
}

// Run does it until ctx is done.
func (r *Reloader) Run(ctx context.Context) {
	defer r.close()
	timer := time.NewTimer(0) // for changes since Watch
	defer timer.Stop()
	for {
		var events <-chan fsnotify.Event
		var errs <-chan error
		if r.watcher != nil {
			events, errs = r.watcher.Events, r.watcher.Errors
		}
		select {
		case <-ctx.Done():
			return
		case <-r.Signals:
			r.load()
			timer.Reset(burstPause)
		case event := <-events:
			if r.concerns(event.Name) {
				timer.Reset(burstPause)
			}
		case err := <-errs:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				r.Blind(err)
			}
			timer.Reset(burstPause)
		case <-timer.C:
			r.follow()
			text, err := textOf(r.file)
			switch {
			case r.file == "" || text == r.text:
				continue
			case err != nil:
				r.text = text
				r.Gone(err)
			default:
				r.load()
			}
			timer.Reset(burstPause) // for what came while nobody watched the new trail
		}
	}
}

func (r *Reloader) load() {
	r.text, _ = textOf(r.file) // what is refused is not loaded again until it has changed
	r.Watch(r.Load())
	r.follow()
}

// concerns tells whether what has changed is on the trail that was followed last, or
// a directory that leads there.
func (r *Reloader) concerns(name string) bool {
	return slices.ContainsFunc(r.trail, func(entry string) bool {
		return entry == name || strings.HasPrefix(entry, name+string(filepath.Separator))
	})
}

// follow watches the directories of the trail, and no others.
func (r *Reloader) follow() {
	if r.file == "" {
		return
	}
	if r.watcher == nil {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			r.Blind(err)
			return
		}
		r.watcher = watcher
	}
	for range maxLinks { // it may change while it is followed
		before := r.trail
		if r.trail = trail(r.file); slices.Equal(r.trail, before) && r.isWatched() {
			break
		}
		for _, entry := range r.trail {
			if err := r.watcher.Add(filepath.Dir(entry)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				r.Blind(err)
				return
			}
		}
	}
	for _, dir := range r.watcher.WatchList() {
		if !slices.ContainsFunc(r.trail, func(entry string) bool { return filepath.Dir(entry) == dir }) {
			_ = r.watcher.Remove(dir) // it may have gone
		}
	}
}

// isWatched tells whether all directories of the trail are.
func (r *Reloader) isWatched() bool {
	watched := r.watcher.WatchList()
	return !slices.ContainsFunc(r.trail, func(entry string) bool { return !slices.Contains(watched, filepath.Dir(entry)) })
}

func (r *Reloader) close() {
	if r.watcher != nil {
		_ = r.watcher.Close() // nothing is written with it
	}
}

// textOf returns what is in the file, and an error if that is nothing.
func textOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = &fs.PathError{Op: "read", Path: file, Err: errEmpty}
	}
	return string(text), err
}

var errEmpty = errors.New("it is empty")
