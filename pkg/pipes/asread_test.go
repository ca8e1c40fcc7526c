//go:build linux

package pipes

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A retained file that looks as it did when it was read isn't read again, however large it
// is; and is, where another one may look the same.
func TestRetainedFileIsReadAgainWhenItMayHaveChanged(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	name := filepath.Join(dir, retainedName(os.Geteuid()))
	c := newCollector(t, CollectorOptions{Dir: dir, Deadline: patience})
	is := func(want string) {
		t.Helper()
		if got := oneLine(collect(t, c).Total()); got != want {
			t.Errorf("the total is %q, want %q", got, want)
		}
	}
	write := func(n string, made time.Time) {
		t.Helper()
		noErr(t, os.WriteFile(name, []byte("statvent: 1\ncounter n: "+n+"\nend: 1\n"), 0o644))
		noErr(t, os.Chtimes(name, made, made))
	}
	long := time.Now().Add(-2 * oldEnough)
	write("3", long)
	is("n: 3")
	write("4", long) // in place, as nobody does
	is("n: 3")
	write("5", long.Add(1))
	is("n: 5")

	now := time.Now().Add(oldEnough)
	write("6", now)
	is("n: 6")
	write("7", now)
	is("n: 7")
}
