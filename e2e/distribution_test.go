//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/statvent"
)

// distributionOptions are those of the distributions that a puppet makes.
var distributionOptions = map[string][]statvent.DistributionOption{
	"custom": {
		statvent.WithLabels(statvent.Percentile("p10", 10), statvent.Percentile("p99.9", 99.9), statvent.Mean("average")),
		statvent.WithWindow(7),
	},
	"formatted": {
		statvent.WithFormat(func(name, label string) string { return label + " of " + name }),
		statvent.WithWindow(1000),
	},
}

// A pooled is a distribution of several processes.
type pooled struct {
	Window   int                `json:"window"`
	Labels   map[string]float64 `json:"labels"` // name of the stat -> percentile
	Recorded [][]json.Number    `json:"recorded"`
}

// 20 processes record known values; the host's percentiles, means and counts are
// those that a program of another hand computes from all of them together.
func TestDistributionsAreOne(t *testing.T) {
	t.Parallel()
	const processes = 20
	seed := rand.Uint64()
	t.Logf("random data of rand.NewPCG(%d, 0)", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	integer := func() string { return strconv.Itoa(int(random.ExpFloat64() * 1000)) }
	float := func() string { return strconv.FormatFloat(random.NormFloat64(), 'g', -1, 64) }

	labels := func(format string) map[string]float64 {
		names := map[string]float64{}
		for label, percentile := range map[string]float64{"median": 50, "95th": 95, "99th": 99, "100th": 100, "mean": -1} {
			names[fmt.Sprintf(format, label)] = percentile
		}
		return names
	}
	distributions := map[string]*pooled{
		"size.{0}":         {Window: 100, Labels: labels("size.%s")},
		"custom.{0}":       {Window: 7, Labels: map[string]float64{"custom.p10": 10, "custom.p99.9": 99.9, "custom.average": -1}},
		"{0} of formatted": {Window: 1000, Labels: labels("%s of formatted")},
	}
	dir := t.TempDir()
	for range processes {
		p := startPuppet(t, dir)
		p.do("distribution custom.{0} custom", "distribution formatted formatted")
		for name, d := range distributions {
			value := integer
			if name == "custom.{0}" {
				value = float
			}
			var values []json.Number
			var line strings.Builder
			for range 1 + random.IntN(250) {
				v := value()
				if value := json.Number(v); !strings.ContainsAny(v, ".e") && name == "custom.{0}" {
					values = append(values, value+".0")
				} else {
					values = append(values, value)
				}
				line.WriteString(" " + v)
			}
			d.Recorded = append(d.Recorded, values)
			p.do("record " + strings.TrimPrefix(name, "{0} of ") + line.String())
		}
		p.do("start")
	}

	input, err := json.Marshal(distributions)
	if err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), lookup(t, "python3"), "testdata/foreign/percentiles.py")
	script.Stdin = bytes.NewReader(input)
	output, err := script.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]json.Number)
	decoder := json.NewDecoder(bytes.NewReader(output))
	decoder.UseNumber()
	if err := decoder.Decode(&want); err != nil {
		t.Fatal(err)
	}

	got, _ := startServe(t, dir).stats(t)
	counts := typedCounts(t, dir)
	for name, value := range want {
		have, isLabel := got[name]
		if !isLabel {
			have = json.Number(counts[name])
		}
		if !sameNumber(have, value) {
			t.Errorf("%s is %q, want %q", name, have, value)
		}
	}
	if labels := 5 + 3 + 5; len(got) != labels || len(counts) != len(distributions) || len(want) != len(got)+len(counts) {
		t.Errorf("there are %d labels, %d distributions, %d numbers to compare", len(got), len(counts), len(want))
	}
}

// sameNumber tells whether two numbers are of one kind and one size.
func sameNumber(a, b json.Number) bool {
	x, errA := a.Float64()
	y, errB := b.Float64()
	return errA == nil && errB == nil && x == y && isInt(a.String()) == isInt(b.String())
}

// typedCounts returns how many values the host's distributions have had.
func typedCounts(t *testing.T, dir string) map[string]string {
	t.Helper()
	out, _, _ := runStatvent(t, dir, "cat", "-o", "typed")
	counts := make(map[string]string)
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "distribution "); ok {
			name, count, _ := strings.Cut(rest, ": ")
			counts[name] = strings.TrimSpace(count)
		}
	}
	return counts
}
