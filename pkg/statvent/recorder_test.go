//go:build unix

package statvent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// noLeaks fails the test if a goroutine is left when it has ended and all of
// its recorders are closed.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// start starts a recorder that is closed at the end of the test, if not before.
func start(t *testing.T, opts ...RecorderOption) *Recorder {
	t.Helper()
	rec, err := StartRecorder(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeRecorder(t, rec) })
	return rec
}

func closeRecorder(t *testing.T, rec *Recorder) {
	t.Helper()
	if err := rec.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// read returns what somebody reads who knows nothing of statvent.
func read(t *testing.T, path string) string {
	t.Helper()
	var text []byte
	var err error
	within(t, "reading "+filepath.Base(path), func() { text, err = os.ReadFile(path) })
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func checkRead(t *testing.T, rec *Recorder, want string) {
	t.Helper()
	if got := read(t, rec.Path()); got != want {
		t.Errorf("%s says %q, want %q", filepath.Base(rec.Path()), got, want)
	}
}

// entries returns the names in a directory, those with a dot as well.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

// kept returns the names of the files in which the counters of recorders that
// have ended are.
func kept() []string {
	uid := os.Geteuid()
	return []string{fmt.Sprintf(".retained-%d.lock", uid), fmt.Sprintf(".retained-%d.typed", uid)}
}

func checkEntries(t *testing.T, dir, when string, want ...string) {
	t.Helper()
	if got := entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s there is %q, want %q", when, got, want)
	}
}

func checkPath(t *testing.T, rec *Recorder, dir, name string) {
	t.Helper()
	want := filepath.Join(dir, name)
	if rec.Path() != want {
		t.Errorf("the pipe is at %s, want %s", rec.Path(), want)
	}
	if info, err := os.Lstat(want); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("%s is no pipe: %v, %v", want, info, err)
	}
}

func pidName(suffix string) string { return fmt.Sprintf("%d%s.stats", os.Getpid(), suffix) }

func TestRecorderAnswersEachReaderWithTheStatsOfThatMoment(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	r.Set("app.users", 7)
	rec := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	checkRead(t, rec, "app.users: 7\n")
	r.Incr("app.requests")
	r.IncrByFloat("app.load", 0.5)
	checkRead(t, rec, "app.load: 0.5\napp.requests: 1\napp.users: 7\n")
	for n := range int64(150) {
		r.Record("a.{0}", n)
	}
	checkRead(t, rec, "a.100th: 149\na.95th: 144\na.99th: 148\na.mean: 99.5\na.median: 99\n"+
		"app.load: 0.5\napp.requests: 1\napp.users: 7\n")
}

func TestRecorderOfAnEmptyRegistryAnswersWithNothing(t *testing.T) {
	noLeaks(t)
	checkRead(t, start(t, WithPipeDir(t.TempDir()), WithRegistry(NewRegistry())), "")
}

func TestRecorderPublishesTheDefaultRegistry(t *testing.T) {
	noLeaks(t)
	freshDefault(t)
	Incr("app.requests")
	checkRead(t, start(t, WithPipeDir(t.TempDir())), "app.requests: 1\n")
}

func TestRecorderAnswersWithMoreThanAPipeHolds(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	for i := range 20_000 {
		r.Incr(fmt.Sprintf("a.counter.of.twenty.thousand.%d", i))
	}
	checkRead(t, start(t, WithPipeDir(t.TempDir()), WithRegistry(r)), plainText(r))
}

func TestRecorderComputesOnlyForReaders(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	calls := make(chan struct{}, 10)
	r.SetFunc("f", func() float64 { calls <- struct{}{}; return float64(len(calls)) })
	rec := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	checkRead(t, rec, "f: 1.0\n")
	checkRead(t, rec, "f: 2.0\n")
}

func TestRecorderOutlivesPanics(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	r.Incr("a")
	r.SetFunc("f", func() float64 { panic("on purpose") })
	rec := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	for range 3 {
		checkRead(t, rec, "a: 1\n")
	}
}

func TestRecorderIsReadWhileTheProgramRecords(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	r.Incr("c")
	rec := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	done := make(chan struct{})
	record := func() {
		for i := int64(0); ; i++ {
			select {
			case <-done:
				return
			default:
			}
			r.Incr("c")
			r.IncrByFloat("f", 0.5)
			r.Record("d", i)
			runtime.Gosched() // the reader's turn, where there is one processor
		}
	}
	together(record, record, func() {
		defer close(done)
		for range 100 {
			var p format.PlainParser
			_, _ = p.Write([]byte(read(t, rec.Path())))
			if s := p.Snapshot(); s.Skipped > 0 || len(s.Stats) == 0 {
				t.Errorf("%d stats and %d lines that can't be read", len(s.Stats), s.Skipped)
			}
		}
	})
}

