package conformance

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/statvent/statvent/pkg/format"
)

// misnamed says why a sample isn't named as the value (or the count or sum) of
// that stat is: after the series that the stat's name is, or as the field's own
// code escapes the name, or with the whole name in the label stat.
func misnamed(a asked, s sample, stat format.Stat) string {
	if original := s.labels.Get("stat"); original == legible(stat.Name) {
		return ""
	}
	var allowed []string
	for _, name := range possibleNames(stat) {
		for _, suffix := range valueSuffixes(stat) {
			escaped := a.escape(legible(name) + suffix)
			if stat.Kind == format.Distribution {
				escaped = a.escape(legible(name)) + suffix
			}
			if s.name() == escaped && s.labels.Len() == 1 {
				return ""
			}
			allowed = append(allowed, escaped)
		}
		series, ok := asSeries(name)
		if !ok {
			continue
		}
		for _, suffix := range valueSuffixes(stat) {
			b := labels.NewBuilder(series)
			b.Set(model.MetricNameLabel, series.Get(model.MetricNameLabel)+suffix)
			if labels.Equal(s.labels, b.Labels()) {
				return ""
			}
			allowed = append(allowed, b.Labels().String())
		}
	}
	return fmt.Sprintf("want one of %q, or the name in the label stat", allowed)
}

// legible is the name with \xHH in the place of what is no UTF-8, and of control
// characters, but for the line break, which a label can have.
func legible(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n', r == 0x7f, r == '\\' && isByteEscape(name[i:]):
			fmt.Fprintf(&b, `\x%02x`, name[i])
		default:
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

func isByteEscape(s string) bool {
	return len(s) >= 4 && s[1] == 'x' && strings.ContainsRune("0123456789abcdefABCDEF", rune(s[2])) && strings.ContainsRune("0123456789abcdefABCDEF", rune(s[3]))
}

// possibleNames are the names without the place for the label and a separator
// beside it.
func possibleNames(stat format.Stat) []string {
	if stat.Kind != format.Distribution {
		return []string{stat.Name}
	}
	const separators = "._-:/ "
	possible := []string{stat.Name, strings.ReplaceAll(stat.Name, "{0}", "")}
	var all func(name string)
	all = func(name string) {
		before, after, ok := strings.Cut(name, "{0}")
		if !ok {
			name = strings.Trim(name, " ") // as no name has blanks around it
			if !slices.Contains(possible, name) {
				possible = append(possible, name)
			}
			return
		}
		all(before + after)
		if before != "" && strings.ContainsRune(separators, rune(before[len(before)-1])) {
			all(before[:len(before)-1] + after)
		}
		if after != "" && strings.ContainsRune(separators, rune(after[0])) {
			all(before + after[1:])
		}
	}
	all(stat.Name)
	name := stat.Name
	for _, label := range []string{`,quantile="{0}"`, `quantile="{0}",`, `quantile="{0}"`} {
		name = strings.ReplaceAll(name, label, "")
	}
	all(name)
	return possible
}

func valueSuffixes(stat format.Stat) []string {
	switch stat.Kind {
	case format.Distribution:
		return []string{"_count", "_sum"}
	case format.Counter:
		return []string{"_total", ""}
	default:
		return []string{""}
	}
}

// asSeries returns the series that a name is, if Prometheus reads it as one; its
// values are legible.
func asSeries(name string) (series labels.Labels, ok bool) {
	if !strings.HasSuffix(name, "}") {
		return series, false
	}
	// A character of nobody's stands for each byte that the parser wouldn't take.
	const nobodys = 0xe000
	var text strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' || r == 0x7f {
			r = nobodys + rune(name[i])
		}
		text.WriteRune(r)
		i += size
	}
	parser := textparse.NewPromParser([]byte(text.String()+" 1\n"), labels.NewSymbolTable(), false)
	if entry, err := parser.Next(); err != nil || entry != textparse.EntrySeries {
		return series, false
	}
	parser.Labels(&series)
	b := labels.NewBuilder(series)
	series.Range(func(l labels.Label) {
		var value strings.Builder
		for _, r := range l.Value {
			if nobodys <= r && r < nobodys+256 {
				value.WriteByte(byte(r))
			} else {
				value.WriteRune(r)
			}
		}
		b.Set(l.Name, legible(value.String()))
	})
	return b.Labels(), true
}
