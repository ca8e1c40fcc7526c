//go:build linux

package benchmarks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/statvent/statvent/pkg/format"
)

// sumOf returns what the sources' values are together, one for each name.
func sumOf(seed uint64, sources int) []format.Value {
	sum := make([]format.Value, statsPerSource)
	for source := range sources {
		for i, v := range sourceValues(seed, source) {
			sum[i] = sum[i].Add(v)
		}
	}
	return sum
}

// checkSum says whether the numbers by name are the sums. Floats may be added up
// in any order.
func checkSum(b *testing.B, got func(name string) (float64, bool), seed uint64, sources int) {
	b.Helper()
	want := sumOf(seed, sources)
	for i, name := range sourceNames() {
		x, ok := got(name)
		if w := want[i].Float64(); !ok || math.Abs(x-w) > 1e-9*w {
			b.Fatalf("%s is %v in place of %v", name, x, w)
		}
	}
}

// A clientPython reads what processes with prometheus_client have left.
type clientPython struct {
	*worker
	seed uint64
}

// debianPython is the interpreter that Debian's python3-prometheus-client is
// installed for.
const debianPython = "/usr/bin/python3"

func startClientPython(b *testing.B, sources int) *clientPython {
	b.Helper()
	if err := exec.Command(debianPython, "-c", "import prometheus_client").Run(); err != nil {
		b.Skip("SKIPPED: there is no " + debianPython + " with prometheus_client (python3-prometheus-client)")
	}
	seed := rand.Uint64()
	var text []byte
	for source := range sources {
		values := sourceValues(seed, source)
		stats := make(map[string]json.Number, statsPerSource)
		for i, name := range sourceNames() {
			stats[name] = json.Number(values[i].String())
		}
		line, err := json.Marshal(stats)
		if err != nil {
			b.Fatal(err)
		}
		text = append(append(text, line...), '\n')
	}
	dir := memoryDir(b)
	values := filepath.Join(b.TempDir(), "values")
	if err := os.WriteFile(values, text, 0o600); err != nil {
		b.Fatal(err)
	}
	env := append(os.Environ(), "PROMETHEUS_MULTIPROC_DIR="+dir, "PYTHONDONTWRITEBYTECODE=1")

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	write := exec.CommandContext(ctx, debianPython, "testdata/multiprocess_write.py", values)
	write.Env = env
	dieWithUs(write)
	if said, err := write.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != sources {
		b.Fatalf("prometheus_client has left %d files in place of %d: %v", len(files), sources, err)
	}
	read := exec.Command(debianPython, "testdata/multiprocess_read.py")
	read.Env = env
	p := &clientPython{startWorker(b, read), seed}
	p.check(b, sources)
	return p
}

// check says whether it brings the same stats together.
func (p *clientPython) check(b *testing.B, sources int) {
	b.Helper()
	var text string
	if err := json.Unmarshal([]byte(p.ask(b, "text")), &text); err != nil {
		b.Fatal(err)
	}
	read := make(map[string]float64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			read[strings.TrimSuffix(name, "_total")] = x // which prometheus_client appends
		}
	}
	checkSum(b, func(name string) (float64, bool) { x, ok := read[name]; return x, ok }, p.seed, sources)
}

// round returns how long it took to bring all together.
func (p *clientPython) round(b *testing.B) time.Duration {
	b.Helper()
	seconds, err := strconv.ParseFloat(p.ask(b, "time"), 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// dieWithUs has the kernel kill a process that wouldn't notice that this one was
// killed.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// An httpServer is a process that answers over HTTP.
type httpServer struct {
	pid    int
	url    string
	client *http.Client
}

// startHTTPServer starts a process and waits until it says on its standard error
// where it listens: HOST:PORT is what the pattern's first group matches.
func startHTTPServer(b *testing.B, cmd *exec.Cmd, says *regexp.Regexp, path string) *httpServer {
	b.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	said := &tail{}
	address := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			_, _ = said.Write(append(lines.Bytes(), '\n'))
			if m := says.FindSubmatch(lines.Bytes()); m != nil {
				select {
				case address <- string(m[1]):
				default:
				}
			}
		}
	}()
	// Compressing the answer would be most of the work, and isn't asked for.
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
	b.Cleanup(func() {
		client.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		_ = cmd.Wait()
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-address:
		return &httpServer{cmd.Process.Pid, "http://" + a + path, client}
	case <-ended:
		b.Fatalf("%s has ended: %s", cmd.Path, said)
	case <-timer.C:
		b.Fatalf("%s doesn't say where it listens: %s", cmd.Path, said)
	}
	return nil
}

// get returns the whole answer.
func (s *httpServer) get(b *testing.B) []byte {
	b.Helper()
	resp, err := s.client.Get(s.url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v: %s", resp.Status, err, body)
	}
	return body
}

// startNodeExporter starts one with its textfile collector alone, on a file for
// each source. It tells the sources apart by a label, as it refuses a series that
// comes twice, and leaves adding them up to whoever asks.
func startNodeExporter(b *testing.B, sources int) *httpServer {
	b.Helper()
	binary, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		b.Skip("SKIPPED: there is no prometheus-node-exporter")
	}
	dir := memoryDir(b)
	seed := rand.Uint64()
	for source := range sources {
		var text strings.Builder
		values := sourceValues(seed, source)
		for i, name := range sourceNames() {
			fmt.Fprintf(&text, "# HELP %[1]s Counted by a process.\n# TYPE %[1]s counter\n%[1]s{source=\"worker-%[2]d\"} %[3]s\n",
				name, source, values[i])
		}
		name := filepath.Join(dir, fmt.Sprintf("worker-%d.prom", source))
		if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s := startHTTPServer(b, exec.Command(binary,
		"--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir,
		"--web.disable-exporter-metrics", "--web.listen-address=127.0.0.1:0"),
		regexp.MustCompile(`[Ll]istening on.* address="?(127\.0\.0\.1:\d+)`), "/metrics")
	series := 0
	for line := range strings.Lines(string(s.get(b))) {
		if strings.Contains(line, `{source="worker-`) {
			series++
		}
	}
	if series != sources*statsPerSource {
		b.Fatalf("node_exporter has %d series in place of %d", series, sources*statsPerSource)
	}
	return s
}

// startServe builds statvent and starts its serve for those publishers.
func startServe(b *testing.B, set *publisherSet) *httpServer {
	b.Helper()
	home := b.TempDir()
	binary := filepath.Join(home, "statvent")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // where nothing is cached yet
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-o", binary, ".")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	cmd := exec.Command(binary, "serve", "--pipe-dir", set.dir, "--listen", "127.0.0.1:0", "--state-dir", filepath.Join(home, "state"))
	cmd.Env = []string{"HOME=" + home} // none of the user's configuration
	s := startHTTPServer(b, cmd, regexp.MustCompile(`url=http://([^/]+)/`), "/stats")
	var answer struct{ Stats map[string]float64 }
	if err := json.Unmarshal(s.get(b), &answer); err != nil {
		b.Fatal(err)
	}
	checkSum(b, func(name string) (float64, bool) { x, ok := answer.Stats[name]; return x, ok }, set.seed, set.sources)
	return s
}
