//go:build unix

package output

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// terminalHeight returns how many lines the terminal has, 0 if that is unknown.
func terminalHeight(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}
