// Package server answers over HTTP with what the pipes of a host say.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/statvent/statvent/internal/glob"
	"github.com/statvent/statvent/internal/page"
	"github.com/statvent/statvent/internal/webconfig"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// A Collector is where the server gets its numbers from.
type Collector interface {
	Collect(context.Context) (*pipes.Collection, error)
}

// Options say what to serve, and to whom.
type Options struct {
	Version   string        // of statvent
	PipeDir   string        // for the log
	Path      string        // of the JSON document; see CheckPath
	Deadline  time.Duration // of a collection; see SetDeadline
	Collector Collector
	Log       *slog.Logger

	AllowedHosts   []string        // beside localhost and IP addresses
	MaxConnections int             // 256 if it is 0
	Web            *webconfig.File // TLS and users; nil if there are none
	Profiles       []net.Listener  // where the process can be profiled, if anywhere
}

// defaultMaxConnections is how many connections there may be at a time.
const defaultMaxConnections = 256

// A Server serves the stats of a host. Requests that arrive while the pipes are
// being read share that collection.
type Server struct {
	opts    Options
	shared  singleflight.Group
	history history // used by one collection at a time
	latest  latest
	metrics *metrics
	pace    pace
	alone   chan struct{} // see writeAlone

	hosts       *hosts
	connections *connections

	// ctx is that of the collections: they aren't of one request, so that one
	// that is canceled takes nothing from the others.
	ctx    context.Context
	cancel context.CancelFunc
}

// New returns a server, which does nothing until it is asked.
func New(opts Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	if opts.Web == nil {
		opts.Web, _ = webconfig.Open("", opts.Log) // there is nothing to go wrong
	}
	s := &Server{
		opts:        opts,
		history:     newHistory(opts.Log, opts.PipeDir),
		metrics:     newMetrics(opts.Version),
		alone:       make(chan struct{}, maxAlone),
		hosts:       newHosts(opts.Log, opts.AllowedHosts),
		connections: newConnections(opts.Log, cmp.Or(opts.MaxConnections, defaultMaxConnections)),
		ctx:         ctx,
		cancel:      cancel,
	}
	s.SetDeadline(opts.Deadline)
	return s
}

// SetAllowedHosts changes Options.AllowedHosts while it serves.
func (s *Server) SetAllowedHosts(names []string) { s.hosts.set(names) }

// SetMaxConnections changes Options.MaxConnections while it serves.
func (s *Server) SetMaxConnections(n int) { s.connections.setMax(n) }

// Timeouts of the HTTP server: for whoever is slow, by mistake or not. A
// collection's deadline comes on top of those in which one may take place.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
	lateRequests    = time.Second // that were on their way when the end began
	maxHeaderBytes  = 16 << 10    // each connection may take as much without a request

	profilesTimeout     = 5 * time.Minute // profiles are taken over a time
	profilesConnections = 16
)

// Serve answers requests until ctx is done, then finishes those in flight.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	defer s.cancel()
	failed := make(chan error, len(listeners)+len(s.opts.Profiles))
	server := s.httpServer(s.connections, s.Handler(), writeTimeout+s.opts.Deadline)
	s.start(server, s.connections, listeners, failed)
	few := newConnections(s.opts.Log, profilesConnections)
	profiles := s.httpServer(few, s.profiles(few), profilesTimeout)
	s.start(profiles, few, s.opts.Profiles, failed)
	defer func() { _ = profiles.Close() }() // a profile under way isn't waited for
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.opts.Log.Info("stopping", "reason", context.Cause(ctx))
	patience := shutdownTimeout + s.deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	// Those that have begun a header would be waited for as long as for a request.
	defer time.AfterFunc(lateRequests, func() { s.connections.setMax(0) }).Stop()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("some requests were cut off: they took longer than %v", patience)
	}
	return nil
}

// httpServer returns a server of HTTP/1.1 that waits for nobody for long.
func (s *Server) httpServer(connections *connections, handler http.Handler, writeTimeout time.Duration) *http.Server {
	server := &http.Server{
		Handler:                      handler,
		Protocols:                    new(http.Protocols),
		DisableGeneralOptionsHandler: true, // OPTIONS is refused, also of "*"
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnContext:                  connections.context,
		ConnState:                    connections.state,
	}
	server.Protocols.SetHTTP1(true)
	return server
}

