//go:build linux

package e2e

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Publishers and a reader that share no code with this repository agree with it
// to the digit.
func TestForeignProgramsAgree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 5 {
		n := strconv.Itoa(i)
		startForeign(t, dir, "python3", "publisher.py",
			"requests="+n, "GET /: time=0.25", "big=9007199254740993", "only py "+n+"=1", "temp=-1.5")
		startForeign(t, dir, "bash", "publisher.sh",
			"requests=1"+n, "GET /: time=0.5", "tiny=1e-07", "only sh "+n+"=1", "temp=2")
	}
	for range 2 {
		startPublisher(t, dir, "requests=1000", "GET /: time=0.125", "big=1", "go=0.1")
	}
	want := map[string]string{
		"requests":    "2070",
		"GET /: time": "4.0",
		"big":         "45035996273704967",
		"temp":        "2.5",
		"tiny":        "5e-07",
		"go":          "0.2",
	}
	for i := range 5 {
		want["only py "+strconv.Itoa(i)] = "1"
		want["only sh "+strconv.Itoa(i)] = "1"
	}
	serve := startServe(t, dir)
	reader := lookup(t, "python3")
	// A plain publisher has no pipe for a moment after each reader, and who comes
	// then for the first time can't know of it. serve, which has seen it before,
	// waits.
	before := make(map[string]pipeIdentity)
	allFresh := func() {
		t.Helper()
		waitUntil(t, "all pipes are new ones", func() bool {
			now := identities(t, dir)
			for path, pipe := range now {
				if before[path] == pipe {
					return false
				}
			}
			if len(now) == 12 {
				before = now
			}
			return len(now) == 12
		})
	}
	allFresh()
	for round := range 20 {
		stats, _ := serve.stats(t)
		sameNumbers(t, "serve", want, stats)
		allFresh()
		out, errOut, code := runStatvent(t, dir, "cat")
		if code != 0 || errOut != "" {
			t.Fatalf("cat: exit code %d, %s", code, errOut)
		}
		if got := plainStats(t, out); !maps.Equal(got, want) {
			t.Errorf("round %d: cat says\n%v, want\n%v", round, got, want)
		}

		allFresh()
		text, err := exec.CommandContext(t.Context(), reader, "testdata/foreign/reader.py", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		read := parseDocument(t, text)
		// What the reader finds in the files that show who lives, which aren't
		// for it but must not disturb it.
		delete(read, "pid")
		sameNumbers(t, "the Python reader", want, read)
		allFresh()
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	for range 50 { // whether there is a pipe just then or not
		stats, _ := serve.stats(t)
		sameNumbers(t, "serve without pause", want, stats)
	}
}

// sameNumbers compares as numbers: 5e-07 and 5.0e-07 are one.
func sameNumbers(t *testing.T, who string, want map[string]string, got map[string]json.Number) {
	t.Helper()
	if !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))) {
		t.Errorf("%s has %v, want %v", who, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for name, value := range want {
		if isInt(value) {
			if got[name].String() != value {
				t.Errorf("%s says %s: %s, want %s", who, name, got[name], value)
			}
			continue
		}
		wanted, _ := strconv.ParseFloat(value, 64)
		if f, err := got[name].Float64(); err != nil || f != wanted || isInt(got[name].String()) {
			t.Errorf("%s says %s: %s, want %s", who, name, got[name], value)
		}
	}
}

func isInt(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// A pipeIdentity tells a pipe from the next one at its path, even if that has
// got the same inode number.
type pipeIdentity struct {
	inode uint64
	born  unix.StatxTimestamp
}

func identities(t *testing.T, dir string) map[string]pipeIdentity {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.stats"))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]pipeIdentity)
	for _, path := range paths {
		var st unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st); err == nil {
			found[path] = pipeIdentity{st.Ino, st.Btime}
		}
	}
	return found
}
