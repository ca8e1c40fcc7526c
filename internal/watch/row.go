package watch

import (
	"math"
	"strings"
	"time"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/internal/output"
	"github.com/statvent/statvent/pkg/format"
)

// Slots is how many snapshots the trend of a stat goes back.
const Slots = 64

// ResetShown is how long it is said of a counter that it fell.
const ResetShown = 15 * time.Second

// A trace is what something was at the last snapshots, in a ring: NaN where it wasn't
// there.
type trace [Slots]float64

var noTrace = func() (t trace) {
	for i := range t {
		t[i] = math.NaN()
	}
	return t
}()

// A Row is a stat, of all sources or of one; what one source says of a stat; or a
// source.
type Row struct {
	Name   string // as a person may see it
	Note   string // what stands behind it, as far as there is room
	Kind   format.Kind
	Value  format.Value        // of the main label of a distribution
	Labels []format.LabelValue // of a distribution
	Count  int64               // of a distribution

	Rate    float64 // growth a second since the snapshot before; NaN if unknown
	Grown   float64 // since it was first seen; NaN as long as that is unknown
	Average float64 // growth a second since then, of a gauge its mean; NaN if unknown
	Changed bool    // since the snapshot before
	ResetAt time.Time
	Here    bool // the latest snapshot has it
	Pinned  bool
	Float   bool // it once was no integer

	Source *host.Source // where the row is one, or what it says

	key      string // in its table: the stat's name, or which source it is
	dist     bool   // a value and a distribution may have the same key
	haystack string // what a filter looks at, made when it is needed
	listed   bool   // in its page's List
	order    order  // what it is sorted by there, as of then
	seen     int    // tick
	at       time.Time
	number   float64
	main     string // label of Value
	sum      format.Value

	watched float64 // seconds that Grown is of
	mean    float64 // sum of the finite values of a gauge
	means   int     // how many they are

	values trace
}

func newRow(key, name string, stat *format.Stat) *Row {
	r := &Row{
		Name: name, Kind: stat.Kind, key: key, dist: stat.Kind == format.Distribution,
		Rate: math.NaN(), Grown: math.NaN(), Average: math.NaN(), number: math.NaN(),
	}
	r.values = noTrace
	return r
}

// statName returns how the name of a stat is shown. The place of a distribution's
// label is left out at its end.
func statName(stat *format.Stat) string {
	name := stat.Name
	if stat.Kind == format.Distribution {
		name = strings.TrimSuffix(name, ".{0}")
	}
	return output.Escape(name)
}

// counts tells whether its growth is what matters, and can't be negative.
func (r *Row) counts() bool { return r.Kind == format.Counter || r.dist }

// take takes in what a snapshot says of it. After a gap it isn't compared with the one
// before.
func (r *Row) take(stat *format.Stat, at time.Time, tick int, gap bool) {
	known := !r.at.IsZero()
	before, count, number := r.Value, r.Count, r.number
	if r.dist {
		r.takeSamples(stat.Dist, known)
	} else {
		r.Value = stat.Value
	}
	r.number = r.Value.Float64()
	r.Float = r.Float || r.Value.IsFloat() && r.Value.IsFinite()

	var change float64
	switch {
	case r.dist:
		change = float64(r.Count - count)
	case !r.Value.IsFloat() && !before.IsFloat():
		// Exact where they may be too large for a float.
		change = float64(r.Value.Int64() - before.Int64())
	default:
		change = r.number - number
	}
	elapsed := at.Sub(r.at).Seconds()
	if !known || gap || elapsed <= 0 {
		change = math.NaN()
	}
	r.Rate = change / elapsed
	same := before == r.Value || math.IsNaN(r.number) && math.IsNaN(number)
	r.Changed = known && (!same || r.Count != count)
	if r.counts() && change < 0 { // never a negative rate
		r.ResetAt = at
		r.Rate, change = math.NaN(), math.NaN()
	}
	r.average(change, elapsed)

	r.values[tick%Slots] = r.number
	r.at, r.seen, r.Here = at, tick, true
}

// average takes in a change since the snapshot before.
func (r *Row) average(change, elapsed float64) {
	if !math.IsNaN(change) && !math.IsInf(change, 0) {
		if math.IsNaN(r.Grown) {
			r.Grown = 0
		}
		r.Grown += change
		r.watched += elapsed
		r.Average = r.Grown / r.watched
	}
	if r.Kind == format.Gauge {
		if r.Value.IsFinite() {
			r.mean += r.number
			r.means++
		}
		r.Average = r.mean / float64(r.means)
	}
}

