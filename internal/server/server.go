// Package server answers over HTTP with what the pipes of a host say.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Collector is where the server gets its numbers from.
type Collector interface {
	Collect(context.Context) (*pipes.Collection, error)
}

// Options say what to serve. All are needed.
type Options struct {
	Version   string        // of statvent
	PipeDir   string        // for the log
	Path      string        // of the JSON document; see CheckPath
	Deadline  time.Duration // of a collection
	Collector Collector
	Log       *slog.Logger
}

// A Server serves the stats of a host. Requests that arrive while the pipes are
// being read share that collection.
type Server struct {
	opts    Options
	shared  singleflight.Group
	history history // used by one collection at a time
	metrics *metrics

	// ctx is that of the collections: they aren't of one request, so that one
	// that is canceled takes nothing from the others.
	ctx    context.Context
	cancel context.CancelFunc
}

// New returns a server, which does nothing until it is asked.
func New(opts Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{opts: opts, history: newHistory(opts.Log, opts.PipeDir), metrics: newMetrics(opts.Version), ctx: ctx, cancel: cancel}
}

// Timeouts of the HTTP server: for whoever is slow, by mistake or not. A
// collection's deadline comes on top of those in which one may take place.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	maxHeaderBytes  = 64 << 10
)

// Serve answers requests until ctx is done, then finishes those in flight.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout + s.opts.Deadline,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	defer s.cancel()
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.opts.Log.Info("stopping", "reason", context.Cause(ctx))
	patience := shutdownTimeout + s.opts.Deadline
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("some requests were cut off: they took longer than %v", patience)
	}
	return nil
}

// Handler returns the handler of all paths. There are few, and none is another
// spelling of another: what isn't served is a 404, never a redirection.
func (s *Server) Handler() http.Handler {
	return s.metrics.countRequests(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, r, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
			return
		}
		switch r.URL.Path {
		case s.opts.Path:
			s.stats(w, r)
		case sourcesPath:
			s.sources(w, r)
		case metricsPath:
			s.exposition(w, r)
		case healthyPath, readyPath:
			writeJSON(w, r, http.StatusOK, []byte("{\"status\":\"ok\"}\n"))
		default:
			fail(w, r, http.StatusNotFound, "nothing is served here; the stats are at "+s.opts.Path)
		}
	})
}

// The paths beside that of the stats.
const (
	sourcesPath = "/sources"
	metricsPath = "/metrics"
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
)

// CheckPath says what is wrong with a path for the stats.
func CheckPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/") || p != path.Clean(p) || strings.ContainsAny(p, " ?#%"):
		return fmt.Errorf("%q is not the path of a URL, such as /stats", p)
	case p == "/" || p == sourcesPath || p == metricsPath || strings.HasPrefix(p, "/-/"):
		return fmt.Errorf("%q is taken by something else", p)
	}
	return nil
}

// stats serves {"stats": {...}, "timestamp": ...}.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	match, err := glob.Compile(r.URL.Query()["match"]...)
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error())
		return
	}
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	body := answer.json
	if r.URL.Query().Has("match") {
		body = format.AppendJSON(nil, answer.total.Flatten().Filter(match), answer.collection.Time)
	}
	writeJSON(w, r, http.StatusOK, body)
}

// sources serves what `statvent list -o json` prints; with ?stats=1 the values of
// each source as well.
func (s *Server) sources(w http.ResponseWriter, r *http.Request) {
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	report := host.Describe(answer.collection, answer.total)
	if r.URL.Query().Get("stats") == "1" {
		report.AddValues(answer.collection)
	}
	body, err := json.Marshal(report)
	if err != nil {
		fail(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, r, http.StatusOK, append(body, '\n'))
}

// An answer is a collection and what is made of it once for all who share it.
type answer struct {
	collection *pipes.Collection
	total      *format.Snapshot
	json       []byte
}

// collect returns an answer that isn't older than the request's arrival, but
// for the time that one collection takes.
func (s *Server) collect(ctx context.Context) (*answer, error) {
	result := s.shared.DoChan("", func() (any, error) {
		collection, err := s.opts.Collector.Collect(s.ctx)
		if errors.Is(err, fs.ErrNotExist) {
			collection, err = &pipes.Collection{Dir: s.opts.PipeDir, Time: time.Now()}, nil
		}
		if err != nil {
			s.history.note(nil, nil, err)
			s.metrics.failed()
			return nil, err
		}
		total := collection.Total()
		s.history.note(collection, total, nil)
		s.metrics.note(collection)
		return &answer{collection, total, format.AppendJSON(nil, total, collection.Time)}, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*answer), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
