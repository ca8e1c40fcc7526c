//go:build linux

package pipes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// However many ask at once: what was there when one asked is in what that one gets.
func TestListAnewHasWhatWasThereWhenItWasAskedFor(t *testing.T) {
	path := t.TempDir()
	dir := openTestDir(t, path)
	var asking sync.WaitGroup
	for i := range 50 {
		asking.Go(func() {
			for j := range 20 {
				stem := fmt.Sprintf("s%d-%d", i, j)
				if err := os.WriteFile(filepath.Join(path, statsName(stem)), nil, 0o600); err != nil {
					t.Error(err)
					return
				}
				l, err := dir.listAnew()
				if err != nil || !slices.Contains(l.pipes, stem) {
					t.Errorf("%s was there before the listing and isn't in it (%v)", stem, err)
					return
				}
			}
		})
	}
	asking.Wait()
}
