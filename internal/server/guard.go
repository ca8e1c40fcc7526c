package server

import (
	"net/http"
	"net/url"
	"time"
)

// bodyPatience is how long a client may go on sending what nobody reads: closed at
// once, a connection would take the answer with it.
const bodyPatience = 500 * time.Millisecond

// securityHeaders are on every answer. A page may load what this server serves,
// and nothing else; nobody may frame it or read it from another origin.
var securityHeaders = [...]struct{ name, value string }{
	{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
}

// guard returns a handler that lets through to next what may be asked, by whom it
// may be asked.
func (s *Server) guard(connections *connections, next http.Handler) http.Handler {
	allowed := s.opts.Web.Wrap(readOnly(next), fail)
	return connections.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		for _, h := range securityHeaders {
			header.Set(h.name, h.value)
		}
		if r.ContentLength != 0 {
			// Nobody reads it, and what doesn't come is waited for.
			header.Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
		}
		if !s.hosts.allow(r.Host) {
			fail(w, r, http.StatusMisdirectedRequest, s.hosts.refusal(r.Host))
			return
		}
		allowed.ServeHTTP(w, r)
	}))
}

// readOnly returns a handler that takes nothing but questions.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, r, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
		case r.ContentLength != 0: // -1 if nobody knows
			fail(w, r, http.StatusRequestEntityTooLarge, "a request has no body here")
		default:
			if _, err := url.ParseQuery(r.URL.RawQuery); err != nil { // URL.Query leaves it out
				fail(w, r, http.StatusBadRequest, "the query is malformed: "+err.Error())
				return
			}
			next.ServeHTTP(w, r)
		}
	})
}
