package statvent

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module    = "github.com/statvent/statvent/"
	libraries = module + "pkg/"
)

// goList returns the lines of go list for that operating system.
func goList(t *testing.T, goos string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &problems)
	}
	return strings.Fields(string(out))
}

var systems = []string{"linux", "darwin", "freebsd", "openbsd", "netbsd", "windows"}

// A program that imports this package gets no web server, no command line and
// nobody else's code.
func TestLibrariesNeedOnlyTheStandardLibraryAndSys(t *testing.T) {
	for _, goos := range systems {
		packages := goList(t, goos, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", libraries+"...")
		for _, name := range []string{"statvent", "pipes", "format"} {
			if !slices.Contains(packages, libraries+name) {
				t.Errorf("on %s: %s isn't among %q", goos, libraries+name, packages)
			}
		}
		for _, path := range packages {
			if !strings.HasPrefix(path, libraries) && !strings.HasPrefix(path, "golang.org/x/sys/") {
				t.Errorf("on %s: %s is needed", goos, path)
			}
		}
	}
}

func TestLibrariesDependOneWay(t *testing.T) {
	check := func(goos, library string, allowed ...string) {
		t.Helper()
		for _, path := range goList(t, goos, "-f", `{{join .Imports "\n"}}`, libraries+library) {
			if strings.HasPrefix(path, module) && !slices.Contains(allowed, path) {
				t.Errorf("on %s: %s imports %s", goos, library, path)
			}
		}
	}
	for _, goos := range systems {
		check(goos, "format")
		check(goos, "pipes", libraries+"format")
		check(goos, "statvent", libraries+"format", libraries+"pipes")
	}
}
