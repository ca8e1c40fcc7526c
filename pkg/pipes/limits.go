package pipes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/statvent/statvent/pkg/format"
)

// Limits bound what is read, brought together and kept. They are numbers above 0;
// what isn't is replaced by the default.
type Limits struct {
	MaxBytes int // of one snapshot; 64 MiB. A source that sends more fails
	MaxStats int // of one snapshot; 100,000. The same
	MaxLine  int // bytes without the line break; 64 KiB. A longer line is skipped

	// MaxSources is how many sources a Collector reads; 10,000, and no more than
	// three quarters of the descriptors that the process may have. MaxHostStats is how
	// many names a Collection has; 100,000. How they are shared is said at Collector.
	MaxSources   int
	MaxHostStats int

	// MaxHostBytes bounds what all sources of a Collector have sent together, a line
	// counted as 32 bytes more than it has; 128 MiB. A source for which there is no room
	// fails.
	MaxHostBytes int

	// What is kept of one user; 64 MiB and 200,000. What would go beyond stays
	// beside it. Files up to the default are read whatever these are.
	MaxRetainedBytes int
	MaxRetainedStats int
}

// The defaults of Limits.
const (
	DefaultMaxBytes         = 64 << 20
	DefaultMaxStats         = format.DefaultMaxStats
	DefaultMaxLine          = format.DefaultMaxLine
	DefaultMaxSources       = 10_000
	DefaultMaxHostStats     = 100_000
	DefaultMaxHostBytes     = 128 << 20
	DefaultMaxRetainedBytes = 64 << 20
	DefaultMaxRetainedStats = 200_000
)

func (l Limits) withDefaults() Limits { return l.or(positiveOr) }

// atLeastDefaults are the limits where nothing must be lost: who lowers them reads
// less, but what others have kept is not cut.
func (l Limits) atLeastDefaults() Limits {
	return l.or(func(n, fallback int) int { return max(n, fallback) })
}

func positiveOr(n, fallback int) int {
	if n <= 0 {
		return fallback
	}
	return n
}

func (l Limits) or(choose func(n, fallback int) int) Limits {
	return Limits{
		MaxBytes:         choose(l.MaxBytes, DefaultMaxBytes),
		MaxStats:         choose(l.MaxStats, DefaultMaxStats),
		MaxLine:          choose(l.MaxLine, DefaultMaxLine),
		MaxSources:       choose(l.MaxSources, DefaultMaxSources),
		MaxHostStats:     choose(l.MaxHostStats, DefaultMaxHostStats),
		MaxHostBytes:     choose(l.MaxHostBytes, DefaultMaxHostBytes),
		MaxRetainedBytes: choose(l.MaxRetainedBytes, DefaultMaxRetainedBytes),
		MaxRetainedStats: choose(l.MaxRetainedStats, DefaultMaxRetainedStats),
	}
}

// toReadRetained are the limits of a source that is a retained file.
func (l Limits) toReadRetained() Limits {
	l = l.atLeastDefaults()
	l.MaxBytes, l.MaxStats = l.MaxRetainedBytes, l.MaxRetainedStats
	return l
}

// A Limit names one of the Limits that can be hit.
type Limit string

// The limits. A line that is too long is one of Snapshot.Skipped.
const (
	LimitSourceBytes   Limit = "source_bytes"   // Limits.MaxBytes
	LimitSourceStats   Limit = "source_stats"   // Limits.MaxStats
	LimitSources       Limit = "sources"        // Limits.MaxSources
	LimitHostStats     Limit = "host_stats"     // Limits.MaxHostStats
	LimitHostBytes     Limit = "host_bytes"     // Limits.MaxHostBytes
	LimitRetainedBytes Limit = "retained_bytes" // Limits.MaxRetainedBytes
	LimitRetainedStats Limit = "retained_stats" // Limits.MaxRetainedStats
)

// AllLimits returns all limits.
func AllLimits() []Limit {
	return []Limit{LimitSourceBytes, LimitSourceStats, LimitSources, LimitHostStats, LimitHostBytes, LimitRetainedBytes, LimitRetainedStats}
}

// Text returns what the limit is as a configuration has it.
func (l Limit) Text(n int) string {
	switch l {
	case LimitSourceBytes, LimitHostBytes, LimitRetainedBytes:
		return BytesText(n)
	default:
		return strconv.Itoa(n)
	}
}

// BytesText returns a number of bytes in the largest unit of which it is a whole number,
// such as 64MiB.
func BytesText(n int) string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if bytes := 1 << (30 - 10*i); n > 0 && n%bytes == 0 {
			return strconv.Itoa(n/bytes) + unit
		}
	}
	return strconv.Itoa(n)
}

// A LimitError is the error of a source that sent, or a file that has, more than it
// may.
type LimitError struct {
	Limit Limit // one of a source or of what is retained
	Max   int
}

func (e *LimitError) Error() string {
	what := e.Limit.Text(e.Max)
	switch {
	case e.Limit == LimitHostBytes:
		return fmt.Sprintf("more than there is room for: one user has %s at the most (max_%s is %s)",
			e.Limit.Text(Share(e.Max)), e.Limit, what)
	case e.Limit == LimitSourceStats, e.Limit == LimitRetainedStats:
		what += " stats"
	case what == strconv.Itoa(e.Max):
		what += " bytes"
	}
	return fmt.Sprintf("more than %s (max_%s)", what, e.Limit)
}

// A LimitHit says what a limit has left out of a Collection.
type LimitHit struct {
	Limit Limit
	UID   int // whose it is
	Max   int // what the limit is
	// LeftOut is how many sources failed or were not read, how many names have no
	// value of their own, or how many files are beside a retained file that is full.
	LeftOut int
}

// hits are the limits that were hit, by user.
type hits map[LimitHit]int

// add notes that the limit has left out one more of that user.
func (h hits) add(limit Limit, most, uid int) {
	h[LimitHit{Limit: limit, UID: uid, Max: most}]++
}

func (h hits) list() []LimitHit {
	var list []LimitHit
	for hit, n := range h {
		hit.LeftOut = n
		list = append(list, hit)
	}
	slices.SortFunc(list, func(a, b LimitHit) int {
		return cmp.Or(strings.Compare(string(a.Limit), string(b.Limit)), cmp.Compare(a.UID, b.UID))
	})
	return list
}

// MaxOpenSources is how many sources a Collector of this process reads whatever the
// Limits are: one that hangs takes a descriptor.
func MaxOpenSources() int { return Share(maxDescriptors()) }

// failedBy returns the limit that made a source fail.
func failedBy(err error) (*LimitError, bool) {
	limit := new(LimitError)
	ok := errors.As(err, &limit)
	return limit, ok
}
