// Package webconfig reads the file in which Prometheus' exporters have their TLS
// and their users (https://prometheus.io/docs/prometheus/latest/configuration/https/),
// and puts it in force: TLS, client certificates, users with passwords hashed by
// bcrypt, headers and a limit of requests.
//
// The file, and the files that it names, are read again when they have changed:
// they are looked at when a connection or a request comes, once a second at the
// most. A version that is wrong leaves the one before in force. So does one that was
// found in this way and asks nothing more of anybody, no password any more, or no
// certificate: a file that was emptied, or is half written, opens nothing. Prepare,
// which somebody asks for, puts such a version in force. Whether there is
// TLS is decided when the file is opened, as it is with the exporters: for a
// listener to go from HTTP to HTTPS or back, the server is started anew. Users,
// headers and the limit may come and go.
//
// A connection that is open already is held to the client certificates that the
// version in force asks for, before each of its requests; the rest of what is said of
// TLS is for those that come.
//
// HTTP/2 isn't served: http2 is accepted, and nothing follows from it. What the
// exporters take and this doesn't is what can't be meant: a client CA without a
// certificate in it, client_allowed_sans where no client is asked for a
// certificate, a lowest version of TLS above the highest, and an interval without
// a unit.
package webconfig

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how long a change may go unseen.
const checkEvery = time.Second

// A File is a file in force.
type File struct {
	log    *slog.Logger
	secure bool // TLS is served
	begin  time.Time

	version atomic.Pointer[version]
	next    atomic.Int64 // when to look at the files, as a time.Duration since begin

	mu      sync.Mutex // of those who look at the files
	path    string
	stamps  stamps // of the last version that was read, be it right or wrong
	settled bool   // another change shows in the stamps
	said    string // what was logged last of what is wrong
}

// Check says what is wrong with the file.
func Check(path string) error {
	if path == "" {
		return nil
	}
	_, _, err := read(path)
	return err
}

// Open puts a file in force. Without a path there is no TLS, and everybody may
// ask.
func Open(path string, log *slog.Logger) (*File, error) {
	f := &File{log: log, begin: time.Now(), path: path}
	v, stamps, err := load(path)
	if err != nil {
		return nil, err
	}
	f.note(stamps)
	f.secure = v.tls != nil
	f.version.Store(v)
	return f, nil
}

// Prepare reads a file, the one in force or another, and returns what puts it in
// force. Where it is wrong, the one before stays.
func (f *File) Prepare(path string) (apply func(), err error) {
	v, stamps, err := load(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if path == f.path {
			f.note(stamps)
			f.said = err.Error() // by whoever calls this
		}
		return nil, err
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.path = path
		f.note(stamps)
		f.replace(v)
	}, nil
}

// TLS returns the configuration for listeners; nil where there is no TLS.
func (f *File) TLS() *tls.Config {
	if !f.secure {
		return nil
	}
	return &tls.Config{
		NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return f.current().tls, nil
		},
	}
}

// current returns the version in force, having looked for a newer one.
func (f *File) current() *version {
	now := time.Since(f.begin)
	next := f.next.Load()
	if int64(now) >= next && f.next.CompareAndSwap(next, int64(now+checkEvery)) {
		f.refresh()
	}
	return f.version.Load()
}

// refresh reads the file anew if it has changed.
func (f *File) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path == "" || f.settled && !f.stamps.changed() {
		return
	}
	v, stamps, err := read(f.path)
	f.note(stamps)
	if err != nil {
		f.complain("the web configuration is wrong, the one before stays in force", "error", err.Error())
		return
	}
	if v.sum == f.version.Load().sum {
		f.said = "" // what was wrong has been taken back
		return
	}
	if err := v.drops(f.version.Load()); err != nil {
		f.complain("the web configuration lets in more than before, which takes a SIGHUP; the one before stays in force",
			"error", fmt.Sprintf("%s: %v", f.path, err))
		return
	}
	f.replace(v)
	f.log.Info("the web configuration has changed", "file", f.path)
}

// note keeps the stamps of what was read.
func (f *File) note(stamps stamps) {
	f.stamps, f.settled = stamps, stamps.settled(time.Now())
}

// replace puts a version in force. What it has in common with the one before
// goes on: who is known, and how much of the limit is used.
func (f *File) replace(v *version) {
	before := f.version.Load()
	if secure := v.tls != nil; secure != f.secure {
		v.tls = before.tls
		f.complain("TLS is switched on or off when the server is started, and stays as it is", "file", f.path)
	} else {
		f.said = ""
	}
	if v.users.same(before.users) {
		v.users = before.users
	} else {
		v.users.inherit(before.users)
	}
	if v.limit.same(before.limit) {
		v.limit = before.limit
	}
	f.version.Store(v)
}

// complain warns of what wasn't said before.
func (f *File) complain(message, key, value string) {
	if f.said != value {
		f.said = value
		f.log.Warn(message, key, value)
	}
}
