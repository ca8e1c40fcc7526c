package watch

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// FormatValue shows a value: integers whole, floats with about four digits, the
// same number of them behind the point as long as the magnitude stays. A value
// that has been a float is shown as one even where it is whole.
func FormatValue(v format.Value, float bool) string {
	if !v.IsFloat() && !float || !v.IsFinite() {
		return v.String()
	}
	return formatFloat(v.Float64())
}

func formatFloat(f float64) string {
	size := math.Abs(f)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return format.Float(f).String()
	}
	if size >= 1e12 || size < 1e-4 && size > 0 {
		return exponential(f, 3)
	}
	return strconv.FormatFloat(f, 'f', digitsOf(size, 10000, 100, 10, 0.1), 64)
}

// digitsOf returns how many digits a number of that size has behind the point: none
// from the first limit on, and one more below each.
func digitsOf(size float64, limits ...float64) int {
	if size == 0 {
		return len(limits) - 1
	}
	for digits, limit := range limits {
		if size >= limit {
			return digits
		}
	}
	return len(limits)
}

// FormatRate shows a number of something a second, "-" where there is none.
func FormatRate(f float64) string {
	size := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "-"
	case f == 0:
		return "0/s"
	case size >= 1e12 || size < 0.001:
		return exponential(f, 1) + "/s"
	default:
		return strconv.FormatFloat(f, 'f', digitsOf(size, 100, 10, 0.1), 64) + "/s"
	}
}

// formatSigned shows by how much something has changed.
func formatSigned(f float64, show func(float64) string) string {
	if f > 0 {
		return "+" + show(f)
	}
	return show(f)
}

// formatGrowth shows by how much something has changed, "-" where that is
// unknown.
func formatGrowth(f float64) string {
	switch {
	case math.IsNaN(f):
		return "-"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', 0, 64)
	default:
		return formatFloat(f)
	}
}

// exponential returns 1.5e12, or 1.5e-5.
func exponential(f float64, digits int) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', digits, 64), "e")
	n, _ := strconv.Atoi(exponent)
	return mantissa + "e" + strconv.Itoa(n)
}

// Shorten returns a text of a number that fits into so many columns, with a power of
// ten if it must: a number that is cut would be another one. The suffix of the text
// stays.
func Shorten(text string, columns int) string {
	if len(text) <= columns {
		return text
	}
	number := strings.TrimSuffix(text, "/s")
	suffix := text[len(number):]
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return text
	}
	sign := ""
	if number[0] == '+' {
		sign = "+"
	}
	for digits := 3; digits >= 0; digits-- {
		if text = sign + exponential(f, digits) + suffix; len(text) <= columns {
			return text
		}
	}
	return strings.Repeat("#", columns)
}

// FormatInterval returns 100ms, 1s or 2m.
func FormatInterval(d time.Duration) string {
	text := d.String()
	text = strings.TrimSuffix(text, "m0s") + strings.Repeat("m", strings.Count(text, "m0s"))
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// FormatAge returns a duration in its largest unit, as list does.
func FormatAge(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	unit, suffix := 24*time.Hour, "d"
	switch {
	case d < time.Minute:
		unit, suffix = time.Second, "s"
	case d < time.Hour:
		unit, suffix = time.Minute, "m"
	case d < 24*time.Hour:
		unit, suffix = time.Hour, "h"
	}
	return strconv.FormatInt(int64(d/unit), 10) + suffix
}
