package output

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode"
)

func TestEscape(t *testing.T) {
	stays := func(s string) {
		t.Helper()
		if got := Escape(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	becomes := func(s, want string) {
		t.Helper()
		if got := Escape(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
	stays("")
	stays(`GET /a?b="c" \d [e]: {0}`)
	stays("größe 日本 🎉")
	stays("\uFFFD") // the character itself, not a broken byte

	becomes("\x1b[2J", `\x1b[2J`)
	becomes("a\nb\tc\rd", `a\nb\tc\x0dd`)
	becomes("caf\xe9", `caf\xe9`)
	becomes("\xff\xfe", `\xff\xfe`)
	becomes("\u202etxt.exe", `\u202etxt.exe`) // right to left
	becomes("\u2066a\u2069", `\u2066a\u2069`)
	becomes("\u009b31m", `\u009b31m`) // CSI in one character
	becomes("\x00\x7f", `\x00\x7f`)
	becomes("a\u200bb", `a\u200bb`) // a blank without width
	becomes("\U000e0041", `\U000e0041`)
}

func TestEscapedJSONIsTheSame(t *testing.T) {
	is := func(text, want string) {
		t.Helper()
		if got := string(escapeJSON([]byte(text))); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		var before, after any
		if err := errors.Join(json.Unmarshal([]byte(text), &before), json.Unmarshal([]byte(want), &after)); err != nil || before != after {
			t.Errorf("%q is %q, %q is %q: %v", text, before, want, after, err)
		}
	}
	is("\"a\\u001b größe 日本\"\n", "\"a\\u001b größe 日本\"\n")
	is("\"\u202egnol\u009b1m\x7f\"", `"\u202egnol\u009b1m\u007f"`)
	is("\"\U000e0041\"", `"\udb40\udc41"`)
}

func FuzzEscape(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q became %q, which has %U in it", s, got, r)
			}
		}
		if strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q became %q, which is not UTF-8", s, got)
		}
	})
}

// FuzzEscapeJSON escapes the JSON of a text, which stays the same to who parses it.
func FuzzEscapeJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07\xff\u202e\U000e0041\u2028 größe \"\\")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		got := escapeJSON(text)
		for _, r := range string(got) {
			if !unicode.IsPrint(r) {
				t.Errorf("%q became %q, which has %U in it", text, got, r)
			}
		}
		var before, after map[string]string
		if err := errors.Join(json.Unmarshal(text, &before), json.Unmarshal(got, &after)); err != nil || !maps.Equal(before, after) {
			t.Errorf("%q became %q, which is %q: %v", text, got, after, err)
		}
	})
}
