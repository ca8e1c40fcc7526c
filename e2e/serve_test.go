//go:build linux

package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/statvent/statvent/pkg/pipes"
)

func TestServeEndsCleanlyOnASignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		serve := startServe(t, t.TempDir())
		serve.get(t, "/-/ready")
		if err := serve.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		<-serve.exited
		if code := serve.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%v: exit code %d", signal, code)
		}
	}
}

func TestServeOnABusyPortSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := strings.TrimPrefix(startServe(t, dir).url, "http://")
	stdout, stderr, code := runStatvent(t, dir, "serve", "--listen", address)
	want := "statvent: can't listen on " + address + ": bind: address already in use\n" +
		"hint: another statvent serve may run; --listen takes another port\n"
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("exit code %d, stdout %q, stderr\n%s", code, stdout, stderr)
	}
}

// serve runs before there is a directory, and sees it come and go.
func TestServeWithoutADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pipes")
	serve := startServe(t, dir)
	if stats, _ := serve.stats(t); len(stats) != 0 {
		t.Errorf("without publishers: %v", stats)
	}
	publisher, _ := startPublisher(t, dir, "a=1.5")
	if stats, _ := serve.stats(t); stats["a"] != "1.5" {
		t.Errorf("with one: %v", stats)
	}
	if err := publisher.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	<-publisher.exited
	if stats, _ := serve.stats(t); len(stats) != 0 {
		t.Errorf("after it has ended: %v", stats)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// An ordinary user is told what is wrong with a directory that only its owner
// can read, and how to mend it.
func TestDirectoryThatCanNotBeRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can become another user")
	}
	dir, err := os.MkdirTemp("/tmp", "statvent-closed-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// The binary is in a directory of root's as well.
	copied := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"-statvent")
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(copied) })

	for _, command := range []string{"cat", "list"} {
		cmd := exec.CommandContext(t.Context(), copied, command)
		cmd.Env = append(os.Environ(), "HOME=/", pipes.DirVariable+"="+dir)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err == nil {
			t.Errorf("%s: no error", command)
		}
		want := "statvent: the pipe directory can't be read: open " + dir + ": permission denied\n" +
			"hint: run statvent as root, as its owner or in its group; or, if every user may publish and read there, chmod 1777 " + dir + "\n"
		if stderr.String() != want || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: exit code %d, %s", command, cmd.ProcessState.ExitCode(), &stderr)
		}
	}
}

func TestServeAnswersWhatItCanNot(t *testing.T) {
	t.Parallel()
	serve := startServe(t, t.TempDir())
	for path, want := range map[string]int{"/": 200, "/stats/x": 404, "/stats?match=[": 400, "/-/healthy": 200} {
		resp, err := http.Get(serve.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
}
