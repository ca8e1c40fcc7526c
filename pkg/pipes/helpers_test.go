//go:build linux

package pipes

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// patience bounds every wait for something that happens in no time unless it
// is broken.
const patience = 30 * time.Second

// slack is what a loaded machine may add to a time that is measured.
const slack = 400 * time.Millisecond

// withRace tells whether the race detector watches, which takes its time.
var withRace = func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// scaled returns n, or a tenth of it where time is short.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// within runs f, which must return. If it doesn't, rescue is called so that it
// may yet, and the test fails.
func within(t testing.TB, what string, f, rescue func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		rescue()
		buf := make([]byte, 1<<20)
		t.Fatalf("in %v it did not come to pass that %s\n%s", patience, what, buf[:runtime.Stack(buf, true)])
	}
}

// await waits for the channel to be closed.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	within(t, what, func() { <-done }, func() {})
}

// eventually waits until ok says true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("in %v it did not come to pass that %s", patience, what)
		}
	}
}

// together runs n copies of f at once, whose errors are the test's.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var running sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		running.Go(func() { errs[i] = f(i) })
	}
	within(t, "all end that run at once", running.Wait, func() {})
	for i, err := range errs {
		if err != nil {
			t.Errorf("number %d: %v", i, err)
		}
	}
}

// noLeaks makes the test fail if it ends with more goroutines or descriptors
// than it has now. It is called first, to look last.
func noLeaks(t *testing.T) {
	t.Helper()
	others := goleak.IgnoreCurrent()
	before := openFDs(t)
	t.Cleanup(func() {
		goleak.VerifyNone(t, others)
		// A descriptor may be closed a moment after the goroutine that waits for
		// it has ended, by a timer.
		began := time.Now()
		for len(openFDs(t)) > len(before) && time.Since(began) < 3*time.Second {
			time.Sleep(time.Millisecond)
		}
		if after := openFDs(t); len(after) > len(before) {
			t.Errorf("%d descriptors are open, %d were before:\n%s", len(after), len(before), strings.Join(after, "\n"))
		}
	})
}

// openFDs says what the open descriptors stand for.
func openFDs(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(procList(t, "/proc/self/fd"), func(fd string) bool {
		return strings.HasSuffix(fd, "/fd") // that of the listing
	})
}

func procList(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		target, _ := os.Readlink(filepath.Join(dir, entry.Name()))
		list = append(list, entry.Name()+" -> "+target)
	}
	return list
}

func threads(t *testing.T) int { return len(procList(t, "/proc/self/task")) }

// rendered are Stats in the plain format, and so untyped, that leave nothing
// behind.
type rendered func(b []byte) []byte

func (r rendered) Snapshot(s *format.Snapshot) {
	var p format.PlainParser
	_, _ = p.Write(r(nil))
	*s = *p.Snapshot()
}

func (rendered) Final() *format.Snapshot { return &format.Snapshot{} }

// A tally is Stats with a counter n, a gauge g that is 5, and a distribution d
// in which a 2 was recorded for each n.
type tally struct {
	mu     sync.Mutex
	n      int64
	ended  bool
	finals int
}

func (t *tally) add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += n
}

func (t *tally) Snapshot(s *format.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Reset()
	if !t.ended {
		*s = *tallied(t.n)
	}
}

func (t *tally) Final() *format.Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.finals++
	return tallied(t.n).Lasting()
}

func tallied(n int64) *format.Snapshot {
	window := slices.Repeat([]format.Value{format.Int(2)}, int(min(n, 100)))
	return &format.Snapshot{Stats: []format.Stat{
		{Name: "d.{0}", Kind: format.Distribution, Dist: &format.Samples{
			Count: n, Sum: format.Int(2 * n), Window: window, Labels: []format.Label{{Name: "median", Percentile: 50}},
		}},
		{Name: "g", Kind: format.Gauge, Value: format.Int(5)},
		{Name: "n", Kind: format.Counter, Value: format.Int(n)},
	}}
}

