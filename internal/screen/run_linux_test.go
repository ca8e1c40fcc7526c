package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/watch"
	"github.com/statvent/statvent/pkg/format"
)

// screenVariable makes this test binary a program with a full screen, which does
// what the variable says.
const screenVariable = "STATVENT_TEST_SCREEN"

const (
	asShow         = "show"          // nothing special
	asFlood        = "flood"         // changes much, as often as it can
	asSeldom       = "seldom"        // collects once an hour
	asPanicCollect = "panic-collect" // in the second collection
	asPanicReport  = "panic-report"  // as soon as sources are shown
	asPanicDraw    = "panic-draw"    // with the second collection
	asSlowReport   = "slow-report"   // takes for ever to describe sources
)

func TestMain(m *testing.M) {
	mode := os.Getenv(screenVariable)
	if mode == "" {
		os.Exit(m.Run())
	}
	interval := 10 * time.Millisecond
	if mode == asSeldom {
		interval = time.Hour
	}
	model := watch.New(func(name string) bool {
		if name == "panic" {
			panic("of a drawing")
		}
		return true
	}, interval)
	n := 0
	err := Run(context.Background(), model, &Look{UTF8: true, Colors: true, Where: "here"}, func(context.Context, bool) (*watch.Update, error) {
		n++
		if n == 2 && mode == asPanicCollect {
			panic("of a collection")
		}
		total := &format.Snapshot{}
		for i := range 20 {
			name := fmt.Sprintf("stat%02d", i)
			if mode == asFlood {
				name += strings.Repeat(string(rune('a'+n%26)), 20)
			}
			total.Stats = append(total.Stats, format.Stat{Name: name, Kind: format.Counter, Value: format.Int(int64(n * i))})
		}
		if n == 2 && mode == asPanicDraw {
			total.Stats = append(total.Stats, format.Stat{Name: "panic"})
		}
		sources := sourcesAt(n % 5)
		return &watch.Update{Time: time.Now(), Total: total, Sources: sources, Report: func() *host.Report {
			switch mode {
			case asPanicReport:
				panic("of a report")
			case asSlowReport:
				select {}
			}
			report := &host.Report{}
			for _, s := range sources {
				report.Sources = append(report.Sources, host.Source{Name: s.Name, State: s.State, User: "somebody"})
			}
			return report
		}}, nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "statvent:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A fakeTerminal is a pseudo-terminal, with a program in it.
type fakeTerminal struct {
	t        *testing.T
	screen   *os.File // what the terminal's user has
	terminal *os.File // what the program has
	before   unix.Termios
	cmd      *exec.Cmd
	exited   chan struct{}

	mu   sync.Mutex
	text bytes.Buffer // that the program has written
}

// startScreen starts the test binary in a terminal. Without a reader, nobody reads
// what it writes.
func startScreen(t *testing.T, mode string, reads bool) *fakeTerminal {
	t.Helper()
	return startCommand(t, mode, reads)
}

// startCommand is startScreen of a command that is given the test binary's path.
func startCommand(t *testing.T, mode string, reads bool, command ...string) *fakeTerminal {
	t.Helper()
	f := openFake(t)
	f.resize(80, 24)
	f.before = f.termios()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command = append(command, self)
	f.cmd = exec.Command(command[0], command[1:]...)
	f.cmd.Env = append(os.Environ(), screenVariable+"="+mode, "TERM=xterm", "GOTRACEBACK=none", "GORACE=atexit_sleep_ms=0")
	f.cmd.Stdin, f.cmd.Stdout, f.cmd.Stderr = f.terminal, f.terminal, f.terminal
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = f.cmd.Wait()
		close(f.exited)
	}()
	if reads {
		go f.read()
	}
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.exited
	})
	return f
}

// openFake opens a pseudo-terminal without a program.
func openFake(t *testing.T) *fakeTerminal {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: there are no pseudo-terminals: %v", err)
	}
	f := &fakeTerminal{t: t, screen: screen, exited: make(chan struct{})}
	if err := unix.IoctlSetPointerInt(f.fd(screen), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(f.fd(screen), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if f.terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.screen.Close()
		f.terminal.Close()
	})
	return f
}

// fd returns the descriptor, which stays one that can be read with a deadline.
func (f *fakeTerminal) fd(file *os.File) (fd int) {
	raw, err := file.SyscallConn()
	if err != nil {
		f.t.Fatal(err)
	}
	_ = raw.Control(func(d uintptr) { fd = int(d) })
	return fd
}

