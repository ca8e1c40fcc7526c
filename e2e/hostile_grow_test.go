//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/statvent/statvent/pkg/pipes"
)

func init() { attacks["grow"] = grow }

// An attacker's files grow for ever, under each name of which a reader opens files: what
// is retained, a final, and what says who lives. They are read up to a limit, or not at
// all, and that is said.
func TestHostileGrowingFiles(t *testing.T) {
	for limit, stats := range map[string]int{"max_retained_stats": pipes.DefaultMaxRetainedStats + 1000, "max_retained_bytes": 1} {
		t.Run(limit, func(t *testing.T) {
			s := newSiege(t)
			a := s.attack("grow", strconv.Itoa(stats))
			a.goOn(t)
			s.under(a, 6, 1000)
			s.isCapped(limit)
			s.ends()
		})
	}
}

// grow makes files longer and longer. What is retained begins with so many stats, and
// all go on with a hole, which takes no room.
func grow(a *assault) error {
	stats, err := strconv.Atoi(a.args[0])
	if err != nil {
		return err
	}
	const begin = "statvent: 1\n"
	text := []byte(begin)
	for i := range stats {
		text = fmt.Appendf(text, "counter evil.%d: 1\n", i)
	}
	texts := map[string][]byte{
		retainedName(attackerUID):       text,
		".grown." + swapID + ".typed":   []byte(begin),
		".grown." + swapID + ".live":    []byte("pid: 1\n"),
		".grown-2." + swapID + ".typed": nil,
	}
	sizes := make(map[*os.File]int64)
	for name, text := range texts {
		err := os.WriteFile(a.path(name), text, 0o644)
		file, openErr := os.OpenFile(a.path(name), os.O_WRONLY, 0)
		if err := errors.Join(err, openErr); err != nil {
			return err
		}
		if sizes[file] = int64(len(text)); stats < 1000 || len(text) < 1000 {
			sizes[file] = 2 * pipes.DefaultMaxRetainedBytes
		}
		if err := file.Truncate(sizes[file]); err != nil {
			return err
		}
	}
	a.ready()
	for !a.told.Load() && !a.ended.Load() {
		nap()
	}
	for a.goesOn() {
		for file := range sizes {
			sizes[file] += 64
			if err := file.Truncate(sizes[file]); err != nil {
				return err
			}
		}
	}
	return nil
}
