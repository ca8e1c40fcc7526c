//go:build unix

package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// patience bounds every wait for something that happens in no time unless it
// is broken.
const patience = 20 * time.Second

func options(dir string) pipes.CollectorOptions {
	return pipes.CollectorOptions{Dir: dir, Deadline: patience}
}

// typed returns a snapshot in the typed format.
func typed(stats ...format.Stat) string {
	s := &format.Snapshot{Stats: stats}
	s.Sort()
	return string(format.AppendTyped(nil, &format.Document{ID: "9f86d081884c7d65", PID: 3435, Snapshot: s}))
}

func counter(name string, n int64) format.Stat {
	return format.Stat{Name: name, Kind: format.Counter, Value: format.Int(n)}
}

func gauge(name string, n int64) format.Stat {
	return format.Stat{Name: name, Kind: format.Gauge, Value: format.Int(n)}
}

// maxOf returns a distribution of the values with one label.
func maxOf(values ...int64) format.Stat {
	samples := &format.Samples{Count: int64(len(values)), Labels: []format.Label{{Name: "max", Percentile: 100}}}
	for _, n := range values {
		samples.Window = append(samples.Window, format.Int(n))
		samples.Sum = samples.Sum.Add(format.Int(n))
	}
	return format.Stat{Name: "d.{0}", Kind: format.Distribution, Dist: samples}
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tempFile returns the path of a file with that text.
func tempFile(t *testing.T, text string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), "file"), text)
}

