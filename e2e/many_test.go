//go:build linux

package e2e

import (
	"flag"
	"strconv"
	"testing"
	"time"
)

var manyProcesses = flag.Int("processes", 400, "how many short-lived processes TestManyProcessesCostNothing starts")

// After very many processes there is nothing left of them but what they counted:
// no file, no memory in serve, and an answer takes no longer.
//
//	go test ./e2e -run ManyProcesses -v -processes 10000
func TestManyProcessesCostNothing(t *testing.T) {
	h := newHerd(t)
	serve := startServe(t, h.dir)
	measure := func() (answer time.Duration, memory int) {
		answer = time.Hour
		for range 20 {
			_, took := serve.stats(t)
			answer = min(answer, took)
		}
		return answer, rss(t, serve.Process.Pid) >> 10
	}
	h.size = 100
	h.run(t)
	firstAnswer, firstMemory := measure()
	for done := h.size; done < *manyProcesses; done += h.size {
		h.run(t)
		serve.get(t, "/stats")
	}
	answer, memory := measure()
	t.Logf("after 100 processes an answer takes %v and serve has %d kB, after %d %v and %d kB",
		firstAnswer, firstMemory, max(*manyProcesses, h.size), answer, memory)
	if answer > 3*firstAnswer+10*time.Millisecond {
		t.Errorf("an answer took %v at first, and %v in the end", firstAnswer, answer)
	}
	if memory > firstMemory+firstMemory/2+8<<10 {
		t.Errorf("serve had %d kB at first, and %d kB in the end", firstMemory, memory)
	}
	if served, _ := serve.stats(t); served[intName].String() != strconv.Itoa(max(*manyProcesses, h.size)*herdSteps) {
		t.Errorf("serve says %v", served)
	}
	h.awaitTidiness(t, serve)
}
