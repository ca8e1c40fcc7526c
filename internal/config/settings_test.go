package config

import (
	"fmt"
	"testing"
)

func TestSettingsSayWhereTheyCameFrom(t *testing.T) {
	t.Setenv("STATVENT_STALE_AFTER", "90s")
	t.Setenv("STATVENT_PATH", "")

	text := "Deadline: 2s\nstale_after: 3s\ncolor: never\nowner: [root, '1000']\nsocket_mode: 0600\n" +
		"aggregate: |\n  *.length: max\n  *.age: min\ninterval: 3600\n"
	c, err := load(t, text, "--deadline", "750ms")
	if err != nil {
		t.Fatal(err)
	}
	settings := c.Settings()
	if len(settings) != len(keys) {
		t.Errorf("%d settings of %d keys", len(settings), len(keys))
	}
	is := func(key, value string, source Source, from string) {
		t.Helper()
		for _, s := range settings {
			if s.Key == key {
				if got, want := fmt.Sprint(s.Text(), s.Source, s.From), fmt.Sprint(value, source, from); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
				return
			}
		}
		t.Errorf("no %s", key)
	}
	is(Deadline, "750ms", FromFlag, "--deadline")
	is(StaleAfter, "1m30s", FromVariable, "STATVENT_STALE_AFTER")
	is(Color, "never", FromFile, c.File)
	is(Owner, "root, 1000", FromFile, c.File)
	is(Aggregate, "*.length: max, *.age: min", FromFile, c.File)
	is(SocketMode, "0600", FromFile, c.File)
	is(Interval, "1h", FromFile, c.File)
	is(Path, "/stats", FromDefault, "")
	is(StateDir, "/nowhere/.local/state/statvent", FromDefault, "")
	is(MaxConnections, "256", FromDefault, "")
	is(AllowedHosts, "", FromDefault, "")
}