func TestPipeIsNamedByThePidOrByTheProgram(t *testing.T) {
	noLeaks(t)
	check := func(want string, opts ...RecorderOption) {
		t.Helper()
		dir := t.TempDir()
		rec := start(t, append(opts, WithPipeDir(dir), WithRegistry(NewRegistry()))...)
		checkPath(t, rec, dir, want)
		checkRead(t, rec, "")
		checkPath(t, rec, dir, want)
	}
	check(pidName(""))
	check(pidName(""), WithName(""))
	check("web.stats", WithName("web"))
	check("my app: größe.stats", WithName("my app: größe"))
	check("-.stats", WithName("-"))
	check("a.b.stats", WithName("a.b"))
	check("web.stats.stats", WithName("web.stats"))
	check(strings.Repeat("x", 200)+".stats", WithName(strings.Repeat("x", 200)))
}

func TestPipeDirectoryIsTheOptionsOrTheEnvironments(t *testing.T) {
	noLeaks(t)
	fromOption, fromEnv := t.TempDir(), t.TempDir()
	t.Setenv(pipes.DirVariable, fromEnv)
	check := func(dir string, opts ...RecorderOption) {
		t.Helper()
		rec := start(t, append(opts, WithRegistry(NewRegistry()))...)
		checkPath(t, rec, dir, pidName(""))
		closeRecorder(t, rec)
	}
	check(fromEnv)
	check(fromEnv, WithPipeDir(""))
	check(fromOption, WithPipeDir(fromOption))
	check(fromOption, WithPipeDir(fromOption+"/./"))
	if pipes.DirVariable != "STATVENT_PIPE_DIR" {
		t.Errorf("the variable is called %s", pipes.DirVariable)
	}
}

func TestPipeDirectoryIsMadeIfItIsNotThere(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "new")
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	rec := start(t, WithPipeDir(dir), WithRegistry(NewRegistry()))
	checkPath(t, rec, dir, pidName(""))
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := fs.ModeDir | fs.ModeSticky | 0o777; info.Mode() != want {
		t.Errorf("its mode is %s, want %s", info.Mode(), want)
	}
}

func TestModeOfThePipeHoldsWhateverTheUmask(t *testing.T) {
	noLeaks(t)
	check := func(umask int, want fs.FileMode, opts ...RecorderOption) {
		t.Helper()
		dir := t.TempDir()
		old := syscall.Umask(umask)
		defer syscall.Umask(old)
		rec := start(t, append(opts, WithPipeDir(dir), WithRegistry(NewRegistry()))...)
		for _, when := range []string{"at first", "after a reader"} {
			info, err := os.Lstat(rec.Path())
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode(); got != want|fs.ModeNamedPipe {
				t.Errorf("with umask %03o, %s, the mode is %s, want %s", umask, when, got, want)
			}
			read(t, rec.Path())
		}
		closeRecorder(t, rec)
	}
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		check(umask, 0o644)
		check(umask, 0o644, WithMode(0))
		check(umask, 0o600, WithMode(0o600))
		check(umask, 0o640, WithMode(0o640))
		check(umask, 0o666, WithMode(0o666))
	}
	check(0o022, 0o600, WithMode(fs.ModeSetuid|fs.ModeSticky|0o600))
}

func TestRecorderStartedTwiceEndsWithTheLastClose(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.Incr("a")
	first := start(t, WithPipeDir(dir), WithRegistry(r))
	second := start(t, WithPipeDir(dir), WithRegistry(r), WithName("ignored"), WithMode(0o600), WithRuntimeStats())
	if first != second {
		t.Fatal("the second recorder is another one")
	}
	checkPath(t, second, dir, pidName(""))
	checkRead(t, second, "a: 1\n")
	closeRecorder(t, first)
	checkRead(t, second, "a: 1\n")
	closeRecorder(t, second)
	checkEntries(t, dir, "after the last Close", kept()...)
}

func TestDirectoryUnderAnotherSpellingIsTheSame(t *testing.T) {
	noLeaks(t)
	parent := t.TempDir()
	t.Chdir(parent)
	dir := filepath.Join(parent, "pipes")
	t.Setenv(pipes.DirVariable, dir)
	r := NewRegistry()
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	for _, opts := range [][]RecorderOption{
		{WithRegistry(r)},
		{WithRegistry(r), WithPipeDir("pipes")},
		{WithRegistry(r), WithPipeDir("./x/../pipes//")},
	} {
		if start(t, opts...) != rec {
			t.Error("it is another recorder")
		}
	}
}