func (f *fakeTerminal) resize(columns, lines uint16) {
	if err := unix.IoctlSetWinsize(f.fd(f.screen), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeTerminal) termios() unix.Termios {
	f.t.Helper()
	termios, err := unix.IoctlGetTermios(f.fd(f.terminal), unix.TCGETS)
	if err != nil {
		f.t.Fatal(err)
	}
	return *termios
}

func (f *fakeTerminal) read() {
	buffer := make([]byte, 65536)
	for {
		n, err := f.screen.Read(buffer)
		f.mu.Lock()
		f.text.Write(buffer[:n])
		f.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// waits waits until the program has written all of the texts, in any order, since
// what was waited for last.
func (f *fakeTerminal) waits(texts ...string) {
	f.t.Helper()
	f.until(fmt.Sprintf("it writes %q", texts), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		end := 0
		for _, text := range texts {
			at := bytes.Index(f.text.Bytes(), []byte(text))
			if at < 0 {
				return false
			}
			end = max(end, at+len(text))
		}
		f.text.Next(end)
		return true
	})
}

// until waits for an event that nobody signals.
func (f *fakeTerminal) until(what string, happened func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !happened() {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (f *fakeTerminal) types(keys string) {
	f.t.Helper()
	if _, err := f.screen.WriteString(keys); err != nil {
		f.t.Fatal(err)
	}
}

// ends waits for the end of the program, which must leave the terminal as it was.
func (f *fakeTerminal) ends(code int) {
	f.t.Helper()
	select {
	case <-f.exited:
	case <-time.After(20 * time.Second):
		f.t.Fatal("it doesn't end")
	}
	if got := f.cmd.ProcessState.ExitCode(); got != code {
		f.t.Errorf("it ends with %v, not %d", f.cmd.ProcessState, code)
	}
	if after := f.termios(); after != f.before {
		f.t.Errorf("the terminal was %+v, and is %+v", f.before, after)
	}
}

// isLeft waits until the screen is what it was before, with a cursor.
func (f *fakeTerminal) isLeft() {
	f.t.Helper()
	f.waits(leaveScreen)
}

func TestTheTerminalIsGivenBack(t *testing.T) {
	t.Parallel()
	after := func(name string, end func(f *fakeTerminal)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startScreen(t, asShow, true)
			f.waits(enterScreen, "stat19")
			if f.termios() == f.before {
				t.Error("the terminal isn't raw")
			}
			end(f)
			f.isLeft()
			f.ends(0)
		})
	}
	signals := func(s syscall.Signal) func(f *fakeTerminal) {
		return func(f *fakeTerminal) { _ = f.cmd.Process.Signal(s) }
	}
	after("q", func(f *fakeTerminal) { f.types("q") })
	after("Ctrl-C", func(f *fakeTerminal) { f.types("\x03") })
	after("q in the help", func(f *fakeTerminal) { f.types("?q") })
	after("Ctrl-C in the filter", func(f *fakeTerminal) { f.types("/abc\x03") })
	after("SIGTERM", signals(syscall.SIGTERM))
	after("SIGINT", signals(syscall.SIGINT))
	after("SIGHUP", signals(syscall.SIGHUP))
	after("SIGQUIT", signals(syscall.SIGQUIT))
}

// What is typed as soon as the terminal is the shell's again is for the shell.
func TestWhatIsTypedAfterTheEndIsLeftAlone(t *testing.T) {
	t.Parallel()
	const rounds = 100
	f := startCommand(t, asShow, true, "sh", "-c", fmt.Sprintf(`for i in $(seq %d); do "$0"; read -r line; echo "then $line"; done`, rounds))
	for range rounds {
		f.waits(enterScreen, "stat19")
		f.types("q")
		for deadline := time.Now().Add(20 * time.Second); f.termios() != f.before; {
			if time.Now().After(deadline) {
				t.Fatal("it doesn't end")
			}
		}
		f.types("hello\n")
		f.waits("then hello")
	}
	f.ends(0)
}

func TestTheTerminalIsGivenBackAfterAPanic(t *testing.T) {
	t.Parallel()
	panics := func(mode, keys, said string) {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := startScreen(t, mode, true)
			f.waits(enterScreen, "stat19")
			f.types(keys)
			f.waits(leaveScreen, "statvent: a mistake in statvent at run_linux_test.go:", said)
			f.ends(1)
			f.mu.Lock()
			defer f.mu.Unlock()
			if text := f.text.String(); strings.Contains(text, "goroutine") {
				t.Errorf("there is a stack: %s", text)
			}
		})
	}
	panics(asPanicCollect, "", "of a collection")
	panics(asPanicReport, "\t", "of a report")
	panics(asPanicDraw, "", "of a drawing")
}

// Users and processes are looked up beside the screen, which goes on meanwhile.
func TestSourcesAreDescribedBesideTheScreen(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asShow, true)
	f.waits(enterScreen, "stat19")
	f.types(" \t") // also while nothing is collected
	f.waits("PAUSED", "unresponsive", "somebody")
	f.types("q")
	f.isLeft()
	f.ends(0)

	f = startScreen(t, asSlowReport, true)
	f.waits(enterScreen, "stat19")
	f.types("\t")
	f.waits("unresponsive")
	f.types("?\x0c")
	f.waits(clearScreen, "clears")
	f.types("q")
	f.isLeft()
	f.ends(0)
}

