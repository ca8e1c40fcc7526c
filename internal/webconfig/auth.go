package webconfig

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of what passwords may cost. bcrypt takes a tenth of a second, so that
// whoever sends wrong ones could take all processors.
const (
	maxChecks       = 16            // under way or waiting
	maxClientChecks = 2             // of those, for one client
	maxSocketChecks = maxChecks / 2 // of those, for all that come by sockets in the file system
	maxKnown        = 128           // that are right, and need no check
)

// A client is where requests come from: an address, or the network of one, of
// which somebody has as many as he likes. All who come by sockets in the file system
// are one, the zero client: they have no addresses.
type client struct{ netip.Prefix }

// clientOf returns the client of a request's RemoteAddr.
func clientOf(remote string) client {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return client{}
	}
	ip, bits := address.Addr().Unmap(), 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // fails for more bits than there are
	return client{prefix}
}

// maxChecks returns how many checks there may be for a client.
func (c client) maxChecks() int {
	if c == (client{}) {
		return maxSocketChecks
	}
	return maxClientChecks
}

// slots bounds how many checks run at a time.
var slots = sync.OnceValue(func() chan struct{} {
	return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/4))
})

// A verifier checks users and their passwords. Those that were right once are
// known by a keyed hash of them; those that were wrong are checked each time, so
// that nobody can push out the others.
type verifier struct {
	hashes map[string]string // by user
	dummy  string            // the hash of nobody's password
	secret [32]byte

	mu      sync.Mutex
	known   map[credentials]string // the user
	checks  map[credentials]*check
	clients map[client]int // the checks of each that has some
}

// credentials stand for a user, the hash and a password.
type credentials [sha256.Size]byte

// A check is one run of bcrypt, which all wait for that bring the same.
type check struct {
	client client // that came first
	done   chan struct{}
	ok     bool // once it is done
}

func newVerifier(hashes map[string]string) *verifier {
	v := &verifier{
		hashes:  hashes,
		known:   make(map[credentials]string),
		checks:  make(map[credentials]*check),
		clients: make(map[client]int),
	}
	if len(hashes) == 0 {
		return v
	}
	_, _ = rand.Read(v.secret[:]) // it never fails
	cost := bcrypt.MinCost
	for _, hash := range hashes {
		if c, err := bcrypt.Cost([]byte(hash)); err == nil {
			cost = max(cost, c)
		}
	}
	v.dummy = fmt.Sprintf("$2a$%02d$", cost) + "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	return v
}

// inherit takes over who is known to the verifier before, of those whose hash is
// the same. It is called before anybody else has v.
func (v *verifier) inherit(before *verifier) {
	if len(v.hashes) == 0 || len(before.hashes) == 0 {
		return
	}
	v.secret = before.secret
	before.mu.Lock()
	defer before.mu.Unlock()
	for key, user := range before.known {
		if hash, exists := v.hashes[user]; exists && hash == before.hashes[user] {
			v.known[key] = user
		}
	}
}

func (v *verifier) same(as *verifier) bool { return maps.Equal(v.hashes, as.hashes) }

// A verdict is the answer to a user and a password.
type verdict int

const (
	denied verdict = iota
	granted
	busy // too many are being checked, for this client or for all
)

// verify checks a password. A user that doesn't exist takes as long as one that
// does. One client can't have all the checks, so that others can be let in.
func (v *verifier) verify(ctx context.Context, from client, user, password string) verdict {
	hash, exists := v.hashes[user]
	if !exists {
		hash = v.dummy
	}
	key := v.credentials(user, hash, password)
	v.mu.Lock()
	if _, known := v.known[key]; known {
		v.mu.Unlock()
		return granted
	}
	c := v.checks[key]
	if c == nil {
		if len(v.checks) >= maxChecks || v.clients[from] >= from.maxChecks() {
			v.mu.Unlock()
			return busy
		}
		c = &check{client: from, done: make(chan struct{})}
		v.checks[key] = c
		v.clients[from]++
		// It goes on when the one who asked first has gone: others may wait for it.
		go v.run(c, key, user, hash, password, exists)
	}
	v.mu.Unlock()
	select {
	case <-c.done:
		if c.ok {
			return granted
		}
	case <-ctx.Done():
	}
	return denied
}

func (v *verifier) run(c *check, key credentials, user, hash, password string, exists bool) {
	slots() <- struct{}{}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	<-slots()
	c.ok = err == nil && exists
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.checks, key)
	if v.clients[c.client]--; v.clients[c.client] == 0 {
		delete(v.clients, c.client)
	}
	if c.ok {
		for other := range v.known {
			if len(v.known) < maxKnown {
				break
			}
			delete(v.known, other)
		}
		v.known[key] = user
	}
	close(c.done)
}

func (v *verifier) credentials(user, hash, password string) credentials {
	mac := hmac.New(sha256.New, v.secret[:])
	for _, part := range []string{user, hash, password} {
		_ = binary.Write(mac, binary.LittleEndian, int64(len(part)))
		mac.Write([]byte(part))
	}
	return credentials(mac.Sum(nil))
}
