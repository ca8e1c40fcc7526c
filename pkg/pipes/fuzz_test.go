//go:build linux

package pipes

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// fuzzDir returns a directory in memory, where there is such a thing, for all that a
// process of a fuzz target tries.
func fuzzDir(f *testing.F) string {
	f.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "statvent-fuzz-")
	if err != nil {
		return f.TempDir()
	}
	f.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// typedSeeds are documents as they stand in retained files, finals and saved states.
var typedSeeds = []string{
	"",
	"statvent: 1\nend: 0\n",
	"statvent: 1\ncounter a: 1\nend: 1\n",
	"statvent: 1\ncounter a: 1\ncounter a: 0.5\ncounter b: 1e300\ngauge c: -2\nuntyped d: nan\nend: 5\n",
	"statvent: 1\nfolded 9f86d081884c7d65: 1\nfolded 9f86d081884c7d65: 1\nfolded x: 1\ncounter a: 9223372036854775807\nend: 1\n",
	"statvent: 1\ncounter a: 1\nexpires a: 1\ngauge b: 2\nexpires b: 9e18\nemitted b: 5\nend: 2\n",
	"statvent: 1\ndistribution d.{0}: 3\nsum d.{0}: 6\nlabel median d.{0}: 50\nlabel mean d.{0}: -1\nsample d.{0}: 1\nsample d.{0}: 2.5\nend: 1\n",
	"statvent: 1\ndistribution d: 1\ndistribution d: 2\nsum d: 1e308\ncounter d: 1\nend: 3\n",
	"statvent: 1\ncounter a: 1\n", // torn
	"statvent: 2\nend: 0\n",
	"statvent: 1\nid 9f86d081884c7d65: 1\npid: 7\ncounter a: 1\nend: 1\nstatvent: 1\nid 60303ae22b998861: 1\ncounter a: 2\nend: 1\n",
	"statvent: 1\ncounter : 1\ncounter \xff\x00: 1\ncounter a b:c: 1\nend: 3\n",
	"statvent: 1\ncounter a: -1\ncounter b: nan\ncounter c: inf\nwhat x: 1\nend: 4\n",
}

// FuzzRetained stores something in a retained file with any text. Where the text is
// refused, the file stays as it is, to the byte. Else no counter is less than before,
// and nothing but what is stored changes, and nothing at all when it is rewritten again.
func FuzzRetained(f *testing.F) {
	for _, text := range typedSeeds {
		f.Add([]byte(text))
	}
	path := fuzzDir(f)
	file := keptFile(path)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := openTestDir(t, path)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		read := func() (*format.Document, error) {
			doc, _, err := dir.readRetained(os.Geteuid())
			return doc, err
		}
		store := func() error {
			changes := &format.Changes{At: time.Unix(1, 0)}
			changes.Set("fuzz.depth", format.Int(1))
			return Update(context.Background(), path, changes, 0, Limits{})
		}
		before, err := read()
		if err != nil {
			if err := store(); err == nil {
				t.Errorf("%q is not read, and something is stored", text)
			}
			if got := must(os.ReadFile(file)); string(got) != string(text) {
				t.Errorf("%q was refused, and became %q", text, got)
			}
			return
		}
		before = before.Unexpired(time.Now())
		canonical := before.Fold() // nobody writes counters that are none, or in parts that are one
		if err := store(); err != nil {
			t.Fatalf("%q is read, and nothing can be stored: %v", text, err)
		}
		once := must(read())
		if got, want := kinds(once, "fuzz.depth"), kinds(canonical, "fuzz.depth"); got != want {
			t.Errorf("%q became\n%swant\n%s", text, got, want)
		}
		total := func(doc *format.Document) *format.Snapshot { return format.Combiner{}.Combine(doc.Snapshot) }
		for _, stat := range total(before).Stats {
			if stat.Kind != format.Counter || stat.Name == "fuzz.depth" {
				continue
			}
			if v, ok := total(once).Lookup(stat.Name); !ok || v.Compare(stat.Value) != 0 {
				t.Errorf("%q: %q was %v, and is %v, %v", text, stat.Name, stat.Value, v, ok)
			}
		}
		first := must(os.ReadFile(file))
		if err := store(); err != nil {
			t.Fatal(err)
		}
		if second := must(os.ReadFile(file)); string(second) != string(first) {
			t.Errorf("%q became %q, and then %q", text, first, second)
		}
	})
}

// kinds returns what a document has, without one stat, and without notes: nothing of
// them is linked here.
func kinds(doc *format.Document, except string) string {
	clean := *doc
	clean.Folded = nil
	clean.Emitted = make(map[string]format.Emitted)
	for name, e := range doc.Emitted {
		if name != except {
			clean.Emitted[name] = e
		}
	}
	snapshot := doc.Snapshot.Filter(func(name string) bool { return name != except })
	snapshot.Skipped = 0
	clean.Snapshot = snapshot
	return string(format.AppendTyped(nil, &clean))
}

