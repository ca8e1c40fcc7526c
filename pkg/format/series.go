package format

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A seriesLabel is a label of a series of Prometheus, name="value".
type seriesLabel struct{ name, value string }

// parseSeries reads what a line of Prometheus' text format has before its value:
// a metric name, and labels if there are any, sorted by name. A label without a
// value is the same as none there, and is left out. Names with two underscores in
// front are Prometheus' own: what has one is no series, and neither is what has
// a label twice.
func parseSeries(s string) (metric string, labels []seriesLabel, ok bool) {
	metric, rest, hasLabels := strings.Cut(s, "{")
	if !hasLabels || !isMetricName(metric) {
		return metric, nil, !hasLabels && isMetricName(metric)
	}
	for {
		rest = trimBlanks(rest)
		if rest == "}" {
			break
		}
		var label seriesLabel
		if label, rest, ok = parseSeriesLabel(rest); !ok {
			return "", nil, false
		}
		labels = append(labels, label)
		switch rest = trimBlanks(rest); {
		case strings.HasPrefix(rest, ","):
			rest = rest[1:]
		case rest != "}":
			return "", nil, false
		}
	}
	slices.SortFunc(labels, func(a, b seriesLabel) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(labels); i++ {
		if labels[i].name == labels[i-1].name {
			return "", nil, false
		}
	}
	labels = slices.DeleteFunc(labels, func(l seriesLabel) bool { return l.value == "" })
	return metric, labels, true
}

// parseSeriesLabel reads name="value" and returns what follows.
func parseSeriesLabel(s string) (label seriesLabel, rest string, ok bool) {
	name, value, ok := strings.Cut(s, "=")
	name, value = trimBlanks(name), trimBlanks(value)
	if !ok || !isLabelName(name) || !strings.HasPrefix(value, `"`) {
		return seriesLabel{}, "", false
	}
	var text strings.Builder
	for i := 1; i < len(value); i++ {
		switch c := value[i]; c {
		case '"':
			return seriesLabel{name, text.String()}, value[i+1:], true
		case '\\':
			if i++; i == len(value) {
				return seriesLabel{}, "", false
			}
			switch value[i] {
			case '\\', '"':
				text.WriteByte(value[i])
			case 'n':
				text.WriteByte('\n')
			default:
				return seriesLabel{}, "", false
			}
		default:
			text.WriteByte(c)
		}
	}
	return seriesLabel{}, "", false
}

// appendSeriesLabels appends labels as they stand between braces.
func appendSeriesLabels(b []byte, labels []seriesLabel) []byte {
	for i, l := range labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, l.name...)
		b = append(b, '=')
		b = appendQuoted(b, l.value)
	}
	return b
}

// appendQuoted appends s in quotes, with the escapes that Prometheus knows.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// isMetricName tells whether s is a name as Prometheus had them before it took
// any UTF-8.
func isMetricName(s string) bool {
	for i := range len(s) {
		if !isMetricByte(s[i], i) {
			return false
		}
	}
	return s != ""
}

func isMetricByte(c byte, at int) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == ':' || '0' <= c && c <= '9' && at > 0
}

func isLabelName(s string) bool {
	return isMetricName(s) && !strings.Contains(s, ":") && !strings.HasPrefix(s, "__")
}

// exposedText returns text as every reader of the exposition takes it: what is
// not UTF-8, and control characters, of which a zero byte ends the document to
// some, become \xHH, by the rule of AppendJSONName, so that no two texts become
// the same.
func exposedText(s string) string {
	if isExposable(s) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		c := s[i]
		switch {
		case r == utf8.RuneError && size == 1, isControl(c), c == '\\' && isByteEscape(s[i:]):
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return string(b)
}

func isExposable(s string) bool {
	for i := range len(s) {
		if isControl(s[i]) || s[i] == '\\' && isByteEscape(s[i:]) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// isControl tells whether the byte is a control character, but for the line
// break, which has an escape of its own.
func isControl(c byte) bool { return c < ' ' && c != '\n' || c == 0x7f }

// escapeMetricName returns a name, which is UTF-8, as one that isMetricName, by
// the rules of "Content negotiation" in Prometheus' documentation.
func escapeMetricName(name string, e Escaping) string {
	if isMetricName(name) || e == EscapeNothing {
		return name
	}
	b := make([]byte, 0, len(name)+16)
	if e == EscapeValues {
		b = append(b, "U__"...)
	}
	for i, r := range name {
		isLegacy := r < utf8.RuneSelf && isMetricByte(byte(r), i)
		switch {
		case r == '_' && e != EscapeUnderscores:
			b = append(b, "__"...)
		case r == '.' && e == EscapeDots:
			b = append(b, "_dot_"...)
		case isLegacy:
			b = append(b, byte(r))
		case e == EscapeDots:
			b = append(b, "__"...)
		case e == EscapeValues:
			b = append(b, '_')
			b = strconv.AppendInt(b, int64(r), 16)
			b = append(b, '_')
		default:
			b = append(b, '_')
		}
	}
	return string(b)
}
