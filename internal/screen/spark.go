package screen

import "math"

// The levels of a trend, from the lowest.
var (
	levels      = []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	asciiLevels = []string{"_", ".", "-", "=", "+", "*", "%", "#"}
)

// spark returns a character for each value, a blank where there is none. With a
// base, the lowest level is zero; else it is the least value.
func spark(trace []float64, base bool, levels []string) string {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range trace {
		if isFinite(v) {
			least, most = min(least, v), max(most, v)
		}
	}
	flat := least == most
	if base {
		least = min(0, least)
	}
	text := make([]byte, 0, 3*len(trace))
	for _, v := range trace {
		level := 0
		switch {
		case !isFinite(v):
			text = append(text, ' ')
			continue
		case most > least:
			level = levelOf(v, least, most, len(levels))
		case flat && !base:
			level = len(levels) / 2
		}
		text = append(text, levels[level]...)
	}
	return string(text)
}

// levelOf returns at which of so many levels a value is.
func levelOf(v, least, most float64, levels int) int {
	if !isFinite(most - least) { // too far apart for a float
		v, least, most = v/2, least/2, most/2
	}
	level := int((v - least) / (most - least) * float64(levels-1))
	if v > least && level == 0 {
		level = 1 // something isn't nothing
	}
	return level
}

func isFinite(v float64) bool { return v-v == 0 }
