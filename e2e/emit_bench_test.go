//go:build linux

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

// buildFor builds a program as the Makefile does and copies it, as an installation
// does: pages that the linker wrote one by one take longer to map.
func buildFor(b *testing.B, name, source string) (path string) {
	b.Helper()
	dir := b.TempDir() // on the disk, where programs are
	linked, path := filepath.Join(dir, "linked"), filepath.Join(dir, name)
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-o", linked, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	text, err := os.ReadFile(linked)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil {
		b.Fatal(err)
	}
	return path
}

// A cost is what a whole process takes.
type cost struct{ wall, user, cpu time.Duration }

func measure(b *testing.B, cmd *exec.Cmd) cost {
	b.Helper()
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%q: %v", cmd.Args, err)
	}
	wall := time.Since(begin)
	user := cmd.ProcessState.UserTime()
	return cost{wall, user, user + cmd.ProcessState.SystemTime()}
}

func median[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// `emit NAME`, as a whole process, against a tool of cobra and viper that does
// nothing. The goal is a wall-ratio and a cpu-ratio of at most 1.3.
//
//	go test ./e2e -run '^$' -bench Emit
func BenchmarkEmit(b *testing.B) {
	dir := memoryDir(b)
	statvent := buildFor(b, "statvent", "github.com/statvent/statvent")
	empty := buildFor(b, "emptytool", "./testdata/emptytool")
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "pipe_dir: %s\ncolor: never\n", pipeDirIn(b, dir)), 0o644); err != nil {
		b.Fatal(err)
	}
	environment := append(os.Environ(), "EMPTYTOOL_CONFIG="+config)
	const pairs = 100 // at the least
	var wallRatios, cpuRatios []float64
	var emits, empties []time.Duration
	pair := func() {
		emit := exec.Command(statvent, "--config", config, "emit", "jobs.done")
		tool := exec.Command(empty, "one")
		emit.Env, tool.Env = environment, environment
		a, b := measure(b, emit), measure(b, tool)
		wallRatios = append(wallRatios, float64(a.wall)/float64(b.wall))
		cpuRatios = append(cpuRatios, float64(a.cpu)/float64(b.cpu))
		emits, empties = append(emits, a.wall), append(empties, b.wall)
	}
	for range 5 {
		pair() // so that everything is in memory
	}
	wallRatios, cpuRatios, emits, empties = nil, nil, nil, nil
	for b.Loop() {
		pair()
	}
	for len(wallRatios) < pairs {
		pair()
	}
	b.ReportMetric(median(wallRatios), "wall-ratio")
	b.ReportMetric(median(cpuRatios), "cpu-ratio")
	b.ReportMetric(median(emits).Seconds()*1e3, "emit-ms")
	b.ReportMetric(median(empties).Seconds()*1e3, "empty-ms")
	b.ReportMetric(float64(len(wallRatios)), "pairs")
}

// A batch of 10,000 different lines. The goal is at most 0.2 user-s.
func BenchmarkEmitBatch(b *testing.B) {
	dir := memoryDir(b)
	statvent := buildFor(b, "statvent", "github.com/statvent/statvent")
	var lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&lines, "batch.name.%d: %d\n", i, i)
	}
	file := filepath.Join(dir, "lines")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	environment := append(os.Environ(), pipes.DirVariable+"="+pipeDirIn(b, dir))
	const batches = 10 // at the least
	var users, walls []time.Duration
	batch := func() {
		in, err := os.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		defer in.Close()
		emit := exec.Command(statvent, "emit", "-")
		emit.Env, emit.Stdin = environment, in
		cost := measure(b, emit)
		users, walls = append(users, cost.user), append(walls, cost.wall)
	}
	for b.Loop() {
		batch()
	}
	for len(users) < batches {
		batch()
	}
	b.ReportMetric(median(users).Seconds(), "user-s")
	b.ReportMetric(median(walls).Seconds(), "wall-s")
}
