package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/statvent/statvent/pkg/pipes"
)

// Advice says why there may be no source in the directory and what to do about
// it, a sentence each, the likeliest first.
func Advice(dir string) []string {
	var advice []string
	say := func(format string, args ...any) { advice = append(advice, fmt.Sprintf(format, args...)) }

	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		say("%s does not exist: no program has published there yet", dir)
	case err != nil:
		say("%v", err)
	default:
		if mode := info.Mode(); mode.Perm()&0o002 == 0 {
			say("only some users can publish in %s: to let all of them, chmod 1777 %s", dir, dir)
		}
	}
	if elsewhere := pipesIn(pipes.DefaultDir); dir != pipes.DefaultDir && elsewhere > 0 {
		say("%s has %s: to see them, use --pipe-dir %s", pipes.DefaultDir, count(elsewhere, "pipe"), pipes.DefaultDir)
	}
	if dir == pipes.DefaultDir {
		say("a program that has %s in its environment publishes there: use --pipe-dir, or the same variable", pipes.DirVariable)
	} else {
		say("programs publish in %s unless %s in their environment says %s", pipes.DefaultDir, pipes.DirVariable, dir)
	}
	if private := privateTmps(); private > 0 && strings.HasPrefix(dir, "/tmp/") {
		say("%s with PrivateTmp=yes here, whose /tmp is their own: to see their pipes, add BindPaths=%s to their units",
			count(private, "service runs", "services run"), dir)
	}
	return advice
}

// OwnerWarning says what is wrong with the owner of the directory, who can
// delete everybody's pipes; empty if nothing is.
func OwnerWarning(dir string) string {
	uid, ok := ownerOf(dir)
	if !ok || uid == 0 || uid == os.Geteuid() {
		return ""
	}
	return fmt.Sprintf("%s belongs to %s, who can delete and replace every pipe in it: it should be root's",
		dir, UserName(uid))
}

// pipesIn counts the pipes of a directory.
func pipesIn(dir string) int {
	found, err := filepath.Glob(filepath.Join(dir, "*.stats"))
	if err != nil {
		return 0
	}
	return len(found)
}

// privateTmps counts the services that systemd gave a /tmp of their own.
func privateTmps() int {
	found, err := filepath.Glob("/tmp/systemd-private-*")
	if err != nil {
		return 0
	}
	return len(found)
}

// count returns "1 pipe" or "3 pipes".
func count(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	default:
		return fmt.Sprintf("%d %ss", n, one)
	}
}
