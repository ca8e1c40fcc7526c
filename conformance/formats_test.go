package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statvent/statvent/pkg/format"
)

// kinds make a stat of each kind with a value that no other stat has: it is a
// counter's, gauge's and untyped's value, and a distribution's count.
var kinds = []func(name string, i int) format.Stat{
	func(name string, i int) format.Stat { return counter(name, format.Int(int64(i))) },
	func(name string, i int) format.Stat { return gauge(name, format.Int(int64(i))) },
	func(name string, i int) format.Stat { return untyped(name, format.Int(int64(i))) },
	func(name string, i int) format.Stat {
		return distribution(name, int64(i), format.Float(float64(i)+0.25), format.Float(float64(i)+0.5), format.Float(float64(i)+0.75))
	},
}

// unique returns a stat for each name, whose kind the function chooses. The
// distributions a and a.{0} are the same to everybody: there is one of them.
func unique(names []string, kind func(i int) int) (stats []format.Stat) {
	seen, templates := make(map[string]bool), make(map[string]bool)
	for i, name := range names {
		stat := kinds[kind(i)%len(kinds)](format.CleanName(name), 1000+i)
		if seen[stat.Name] || stat.Kind == format.Distribution && templates[format.LabelTemplate(stat.Name)] {
			continue
		}
		seen[stat.Name] = true
		if stat.Kind == format.Distribution {
			templates[format.LabelTemplate(stat.Name)] = true
		}
		stats = append(stats, stat)
	}
	return stats
}

// checkFound checks that each of the stats that unique makes is there, once, and
// under a name from which its own can be seen.
func checkFound(t testing.TB, a asked, samples []sample, stats []format.Stat) {
	t.Helper()
	byValue := make(map[float64][]sample)
	for _, s := range samples {
		byValue[s.value] = append(byValue[s.value], s)
	}
	once := func(stat format.Stat, what string, value float64) {
		t.Helper()
		found := byValue[value]
		if len(found) != 1 {
			t.Errorf("%v: %s %q, %s, is there %d times: %v", a, stat.Kind, stat.Name, what, len(found), found)
			return
		}
		if problem := misnamed(a, found[0], stat); problem != "" {
			t.Errorf("%v: %s %q, %s, is %v: %s", a, stat.Kind, stat.Name, what, found[0], problem)
		}
	}
	for _, stat := range stats {
		if stat.Kind != format.Distribution {
			once(stat, "its value", stat.Value.Float64())
			continue
		}
		once(stat, "its count", float64(stat.Dist.Count))
		once(stat, "its sum", stat.Dist.Sum.Float64())
	}
}

func TestEveryNameInEveryFormat(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for shift := range kinds {
			stats := unique(names, func(i int) int { return i + shift })
			checkFound(t, a, check(t, a, stats...), stats)
		}
	})
}

// All of one kind.
func TestEveryNameOfOneKind(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for kind := range kinds {
			stats := unique(names, func(int) int { return kind })
			checkFound(t, a, check(t, a, stats...), stats)
		}
	})
}

func TestEachNameAlone(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for _, name := range names {
			for kind := range kinds {
				stats := unique([]string{name}, func(int) int { return kind })
				checkFound(t, a, check(t, a, stats...), stats)
				if t.Failed() {
					t.Fatalf("the name is %q", name)
				}
			}
		}
	})
}

// Random pairs and triples of names that are close to each other.
func TestNamesThatClash(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	bases := []string{"a", "a.b", "a_b", "a b", "a\xff", `a\xff`, "a.{0}", "a{0}", "{0}", "", "_", "statvent_clashing", `a{x="y"}`, `a{x="{0}"}`}
	ends := []string{"", "", "", "_total", ".total", "_sum", "_count", "_created", "_bucket", "_info", "_mean", ".mean", "_total_total", `{x="y"}`, `{quantile="0.5"}`, `{stat="a.b"}`}
	inEveryFormat(t, func(t *testing.T, a asked) {
		random := rand.New(rand.NewPCG(1, 2))
		for range rounds {
			var list []string
			for range 2 + random.IntN(4) {
				list = append(list, bases[random.IntN(len(bases))]+ends[random.IntN(len(ends))])
			}
			stats := unique(list, func(int) int { return random.IntN(len(kinds)) })
			checkFound(t, a, check(t, a, stats...), stats)
			if t.Failed() {
				t.Fatalf("the stats are %v", stats)
			}
		}
	})
}

// Prometheus adds these to what it scrapes. Where the target has one already, that
// is the one that counts: a program could say that serve is down, or up.
func TestNamesThatPrometheusAdds(t *testing.T) {
	added := []string{
		"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
		"scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes",
	}
	inEveryFormat(t, func(t *testing.T, a asked) {
		for kind := range kinds {
			stats := unique(append(added, `up{job="x"}`, "scrape duration_seconds"), func(int) int { return kind })
			samples := check(t, a, stats...)
			checkFound(t, a, samples, stats)
			for _, s := range samples {
				if slices.Contains(added, s.name()) {
					t.Errorf("%v: %v", a, s)
				}
			}
		}
	})
}

// Series of the same name that are apart in the snapshot are together in the
// exposition, each with its labels.
func TestSeriesOfAFamilyAreTogether(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		stats := unique([]string{`a{x="1"}`, "a", `a{x="2",y="3"}`, "a_z", "aa", `a{b="{0}"}`, "a.b", `a_b{x="1"}`, "a b"}, func(int) int { return 1 })
		checkFound(t, a, check(t, a, stats...), stats)
	})
}

