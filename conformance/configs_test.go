package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const (
	dashboardFile = "../configs/grafana-dashboard.json"
	rulesDir      = "../configs/prometheus/rules"
	testsDir      = "../configs/prometheus/tests"
)

// A dashboard is what of Grafana's model matters here.
type dashboard struct {
	Inputs []struct {
		Name, Type, PluginID string
	} `json:"__inputs"`
	Requires      []struct{ Type, ID string } `json:"__requires"`
	SchemaVersion int                         `json:"schemaVersion"`
	UID, Title    string
	Templating    struct {
		List []struct {
			Name, Type, Definition string
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Repeat                   string
	Datasource               *datasource
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []target
}

type datasource struct{ Type, UID string }

type target struct {
	Expr       string
	Datasource *datasource
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardCanBeImported(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 36 || d.UID == "" || d.Title == "" {
		t.Errorf("schema version %d, uid %q, title %q", d.SchemaVersion, d.UID, d.Title)
	}
	if len(d.Inputs) != 1 || d.Inputs[0].Type != "datasource" || d.Inputs[0].PluginID != "prometheus" {
		t.Errorf("it asks for %+v when it is imported, want a Prometheus", d.Inputs)
	}
	required := make(map[string]bool)
	for _, r := range d.Requires {
		required[r.Type+" "+r.ID] = true
	}
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				cell := [2]int{x, y}
				if other, taken := cells[cell]; taken || x >= 24 {
					t.Fatalf("%q is at %v, where %q is, or outside", p.Title, cell, other)
				}
				cells[cell] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if !required["panel "+p.Type] {
			t.Errorf("__requires lacks the panel %q", p.Type)
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%q has no description or asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, ds := range []*datasource{p.Datasource, target.Datasource} {
				if ds == nil || *ds != (datasource{"prometheus", "${datasource}"}) {
					t.Errorf("%q asks %+v, not what was chosen", p.Title, ds)
				}
			}
		}
	}
}

// fillIn puts values in the place of a dashboard's variables, as Grafana does.
var fillIn = strings.NewReplacer(
	"$__rate_interval", "1m", "$job", "statvent", "$instance", "web1:7828|web2:7828",
	"$counter", "app_requests_total", "${summary}", "app_latency", "$summary", "app_latency",
)

var (
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	asVariable  = regexp.MustCompile(`\$\{?(\w+)`)
)

func TestDashboardAsksInPromQL(t *testing.T) {
	d := readDashboard(t)
	defined := map[string]bool{"__rate_interval": true}
	expr := func(where, expr string) {
		t.Helper()
		for _, m := range asVariable.FindAllStringSubmatch(expr, -1) {
			if !defined[m[1]] {
				t.Errorf("%s: there is no variable %s", where, m[1])
			}
		}
		if text := fillIn.Replace(expr); strings.Contains(text, "$") {
			t.Errorf("%s: a variable is left in %s", where, text)
		} else if _, err := parsePromQL(text); err != nil {
			t.Errorf("%s: %v in %s", where, err, text)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			m := labelValues.FindStringSubmatch(v.Definition)
			if m == nil {
				t.Errorf("variable %s is %s", v.Name, v.Definition)
				continue
			}
			expr("variable "+v.Name, m[1])
		}
		defined[v.Name] = true // those that come later may use it
	}
	n := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr(p.Title, target.Expr)
			n++
		}
		if p.Repeat != "" && !defined[p.Repeat] {
			t.Errorf("%s: there is no variable %s", p.Title, p.Repeat)
		}
	}
	if n < 15 {
		t.Errorf("only %d expressions", n)
	}
}

func parsePromQL(text string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(text)
}

// A rule is one of Prometheus' rule files.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rulesDir, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: no rules", err)
	}
	for _, file := range files {
		var document struct{ Groups []struct{ Rules []rule } }
		readYAML(t, file, &document)
		for _, group := range document.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	return rules
}

func readYAML(t *testing.T, file string, document any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, document); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestRulesAreInPromQL(t *testing.T) {
	for _, r := range readRules(t) {
		if _, err := parsePromQL(r.Expr); err != nil {
			t.Errorf("%s%s: %v", r.Record, r.Alert, err)
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	severities := []string{"critical", "warning", "info"}
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		if r.Annotations["summary"] == "" || len(r.Annotations["description"]) < 80 {
			t.Errorf("%s says too little: %q", r.Alert, r.Annotations)
		}
		if !slices.Contains(severities, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
	}
}

// Every alert fires and every recorded series is looked at in promtool's tests.
func TestEveryRuleIsTested(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testsDir, "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, r := range readRules(t) {
		if !strings.Contains(tests.String(), r.Record+r.Alert) {
			t.Errorf("%s%s is in no test", r.Record, r.Alert)
		}
	}
}