// makeFIFO returns the path of a FIFO into which somebody writes the text, who
// is through at the end of the test.
func makeFIFO(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte(text), 0) }()
	t.Cleanup(func() {
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
	return path
}

// publish starts a recorder of that name.
func publish(t *testing.T, dir, name string) *statvent.Registry {
	t.Helper()
	r := statvent.NewRegistry()
	rec, err := statvent.StartRecorder(statvent.WithPipeDir(dir), statvent.WithName(name), statvent.WithRegistry(r))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rec.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// A check calls Names and compares.
type check struct {
	opts  pipes.CollectorOptions
	stdin string
	names []string
}

func (c check) result(t *testing.T) *Result {
	t.Helper()
	result, err := Names(t.Context(), c.opts, strings.NewReader(c.stdin), c.names)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// yields compares the plain text of the total, and each error by what is in it.
func (c check) yields(t *testing.T, want string, problems ...string) *Result {
	t.Helper()
	result := c.result(t)
	if got := string(format.AppendPlain(nil, result.Total)); got != want {
		t.Errorf("%q: got %q, want %q", c.names, got, want)
	}
	if len(result.Errors) != len(problems) {
		t.Errorf("%q: the errors are %q, want %q", c.names, result.Errors, problems)
		return result
	}
	for i, err := range result.Errors {
		if !strings.Contains(err.Error(), problems[i]) {
			t.Errorf("%q: the error %q does not say %q", c.names, err, problems[i])
		}
	}
	return result
}

func TestStandardInputIsReadInEitherFormat(t *testing.T) {
	reads := func(text, want string, problems ...string) *Result {
		t.Helper()
		return check{options(t.TempDir()), text, []string{"-"}}.yields(t, want, problems...)
	}
	one, two := typed(counter("c", 1), maxOf(5)), typed(counter("c", 2), maxOf(3))
	reads("", "", "standard input: it is empty")
	reads("\n", "") // a line that is skipped
	reads("b: 1\na: 2.5\na: 1\n", "a: 3.5\nb: 1\n")
	reads(one, "c: 1\nd.max: 5\n")
	reads(one+two, "c: 3\nd.max: 5\n")
	reads(typed(), "")
	reads("\n"+one, asPlain(t, one))

	// Of what is torn, the whole documents count.
	const torn = "standard input: the snapshot is torn"
	reads(one+two[:len(two)/2], "c: 1\nd.max: 5\n", torn)
	reads(one+strings.TrimSuffix(two, "\n"), "c: 1\nd.max: 5\n", torn)
	begun, _, _ := strings.Cut(one, "sum ")
	reads(begun+two, "c: 2\nd.max: 3\n", torn)
	reads(one+strings.Replace(two, "counter c: 2\n", "", 1)+one, "c: 2\nd.max: 5\n", torn)
	reads(one[:len(one)-1], "", torn)
	reads("statvent: 1\n", "", torn)
	reads("statvent: 2\ncounter c: 1\nend: 1\n", "", "standard input: not in a known version")
	if n := reads(one[:len(one)-1], "", torn).Read; n != 0 {
		t.Errorf("%d sources of nothing", n)
	}

	// What can't be read of a line costs that line.
	if n := reads("a: 1\nb\nc: 12", "a: 1\n").Total.Skipped; n != 2 {
		t.Errorf("%d lines were skipped, want 2", n)
	}
	if n := reads(strings.Replace(one, "counter c: 1", "counter c: x", 1), "d.max: 5\n").Total.Skipped; n != 1 {
		t.Errorf("%d lines were skipped, want 1", n)
	}
}

// asPlain is what somebody sees who takes the text for plain.
func asPlain(t *testing.T, text string) string {
	t.Helper()
	var p format.PlainParser
	_, _ = p.Write([]byte(text))
	return string(format.AppendPlain(nil, p.Snapshot()))
}

func TestStandardInputThatFails(t *testing.T) {
	broken := errors.New("broken")
	result, err := Names(t.Context(), options(t.TempDir()), io.MultiReader(strings.NewReader("a: 1\n"), failing{broken}), []string{"-"})
	if err != nil || len(result.Errors) != 1 || !errors.Is(result.Errors[0], broken) {
		t.Errorf("got %+v, %v", result, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFilesAndFIFOsAreReadInEitherFormat(t *testing.T) {
	for _, at := range []struct {
		what string
		put  func(t *testing.T, text string) string
	}{{"a file", tempFile}, {"a FIFO", makeFIFO}, {"a descriptor", inheritedPipe}} {
		t.Run(at.what, func(t *testing.T) {
			reads := func(text, want string, problems ...string) {
				t.Helper()
				check{opts: options(t.TempDir()), names: []string{at.put(t, text)}}.yields(t, want, problems...)
			}
			reads("a: 1\n", "a: 1\n")
			reads(typed(counter("c", 1), maxOf(5)), "c: 1\nd.max: 5\n")
			reads(typed(), "")
			reads("a: 1\nb: 2", "a: 1\n")
			big := make([]format.Stat, 20_000)
			for i := range big {
				big[i] = counter(fmt.Sprintf("a.counter.of.twenty.thousand.%05d", i), int64(i))
			}
			reads(typed(big...), string(format.AppendPlain(nil, &format.Snapshot{Stats: big})))
		})
	}
}

// inheritedPipe returns the path that a shell makes of <(command).
func inheritedPipe(t *testing.T, text string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w, text)
		written <- errors.Join(err, w.Close())
	}()
	fd, err := syscall.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() {
		if err := <-written; err != nil {
			t.Error(err)
		}
		_ = syscall.Close(fd)
	})
	return "/dev/fd/" + strconv.Itoa(fd)
}

func TestSeveralTypedDocumentsOfAFileAreAddedUp(t *testing.T) {
	one, two := typed(counter("c", 1), maxOf(5, 1)), typed(counter("c", 2), maxOf(3))
	for _, put := range []func(*testing.T, string) string{tempFile, inheritedPipe} {
		result := check{opts: options(t.TempDir()), names: []string{put(t, one+two)}}.yields(t, "c: 3\nd.max: 5\n")
		if d := result.Total.Stats[1].Dist; d.Count != 3 || d.Sum != format.Int(9) || len(d.Window) != 3 {
			t.Errorf("the distribution is %+v", d)
		}
		check{opts: options(t.TempDir()), names: []string{put(t, one+two[:len(two)-1])}}.yields(t, "c: 1\nd.max: 5\n", "torn")
	}
}

// A descriptor that somebody else opened isn't closed, at no time.
func TestInheritedDescriptorStaysOpen(t *testing.T) {
	path := inheritedPipe(t, "a: 1\n")
	check{opts: options(t.TempDir()), names: []string{path}}.yields(t, "a: 1\n")
	// The garbage collector closes files that nobody has any more: once one that
	// was lost later is closed, it has been here.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	lost, err := syscall.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	_ = os.NewFile(uintptr(lost), "lost")
	isOpen := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	for deadline := time.Now().Add(patience); isOpen(lost) && time.Now().Before(deadline); {
		runtime.GC()
	}
	fd, err := strconv.Atoi(strings.TrimPrefix(path, "/dev/fd/"))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // it closes them in no order
		runtime.GC()
		runtime.Gosched()
	}
	if !isOpen(fd) {
		t.Errorf("%s is closed", path)
	}
}

func TestStdinByItsPath(t *testing.T) {
	file, err := os.Open(tempFile(t, "a: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer func(old *os.File) { os.Stdin = old }(os.Stdin)
	os.Stdin = file
	check{opts: options(t.TempDir()), names: []string{"/dev/stdin"}}.yields(t, "a: 1\n")
	if _, err := file.Stat(); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestDescriptorThatIsNotOpen(t *testing.T) {
	check{opts: options(t.TempDir()), names: []string{"/dev/fd/1000000"}}.yields(t, "", "/dev/fd/1000000")
}

func TestFIFOThatNobodyWritesIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options(t.TempDir())
	opts.Deadline = 20 * time.Millisecond
	result := check{opts, "a: 1\n", []string{"-", path}}.yields(t, "a: 1\n", path+": no answer")
	if result.Read != 1 {
		t.Errorf("%d sources were read, want 1", result.Read)
	}
}

// What is torn in a FIFO may be another reader's doing, so it is tried again.
func TestTornFIFOIsAnError(t *testing.T) {
	opts := options(t.TempDir())
	opts.Deadline = 100 * time.Millisecond
	text := typed(counter("c", 1))
	check{opts: opts, names: []string{makeFIFO(t, text[:len(text)-1])}}.yields(t, "", "torn")
}

func TestWhatIsThereButCanNotBeRead(t *testing.T) {
	dir := t.TempDir()
	is := func(name string, problem string, why error) {
		t.Helper()
		result := check{opts: options(dir), names: []string{name}}.yields(t, "", problem)
		if len(result.Errors) == 1 && why != nil && !errors.Is(result.Errors[0], why) {
			t.Errorf("%s: %v isn't because of %v", name, result.Errors[0], why)
		}
		if result.Read != 0 {
			t.Errorf("%s: %d sources of nothing", name, result.Read)
		}
	}
	is(dir, dir+": is a directory", nil)
	is(dir+"/none", dir+"/none", fs.ErrNotExist)
	is("none", "none: neither a source nor a file", ErrNotFound)
	is("99999999", "99999999: neither a source nor a file", ErrNotFound)
	writeFile(t, filepath.Join(dir, "notes.stats"), "a: 1\n")
	is("notes", "not a named pipe", nil)
	opts := options(dir)
	opts.Limits.MaxBytes = 10
	check{opts: opts, names: []string{tempFile(t, "a: 1\nb: 2\nc: 3\n")}}.yields(t, "", "more than 10 bytes (max_source_bytes)")
	check{opts, "a: 1\nb: 2\nc: 3\n", []string{"-"}}.yields(t, "", "standard input: more than 10 bytes (max_source_bytes)")
}

func TestOneThatCanNotBeReadCostsNoOther(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, "web").IncrBy("c", 4)
	result := check{
		opts:  options(dir),
		stdin: typed(counter("c", 1)),
		names: []string{"none", "-", dir + "/none", "web", tempFile(t, "c: 2\n")},
	}.yields(t, "c: 7\n", dir+"/none", "none: neither")
	if result.Read != 3 {
		t.Errorf("%d were read, want 3", result.Read)
	}
}

func TestSourcesAreFoundByNameAndPID(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"web", "web-2", "db"} {
		publish(t, dir, name).IncrBy("c", []int64{1, 10, 100}[i])
	}
	pid := strconv.Itoa(os.Getpid()) // of all three
	reads := func(want string, names ...string) {
		t.Helper()
		check{opts: options(dir), names: names}.yields(t, want)
	}
	reads("c: 1\n", "web")
	reads("c: 10\n", "web-2")
	reads("c: 11\n", "web-2", "web")
	reads("c: 111\n", pid)

	// What is named twice counts once.
	reads("c: 1\n", "web", "web")
	reads("c: 111\n", pid, "web", pid, "db")
	check{options(dir), "c: 5\n", []string{"-", "web", "-"}}.yields(t, "c: 6\n")
	file := tempFile(t, "c: 7\n")
	reads("c: 7\n", file, file)
}

// What processes have left behind is no source that one can name.
func TestSourceThatHasEndedIsNotFound(t *testing.T) {
	dir := t.TempDir()
	r := statvent.NewRegistry()
	r.Incr("c")
	if err := r.Retain(dir); err != nil {
		t.Fatal(err)
	}
	check{opts: options(dir), names: []string{strconv.Itoa(os.Getpid())}}.yields(t, "", "neither a source nor a file")
}

func TestSourceGoesBeforeAFileOfItsName(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	writeFile(t, "web", "c: 1\n")
	check{opts: options(dir), names: []string{"web"}}.yields(t, "c: 1\n")
	publish(t, dir, "web").IncrBy("c", 2)
	check{opts: options(dir), names: []string{"web"}}.yields(t, "c: 2\n")
	check{opts: options(dir), names: []string{"./web"}}.yields(t, "c: 1\n")
	check{opts: options(dir), names: []string{"./web", "web"}}.yields(t, "c: 3\n")
	check{opts: options(filepath.Join(dir, "none")), names: []string{"web"}}.yields(t, "c: 1\n") // nobody publishes
}

func TestWhatHasKindsIsCombinedByThem(t *testing.T) {
	dir := t.TempDir()
	r := publish(t, dir, "web")
	r.NewDistribution("d", statvent.WithLabels(statvent.Percentile("max", 100))).Record(9)
	r.Set("g", 2)
	c := check{options(dir), typed(maxOf(5), gauge("g", 4)) + typed(gauge("g", 12)), []string{"-", "web"}}
	result := c.yields(t, "d.max: 9\ng: 18\n")
	if d := result.Total.Stats[0]; d.Kind != format.Distribution || d.Dist.Count != 2 || d.Dist.Sum != format.Int(14) {
		t.Errorf("d is %+v", d)
	}
	aggregate := map[format.Aggregate]string{
		format.AggregateSum: "18", format.AggregateMin: "2", format.AggregateMax: "12", format.AggregateAvg: "6.0",
	}
	for rule, want := range aggregate {
		c.opts.Aggregate = func(string) format.Aggregate { return rule }
		c.yields(t, "d.max: 9\ng: "+want+"\n")
	}
	c.stdin = typed(counter("g", 1))
	if conflicts := c.result(t).Total.Conflicts; len(conflicts) != 1 || conflicts[0].String() != "g is counter here and gauge there" {
		t.Errorf("the conflicts are %v", conflicts)
	}
}

func TestNamesGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "silent.stats")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Names(ctx, options(dir), nil, []string{"silent"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a source: got %v", err)
	}
	result, err := Names(ctx, options(dir), nil, []string{path})
	if err != nil || len(result.Errors) != 1 {
		t.Errorf("a FIFO: got %+v, %v", result, err)
	}
}

func TestHostIsAllSourcesAndWhatIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pipes")
	if _, err := Host(t.Context(), options(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: got %v", err)
	}
	ended := statvent.NewRegistry()
	ended.IncrBy("c", 100)
	if err := ended.Retain(dir); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"web", "db"} {
		r := publish(t, dir, name)
		r.IncrBy("c", int64(i)+1)
		r.Set("g", int64(i)+5)
	}
	opts := options(dir)
	opts.Aggregate = func(string) format.Aggregate { return format.AggregateMax }
	result, err := Host(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(format.AppendPlain(nil, result.Total)), "c: 103\ng: 6\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if result.Read != 3 || len(result.Errors) > 0 {
		t.Errorf("%d were read, and %v", result.Read, result.Errors)
	}
	if age := time.Since(result.Time); age < 0 || age > patience {
		t.Errorf("it is %v old", age)
	}
}

