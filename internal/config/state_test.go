package config

import "testing"

func TestStateDir(t *testing.T) {
	is := func(want string, env ...string) {
		t.Helper()
		t.Setenv("STATE_DIRECTORY", "")
		t.Setenv("XDG_STATE_HOME", "")
		t.Setenv("HOME", "/home/me")
		for i := 0; i < len(env); i += 2 {
			t.Setenv(env[i], env[i+1])
		}
		if got := defaultStateDir(); got != want {
			t.Errorf("with %q: got %q, want %q", env, got, want)
		}
	}
	const systemd = "/var/lib/statvent"
	is("/home/me/.local/state/statvent")
	is("/s/statvent", "XDG_STATE_HOME", "/s")
	is("/home/me/.local/state/statvent", "XDG_STATE_HOME", "s") // "must be absolute", says the specification
	is(systemd, "STATE_DIRECTORY", systemd)
	is(systemd, "STATE_DIRECTORY", systemd+":/var/lib/other") // StateDirectory= with two names
	is(systemd, "STATE_DIRECTORY", systemd, "XDG_STATE_HOME", "/s")
	is("", "HOME", "")
	is("/s/statvent", "HOME", "", "XDG_STATE_HOME", "/s")
	is(systemd, "HOME", "", "STATE_DIRECTORY", systemd)
}

// What somebody says is taken as it is, and nothing is no place.
func TestStateDirThatIsNamedBeatsTheDefault(t *testing.T) {
	is := func(want, text string, args ...string) {
		t.Helper()
		c, err := load(t, text, args...)
		if err != nil {
			t.Error(err)
		} else if c.StateDir != want {
			t.Errorf("%q %q: got %q, want %q", text, args, c.StateDir, want)
		}
	}
	is("/here", "state_dir: /here\n")
	is("/there", "state_dir: /here\n", "--state-dir", "/there")
	t.Setenv("STATVENT_STATE_DIR", "/elsewhere")
	is("/elsewhere", "state_dir: /here\n")
	is("/there", "state_dir: /here\n", "--state-dir", "/there")
}

// A service without a home has no configuration of its own either, which is no
// error.
func TestWithoutAHome(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"} {
		t.Setenv(name, "")
	}
	c, err := Load(noFlags(), "")
	if err != nil || c.StateDir != "" {
		t.Errorf("got %+v, %v", c, err)
	}
}
