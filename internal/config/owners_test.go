package config

import (
	"slices"
	"strings"
	"testing"
)

func TestOwnerIDs(t *testing.T) {
	is := func(text string, args []string, want ...int) {
		t.Helper()
		c, err := load(t, text, args...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.OwnerIDs(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q %q: got %v, %v, want %v", text, args, got, err, want)
		}
	}
	fails := func(text string, args []string, want ...string) {
		t.Helper()
		c, err := load(t, text, args...)
		if err != nil {
			t.Fatal(err) // emit doesn't care who counts
		}
		ids, err := c.OwnerIDs()
		if err == nil || ids != nil {
			t.Errorf("%q %q: got %v and no error", text, args, ids)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("the error %q does not say %q", err, w)
			}
		}
	}
	is("", nil)
	is("owner: []\n", nil)
	is("owner: root\n", nil, 0)
	is("owner: [root, 4242, root, 7]\n", nil, 0, 7, 4242)
	is("owner: 7\n", nil, 7)
	is("owner: root\n", []string{"--owner", "4242", "--owner=3,2"}, 2, 3, 4242)

	fails("owner: [root, no.body]\n", nil, "owner in ", "test.yaml: ", `"no.body"`, "by number")
	fails("owner: -1\n", nil, `"-1"`)
	fails("", []string{"--owner", "no.body"}, "--owner: ", `"no.body"`)
	fails("", []string{"--owner", "4294967295"}, "--owner: ", "4294967295")
	fails("", []string{"--owner", "99999999999999999999"}, "99999999999999999999")
	t.Setenv("STATVENT_OWNER", "root no.body")
	fails("owner: root\n", nil, "STATVENT_OWNER: ")
}