// A relative directory is the one that it was when the recorder started.
func TestRecorderStaysWhenTheProgramMoves(t *testing.T) {
	noLeaks(t)
	parent := t.TempDir()
	t.Chdir(parent)
	rec := start(t, WithPipeDir("pipes"), WithRegistry(NewRegistry()))
	t.Chdir(t.TempDir())
	checkRead(t, rec, "")
	checkPath(t, rec, filepath.Join(parent, "pipes"), pidName(""))
	closeRecorder(t, rec)
	if names := entries(t, filepath.Join(parent, "pipes")); len(names) > 0 {
		t.Errorf("after Close there is %q", names)
	}
}

func TestTwoRegistriesOfOneProcessHaveTwoPipes(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	a, b, c := NewRegistry(), NewRegistry(), NewRegistry()
	a.Incr("a")
	b.Incr("b")
	c.Incr("c")
	first := start(t, WithPipeDir(dir), WithRegistry(a))
	second := start(t, WithPipeDir(dir), WithRegistry(b))
	third := start(t, WithPipeDir(dir), WithRegistry(c), WithName("named"))
	checkPath(t, first, dir, pidName(""))
	checkPath(t, second, dir, pidName("-2"))
	checkPath(t, third, dir, "named.stats")
	checkRead(t, first, "a: 1\n")
	checkRead(t, second, "b: 1\n")
	checkRead(t, third, "c: 1\n")
	closeRecorder(t, first)
	checkRead(t, second, "b: 1\n")
	checkPath(t, start(t, WithPipeDir(dir), WithRegistry(a)), dir, pidName(""))
}

func TestOneRegistryInTwoDirectoriesHasTwoPipes(t *testing.T) {
	noLeaks(t)
	r := NewRegistry()
	r.Incr("a")
	first := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	second := start(t, WithPipeDir(t.TempDir()), WithRegistry(r))
	if first == second {
		t.Fatal("they are one recorder")
	}
	closeRecorder(t, first)
	checkRead(t, second, "a: 1\n")
}

func TestRuntimeStatsArePublishedOnlyIfAskedFor(t *testing.T) {
	noLeaks(t)
	published := func(opts ...RecorderOption) []string {
		t.Helper()
		r := NewRegistry()
		r.Incr("app.requests")
		r.Incr("z")
		rec := start(t, append(opts, WithPipeDir(t.TempDir()), WithRegistry(r))...)
		var p format.PlainParser
		_, _ = p.Write([]byte(read(t, rec.Path())))
		var names []string
		for _, stat := range p.Snapshot().Stats {
			names = append(names, stat.Name)
		}
		return names
	}
	if got, want := published(), []string{"app.requests", "z"}; !slices.Equal(got, want) {
		t.Errorf("without the option there are %q", got)
	}
	want := []string{
		"app.requests", "go.allocated_bytes", "go.gc_cycles", "go.gomaxprocs", "go.goroutines",
		"go.heap_bytes", "go.memory_bytes", "z",
	}
	if got := published(WithRuntimeStats()); !slices.Equal(got, want) {
		t.Errorf("with the option there are %q, want %q", got, want)
	}
}

func TestCloseLeavesNothingButWhatWasCounted(t *testing.T) {
	check := func(what string, use func(rec *Recorder)) {
		t.Helper()
		before := goleak.IgnoreCurrent()
		counted, other := t.TempDir(), t.TempDir()
		r := NewRegistry()
		r.Incr("a")
		rec, err := StartRecorder(WithPipeDir(counted), WithRegistry(r))
		if err != nil {
			t.Fatal(err)
		}
		use(rec)
		closeRecorder(t, rec)
		checkEntries(t, counted, what+": after Close", kept()...)

		r = NewRegistry()
		r.Set("a", 1) // which ends with the recorder
		if rec, err = StartRecorder(WithPipeDir(other), WithRegistry(r)); err != nil {
			t.Fatal(err)
		}
		use(rec)
		closeRecorder(t, rec)
		checkEntries(t, other, what+", with nothing counted: after Close")
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("never read", func(*Recorder) {})
	check("read", func(rec *Recorder) { checkRead(t, rec, "a: 1\n") })
	check("a reader that left", func(rec *Recorder) {
		f, err := os.Open(rec.Path())
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	})
	check("deleted by somebody", func(rec *Recorder) {
		if err := os.Remove(rec.Path()); err != nil {
			t.Fatal(err)
		}
	})
}

// A program that goes on without a recorder closes a nil one.
func TestCloseOfNoRecorderDoesNothing(t *testing.T) {
	var none *Recorder
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	start(t, WithPipeDir(t.TempDir())) // and nothing is locked for ever
}

func TestCloseTooManyDoesNothing(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	r.Incr("a")
	old := start(t, WithPipeDir(dir), WithRegistry(r))
	for range 3 {
		closeRecorder(t, old)
	}
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	checkPath(t, rec, dir, pidName(""))
	if rec == old {
		t.Error("the recorder that ended came back")
	}
	closeRecorder(t, old)
	r.Incr("a")
	checkRead(t, rec, "a: 1\n") // since the other ended
	if start(t, WithPipeDir(dir), WithRegistry(r)) != rec {
		t.Error("the recorder is forgotten")
	}
}

func TestRecordersStartedAndClosedByManyAtOnceLeaveNothing(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	together(times(8, func() {
		for range 20 {
			rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(r))
			if err != nil {
				t.Error(err)
				return
			}
			if err := rec.Close(); err != nil {
				t.Error(err)
			}
		}
	})...)
	if names := entries(t, dir); len(names) > 0 {
		t.Errorf("in the end there is %q", names)
	}
	checkPath(t, start(t, WithPipeDir(dir), WithRegistry(r)), dir, pidName(""))
}

