//go:build linux

package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// commit makes a repository of what is in this one, or would be, with one commit that has
// a tag.
func commit(t *testing.T, tag string) (dir string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), lookup(t, "git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	files, err := list.Output()
	if err != nil {
		t.Skipf("SKIPPED: this is no repository: %v", err)
	}
	dir = t.TempDir()
	packed := filepath.Join(t.TempDir(), "sources.tar")
	pack := exec.CommandContext(t.Context(), "tar", "-C", "..", "--null", "-T", "-", "-cf", packed)
	pack.Stdin = strings.NewReader(string(files))
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run(t, "tar", "-C", dir, "-xf", packed)
	git(t, dir, "init", "-q")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "all")
	git(t, dir, "tag", tag)
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out := run(t, "git", append([]string{"-C", dir, "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"}, args...)...)
	return strings.TrimSpace(out)
}

// A release is what scripts/dist.sh has made, and said.
type release struct {
	t    *testing.T
	dir  string
	said string
}

func dist(t *testing.T, sources, target string, variables ...string) release {
	t.Helper()
	r := release{t: t, dir: filepath.Join(memoryDir(t), "dist")}
	cmd := exec.CommandContext(t.Context(), filepath.Join(sources, "scripts", "dist.sh"), r.dir, target)
	cmd.Dir = sources
	cmd.Env = append(append(os.Environ(), "TMPDIR="+memoryDir(t)), variables...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dist.sh: %v\n%s", err, out)
	}
	r.said = string(out)
	return r
}

// file returns the only file of the release with such a name.
func (r release) file(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(r.dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s is %q, %v\n%s", pattern, found, err, r.said)
	}
	return found[0]
}

// deb returns the package for this machine, or skips the test if there could be none.
func (r release) deb(t *testing.T) string {
	t.Helper()
	if i := strings.Index(r.said, "SKIPPED"); i >= 0 {
		t.Skipf("%s\n%s", strings.TrimSpace(r.said[i:]), r.said[:i])
	}
	return r.file(t, "statvent_*_"+runtime.GOARCH+".deb")
}

// A host is a directory that dpkg takes for one.
type host struct {
	t    *testing.T
	root string
}

func newHost(t *testing.T) host {
	t.Helper()
	lookup(t, "dpkg")
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root installs packages")
	}
	h := host{t, memoryDir(t)}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "tmp"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeText(t, h.path("var/lib/dpkg/status"), "")
	return h
}

func (h host) path(path string) string { return filepath.Join(h.root, path) }

// dpkg runs the scripts of a package on this machine, for that root: they must not
// touch this machine.
func (h host) dpkg(args ...string) {
	h.t.Helper()
	run(h.t, "dpkg", append([]string{
		"--root=" + h.root, "--force-script-chrootless", "--force-confold", "--force-unsafe-io", "--log=" + h.path("dpkg.log"),
	}, args...)...)
}

func (h host) has(path, want string) {
	h.t.Helper()
	text, err := os.ReadFile(h.path(path))
	if err != nil || !strings.Contains(string(text), want) {
		h.t.Errorf("%s has %q, %v; want %q", path, text, err, want)
	}
}

func (h host) lacks(paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(h.path(path)); err == nil {
			h.t.Errorf("%s is there", path)
		}
	}
}

func (h host) isMode(path string, mode fs.FileMode) {
	h.t.Helper()
	if info, err := os.Lstat(h.path(path)); err != nil || info.Mode() != mode {
		h.t.Errorf("%s: %v, %v; want %v", path, info, err, mode)
	}
}

