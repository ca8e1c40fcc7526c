//go:build linux

package pipes

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Somebody removes one typed pipe after another, and each time a collection looks once
// more where what was counted there has gone. It comes to an end all the same.
func TestPipesThatGoOneByOneDelayNobodyForLong(t *testing.T) {
	needsRoot(t, "it gives files to another user")
	noLeaks(t)
	dir := worldDir(t)
	startTally(t, 3, dir, "web", "nobody")
	writeRetained(t, dir, nobody, 100)
	c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline})
	checkCount(t, first, 103)
	var paths []string
	for range 2000 {
		path := mkfifo(t, filepath.Join(dir, typedName("evil", newID())))
		give(t, path, stranger)
		paths = append(paths, path)
	}
	checkCount(t, collect(t, c), 103) // the evil ones are not waited for again
	began := time.Now()
	collect(t, c)
	quiet := time.Since(began)

	stop := make(chan struct{})
	var removing sync.WaitGroup
	removing.Go(func() {
		for _, path := range paths {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			_ = os.Remove(path)
		}
	})
	for range 3 {
		began := time.Now()
		checkCount(t, collect(t, c), 103)
		took := time.Since(began)
		t.Logf("it took %v, and %v before", took, quiet)
		if took > 2*shortDeadline+10*quiet {
			t.Errorf("it took %v", took)
		}
	}
	close(stop)
	removing.Wait()
}
