//go:build !linux

package host

import "time"

type process struct {
	command string
	started time.Time
}

// findProcess finds nothing where there is no /proc.
func findProcess(int, int, time.Time) (process, bool) { return process{}, false }
