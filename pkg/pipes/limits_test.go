//go:build linux

package pipes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readPatiently reads a whole snapshot, as soon as there is a pipe: a publisher
// that could not make one tries again after a second or two.
func readPatiently(path string, n *numbered) error {
	const patience = 10 * time.Second
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		type result struct {
			text []byte
			err  error
		}
		read := make(chan result, 1)
		go func() {
			text, err := readBlocking(path)
			read <- result{text, err}
		}()
		select {
		case r := <-read:
			if errors.Is(r.err, fs.ErrNotExist) && time.Since(began) < patience {
				continue
			}
			if r.err != nil {
				return r.err
			}
			_, err := n.whole(r.text)
			return err
		case <-time.After(patience):
			return errors.New("the reader is not answered")
		}
	}
}

func TestReadersAreAnsweredOnAFullDisk(t *testing.T) {
	runInOwnMounts(t, "full-disk", t.TempDir())
}

// runInOwnMounts runs a helper in a mount namespace of its own.
func runInOwnMounts(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := helperCommand(t, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Skipf("needs a mount namespace of its own: %v", err)
	}
	awaitEnd(t, cmd, &output)
}

// helpFullDisk publishes in a file system that has room for one more file.
func helpFullDisk(args []string) error {
	dir := args[0]
	if err := mountSmall(dir); err != nil {
		return err
	}
	n := numbered12kB()
	p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, n)
	if err != nil {
		return err
	}
	if err := fillDisk(dir); err != nil {
		return err
	}
	for read := range 3 {
		if err := readPatiently(p.Path(), n); err != nil {
			return fmt.Errorf("read %d on the full disk: %w", read, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "filler-0")); err != nil {
		return err
	}
	for read := range 10 {
		if err := readPatiently(p.Path(), n); err != nil {
			return fmt.Errorf("read %d after there was room: %w", read, err)
		}
	}
	return p.Close()
}

// mountSmall mounts a file system that has room for ten files.
func mountSmall(dir string) error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=10,mode=1777"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// fillDisk leaves room for no file.
func fillDisk(dir string) error {
	for i := 0; ; i++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("filler-%d", i)))
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
		_ = f.Close()
	}
}

func TestReadersAreAnsweredAgainAfterDescriptorsRanOut(t *testing.T) {
	dir := t.TempDir()
	h := startHelper(t, "no-descriptors", dir)
	n := numbered12kB()
	path := filepath.Join(dir, "web.stats")
	// The publisher waits in an open that has got its descriptor.
	if err := readPatiently(path, n); err != nil {
		t.Errorf("the reader that came when there were no descriptors left: %v", err)
	}
	h.say(t, "free")
	h.await(t, "freed")
	for read := range 10 {
		if err := readPatiently(path, n); err != nil {
			t.Errorf("read %d after there were descriptors again: %v", read, err)
		}
	}
	h.end(t)
	checkEntries(t, dir)
}

// helpNoDescriptors publishes and uses up all descriptors.
func helpNoDescriptors(args []string) error {
	if err := limitDescriptors(100); err != nil {
		return err
	}
	n := numbered12kB()
	p, err := Publish(PublisherOptions{Dir: args[0], Name: "web"}, n)
	if err != nil {
		return err
	}
	fillers, err := fillDescriptors(p, 0)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 100))
	for _, fd := range fillers {
		closeFD(fd)
	}
	fmt.Println("freed")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return p.Close()
}

func limitDescriptors(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = n
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// fillDescriptors uses up all descriptors but some, when the publisher waits for
// readers and holds none that it will let go of.
func fillDescriptors(p *Publisher, free int) (fillers []int, err error) {
	holds := func(s *strays) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.retired) > 0
	}
	for began := time.Now(); !bothBlocked() || holds(&p.stats.strays) || holds(&p.typed.strays); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			return nil, errors.New("the publisher does not wait")
		}
	}
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			break
		}
		if err != nil {
			return nil, err
		}
		fillers = append(fillers, fd)
	}
	for _, fd := range fillers[:free] {
		closeFD(fd)
	}
	return fillers[free:], nil
}

// A publisher without a descriptor for its next pipe lives, and is itself.
func TestPublisherOutOfDescriptorsStaysInTheTotal(t *testing.T) {
	for free := range 3 {
		t.Run(fmt.Sprintf("%d free", free), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := startHelper(t, "few-descriptors", dir, strconv.Itoa(free))
			c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
			check := func(collection *Collection) {
				t.Helper()
				checkCount(t, collection, 5)
				if len(collection.Sources) != 1 || collection.Sources[0].Kind != TypedSource {
					t.Errorf("the sources are%s", describe(collection))
				}
			}
			check(first)
			check(tidied(t, c))
			h.say(t, "fill")
			h.await(t, "full")
			for range 6 {
				check(tidied(t, c))
			}
			h.end(t)
			checkCount(t, tidied(t, c), 5)
			checkEntries(t, dir, kept()...)
		})
	}
}

