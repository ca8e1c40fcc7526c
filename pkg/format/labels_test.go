package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// numberedLabels returns n labels, from the one of that number on.
func numberedLabels(from, n int) []Label {
	labels := make([]Label, n)
	for i := range labels {
		labels[i] = Label{fmt.Sprintf("label%07d", from+i), float64((from+i)%1e6) / 1e4}
	}
	return labels
}

// labelled returns a snapshot with distributions of one name, which have 256 labels
// each, each name once, from the one of that number on.
func labelled(name string, from, labels int) *Snapshot {
	s := &Snapshot{}
	for n := 0; n < labels; n += 256 {
		dist := &Samples{Count: 1, Sum: Int(2), Labels: numberedLabels(from+n, min(256, labels-n)), Window: ints(2)}
		s.Stats = append(s.Stats, Stat{Name: name, Kind: Distribution, Dist: dist})
	}
	return s
}

// inTime fails if f takes as long as only work that grows with the square of its input
// does.
func inTime(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it has taken 20 s and goes on")
	}
}

func TestNameHasNoMoreLabelsThanADistribution(t *testing.T) {
	var sources []*Snapshot
	for i := range 300 {
		sources = append(sources, labelled("x", 256*i, 256))
	}
	tests := []struct {
		name      string
		snapshots []*Snapshot
		skipped   int
	}{
		{"of many sources", sources, 299 * 256},
		{"of one", []*Snapshot{labelled("x", 0, 300*256)}, 299 * 256},
		{"again and again", slices.Repeat(sources[:1], 5), 0},
		{"no more than there may be", []*Snapshot{labelled("x", 0, 200), labelled("x", 100, 156)}, 0},
		{"one more", []*Snapshot{labelled("x", 0, 200), labelled("x", 100, 157)}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			total := Combine(test.snapshots...)
			folded := Fold(test.snapshots[0], test.snapshots[1:]...)
			for what, s := range map[string]*Snapshot{"combined": total, "folded": folded} {
				dist := s.Stats[0].Dist
				if len(s.Stats) != 1 || !slices.Equal(dist.Labels, numberedLabels(0, 256)) {
					t.Errorf("%s: %d stats, the first with %d labels, and not the first 256", what, len(s.Stats), len(dist.Labels))
				}
				n := 0
				for _, one := range test.snapshots {
					n += len(one.Stats)
				}
				if dist.Count != int64(n) || dist.Sum != Int(int64(2*n)) || len(dist.Window) != n {
					t.Errorf("%s: count %d, sum %v and %d samples of %d distributions", what, dist.Count, dist.Sum, len(dist.Window), n)
				}
			}
			if total.Skipped != test.skipped {
				t.Errorf("%d are skipped, want %d", total.Skipped, test.skipped)
			}
		})
	}
}

func TestEachNameHasItsOwnLabels(t *testing.T) {
	total := Combine(labelled("x", 0, 256), labelled("y", 256, 256), labelled("x", 0, 256))
	if len(total.Stats) != 2 || total.Skipped != 0 {
		t.Fatalf("%d stats, %d skipped", len(total.Stats), total.Skipped)
	}
	if !slices.Equal(total.Stats[1].Dist.Labels, numberedLabels(256, 256)) {
		t.Errorf("%d labels", len(total.Stats[1].Dist.Labels))
	}
}

// Fewer labels than a map is made for, and more, in an order that isn't the same.
func TestLabelsOfOneNameComeOnce(t *testing.T) {
	for _, n := range []int{1, 2, fewLabels, fewLabels + 1, 100} {
		s, reversed := labelled("x", 0, n), labelled("x", 0, n)
		slices.Reverse(reversed.Stats[0].Dist.Labels)
		total := Combine(s, reversed, s, labelled("x", n, 1))
		if got := total.Stats[0].Dist.Labels; !slices.Equal(got, numberedLabels(0, n+1)) {
			t.Errorf("%d labels and one more: %v", n, got)
		}
	}
}

func TestManyLabelsOfANameTakeNoLongerThanOthers(t *testing.T) {
	s := labelled("x", 0, 400_000)
	inTime(t, func() { Combine(s) })
	inTime(t, func() { Fold(&Snapshot{}, s) })
}

// labelLines returns a document with a distribution that comes again with every 256
// labels, each of them once.
func labelLines(name string, labels int) string {
	var b strings.Builder
	stats := 0
	for n := range labels {
		if n%256 == 0 {
			fmt.Fprintf(&b, "distribution %s: 1\nsum %s: 2\nsample %s: 2\n", name, name, name)
			stats++
		}
		fmt.Fprintf(&b, "label label%07d %s: %d\n", n, name, n%100)
	}
	return "statvent: 1\n" + b.String() + fmt.Sprintf("end: %d\n", stats)
}

func TestTypedParserBoundsTheLabelsOfAName(t *testing.T) {
	s := parseOne(t, labelLines("x", 5*256+1))
	n := 0
	for _, stat := range s.Stats {
		n += len(stat.Dist.Labels)
	}
	if len(s.Stats) != 6 || n != 256 || s.Skipped != 4*256+1 {
		t.Errorf("%d stats with %d labels, %d lines skipped; want 6, 256, 1025", len(s.Stats), n, s.Skipped)
	}
	if !slices.Equal(ofAll(s.Stats), slices.Repeat(ints(1, 2, 2), 6)) {
		t.Errorf("counts, sums and samples: %v", ofAll(s.Stats))
	}
}

