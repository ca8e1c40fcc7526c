//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

func init() { attacks["speak"] = speak }

// evilNames move the cursor, rename the terminal, turn the direction of writing, end a
// line, and are markup, a command and bytes that are no text.
var evilNames = []string{
	"\x1b[2J\x1b[H", "\x1b]0;owned\a", "\x1b]52;c;ZXZpbA==\x1b\\", "\u202eevil", "\u2066x\u2069", "\r evil", "a\b\b\bb", "\x9b31m", "\u009b31m",
	"\xff\xfe", "<script>alert(1)</script>", "$(touch owned)", "`touch owned`", "'\"; touch owned; '", "%s%n", "\u00ad\u200b", "evil\x7f", "{0}", "a\tb", "evil\nstolen: 1",
}

// An attacker's names, of entries and of stats, are text wherever a person sees them,
// and make no line of their own anywhere.
func TestHostileNamesAreText(t *testing.T) {
	s := prepareSiege(t)
	s.dir = pipeDirIn(t, s.base)
	startAttacker(t, s.dir, "speak").end(t)
	s.begin()
	for _, args := range [][]string{{"list"}, {"list", "-o", "plain"}, {"cat", "-o", "table"}, {"cat"}, {"watch", "--once"}, {"watch", "--count", "1"}, {"cat", "\x1b[2J\x1b[H"}, {"cat", "\u202eevil"}} {
		stdout, stderr, code := runStatvent(t, s.dir, append(args, "--deadline", "200ms")...)
		isHarmless(t, strings.Join(args, " ")+", stderr", stderr)
		if len(args) > 1 || args[0] != "cat" { // which is for programs
			isHarmless(t, strings.Join(args, " ")+", stdout", stdout)
		}
		if code != 0 && code != 1 && code != 3 || stdout+stderr == "" {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	for range 3 {
		s.ask()
	}
	stats, _ := s.serve.stats(t)
	for _, name := range []string{"\x1b[2J\x1b[H", "<script>alert(1)</script>", "$(touch owned)", "\u202eevil"} {
		if stats[name] != "1" {
			t.Errorf("%q is %q, so nobody is told it", name, stats[name])
		}
	}
	for _, path := range []string{"/stats", "/sources?stats=1", "/live"} {
		body, _ := s.serve.get(t, path)
		if !json.Valid(body) && path != "/live" {
			t.Errorf("%s is no JSON", path)
		}
		for _, r := range string(body) {
			if r < ' ' && r != '\n' { // all that JSON doesn't allow
				t.Errorf("%s has %U", path, r)
			}
		}
	}
	body, _ := s.serve.get(t, "/metrics")
	line := regexp.MustCompile(`^(#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? \S+)$`)
	for lines := bufio.NewScanner(strings.NewReader(string(body))); lines.Scan(); {
		if text := lines.Text(); text != "" && !line.MatchString(text) || strings.HasPrefix(text, "stolen") {
			t.Errorf("/metrics has the line %q", text)
		}
	}
	log, err := os.ReadFile(s.serve.Stderr.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	isHarmless(t, "the log", strings.ReplaceAll(string(log), "\x7f", "")) // which terminals ignore
	s.ends()
	if exists("owned") {
		t.Error("a command was run")
	}
}

// isHarmless checks a text that a terminal may show.
func isHarmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8: %q", what, text)
	}
	for line := range strings.Lines(text) {
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsPrint(r) && r != '\t' {
				t.Errorf("%s has %U in the line %q", what, r, line)
				break
			}
		}
		if strings.HasPrefix(strings.TrimSpace(line), "stolen") {
			t.Errorf("%s has the line %q", what, line)
		}
	}
}

// speak makes entries with evil names, and a file with evil stats.
func speak(a *assault) error {
	text := "statvent: 1\n"
	n := 0
	for _, name := range evilNames {
		for _, entry := range []string{name + ".stats", "." + name + "." + swapID + ".typed", "." + name + "." + swapID + ".live", name} {
			if err := unix.Mkfifo(a.path(strings.ReplaceAll(entry, "/", "|")), 0o644); err != nil {
				return fmt.Errorf("%q: %w", entry, err)
			}
		}
		if !strings.Contains(name, "\n") {
			text += "counter " + name + ": 1\ngauge " + name + ".gauge: 1\ndistribution " + name + ".d.{0}: 1\nsum " + name + ".d.{0}: 1\nlabel " +
				strconv.Quote(strings.ReplaceAll(name, " ", "%20")) + " " + name + ".d.{0}: 50\nsample " + name + ".d.{0}: 1\n"
			n += 3
		}
	}
	text += fmt.Sprintf("end: %d\n", n)
	if err := os.WriteFile(a.path(retainedName(attackerUID)), []byte(text), 0o644); err != nil {
		return err
	}
	a.ready()
	return nil
}
