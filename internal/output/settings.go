package output

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/fatih/color"

	"github.com/statvent/statvent/internal/config"
)

// Settings are what config prints.
type Settings struct {
	File string           `json:"file"` // that was read; empty if there is none
	Keys []config.Setting `json:"settings"`
}

type settingsFormat func(w io.Writer, colored bool, s *Settings) error

var settingsFormats = map[string]settingsFormat{
	"table": settingsTable,
	"plain": settingsPlain,
	"json": func(w io.Writer, _ bool, s *Settings) error {
		return encodeJSON(w, s)
	},
}

// SettingsFormats are the names of the formats that PrintSettings knows.
func SettingsFormats() []string { return slices.Sorted(maps.Keys(settingsFormats)) }

// PrintSettings prints a configuration to stdout in the format of that name.
func (s *Streams) PrintSettings(format string, settings *Settings) error {
	return settingsFormats[format](s.Out, s.outColor, settings)
}

func settingsTable(w io.Writer, colored bool, s *Settings) error {
	columns := []column{{"KEY", false}, {"VALUE", false}, {"FROM", false}}
	rows := make([][]cell, 0, len(s.Keys))
	for _, k := range s.Keys {
		from := cell{"default", 0}
		if k.Source != config.FromDefault {
			from = cell{Escape(k.From), color.FgCyan}
		}
		rows = append(rows, []cell{{k.Key, 0}, {orDash(k.Text() != "", Escape(k.Text())), 0}, from})
	}
	return writeTable(w, colored, columns, rows)
}

// settingsPlain writes a line a key without a header, its fields separated by tabs:
// key, value, source, and the flag, variable or file.
func settingsPlain(w io.Writer, _ bool, s *Settings) error {
	for _, k := range s.Keys {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Key, Escape(k.Text()), k.Source, Escape(k.From)); err != nil {
			return err
		}
	}
	return nil
}
