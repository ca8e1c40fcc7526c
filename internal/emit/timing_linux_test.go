package emit

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal gives the command a terminal of its own, in whose foreground it is.
func onTerminal(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
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
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	cmd.ExtraFiles = []*os.File{terminal}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	return cmd
}

// A terminal has sent the command its SIGINT itself, but a SIGTERM comes from
// somewhere else. In the background neither is from the terminal.
func TestSignalsOfTheTerminalAreNotPassedOn(t *testing.T) {
	is := func(helper string, want ...os.Signal) {
		t.Helper()
		h, pid := startTiming(t, onTerminal(t, helperCommand(t, helper, awaitCommand(t)...)))
		h.says(t, "ready")
		for _, s := range passedOn {
			send(t, pid, s)
			if len(want) > 0 && s == want[0] {
				h.says(t, s.String())
				want = want[1:]
			}
		}
		h.stdin.Close()
		h.took(t, 3)
		if err := next(t, h.ended); err != nil {
			t.Error(err)
		}
	}
	is("time", unix.SIGHUP, unix.SIGTERM, unix.SIGALRM, unix.SIGUSR1, unix.SIGUSR2)
	is("background", passedOn...)
}
