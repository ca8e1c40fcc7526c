package output

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// openTerminal returns the two ends of a pseudo-terminal.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: there are no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return screen, terminal
}

// A terminal would do what a name says.
func TestNamesAreEscapedOnATerminal(t *testing.T) {
	screen, terminal := openTerminal(t)
	streams := &Streams{Out: terminal, Err: terminal}
	named := func(title, coffee string) *format.Snapshot {
		return &format.Snapshot{Stats: []format.Stat{
			{Name: title, Kind: format.Counter, Value: format.Int(1)},
			{Name: coffee, Kind: format.Gauge, Value: format.Int(2)},
		}}
	}
	stats := &Stats{Snapshot: named("\x1b]0;title\a", "caf\xe9")}
	seen := named(`\x1b]0;title\x07`, `caf\xe9`)
	prints := func(format, want string) {
		t.Helper()
		if err := streams.PrintStats(format, stats); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); got != strings.ReplaceAll(want, "\n", "\r\n") {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
	prints("plain", string(format.AppendPlain(nil, seen)))
	prints("typed", string(format.AppendTyped(nil, &format.Document{Snapshot: seen})))
}
