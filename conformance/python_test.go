package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/statvent/statvent/pkg/format"
)

// A pythonAnswer is what testdata/parse.py says of an exposition.
type pythonAnswer struct {
	Error   string
	Samples [][3]any
}

// askPython has the parsers of Prometheus' Python client read what is exposed. That
// of OpenMetrics is the strictest there is.
func askPython(t *testing.T, a asked, snapshots ...[]format.Stat) (answers []pythonAnswer) {
	t.Helper()
	var input bytes.Buffer
	for _, stats := range snapshots {
		body, _ := expose(a.accept, stats...)
		line, err := json.Marshal(map[string]any{"openmetrics": a.isOpenMetrics(), "text": string(body)})
		if err != nil {
			t.Fatal(err)
		}
		input.Write(line)
		input.WriteByte('\n')
	}
	for _, python := range []string{"/usr/bin/python3", "python3"} { // Debian's has Debian's packages
		cmd := exec.CommandContext(t.Context(), python, "testdata/parse.py")
		cmd.Stdin = bytes.NewReader(input.Bytes())
		out, err := cmd.Output()
		if exit := new(exec.ExitError); errors.Is(err, exec.ErrNotFound) || errors.As(err, &exit) && exit.ExitCode() == 77 || cmd.ProcessState == nil {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(out) {
			var answer pythonAnswer
			if err := json.Unmarshal(line, &answer); err != nil {
				t.Fatal(err)
			}
			answers = append(answers, answer)
		}
		if len(answers) != len(snapshots) {
			t.Fatalf("%d answers to %d questions", len(answers), len(snapshots))
		}
		return answers
	}
	t.Skip("SKIPPED: there is no python3-prometheus-client")
	return nil
}

// inEveryLegacyFormat runs a test for those that have no names in quotes, which the
// Python client of Debian doesn't know.
func inEveryLegacyFormat(t *testing.T, test func(t *testing.T, a asked)) {
	for _, a := range everyFormat() {
		if a.scheme != model.NoEscaping {
			t.Run(a.String(), func(t *testing.T) { test(t, a) })
		}
	}
}

// pythonSamples are the samples as Python reads them, sorted.
func (answer pythonAnswer) series() (series []string) {
	for _, s := range answer.Samples {
		set := map[string]string{model.MetricNameLabel: fmt.Sprint(s[0])}
		if given, ok := s[1].(map[string]any); ok {
			for name, value := range given {
				set[name] = fmt.Sprint(value)
			}
		}
		value, err := strconv.ParseFloat(fmt.Sprint(s[2]), 64)
		if err != nil {
			value = -12345 // which is none that was exposed
		}
		series = append(series, seriesText(set, value))
	}
	slices.Sort(series)
	return series
}

func seriesText(set map[string]string, value float64) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set)) {
		v := set[name]
		if name == "quantile" && v == "1" {
			v = "1.0"
		}
		fmt.Fprintf(&text, "%s=%q ", name, v)
	}
	return text.String() + fmt.Sprint(value)
}

// agreesWithPython checks that Python reads what Prometheus reads.
func agreesWithPython(t *testing.T, a asked, snapshots ...[]format.Stat) {
	t.Helper()
	answers := askPython(t, a, snapshots...)
	// The smallest that fails says most.
	for i, answer := range slices.Backward(answers) {
		body, contentType := expose(a.accept, snapshots[i]...)
		samples, err := scrape(body, contentType)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, s := range samples {
			want = append(want, seriesText(s.labels.Map(), s.value))
		}
		slices.Sort(want)
		if answer.Error != "" {
			t.Errorf("%s\nin\n%s", answer.Error, clip(body))
		} else if got := answer.series(); !slices.Equal(got, want) {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("Python reads %s, Prometheus %s", got[i], want[i])
					break
				}
			}
			t.Errorf("Python reads %d samples, Prometheus %d", len(got), len(want))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestPythonReadsEveryName(t *testing.T) {
	inEveryLegacyFormat(t, func(t *testing.T, a asked) {
		var snapshots [][]format.Stat
		for shift := range kinds {
			snapshots = append(snapshots,
				unique(names, func(i int) int { return i + shift }),
				unique(names, func(int) int { return shift }))
			for _, name := range names {
				snapshots = append(snapshots, unique([]string{name}, func(int) int { return shift }))
			}
		}
		agreesWithPython(t, a, snapshots...)
	})
}

func TestPythonReadsEveryValue(t *testing.T) {
	inEveryLegacyFormat(t, func(t *testing.T, a asked) {
		var snapshots [][]format.Stat
		for _, v := range values {
			snapshots = append(snapshots, []format.Stat{gauge("g", v), untyped("u", v)})
			// OpenMetrics has no room for quantiles below 0. Prometheus reads them, and
			// that is what matters.
			if v.Float64() >= 0 || !a.isOpenMetrics() {
				snapshots = append(snapshots, []format.Stat{
					distribution("d.{0}", 1, v, v), distribution(`d_{0}{x="y"}`, 1, v, v, format.Int(5)),
				})
			}
			if v.IsFinite() && v.Float64() >= 0 {
				snapshots = append(snapshots, []format.Stat{counter("c", v)})
			}
		}
		agreesWithPython(t, a, snapshots...)
	})
}
