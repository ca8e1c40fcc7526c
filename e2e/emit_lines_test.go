//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/statvent/statvent/pkg/format"
)

// watchMoves returns a function that says which names files got in a directory
// from now on.
func watchMoves(t *testing.T, dir string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Skipf("SKIPPED: nobody says what happens in a directory: %v", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { events.Close() })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE); err != nil {
		t.Fatal(err)
	}
	return func() (names []string) {
		buf := make([]byte, 1<<16)
		n, err := unix.Read(fd, buf)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		for at := 0; at < n; {
			mask := uint32(buf[at+4]) | uint32(buf[at+5])<<8
			length := int(buf[at+12]) | int(buf[at+13])<<8
			name := strings.TrimRight(string(buf[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+length]), "\x00")
			if mask&unix.IN_MOVED_TO != 0 {
				names = append(names, name)
			}
			at += unix.SizeofInotifyEvent + length
		}
		return names
	}
}

// 10,000 lines are stored in one rewrite, all of them or none, as a reader sees
// that looks all the time.
func TestBatchIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	const size = 10_000
	for _, c := range []struct {
		flags []string
		line  string // of number, twice
		stat  string // the name of what becomes of it
		value string // and its value, after two rounds
	}{
		{nil, "name.%d: %d\n", "name.%d", "%d0"},
		{[]string{"--set"}, "name.%d: %d\n", "name.%d", "%d"},
		{[]string{"--ttl=1h"}, "name.%d: %d\n", "name.%d", "%d0"},
		{[]string{"--typed"}, "gauge name.%d: %d\n", "name.%d", "%d"},
		{[]string{"--record"}, "name.%d: %d\n", "name.%d.100th", "%d"},
	} {
		t.Run(fmt.Sprint(c.flags), func(t *testing.T) {
			t.Parallel()
			e := newEmitter(t)
			e.stores("warm.up")
			moves := watchMoves(t, e.dir)
			var lines strings.Builder
			for i := range size {
				fmt.Fprintf(&lines, c.line, i, i)
			}
			rounds := 1
			if c.value == "%d0" {
				rounds = 10
			}
			e.storesLines(lines.String(), append(c.flags, "-")...)
			if got := moves(); !slices.Equal(got, []string{retainedName(e.uid)}) {
				t.Errorf("these were written: %q", got)
			}
			if rounds > 1 { // in one batch
				e.storesLines(strings.Repeat(lines.String(), rounds-1), append(c.flags, "-")...)
				if got := moves(); !slices.Equal(got, []string{retainedName(e.uid)}) {
					t.Errorf("these were written: %q", got)
				}
			}
			printed := catSays(t, e.dir)
			for i := range size {
				want := fmt.Sprintf(c.value, i)
				if n, _ := strconv.Atoi(want); printed[fmt.Sprintf(c.stat, i)] != strconv.Itoa(n) {
					t.Fatalf("%s is %q, want %d", fmt.Sprintf(c.stat, i), printed[fmt.Sprintf(c.stat, i)], n)
				}
			}
		})
	}
}

// Nobody sees a part of a batch.
func TestBatchIsSeenAsAWhole(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	e.stores("warm.up")
	const size, batches = 2000, 20
	var lines strings.Builder
	for i := range size {
		fmt.Fprintf(&lines, "name.%d: 1\n", i)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range batches {
			e.storesLines(lines.String(), "-")
		}
	}()
	seen := make(map[string]bool)
	until(done, 0, func() {
		total := collectTotal(t, e.dir)
		values := make(map[string]int)
		for i := range size {
			v, _ := total.Lookup(fmt.Sprint("name.", i))
			values[v.String()]++
		}
		if len(values) != 1 {
			t.Errorf("a part of a batch is there: so many stats have each value: %v", values)
		}
		for value := range values {
			seen[value] = true
		}
	})
	if len(seen) < 3 || !seen[strconv.Itoa(batches)] {
		t.Errorf("these were seen: %v", slices.Collect(maps.Keys(seen)))
	}
}