// countOf returns the n of a snapshot of tallies, and an error if what else there
// is doesn't fit.
func countOf(s *format.Snapshot) (int64, error) {
	var n, recorded, sum int64
	for _, stat := range s.Stats {
		switch {
		case stat.Name == "n":
			n = stat.Value.Int64()
		case stat.Name == "d.{0}" && stat.Kind == format.Distribution:
			recorded, sum = stat.Dist.Count, stat.Dist.Sum.Int64()
		}
	}
	if recorded != n || sum != 2*n {
		return n, fmt.Errorf("n is %d, but %d values were recorded, which sum up to %d", n, recorded, sum)
	}
	return n, nil
}

// checkCount fails the test unless the tallies have counted so much together.
func checkCount(t testing.TB, c *Collection, want int64) {
	t.Helper()
	if n, err := countOf(c.Total()); n != want || err != nil {
		t.Errorf("they have counted %d, want %d (%v): %s", n, want, err, describe(c))
	}
}

// describe says what a collection has.
func describe(c *Collection) string {
	var b strings.Builder
	for _, s := range c.Sources {
		fmt.Fprintf(&b, "\n%s %s %s: %v, %q", s.Name, s.ID, s.State, s.Err, text(s.Snapshot))
	}
	for _, err := range c.Troubles {
		fmt.Fprintf(&b, "\n%v", err)
	}
	return b.String()
}

// document returns the typed format of a document.
func document(d *format.Document) string { return string(format.AppendTyped(nil, d)) }

// finalOf is the text of the final of a tally.
func finalOf(id string, n int64) string {
	return document(&format.Document{ID: id, PID: 1, Snapshot: tallied(n).Lasting()})
}

// A numbered renders snapshots of a fixed size, each of which has its serial
// number on every line, so that no part of one passes for a part of another.
type numbered struct {
	serial   atomic.Int64
	template []byte
	names    []string // of the lines
	lines    int
	width    int
}

// Serial numbers are written as integers of that many digits.
const (
	serialWidth = 8
	serialBase  = 10_000_000
)

func newNumbered(lines, width int) *numbered {
	n := &numbered{lines: lines, width: width}
	for i := range lines {
		name := fmt.Sprintf("line.%05d.", i)
		if i == lines-1 {
			name = "~end."
		}
		name += strings.Repeat("x", width-len(name)-len(": \n")-serialWidth)
		n.names = append(n.names, name)
		n.template = append(n.template, name+": "+strings.Repeat("0", serialWidth)+"\n"...)
	}
	return n
}

// Snapshots that a FIFO takes at once, that it must be enlarged for, and that
// it never takes at once.
func numbered12kB() *numbered  { return newNumbered(100, 120) }
func numbered300kB() *numbered { return newNumbered(250, 1200) }
func numbered3MB() *numbered   { return newNumbered(300, 10_000) }

// Snapshot and Final make it Stats that leave nothing behind.
func (n *numbered) Snapshot(s *format.Snapshot) {
	value := format.Int(serialBase + n.serial.Add(1))
	s.Reset()
	for _, name := range n.names {
		*s.Extend() = format.Stat{Name: name, Value: value}
	}
}

func (*numbered) Final() *format.Snapshot { return &format.Snapshot{} }

func (n *numbered) render(b []byte) []byte { return n.text(b, n.serial.Add(1)) }

func (n *numbered) text(b []byte, serial int64) []byte {
	start := len(b)
	b = append(b, n.template...)
	digits := strconv.AppendInt(nil, serialBase+serial, 10)
	for end := start + n.width; end <= len(b); end += n.width {
		copy(b[end-1-serialWidth:], digits)
	}
	return b
}

// whole returns the serial number of a text that is one whole snapshot.
func (n *numbered) whole(text []byte) (int64, error) {
	if len(text) != len(n.template) {
		return 0, fmt.Errorf("%d bytes of %d were read: %.40q ... %q", len(text), len(n.template), text, text[max(0, len(text)-40):])
	}
	serial, err := strconv.ParseInt(string(text[len(text)-1-serialWidth:len(text)-1]), 10, 64)
	serial -= serialBase
	if err == nil && !bytes.Equal(text, n.text(nil, serial)) {
		err = fmt.Errorf("what ends as snapshot %d is not that: %.60q ...", serial, text)
	}
	return serial, err
}