func TestCloseSaysThatAFunctionDoesNotReturn(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	r := NewRegistry()
	entered, leave := make(chan struct{}), make(chan struct{})
	r.SetFunc("f", func() float64 {
		close(entered)
		<-leave
		return 1
	})
	rec := start(t, WithPipeDir(dir), WithRegistry(r))
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		_, _ = os.ReadFile(rec.Path())
	}()
	within(t, "waiting for a reader", func() { <-entered })
	if err := rec.Close(); err == nil || !strings.Contains(err.Error(), "function") {
		t.Errorf("Close says %v", err)
	}
	if names := entries(t, dir); len(names) > 0 {
		t.Errorf("after Close there is %q", names)
	}
	close(leave)
	within(t, "the reader", func() { <-reader })
}

func TestRecorderThatCannotBeStartedSaysWhichFileAndWhy(t *testing.T) {
	noLeaks(t)
	check := func(dir string, why error) {
		t.Helper()
		rec, err := StartRecorder(WithPipeDir(dir), WithRegistry(NewRegistry()))
		if rec != nil || err == nil {
			t.Fatalf("a recorder started in %s", dir)
		}
		var pathErr *fs.PathError
		if !errors.As(err, &pathErr) || !strings.HasPrefix(pathErr.Path, dir) {
			t.Errorf("%v doesn't name %s", err, dir)
		}
		if !errors.Is(err, why) {
			t.Errorf("%v isn't because of %v", err, why)
		}
	}
	parent := t.TempDir()
	file, link, dangling := filepath.Join(parent, "file"), filepath.Join(parent, "link"), filepath.Join(parent, "dangling")
	if err := errors.Join(
		os.WriteFile(file, nil, 0o644),
		os.Symlink(t.TempDir(), link),
		os.Symlink("nowhere", dangling),
	); err != nil {
		t.Fatal(err)
	}
	check(file, syscall.ENOTDIR)
	check(filepath.Join(file, "below"), syscall.ENOTDIR)
	check(link, pipes.ErrSymlink)
	check(dangling, pipes.ErrSymlink)
	check(filepath.Join(parent, strings.Repeat("x", 300)), syscall.ENAMETOOLONG)
}

func TestNameThatCannotBeAPipesIsAnError(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	check := func(name, why string) {
		t.Helper()
		rec, err := StartRecorder(WithPipeDir(dir), WithName(name), WithRegistry(NewRegistry()))
		if rec != nil || err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want an error that says %q", name, err, why)
		}
		if names := entries(t, dir); len(names) > 0 {
			t.Fatalf("%q: there is %q", name, names)
		}
	}
	check(".", "dot")
	check("..", "dot")
	check(".hidden", "dot")
	check("a/b", "slash")
	check("../a", "dot")
	check("/", "slash")
	check("a\nb", "line break")
	check("a\x00b", "zero byte")
	check(strings.Repeat("x", 201), "200 bytes")
}

func TestRecorderStartsAfterWhatWasInItsWayIsGone(t *testing.T) {
	noLeaks(t)
	dir := filepath.Join(t.TempDir(), "pipes")
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := NewRegistry()
	r.Incr("a")
	if _, err := StartRecorder(WithPipeDir(dir), WithRegistry(r)); err == nil {
		t.Fatal("a recorder started in a file")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	checkRead(t, start(t, WithPipeDir(dir), WithRegistry(r)), "a: 1\n")
}

// A nil registry would be found out by the first reader, whom it would answer
// by ending the program.
func TestRecorderOfNoRegistryDoesNotPanic(t *testing.T) {
	noLeaks(t)
	freshDefault(t)
	rec, err := StartRecorder(WithPipeDir(t.TempDir()), WithRegistry(nil))
	if err != nil {
		return
	}
	defer closeRecorder(t, rec)
	defer func() {
		if what := recover(); what != nil {
			t.Errorf("a reader makes the program panic: %v", what)
		}
	}()
	rec.key.registry.Snapshot()
}
