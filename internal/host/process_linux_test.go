package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// describeSelf returns what is said of this process, as a source like that.
func describeSelf(t *testing.T, s pipes.Source) Source {
	t.Helper()
	s.PID = os.Getpid()
	r := Describe(&pipes.Collection{Time: time.Now(), Sources: []pipes.Source{s}}, &format.Snapshot{})
	return r.Sources[0]
}

func TestProcessIsFoundByItsPID(t *testing.T) {
	uid := os.Geteuid()
	got := describeSelf(t, pipes.Source{UID: uid, State: pipes.Live})
	if !strings.HasPrefix(got.Command, os.Args[0]) {
		t.Errorf("the command is %q, want %q", got.Command, os.Args[0])
	}
	if got.Age == nil || *got.Age > time.Hour.Seconds() {
		t.Errorf("its age is %v", got.Age)
	}
	since := time.Now().Add(-1000 * time.Hour)
	got = describeSelf(t, pipes.Source{UID: uid, State: pipes.Live, Since: since}) // what it says itself goes before
	if got.Age == nil || *got.Age < (1000*time.Hour).Seconds() {
		t.Errorf("its age is %v", got.Age)
	}
}

// The pid of one that is gone may be another's by now, and so may one of
// another pid namespace.
func TestProcessOfSomebodyElseIsNotTheSources(t *testing.T) {
	check := func(s pipes.Source) {
		t.Helper()
		if got := describeSelf(t, s); got.Command != "" || got.Age != nil {
			t.Errorf("%s of %d: got %q, %v", s.State, s.UID, got.Command, got.Age)
		}
	}
	uid := os.Geteuid()
	check(pipes.Source{UID: uid, State: pipes.Stale})
	check(pipes.Source{UID: uid, State: pipes.Ended})
	check(pipes.Source{UID: uid + 1, State: pipes.Live})
	if process, ok := findProcess(0, uid, time.Now()); ok {
		t.Errorf("pid 0 is %v", process)
	}
	if process, ok := findProcess(noPID, uid, time.Now()); ok {
		t.Errorf("pid %d is %v", noPID, process)
	}
}

func TestOwnerWarning(t *testing.T) {
	dir := t.TempDir()
	if warning := OwnerWarning(dir); warning != "" {
		t.Errorf("of our own directory: %s", warning)
	}
	if warning := OwnerWarning(filepath.Join(dir, "none")); warning != "" {
		t.Errorf("of none: %s", warning)
	}
	check := func(mode fs.FileMode, want string) {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if warning := OwnerWarning(dir); !strings.HasPrefix(warning, want) || (warning == "") != (want == "") {
			t.Errorf("%v: %q, want %q", mode, warning, want)
		}
	}
	everybody := "everybody can delete and replace every pipe in " + dir + ": chmod +t " + dir
	check(0o777, everybody)
	check(0o777|fs.ModeSticky, "")
	check(0o770, "")
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a directory away")
	}
	if err := os.Chown(dir, 42424242, 0); err != nil {
		t.Fatal(err)
	}
	owner := dir + " belongs to 42424242, who"
	check(0o777, everybody)
	check(0o777|fs.ModeSticky, owner)
	check(0o770, owner)
	check(0o750|fs.ModeSetgid, "") // nobody else publishes there
}