// wholeSnapshot is whole for a snapshot that was parsed already.
func (n *numbered) wholeSnapshot(s *format.Snapshot) (int64, error) {
	if len(s.Stats) != n.lines || s.Skipped > 0 {
		return 0, fmt.Errorf("%d stats of %d were read, and %d lines skipped", len(s.Stats), n.lines, s.Skipped)
	}
	if last := s.Stats[n.lines-1].Name; !strings.HasPrefix(last, "~end.") {
		return 0, fmt.Errorf("the last line is %.20q", last)
	}
	serial := s.Stats[0].Value.Int64()
	for _, stat := range s.Stats {
		if stat.Value != format.Int(serial) {
			return 0, fmt.Errorf("%.10q is of snapshot %v, others of %d", stat.Name, stat.Value, serial)
		}
	}
	return serial - serialBase, nil
}

// renderText renders always the same.
func renderText(text string) rendered {
	return func(b []byte) []byte { return append(b, text...) }
}

// publish starts a publisher that is closed at the end of the test.
func publish(t testing.TB, opts PublisherOptions, stats Stats) *Publisher {
	t.Helper()
	p, err := Publish(opts, stats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSoon(t, p) })
	return p
}

// closeSoon closes a publisher where that isn't what is tested: its goroutine
// may come late where the machine is busy, but it must come.
func closeSoon(t testing.TB, p *Publisher) {
	t.Helper()
	err := p.Close()
	within(t, "the publisher's goroutines end", func() { <-p.stats.done; <-p.typed.done }, func() {})
	if err != nil && !strings.Contains(err.Error(), "does not return") {
		t.Errorf("Close: %v", err)
	}
}