// takeSamples computes what is shown of a distribution, unless nothing was recorded
// since the last time.
func (r *Row) takeSamples(d *format.Samples, known bool) {
	if known && d.Count == r.Count && d.Sum == r.sum && len(d.Labels) == len(r.Labels) {
		return
	}
	r.Count, r.sum = d.Count, d.Sum
	r.Labels = d.Compute()
	r.main, r.Value = "", format.Float(math.NaN())
	for i, computed := range r.Labels { // one for each label, in their order
		if i == 0 || d.Labels[i].Percentile == 50 {
			r.main, r.Value = computed.Label, computed.Value
		}
		if d.Labels[i].Percentile == 50 {
			break
		}
	}
}

// miss notes that a snapshot doesn't have it.
func (r *Row) miss(tick int) {
	r.gap(tick)
	r.Here, r.Changed = false, false
	r.Rate = math.NaN()
}

// gap leaves the slot of a tick empty.
func (r *Row) gap(tick int) { r.values[tick%Slots] = math.NaN() }

// valueAt is what it was at one of the last ticks.
func (r *Row) valueAt(tick int) float64 {
	if tick <= 0 {
		return math.NaN()
	}
	return r.values[tick%Slots]
}

// isZero tells whether there is nothing to see yet.
func (r *Row) isZero() bool {
	if r.dist {
		return r.Count == 0
	}
	return r.Source == nil && r.number == 0
}

// IsReset tells whether it fell not long ago, as of a moment.
func (r *Row) IsReset(now time.Time) bool {
	return !r.ResetAt.IsZero() && now.Sub(r.ResetAt) < ResetShown
}

// ValueText shows the value.
func (r *Row) ValueText() string {
	if r.dist && len(r.Labels) == 0 {
		return "-" // no samples
	}
	return FormatValue(r.Value, r.Float)
}

// MainLabel is the label of a distribution's value, as it may be seen.
func (r *Row) MainLabel() string { return output.Escape(r.main) }

// RateText shows how it moves, as of a moment: a number a second, or a word.
func (r *Row) RateText(now time.Time) string {
	switch {
	case !r.Here:
		return "gone"
	case r.IsReset(now):
		return "reset"
	case r.counts():
		return FormatRate(r.Rate)
	default:
		return formatSigned(r.Rate, FormatRate)
	}
}

// GrownText shows by how much it has grown since it was first seen.
func (r *Row) GrownText(now time.Time) string {
	switch {
	case !r.Here:
		return "gone"
	case r.IsReset(now):
		return "reset"
	default:
		return formatSigned(r.Grown, formatGrowth)
	}
}

// AverageText shows the average over the session: of a gauge that of its values, of
// all else a number a second.
func (r *Row) AverageText() string {
	switch {
	case math.IsNaN(r.Average):
		return "-"
	case r.Kind == format.Gauge:
		return formatFloat(r.Average)
	case r.Kind == format.Untyped:
		return formatSigned(r.Average, FormatRate)
	default:
		return FormatRate(r.Average)
	}
}

// nameWidth returns how many columns its name takes, with the main label and the note.
func (r *Row) nameWidth(widthOf func(text string) int) int {
	n := widthOf(r.Name)
	if r.dist {
		n += 1 + widthOf(r.MainLabel())
	}
	if r.Note != "" {
		n += 1 + widthOf(r.Note)
	}
	return n
}

// SumText shows the sum of what a distribution has recorded.
func (r *Row) SumText() string { return FormatValue(r.sum, r.Float) }

// LabelText shows one of a distribution's labels.
func (r *Row) LabelText(i int) string {
	return output.Escape(r.Labels[i].Label) + " " + FormatValue(r.Labels[i].Value, r.Float)
}

// text returns what a filter looks at.
func (r *Row) text() string {
	if r.haystack == "" {
		r.haystack = strings.ToLower(r.Name + "\n" + r.key + "\n" + r.Kind.String())
		if r.Source != nil {
			r.haystack = strings.ToLower(r.Name + "\n" + r.Source.Command + "\n" + r.Source.User + "\n" + string(r.Source.State))
		}
	}
	return r.haystack
}
