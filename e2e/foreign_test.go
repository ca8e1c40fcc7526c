//go:build linux

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/pipes"
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
	ours := make(map[string]bool) // paths, which statvent's own readers leave alone
	for range 2 {
		_, path := startPublisher(t, dir, "requests=1000", "GET /: time=0.125", "big=1", "go=0.1")
		ours[path] = true
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
				if before[path] == pipe && !ours[path] {
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
		// What the reader finds in the files that aren't for it: it can read them,
		// and none of their names is that of a stat.
		maps.DeleteFunc(read, func(name string, _ json.Number) bool { return isOfTyped(name) })
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

// A publisher of the typed format that shares no code with this repository is
// one like all others: its kinds, its distributions, its end.
func TestForeignTypedPublisher(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve := startServe(t, dir)
	python, p := startExample(t, dir, "counter", "jobs", "10", "counter", "seconds", "0.5", "gauge", "users", "7",
		"sample", "size.{0}", "1", "sample", "size.{0}", "2", "sample", "size.{0}", "9"), startPuppet(t, dir)
	p.do("incr jobs 1", "set users 1", "record size.{0} 4", "start")
	wants(t, dir, serve, "jobs=11", "seconds=0.5", "users=8", "size.median=2", "size.100th=9", "size.mean=4.0")
	sources, err := serve.trySources()
	if err != nil || len(sources) != 2 || sources[0].Kind != "typed" || sources[1].Kind != "typed" {
		t.Errorf("/sources has %+v, %v", sources, err)
	}
	if out, _, _ := runStatvent(t, dir, "cat", "-o", "typed"); !strings.Contains(out, "\ndistribution size.{0}: 4\nsum size.{0}: 16\n") {
		t.Errorf("together they are\n%s", out)
	}
	if err := python.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-python.exited
	wants(t, dir, serve, "jobs=11", "seconds=0.5", "users=1", "size.median=4")

	killed := startExample(t, dir, "counter", "jobs", "100", "gauge", "users", "100")
	wants(t, dir, serve, "jobs=111", "users=101")
	_ = killed.Process.Kill()
	<-killed.exited
	wants(t, dir, serve, "jobs=111", "users=1")
	p.do("close")
	wants(t, dir, serve, "jobs=111", "users=")
	waitUntil(t, "all is folded", func() bool {
		sources, err := serve.trySources()
		return err == nil && len(sources) == 1 && sources[0].State == "retained"
	})
}

func startExample(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(lookup(t, "python3"), append([]string{"../examples/python/typed_publisher.py"}, args...)...)
	cmd.Env = append(os.Environ(), pipes.DirVariable+"="+dir)
	p := start(t, cmd)
	path := filepath.Join(dir, strconv.Itoa(p.Process.Pid)+".stats") // which it makes last
	waitUntil(t, path+" is there", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	return p
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

// isOfTyped tells whether a line of the typed format, read as a plain one, has
// that name.
func isOfTyped(name string) bool {
	keyword, _, named := strings.Cut(name, " ")
	switch keyword {
	case "statvent", "pid":
		return !named
	case "id", "counter", "gauge", "end":
		return named
	default:
		return false
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
