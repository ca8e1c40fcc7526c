//go:build linux

package pipes

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestOneStoppedReaderTooManyCutsOffTheOldest(t *testing.T) {
	needsSmallPipes(t)
	noLeaks(t)
	n := numbered3MB()
	path := publish(t, PublisherOptions{Dir: t.TempDir()}, n).Path()
	type stopped struct {
		fd    int
		begun []byte
	}
	var all []stopped
	for range maxSlowReaders {
		fd, begun := readSome(t, path, 1000)
		all = append(all, stopped{fd, begun})
	}
	// One more, which isn't taken at once either: its snapshot is too large.
	readWhole(t, path, n)
	for i, s := range all {
		var rest []byte
		var err error
		within(t, fmt.Sprintf("stopped reader %d comes to an end", i), func() { rest, err = readToEnd(s.fd) }, func() {})
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.whole(append(s.begun, rest...))
		if i == 0 && err == nil {
			t.Errorf("of %d stopped readers and one more the oldest was not cut off", len(all))
		}
		if i > 0 && err != nil {
			t.Errorf("stopped reader %d of %d: %v", i, len(all), err)
		}
	}
}

func TestCloseCutsOffStoppedReaders(t *testing.T) {
	needsSmallPipes(t)
	noLeaks(t)
	n := numbered3MB()
	closesAtOnce(t, func() *Publisher {
		p := publish(t, PublisherOptions{Dir: t.TempDir()}, n)
		for range maxSlowReaders {
			fd, begun := readSome(t, p.Path(), 1000)
			t.Cleanup(func() {
				var rest []byte
				within(t, "a stopped reader is cut off", func() { rest, _ = readToEnd(fd) }, func() {})
				if _, err := n.whole(append(begun, rest...)); err == nil {
					t.Error("a reader that was stopped when the publisher ended got a whole snapshot")
				}
			})
		}
		readWhole(t, p.Path(), n)
		return p
	})
}

func TestReaderThatIsTooSlowIsCutOffWhenItsTimeIsOver(t *testing.T) {
	noLeaks(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := retry(func() (int, error) { return dupNonblock(w) })
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var slow slowReaders
	done := make(chan struct{})
	slow.take(fd, make([]byte, 3<<20), func() { close(done) })
	slow.mu.Lock()
	active := len(slow.active)
	for _, file := range slow.active {
		_ = file.SetWriteDeadline(time.Now()) // as if slowDeadline were over
	}
	slow.mu.Unlock()
	if active != 1 {
		t.Errorf("%d readers are slow, want 1", active)
	}
	await(t, "the slow reader is cut off", done)
	slow.close()
	if len(slow.active) != 0 {
		t.Errorf("%d readers are still slow", len(slow.active))
	}
}

func TestReaderHandedOverAfterCloseIsCutOff(t *testing.T) {
	noLeaks(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd, err := dupNonblock(w)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var slow slowReaders
	slow.close()
	done := make(chan struct{})
	slow.take(fd, []byte("x: 1\n"), func() { close(done) })
	await(t, "it is cut off", done)
	if n, err := r.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("it got %d bytes (%v)", n, err)
	}
}