// FuzzSavedState loads a saved state of any text, and stores it again, of all whose it
// has: it loads as the same. Where it is damaged, what is whole counts.
func FuzzSavedState(f *testing.F) {
	for _, text := range typedSeeds {
		f.Add([]byte(text))
	}
	state := newStateFile(fuzzDir(f), "/x")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(state.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		saved, _ := state.load()
		all := make(map[string]*format.Snapshot)
		for id, last := range saved {
			all[id] = nil
			for _, stat := range last.snapshot.Stats {
				if stat.Kind != format.Counter && stat.Kind != format.Distribution {
					t.Errorf("%q: %s %q outlives its process", text, stat.Kind, stat.Name)
				}
			}
		}
		if err := state.store(all, nil); err != nil {
			t.Fatal(err)
		}
		again, err := state.load()
		if err != nil || len(again) != len(saved) {
			t.Fatalf("%q has %d recorders, and %d are stored, %v", text, len(saved), len(again), err)
		}
		for id, last := range saved {
			if got, want := stateText(again[id]), stateText(last); got != want {
				t.Errorf("%q: %q is stored as %q, want %q", text, id, got, want)
			}
		}
	})
}

func stateText(last lastSeen) string {
	if last.snapshot == nil {
		return "nothing"
	}
	last.snapshot.Skipped = 0
	return string(format.AppendTyped(nil, &format.Document{Snapshot: last.snapshot}))
}

// FuzzText reads a text of either format, at once and in pieces.
func FuzzText(f *testing.F) {
	for i, text := range append(typedSeeds, "a: 1\nb: 2.5\r\nbad\n\nx: 1", "statvent: x\n", "statvent: 1", "\xff\x00: nan\n: 1\n") {
		f.Add([]byte(text), uint64(i))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		limits := Limits{MaxLine: 100}.withDefaults()
		whole, err := ReadText(strings.NewReader(string(text)), limits)
		if len(text) == 0 {
			return // ErrEmpty
		}
		random := rand.New(rand.NewPCG(seed, 0))
		p := newParser(anyText, limits, nil)
		for rest := text; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			if n > 1 && random.IntN(2) == 0 {
				n = 1
			}
			if _, err := p.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		doc, pieceErr := p.end()
		if len(whole) > 1 {
			if pieceErr == nil {
				t.Errorf("%q is %d snapshots, and one", text, len(whole))
			}
			return
		}
		if (err == nil) != (pieceErr == nil) {
			t.Fatalf("%q: %v, and in pieces %v", text, err, pieceErr)
		}
		if err == nil && plainly(doc.Snapshot) != plainly(whole[0]) {
			t.Errorf("%q is %q, and in pieces %q", text, plainly(whole[0]), plainly(doc.Snapshot))
		}
	})
}

func plainly(s *format.Snapshot) string {
	return strconv.Itoa(s.Skipped) + " " + string(format.AppendTyped(nil, &format.Document{Snapshot: s}))
}

// FuzzEntry lists an entry of the directory: it is one thing, under its own name.
func FuzzEntry(f *testing.F) {
	for _, name := range []string{
		"3435.stats", ".3435." + someID + ".typed", ".3435." + someID + ".live", ".retained-1000.typed", ".retained-1000.lock", ".retained-01.typed",
		".retained-4294967296.typed", ".tmp-0-" + someID, "..stats", ".stats", ". . ", "a.b.stats", ".a.b." + someID + ".typed", "README", ".hidden", "3435-2.stats", "-1.stats", "0.stats", "\xff.stats",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return // is no name
		}
		l := &listing{typed: make(map[string][]string), live: make(map[string][]string)}
		l.add(name)
		var names []string
		for _, stem := range l.pipes {
			names = append(names, statsName(stem))
		}
		for stem, ids := range l.typed {
			names = append(names, typedName(stem, ids[0]))
		}
		for stem, ids := range l.live {
			names = append(names, liveName(stem, ids[0]))
		}
		for _, uid := range l.retained {
			names = append(names, retainedName(uid))
		}
		names = append(append(names, l.tmp...), l.other...)
		if len(names) > 1 || len(names) == 1 && names[0] != name || len(names) == 0 && name[0] != '.' {
			t.Errorf("%q is listed as %q", name, names)
		}
		if err := checkStem(name); err == nil {
			mine := &listing{typed: make(map[string][]string), live: make(map[string][]string)}
			for _, of := range []string{statsName(name), typedName(name, someID), liveName(name, someID)} {
				mine.add(of)
			}
			if !slices.Equal(mine.pipes, []string{name}) || !mine.hasTyped(name, someID) || !slices.Equal(mine.live[name], []string{someID}) {
				t.Errorf("a publisher called %q is listed as %+v", name, mine)
			}
		}
		if pid, ok := stemPID(name); ok && (pid <= 0 || !strings.HasPrefix(strings.TrimLeft(name, "0"), strconv.Itoa(pid))) {
			t.Errorf("%q is of process %d", name, pid)
		}
		if filepath.Base(name) != name && name != "." {
			t.Errorf("%q", name)
		}
	})
}
