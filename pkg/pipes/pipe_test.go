//go:build linux

package pipes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

func TestEachReadIsOneWholeSnapshot(t *testing.T) {
	noLeaks(t)
	check := func(n *numbered, reads int) {
		t.Helper()
		path := publish(t, PublisherOptions{Dir: memoryDir(t)}, n).Path()
		together(t, 1, func(int) error {
			for read := range reads {
				text, err := readBlocking(path)
				if err != nil {
					return err
				}
				serial, err := n.whole(text)
				if err != nil {
					return fmt.Errorf("read %d: %w", read, err)
				}
				if want := int64(read + 1); serial != want {
					return fmt.Errorf("read %d got snapshot %d, want %d: one for each read", read, serial, want)
				}
			}
			return nil
		})
	}
	check(numbered12kB(), scaled(3000))
	check(numbered300kB(), scaled(200))
	check(numbered3MB(), scaled(20))
	check(newNumbered(1, 20), scaled(200))
}

func TestReadersThatLockNeverShareASnapshot(t *testing.T) {
	noLeaks(t)
	const readers = 4
	check := func(n *numbered, reads int, pathOf func(p *Publisher) string) {
		t.Helper()
		dir := memoryDir(t)
		path := pathOf(publish(t, PublisherOptions{Dir: dir, Name: "web"}, n))
		var seen sync.Map
		together(t, readers, func(i int) error {
			c := NewCollector(CollectorOptions{Dir: dir, Deadline: patience})
			defer c.Close()
			read := func() (*format.Snapshot, error) { return readFIFO(path) }
			if i%2 == 0 { // half of them are Collectors
				read = func() (*format.Snapshot, error) {
					collection, err := c.Collect(t.Context())
					if err != nil || len(collection.Sources) != 1 {
						return nil, fmt.Errorf("the collection is %+v: %w", collection, err)
					}
					return collection.Sources[0].Snapshot, collection.Sources[0].Err
				}
			}
			for range reads {
				snapshot, err := read()
				if err != nil {
					return err
				}
				serial, err := n.wholeSnapshot(snapshot)
				if err != nil {
					return err
				}
				if _, twice := seen.LoadOrStore(serial, true); twice {
					return fmt.Errorf("snapshot %d was read twice", serial)
				}
			}
			return nil
		})
	}
	for _, pathOf := range []func(p *Publisher) string{(*Publisher).Path, typedPath} {
		check(numbered12kB(), scaled(400), pathOf)
		check(numbered300kB(), scaled(100), pathOf)
	}
}

// A cat is a shell that reads a FIFO again and again with the plain command.
type cat struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	stderr bytes.Buffer
	whole  int
	empty  int
}

const catScript = `i=0; while [ $i -lt $2 ]; do i=$((i+1)); cat "$1" || exit 1; printf '\n=== %s\n' $i; done`

