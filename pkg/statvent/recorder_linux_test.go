package statvent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f without the rights of root. On Linux that is a matter of the
// thread, which ends with its goroutine.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	within(t, "the thread of nobody", func() {
		if os.Geteuid() == 0 {
			runtime.LockOSThread()
			if err := syscall.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		f()
	})
}

func TestRecorderWithoutPermissionSaysSo(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	check := func(dir string) {
		t.Helper()
		asNobody(t, func() {
			rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(NewRegistry()))
			var pathErr *fs.PathError
			if rec != nil || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &pathErr) || !strings.HasPrefix(pathErr.Path, dir) {
				t.Errorf("in %s: %v", dir, err)
			}
		})
	}
	check(dir)
	check(filepath.Join(dir, "new"))
	if names := entries(t, dir); len(names) > 0 {
		t.Errorf("there is %q", names)
	}
}
