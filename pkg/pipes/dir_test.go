package pipes

import (
	"strings"
	"testing"
)

func TestDirIsTheFirstThatIsNamed(t *testing.T) {
	check := func(path, variable, want string) {
		t.Helper()
		t.Setenv(DirVariable, variable)
		if got := Dir(path); got != want {
			t.Errorf("Dir(%q) is %q where the environment says %q, want %q", path, got, variable, want)
		}
	}
	check("", "", DefaultDir)
	check("", "/run/statvent", "/run/statvent")
	check("", "/run//statvent/", "/run/statvent")
	check("/srv/pipes", "", "/srv/pipes")
	check("/srv/pipes", "/run/statvent", "/srv/pipes")
	check("/srv/x/../pipes/", "/run/statvent", "/srv/pipes")
	check("pipes", "", "pipes")
	check("/", "", "/")
}

const someID = "9f86d081884c7d65"

func TestLiveNamesAreSplitAtTheirID(t *testing.T) {
	good := func(name, wantStem string) {
		t.Helper()
		stem, id, ok := parseName(name, liveSuffix)
		if !ok || stem != wantStem || id != someID {
			t.Errorf("%q is stem %q and id %q (%v), want %q and %q", name, stem, id, ok, wantStem, someID)
		}
		if back := liveName(stem, id); ok && back != name {
			t.Errorf("%q comes back as %q", name, back)
		}
	}
	good(".3435."+someID+".live", "3435")
	good(".3435-2."+someID+".live", "3435-2")
	good(".web."+someID+".live", "web")
	good(".web.eu."+someID+".live", "web.eu")
	good(".a."+someID+"."+someID+".live", "a."+someID)
	good(". ."+someID+".live", " ")
	good(".\xff."+someID+".live", "\xff")
	good("..."+someID+".live", ".")
	good(".x.live."+someID+".live", "x.live")

	bad := func(name string) {
		t.Helper()
		if stem, id, ok := parseName(name, liveSuffix); ok || stem != "" || id != "" {
			t.Errorf("%q passes for stem %q and id %q", name, stem, id)
		}
	}
	bad("")
	bad(".")
	bad(".live")
	bad("..live")
	bad("...live")
	bad("." + someID + ".live")
	bad(".." + someID + ".live")
	bad("3435." + someID + ".live")
	bad(".3435." + someID)
	bad(".3435." + someID + ".live.")
	bad(".3435." + someID + ".LIVE")
	bad(".3435." + someID[1:] + ".live")
	bad(".3435.0" + someID + ".live")
	bad(".3435." + someID[1:] + "g.live")
	bad(".3435." + someID[2:] + ".live")
	bad(".3435..live")
	bad(".3435.stats")
}

func FuzzParseLiveName(f *testing.F) {
	f.Add("3435", someID)
	f.Add("", "")
	f.Add("a.b", "9f86")
	f.Add("..", "................")
	f.Fuzz(func(t *testing.T, a, b string) {
		name := liveName(a, b)
		for _, name := range []string{name, a, b, a + b} {
			if stem, id, ok := parseName(name, liveSuffix); ok && (liveName(stem, id) != name || stem == "" || len(id) != idLen) {
				t.Errorf("%q is split into %q and %q", name, stem, id)
			}
		}
		if id := newID(); a != "" {
			if stem, got, ok := parseName(liveName(a, id), liveSuffix); !ok || stem != a || got != id {
				t.Errorf("stem %q and id %q come back as %q and %q (%v)", a, id, stem, got, ok)
			}
		}
	})
}

func TestIDsAreSixteenHexDigitsAndDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := newID()
		if len(id) != idLen || strings.Trim(id, "0123456789abcdef") != "" {
			t.Fatalf("the id %q is not %d hex digits", id, idLen)
		}
		if seen[id] {
			t.Fatalf("the id %q came twice", id)
		}
		seen[id] = true
	}
}

func TestStemPIDReadsThePidAndItsCount(t *testing.T) {
	good := func(stem string, want int) {
		t.Helper()
		if pid, ok := stemPID(stem); !ok || pid != want {
			t.Errorf("%q is of pid %d (%v), want %d", stem, pid, ok, want)
		}
	}
	good("1", 1)
	good("3435", 3435)
	good("3435-2", 3435)
	good("3435-1000", 3435)
	good("2147483647", 1<<31-1)

	bad := func(stem string) {
		t.Helper()
		if pid, ok := stemPID(stem); ok {
			t.Errorf("%q passes for that of pid %d", stem, pid)
		}
	}
	bad("")
	bad("0")
	bad("-1")
	bad("+1")
	bad(" 1")
	bad("1 ")
	bad("1.5")
	bad("0x10")
	bad("1_000")
	bad("2147483648")
	bad("18446744073709551617")
	bad("web")
	bad("web-2")
	bad("3435-")
	bad("3435-x")
	bad("3435-2-3")
	bad("3435--2")
	bad("3435web")
}

func TestStemsThatAFileNameCannotCarryAreRefused(t *testing.T) {
	good := func(stem string) {
		t.Helper()
		if err := checkStem(stem); err != nil {
			t.Errorf("%q is refused: %v", stem, err)
		}
	}
	good("3435")
	good("web")
	good("web.eu-1 blue")
	good("größe")
	good("\xff\xfe")
	good("a.stats")
	good("-")
	good(strings.Repeat("x", 200))

	bad := func(stem, why string) {
		t.Helper()
		if err := checkStem(stem); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want an error with %q", stem, err, why)
		}
	}
	bad("", "empty")
	bad(".", "dot")
	bad("..", "dot")
	bad(".hidden", "dot")
	bad("a/b", "slash")
	bad("/", "slash")
	bad("a\nb", "line break")
	bad("a\x00b", "zero")
	bad(strings.Repeat("x", 201), "200 bytes")
}
