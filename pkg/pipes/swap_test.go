//go:build linux

package pipes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Somebody swaps an entry between the check and the open, again and again. What comes
// out is never what stands behind a link, and nothing of that kind is so much as opened.
func TestEntryIsSwappedBetweenCheckAndOpen(t *testing.T) {
	noLeaks(t)
	const rounds = 100_000
	base := memoryDir(t)
	path, elsewhere := filepath.Join(base, "pipes"), filepath.Join(base, "elsewhere")
	noErr(t, errors.Join(os.Mkdir(path, 0o755), os.Mkdir(elsewhere, 0o755)))
	secret := writeFile(t, filepath.Join(elsewhere, "secret"), "secret: 1\n")
	private := mkfifo(t, filepath.Join(elsewhere, "private"))
	writeFile(t, filepath.Join(path, "file"), "good: 1\n")
	mkfifo(t, filepath.Join(path, "fifo"))
	dir := openTestDir(t, path)

	check := func(what, good, target string, read func() error) {
		t.Run(what, func(t *testing.T) {
			opened := watchFiles(t, elsewhere)
			name, aside := filepath.Join(path, "swapped"), filepath.Join(path, "aside")
			noErr(t, os.Rename(filepath.Join(path, good), name))
			noErr(t, os.Symlink(target, aside))
			var stop atomic.Bool
			var swapping sync.WaitGroup
			swapping.Go(func() {
				runtime.LockOSThread()
				for !stop.Load() {
					_ = unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, aside, unix.RENAME_EXCHANGE)
				}
			})
			const inBetween = "swapped after the check"
			results := make(map[string]int)
			for n, began := 0, time.Now(); n < scaled(rounds) || results[inBetween] == 0 && time.Since(began) < patience; n++ {
				switch err := read(); {
				case err == nil:
					results["good"]++
				case errors.Is(err, syscall.ELOOP):
					results[inBetween]++
				default:
					results["seen by the check"]++
				}
			}
			stop.Store(true)
			swapping.Wait()
			if len(results) < 3 {
				t.Errorf("that isn't all that there is to try: %v", results)
			}
			if names := opened(); len(names) > 0 {
				t.Errorf("opened was %q", names[0])
			}
			if info, err := os.Lstat(name); err == nil && info.Mode().Type() == fs.ModeSymlink {
				noErr(t, os.Rename(aside, name))
			} else {
				noErr(t, os.Remove(aside))
			}
			noErr(t, os.Rename(name, filepath.Join(path, good)))
		})
	}
	openPipe := func() error {
		r := newReading(dir, "swapped", plainText, Limits{}, time.Now())
		info, err := statAt(dir.fd, "swapped")
		if err != nil {
			return err
		}
		file, err := r.open(info)
		if err == nil {
			err = file.Close()
		}
		return err
	}
	openFile := func() error {
		file, _, err := dir.openFile("swapped", nil)
		if err == nil {
			err = file.Close()
		}
		return err
	}
	check("a pipe and a link to a file", "fifo", secret, openPipe)
	check("a pipe and a link to a pipe", "fifo", private, openPipe)
	check("a file and a link to a file", "file", secret, openFile)
	check("a file and a link to a pipe", "file", private, openFile)
}
