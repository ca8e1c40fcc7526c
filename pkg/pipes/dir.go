package pipes

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultDir is where pipes are unless something else is said.
const DefaultDir = "/tmp/stats-pipe"

// DirVariable is the environment variable that names another directory.
const DirVariable = "STATVENT_PIPE_DIR"

// Dir returns the pipe directory: path if it isn't empty, else what the
// environment says, else DefaultDir.
func Dir(path string) string {
	if path == "" {
		path = os.Getenv(DirVariable)
	}
	if path == "" {
		path = DefaultDir
	}
	return filepath.Clean(path)
}

// ErrSymlink is the error of a pipe directory that is a symbolic link.
var ErrSymlink = errors.New("is a symbolic link, which statvent does not follow")

// A directory is the pipe directory, opened. What is done in it is done
// through the descriptor, so that nobody who renames a parent can redirect it.
type directory struct {
	fd     int
	path   string
	limits Limits       // of what is kept
	users  atomic.Int32 // beside the one who opened it; the last one closes fd
	anew   relisting
}

// unconfigured are the limits of who reads no configuration: the defaults. Tests
// change them.
var unconfigured Limits

func openDirectory(path string) (*directory, error) {
	fd, err := openDir(path)
	if err != nil {
		if info, statErr := statPath(path); statErr == nil && info.mode.Type() == fs.ModeSymlink {
			err = ErrSymlink
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &directory{fd: fd, path: path, limits: unconfigured}, nil
}

// makeDirectory opens the directory and makes it if it isn't there.
func makeDirectory(path string) (*directory, error) {
	dir, err := openDirectory(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := makeDir(path); err != nil {
		return nil, err
	}
	return openDirectory(path)
}

// share returns d for one more user, who closes it as well.
func (d *directory) share() *directory {
	d.users.Add(1)
	return d
}

func (d *directory) close() {
	if d.users.Add(-1) < 0 {
		closeFD(d.fd)
	}
}

// The names in a pipe directory.
const (
	statsSuffix    = ".stats"
	typedSuffix    = ".typed"
	liveSuffix     = ".live"
	lockSuffix     = ".lock"
	retainedPrefix = ".retained-"
	tmpPrefix      = ".tmp-"
)

func statsName(stem string) string { return stem + statsSuffix }

func typedName(stem, id string) string { return "." + stem + "." + id + typedSuffix }

func liveName(stem, id string) string { return "." + stem + "." + id + liveSuffix }

func retainedName(uid int) string { return retainedPrefix + strconv.Itoa(uid) + typedSuffix }

func retainedLockName(uid int) string { return retainedPrefix + strconv.Itoa(uid) + lockSuffix }

// tmpName returns a name for a file in the moment before it gets its own and
// belongs to that user.
func tmpName(uid int) string { return tmpPrefix + strconv.Itoa(uid) + "-" + newID() }

const idLen = 16 // 64 bits in hex

func newID() string {
	var b [idLen / 2]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}

// parseName splits the name ".<stem>.<id><suffix>" of a file of a Publisher.
func parseName(name, suffix string) (stem, id string, ok bool) {
	name, ok = strings.CutSuffix(name, suffix)
	if !ok || !strings.HasPrefix(name, ".") {
		return "", "", false
	}
	dot := strings.LastIndexByte(name, '.')
	stem, id = name[1:max(dot, 1)], name[dot+1:]
	if stem == "" || !isID(id) {
		return "", "", false
	}
	return stem, id, true
}

// parseRetainedName returns the user in the name of a retained file.
func parseRetainedName(name string) (uid int, ok bool) {
	name, isTyped := strings.CutSuffix(name, typedSuffix)
	number, isRetained := strings.CutPrefix(name, retainedPrefix)
	n, err := strconv.ParseUint(number, 10, 32)
	return int(n), isTyped && isRetained && err == nil && strconv.FormatUint(n, 10) == number
}

func isID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == idLen
}

// checkStem says what is wrong with a name that a publisher chose.
func checkStem(stem string) error {
	switch {
	case stem == "":
		return errors.New("the name of a pipe is empty")
	case stem[0] == '.':
		return fmt.Errorf("the name of a pipe begins with a dot: %q", stem)
	case strings.ContainsAny(stem, "/\x00\n"):
		return fmt.Errorf("the name of a pipe has a slash, a line break or a zero byte in it: %q", stem)
	case len(stem) > 200:
		return fmt.Errorf("the name of a pipe is longer than 200 bytes: it begins with %q", stem[:40])
	}
	return nil
}

// stemPID returns the pid that a stem names: "3435", or "3435-2" where the
// first was taken.
func stemPID(stem string) (pid int, ok bool) {
	number, count, counted := strings.Cut(stem, "-")
	if counted {
		if _, err := strconv.ParseUint(count, 10, 31); err != nil {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	return int(n), err == nil && n > 0
}

// A listing is what stands in a pipe directory at one moment.
type listing struct {
	pipes    []string            // stems of all *.stats
	typed    map[string][]string // stem -> ids of its .typed files, sorted
	live     map[string][]string // stem -> ids of its .live files, sorted
	retained []int               // users of all retained files
	tmp      []string            // names
	other    []string            // names that are none of ours and don't begin with a dot
}

func (d *directory) list() (*listing, error) {
	names, err := readNames(d.fd)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: d.path, Err: err}
	}
	l := &listing{typed: make(map[string][]string), live: make(map[string][]string)}
	for _, name := range names {
		l.add(name)
	}
	for _, listed := range []map[string][]string{l.typed, l.live} {
		for _, ids := range listed {
			slices.Sort(ids)
		}
	}
	return l, nil
}

func (l *listing) add(name string) {
	if name[0] != '.' {
		if stem, ok := strings.CutSuffix(name, statsSuffix); ok {
			l.pipes = append(l.pipes, stem)
		} else {
			l.other = append(l.other, name)
		}
	} else if stem, id, ok := parseName(name, typedSuffix); ok {
		l.typed[stem] = append(l.typed[stem], id)
	} else if stem, id, ok := parseName(name, liveSuffix); ok {
		l.live[stem] = append(l.live[stem], id)
	} else if uid, ok := parseRetainedName(name); ok {
		l.retained = append(l.retained, uid)
	} else if strings.HasPrefix(name, tmpPrefix) {
		l.tmp = append(l.tmp, name)
	}
}

// hasTyped tells whether that .typed file is listed.
func (l *listing) hasTyped(stem, id string) bool { return has(l.typed[stem], id) }

// hasLive tells whether that .live file is.
func (l *listing) hasLive(stem, id string) bool { return has(l.live[stem], id) }

func has(ids []string, id string) bool {
	_, found := slices.BinarySearch(ids, id) // anybody may make thousands for one stem
	return found
}

// remove unlinks the name if it still stands for that file.
func (d *directory) remove(name string, id fileID) error {
	info, err := statAt(d.fd, name)
	if err == nil && info.id == id {
		err = unlinkAt(d.fd, name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

// clear removes what somebody has planted at the name of another's file, whatever it
// is. A directory with something in it is moved out of the way: what is in there is
// nobody's business but its owner's.
func (d *directory) clear(name string, planted fileInfo) error {
	if !planted.mode.IsDir() || rmdirAt(d.fd, name) == nil {
		return d.remove(name, planted.id)
	}
	aside := tmpName(planted.uid)
	err := renameAt(d.fd, name, aside)
	if err != nil {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.path, name), Err: err}
	}
	if moved, err := statAt(d.fd, aside); err == nil && moved.id != planted.id {
		// Somebody was faster, and it is what should stand there.
		_ = moveAt(d.fd, aside, name)
	}
	return nil
}

// litterAge is how old a temporary file may be. They live for microseconds; after
// that nobody needs them.
const litterAge = time.Minute

// removeLitter removes the temporary files that somebody who was killed left
// behind, one of the owners.
func (d *directory) removeLitter(names []string, now time.Time, owners owners) {
	for _, name := range names {
		info, err := statAt(d.fd, name)
		if err != nil || !owners.have(info.uid) || !isLitter(name, info) || now.Sub(info.mtime) <= litterAge {
			continue
		}
		_ = d.remove(name, info.id) // or it can't be
	}
}

// isLitter tells whether the file is what the user in its name, or root or this
// process for that user, makes under such a name.
func isLitter(name string, info fileInfo) bool {
	uid, id, ok := strings.Cut(strings.TrimPrefix(name, tmpPrefix), "-")
	ours := uid == strconv.Itoa(info.uid) || info.uid == 0 || info.uid == effectiveUID()
	return ok && ours && isID(id) && (info.isFIFO() || info.mode.IsRegular())
}

// putFile puts a file with that text and of that user at the name, at once:
// whoever looks finds what was there before or all of the new one, whenever
// this process is killed.
func (d *directory) putFile(name string, uid int, text []byte) error {
	return d.makeFile(name, uid, 0o644, text, renameAt)
}

// makeFile makes a file of that user under a temporary name and has place give it
// its own.
func (d *directory) makeFile(name string, uid int, perm uint32, text []byte, place func(dir int, from, to string) error) error {
	tmp := tmpName(uid)
	fd, err := createAt(d.fd, tmp, 0o600)
	if err == nil {
		err = fillFile(fd, uid, perm, text)
		closeFD(fd)
		if err == nil {
			err = place(d.fd, tmp, name)
		}
		if err != nil {
			_ = unlinkAt(d.fd, tmp)
		}
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

func fillFile(fd, uid int, perm uint32, text []byte) error {
	for len(text) > 0 {
		n, err := writeFD(fd, text)
		if err != nil {
			return err
		}
		text = text[n:]
	}
	if uid != effectiveUID() {
		if err := chownFD(fd, uid); err != nil {
			return err
		}
	}
	return chmodFD(fd, perm)
}

// errTwoNames is the error of a file with another name, which may be that of something
// else: where fs.protected_hardlinks is 0, anybody may give any file one.
var errTwoNames = errors.New("it has another name as well")

// checkFile says what is wrong with a regular file of which only its owner
// should be able to change anything.
func checkFile(info fileInfo) error {
	switch {
	case !info.mode.IsRegular():
		return errors.New("it is " + info.kind() + ", not a regular file")
	case info.links > 1:
		return errTwoNames
	case info.mode.Perm()&0o022 != 0:
		return errors.New("others than its owner may write it")
	}
	return nil
}

// openChecked opens a file for reading that passes the check, before it is opened,
// lest opening something else does something, and after.
func (d *directory) openChecked(name string, check func(fileInfo) error) (fd int, info fileInfo, err error) {
	info, err = statAt(d.fd, name)
	if err == nil {
		err = check(info)
	}
	if err != nil {
		return -1, info, err
	}
	fd, err = openReadAt(d.fd, name)
	if err != nil {
		return -1, info, err
	}
	info, err = statFD(fd)
	if err == nil {
		err = check(info)
	}
	if err != nil {
		closeFD(fd)
		return -1, info, err
	}
	return fd, info, nil
}

// openFile opens a regular file of one of the owners that passes checkFile.
func (d *directory) openFile(name string, owners owners) (*os.File, fileInfo, error) {
	fd, info, err := d.openChecked(name, func(info fileInfo) error {
		return cmp.Or(owners.check(info), checkFile(info))
	})
	if err != nil {
		return nil, info, err
	}
	return os.NewFile(uintptr(fd), name), info, nil
}