// A bad line is named with its number and its reason, and the good ones are stored.
func TestBadLines(t *testing.T) {
	t.Parallel()
	const cut = "it has no line break at its end, and may have been cut"
	tooLong := fmt.Sprintf("it is longer than %d bytes", format.DefaultMaxLine)
	many := strings.Repeat("bad\n", 30)
	for _, c := range []struct {
		what   string
		flags  []string
		lines  string
		stored []string // NAME=VALUE
		bad    []string // NUMBER REASON, or the rest of the line
	}{
		{"all is well", nil, "a: 1\nb: 2.5\n", []string{"a=1", "b=2.5"}, nil},
		{"nothing", nil, "\n", nil, nil},
		{"blank lines", nil, "\n\na: 1\n \t\n\r\nx\n", []string{"a=1"}, []string{`6 "x" has no colon between a name and a number`}},
		{"CRLF", nil, "a: 1\r\nb: 2\r\n", []string{"a=1", "b=2"}, nil},
		{"the last is cut", nil, "a: 1\nb: 2", []string{"a=1", "b="}, []string{"2 " + cut}},
		{"too long", nil, strings.Repeat("n", format.DefaultMaxLine) + ": 5\na: 1\n", []string{"a=1"}, []string{"1 " + tooLong}},
		{"much too long", nil, "a: 1\n" + strings.Repeat("n", 1<<20) + ": 5\nb: 2\n", []string{"a=1", "b=2"}, []string{"2 " + tooLong}},
		{"too long and cut", nil, "a: 1\n" + strings.Repeat("n", 1<<20) + ": 5", []string{"a=1"}, []string{"2 " + tooLong}},
		{
			"values", nil, "a: x\nb:\nc: 1 2\n: 1\nd: nan\ne: -inf\nf: 1e3\ng: 0x10\nh: -5\ni:3\n",
			[]string{"a=", "b=", "c=", "d=", "e=", "f=1000.0", "g=", "h=-5", "i=3"},
			[]string{"1 ", "2 ", "3 ", "4 the name is empty", "5 d: nan is not a number between -1e300 and 1e300", "6 e: -inf is not a number between -1e300 and 1e300", "8 "},
		},
		{
			"names", nil, "GET /a:b: 1\n\"quoted\": 2\n'q': 3\ngrüße – 日本: 4\n\xff\xfe\x80: 5\n with blanks : 6\n--set: 7\n-: 8\n",
			[]string{"GET /a:b=1", `"quoted"=2`, "'q'=3", "grüße – 日本=4", "\xff\xfe\x80=5", "with blanks=6", "--set=7", "-=8"},
			nil,
		},
		{
			"control characters", nil, "\x1b[31mred\u202e\a\nb\x00\xff: x\na: 1\n",
			[]string{"a=1"},
			[]string{`1 "\x1b[31mred\u202e\a" has no colon between a name and a number`, `2 `},
		},
		{"control characters in a name", nil, "\x1b[31m: nan\n\x1bm: 1\n", []string{"\x1bm=1"}, []string{`1 \x1b[31m: nan is not a number between -1e300 and 1e300`}},
		{"set", []string{"--set"}, "a: 1\na: -2.5\nb: 3\nx\n", []string{"a=-2.5", "b=3"}, []string{"4 "}},
		{
			"record",
			[]string{"--record"},
			"a: 1\na: -4\nb.{0}: 3\nx: inf\n",
			[]string{"a.mean=-1.5", "b.median=3", "x.mean="},
			[]string{"4 x: inf is not a number between -1e300 and 1e300"},
		},
		{
			"typed",
			[]string{"--typed"},
			"counter a: 2\ngauge b: -7\nsample c: 1\nsample c: 2\ncounter a: 0.5\ngauge b: -6\nuntyped d: 1\ne: 1\ncounter f: -1\nend 3: 1\n\ncounter: 1\ngauge : 1\n",
			[]string{"a=2.5", "b=-6", "c.mean=1.5", "d=", "e=", "f="},
			[]string{
				`7 "untyped" is not counter, gauge or sample`, `8 "e:" is not counter`,
				"9 counter f: -1 is negative", `10 "end" is not counter`, `12 "counter:" is not counter`, "13 the name is empty",
			},
		},
		{"many", nil, many + "a: 1\n", []string{"a=1"}, append(numbered(20, `"bad" has no colon between a name and a number`), "10 more lines are left out")},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			e := newEmitter(t)
			e.stores("before")
			got := e.run(c.lines, append(c.flags, "-")...)
			if want := 3 * min(len(c.bad), 1); got.code != want || got.stdout != "" {
				t.Errorf("exit code %d, want %d; stdout %q", got.code, want, got.stdout)
			}
			said := slices.Collect(strings.Lines(got.stderr))
			if len(said) != len(c.bad) {
				t.Fatalf("it says %q, want something like %q", got.stderr, c.bad)
			}
			for i, bad := range c.bad {
				number, reason, _ := strings.Cut(bad, " ")
				want := fmt.Sprintf("statvent: line %s is left out: %s", number, reason)
				if reason == "more lines are left out" {
					want = "statvent: " + bad
				}
				if !strings.HasPrefix(said[i], want) || strings.ContainsAny(said[i], "\x1b\a\x00\u202e") || !utf8.ValidString(said[i]) {
					t.Errorf("it says %q, want %q", said[i], want)
				}
			}
			printed := catSays(t, e.dir)
			for _, stat := range append(c.stored, "before=1") {
				at := strings.LastIndexByte(stat, '=')
				if printed[stat[:at]] != stat[at+1:] {
					t.Errorf("cat says %q: %q, want %q", stat[:at], printed[stat[:at]], stat[at+1:])
				}
			}
			if quiet := e.run(c.lines, append(slices.Clone(c.flags), "--quiet", "-")...); quiet.code != got.code || quiet.stdout+quiet.stderr != "" {
				t.Errorf("with --quiet: %v", quiet)
			}
		})
	}
}