// What is released is the same wherever it is built, installs, is upgraded without the
// loss of what was kept, and goes.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: it builds a release three times")
	}
	native := "linux/" + runtime.GOARCH
	here := commit(t, "v1.2.3")
	revision, made := git(t, here, "rev-parse", "HEAD"), git(t, here, "log", "-1", "--format=%ct")
	old := dist(t, here, native, "TZ=UTC")

	t.Run("is the same from sources elsewhere", func(t *testing.T) {
		there := filepath.Join(memoryDir(t), "their sources")
		run(t, "sh", "-c", `umask 077 && git clone -q "$0" "$1" && rm -r "$1/.git"`, here, there)
		again := dist(t, there, native,
			"VERSION=v1.2.3", "REVISION="+revision, "SOURCE_DATE_EPOCH="+made, "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
		text, err := os.ReadFile(filepath.Join(old.dir, "SHA256SUMS"))
		second, secondErr := os.ReadFile(filepath.Join(again.dir, "SHA256SUMS"))
		if err != nil || secondErr != nil || len(second) == 0 {
			t.Fatal(err, secondErr)
		}
		for line := range strings.Lines(string(second)) {
			if !strings.Contains(string(text), line) {
				t.Errorf("%s is not in\n%s", line, text)
			}
		}
	})

	t.Run("has checksums", func(t *testing.T) {
		check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
		check.Dir = old.dir
		out, err := check.CombinedOutput()
		files, readErr := os.ReadDir(old.dir)
		if err != nil || readErr != nil || strings.Count(string(out), ": OK") != len(files)-1 {
			t.Errorf("%v, %v: of %d files\n%s", err, readErr, len(files), out)
		}
	})

	t.Run("is an archive", func(t *testing.T) {
		dir := t.TempDir()
		run(t, "tar", "-C", dir, "-xzf", old.file(t, "*-linux-"+runtime.GOARCH+".tar.gz"))
		dir = filepath.Join(dir, "statvent-1.2.3-linux-"+runtime.GOARCH)
		said := run(t, filepath.Join(dir, "statvent"), "version", "-o", "json")
		if want := `{"version":"v1.2.3","revision":"` + revision + `","time":"`; !strings.HasPrefix(said, want) || strings.Contains(said, "modified") {
			t.Errorf("its version is %s, want %s", said, want)
		}
		pages, err := filepath.Glob(filepath.Join(dir, "docs", "*.md"))
		if err != nil || len(pages) < 5 {
			t.Errorf("its pages are %q, %v", pages, err)
		}
		link := regexp.MustCompile(`\]\(([^):#]+)[)#]`)
		for _, page := range append(pages, filepath.Join(dir, "README.md")) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(m[1]))); err != nil {
					t.Errorf("%s links to %s: %v", filepath.Base(page), m[1], err)
				}
			}
		}
	})

	t.Run("passes lintian", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), lookup(t, "lintian"), "--allow-root", "--fail-on", "error", old.deb(t)).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if len(out) > 0 {
			t.Logf("%s", out)
		}
	})

	t.Run("installs where the directory of the pipes can't be made", func(t *testing.T) {
		lookup(t, "systemd-tmpfiles")
		deb := old.deb(t)
		h := newHost(t)
		if err := os.Chown(h.root, 1000, -1); err != nil { // systemd-tmpfiles goes into no such directory
			t.Fatal(err)
		}
		h.dpkg("--install", deb)
		h.lacks("tmp/stats-pipe")
		h.has("var/lib/dpkg/status", "Status: install ok installed")
	})

	t.Run("installs, is upgraded and goes", func(t *testing.T) {
		deb := old.deb(t)
		h := newHost(t)
		h.dpkg("--install", deb)
		if out := run(t, h.path("usr/bin/statvent"), "--version"); !strings.Contains(out, "1.2.3") {
			t.Errorf("its version is %s", out)
		}
		h.isMode("usr/bin/statvent", 0o755)
		h.isMode("tmp/stats-pipe", fs.ModeDir|fs.ModeSticky|0o777)
		h.has("etc/passwd", "statvent:")
		h.has("usr/lib/systemd/system/statvent.service", "ExecStart=/usr/bin/statvent serve")
		h.isMode("usr/lib/systemd/system/statvent.socket", 0o644)
		for _, path := range []string{
			"bash-completion/completions/statvent", "zsh/vendor-completions/_statvent", "fish/vendor_completions.d/statvent.fish",
			"man/man1/statvent.1.gz", "man/man1/statvent-cat.1.gz", "doc/statvent/README.md", "doc/statvent/docs/running.md",
			"doc/statvent/examples/node/publisher.js", "doc/statvent/configs/prometheus.yml", "doc/statvent/copyright",
		} {
			h.isMode("usr/share/"+path, 0o644)
		}
		const wants = "etc/systemd/system/multi-user.target.wants/statvent.service"
		if info, err := os.Lstat(h.path(wants)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("it isn't enabled: %v, %v", info, err)
		}
		if _, err := os.Lstat("/" + wants); err == nil {
			t.Error("it is enabled on this machine")
		}

		writeText(t, h.path("etc/statvent/statvent.yaml"), "log_level: debug # mine\n")
		writeText(t, h.path("var/lib/statvent/seen"), "what was seen last")
		run(t, h.path("usr/bin/statvent"), "-d", h.path("tmp/stats-pipe"), "emit", "jobs.done", "7")
		kept := func() {
			t.Helper()
			if out, _, _ := runStatvent(t, h.path("tmp/stats-pipe"), "cat"); out != "jobs.done: 7\n" {
				t.Errorf("of what was emitted there is %q", out)
			}
		}
		writeText(t, filepath.Join(here, "configs", "statvent.yaml"), shipped(t, "statvent.yaml")+"# a new default\n")
		git(t, here, "commit", "-q", "-a", "-m", "more")
		git(t, here, "tag", "v1.3.0-rc1")
		newer := dist(t, here, native).deb(t)
		h.dpkg("--install", newer)
		if out := run(t, h.path("usr/bin/statvent"), "--version"); !strings.Contains(out, "1.3.0-rc1") {
			t.Errorf("its version is %s", out)
		}
		h.has("etc/statvent/statvent.yaml", "# mine")
		h.has("etc/statvent/statvent.yaml.dpkg-dist", "# a new default")
		h.has("var/lib/statvent/seen", "what was seen last")
		kept()

		h.dpkg("--remove", "statvent")
		h.lacks("usr/bin/statvent", "usr/lib/systemd/system/statvent.service")
		h.has("etc/statvent/statvent.yaml", "# mine")
		h.has("var/lib/statvent/seen", "what was seen last")
		kept()

		// Who has disabled it finds it so when it comes back.
		if err := os.Remove(h.path(wants)); err != nil {
			t.Error(err)
		}
		h.dpkg("--install", newer)
		h.lacks(wants)
		h.has("etc/statvent/statvent.yaml", "# mine")

		h.dpkg("--purge", "statvent")
		h.lacks("etc/statvent", "var/lib/statvent", wants)
		kept() // it is that of the programs
	})
}
