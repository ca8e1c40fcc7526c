//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package listen

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// shortDir returns a directory whose sockets have a path that isn't too long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// opens returns the listener of an address that can be opened.
func opens(t *testing.T, mode fs.FileMode, address string) net.Listener {
	t.Helper()
	listeners, err := Open("--listen", mode, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listeners[0].Close() })
	return listeners[0]
}

// fails tries to open addresses that can't be, and checks what is said.
func fails(t *testing.T, want string, addresses ...string) {
	t.Helper()
	listeners, err := Open("--listen", 0o600, addresses...)
	if err == nil {
		for _, l := range listeners {
			l.Close()
		}
		t.Errorf("%q: no error", addresses)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("%q: got %v, want %s", addresses, err, want)
	}
}

// answers tells whether a server answers at the socket.
func answers(path string) bool {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestAddresses(t *testing.T) {
	url := func(address, prefix, suffix string) {
		t.Helper()
		got := URL(opens(t, 0o600, address), "http", "/stats")
		if !strings.HasPrefix(got, prefix) || !strings.HasSuffix(got, suffix) {
			t.Errorf("%s: got %s", address, got)
		}
	}
	path := filepath.Join(shortDir(t), "s")
	url("127.0.0.1:0", "http://127.0.0.1:", "/stats")
	url("localhost:0", "http://", "/stats")
	url("unix:"+path, "unix:"+path, "")

	fails(t, "can't listen on 127.0.0.1: address 127.0.0.1: missing port in address", "127.0.0.1")
	fails(t, "can't listen on 192.0.2.1:0: bind:", "192.0.2.1:0")
	fails(t, "can't listen on nonsense", "nonsense")
	fails(t, "can't listen on unix:: no path is named", "unix:")
	fails(t, "a socket without a file has no mode", "unix:@abstract")
	fails(t, "no such file or directory", "unix:"+filepath.Join(path, "..", "nowhere", "s"))
	fails(t, "the path is too long", "unix:"+filepath.Join(filepath.Dir(path), strings.Repeat("x", 120)))
}

// What is wrong with an address is said without opening it, of all that Open
// would refuse for its form or for what is there.
func TestCheck(t *testing.T) {
	dir := shortDir(t)
	file, path := filepath.Join(dir, "file"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	right := func(address string) {
		t.Helper()
		if err := Check(address); err != nil {
			t.Error(err)
		}
	}
	wrong := func(want, address string) {
		t.Helper()
		if err := Check(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", address, err, want)
		}
		if strings.HasPrefix(address, unixPrefix) {
			fails(t, want, address)
		}
	}
	right("127.0.0.1:0")
	right(":7828")
	right("[::1]:http")
	right("unix:" + path)
	right("unix:" + filepath.Join(dir, "later", "s")) // a service manager makes the directory
	opens(t, 0o600, "unix:"+path)
	right("unix:" + path) // a serve that runs checks its own address
	for _, address := range []string{"", "nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:nonsense"} {
		wrong("is not an address and a port", address)
	}
	wrong("no path is named", "unix:")
	wrong("a socket without a file has no mode", "unix:@x")
	wrong("something is there that is not a socket", "unix:"+file)
	wrong("the path is too long", "unix:"+filepath.Join(dir, strings.Repeat("x", 120)))
}

func TestIsLocal(t *testing.T) {
	is := func(address string, want bool) {
		t.Helper()
		if got := IsLocal(opens(t, 0o600, address)); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
	is("127.0.0.1:0", true)
	is("127.0.0.5:0", true)
	is("0.0.0.0:0", false)
	is(":0", false)
	is("unix:"+filepath.Join(shortDir(t), "s"), true)
}

func TestAllOrNone(t *testing.T) {
	taken := opens(t, 0o600, "127.0.0.1:0").Addr().String()
	path := filepath.Join(shortDir(t), "s")
	fails(t, "address already in use", "127.0.0.1:0", "unix:"+path, taken)
	if exists(path) {
		t.Error("the socket of a listener that isn't needed is still there")
	}
	listeners, err := Open("--listen", 0o600, "127.0.0.1:0", "unix:"+path)
	if err != nil || len(listeners) != 2 {
		t.Fatalf("got %d listeners, %v", len(listeners), err)
	}
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The umask of a process is one, so this test isn't parallel to others.
func TestModeIsThatAskedForWhateverTheUmask(t *testing.T) {
	dir := shortDir(t)
	has := func(umask int, mode fs.FileMode) {
		t.Helper()
		before := unix.Umask(umask)
		defer unix.Umask(before)
		path := filepath.Join(dir, "s")
		l := opens(t, mode, "unix:"+path)
		defer l.Close()
		if info, err := os.Lstat(path); err != nil || info.Mode() != mode|fs.ModeSocket {
			t.Errorf("umask %#o, mode %#o: got %v, %v", umask, mode, info.Mode(), err)
		}
		if after := unix.Umask(umask); after != umask {
			t.Errorf("the umask is %#o, it was %#o", after, umask)
		}
	}
	has(0o022, 0o660)
	has(0o077, 0o666)
	has(0, 0o600)
	has(0o777, 0o777)
	has(0o022, 0)
}

func TestSocketIsRemovedAtTheEnd(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l := opens(t, 0o600, "unix:"+path)
	if !answers(path) {
		t.Error("nobody answers")
	}
	if err := l.Close(); err != nil || exists(path) {
		t.Errorf("%v, and the socket is there: %v", err, exists(path))
	}
	if err := l.Close(); err == nil {
		t.Error("no error from a second Close")
	}
}

func TestSocketOfAnotherIsNotRemovedAtTheEnd(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	first := opens(t, 0o600, "unix:"+path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	opens(t, 0o600, "unix:"+path)
	first.Close()
	if !answers(path) {
		t.Error("the second server lost its socket when the first ended")
	}
}

func TestSocketOfADeadServerIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if !exists(path) {
		t.Fatal("there is no stale socket")
	}
	opens(t, 0o600, "unix:"+path)
	if !answers(path) {
		t.Error("nobody answers")
	}
}

func TestSocketInUseIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	opens(t, 0o600, "unix:"+path)
	fails(t, "can't listen on unix:"+path+": a server answers there", "unix:"+path)
	if !answers(path) {
		t.Error("nobody answers any more")
	}
}

// A server that accepts nobody has a queue that gets full.
func TestSocketWithAFullQueueIsInUse(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if conn, err := net.Dial("unix", path); err == nil {
			defer conn.Close()
		}
	}
	fails(t, "a server answers there", "unix:"+path)
}

func TestWhatIsNoSocketIsNeverRemoved(t *testing.T) {
	dir := shortDir(t)
	stays := func(name string, put func(path string) error) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		fails(t, "something is there that is not a socket", "unix:"+path)
		if !exists(path) {
			t.Errorf("the %s is gone", name)
		}
	}
	stays("file", func(path string) error { return os.WriteFile(path, nil, 0o600) })
	stays("directory", func(path string) error { return os.Mkdir(path, 0o700) })
	stays("link", func(path string) error { return os.Symlink("nowhere", path) })
	stays("pipe", func(path string) error { return unix.Mkfifo(path, 0o600) })
}

// Whoever may read a directory can hold its lock for as long as he likes.
func TestLockOfAnotherKeepsNobodyFromListening(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l := opens(t, 0o600, "unix:"+path)
	if !answers(path) {
		t.Error("nobody answers")
	}
	fails(t, "a server answers there", "unix:"+path)
	if err := l.Close(); err != nil || exists(path) {
		t.Errorf("%v, and the socket is there: %v", err, exists(path))
	}
}

// Of many servers that start at once where a dead one left its socket, one gets
// the path, and it is the one that answers there.
func TestServersThatStartTogetherDoNotReplaceEachOther(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	for range 20 {
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		var opened atomic.Pointer[net.Listener]
		var many atomic.Int32
		var servers sync.WaitGroup
		for range 8 {
			servers.Go(func() {
				if listeners, err := Open("--listen", 0o600, "unix:"+path); err == nil {
					opened.Store(&listeners[0])
					many.Add(1)
				}
			})
		}
		servers.Wait()
		if many.Load() != 1 || !answers(path) {
			t.Fatalf("%d servers got the path, and one answers: %v", many.Load(), answers(path))
		}
		(*opened.Load()).Close()
	}
}