// memoryDir returns a directory in memory, where there is one, for tests that
// would otherwise wait for the disk.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "statvent-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// openBlocking opens a FIFO as cat does, and waits for its writer.
func openBlocking(path string) (int, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// readToEnd reads until the writer is through and closes fd.
func readToEnd(fd int) ([]byte, error) {
	defer closeFD(fd)
	var text []byte
	buf := make([]byte, 128<<10)
	for {
		n, err := readFD(fd, buf)
		if n <= 0 || err != nil {
			return text, err
		}
		text = append(text, buf[:n]...)
	}
}

// readBlocking does what cat does.
func readBlocking(path string) ([]byte, error) {
	fd, err := openBlocking(path)
	if err != nil {
		return nil, err
	}
	return readToEnd(fd)
}

// readSome opens a FIFO, reads n bytes of its snapshot and stops there.
func readSome(t *testing.T, path string, n int) (fd int, text []byte) {
	t.Helper()
	var err error
	within(t, "a reader is answered", func() {
		if fd, err = openBlocking(path); err != nil {
			return
		}
		text = make([]byte, n)
		for got := 0; got < n && err == nil; {
			var m int
			m, err = readFD(fd, text[got:])
			if m == 0 && err == nil {
				err = errors.New("the snapshot ends early")
			}
			got += m
		}
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return fd, text
}

// readWhole reads one whole snapshot without a lock.
func readWhole(t *testing.T, path string, n *numbered) int64 {
	t.Helper()
	var text []byte
	var err error
	within(t, "a reader is answered", func() { text, err = readBlocking(path) }, func() {})
	if err != nil {
		t.Fatal(err)
	}
	serial, err := n.whole(text)
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

// readFIFO reads with patience.
func readFIFO(path string) (*format.Snapshot, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return ReadFIFO(ctx, path, Limits{})
}

// text returns the snapshot in the plain format.
func text(s *format.Snapshot) string {
	if s == nil {
		return "no snapshot"
	}
	return string(format.AppendPlain(nil, s))
}

// newCollector returns a Collector that is closed at the end of the test.
func newCollector(t testing.TB, opts CollectorOptions) *Collector {
	t.Helper()
	c := NewCollector(opts)
	t.Cleanup(func() { c.Close() })
	return c
}

// acquainted returns a Collector that is closed at the end of the test, and has
// collected once with patience: whoever has answered by then counts from here on, when
// others are to miss the deadline and a busy machine may make anybody miss it.
func acquainted(t testing.TB, opts CollectorOptions) (*Collector, *Collection) {
	t.Helper()
	patient := opts
	patient.Deadline = patience
	c := newCollector(t, patient)
	first := tidied(t, c)
	c.Change(opts)
	return c, first
}

func collect(t testing.TB, c *Collector) *Collection {
	t.Helper()
	collection, err := c.Collect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return collection
}

// find returns the source of that name.
func find(t testing.TB, c *Collection, name string) Source {
	t.Helper()
	for _, s := range c.Sources {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no source %q in %+v", name, c.Sources)
	return Source{}
}

// checkLive fails the test unless the source answered with that text.
func checkLive(t testing.TB, c *Collection, name, want string) {
	t.Helper()
	if s := find(t, c, name); s.State != Live || text(s.Snapshot) != want {
		t.Errorf("%s is %s (%v) and said %q, want live and %q", name, s.State, s.Err, text(s.Snapshot), want)
	}
}

// checkState fails the test unless the source is without a snapshot in that
// state.
func checkState(t testing.TB, c *Collection, name string, want State) {
	t.Helper()
	if s := find(t, c, name); s.State != want || s.Snapshot != nil || s.Err == nil {
		t.Errorf("%s is %s (%v) and said %q, want %s and no snapshot", name, s.State, s.Err, text(s.Snapshot), want)
	}
}

// checkLast fails the test unless the source didn't answer, is in that state,
// and has what was seen of it last.
func checkLast(t testing.TB, c *Collection, name string, want State, last string) {
	t.Helper()
	if s := find(t, c, name); s.State != want || s.Snapshot == nil || text(s.Snapshot) != last || s.Err == nil {
		t.Errorf("%s is %s (%v) and said %q last, want %s and %q", name, s.State, s.Err, text(s.Snapshot), want, last)
	}
}

// entries returns the names in a directory.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func checkEntries(t testing.TB, dir string, want ...string) {
	t.Helper()
	got := entries(t, dir)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("in the directory are %q, want %q", got, want)
	}
}

// mkfifo makes a FIFO without a publisher.
func mkfifo(t testing.TB, path string) string {
	t.Helper()
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeFile makes a regular file.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func stat(t testing.TB, path string) fileInfo {
	t.Helper()
	info, err := statPath(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return info
}

func exists(path string) bool {
	_, err := statPath(path)
	return err == nil
}

func openTestDir(t testing.TB, path string) *directory {
	t.Helper()
	dir, err := openDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.close)
	return dir
}

// ownStem is the stem of a plain publisher in this process.
func ownStem() string { return strconv.Itoa(os.Getpid()) }

// A plainPublisher publishes in the manner of the first statvent, or of a shell
// script: it makes a pipe, waits for a reader, answers, removes the pipe and
// makes another.
type plainPublisher struct {
	path    string
	answer  func(w int)
	absent  func()       // called when there is no pipe; may be nil
	again   atomic.Int32 // how many pipes it has made after its first
	stopped chan struct{}
	done    chan struct{}
}

// publishPlain starts one that ends with the test. The answer returns when
// stopped is closed.
func publishPlain(t testing.TB, dir, stem string, answer func(w int, stopped <-chan struct{})) *plainPublisher {
	t.Helper()
	p := newPlain(t, dir, stem, answer)
	p.start(t)
	return p
}

func newPlain(t testing.TB, dir, stem string, answer func(w int, stopped <-chan struct{})) *plainPublisher {
	t.Helper()
	p := &plainPublisher{
		path:    mkfifo(t, filepath.Join(dir, statsName(stem))),
		stopped: make(chan struct{}),
		done:    make(chan struct{}),
	}
	p.answer = func(w int) { answer(w, p.stopped) }
	return p
}

func (p *plainPublisher) start(t testing.TB) {
	go p.run()
	t.Cleanup(func() { within(t, "a plain publisher ends", p.stop, func() {}) })
}

func (p *plainPublisher) run() {
	defer close(p.done)
	for {
		w, err := retry(func() (int, error) { return unix.Open(p.path, unix.O_WRONLY|unix.O_CLOEXEC, 0) })
		if err != nil {
			return
		}
		select {
		case <-p.stopped:
			closeFD(w)
			_ = unix.Unlink(p.path)
			return
		default:
		}
		p.answer(w)
		closeFD(w)
		_ = unix.Unlink(p.path)
		if p.absent != nil {
			p.absent()
		}
		if unix.Mkfifo(p.path, 0o644) != nil {
			return
		}
		p.again.Add(1)
	}
}

func (p *plainPublisher) stop() {
	close(p.stopped)
	for {
		if r, err := unix.Open(p.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			closeFD(r)
		}
		select {
		case <-p.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// writeAll writes the text, or as much as there is a reader for.
func writeAll(w int, text []byte) error {
	for len(text) > 0 {
		n, err := writeFD(w, text)
		if err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// says answers with the text.
func says(text string) func(w int, stopped <-chan struct{}) {
	return func(w int, _ <-chan struct{}) { _ = writeAll(w, []byte(text)) }
}

// watchFiles returns a function that says which entries of the directories were
// opened or taken away since.
func watchFiles(t *testing.T, dirs ...string) func() []string {
	t.Helper()
	return watchFor(t, unix.IN_OPEN|unix.IN_DELETE|unix.IN_MOVED_FROM, dirs...)
}

// watchFor returns a function that says to which entries of the directories one
// of these things has happened since.
func watchFor(t *testing.T, what uint32, dirs ...string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skipf("needs inotify: %v", err)
	}
	t.Cleanup(func() { closeFD(fd) })
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, what); err != nil {
			t.Fatal(err)
		}
	}
	return func() []string {
		buf := make([]byte, 1<<20)
		n, err := readFD(fd, buf)
		if err != nil && !wouldBlock(err) {
			t.Fatal(err)
		}
		var names []string
		for rest := buf[:max(n, 0)]; len(rest) > 0; {
			const lenAt = 12 // of the name's length in an inotify_event
			end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(rest[lenAt:]))
			name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))
			if name != "" {
				names = append(names, name)
			}
			rest = rest[end:]
		}
		return names
	}
}

// dupNonblock returns a descriptor of its own for the pipe, which doesn't block.
func dupNonblock(f *os.File) (int, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err == nil {
		err = setNonblock(fd)
	}
	return fd, err
}

// closesAtOnce starts and closes some publishers. Close takes less than 100 ms,
// unless the machine is busy, and leaves nothing in the directory.
func closesAtOnce(t *testing.T, start func() *Publisher) {
	t.Helper()
	const rounds = 5
	best := time.Hour
	for range rounds {
		p := start()
		dir := p.opts.Dir
		began := time.Now()
		err := p.Close()
		best = min(best, time.Since(began))
		if err != nil {
			t.Errorf("Close: %v", err)
		}
		checkEntries(t, dir)
	}
	if best > 100*time.Millisecond {
		t.Errorf("Close took %v at the best of %d times", best, rounds)
	}
}

// runtimeHas tells whether some goroutine is in that function.
func runtimeHas(function string) bool { return goroutinesIn(function) > 0 }

func goroutinesIn(function string) int {
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte(function))
}

// ours returns the names of a publisher's files.
func ours(p *Publisher) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []string{statsName(p.stem), typedName(p.stem, p.id), liveName(p.stem, p.id)}
}

// kept returns the names of what is left for good of processes of this user.
func kept() []string { return []string{retainedName(os.Geteuid()), retainedLockName(os.Geteuid())} }

// typedPath is where the publisher's typed pipe is.
func typedPath(p *Publisher) string { return filepath.Join(p.opts.Dir, ours(p)[1]) }

// tidied collects with a Collector that tidies up, and waits until it has.
func tidied(t testing.TB, c *Collector) *Collection {
	t.Helper()
	within(t, "the Collector has tidied up before", c.tidying.Wait, func() {}) // it does it one at a time
	collection := collect(t, c)
	within(t, "the Collector has tidied up", c.tidying.Wait, func() {})
	return collection
}

// noErr ends the test if something failed that the test itself did.
func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
