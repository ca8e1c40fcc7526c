package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/statvent/statvent/pkg/pipes"
)

// A limitKey is the key of one of the limits.
type limitKey struct {
	name      string
	bytes     bool // else it is a number of things
	low, high int
	of        func(*pipes.Limits) *int
}

// maxHostBytes is 1 TiB, and less where no process can have as much.
const maxHostBytes = min(1<<40, math.MaxInt)

var limitKeys = []limitKey{
	{MaxSources, false, 1, 1_000_000, func(l *pipes.Limits) *int { return &l.MaxSources }},
	{MaxHostStats, false, 1, 10_000_000, func(l *pipes.Limits) *int { return &l.MaxHostStats }},
	{MaxHostBytes, true, 1 << 10, maxHostBytes, func(l *pipes.Limits) *int { return &l.MaxHostBytes }},
	{MaxSourceStats, false, 1, 10_000_000, func(l *pipes.Limits) *int { return &l.MaxStats }},
	{MaxSourceBytes, true, 1 << 10, 1 << 30, func(l *pipes.Limits) *int { return &l.MaxBytes }},
	{MaxLineBytes, true, 64, 16 << 20, func(l *pipes.Limits) *int { return &l.MaxLine }},
	{MaxRetainedStats, false, 1, 10_000_000, func(l *pipes.Limits) *int { return &l.MaxRetainedStats }},
	{MaxRetainedBytes, true, 1 << 10, 1 << 30, func(l *pipes.Limits) *int { return &l.MaxRetainedBytes }},
}

// text returns the limit as somebody would write it.
func (k limitKey) text(n int) string {
	if k.bytes {
		return pipes.BytesText(n)
	}
	return number(n)
}

func (k limitKey) parse(text string) (int, error) {
	parse, what, example := strconv.Atoi, "a number", ""
	if k.bytes {
		parse, what, example = parseBytes, "a number of bytes", ", such as 65536 or 64KiB"
	}
	n, err := parse(text)
	if err != nil || n < k.low || n > k.high {
		return 0, fmt.Errorf("%q is not %s from %s to %s%s", text, what, k.text(k.low), k.text(k.high), example)
	}
	return n, nil
}

func number(n int) string { return strconv.Itoa(n) }

// units are those of bytes.
var units = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// parseBytes reads a number of bytes, with or without a unit.
func parseBytes(text string) (int, error) {
	factor := 1
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(text, unit.name); ok {
			text, factor = strings.TrimSpace(rest), unit.bytes
			break
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > math.MaxInt/factor {
		return 0, fmt.Errorf("%q is not a number of bytes, such as 65536 or 64KiB", text)
	}
	return n * factor, nil
}
