package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
)

// liveInterval is the least time between two collections that are made for the
// live page, however many look at it.
const liveInterval = time.Second

// A latest is the newest answer there is. The requests for it make the next one;
// nothing happens while there are none.
type latest struct {
	mu     sync.Mutex
	answer *answer // nil at first
}

func (l *latest) keep(a *answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = a
}

// live serves the newest answer, never older than the interval, and never the one
// that the client has, whose timestamp is ?after: so that all pages share the
// same collections. Its document is
//
//	{
//	  "timestamp": 1700000000.250,    of the collection; the next request's ?after
//	  "interval": 1,                  the least time to the next, in seconds
//	  "stats_path": "/stats",         as the server has it
//	  "stats": [                      sorted by name
//	    {"name": "a", "kind": "counter", "value": 1},       or gauge, or untyped
//	    {"name": "d.{0}", "kind": "distribution", "count": 2, "sum": 3.0,
//	     "labels": [{"label": "median", "percentile": 50, "value": 1.5},
//	                {"label": "mean", "value": 1.5}]}       no labels without samples
//	  ],
//	  "pipe_dir", "sources", "passed_over", "left_out",
//	  "conflicts":                    as /sources has them
//	  "detail": {                     with ?stat=NAME alone
//	    "name": "a",
//	    "sources": [{"source": 0, "stats": [{"kind": "counter", "value": 1}]}]
//	  }
//	}
//
// A source of the detail is the index of one of the sources, which may have a
// distribution beside a value of the same name. Names are as
// format.AppendJSONName has them. A number is a string where a JSON number would
// lose something: an integer beyond 2^53, "nan", "inf" and "-inf".
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	after, err := parseTimestamp(query.Get("after"))
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error())
		return
	}
	answer, err := s.newest(r.Context(), after)
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	document, err := answer.live.get(func() ([]byte, error) { return appendLive(nil, answer, s.opts.Path) })
	if err != nil || !query.Has("stat") {
		writeShared(w, r, jsonType, document, err)
		return
	}
	s.writeAlone(w, r, func() []byte {
		text := append(bytes.TrimSuffix(slices.Clone(document.plain), []byte("}\n")), `,"detail":`...)
		return append(appendDetail(text, answer, query.Get("stat")), "}\n"...)
	})
}

// parseTimestamp reads the Unix time of an answer, to the millisecond; none is 0.
// One that no answer has, be it in the future, is that of a client that doesn't
// have the latest.
func parseTimestamp(text string) (milliseconds int64, err error) {
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < math.MaxInt64/1000) {
		return 0, errors.New("after is the timestamp of an answer, such as 1700000000.250")
	}
	return int64(math.Round(seconds * 1000)), nil
}

// newest returns an answer that isn't older than the interval, nor that of the
// timestamp after.
func (s *Server) newest(ctx context.Context, after int64) (*answer, error) {
	for {
		answer, wait, next := s.latestOrNext(after)
		switch {
		case answer != nil:
			return answer, nil
		case next != nil:
			return await(ctx, next)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// latestOrNext returns the latest answer, or how long it is until there may be
// another one, or the one that is on its way. An answer is kept before its
// collection is over, so that under the lock each collection is seen: who finds
// no fresh answer joins it or begins the one collection of this interval.
func (s *Server) latestOrNext(after int64) (*answer, time.Duration, <-chan singleflight.Result) {
	s.latest.mu.Lock()
	defer s.latest.mu.Unlock()
	latest := s.latest.answer
	if latest == nil {
		return nil, 0, s.begin()
	}
	age := time.Since(latest.collection.Time)
	switch {
	case age < 0 || age >= liveInterval: // negative where the clock was set back
		return nil, 0, s.begin()
	case latest.collection.Time.UnixMilli() == after:
		return nil, liveInterval - age, nil
	default:
		return latest, 0, nil
	}
}

// appendLive appends the document, without a detail.
func appendLive(b []byte, a *answer, path string) ([]byte, error) {
	report := host.Describe(a.collection, a.total)
	about, err := json.Marshal(struct {
		Interval  float64 `json:"interval"`
		StatsPath string  `json:"stats_path"`
		*host.Report
	}{liveInterval.Seconds(), path, report})
	if err != nil {
		return nil, err
	}
	b = append(b, bytes.TrimSuffix(about, []byte("}"))...)
	b = append(b, `,"stats":[`...)
	for i := range a.total.Stats {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = format.AppendJSONName(b, a.total.Stats[i].Name)
		b = append(b, ',')
		b = append(appendLiveValue(b, &a.total.Stats[i]), '}')
	}
	return append(b, "]}\n"...), nil
}

// appendLiveValue appends what a stat is, but for its name, without braces.
func appendLiveValue(b []byte, stat *format.Stat) []byte {
	b = append(b, `"kind":"`...)
	b = append(b, stat.Kind.String()...)
	if stat.Kind != format.Distribution {
		return appendLiveNumber(append(b, `","value":`...), stat.Value)
	}
	b = strconv.AppendInt(append(b, `","count":`...), stat.Dist.Count, 10)
	b = appendLiveNumber(append(b, `,"sum":`...), stat.Dist.Sum)
	b = append(b, `,"labels":[`...)
	for i, computed := range stat.Dist.Compute() { // one for each label, in their order
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"label":`...)
		b = format.AppendJSONName(b, computed.Label)
		if p := stat.Dist.Labels[i].Percentile; p >= 0 && p <= 100 {
			b = strconv.AppendFloat(append(b, `,"percentile":`...), p, 'g', -1, 64)
		}
		b = append(appendLiveNumber(append(b, `,"value":`...), computed.Value), '}')
	}
	return append(b, ']')
}

// maxExact is the integer up to which a float64 has all, and so what reads JSON
// with them.
const maxExact = 1 << 53

// appendLiveNumber appends the value as a JSON number, or as its text in a string
// where that would lose something.
func appendLiveNumber(b []byte, v format.Value) []byte {
	if n := v.Int64(); v.IsFinite() && (v.IsFloat() || n >= -maxExact && n <= maxExact) {
		return v.Append(b)
	}
	return append(v.Append(append(b, '"')), '"')
}

// appendDetail appends what each source says of one stat.
func appendDetail(b []byte, a *answer, name string) []byte {
	b = format.AppendJSONName(append(b, `{"name":`...), name)
	b = append(b, `,"sources":[`...)
	first := true
	for i := range a.collection.Sources {
		of := statsNamed(a.collection.Sources[i].Snapshot, name)
		if len(of) == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = strconv.AppendInt(append(b, `{"source":`...), int64(i), 10)
		b = append(b, `,"stats":[`...)
		for j := range of {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(appendLiveValue(append(b, '{'), &of[j]), '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

// statsNamed returns what one source says of a stat: one value and one
// distribution at the most.
func statsNamed(s *format.Snapshot, name string) []format.Stat {
	if s == nil {
		return nil
	}
	from, found := slices.BinarySearchFunc(s.Stats, name, func(stat format.Stat, name string) int {
		return cmp.Compare(stat.Name, name)
	})
	if !found {
		return nil
	}
	to := from
	for to < len(s.Stats) && s.Stats[to].Name == name {
		to++
	}
	return format.Combine(&format.Snapshot{Stats: s.Stats[from:to], Ended: s.Ended}).Stats
}