func numbered(n int, reason string) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprint(i+1, " ", reason))
	}
	return lines
}

// What can't be stored costs all lines, and the exit code says which it was.
func TestBatchThatCanNotBeStored(t *testing.T) {
	t.Parallel()
	file := filepath.Join(memoryDir(t), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	e := emitter{t, os.Geteuid(), file}
	want := "statvent: line 2 is left out: \"bad\" has no colon between a name and a number\n" +
		"statvent: nothing is stored: open " + file + ": not a directory\n"
	if got := e.run("a: 1\nbad\n", "-"); got.code != 1 || got.stderr != want {
		t.Errorf("%v, want exit code 1 and %q", got, want)
	}
	want = "statvent: line 1 is left out: it has no line break at its end, and may have been cut\n" +
		"statvent: nothing is stored: none of 1 lines could be read\n"
	if got := newEmitter(t).run("a: 1", "-"); got.code != 1 || got.stderr != want {
		t.Errorf("%v, want exit code 1 and %q", got, want)
	}
}

// Values that look like options, and names that do.
func TestArgumentsThatLookLikeOptions(t *testing.T) {
	t.Parallel()
	e := newEmitter(t)
	e.stores("level", "-5")
	e.stores("level", "-.5")
	e.stores("--set", "depth", "-1e3")
	e.stores("--record", "size", "-1", "2", "-4")
	e.stores("--", "--name-like-a-flag", "5")
	e.stores("--", "-", "3")
	e.stores("--", "-")
	e.stores("--set", "--", "--", "-3")
	e.stores("--time", "--", "-t", "true")
	e.stores("--time", "run", "--", "test", "-d", "/")
	e.stores("--time", "run", "test", "-d", "/")
	catWants(t, e.dir, "level=-5.5", "depth=-1000.0", "size.mean=-1.0", "--name-like-a-flag=5", "-=4", "--=-3", "-t.failures=0", "run.failures=0")
}

// Exit code 0 means stored: what readers would leave out is refused.
func TestWhatNobodyCouldReadIsRefused(t *testing.T) {
	t.Parallel()
	// storedOrRefused checks that it is one or the other, and that what was there
	// before is still there.
	storedOrRefused := func(t *testing.T, e emitter, stdin, stat string, args ...string) {
		t.Helper()
		got := e.run(stdin, args...)
		name, value, _ := strings.Cut(stat, "=")
		out, errOut, code := runStatvent(t, e.dir, "cat")
		if code != 0 || errOut != "" {
			t.Errorf("cat then: exit code %d, %s", code, errOut)
		}
		printed := plainStats(t, out)
		switch {
		case got.code == 0 && printed[name] != value:
			t.Errorf("it exits 0, and cat says %q, want %q", printed[name], value)
		case got.code == 1 && stdin == "" && strings.Count(got.stderr, "\n") != 1:
			t.Errorf("%v, want one line on stderr", got)
		case got.code != 0 && printed[name] == value:
			t.Errorf("exit code %d, and it is stored", got.code)
		}
		if printed["before"] != "1" {
			t.Errorf("cat says before: %q, want 1", printed["before"])
		}
	}
	for _, length := range []int{60_000, 65_510, 65_524, 65_533, 65_536, 70_000} {
		t.Run(fmt.Sprint("a name of ", length, " bytes"), func(t *testing.T) {
			t.Parallel()
			name := strings.Repeat("n", length)
			for _, way := range [][]string{{}, {"--set"}, {"--ttl=1h", "--set"}, {"--record"}} {
				e := newEmitter(t)
				e.stores("before")
				stat := name + "=5"
				if slices.Contains(way, "--record") {
					stat = name + ".median=5"
				}
				storedOrRefused(t, e, "", stat, append(way, name, "5")...)
				if len(name)+len(": 5") <= format.DefaultMaxLine {
					storedOrRefused(t, e, name+": 5\n", stat, append([]string{"--set"}, "-")...)
				}
			}
		})
	}
	// A time that a reader doesn't know ends never, and each says that it left
	// something out.
	t.Run("for ever and a day", func(t *testing.T) {
		t.Parallel()
		e := newEmitter(t)
		e.stores("before")
		storedOrRefused(t, e, "", "a=1", "--ttl=100000d", "--set", "a", "1")
	})
	// Without the lock, so many don't get into the file of those who have ended.
	t.Run("very many lines", func(t *testing.T) {
		t.Parallel()
		e := newEmitter(t)
		e.stores("before")
		holdLock(t, e.dir, e.uid)
		var lines strings.Builder
		for i := range format.DefaultMaxStats + 1 {
			fmt.Fprintf(&lines, "name.%d: 5\n", i)
		}
		storedOrRefused(t, e, lines.String(), "name.7=5", "--wait=100ms", "-")
	})
}
