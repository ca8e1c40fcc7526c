package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait for something that happens in no time unless it is
// broken.
const patience = 30 * time.Second

// A reloading is a Reloader that runs, and what it has loaded.
type reloading struct {
	t       *testing.T
	signals chan os.Signal
	loaded  chan string // the text of the file, each time
	gone    chan error
}

func startReloader(t *testing.T, file string) *reloading {
	t.Helper()
	r := &reloading{t, make(chan os.Signal), make(chan string, 100), make(chan error, 100)}
	reloader := &Reloader{
		Signals: r.signals,
		Load: func() (string, string) {
			file, text := textIn(file)
			r.loaded <- text
			return file, text
		},
		Gone:  func(err error) { r.gone <- err },
		Blind: func(err error) { t.Error(err) },
	}
	reloader.Watch(textIn(file))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		reloader.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		goleak.VerifyNone(t)
	})
	return r
}

// textIn returns a file and what it says, as it is loaded.
func textIn(file string) (string, string) {
	text, _ := textOf(file)
	return file, text
}

// loads waits until the file was loaded with that text, and fails the test if it is
// loaded once more.
func (r *reloading) loads(want string) {
	r.t.Helper()
	for {
		select {
		case got := <-r.loaded:
			if got == want {
				r.isQuiet()
				return
			}
		case <-time.After(patience):
			r.t.Fatalf("%q is not loaded", want)
		}
	}
}

// settles waits until that text is what was loaded last, and returns how often the file
// was loaded. On a busy machine what happens at once may take longer than a burst, so
// that what was there in between is loaded as well, that text among it.
func (r *reloading) settles(want string) (times int) {
	r.t.Helper()
	last, pause := "", patience
	for {
		select {
		case last = <-r.loaded:
			times++
			if pause = patience; last == want {
				pause = 2 * burstPause
			}
		case <-time.After(pause):
			if last != want {
				r.t.Fatalf("%q is not loaded, and %q was last", want, last)
			}
			return times
		}
	}
}

// loses waits until the file is seen to be gone.
func (r *reloading) loses(why error) {
	r.t.Helper()
	select {
	case err := <-r.gone:
		if !errors.Is(err, why) {
			r.t.Errorf("it is said that %v", err)
		}
	case <-time.After(patience):
		r.t.Fatal("it isn't said that the file is gone")
	}
}

// isQuiet fails the test if something is loaded that wasn't asked for. A signal has
// its turn when what was noticed before it has had its own, but for a pause.
func (r *reloading) isQuiet() {
	r.t.Helper()
	select {
	case got := <-r.loaded:
		r.t.Errorf("loaded %q again", got)
	case <-time.After(2 * burstPause): // the event is that nothing happens
	}
}

// put replaces a file, which is never seen without what it says.
func put(t *testing.T, file, text string) string {
	t.Helper()
	noErr(t, os.MkdirAll(filepath.Dir(file), 0o755))
	putInPlace(t, file+".new", text)
	noErr(t, os.Rename(file+".new", file))
	return file
}