func TestHostSaysWhoDidNotAnswer(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, "web").Incr("c")
	if err := syscall.Mkfifo(filepath.Join(dir, "silent.stats"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options(dir)
	opts.Deadline = 2 * time.Second
	result, err := Host(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if result.Read != 1 || len(result.Errors) != 1 || !strings.HasPrefix(result.Errors[0].Error(), "silent: no answer within 2s") {
		t.Errorf("%d were read, and %v", result.Read, result.Errors)
	}
}

// What is known of one that doesn't answer is in the total, beside the error.
func TestSummaryHasWhatWasSeenLast(t *testing.T) {
	silent := errors.New("no answer")
	seen := &format.Snapshot{Stats: []format.Stat{counter("c", 1)}}
	result := Summarize(&pipes.Collection{Sources: []pipes.Source{
		{Name: "live", State: pipes.Live, Snapshot: seen},
		{Name: "slow", State: pipes.Unresponsive, Snapshot: seen, Err: silent},
		{Name: "silent", State: pipes.Unresponsive, Err: silent},
	}})
	if got := string(format.AppendPlain(nil, result.Total)); got != "c: 2\n" || result.Read != 2 {
		t.Errorf("got %q of %d", got, result.Read)
	}
	if got := fmt.Sprint(result.Errors); got != "[slow: no answer silent: no answer]" {
		t.Errorf("the errors are %s", got)
	}
}