func TestDistributionBesideAScalarOfItsName(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for kind := range 3 {
			stats := []format.Stat{kinds[kind]("a.{0}", 1000), kinds[3]("a.{0}", 2000), kinds[kind]("a", 3000), kinds[kind]("a.mean", 4000), kinds[kind]("a_count", 5000)}
			checkFound(t, a, check(t, a, stats...), stats)
		}
	})
}

var values = []format.Value{
	format.Int(0), format.Int(1), format.Int(-1), format.Int(math.MaxInt64), format.Int(math.MinInt64), format.Int(1<<53 + 1),
	format.Float(0), format.Float(math.Copysign(0, -1)), format.Float(0.1), format.Float(-1.5), format.Float(1e300), format.Float(5e-324), format.Float(math.MaxFloat64),
	format.Float(1e16), format.Float(1e15), format.Float(1e-5), format.Float(math.Inf(1)), format.Float(math.Inf(-1)), format.Float(math.NaN()),
}

func TestValuesOfEveryKind(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		var stats []format.Stat
		for i, v := range values {
			stats = append(stats, gauge(fmt.Sprintf("g%02d", i), v), untyped(fmt.Sprintf("u%02d", i), v))
			if v.IsFinite() && v.Float64() >= 0 {
				stats = append(stats, counter(fmt.Sprintf("c%02d", i), v))
			}
		}
		got := make(map[string]float64)
		for _, s := range check(t, a, stats...) {
			got[strings.TrimSuffix(s.name(), "_total")] = s.value
		}
		for _, stat := range stats {
			if v, ok := got[stat.Name]; !ok || !same(v, stat.Value.Float64()) {
				t.Errorf("%s is %v, want %v", stat.Name, v, stat.Value)
			}
		}
	})
}

// Recorded values may be anything.
func TestDistributionsOfEveryValue(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for _, v := range values {
			stats := []format.Stat{distribution("a.{0}", 3, v, v, v)}
			samples := check(t, a, stats...)
			quantiles := 0
			for _, s := range samples {
				if s.labels.Get("quantile") != "" {
					quantiles++
					if !same(s.value, v.Float64()) {
						t.Errorf("a quantile of %v is %v", v, s)
					}
				}
			}
			if want := len(format.DefaultLabels()) - 1; quantiles != want {
				t.Errorf("%d quantiles of %v, want %d: %v", quantiles, v, want, samples)
			}
		}
	})
}

// Labels are whatever a program says they are.
func TestDistributionsWithAnyLabels(t *testing.T) {
	inEveryFormat(t, func(t *testing.T, a asked) {
		for _, list := range [][]format.Label{
			nil,
			{{Name: "mean", Percentile: format.Mean}},
			{{Name: "median", Percentile: 50}, {Name: "p50", Percentile: 50}, {Name: "mean", Percentile: format.Mean}, {Name: "average", Percentile: format.Mean}},
			{{Name: "all", Percentile: 100}, {Name: "none", Percentile: 0}, {Name: "p99.999", Percentile: 99.999}, {Name: "p33.3", Percentile: 100. / 3}},
			{{Name: "beyond", Percentile: 101}, {Name: "below", Percentile: -2}, {Name: "nan", Percentile: math.NaN()}, {Name: "inf", Percentile: math.Inf(1)}, {Name: "-inf", Percentile: math.Inf(-1)}, {Name: "-0", Percentile: math.Copysign(0, -1)}},
			{{Name: "", Percentile: 50}, {Name: "", Percentile: 60}, {Name: "a b", Percentile: 70}, {Name: "\xff", Percentile: 80}},
			{{Name: "tiny", Percentile: 1e-300}, {Name: "almost", Percentile: 99.99999999999999}},
		} {
			stat := distribution("a.{0}", 7, format.Int(8), format.Int(1), format.Int(2), format.Int(3))
			stat.Dist.Labels = list
			check(t, a, stat, gauge("a.mean", format.Int(5)), gauge("a_average", format.Int(6)))
		}
		empty := distribution("a.{0}", 0, format.Int(0))
		check(t, a, empty)
		lasting := distribution("a.{0}", 5, format.Int(9)) // what is left of a process that has ended
		check(t, a, lasting)
	})
}

// A scraper that gets the same snapshot in two formats gets the same series.
func TestFormatsAgree(t *testing.T) {
	for _, pair := range [][2]string{
		{text004, text004 + ";escaping=underscores"},
		{text004, text100},
		{text004, open100},
		{text100 + ";escaping=allow-utf-8", open100 + ";escaping=allow-utf-8"},
		{text100 + ";escaping=dots", open100 + ";escaping=dots"},
		{text004 + ";escaping=values", open100 + ";escaping=values"},
	} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			for shift := range kinds {
				stats := unique(names, func(i int) int { return i + shift })
				var series [2][]string
				for i, accept := range pair {
					samples, err := scrape(expose(accept, stats...))
					if err != nil {
						t.Fatal(err)
					}
					for _, s := range samples {
						text := s.String()
						// Prometheus itself writes both as 1.0, but in a summary only.
						series[i] = append(series[i], strings.Replace(text, `quantile="1"`, `quantile="1.0"`, 1))
					}
					slices.Sort(series[i])
				}
				for i := range series {
					for _, s := range series[i] {
						if _, both := slices.BinarySearch(series[1-i], s); !both {
							t.Errorf("only %s has %s", pair[i], s)
						}
					}
				}
			}
		})
	}
}
