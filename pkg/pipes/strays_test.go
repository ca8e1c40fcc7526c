//go:build linux

package pipes

import (
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// retire makes a FIFO that has lost its name.
func retire(t *testing.T, dir *directory, name string) *fifo {
	t.Helper()
	f, err := dir.createFIFO(name, 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.remove(name, f.id); err != nil {
		t.Fatal(err)
	}
	return f
}

// blockedReader opens the FIFO of the handle as cat does.
func blockedReader(f *fifo) (done chan struct{}) {
	done = make(chan struct{})
	path := procPath(f.handle)
	ready := make(chan struct{})
	go func() {
		defer close(done)
		close(ready)
		_, _ = readBlocking(path)
	}()
	<-ready
	return done
}

func TestReaderOfARetiredPipeIsLetGo(t *testing.T) {
	noLeaks(t)
	dir := openTestDir(t, t.TempDir())
	var s strays
	defer s.close()
	// It comes before the first look, or after it.
	for i := range 20 {
		f := retire(t, dir, strconv.Itoa(i))
		if i%2 == 0 {
			done := blockedReader(f)
			s.add(f)
			await(t, "the reader of a retired pipe is let go", done)
			continue
		}
		path := procPath(f.handle)
		s.add(f)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = readBlocking(path)
		}()
		await(t, "a reader that came too late is let go", done)
	}
}

func TestReaderIsLetGoWhenTheStraysEnd(t *testing.T) {
	noLeaks(t)
	dir := openTestDir(t, t.TempDir())
	var s strays
	f, late := retire(t, dir, "a"), retire(t, dir, "b")
	s.add(f)
	s.close()
	if f.handle >= 0 {
		t.Error("the pipe is still held after the end")
	}
	s.add(late)
	if late.handle >= 0 {
		t.Error("a pipe that came after the end is still held")
	}
}

func TestRetiredPipesAreHeldForAMomentOnly(t *testing.T) {
	noLeaks(t)
	dir := openTestDir(t, t.TempDir())
	var s strays
	defer s.close()
	began := time.Now()
	held := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.retired)
	}
	for i := range 10 {
		s.add(retire(t, dir, strconv.Itoa(i)))
	}
	eventually(t, "none is held", func() bool { return held() == 0 })
	if took := time.Since(began); took < strayLooks[len(strayLooks)-1] {
		t.Errorf("they were let go after %v already", took)
	}
	s.add(retire(t, dir, "again")) // the timer runs again
	eventually(t, "none is held again", func() bool { return held() == 0 })
}

func TestRetiredPipesAreBounded(t *testing.T) {
	noLeaks(t)
	dir := openTestDir(t, t.TempDir())
	var s strays
	defer s.close()
	first := retire(t, dir, "first")
	s.add(first)
	for i := range maxStrays + 50 {
		s.add(retire(t, dir, strconv.Itoa(i)))
		s.mu.Lock()
		held := len(s.retired)
		s.mu.Unlock()
		if held > maxStrays {
			t.Fatalf("%d are held, want %d at the most", held, maxStrays)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first.handle >= 0 {
		t.Error("the oldest is still held")
	}
}

func TestRetiredPipesAreAddedAndLookedAtAtOnce(t *testing.T) {
	noLeaks(t)
	path := t.TempDir()
	dir := openTestDir(t, path)
	var s strays
	var adding sync.WaitGroup
	for r := range 4 {
		adding.Go(func() {
			for i := range 50 {
				name := strconv.Itoa(r) + "-" + strconv.Itoa(i)
				f, err := dir.createFIFO(name, 0o644, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_ = dir.remove(name, f.id)
				s.add(f)
			}
		})
	}
	await(t, "all are added", waitDone(&adding))
	s.close()
	if names := entries(t, filepath.Clean(path)); len(names) > 0 {
		t.Errorf("there are %q", names)
	}
}
