// Summarize reads the CSV of benchstat and writes Markdown: for each benchmark and
// unit a table with a row for each variant and a column for each library. The
// first library is ours, and so is each whose name begins with it. Below each row
// are the ratios of these to the others.
package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	tables, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	benchmark := ""
	for _, t := range tables {
		if t.benchmark != benchmark {
			benchmark = t.benchmark
			fmt.Fprintf(out, "\n### %s\n", benchmark)
		}
		t.write(out)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// A table has the medians of one unit.
type table struct {
	benchmark string
	unit      string // as benchstat calls it: seconds, not nanoseconds
	columns   []string
	rows      []row
}

type row struct {
	variant string
	cells   []cell
}

// A cell is the median of a variant and a library, and how sure it is.
type cell struct {
	median float64 // NaN if there is none
	spread string  // such as "2%", half of the confidence interval
}

// read reads the tables that are of interest. In benchstat's CSV each begins with
// two lines, one with the columns and one with their units; a line before them
// says which benchmark they are of, if that is another one. The first column has
// two fields and each other four, of which we want the first two.
func read(r io.Reader) ([]*table, error) {
	lines := csv.NewReader(r)
	lines.FieldsPerRecord = -1
	var tables []*table
	var current *table
	benchmark := ""
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return slices.DeleteFunc(tables, (*table).isDull), nil
		}
		if err != nil {
			return nil, err
		}
		name, isBenchmark := strings.CutPrefix(fields[0], ".name: ")
		switch {
		case isBenchmark:
			benchmark, current = name, nil
		case fields[0] == "geomean":
			current = nil
		case fields[0] == "" && current == nil:
			current = &table{benchmark: benchmark, columns: cells(fields, func(i int) string { return fields[i] })}
			tables = append(tables, current)
		case fields[0] == "":
			current.unit = fields[1]
		case current == nil:
			return nil, fmt.Errorf("a row without a table: %q", fields)
		default:
			current.rows = append(current.rows, row{variant(fields[0]), cells(fields, func(i int) cell {
				median, err := strconv.ParseFloat(fields[i], 64)
				if err != nil {
					return cell{median: math.NaN()}
				}
				return cell{median, fields[i+1]}
			})})
		}
	}
}

// cells returns what stands where the cells of a line begin.
func cells[T any](fields []string, at func(i int) T) []T {
	values := []T{at(1)}
	for i := 3; i < len(fields); i += 4 {
		values = append(values, at(i))
	}
	return values
}

var procs = regexp.MustCompile(`-\d+$`)

// variant returns the name of a row without the benchmark's and the number of
// processors, which is the same for all.
func variant(name string) string {
	name = strings.TrimPrefix(procs.ReplaceAllString(name, ""), "*")
	return cmp.Or(strings.TrimPrefix(name, "/"), "median")
}

// isDull tells whether the table says nothing that another one doesn't, or that
// there is nothing.
func (t *table) isDull() bool {
	if t.unit == "B/op" {
		return true // allocs/op says whether there are any
	}
	return !slices.ContainsFunc(t.rows, func(r row) bool {
		return slices.ContainsFunc(r.cells, func(c cell) bool { return c.median > 0 })
	})
}

// hasRatios tells whether less is better and comparable.
func (t *table) hasRatios() bool { return t.unit != "B/s" && t.unit != "allocs/op" }

func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n| %s | %s |\n", t.unit, strings.Join(t.columns, " | "))
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("--:|", len(t.columns)))
	for _, r := range t.rows {
		texts := make([]string, len(t.columns))
		for i, c := range r.cells {
			texts[i] = c.text(t.unit)
		}
		fmt.Fprintf(w, "| %s | %s |\n", r.variant, strings.Join(texts, " | "))
		if !t.hasRatios() {
			continue
		}
		for i, c := range r.cells {
			if t.isOurs(i) && c.median > 0 {
				t.writeRatios(w, t.columns[i], c.median, r.cells)
			}
		}
	}
}

// isOurs tells whether a column is one that is held against the others.
func (t *table) isOurs(column int) bool {
	return column == 0 || strings.HasPrefix(t.columns[column], t.columns[0]+"-")
}

// writeRatios writes our median divided by those of others.
func (t *table) writeRatios(w io.Writer, name string, ours float64, others []cell) {
	texts := make([]string, len(t.columns))
	some := false
	for i, c := range others {
		if !t.isOurs(i) && c.median > 0 {
			ratio := ours / c.median
			behind := 2
			if ratio < 0.1 {
				behind = 3
			}
			texts[i] = fmt.Sprintf("**%.*f**", behind, ratio)
			some = true
		}
	}
	if some {
		fmt.Fprintf(w, "| *%s ÷* | %s |\n", name, strings.Join(texts, " | "))
	}
}

// text returns the median, with three digits and its unit, and its spread.
func (c cell) text(unit string) string {
	if math.IsNaN(c.median) {
		return ""
	}
	value, prefix := c.median, ""
	switch base, _, _ := strings.Cut(unit, "/"); {
	case strings.HasSuffix(base, "sec"):
		value, prefix = scale(value, []string{" ns", " µs", " ms", " s"}, 1e-9)
	case base == "B":
		value, prefix = scale(value, []string{" B", " kB", " MB", " GB"}, 1)
	}
	text := digits(value) + prefix
	if c.spread != "" && c.spread != "∞" && c.spread != "0%" {
		text += " ± " + c.spread
	}
	return text
}

// digits returns x with three digits, or all of those before the point.
func digits(x float64) string {
	if x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	behind := 2 - int(math.Floor(math.Log10(x)))
	return strconv.FormatFloat(x, 'f', max(behind, 0), 64)
}

// scale returns a value below 1,000, unless it is beyond them all, and its prefix.
func scale(value float64, prefixes []string, first float64) (float64, string) {
	value /= first
	for _, prefix := range prefixes[:len(prefixes)-1] {
		if value < 1000 {
			return value, prefix
		}
		value /= 1000
	}
	return value, prefixes[len(prefixes)-1]
}
