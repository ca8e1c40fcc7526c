//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// A trace is what happened in an episode, and when.
type trace struct {
	mu    sync.Mutex
	began time.Time
	file  *os.File
	last  []string // the newest at the end
}

const lastActions = 30

func newTrace(path string) (*trace, error) {
	file, err := os.Create(path)
	return &trace{began: time.Now(), file: file}, err
}

func (tr *trace) note(who, what string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	line := fmt.Sprintf("%9.4fs %-12s %s\n", time.Since(tr.began).Seconds(), who, fmt.Sprintf(what, args...))
	_, _ = tr.file.WriteString(line)
	if len(tr.last) == lastActions {
		tr.last = append(tr.last[:0], tr.last[1:]...)
	}
	tr.last = append(tr.last, line)
}

// recent returns the last actions.
func (tr *trace) recent() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.last, "")
}
