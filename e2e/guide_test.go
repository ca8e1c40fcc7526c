//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A line of docs/guide.md that is typed, and the words that it then shows.
type typed struct {
	line  string
	words []string
}

// transcript returns what is typed in the guide, in order, with what is other here.
func transcript(t *testing.T, here *strings.Replacer) (lines []typed) {
	t.Helper()
	text, err := os.ReadFile("../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`[A-Za-z_][A-Za-z_.]{3,}`)
	for _, block := range regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllSubmatch(text, -1) {
		for line := range strings.Lines(here.Replace(string(block[1]))) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				lines = append(lines, typed{line: command})
				continue
			}
			last := &lines[len(lines)-1]
			last.words = append(last.words, word.FindAllString(line, -1)...)
		}
	}
	return lines
}

// Whoever types what the guide says sees what it shows, but for the numbers.
func TestGuide(t *testing.T) {
	for _, program := range []string{"bash", "curl", "jq"} {
		lookup(t, program)
	}
	d := newDesk(t, "backup")
	d.dir = memoryDir(t)
	built := filepath.Join(d.bin, "worker")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", built, "github.com/statvent/statvent/examples/worker")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var pid string
	for range 2 {
		p := start(t, d.command(built))
		pid = strconv.Itoa(p.Process.Pid)
		waitUntil(t, "it has worked", func() bool {
			out, _, _ := runStatvent(t, d.dir, "cat", pid)
			return strings.Contains(out, "worker.jobs") && strings.Contains(out, "worker.queue_length")
		})
	}
	serve := startServe(t, d.dir)
	serve.stats(t)
	lines := transcript(t, strings.NewReplacer(
		"http://127.0.0.1:7828", serve.url, "3435", pid, "bin/worker", "/worker", "/tmp/stats-pipe", d.dir, "default", "STATVENT_PIPE_DIR"))
	if len(lines) < 10 {
		t.Fatalf("the guide has %d commands", len(lines))
	}
	for _, typed := range lines {
		if strings.Contains(typed.line, "/wchan") && os.Geteuid() != 0 {
			t.Logf("SKIPPED: only root sees everywhere where a thread sleeps: %s", typed.line)
			continue
		}
		cmd := d.command("bash", "-o", "pipefail", "-c", typed.line)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s%v\n%s", typed.line, err, out)
		}
		for _, word := range typed.words {
			if !strings.Contains(string(out), word) {
				t.Errorf("%sdoesn't show %q\n%s", typed.line, word, out)
			}
		}
	}
}
