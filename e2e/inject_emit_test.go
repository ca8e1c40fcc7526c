//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// emitFaults are the calls that emit makes, and how they fail.
var emitFaults = []struct {
	calls  string
	errors []string
}{
	{anyOpen, []string{"EMFILE", "EIO", "EACCES", "ENOSPC", "EINTR"}},
	{"read", []string{"EIO", "EINTR", "EACCES"}},
	{"write", []string{"ENOSPC", "EIO", "EINTR"}},
	{anyStat, []string{"EIO", "EACCES", "ENOMEM", "EINTR"}},
	{"flock", []string{"ENOLCK", "EIO", "EINTR"}},
	{anyRename, []string{"ENOSPC", "EIO", "EACCES", "EINTR"}},
	{anyUnlink, []string{"EIO", "EACCES"}},
	{anyMkdir, []string{"ENOSPC", "EACCES"}},
	{anyChmod, []string{"EIO", "EACCES", "EINTR"}},
	{"getdents64", []string{"EIO", "EINTR"}},
	{"lseek", []string{"EIO"}},
	{"fcntl", []string{"EIO", "EMFILE"}},
}

// Each system call of an emit fails once: it stores, and ends with exit code 0, or it
// stores nothing, and says why with one line and exit code 1. In no case it stores
// twice, or leaves a temporary file.
func TestEmitWhileSystemCallsFail(t *testing.T) {
	needStrace(t)
	ways := []struct {
		name  string
		first bool // nothing is there before, not even a directory
		folds bool // a process has ended, and what it counted is to be folded
		args  []string
		stdin string
	}{
		{name: "counts", args: []string{"jobs"}},
		{name: "first of all", first: true, args: []string{"jobs"}},
		{name: "folds", folds: true, args: []string{"jobs"}},
		{name: "float", args: []string{"jobs", "1.0"}},
		{name: "sets and counts", args: []string{"--typed", "-"}, stdin: "gauge depth: 1\ncounter jobs: 1\n"},
	}
	tried, injected := make([]atomic.Int64, len(emitFaults)), make([]atomic.Int64, len(emitFaults))
	t.Cleanup(func() {
		for i, fault := range emitFaults {
			if tried[i].Load() == int64(len(ways)) && injected[i].Load() == 0 {
				t.Errorf("nothing failed: %s is never called", fault.calls)
			}
		}
	})
	for w, way := range ways {
		for i, fault := range emitFaults {
			t.Run(way.name+"/"+injection{calls: fault.calls}.name(), func(t *testing.T) {
				t.Parallel()
				tried[i].Add(1)
				for j, errno := range fault.errors {
					if !*injectAll && j != (i+w)%len(fault.errors) {
						continue
					}
					e := &emitting{emitter: newEmitter(t), t: t}
					for n := 1; ; n++ {
						if way.first {
							if err := os.RemoveAll(e.dir); err != nil {
								t.Fatal(err)
							}
							e.jobs = 0
						}
						if way.folds {
							e.endsAProcess(n)
						}
						failed := e.fail(injection{calls: fault.calls, error: errno, when: fmt.Sprint(n)}, way.stdin, way.args)
						if len(failed) == 0 {
							break
						}
						injected[i].Add(1)
					}
				}
			})
		}
	}
}

// emitting is what emits have stored, of which one fails after another.
type emitting struct {
	emitter
	t    *testing.T
	jobs int64 // stored
}

// endsAProcess leaves the final of a process that has counted.
func (e *emitting) endsAProcess(n int) {
	e.t.Helper()
	id := fmt.Sprintf("%016x", n)
	text := "statvent: 1\nid " + id + ": 1\ncounter jobs: 1\nend: 1\n"
	if err := os.WriteFile(filepath.Join(e.dir, ".ended."+id+".typed"), []byte(text), 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.jobs++
}

// fail runs an emit, and returns which of its calls failed.
func (e *emitting) fail(i injection, stdin string, args []string) []string {
	t := e.t
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	plain := e.command(args...)
	cmd := i.strace(t, log, plain.Args...)
	cmd.Env = plain.Env
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	got := complete(t, cmd)
	failed := failedCalls(t, log)
	report := func(what string) {
		t.Helper()
		t.Errorf("%v: %s: %v\nthese failed: %q", i, what, got, failed)
	}
	if isGoRuntime(failed) {
		return failed
	}
	said := strings.TrimSuffix(got.stderr, "\n")
	isLine := strings.HasPrefix(said, "statvent: nothing is stored: ") && !strings.Contains(said, "\n") && strings.Contains(said, errorTexts[i.error])
	isMute := said == "" && strings.Contains(strings.Join(failed, "\n"), "write(2, ")
	isConfig := got.code == 2 && strings.Contains(said, "the configuration file can't be read")
	switch {
	case got.code == 0 && said == "":
		e.jobs++
	case got.code == 3 && strings.Contains(said, "stdin can't be read to its end, and what follows is left out"):
		e.jobs++
	case got.code == 1 && i.error != "EINTR" && (isLine || isMute), isConfig:
	default:
		report("it fails in another way")
	}
	if got := e.stored(); got != e.jobs {
		report(fmt.Sprintf("%d are stored, of %d", got, e.jobs))
		e.jobs = got
	}
	for name := range contents(t, e.dir) {
		if strings.HasPrefix(name, ".tmp-") && i.calls != anyUnlink {
			report(name + " is left")
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(e.dir), ".tmp-*")); err != nil || len(left) > 0 {
		report(fmt.Sprintf("%q is left", left))
	}
	return failed
}

// stored returns how many jobs are, as a reader sees it that can read all.
func (e *emitting) stored() int64 {
	e.t.Helper()
	if !exists(e.dir) {
		return 0
	}
	value, _ := collectTotal(e.t, e.dir).Flatten().Lookup("jobs")
	return value.Int64()
}

// isGoRuntime tells whether one of the calls was one without which Go's runtime gives
// up: to wake itself, or to see whether the standard files are open. They never fail.
func isGoRuntime(failed []string) bool {
	calls := strings.Join(failed, "\n")
	return strings.Contains(calls, `"\1\0\0\0\0\0\0\0", 8`) || strings.Contains(calls, "F_GETFD")
}