// putInPlace truncates it first, so that it is empty for as long as this process waits
// for its turn.
func putInPlace(t *testing.T, file, text string) {
	t.Helper()
	noErr(t, os.WriteFile(file, []byte(text), 0o600))
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSignalLoadsWhatIsUnchanged(t *testing.T) {
	file := put(t, filepath.Join(t.TempDir(), "x.yaml"), "a")
	r := startReloader(t, file)
	r.isQuiet()
	for range 2 {
		r.signals <- syscall.SIGHUP
		r.loads("a")
	}
}

func TestChangesOfTheFileAreLoadedOnce(t *testing.T) {
	dir := t.TempDir()
	file := put(t, filepath.Join(dir, "x.yaml"), "a")
	r := startReloader(t, file)

	putInPlace(t, file, "b")
	r.loads("b")
	put(t, file, "b")
	put(t, filepath.Join(dir, "other"), "x")
	noErr(t, os.Chmod(file, 0o644))
	r.isQuiet()

	// As an editor does it.
	noErr(t, os.Rename(file, file+"~"))
	putInPlace(t, file+".swp", "c")
	noErr(t, os.Rename(file+".swp", file))
	r.loads("c")

	const burst = 20
	for range burst {
		putInPlace(t, file, "d")
		putInPlace(t, file, "e")
	}
	if times := r.settles("e"); times > burst/2 {
		t.Errorf("a burst of %d changes is loaded %d times", 2*burst, times)
	}
}

// What is gone for more than a moment takes nothing of what was in force with it.
func TestFileThatIsGoneOrEmpty(t *testing.T) {
	file := put(t, filepath.Join(t.TempDir(), "x.yaml"), "a")
	r := startReloader(t, file)
	r.isQuiet() // it watches
	noErr(t, os.Remove(file))
	r.loses(fs.ErrNotExist)
	r.isQuiet()
	r.signals <- syscall.SIGHUP // unless somebody says so
	r.loads("")
	put(t, file, "b")
	r.loads("b")
	put(t, file, " \n")
	r.loses(errEmpty)
	put(t, file, "b")
	r.loads("b")
}

func TestFileWhoseDirectoryIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	file := put(t, filepath.Join(dir, "x.yaml"), "a")
	r := startReloader(t, file)
	r.isQuiet() // it watches
	noErr(t, os.RemoveAll(filepath.Dir(dir)))
	r.loses(fs.ErrNotExist)
	put(t, file, "b")
	r.loads("b")
	put(t, file, "c")
	r.loads("c")
}

// A mounted ConfigMap: the file is a link to one in a directory, to which there is a
// link that is swapped.
func TestLinksThatAreSwapped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: links need a privilege here")
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "..2024_1", "x.yaml"), "a")
	put(t, filepath.Join(dir, "..2024_2", "x.yaml"), "b")
	noErr(t, os.Symlink("..2024_1", filepath.Join(dir, "..data")))
	file := filepath.Join(dir, "x.yaml")
	noErr(t, os.Symlink(filepath.Join("..data", "x.yaml"), file))
	r := startReloader(t, file)
	r.isQuiet() // it watches

	noErr(t, os.Symlink("..2024_2", filepath.Join(dir, "..data_tmp")))
	noErr(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	noErr(t, os.RemoveAll(filepath.Join(dir, "..2024_1")))
	r.loads("b")

	// A link to elsewhere, and what is behind it.
	elsewhere := put(t, filepath.Join(t.TempDir(), "y.yaml"), "c")
	noErr(t, os.Remove(file))
	noErr(t, os.Symlink(elsewhere, file))
	r.loads("c")
	put(t, elsewhere, "d")
	r.loads("d")
}

func TestFileThatComesLater(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none", "yet", "x.yaml")
	r := startReloader(t, file)
	r.isQuiet() // it watches
	put(t, file, "a")
	r.loads("a")
}

// What changes after the configuration was loaded and before anybody watches is a
// change: of the file that is there at first, and of one that a signal finds.
func TestChangeBeforeItIsWatched(t *testing.T) {
	for _, found := range []bool{false, true} {
		t.Run(fmt.Sprintf("found by a signal: %t", found), func(t *testing.T) {
			file := put(t, filepath.Join(t.TempDir(), "x.yaml"), "a")
			signals, loaded := make(chan os.Signal, 1), make(chan string, 10)
			r := &Reloader{
				Signals: signals,
				Load: func() (string, string) {
					file, text := textIn(file)
					put(t, file, "b")
					loaded <- text
					return file, text
				},
				Gone:  func(error) {},
				Blind: func(err error) { t.Error(err) },
			}
			if found {
				signals <- syscall.SIGHUP
			} else {
				r.Watch(r.Load())
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); r.Run(ctx) }()
			for _, want := range []string{"a", "b"} {
				select {
				case got := <-loaded:
					if got != want {
						t.Errorf("loaded %q, not %q", got, want)
					}
				case <-time.After(patience):
					t.Errorf("%q is not loaded", want)
				}
			}
			cancel()
			<-done
			if r.watcher == nil {
				t.Error("nothing was watched")
			}
			goleak.VerifyNone(t)
		})
	}
}

func TestLinksWithoutEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.Symlink("x", file); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if entries := trail(file); len(entries) > maxLinks+1 {
		t.Errorf("there are %d", len(entries))
	}
}
