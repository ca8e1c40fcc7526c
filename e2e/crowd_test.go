//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/statvent/statvent/pkg/statvent"
)

// Many who ask at once share what is made for them: the memory that it takes is
// that of a few documents, however many they are.
func TestCrowdTakesLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: takes a minute")
	}
	dir := memoryDir(t)
	r := statvent.NewRegistry()
	for i := range 20_000 {
		r.Incr(fmt.Sprintf("app.requests.of.some.kind.%d", i))
	}
	rec, err := statvent.StartRecorder(statvent.WithPipeDir(dir), statvent.WithRegistry(r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	serve := startServe(t, dir)

	const crowd, most = 200, 200 << 20
	for _, path := range []string{"/stats", "/stats?match=*", "/sources?stats=1", "/metrics", "/live", "/live?stat=app.requests.of.some.kind.7"} {
		if err := serve.read(path); err != nil { // what one takes
			t.Fatal(err)
		}
		forgetPeak(t, serve.Process.Pid)
		var clients sync.WaitGroup
		failed := make(chan error, crowd)
		for range crowd {
			clients.Go(func() { failed <- serve.read(path) })
		}
		clients.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		took := peak(t, serve.Process.Pid)
		t.Logf("%s: %d MiB at the most", path, took>>20)
		if took > most {
			t.Errorf("%s takes %d MiB", path, took>>20)
		}
	}
}

// read reads an answer as it comes, compressed, without keeping it.
func (s *service) read(path string) error {
	resp, err := http.Get(s.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
