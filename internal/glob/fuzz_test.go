package glob

import (
	"path"
	"strings"
	"testing"
)

// FuzzCompile holds patterns against path.Match, which stops at slashes.
func FuzzCompile(f *testing.F) {
	for _, pattern := range []string{"", "*", "a?c", "[a-c]*", `\*`, "[^/]", "[", "a[", `\`, "[]a]", "[a-", "*/*", "[\\]-a]", "größe*", "\xff?", "a**b", "[-]"} {
		f.Add(pattern, "a/b.c")
		f.Add(pattern, "größe\xff")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		match, err := Compile(pattern)
		// Without slashes it is path.Match.
		stands := strings.NewReplacer("/", "\x00").Replace
		want, wantErr := path.Match(stands(pattern), stands(name))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, path.Match says %v", pattern, err, wantErr)
		}
		if err == nil && match(name) != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, match(name), want)
		}

		// A name with its special characters escaped matches itself alone.
		literal, err := Compile(escape(name))
		if err != nil {
			t.Fatalf("%q: %v", escape(name), err)
		}
		if !literal(name) {
			t.Errorf("%q doesn't match %q", escape(name), name)
		}
		if literal(name + "x") {
			t.Errorf("%q matches %q", escape(name), name+"x")
		}

		// What matches one of several patterns matches.
		several, err := Compile(escape(name), "*")
		if err != nil || !several(pattern) || !several(name) {
			t.Errorf("%q and * don't match all: %v", escape(name), err)
		}
	})
}

func escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}