// A terminal that takes no more text holds up neither keys nor signals.
func TestTheTerminalIsGivenBackWhereNobodyReads(t *testing.T) {
	t.Parallel()
	end := func(name string, end func(f *fakeTerminal)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startScreen(t, asFlood, false)
			last, since := 0, time.Now()
			f.until("it can't write any more", func() bool {
				n, err := unix.IoctlGetInt(f.fd(f.screen), unix.TIOCINQ)
				if err != nil || n != last {
					last, since = n, time.Now()
				}
				return last > 0 && time.Since(since) > 300*time.Millisecond
			})
			end(f)
			f.ends(0)
		})
	}
	end("SIGTERM", func(f *fakeTerminal) { _ = f.cmd.Process.Signal(syscall.SIGTERM) })
	end("q", func(f *fakeTerminal) { f.types("q") })
}

// A terminal that takes nothing for a while is entered as soon as it does.
func TestTheScreenIsEnteredLateWhereNobodyReads(t *testing.T) {
	t.Parallel()
	f := openFake(t)
	term := &terminal{file: f.terminal, frames: make(chan []byte), wrote: make(chan error, 1)}
	if err := term.take(); err != nil {
		t.Fatal(err)
	}
	go term.writeFrames()
	defer close(term.frames)
	term.write(bytes.Repeat([]byte("x"), 1<<20))
	term.release()
	if !term.busy {
		t.Fatal("the terminal took all")
	}
	if err := term.take(); err != nil {
		t.Fatal(err)
	}
	go f.read()
	if err := <-term.wrote; err != nil {
		t.Fatal(err)
	}
	term.show()
	f.waits(beginFrame + enterScreen)
	term.release()
	f.waits(leaveScreen)
}

// What a frame clears is written within it: it isn't seen without what comes after.
func TestTheScreenIsClearedWithinAFrame(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asShow, true)
	f.waits(beginFrame+enterScreen, "stat19")
	f.types("\x0c")
	f.waits(beginFrame+hideCursor+clearScreen, "stat19")
	f.types("q")
	f.isLeft()
	f.ends(0)
}

func TestItEndsWhenTheTerminalIsLost(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asShow, true)
	f.waits(enterScreen, "stat19")
	f.screen.Close()
	select {
	case <-f.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("it doesn't end")
	}
	if !f.cmd.ProcessState.Exited() {
		t.Errorf("it ends with %v", f.cmd.ProcessState)
	}
}

func TestItIsDrawnAnewForEachSize(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asFlood, true)
	f.waits(enterScreen)
	for i := range uint16(50) {
		f.resize(20+i*5, 5+i)
	}
	f.resize(100, 30)
	f.waits(clearScreen, "\x1b[30;87H") // the hint at the end of the last line
	f.types("q")
	f.isLeft()
	f.ends(0)
}

// There is no shell here that could let it go on, so it isn't stopped.
func TestCtrlZWithoutAShellHarmsNothing(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asShow, true)
	f.waits(enterScreen, "stat19")
	f.types("\x1at")
	f.waits("totals")
	f.types("q")
	f.isLeft()
	f.ends(0)
}

// What stops it without asking, and a shell that changes the terminal meanwhile.
func TestItTakesTheTerminalOverAgainAfterSIGSTOP(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asShow, true)
	f.waits(enterScreen, "stat19")
	raw := f.termios()
	_ = f.cmd.Process.Signal(syscall.SIGSTOP)
	before := f.before
	if err := unix.IoctlSetTermios(f.fd(f.terminal), unix.TCSETS, &before); err != nil {
		t.Fatal(err)
	}
	_ = f.cmd.Process.Signal(syscall.SIGCONT)
	f.waits(enterScreen, "stat19")
	f.until("the terminal is raw again", func() bool { return f.termios() == raw })
	f.types("q")
	f.isLeft()
	f.ends(0)
}

func TestRatesDoNotWaitForALongInterval(t *testing.T) {
	t.Parallel()
	f := startScreen(t, asSeldom, true)
	f.waits("1h")
	f.waits("/s")
	f.types("q")
	f.ends(0)
}

func TestThereIsNoScreenOnADumbTerminal(t *testing.T) {
	for _, name := range []string{"", "dumb"} {
		t.Setenv("TERM", name)
		err := Run(t.Context(), watch.New(nil, time.Second), &Look{}, nil)
		if !errors.Is(err, ErrNoScreen) {
			t.Errorf("TERM=%s: %v", name, err)
		}
	}
}
