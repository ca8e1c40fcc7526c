package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each row of docs/promises.md names the tests that hold it, and these are there; and
// so does each attack of SECURITY.md.
func TestPromisesAreHeldByTests(t *testing.T) {
	t.Parallel()
	checkPromises(t, "../docs/promises.md", 30)
	checkPromises(t, "../SECURITY.md", 25)
}

func checkPromises(t *testing.T, document string, least int) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]string) // a package -> the text of its tests
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.Contains(line, "---") || strings.TrimSpace(cells[3]) == "test" {
			continue
		}
		rows++
		for group := range strings.SplitSeq(cells[3], ";") {
			dir, tests, _ := strings.Cut(strings.TrimSpace(group), ":")
			if declared[dir] == "" {
				declared[dir] = testsIn(t, dir)
			}
			for test := range strings.SplitSeq(tests, ",") {
				test = strings.TrimSpace(test)
				if test == "" && dir == "conformance" {
					continue
				}
				if !strings.Contains(declared[dir], "\nfunc "+test+"(") {
					t.Errorf("%s has no test %q, of the promise%s", dir, test, cells[1])
				}
			}
		}
	}
	if rows < least {
		t.Errorf("%s: only %d promises were found", document, rows)
	}
}

func testsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no tests: %v", dir, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// Links within the repository lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	var documents []string
	for _, pattern := range []string{"../*.md", "../*/*.md", "../*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	link, heading := regexp.MustCompile(`\]\(([^)\s]+)\)`), regexp.MustCompile(`(?m)^#+ (.*)$`)
	n := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			n++
			to := document
			if target != "" {
				to = filepath.Join(filepath.Dir(document), target)
			}
			there, err := os.ReadFile(to)
			if _, statErr := os.Stat(to); statErr != nil || anchor != "" && err != nil {
				t.Errorf("%s: %s leads nowhere", document, m[1])
				continue
			}
			if anchor == "" {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(string(there), -1) {
				found = found || anchorOf(h[1]) == anchor
			}
			if !found {
				t.Errorf("%s: %s: there is no such heading", document, m[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d links were found", n)
	}
}

// anchorOf returns what GitHub makes of a heading.
func anchorOf(heading string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case strings.ContainsRune("`.,:;/?!'\"()<>=|*&%$+", r):
			return -1
		default:
			return r
		}
	}, strings.ToLower(strings.TrimSpace(heading)))
	return kept
}
