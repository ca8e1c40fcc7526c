package complete

import (
	"fmt"
	"testing"
)

const wordBreaks = " \t\n\"'@><=;|&(:" // those of bash

func TestParseBash(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("STATVENT_TEST_DIR", "/some where")
	is := func(line, words, word string) {
		t.Helper()
		l, ok := ParseBash(line, wordBreaks)
		if !ok {
			t.Errorf("%s is not understood", line)
			return
		}
		if got := fmt.Sprintf("%q", l.Words); got != words || l.Word != word {
			t.Errorf("%s is %s and %q, want %s and %q", line, got, l.Word, words, word)
		}
	}
	unknown := func(line string) {
		t.Helper()
		if l, ok := ParseBash(line, wordBreaks); ok {
			t.Errorf("%s is %q and %q", line, l.Words, l.Word)
		}
	}
	is("statvent ", `["statvent"]`, "")
	is("statvent", `[]`, "statvent")
	is("statvent cat a", `["statvent" "cat"]`, "a")
	is(`statvent watch GET\ /a`, `["statvent" "watch"]`, "GET /a")
	is(`statvent watch GET\`, `["statvent" "watch"]`, "GET")
	is(`statvent watch 'GET "/a`, `["statvent" "watch"]`, `GET "/a`)
	is(`statvent watch "GET \"/a\b`, `["statvent" "watch"]`, `GET "/a\b`)
	is(`statvent watch it"'"'s'\ me`, `["statvent" "watch"]`, `it's me`)
	is(`statvent watch $'it\'s`, `["statvent" "watch"]`, `it's`)
	is(`statvent watch $'5 $ a'\ b`, `["statvent" "watch"]`, `5 $ a b`)
	is(`statvent -d "$STATVENT_TEST_DIR" cat `, `["statvent" "-d" "/some where" "cat"]`, "")
	is(`statvent -d ${STATVENT_TEST_DIR}/x cat `, `["statvent" "-d" "/some where/x" "cat"]`, "")
	is(`~/bin/statvent -d ~/pipes cat `, `["/home/me/bin/statvent" "-d" "/home/me/pipes" "cat"]`, "")
	is("statvent cat 2>/dev/null a", `["statvent" "cat"]`, "a")
	is("statvent cat 2>&1 a", `["statvent" "cat"]`, "a")
	is("statvent cat '' a#b", `["statvent" "cat" ""]`, "a#b")
	is("statvent watch größe.", `["statvent" "watch"]`, "größe.")

	unknown("statvent cat > fi")
	unknown("statvent cat >")
	unknown("statvent cat $(who")
	unknown("statvent cat `who")
	unknown(`statvent cat "$(who`)
	unknown(`statvent cat "$STATVENT_TEST_NONE`)
	unknown("statvent cat <(who")
	unknown("statvent cat # a")
}

func TestReplacement(t *testing.T) {
	is := func(line, text, want string) {
		t.Helper()
		l, ok := ParseBash(line, wordBreaks)
		if !ok {
			t.Fatalf("%s is not understood", line)
		}
		if got, ok := l.Replacement(text); !ok || got != want {
			t.Errorf("%s becomes %s with %s, want %s", line, text, got, want)
		}
	}
	is("x app", "app.requests", "app.requests")
	is("x G", `GET /a b="c" [d] $e 'f' \g`, `GET\ /a\ b=\"c\"\ \[d\]\ \$e\ \'f\'\ \\g`)
	is("x 'G", `GET "/a" $e`, `GET "/a" $e`)
	is("x 'G", `GET 'a'`, `GET '\''a'\''`)
	is(`x "G`, "GET \"/a\" $e `f` \\g", "GET \\\"/a\\\" \\$e \\`f\\` \\\\g")
	is(`x "w`, "wow!", `wow"'!'"`)
	is(`x $'G`, `GET 'a' \b`, `GET \'a\' \\b`)
	is("x *", "*.errors!~{a,b}#;&|<>()?^", `\*.errors\!\~\{a,b\}\#\;\&\|\<\>\(\)\?\^`)
	is("x gr", "größe", "größe")

	// Readline leaves what stands before the last break.
	is("x with:col", "with:colons: a", `colons:\ a`)
	is("x --output=j", "--output=json", "json")
	is(`x with\:col`, "with:colons", "with:colons")
	is(`x GET' /a b`, "GET /a b c", " /a b c")

	l, _ := ParseBash("x b", wordBreaks)
	if got, ok := l.Replacement("abc"); ok {
		t.Errorf("b becomes abc with %s", got)
	}
}
