package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// hosts are the names by which requests may call this host. A page elsewhere can
// make a name of its own point here (DNS rebinding): for its browser that is the
// page's own origin, which may read everything, but the name is in the request.
type hosts struct {
	log   *slog.Logger
	names atomic.Pointer[map[string]bool]

	mu   sync.Mutex
	said map[string]bool // names that were logged
}

// Bounds of what is logged of names that others make up.
const (
	maxHostsSaid = 100
	maxHostName  = 255 // of DNS
)

func newHosts(log *slog.Logger, names []string) *hosts {
	h := &hosts{log: log, said: make(map[string]bool)}
	h.set(names)
	return h
}

// set replaces the names. "*.example.org" stands for all below example.org.
func (h *hosts) set(names []string) {
	allowed := make(map[string]bool, len(names))
	for _, name := range names {
		allowed[hostname(name)] = true
	}
	h.names.Store(&allowed)
}

// CheckHost says why no request can call this host by a name, as it is in a list of
// allowed hosts.
func CheckHost(name string) error {
	parent := strings.TrimPrefix(hostname(name), "*.")
	_, err := netip.ParseAddr(parent)
	switch {
	case name == "*":
		return errors.New("\"*\" would let any page on the web read the stats: name the hosts, or a domain such as *.example.org")
	case parent == "", strings.ContainsAny(name, "/?#@ \t"), strings.ContainsAny(parent, "*[]"), err != nil && strings.Contains(parent, ":"):
		return fmt.Errorf("%q is not the name of a host, such as stats.example.org or *.example.org", name)
	}
	return nil
}

// allow reports whether a request may call this host so. One without a host, as in
// HTTP/1.0, isn't a browser's.
func (h *hosts) allow(host string) bool {
	name := hostname(host)
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true // nobody can make it point elsewhere
	}
	if len(name) <= maxHostName && h.listed(name) {
		return true
	}
	h.say(name)
	return false
}

// listed reports whether the list has the name, or all below a parent of it.
func (h *hosts) listed(name string) bool {
	names := *h.names.Load()
	if names[name] {
		return true
	}
	for _, parent, found := strings.Cut(name, "."); found; _, parent, found = strings.Cut(parent, ".") {
		if names["*."+parent] {
			return true
		}
	}
	return false
}

func (h *hosts) refusal(host string) string {
	return fmt.Sprintf("this host does not go by the name of %q: allowed_hosts, or --allowed-hosts, says by which names it does", hostname(host))
}

// say logs a name that was refused, once.
func (h *hosts) say(name string) {
	if len(name) > maxHostName {
		name = name[:maxHostName] + "..."
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.said[name] || len(h.said) >= maxHostsSaid {
		return
	}
	h.said[name] = true
	h.log.Warn("a request was refused, for it calls this host by a name that isn't in allowed_hosts", "host", name)
}

// hostname returns the name or the address in a Host header: without port,
// brackets and the dot of a full name, in small letters.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
