//go:build linux

package e2e

import (
	"bufio"
	byteorder "encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func native32(b []byte) uint32 { return byteorder.NativeEndian.Uint32(b) }

// attacks are what an attacker does, by name. Each goes on until its end is near.
var attacks = map[string]func(a *assault) error{}

// attack is the program that an attacker is: what it does, where, and more of that.
func attack(args []string) error {
	a := &assault{dir: args[1], args: args[2:]}
	if prepare := asRoot[args[0]]; prepare != nil {
		if err := prepare(a); err != nil {
			return err
		}
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(attackerUID), syscall.Setuid(attackerUID)); err != nil {
		return err
	}
	go func() {
		if n, _ := os.Stdin.Read(make([]byte, 100)); n > 0 {
			a.told.Store(true)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		a.ended.Store(true)
	}()
	return attacks[args[0]](a)
}

// asRoot is what an attacker gets that users without rights have in other ways.
var asRoot = map[string]func(a *assault) error{}

// An assault is an attack under way.
type assault struct {
	dir    string // the pipe directory
	args   []string
	rounds int
	told   atomic.Bool // to go on
	ended  atomic.Bool
	fault  []byte // see getFault
}

// ready says that what there is to prepare is prepared.
func (a *assault) ready() { fmt.Println("ready") }

// goesOn tells whether there is another round.
func (a *assault) goesOn() bool {
	const often = 1000
	if a.rounds++; a.rounds%often == 0 {
		fmt.Println("rounds", a.rounds)
	}
	return !a.ended.Load()
}

// nap is for attacks that should last, not for those that are fast.
func nap() { time.Sleep(5 * time.Millisecond) }

// path is that of an entry.
func (a *assault) path(name string) string { return filepath.Join(a.dir, name) }

// fifo makes a FIFO at the name at once, whatever stands there.
func (a *assault) fifo(name string) error {
	tmp := a.path(".attack-" + name)
	_ = os.Remove(tmp)
	if err := unix.Mkfifo(tmp, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, a.path(name))
}

// others returns the entries of other users whose names end so.
func (a *assault) others(suffix string) []string {
	entries, _ := os.ReadDir(a.dir)
	var names []string
	for _, entry := range entries {
		var st unix.Stat_t
		if unix.Lstat(a.path(entry.Name()), &st) == nil && st.Uid != attackerUID && strings.HasSuffix(entry.Name(), suffix) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// An attacker is a process of the attacker's, at full speed on one core.
type attacker struct {
	*process
	name   string
	rounds atomic.Int64 // at least
}

func (s *siege) attack(name string, args ...string) *attacker {
	s.t.Helper()
	a := startAttacker(s.t, s.dir, name, args...)
	return a
}

func startAttacker(t *testing.T, dir, name string, args ...string) *attacker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{name, dir}, args...)...)
	cmd.Env = append(os.Environ(), publishVariable+"="+asAttacker, "GOMAXPROCS=1")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	a := &attacker{process: start(t, cmd), name: name}
	_ = write.Close()
	ready, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer read.Close()
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			text := lines.Text()
			if rounds, ok := strings.CutPrefix(text, "rounds "); ok {
				n, _ := strconv.ParseInt(rounds, 10, 64)
				a.rounds.Store(n)
			} else if text == "ready" {
				close(ready)
			} else {
				t.Log(name, "says", text)
			}
		}
	}()
	select {
	case <-ready:
		return a
	case <-gone:
	}
	select {
	case <-ready: // and has done it
	default:
		<-a.exited
		t.Fatalf("the attacker gives up: %s", a.stderr)
	}
	return a
}

// goOn tells an attacker that has prepared something to go on.
func (a *attacker) goOn(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(a.stdin, "go on\n"); err != nil {
		t.Fatal(err)
	}
}

// end makes the attacker end, and what it has left stays.
func (a *attacker) end(t *testing.T) {
	t.Helper()
	_ = a.stdin.Close()
	<-a.exited
	if !a.ProcessState.Success() {
		t.Errorf("%s: %v: %s", a.name, a.ProcessState, a.stderr)
	}
}
