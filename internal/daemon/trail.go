package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many links are followed on the way to a file.
const maxLinks = 40

// trail returns the entries of directories that decide what is read at the path:
// that of the file itself and of each link on the way to it. Where something isn't
// there, it is the last. No directory in them is a link.
//
// It is seen that way when an editor puts another file in the place of the old one,
// and when a directory of links is swapped by renaming one link, as Kubernetes does.
func trail(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	root := filepath.VolumeName(path) + string(filepath.Separator)
	var entries []string
	at, rest := root, split(path[len(root):])
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		entry := filepath.Join(at, name)
		info, err := os.Lstat(entry)
		switch {
		case err != nil:
			return append(entries, entry)
		case info.Mode().Type() == fs.ModeSymlink:
			entries = append(entries, entry)
			target, err := os.Readlink(entry)
			if links++; err != nil || links > maxLinks {
				return entries
			}
			if filepath.IsAbs(target) {
				at = root
			}
			rest = append(split(target), rest...)
		case len(rest) == 0:
			entries = append(entries, entry)
		default:
			at = entry
		}
	}
	return entries
}

func split(path string) []string { return strings.Split(path, string(filepath.Separator)) }
