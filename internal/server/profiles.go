package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

// profilesPath is where go tool pprof looks for profiles.
const profilesPath = "/debug/pprof/"

// Seconds that what takes a time is recorded for.
const (
	profileSeconds    = 30
	traceSeconds      = 1
	maxProfileSeconds = 240
)

// profiles returns the handler of the profiles of this process. net/http/pprof
// has the same, but each start of the binary would pay for it.
func (s *Server) profiles(connections *connections) http.Handler {
	return s.guard(connections, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, profilesPath)
		switch {
		case !ok:
			fail(w, r, http.StatusNotFound, "nothing is served here; the profiles are at "+profilesPath)
		case name == "":
			listProfiles(w)
		case name == "profile":
			record(w, r, profileSeconds, pprof.StartCPUProfile, pprof.StopCPUProfile)
		case name == "trace":
			record(w, r, traceSeconds, trace.Start, trace.Stop)
		default:
			writeProfile(w, r, name)
		}
	}))
}

func listProfiles(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "profile?seconds=%d\ntrace?seconds=%d\n", profileSeconds, traceSeconds)
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(w, "%s?debug=1\n", p.Name())
	}
}

// record answers with what is recorded from start to stop.
func record(w http.ResponseWriter, r *http.Request, seconds int, start func(io.Writer) error, stop func()) {
	if text := r.URL.Query().Get("seconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 1 || seconds > maxProfileSeconds {
			fail(w, r, http.StatusBadRequest, fmt.Sprintf("seconds is a number from 1 to %d", maxProfileSeconds))
			return
		}
	}
	setBinary(w)
	if r.Method == http.MethodHead {
		return
	}
	if err := start(w); err != nil {
		fail(w, r, http.StatusServiceUnavailable, err.Error()) // another is being recorded
		return
	}
	defer stop()
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	<-ctx.Done()
}

// writeProfile answers with a profile of what there is now: for go tool pprof, or
// with ?debug=1 as text.
func writeProfile(w http.ResponseWriter, r *http.Request, name string) {
	profile := pprof.Lookup(name)
	if profile == nil {
		fail(w, r, http.StatusNotFound, "there is no such profile; "+profilesPath+" lists them")
		return
	}
	if name == "heap" && r.URL.Query().Get("gc") != "" {
		runtime.GC()
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug"))
	setBinary(w)
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = profile.WriteTo(w, debug) // the client has gone
}

func setBinary(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
}