// helpFewDescriptors publishes a tally of 5, and uses up its descriptors but some
// when it is told to.
func helpFewDescriptors(args []string) error {
	free, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := limitDescriptors(100); err != nil {
		return err
	}
	p, err := Publish(PublisherOptions{Dir: args[0], Name: "web"}, &tally{n: 5})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 100))
	fillers, err := fillDescriptors(p, free)
	if err != nil {
		return err
	}
	fmt.Println("full")
	_, _ = os.Stdin.Read(make([]byte, 1))
	for _, fd := range fillers {
		closeFD(fd)
	}
	return p.Close()
}

// withOneDescriptor collects with a single descriptor left, which the directory
// takes.
func withOneDescriptor(t *testing.T, c *Collector) (*Collection, error) {
	t.Helper()
	var before unix.Rlimit
	noErr(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	lowest := must(unix.Dup(0))
	closeFD(lowest)
	noErr(t, limitDescriptors(uint64(lowest)+1))
	collection, err := c.Collect(t.Context())
	noErr(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &before))
	return collection, err
}

// Whoever can't open a .live file for want of descriptors doesn't know whether it
// is locked. No pid tells, as from another pid namespace.
func TestCollectorOutOfDescriptorsBuriesNobody(t *testing.T) {
	dir := memoryDir(t)
	h := startTally(t, 5, dir, "4000000")
	c, first := acquainted(t, CollectorOptions{Dir: dir, Deadline: shortDeadline / 5, Tidy: true, StaleAfter: time.Nanosecond})
	checkCount(t, first, 5)
	h.signal(t, syscall.SIGSTOP)
	h.awaitStopped(t)
	for range 2 {
		checkCount(t, tidied(t, c), 5)
	}
	c.tidying.Wait()
	collection, err := withOneDescriptor(t, c)
	noErr(t, err)
	checkCount(t, collection, 5)
	if s := find(t, collection, "4000000"); s.State != Unresponsive {
		t.Errorf("it is %s: %v", s.State, s.Err)
	}
	h.signal(t, syscall.SIGCONT)
	eventually(t, "it is back", func() bool { return find(t, tidied(t, c), "4000000").State == Live })
	checkCount(t, tidied(t, c), 5)
	h.end(t)
	checkCount(t, tidied(t, c), 5)
	checkCount(t, tidied(t, c), 5)
	checkEntries(t, dir, kept()...)
}

// A total without what is retained would be a wrong one.
func TestCollectorOutOfDescriptorsFailsOverARetainedFile(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	noErr(t, Retain(dir, tallied(100)))
	c := newCollector(t, CollectorOptions{Dir: dir, Tidy: true})
	for range 2 {
		if collection, err := withOneDescriptor(t, c); !errors.Is(err, syscall.EMFILE) || collection != nil {
			t.Errorf("Collect: %v, %v", collection, err)
		}
		checkCount(t, tidied(t, c), 100)
		c.tidying.Wait()
	}
}

// blocked tells whether a thread waits in the opening of a FIFO.
func blocked() bool { return blockedThreads() > 0 }

// bothBlocked tells whether those of both pipes of a publisher do.
func bothBlocked() bool { return blockedThreads() == 2 }

func blockedThreads() (n int) {
	tasks, _ := filepath.Glob("/proc/self/task/*/wchan")
	for _, task := range tasks {
		if where, _ := os.ReadFile(task); string(where) == "wait_for_partner" || string(where) == "fifo_open" {
			n++
		}
	}
	return n
}

func TestReadersThatLeaveCostNothingWithoutStandardStreams(t *testing.T) {
	check := func(when string) {
		t.Helper()
		dir := t.TempDir()
		stop, fromUs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := helperCommand(t, "closed-streams", dir, when)
		cmd.ExtraFiles = []*os.File{stop} // its descriptor 3
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = stop.Close()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		path := filepath.Join(dir, "web.stats")
		eventually(t, "the helper publishes", func() bool { return exists(path) })
		for range 20 {
			fd, _ := readSome(t, path, 0) // leaves at once
			closeFD(fd)
			stopped, _ := readSome(t, path, 1)
			next, _ := readSome(t, path, 1) // by now the one before is a slow one
			closeFD(stopped)
			closeFD(next)
			select {
			case err := <-ended:
				t.Fatalf("with its streams closed %s publishing the process died: %v", when, err)
			default:
			}
		}
		if err := readPatiently(path, numbered3MB()); err != nil {
			t.Errorf("with its streams closed %s publishing: %v", when, err)
		}
		_ = fromUs.Close()
		within(t, "the helper ends", func() { err = <-ended }, func() { _ = cmd.Process.Kill() })
		if err != nil {
			t.Errorf("with its streams closed %s publishing: %v", when, err)
		}
		checkEntries(t, dir)
	}
	check("before")
	check("after")
	check("but the first after")
}

