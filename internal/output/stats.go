package output

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fatih/color"

	"github.com/statvent/statvent/pkg/format"
)

// Stats are what cat and watch print.
type Stats struct {
	Snapshot *format.Snapshot
	Time     time.Time

	// Previous is the snapshot before, if there was one, for rates.
	Previous     *format.Snapshot
	PreviousTime time.Time
	Rates        bool // show them, or that there are none yet

	Match func(name string) bool // which stats to show; nil means all
}

// flat returns the stats to show, as names and values.
func (s *Stats) flat() *format.Snapshot { return s.filter(s.Snapshot.Flatten()) }

func (s *Stats) filter(snapshot *format.Snapshot) *format.Snapshot {
	if s.Match == nil {
		return snapshot
	}
	return snapshot.Filter(s.Match)
}

type statsFormat func(w io.Writer, colored bool, s *Stats) error

var statsFormats = map[string]statsFormat{
	"table": statsTable,
	"plain": statsPlain,
	"json": func(w io.Writer, _ bool, s *Stats) error {
		return writeJSON(w, format.AppendJSON(nil, s.flat(), s.Time))
	},
	"prometheus": func(w io.Writer, _ bool, s *Stats) error {
		return writeNames(w, format.Exposition{}.Append(nil, s.filter(s.Snapshot), nil, nil))
	},
	"typed": func(w io.Writer, _ bool, s *Stats) error {
		return writeNames(w, format.AppendTyped(nil, &format.Document{Snapshot: s.filter(s.Snapshot)}))
	},
}

// StatsFormats are the names of the formats that PrintStats knows.
func StatsFormats() []string { return slices.Sorted(maps.Keys(statsFormats)) }

// WatchFormats are those of which one snapshot may follow another.
func WatchFormats() []string {
	return slices.DeleteFunc(StatsFormats(), func(name string) bool { return name == "prometheus" })
}

// PrintStats prints stats to stdout in the format of that name.
func (s *Streams) PrintStats(format string, stats *Stats) error {
	return statsFormats[format](s.Out, s.outColor, stats)
}

func statsPlain(w io.Writer, _ bool, s *Stats) error {
	return writeNames(w, format.AppendPlain(nil, s.flat()))
}

// encodeJSON writes a value as one line of JSON.
func encodeJSON(w io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return writeJSON(w, append(text, '\n'))
}

// writeJSON writes JSON as it is, unless it goes to a terminal that would do what
// names say.
func writeJSON(w io.Writer, text []byte) error {
	if isTerminal(w) {
		text = escapeJSON(text)
	}
	_, err := w.Write(text)
	return err
}

// writeNames writes a text with names as they are, unless it goes to a terminal
// that would do what they say.
func writeNames(w io.Writer, text []byte) error {
	if isTerminal(w) {
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			lines[i] = Escape(line)
		}
		text = []byte(strings.Join(lines, "\n"))
	}
	_, err := w.Write(text)
	return err
}

func statsTable(w io.Writer, colored bool, s *Stats) error {
	columns := []column{{"NAME", false}, {"VALUE", true}}
	if s.Rates {
		columns = append(columns, column{"PER SECOND", true})
	}
	stats := s.flat().Stats
	var previous *format.Snapshot
	if s.Previous != nil {
		previous = s.Previous.Flatten()
	}
	rows := make([][]cell, 0, len(stats))
	for _, stat := range stats {
		row := []cell{{Escape(stat.Name), 0}, {readable(stat.Value), 0}}
		if s.Rates {
			row = append(row, s.rate(stat, previous))
		}
		rows = append(rows, row)
	}
	return writeTable(w, colored, columns, rows)
}

// readable returns the value for a table: of a float no more than three digits
// behind the point. The other formats have all of them.
func readable(v format.Value) string {
	if abs := math.Abs(v.Float64()); v.IsFloat() && abs >= 0.001 && abs < 1e15 {
		return strconv.FormatFloat(v.Float64(), 'f', 3, 64)
	}
	return v.String()
}

// rate returns by how much the stat has grown since previous, a second.
func (s *Stats) rate(stat format.Stat, previous *format.Snapshot) cell {
	if previous == nil {
		return cell{"-", 0}
	}
	before, ok := previous.Lookup(stat.Name)
	seconds := s.Time.Sub(s.PreviousTime).Seconds()
	if !ok || seconds <= 0 {
		return cell{"-", 0}
	}
	// Integers are subtracted as such: the difference is small where they may
	// be too large for a float.
	change := stat.Value.Float64() - before.Float64()
	if !stat.Value.IsFloat() && !before.IsFloat() {
		change = float64(stat.Value.Int64() - before.Int64())
	}
	rate := change / seconds
	switch {
	case math.IsNaN(rate):
		return cell{"-", 0}
	case rate < 0:
		return cell{formatRate(rate), color.FgYellow}
	case rate > 0:
		return cell{formatRate(rate), color.FgGreen}
	default:
		return cell{"0", 0}
	}
}

// formatRate returns a number with three digits that matter, or all before the
// point.
func formatRate(rate float64) string {
	if math.Abs(rate) >= 100 {
		return strconv.FormatFloat(rate, 'f', 0, 64)
	}
	return strconv.FormatFloat(rate, 'g', 3, 64)
}

// CheckFormat says which formats there are if name is none of them.
func CheckFormat(name string, known []string) error {
	if slices.Contains(known, name) {
		return nil
	}
	return fmt.Errorf("unknown output format %q: there are %s", name, strings.Join(known, ", "))
}