func startCat(t *testing.T, path string, reads int) *cat {
	t.Helper()
	c := &cat{cmd: exec.Command("sh", "-c", catScript, "sh", path, strconv.Itoa(reads))}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = &c.stderr
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdout = stdout
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// kill kills the shell and the cat that it waits for.
func (c *cat) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// run gives each read to check, until all are done.
func (c *cat) run(reads int, check func(text []byte) error) error {
	in := bufio.NewReaderSize(c.stdout, 64<<10)
	var text []byte
	done := 0
	var failed error
	for {
		line, err := in.ReadSlice('\n')
		if bytes.HasPrefix(line, []byte("=== ")) {
			done++
			text = text[:len(text)-1] // the line break before the mark
			if len(text) == 0 {
				c.empty++
			} else if err := check(text); err != nil && failed == nil {
				failed = fmt.Errorf("read %d: %w", done, err)
			} else {
				c.whole++
			}
			text = text[:0]
			continue
		}
		text = append(text, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w after %d reads of %d: %s", err, done, reads, c.stderr.String())
	}
	if failed == nil && done != reads {
		failed = fmt.Errorf("there were %d reads, want %d", done, reads)
	}
	return failed
}

var serialAtEnd = regexp.MustCompile(`: (\d{8})\n`)

// ofOne fails for a text that has lines of two snapshots.
func ofOne(text []byte) error {
	var first string
	for _, match := range serialAtEnd.FindAllSubmatch(text, -1) {
		serial := string(match[1])
		if first == "" {
			first = serial
		}
		if serial != first {
			return fmt.Errorf("one read got lines of the snapshots %s and %s", first, serial)
		}
	}
	return nil
}

func TestCatsNeverHangNorReadTwoSnapshots(t *testing.T) {
	const cats = 4
	check := func(n *numbered, reads int, alone func(text []byte) error) {
		t.Helper()
		path := publish(t, PublisherOptions{Dir: memoryDir(t)}, n).Path()
		all := make([]*cat, cats)
		for i := range all {
			all[i] = startCat(t, path, reads/cats)
		}
		done := make(chan struct{})
		var beside sync.WaitGroup
		var ours atomic.Int32
		var oursErr [4]error
		for i := range oursErr { // readers that lock
			beside.Go(func() {
				for range reads / 10 {
					select {
					case <-done:
						return
					default:
					}
					snapshot, err := readFIFO(path)
					if err == nil {
						_, err = n.wholeSnapshot(snapshot)
					}
					if err != nil && n.lines*n.width < defaultPipeSize {
						oursErr[i] = err
						return
					}
					ours.Add(1)
				}
			})
		}
		var running sync.WaitGroup
		errs := make([]error, cats)
		for i, c := range all {
			running.Go(func() { errs[i] = c.run(reads/cats, alone) })
		}
		within(t, "all cats get to the end", running.Wait, func() {
			for _, c := range all {
				c.kill()
			}
		})
		close(done)
		await(t, "the readers beside them end", waitDone(&beside))
		for i, err := range oursErr {
			if err != nil {
				t.Errorf("reader %d that locks: %v", i, err)
			}
		}
		whole, empty := 0, 0
		for i, c := range all {
			if errs[i] != nil {
				t.Errorf("cat %d: %v", i, errs[i])
			}
			whole, empty = whole+c.whole, empty+c.empty
		}
		if whole == 0 {
			t.Error("no cat got a snapshot")
		}
		t.Logf("cats: %d whole, %d empty; with a lock: %d", whole, empty, ours.Load())
	}
	small := numbered12kB()
	check(small, scaled(10_000), func(text []byte) error { _, err := small.whole(text); return err })
	// Two cats that come at the same moment may share a large one.
	check(numbered300kB(), scaled(400), ofOne)
}

func waitDone(group *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	return done
}

// The first statvent's reader opened whatever it found in the directory, one
// after another, each with an open that waits.
func TestReaderThatOpensEveryEntryNeverHangs(t *testing.T) {
	noLeaks(t)
	dir := memoryDir(t)
	n := numbered12kB()
	var paths []string
	for _, name := range []string{"a", "b", "c"} {
		paths = append(paths, publish(t, PublisherOptions{Dir: dir, Name: name}, n).Path())
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for _, path := range paths {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := readFIFO(path); err != nil {
					t.Errorf("the reader of %s: %v", path, err)
					return
				}
			}
		})
	}
	others.Go(func() { // somebody who comes and goes
		for {
			select {
			case <-stop:
				return
			default:
			}
			p, err := Publish(PublisherOptions{Dir: dir, Name: "d"}, n)
			if err != nil {
				t.Errorf("Publish: %v", err)
				return
			}
			closeSoon(t, p)
		}
	})
	within(t, "every entry was read, again and again", func() {
		whole := 0
		for range scaled(200) {
			list, err := os.ReadDir(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, entry := range list {
				text, err := readBlocking(filepath.Join(dir, entry.Name()))
				if errors.Is(err, os.ErrNotExist) {
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", entry.Name(), err)
				}
				if strings.HasSuffix(entry.Name(), statsSuffix) && len(text) > 0 {
					whole++
					if _, err := n.whole(text); err != nil {
						t.Errorf("%s: %v", entry.Name(), err)
					}
				}
			}
		}
		if whole == 0 {
			t.Error("no snapshot was read")
		}
	}, func() {})
	close(stop)
	await(t, "the other readers end", waitDone(&others))
}

// A name that is taken is found to be so when the pipe that was to have it is
// made already, and may have a reader of every entry.
func TestReaderOfAPipeThatGotNoNameIsLetGo(t *testing.T) {
	noLeaks(t)
	path := memoryDir(t)
	dir := openTestDir(t, path)
	taken := mkfifo(t, filepath.Join(path, "web.stats"))
	made := make(chan struct{})
	go func() {
		defer close(made)
		for range scaled(1000) {
			if f, err := dir.createFIFO("web.stats", 0o644, nil); err == nil {
				t.Error("the name is taken twice")
				f.close()
				return
			}
		}
	}()
	within(t, "the readers of every entry are let go", func() {
		for {
			select {
			case <-made:
				return
			default:
			}
			names, err := readNames(dir.fd)
			if err != nil {
				t.Error(err)
				return
			}
			for _, name := range names {
				if name != filepath.Base(taken) {
					_, _ = readBlocking(filepath.Join(path, name)) // or it is gone
				}
			}
		}
	}, func() {})
	checkEntries(t, path, "web.stats")
}

func TestReaderThatLeavesEarlyCostsNothing(t *testing.T) {
	noLeaks(t)
	check := func(n *numbered, rounds, bytes int) {
		t.Helper()
		path := publish(t, PublisherOptions{Dir: memoryDir(t)}, n).Path()
		for range rounds {
			fd, _ := readSome(t, path, bytes)
			closeFD(fd)
			readWhole(t, path, n)
		}
	}
	check(numbered12kB(), scaled(100), 0)
	check(numbered12kB(), scaled(100), 1)
	check(numbered300kB(), scaled(50), 100)
	check(numbered3MB(), scaled(10), 100)
	check(numbered3MB(), scaled(10), 2<<20)
}

// A reader that opens without waiting and goes wakes the publisher all the
// same.
func TestReaderThatDoesNotReadCostsNothing(t *testing.T) {
	noLeaks(t)
	n := numbered12kB()
	path := publish(t, PublisherOptions{Dir: t.TempDir()}, n).Path()
	for range scaled(200) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		closeFD(fd)
	}
	readWhole(t, path, n)
}