// start has a server answer at the listeners, with TLS if that is asked for.
func (s *Server) start(server *http.Server, connections *connections, listeners []net.Listener, failed chan<- error) {
	for _, listener := range listeners {
		listener = connections.listen(listener)
		if config := s.opts.Web.TLS(); config != nil {
			listener = tls.NewListener(listener, config)
		}
		go func() { failed <- server.Serve(listener) }()
	}
}

// Handler returns the handler of all paths. There are few, and none is another
// spelling of another: what isn't served is a 404, never a redirection.
func (s *Server) Handler() http.Handler {
	return s.metrics.countRequests(s.guard(s.connections, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.grant(w)
		switch r.URL.Path {
		case s.opts.Path:
			s.stats(w, r)
		case sourcesPath:
			s.sources(w, r)
		case typedPath:
			s.typed(w, r)
		case metricsPath:
			s.exposition(w, r)
		case livePath:
			s.live(w, r)
		case healthyPath, readyPath:
			writeJSON(w, r, http.StatusOK, []byte("{\"status\":\"ok\"}\n"))
		default:
			if asset, ok := page.Find(r.URL.Path); ok {
				servePage(w, r, asset)
				return
			}
			fail(w, r, http.StatusNotFound, "nothing is served here; the stats are at "+s.opts.Path)
		}
	})))
}

// The paths beside that of the stats.
const (
	sourcesPath = "/sources"
	typedPath   = "/typed"
	metricsPath = "/metrics"
	livePath    = "/live"
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
)

// CheckPath says what is wrong with a path for the stats.
func CheckPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/") || p != path.Clean(p) || strings.ContainsAny(p, " ?#%"):
		return fmt.Errorf("%q is not the path of a URL, such as /stats", p)
	case slices.Contains([]string{"/", sourcesPath, typedPath, metricsPath, livePath}, p), strings.HasPrefix(p, "/-/"), strings.HasPrefix(p+"/", page.Prefix):
		return fmt.Errorf("%q is taken by something else", p)
	}
	return nil
}

// maxPatterns bounds what a request can have compared with each name.
const maxPatterns = 100

// stats serves {"stats": {...}, "timestamp": ...}.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	patterns := r.URL.Query()["match"]
	if len(patterns) > maxPatterns {
		fail(w, r, http.StatusBadRequest, fmt.Sprintf("there are %d patterns, and %d is the most", len(patterns), maxPatterns))
		return
	}
	match, err := glob.Compile(patterns...)
	if err != nil {
		fail(w, r, http.StatusBadRequest, err.Error())
		return
	}
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	if len(patterns) > 0 {
		s.writeAlone(w, r, func() []byte {
			return format.AppendJSON(nil, answer.values().Filter(match), answer.collection.Time)
		})
		return
	}
	document, err := answer.stats()
	writeShared(w, r, jsonType, document, err)
}

// sources serves what `statvent list -o json` prints; with ?stats=1 the values of
// each source as well.
func (s *Server) sources(w http.ResponseWriter, r *http.Request) {
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	document, err := answer.sources(r.URL.Query().Get("stats") == "1")
	writeShared(w, r, jsonType, document, err)
}

// typed serves what `statvent cat -o typed` prints; with ?sources=1 the same of each
// source, one after the other.
func (s *Server) typed(w http.ResponseWriter, r *http.Request) {
	answer, err := s.collect(r.Context())
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error())
		return
	}
	document, err := answer.typed(r.URL.Query().Get("sources") == "1")
	writeShared(w, r, typedType, document, err)
}

// collect returns an answer that isn't older than the request's arrival, but
// for the time that one collection takes.
func (s *Server) collect(ctx context.Context) (*answer, error) { return await(ctx, s.begin()) }

// begin begins a collection, or joins the one that is under way.
func (s *Server) begin() <-chan singleflight.Result {
	return s.shared.DoChan("", func() (any, error) {
		defer s.pace.begin()()
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
		a := &answer{collection: collection, total: total, own: s.metrics.snapshot(collection, total)}
		s.latest.keep(a)
		return a, nil
	})
}

// await waits for what begin returned, as long as the request is wanted.
func await(ctx context.Context, result <-chan singleflight.Result) (*answer, error) {
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