// What a program prints after it has closed its standard streams must not get
// into a file that stands where one of them was, for everybody to read.
func TestOutputWithoutStandardStreamsGoesNowhere(t *testing.T) {
	dir := t.TempDir()
	stop, fromUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(t, "closed-streams", dir, "before, printing")
	cmd.ExtraFiles = []*os.File{stop}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stop.Close()
	eventually(t, "the helper has printed", func() bool { return exists(filepath.Join(dir, "printed")) })
	for _, name := range entries(t, dir) {
		if stat(t, filepath.Join(dir, name)).isFIFO() {
			continue
		}
		if text := must(os.ReadFile(filepath.Join(dir, name))); strings.Contains(string(text), "secret") {
			t.Errorf("what was printed got into %s: %q", name, text)
		}
	}
	noErr(t, os.Remove(filepath.Join(dir, "printed")))
	_ = fromUs.Close()
	within(t, "the helper ends", func() { err = cmd.Wait() }, func() { _ = cmd.Process.Kill() })
	if err != nil {
		t.Error(err)
	}
	checkEntries(t, dir)
}

// helpClosedStreams publishes without standard streams.
func helpClosedStreams(args []string) error {
	closeStreams := func(first int) {
		for fd := first; fd < 3; fd++ {
			closeFD(fd)
		}
	}
	if strings.HasPrefix(args[1], "before") {
		closeStreams(0)
	}
	p, err := Publish(PublisherOptions{Dir: args[0], Name: "web"}, numbered3MB())
	if err != nil {
		return err
	}
	switch args[1] {
	case "after":
		closeStreams(0)
	case "but the first after":
		closeStreams(1)
	case "before, printing":
		_, _ = fmt.Println("secret")
		_, _ = fmt.Fprintln(os.Stderr, "secret")
		if err := os.WriteFile(filepath.Join(args[0], "printed"), nil, 0o644); err != nil {
			return err
		}
	}
	_, _ = readFD(3, make([]byte, 1))
	return p.Close()
}

func TestCloseOnAFullDiskLooksLikeADeath(t *testing.T) {
	runInOwnMounts(t, "full-disk-close", t.TempDir())
}

// helpFullDiskClose closes publishers in a file system that has no room for a
// final: what a Collector has read stays counted, and is folded when there is
// room.
func helpFullDiskClose(args []string) error {
	dir := args[0]
	if err := mountSmall(dir); err != nil {
		return err
	}
	stats := &tally{n: 3}
	p, err := Publish(PublisherOptions{Dir: dir, Name: "web"}, stats)
	if err != nil {
		return err
	}
	c := NewCollector(CollectorOptions{Dir: dir, Deadline: shortDeadline, Tidy: true})
	defer c.Close()
	check := func(when string, troubled bool) error {
		const want = 3
		collection, err := c.Collect(context.Background())
		if err != nil {
			return err
		}
		c.tidying.Wait()
		if n, err := countOf(collection.Total()); n != want || err != nil || len(collection.Troubles) > 0 != troubled {
			return fmt.Errorf("%s: counted are %d, want %d: %w:%s", when, n, want, err, describe(collection))
		}
		return nil
	}
	if err := check("while it lives", false); err != nil {
		return err
	}
	// It can't make another pipe for the one that is read, and somebody else takes what
	// becomes free.
	for range 3 {
		if err := errors.Join(fillDisk(dir), check("on the full disk", false), fillDisk(dir)); err != nil {
			return err
		}
	}
	var pathError *fs.PathError
	if err := p.Close(); !errors.Is(err, syscall.ENOSPC) || !errors.As(err, &pathError) {
		return fmt.Errorf("Close: %w", err)
	}
	if !p.Kept() { // who takes it back would count it twice
		return errors.New("what a Collector has is said to be nobody's")
	}
	if left := must(filepath.Glob(filepath.Join(dir, ".*"))); len(left) != 2 || exists(p.Path()) {
		return fmt.Errorf("it left %q", left)
	}
	if err := fillDisk(dir); err != nil { // the plain pipe is gone
		return err
	}
	if err := Retain(dir, tallied(1)); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("Retain: %w", err)
	}
	if err := check("after its end", false); err != nil {
		return err
	}
	if err := check("after it could not be folded", true); err != nil {
		return err
	}
	for _, name := range must(filepath.Glob(filepath.Join(dir, "filler-*"))) {
		_ = os.Remove(name)
	}
	for _, troubled := range []bool{true, false, false} { // they are told one collection later
		if err := check("when there is room", troubled); err != nil {
			return err
		}
	}
	left := must(os.ReadDir(dir))
	if len(left) != 2 {
		return fmt.Errorf("in the directory are %q", left)
	}
	return nil
}
