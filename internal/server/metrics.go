package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"

	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
	"github.com/statvent/statvent/pkg/statvent"
)

// metrics are what the server has to say about itself: what it counts goes into
// a registry, and the rest is read off a collection.
type metrics struct {
	registry     *statvent.Registry
	took         *statvent.Distribution
	failures     *statvent.Counter
	folds        *statvent.Counter
	folded       int // of a collector, as the last collection said
	sourceErrors map[pipes.State]*statvent.Counter
	build        string
}

// help returns the texts for the server's own metrics.
var help = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"statvent_build_info":                        "A constant 1, with what statvent was built from.",
		"statvent_sources":                           "Sources by their state in the last collection.",
		"statvent_stats":                             "Stats of the whole host, a distribution being one.",
		"statvent_skipped_lines":                     "Lines of the last collection that could not be read.",
		"statvent_conflicts":                         "Stats that are of one kind here and of another there.",
		"statvent_left_out":                          "What a limit has left out of the last collection, see docs/limits.md.",
		"statvent_passed_over":                       "Entries of the pipe directory that are no sources.",
		"statvent_background_errors":                 "What fails in the background, such as folding and removing.",
		"statvent_last_collection_timestamp_seconds": "When the last collection began.",
		"statvent_collection_duration_seconds":       "How long the last hundred collections took.",
		"statvent_collection_errors_total":           "Collections that failed because the pipe directory could not be read.",
		"statvent_source_errors_total":               "Sources that could not be read or did not answer, added up over all collections.",
		"statvent_folds_total":                       "Ended recorders whose counters were added to the retained files.",
		"statvent_http_requests_total":               "Requests by the status of their answer.",
		"statvent_clashing":                          "Stats without a name of their own, see docs/prometheus.md.",
	}
})

func newMetrics(version string) *metrics {
	r := statvent.NewRegistry()
	m := &metrics{
		registry: r,
		took: r.NewDistribution("statvent_collection_duration_seconds", statvent.WithLabels(
			statvent.Percentile("median", 50), statvent.Percentile("99th", 99), statvent.Percentile("100th", 100))),
		failures:     r.NewCounter("statvent_collection_errors_total"),
		folds:        r.NewCounter("statvent_folds_total"),
		sourceErrors: make(map[pipes.State]*statvent.Counter),
		build:        fmt.Sprintf(`statvent_build_info{goversion=%q,version=%q}`, runtime.Version(), version),
	}
	for _, state := range []pipes.State{pipes.Failed, pipes.Unresponsive} {
		m.sourceErrors[state] = r.NewCounter(fmt.Sprintf(`statvent_source_errors_total{state="%s"}`, state))
	}
	r.NewCounter(requestsName(http.StatusOK)) // so that the name is taken from the beginning
	return m
}

// requestsName returns the name of the counter of answers with a status.
func requestsName(status int) string {
	return `statvent_http_requests_total{code="` + strconv.Itoa(status) + `"}`
}

// failed notes a collection that could not be made.
func (m *metrics) failed() { m.failures.Incr() }

// note notes one that could. There is one at a time.
func (m *metrics) note(c *pipes.Collection) {
	if c.Took > 0 { // there is a directory
		m.took.RecordFloat(c.Took.Seconds())
		m.folds.IncrBy(int64(c.Folded - m.folded))
		m.folded = c.Folded
	}
	for _, s := range c.Sources {
		if counter := m.sourceErrors[s.State]; counter != nil {
			counter.Incr()
		}
	}
}

// snapshot returns what there is to say with a collection and its total.
func (m *metrics) snapshot(c *pipes.Collection, total *format.Snapshot) *format.Snapshot {
	s := m.registry.Snapshot()
	add := func(kind format.Kind, name string, value format.Value) {
		s.Stats = append(s.Stats, format.Stat{Name: name, Kind: kind, Value: value})
	}
	count := func(name string, n int) { add(format.Gauge, name, format.Int(int64(n))) }
	count(m.build, 1)
	states := make(map[pipes.State]int)
	for _, source := range c.Sources {
		states[source.State]++
	}
	for _, state := range pipes.States() {
		count(fmt.Sprintf(`statvent_sources{state="%s"}`, state), states[state])
	}
	leftOut := make(map[pipes.Limit]int)
	for _, hit := range c.Hits {
		leftOut[hit.Limit] += hit.LeftOut
	}
	for _, limit := range pipes.AllLimits() {
		count(fmt.Sprintf(`statvent_left_out{limit="%s"}`, limit), leftOut[limit])
	}
	count("statvent_stats", len(total.Stats))
	count("statvent_skipped_lines", total.Skipped)
	count("statvent_conflicts", len(total.Conflicts))
	count("statvent_passed_over", len(c.PassedOver)+c.MorePassedOver)
	count("statvent_background_errors", len(c.Troubles))
	add(format.Gauge, "statvent_last_collection_timestamp_seconds", format.Float(float64(c.Time.UnixMilli())/1000))
	s.Sort()
	return s
}

// exposition serves the stats, and those of the server itself, to Prometheus.
func (s *Server) exposition(w http.ResponseWriter, r *http.Request) {
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	e := format.ParseAccept(r.Header.Get("Accept"))
	w.Header().Add("Vary", "Accept")
	document, err := answer.exposition(e)
	writeShared(w, r, e.ContentType(), document, err)
}

// countRequests counts the answers of a handler by their status.
func (m *metrics) countRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noting := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(noting, r)
		m.registry.Incr(requestsName(noting.status))
	})
}

// A statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
