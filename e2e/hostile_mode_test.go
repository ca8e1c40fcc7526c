//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// statsGID is a group, which one user beside the victim is in.
const (
	statsGID  = 61010
	memberUID = 61003
)

// What the mode of the pipe directory lets whom do. Root's serve reads and folds in all
// of them.
func TestHostileDirectoryModes(t *testing.T) {
	type rights struct{ publish, read, remove bool }
	nothing, all := rights{}, rights{true, true, true}
	for _, d := range []struct {
		mode             uint32
		owner            int
		stranger, member rights
	}{
		{0o1777, 0, rights{publish: true, read: true}, rights{publish: true, read: true}},
		{0o777, 0, all, all},
		{0o700, victimUID, nothing, nothing},
		{0o2750, victimUID, nothing, rights{read: true}},
		{0o2770, 0, nothing, all},
		{0o1770, 0, nothing, rights{publish: true, read: true}},
		{0o3770, 0, nothing, rights{publish: true, read: true}},
	} {
		t.Run(fmt.Sprintf("%o of user %d", d.mode, d.owner), func(t *testing.T) {
			s := prepareSiege(t)
			s.dir = filepath.Join(s.base, "pipes")
			if err := errors.Join(os.Mkdir(s.dir, 0o700), os.Lchown(s.dir, d.owner, statsGID), unix.Chmod(s.dir, d.mode)); err != nil {
				t.Fatal(err)
			}
			as := func(uid, gid int, program string, args ...string) outcome {
				cmd := exec.Command(program, args...)
				become(cmd, uid)
				cmd.SysProcAttr.Credential.Groups = []uint32{uint32(gid)}
				return complete(t, cmd)
			}
			if got := as(victimUID, statsGID, binary, "emit", "-d", s.dir, "victim.jobs", "3"); got.code != 0 {
				t.Fatalf("mode %o: %v", d.mode, got)
			}
			kept := filepath.Join(s.dir, retainedName(victimUID))
			for uid, want := range map[int]rights{attackerUID: d.stranger, memberUID: d.member} {
				gid := uid
				if uid == memberUID {
					gid = statsGID
				}
				publishes := as(uid, gid, binary, "emit", "-d", s.dir, "others.jobs")
				reads := as(uid, gid, binary, "cat", "-d", s.dir)
				if got := publishes.code == 0; got != want.publish {
					t.Errorf("mode %o: user %d publishes: %v, %v", d.mode, uid, got, publishes)
				}
				if got := plainStats(t, reads.stdout)["victim.jobs"] == "3"; got != want.read {
					t.Errorf("mode %o: user %d reads: %v, %v", d.mode, uid, got, reads)
				}
			}
			serve := startServe(t, s.dir)
			awaitStats(t, serve, "victim.jobs=3")
			for uid, want := range map[int]rights{attackerUID: d.stranger, memberUID: d.member} {
				gid := uid
				if uid == memberUID {
					gid = statsGID
				}
				before := inode(t, kept)
				as(uid, gid, lookup(t, "rm"), "-f", kept)
				if removed := !exists(kept); removed != want.remove {
					t.Errorf("mode %o: user %d removes: %v", d.mode, uid, removed)
				} else if removed {
					if got := as(victimUID, statsGID, binary, "emit", "-d", s.dir, "victim.jobs", "3"); got.code != 0 {
						t.Fatalf("mode %o: %v", d.mode, got)
					}
				} else if inode(t, kept) != before {
					t.Errorf("mode %o: user %d has replaced it", d.mode, uid)
				}
			}
			s.isUnharmed()
		})
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
