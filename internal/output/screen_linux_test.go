package output

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// openTerminal returns the two ends of a pseudo-terminal with that many lines.
func openTerminal(t *testing.T, lines uint16) (screen, terminal *os.File) {
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
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}

func TestScreenRedrawsOnATerminal(t *testing.T) {
	screen, terminal := openTerminal(t, 6)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	streams := &Streams{Out: terminal, Err: terminal}
	streams.SetColor("auto")
	s := streams.NewScreen("table")

	var snapshot format.Snapshot
	for _, name := range []string{"a", "b", "c", "d"} {
		snapshot.Stats = append(snapshot.Stats, format.Stat{Name: name, Value: format.Int(1)})
	}
	stats := &Stats{Snapshot: &snapshot, Problems: []string{"3435: no answer"}, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rates: true}
	shows := func(want ...string) {
		t.Helper()
		if err := s.Show(stats); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); got != strings.Join(want, "") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Three of its seven lines don't fit, and one says so.
	frame := []string{
		"\x1b[?7l03:04:05  stats: 4  3435: no answer\x1b[K\r\n", "\x1b[K\r\n",
		"NAME  VALUE  PER SECOND\x1b[K\r\n",
		"a         1           -\x1b[K\r\n",
		"b         1           -\x1b[K\r\n",
		"... 2 more: name some, as in 'statvent watch app.*'\x1b[K",
		"\x1b[J\x1b[?7h",
	}
	shows(append([]string{"\x1b[2J", "\x1b[H"}, frame...)...)
	shows(append([]string{"\x1b[H"}, frame...)...)
}

// A terminal would do what a name says.
func TestNamesAreEscapedOnATerminal(t *testing.T) {
	screen, terminal := openTerminal(t, 24)
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
