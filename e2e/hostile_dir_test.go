//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { attacks["swap directory"] = swapDirectory }

// An attacker was the first, so that the directory is the attacker's, and swaps it for a
// link to another user's. The others' numbers may go, but nothing that stands behind the
// link is opened, and nothing is made there: not by serve, nor by who emits.
func TestHostileDirectory(t *testing.T) {
	s := prepareSiege(t)
	pub := filepath.Join(s.base, "tmp")
	s.dir = filepath.Join(pub, "pipes")
	if err := errors.Join(
		os.Mkdir(pub, 0o700), os.Chmod(pub, 0o777|os.ModeSticky),
		os.Mkdir(s.dir, 0o700), os.Chmod(s.dir, 0o777|os.ModeSticky), os.Lchown(s.dir, attackerUID, attackerUID),
	); err != nil {
		t.Fatal(err)
	}
	// Its secret has the name of a pipe, and there is a pipe.
	s.serve = startServe(t, s.dir, "--deadline", siegeDeadline.String())
	a := startAttacker(t, s.dir, "swap directory", s.outside)
	refused, stored := 0, 0
	emit := func(uid int) {
		cmd := exec.Command(binary, "emit", "-d", s.dir, "jobs")
		become(cmd, uid)
		if got := complete(t, cmd); got.code == 0 {
			stored++
		} else if refused++; !strings.Contains(got.stderr, "symbolic link") && !strings.Contains(got.stderr, "no such file") && !strings.Contains(got.stderr, "not a directory") {
			t.Errorf("emit: %v", got)
		}
	}
	answers := map[int]int{}
	for n := 0; n < 100 || a.rounds.Load() < int64(swapRounds(t)); n++ {
		for _, path := range []string{"/stats", "/sources?stats=1", "/metrics"} {
			resp, err := http.Get(s.serve.url + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			answers[resp.StatusCode]++
		}
		emit(0)
		emit(victimUID)
	}
	a.end(t)
	t.Logf("%d rounds; answers %v; of %d emits %d were refused", a.rounds.Load(), answers, stored+refused, refused)
	if answers[http.StatusOK] == 0 || answers[http.StatusServiceUnavailable] == 0 || len(answers) > 2 {
		t.Errorf("the answers are %v, not both %d and %d", answers, http.StatusOK, http.StatusServiceUnavailable)
	}
	if stored == 0 || refused == 0 {
		t.Errorf("%d emits have stored, and %d were refused, which shows nothing", stored, refused)
	}
	s.isUnharmed()
	for _, dir := range []string{pub, s.dir} {
		for _, name := range listNames(t, dir) {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			if dir == pub && !slices.Contains([]string{"pipes", "aside"}, name) {
				t.Errorf("beside the directory is %s of user %d", name, st.Uid)
			}
		}
	}
	s.serve.end(t)
}

// swapDirectory exchanges the pipe directory and a link.
func swapDirectory(a *assault) error {
	aside := filepath.Join(filepath.Dir(a.dir), "aside")
	if err := os.Symlink(a.args[0], aside); err != nil {
		return err
	}
	a.ready()
	for a.goesOn() {
		if err := unix.Renameat2(unix.AT_FDCWD, a.dir, unix.AT_FDCWD, aside, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("exchange: %w", err)
		}
	}
	if a.rounds%2 == 1 { // an even number of exchanges
		return nil
	}
	return unix.Renameat2(unix.AT_FDCWD, a.dir, unix.AT_FDCWD, aside, unix.RENAME_EXCHANGE)
}
