package format

import (
	"strings"
	"testing"
)

func TestCleanName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := CleanName(name); got != want {
			t.Errorf("CleanName(%q) = %q, want %q", name, got, want)
		}
	}
	f("", "")
	f("a", "a")
	f("My Nice Stat", "My Nice Stat")
	f("another[one]", "another[one]")
	f("a: b: c", "a: b: c")
	f("{0} \"quoted\" \\", "{0} \"quoted\" \\")
	f("\x00\xff\x80", "\x00\xff\x80")
	f("héhé", "héhé")
	// Line breaks.
	f("a\nb", "a b")
	f("a\rb", "a b")
	f("a\r\nb", "a b")
	f("a\n\nb", "a  b")
	f("a\n\rb", "a  b")
	f("a\r\r\nb", "a  b")
	f("\na\n", "a")
	f("a\r\n", "a")
	f("\n", "")
	f("\r\n\r\n", "")
	f("a: 1\nb: 2\n", "a: 1 b: 2")
	f("\xff\n\xfe", "\xff \xfe")
	// Blanks at the ends go, within they stay.
	f(" a", "a")
	f("a ", "a")
	f(" \t\v\f a \t\v\f ", "a")
	f("a \t\v\f b", "a \t\v\f b")
	f(" ", "")
	// Blanks and line breaks that are none to a reader of the plain format.
	f("\u00a0a\u00a0", "\u00a0a\u00a0")
	f("a\u2028b\u0085", "a\u2028b\u0085")
}

func TestAnyNameSurvivesLineOnceClean(t *testing.T) {
	alphabet := []string{"a", ":", " ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x00", "\xff", "\xc2", "\x85", "\xa0", "é", "{0}", "1", "-"}
	r := freshRand(t)
	for range randomRounds {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		name := CleanName(b.String())
		if again := CleanName(name); again != name {
			t.Fatalf("CleanName(%q) = %q, which becomes %q", b.String(), name, again)
		}
		stat := Stat{Name: name, Value: Int(42)}
		var p PlainParser
		p.Write(AppendPlain(nil, &Snapshot{Stats: []Stat{stat}}))
		if s := p.Snapshot(); len(s.Stats) != 1 || s.Skipped != 0 || s.Stats[0] != stat {
			t.Fatalf("CleanName(%q) = %q is read as %+v, skipped %d", b.String(), name, s.Stats, s.Skipped)
		}
	}
}