func TestReaderThatStopsHoldsUpNobodyAndGetsTheRest(t *testing.T) {
	noLeaks(t)
	check := func(n *numbered) {
		t.Helper()
		path := publish(t, PublisherOptions{Dir: t.TempDir()}, n).Path()
		fd, begun := readSome(t, path, 1000)
		best := time.Hour
		for range 10 {
			began := time.Now()
			readWhole(t, path, n)
			best = min(best, time.Since(began))
		}
		if best > slack {
			t.Errorf("readers beside a stopped one were answered after %v at the best", best)
		}
		var rest []byte
		var err error
		within(t, "the stopped reader gets the rest", func() { rest, err = readToEnd(fd) }, func() {})
		if err != nil {
			t.Fatal(err)
		}
		if serial, err := n.whole(append(begun, rest...)); err != nil || serial != 1 {
			t.Errorf("the stopped reader got snapshot %d: %v", serial, err)
		}
	}
	check(numbered12kB())
	check(numbered300kB())
	check(numbered3MB())
}

func TestSnapshotIsRenderedOnceForEachReader(t *testing.T) {
	noLeaks(t)
	n := numbered12kB()
	p := publish(t, PublisherOptions{Dir: t.TempDir()}, n)
	for want := range int64(50) {
		if got := n.serial.Load(); got != 2*want {
			t.Fatalf("%d snapshots were rendered for %d readers", got, 2*want)
		}
		readWhole(t, p.Path(), n)
		snapshot, err := readFIFO(typedPath(p))
		noErr(t, err)
		if _, err := n.wholeSnapshot(snapshot); err != nil {
			t.Error(err)
		}
	}
}
