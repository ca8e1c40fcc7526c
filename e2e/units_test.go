//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shipped returns what a file of configs says.
func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "configs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeText(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command to its end and returns what it printed.
func run(t *testing.T, command string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), lookup(t, command), args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%s %q: %v\n%s", command, args, err, &out)
	}
	return out.String()
}

// units puts the units where systemd-analyze finds both, with the binary where it is.
func units(t *testing.T) (service, socket string) {
	t.Helper()
	dir := t.TempDir()
	text := strings.ReplaceAll(shipped(t, "statvent.service"), "/usr/bin/statvent", binary)
	return writeText(t, filepath.Join(dir, "statvent.service"), text),
		writeText(t, filepath.Join(dir, "statvent.socket"), shipped(t, "statvent.socket"))
}

func TestUnitsAreValid(t *testing.T) {
	t.Parallel()
	service, socket := units(t)
	if out := run(t, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", service, socket); out != "" {
		t.Errorf("systemd-analyze verify says\n%s", out)
	}
}

// How much of the host a service can get at that is broken into, from 0 to 10, as
// systemd reckons it; "below 2.5" is what it calls OK.
func TestServiceIsExposedToLittle(t *testing.T) {
	t.Parallel()
	service, _ := units(t)
	if help := run(t, "systemd-analyze", "--help"); !strings.Contains(help, "--offline") {
		t.Skip("SKIPPED: this systemd-analyze can't judge a file")
	}
	out := run(t, "systemd-analyze", "security", "--no-pager", "--offline=true", service)
	m := regexp.MustCompile(`Overall exposure level for statvent.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("it says\n%s", out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 2.5 {
		t.Errorf("the level is %s\n%s", m[1], out)
	}
	t.Logf("exposure level %s", m[1])
}

// What /tmp is cleaned of by age is not what programs publish there.
func TestDirectoryIsMadeAndNeverAges(t *testing.T) {
	t.Parallel()
	tmpfiles := lookup(t, "systemd-tmpfiles")
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root makes directories of root")
	}
	root := t.TempDir()
	own := writeText(t, filepath.Join(root, "statvent.conf"), shipped(t, "statvent.tmpfiles.conf"))
	// As systemd's own, but that only the time of modification counts, which can be set.
	theirs := writeText(t, filepath.Join(root, "tmp.conf"), "q /tmp 1777 root root mM:10d\n")
	run(t, tmpfiles, "--root="+root, "--create", own, theirs)
	pipes := filepath.Join(root, "tmp", "stats-pipe")
	info, err := os.Stat(pipes)
	if err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Fatalf("it is %v, %v", info, err)
	}
	pipe := filepath.Join(pipes, "1.stats")
	if err := unix.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	retained := writeText(t, filepath.Join(pipes, ".retained-0.typed"), "x")
	other := writeText(t, filepath.Join(root, "tmp", "other"), "x")
	long := time.Now().Add(-1000 * time.Hour)
	for _, path := range []string{pipe, retained, other, pipes} {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	run(t, tmpfiles, "--root="+root, "--clean", own, theirs)
	if _, err := os.Stat(other); err == nil {
		t.Error("/tmp isn't cleaned") // and this test shows nothing
	}
	for _, path := range []string{pipe, retained} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestUserIsMade(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	conf := writeText(t, filepath.Join(root, "statvent.conf"), shipped(t, "statvent.sysusers.conf"))
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root makes users")
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "systemd-sysusers", "--root="+root, conf)
	for file, want := range map[string]string{
		"passwd": `(?m)^statvent:[^:]*:[0-9]+:[0-9]+:statvent serve:/var/lib/statvent:/usr/sbin/nologin$`,
		"group":  `(?m)^statvent:`,
	} {
		text, err := os.ReadFile(filepath.Join(root, "etc", file))
		if err != nil || !regexp.MustCompile(want).Match(text) {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}

// rights are the capabilities that the unit asks for.
func rights(t *testing.T) []uintptr {
	t.Helper()
	unit := shipped(t, "statvent.service")
	known := map[string]uintptr{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_FOWNER": unix.CAP_FOWNER, "CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH,
	}
	setting := func(key string) []string {
		_, text, _ := strings.Cut(unit, "\n"+key+"=")
		text, _, _ = strings.Cut(text, "\n")
		return strings.Fields(text)
	}
	var caps []uintptr
	for _, name := range setting("AmbientCapabilities") {
		c, ok := known[name]
		if !ok {
			t.Fatalf("the unit has %s", name)
		}
		caps = append(caps, c)
	}
	if bound := setting("CapabilityBoundingSet"); !slices.Equal(bound, setting("AmbientCapabilities")) {
		t.Errorf("it is bounded by %q", bound)
	}
	return caps
}

// A user with the rights that the unit gives keeps the counters of killed processes of
// every user, reads what a group keeps to itself, and leaves everything its owner's.
// One right less, and it doesn't.
func TestRightsOfTheUnitAreThoseItTakes(t *testing.T) {
	t.Parallel()
	anotherUser(t)
	const service, victim = 64000, nobodyUID
	all := rights(t)
	folds := func(what string, caps []uintptr, want bool) {
		t.Run(what, func(t *testing.T) {
			dir := sharedDir(t)
			state, err := os.MkdirTemp("/dev/shm", "statvent-state-")
			if err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			t.Cleanup(func() { os.RemoveAll(state) })
			if err := os.Chown(state, service, service); err != nil {
				t.Fatal(err)
			}
			p := startPuppet(t, dir)
			for _, line := range []string{"nobody", "incr n 7", "start"} {
				p.do(line)
			}
			retained := filepath.Join(dir, fmt.Sprintf(".retained-%d.typed", victim))
			lock := filepath.Join(dir, fmt.Sprintf(".retained-%d.lock", victim))
			for path, text := range map[string]string{retained: "statvent: 1\ncounter n: 5\nend: 1\n", lock: ""} {
				writeText(t, path, text)
				if err := os.Chown(path, victim, victim); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(lock, 0o600); err != nil {
				t.Fatal(err)
			}
			serve := startServeAs(t, service, caps, dir, state)
			count := func() {
				t.Helper()
				if stats, _ := serve.stats(t); stats["n"] != "12" {
					t.Errorf("n is %v, want 12", stats)
				}
			}
			count()
			_ = p.Process.Kill()
			<-p.exited
			count()
			if !want {
				for range 3 {
					count()
				}
				serve.end(t)
				if text, err := os.ReadFile(retained); err != nil || strings.Contains(string(text), "n: 12") {
					t.Errorf("it is folded: %v %s", err, text)
				}
				return
			}
			waitUntil(t, "it is folded", func() bool {
				count()
				text, err := os.ReadFile(retained)
				left, dirErr := os.ReadDir(dir)
				return err == nil && strings.Contains(string(text), "counter n: 12\n") && dirErr == nil && len(left) == 2
			})
			for path, mode := range map[string]os.FileMode{retained: 0o644, lock: 0o600} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if uid := info.Sys().(*syscall.Stat_t).Uid; uid != victim || info.Mode() != mode {
					t.Errorf("%s is %v of %d", path, info.Mode(), uid)
				}
			}
			// What only a group may read is read as well.
			group := filepath.Join(dir, "group.stats")
			if err := unix.Mkfifo(group, 0o640); err != nil {
				t.Fatal(err)
			}
			go func() {
				if w, err := os.OpenFile(group, os.O_WRONLY, 0); err == nil {
					_, _ = w.WriteString("of.the.group: 1\n")
					w.Close()
				}
			}()
			if stats, _ := serve.stats(t); stats["of.the.group"] != "1" {
				t.Errorf("got %v", stats)
			}
			serve.end(t)
		})
	}
	folds("all", all, true)
	folds("none", nil, false)
	for i, right := range all {
		folds(fmt.Sprintf("without %d", right), slices.Delete(slices.Clone(all), i, i+1), false)
	}
}

// sharedDir returns a directory of mode 1777 that is root's and that every user can
// get at.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "statvent-shared-")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startServeAs starts a serve of that user, who has these capabilities.
func startServeAs(t *testing.T, uid int, caps []uintptr, dir, state string) *service {
	t.Helper()
	manager := startManager(t)
	for path := filepath.Dir(manager.path); len(path) > len(os.TempDir()); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(manager.path, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "-d", dir, "--listen", "127.0.0.1:0", "--state-dir", state)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+manager.path)
	become(cmd, uid)
	cmd.SysProcAttr.AmbientCaps = caps
	s := &service{process: start(t, cmd)}
	ready := manager.is(`READY=1\nSTATUS=serving http://[^/]+/`)
	_, address, _ := strings.Cut(strings.TrimSuffix(ready, "/"), "http://")
	s.url = "http://" + address
	return s
}
