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
			say("only some users can publish in %s: run the program as one of them; or, if every user may, chmod 1777 %[1]s", dir)
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

// OwnerWarning says who can delete everybody's pipes in the directory and shouldn't:
// everybody, or its owner. It is empty if nobody is, or only the owner publishes there.
func OwnerWarning(dir string) string {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return ""
	}
	mode := info.Mode()
	if mode.Perm()&0o002 != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Sprintf("everybody can delete and replace every pipe in %s: chmod +t %[1]s", dir)
	}
	uid, ok := ownerOf(info)
	if !ok || uid == 0 || uid == os.Geteuid() || mode.Perm()&0o022 == 0 {
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