// ofAll returns the counts, the sums and the samples of distributions.
func ofAll(stats []Stat) (values []Value) {
	for _, stat := range stats {
		values = append(values, Int(stat.Dist.Count), stat.Dist.Sum)
		values = append(values, stat.Dist.Window...)
	}
	return values
}

// A label that a distribution of the name has had is none more.
func TestTypedParserTakesTheLabelsOfANameAgain(t *testing.T) {
	again := strings.Repeat("distribution x: 1\nlabel a x: 1\nlabel b x: 2\nlabel c x: 3\n", 200)
	s := parseOne(t, document(strings.TrimSuffix(again, "\n"), 200))
	for _, stat := range s.Stats {
		if len(stat.Dist.Labels) != 3 {
			t.Fatalf("labels: %v", stat.Dist.Labels)
		}
	}
	if len(s.Stats) != 200 || s.Skipped != 0 {
		t.Errorf("%d stats, %d lines skipped", len(s.Stats), s.Skipped)
	}
	if total := Combine(s); len(total.Stats[0].Dist.Labels) != 3 {
		t.Errorf("combined: %v", total.Stats[0].Dist.Labels)
	}
}

// Another name, and another document, has labels of its own.
func TestTypedParserCountsTheLabelsOfEachNameOfADocument(t *testing.T) {
	one := strings.TrimPrefix(labelLines("x", 2*256), "statvent: 1\n")
	other := strings.TrimPrefix(labelLines("y", 256), "statvent: 1\n")
	one, _, _ = strings.Cut(one, "end")
	other, _, _ = strings.Cut(other, "end")
	text := document(strings.TrimSuffix(one+other, "\n"), 3)
	var p TypedParser
	p.Write([]byte(text + text))
	documents, err := p.Documents()
	if err != nil || len(documents) != 2 {
		t.Fatal(len(documents), err)
	}
	for _, d := range documents {
		stats := d.Snapshot.Stats
		if len(stats) != 3 || d.Snapshot.Skipped != 256 || len(stats[0].Dist.Labels) != 256 || len(stats[2].Dist.Labels) != 256 {
			t.Errorf("%d stats, %d lines skipped", len(stats), d.Snapshot.Skipped)
		}
	}
}

func TestManyLabelsInATextTakeNoLongerThanOthers(t *testing.T) {
	text := labelLines("x", 400_000)
	inTime(t, func() {
		s := parseOne(t, text)
		AppendPlain(nil, Combine(s))
		Exposition{}.Append(nil, Combine(s), nil, nil)
		AppendTyped(nil, &Document{Snapshot: s})
	})
}

// A distribution that isn't combined of others has as many labels as it was given.
func TestManyQuantilesTakeNoLongerThanOthers(t *testing.T) {
	const n = 200_000
	dist := &Samples{Count: 1, Window: ints(2)}
	for i := range n {
		dist.Labels = append(dist.Labels, Label{"label", 100 * float64(i) / n})
	}
	s := &Snapshot{Stats: []Stat{{Name: "x", Kind: Distribution, Dist: dist}}}
	inTime(t, func() {
		text := Exposition{}.Append(nil, s, nil, nil)
		if got := bytes.Count(text, []byte("quantile=")); got != n {
			t.Errorf("%d quantiles, want %d", got, n)
		}
	})
}

func TestQuantilesComeOnceHoweverManyThereAre(t *testing.T) {
	for _, n := range []int{3, fewLabels, 100} {
		dist := &Samples{Count: 1, Sum: Int(2), Window: ints(2)}
		for i := range n {
			dist.Labels = append(dist.Labels, Label{fmt.Sprint("a", i), float64(i % 50)}, Label{fmt.Sprint("b", i), float64(i % 50)})
		}
		text := Exposition{}.Append(nil, &Snapshot{Stats: []Stat{{Name: "x", Kind: Distribution, Dist: dist}}}, nil, nil)
		if got := bytes.Count(text, []byte("quantile=")); got != min(n, 50) {
			t.Errorf("%d quantiles of %d", got, n)
		}
	}
}

// Distributions without a metric of their own, of which each has a label that is called
// as its sum is.
func TestManyClashingNamesTakeNoLongerThanOthers(t *testing.T) {
	const n = 100_000
	s := &Snapshot{}
	for i := range n {
		dist := &Samples{Count: 5, Sum: Int(40), Labels: []Label{{"sum", 50}}, Window: ints(2)}
		s.Stats = append(s.Stats, Stat{Name: fmt.Sprintf(`up{n="%06d"}`, i), Kind: Distribution, Dist: dist})
	}
	inTime(t, func() {
		text := string(Exposition{}.Append(nil, s, nil, nil))
		if got := strings.Count(text, `value="sum"} 42`+"\n"); got != n {
			t.Errorf("%d sums, want %d", got, n)
		}
	})
}
