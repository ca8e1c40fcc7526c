package glob

import "testing"

func TestCompile(t *testing.T) {
	matches := func(name string, patterns ...string) {
		t.Helper()
		if match, err := Compile(patterns...); err != nil || !match(name) {
			t.Errorf("%q does not match %q (%v)", name, patterns, err)
		}
	}
	differs := func(name string, patterns ...string) {
		t.Helper()
		if match, err := Compile(patterns...); err != nil || match(name) {
			t.Errorf("%q matches %q (%v)", name, patterns, err)
		}
	}
	malformed := func(pattern string) {
		t.Helper()
		if _, err := Compile(pattern); err == nil {
			t.Errorf("no error for %q", pattern)
		}
	}

	matches("anything")
	matches("", "*")
	matches("app.requests", "app.*")
	matches("app.requests", "*requests")
	matches("app.requests", "x", "app.?equests")
	matches("GET /a/b", "GET *b")
	matches("GET /a/b", "GET /a/b")
	matches("a[0]", `a\[0\]`)
	matches("worker 3", "worker [0-9]")
	matches("caf\xe9", "caf*")

	differs("app.requests", "app")
	differs("app.requests", "requests")
	differs("app", "App")
	differs("ab", "?")
	differs("worker x", "worker [0-9]")

	malformed("[")
	malformed("[a")
	malformed(`\`)
}
