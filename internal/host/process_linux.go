package host

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is what /proc says of one.
type process struct {
	command string
	started time.Time // zero if unknown
}

// findProcess looks a pid up. A pid of another namespace may be somebody else
// here, so the process must be of that user.
func findProcess(pid, uid int, now time.Time) (process, bool) {
	if pid == 0 {
		return process{}, false
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	info, err := os.Stat(dir)
	if err != nil {
		return process{}, false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != uid {
		return process{}, false
	}
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return process{}, false
	}
	command := strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	return process{command, startTime(dir, now)}, true
}

// clockTicks is USER_HZ: the kernel's unit for times in /proc, 1/100 s on every
// architecture that Go runs on.
const clockTicks = 100

// startTime returns when the process started, from field 22 of its stat, which
// counts from boot.
func startTime(dir string, now time.Time) time.Time {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return time.Time{}
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}
	}
	// Field 2 is the command in brackets, and may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const startField = 22 - 3
	if len(fields) <= startField {
		return time.Time{}
	}
	ticks, err := strconv.ParseFloat(fields[startField], 64)
	if err != nil {
		return time.Time{}
	}
	up, _, _ := strings.Cut(string(uptime), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return time.Time{}
	}
	return now.Add(-time.Duration((seconds - ticks/clockTicks) * float64(time.Second)))
}
