//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func init() { attacks["note"] = noteAll }

// An attacker's retained file says that the others' recorders are in it already, and
// what an attacker deletes is the attacker's own.
func TestHostileNotes(t *testing.T) {
	s := newSiege(t)
	as := func(uid int, args ...string) outcome {
		cmd := exec.Command(binary, append([]string{"emit", "-d", s.dir}, args...)...)
		become(cmd, uid)
		return complete(t, cmd)
	}
	for _, c := range s.citizens {
		if got := as(c.uid, c.name+".kept", "5"); got.code != 0 {
			t.Fatal(got)
		}
	}
	a := s.attack("note")
	s.under(a, 200, 3000)
	for _, c := range s.citizens {
		for _, name := range []string{c.name + ".kept", c.name + ".jobs", "no.such"} {
			as(attackerUID, "--delete", name)
		}
	}
	s.under(a, 20, 0)
	stats, _ := s.serve.stats(t)
	for _, c := range s.citizens {
		if got := stats[c.name+".kept"]; got != "5" {
			t.Errorf("%s.kept is %q, want 5", c.name, got)
		}
	}
	s.ends()
}

// noteAll notes the ids of all others in a retained file and in finals, again and again.
func noteAll(a *assault) error {
	for a.goesOn() {
		text := "statvent: 1\n"
		ids := 0
		for _, name := range a.others(".typed") {
			if parts := strings.Split(name, "."); len(parts) == 4 {
				text += "folded " + parts[2] + ": 1\n"
				ids++
			}
		}
		text += fmt.Sprintf("end %d: 0\n", ids+1)
		for _, name := range []string{retainedName(attackerUID), ".evil." + swapID + ".typed"} {
			tmp := a.path(".attack-note")
			if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
				return err
			}
			if err := os.Rename(tmp, filepath.Join(a.dir, name)); err != nil {
				return err
			}
		}
		if a.rounds == 1 {
			a.ready()
		}
	}
	return nil
}
