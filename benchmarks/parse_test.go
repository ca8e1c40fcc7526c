package benchmarks

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/statvent/statvent/pkg/format"
)

// processes is how many there are of the program whose stats are added up.
const processes = 200

// BenchmarkParse reads the stats of 200 processes of one program, 100 each, and
// adds them up. Between one time and the next, which isn't measured, all have new
// values. Time is that of all 200; bytes are those of each library's own text.
//
// statvent is given what each process sent the time before, as a Collector does; the
// maps of the others are warm. statvent-typed-first reads each for the first time.
//
// The names of the Prometheus format are as long as the others, and have no
// labels, which are work; those of textparse-labels have what a program would
// have made labels of.
func BenchmarkParse(b *testing.B) {
	names := slices.Sorted(slices.Values(statNames(100)))
	metrics := metricNames(names)
	b.Run("lib=statvent", func(b *testing.B) {
		last := make([]*format.Snapshot, processes)
		parse(b, names, format.AppendPlain, func(texts [][]byte) float64 {
			for i, text := range texts {
				p := format.PlainParser{Like: last[i]}
				if _, err := p.Write(text); err != nil {
					b.Fatal(err)
				}
				last[i] = p.Snapshot()
			}
			return totalOf(format.Combine(last...))
		})
	})
	b.Run("lib=statvent-typed", func(b *testing.B) {
		last := make([]*format.Snapshot, processes)
		parse(b, names, appendTyped, func(texts [][]byte) float64 {
			for i, text := range texts {
				last[i] = parseTyped(b, text, last[i])
			}
			return totalOf(format.Combine(last...))
		})
	})
	b.Run("lib=statvent-typed-first", func(b *testing.B) {
		parse(b, names, appendTyped, func(texts [][]byte) float64 {
			snapshots := make([]*format.Snapshot, processes)
			for i, text := range texts {
				snapshots[i] = parseTyped(b, text, nil)
			}
			return totalOf(format.Combine(snapshots...))
		})
	})
	b.Run("lib=strconv-loop", func(b *testing.B) {
		sums := make(map[string]*float64)
		parse(b, names, format.AppendPlain, func(texts [][]byte) float64 {
			for _, sum := range sums {
				*sum = 0
			}
			for _, text := range texts {
				addLines(sums, text)
			}
			return totalOfMap(sums)
		})
	})
	b.Run("lib=textparse", func(b *testing.B) {
		parse(b, metrics, appendMetrics, func(texts [][]byte) float64 { return addTextparse(b, texts) })
	})
	b.Run("lib=textparse-labels", func(b *testing.B) {
		labelled := make([]string, len(names))
		for i := range labelled {
			labelled[i] = `http_requests{method="GET",path="/api/v1/items/` + strconv.Itoa(i) + `",status="200"}`
		}
		parse(b, labelled, appendMetrics, func(texts [][]byte) float64 { return addTextparse(b, texts) })
	})
	b.Run("lib=expfmt", func(b *testing.B) {
		parse(b, metrics, appendMetrics, func(texts [][]byte) float64 {
			sums := make(map[string]*float64)
			parser := expfmt.NewTextParser(model.UTF8Validation)
			for _, text := range texts {
				families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
				if err != nil {
					b.Fatal(err)
				}
				for name, family := range families {
					for _, metric := range family.GetMetric() {
						addTo(sums, []byte(name), metric.GetUntyped().GetValue())
					}
				}
			}
			return totalOfMap(sums)
		})
	})
}

func appendTyped(b []byte, s *format.Snapshot) []byte {
	return format.AppendTyped(b, &format.Document{PID: 3435, Snapshot: s})
}

func parseTyped(b *testing.B, text []byte, like *format.Snapshot) *format.Snapshot {
	p := format.TypedParser{Like: like}
	if _, err := p.Write(text); err != nil {
		b.Fatal(err)
	}
	documents, err := p.Documents()
	if err != nil {
		b.Fatal(err)
	}
	return documents[0].Snapshot
}

// parse measures a function that adds up texts, and returns the sum of all their
// values.
func parse(b *testing.B, names []string, appendText func([]byte, *format.Snapshot) []byte, addUp func([][]byte) float64) {
	b.ReportAllocs()
	stats := make([]format.Stat, len(names))
	for i, name := range names {
		stats[i] = format.Stat{Name: name, Kind: format.Counter}
	}
	texts := make([][]byte, processes)
	size, want := 0, 0.0
	renew := func() {
		size, want = 0, 0
		for i := range texts {
			for j := range stats {
				stats[j].Value = randomValue(j)
				want += stats[j].Value.Float64()
			}
			texts[i] = appendText(texts[i][:0], &format.Snapshot{Stats: stats})
			size += len(texts[i])
		}
	}
	for b.Loop() {
		b.StopTimer()
		renew()
		b.StartTimer()
		got := addUp(texts)
		b.StopTimer()
		if diff := got - want; diff > 1e-6*want || diff < -1e-6*want {
			b.Fatalf("the sum is %v, want %v", got, want)
		}
		b.StartTimer()
	}
	b.SetBytes(int64(size))
}

// randomValue returns a value of the stat of that number: every tenth is a float.
func randomValue(number int) format.Value {
	if number%10 == 0 {
		return format.Float(randomSeconds())
	}
	return format.Int(randomCount())
}

func totalOf(s *format.Snapshot) float64 {
	total := 0.0
	for _, stat := range s.Stats {
		total += stat.Value.Float64()
	}
	return total
}

func totalOfMap(sums map[string]*float64) float64 {
	total := 0.0
	for _, sum := range sums {
		total += *sum
	}
	return total
}

func addTo(sums map[string]*float64, name []byte, v float64) {
	if sum, ok := sums[string(name)]; ok {
		*sum += v
	} else {
		first := v // v itself would be on the heap for each call
		sums[string(name)] = &first
	}
}

// addLines is the least that a reader of the plain format does. It knows no sign,
// and keeps all sums as floats.
func addLines(sums map[string]*float64, text []byte) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		line := text[:end]
		text = text[end+1:]
		colon := bytes.LastIndexByte(line, ':')
		digits := line[colon+2:]
		n, isInt := int64(0), true
		for _, c := range digits {
			if c < '0' || c > '9' {
				isInt = false
				break
			}
			n = n*10 + int64(c-'0')
		}
		v := float64(n)
		if !isInt {
			v, _ = strconv.ParseFloat(string(digits), 64)
		}
		addTo(sums, line[:colon], v)
	}
}

// appendMetrics appends the stats in the Prometheus text format.
func appendMetrics(b []byte, s *format.Snapshot) []byte {
	for _, stat := range s.Stats {
		b = append(b, stat.Name...)
		b = append(b, ' ')
		b = stat.Value.Append(b)
		b = append(b, '\n')
	}
	return b
}

// addTextparse adds up texts in the Prometheus text format by series.
func addTextparse(b *testing.B, texts [][]byte) float64 {
	sums := make(map[string]*float64)
	symbols := labels.NewSymbolTable()
	for _, text := range texts {
		p := textparse.NewPromParser(text, symbols, false)
		for {
			entry, err := p.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if entry == textparse.EntrySeries {
				series, _, v := p.Series()
				addTo(sums, series, v)
			}
		}
	}
	return totalOfMap(sums)
}
