package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// examples returns the code blocks of docs/scripts.md in the language.
func examples(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		found = append(found, string(block[1]))
	}
	if len(found) == 0 {
		t.Fatalf("docs/scripts.md has no example in %s", language)
	}
	return found
}

// exampleWith returns the example that has that text in it.
func exampleWith(t *testing.T, language, text string) string {
	t.Helper()
	for _, example := range examples(t, language) {
		if strings.Contains(example, text) {
			return example
		}
	}
	t.Fatalf("docs/scripts.md has no example in %s with %q", language, text)
	return ""
}

// A desk is where examples are pasted: a shell that finds statvent, its own pipe
// directory, and commands that do nothing.
type desk struct {
	dir string // of the pipes
	bin string // first in PATH
}

func newDesk(t *testing.T, commands ...string) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), bin: t.TempDir()}
	if err := os.Symlink(binary, filepath.Join(d.bin, "statvent")); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		d.install(t, command, "#!/bin/sh\n")
	}
	return d
}

func (d *desk) install(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(d.bin, name)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func (d *desk) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+d.bin+":"+os.Getenv("PATH"), "STATVENT_PIPE_DIR="+d.dir)
	return cmd
}

// run runs a command and returns its exit status; it prints nothing.
func (d *desk) run(t *testing.T, name string, args ...string) int {
	t.Helper()
	cmd := d.command(name, args...)
	output, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if len(output) > 0 {
		t.Logf("%s says: %s", name, output)
	}
	return cmd.ProcessState.ExitCode()
}

func (d *desk) stats(t *testing.T) map[string]string {
	t.Helper()
	stdout, stderr, code := runStatvent(t, d.dir, "cat")
	if code != 0 {
		t.Fatalf("cat: %d %s", code, stderr)
	}
	return plainStats(t, stdout)
}

func (d *desk) check(t *testing.T, want map[string]string) {
	t.Helper()
	got := d.stats(t)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

func TestExamplesPassShellcheck(t *testing.T) {
	shellcheck := lookup(t, "shellcheck")
	for _, language := range []string{"sh", "bash"} {
		for _, example := range examples(t, language) {
			cmd := exec.Command(shellcheck, "--shell="+language, "-")
			cmd.Stdin = strings.NewReader(example)
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, example, output)
			}
		}
	}
}

func TestExampleLines(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t, "sh", "-ec", exampleWith(t, "sh", "jobs.done")); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.check(t, map[string]string{
		"jobs.done": "1", "bytes.copied": "51200", "mount.ok": "1", "batch.rows.100th": "131", "queue.depth": "",
	})
}

func TestExampleForCron(t *testing.T) {
	d := newDesk(t, "backup")
	schedule := regexp.MustCompile(`^(\S+ ){5} *`)
	line := strings.TrimSpace(exampleWith(t, "crontab", "backup"))
	if !schedule.MatchString(line) {
		t.Fatalf("there is no schedule in %q", line)
	}
	// What cron does with it.
	command := strings.ReplaceAll(schedule.ReplaceAllString(line, ""), `\%`, "%")
	if code := d.run(t, "sh", "-c", command); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.check(t, map[string]string{"backup.seconds.failures": "0"})
	if stats := d.stats(t); stats["backup.seconds.median"] == "" || stats["backup.last_ok"] == "" {
		t.Errorf("the stats are %v", stats)
	}
	d.install(t, "backup", "#!/bin/sh\nexit 5\n")
	if code := d.run(t, "sh", "-c", command); code != 5 {
		t.Errorf("exit code %d of a backup that fails", code)
	}
	d.check(t, map[string]string{"backup.seconds.failures": "1"})
}

func TestExampleWithATrap(t *testing.T) {
	lookup(t, "bash")
	d := newDesk(t)
	script := d.install(t, "import", exampleWith(t, "bash", "import.files"))
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code := d.run(t, script, from, to); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.check(t, map[string]string{"import.runs": "1", "import.files": "2", "import.bytes": "10"})
	if code := d.run(t, script, from, to); code == 0 { // there is nothing to move any more
		t.Error("it doesn't fail")
	}
	d.check(t, map[string]string{"import.runs": "2", "import.files": "2", "import.bytes": "10"})
}

func TestExampleThatTakesLong(t *testing.T) {
	lookup(t, "bash")
	d := newDesk(t, "fetch", "load")
	seen := filepath.Join(t.TempDir(), "seen")
	d.install(t, "transform", "#!/bin/sh\nuntil statvent cat nightly 2>/dev/null | grep -q steps; do :; done\nstatvent list -o plain >"+seen)
	script := d.install(t, "nightly", exampleWith(t, "bash", "nightly.steps"))
	if code := d.run(t, script); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(seen)
	if err != nil || !strings.HasPrefix(string(text), "nightly\t") {
		t.Errorf("meanwhile list says %q, %v", text, err)
	}
	d.check(t, map[string]string{"nightly.steps": "3"})
}

func TestExampleInPHP(t *testing.T) {
	php := lookup(t, "php")
	d := newDesk(t)
	fifo := filepath.Join(t.TempDir(), "shop.fifo")
	paste := func(example string) string { return strings.ReplaceAll(example, "/run/shop/stats.fifo", fifo) }
	requests := d.install(t, "requests.php", paste(exampleWith(t, "php", "shop.requests")))

	// With exec it is emit that gets the signal when the test ends.
	example := strings.Replace(paste(exampleWith(t, "sh", "mkfifo")), "statvent emit", "exec statvent emit", 1)
	start(t, d.command("sh", "-ec", example))
	waitUntil(t, "emit reads", func() bool {
		_, err := os.Stat(filepath.Join(d.dir, "shop.stats"))
		return err == nil
	})
	for range 3 {
		if code := d.run(t, php, requests); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	waitUntil(t, "all has been read", func() bool { return d.stats(t)["shop.requests"] == "3" })
	d.check(t, map[string]string{"shop.revenue": "58.5"})

	// Without anybody who reads, requests go on.
	if err := os.Remove(fifo); err != nil {
		t.Fatal(err)
	}
	if code := d.run(t, php, requests); code != 0 {
		t.Errorf("exit code %d without a FIFO", code)
	}
}
