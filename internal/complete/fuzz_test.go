package complete

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParseBash completes a name at the end of a line, and reads the line again: the
// word at the cursor is that name then, and the words before it are what they were.
func FuzzParseBash(f *testing.F) {
	for _, line := range []string{
		"statvent cat ", `statvent cat "`, "statvent cat '", "statvent cat $'", `statvent watch it"'"'s'\ me `, "statvent cat 2>/dev/null ",
		"statvent -d ${HOME}/x cat ", "statvent cat a:", "statvent cat --listen=", "~/bin/statvent cat 'a b'\"", "statvent cat $'it\\'s ", "statvent cat # a", "statvent cat $(who",
	} {
		f.Add(line, "GET /a 'b' \"c\"")
		f.Add(line, "größe!$HOME`who`\\")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		l, ok := ParseBash(line, wordBreaks)
		if !ok || strings.ContainsAny(name, "\n\x00") {
			return
		}
		if l.kept > len(l.Word) {
			t.Fatalf("%q: %d bytes are kept of %q", line, l.kept, l.Word)
		}
		if _, ok := l.Replacement(l.Word); !ok {
			t.Fatalf("%q: %q doesn't begin with itself", line, l.Word)
		}
		if l.kept < len(l.Word) || strings.HasSuffix(line, `\`) {
			return // some of it would be replaced
		}
		text := l.Word + name
		replacement, ok := l.Replacement(text)
		if !ok {
			t.Fatalf("%q: %q doesn't begin with %q", line, text, l.Word)
		}
		again, ok := ParseBash(line+replacement, wordBreaks)
		if !ok || again.Word != text || !slices.Equal(again.Words, l.Words) {
			t.Errorf("%q and %q is %+v, %v, want the word %q", line, replacement, again, ok, text)
		}
	})
}
