//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts of testdata/script say what each command prints, on which stream,
// and with which exit code it ends. Beside testscript's own commands they have:
//
//	publish DIR NAME=VALUE...   start a Go program that publishes in DIR
//	code N COMMAND...           run the statvent command, which exits with N
//	until PATTERN COMMAND...    run it until its stdout matches
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PIPES", filepath.Join(env.WorkDir, "pipes"))
			env.Setenv("STATVENT_PIPE_DIR", filepath.Join(env.WorkDir, "pipes"))
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"publish": scriptPublish,
			"code":    scriptCode,
			"until":   scriptUntil,
		},
	})
}

// scriptPublish starts a publisher, which ends with the script, and sets $PID.
func scriptPublish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: publish DIR NAME=VALUE...")
	}
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(self, args[1:]...)
	cmd.Env = append(os.Environ(), publishVariable+"="+withRecorder, "STATVENT_PIPE_DIR="+ts.MkAbs(args[0]))
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	ready := make([]byte, 512)
	n, err := stdout.Read(ready)
	ts.Check(err)
	ts.Logf("%s", ready[:n])
	ts.Setenv("PID", fmt.Sprint(cmd.Process.Pid))
}

// scriptCode runs the binary and checks its exit code; what it printed is there
// for stdout and stderr.
func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec("statvent", args[1:]...)
	got := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// scriptUntil runs the binary again for as long as stdout doesn't match: what is
// completed on a busy machine may come too late.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(20 * time.Second); ; {
		ts.Check(ts.Exec("statvent", args[1:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("stdout never matches %s", args[0])
		}
	}
}
