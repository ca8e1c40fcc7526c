package cmd

import (
	"strings"
	"testing"
)

func TestSuggest(t *testing.T) {
	names := []string{"cat", "config", "completion", "emit", "list", "serve", "watch"}
	is := func(name, want string) {
		t.Helper()
		if got := strings.Join(suggest(name, names), " "); got != want {
			t.Errorf("%q may be %q, want %q", name, got, want)
		}
	}
	is("lsit", "list")
	is("lst", "list")
	is("wach", "watch")
	is("WATCH", "watch")
	is("wacth", "watch")
	is("srv", "serve")
	is("co", "config completion")
	is("cta", "cat")
	is("emitt", "emit")
	is("frobnicate", "")
	is("", "")
	is("x", "")
}
