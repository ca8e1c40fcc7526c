package webconfig

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"runtime"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of what passwords may cost. bcrypt takes a tenth of a second, so that
// whoever sends wrong ones could take all processors.
const (
	maxChecks = 8   // under way or waiting
	maxKnown  = 128 // that are right, and need no check
)

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

	mu     sync.Mutex
	known  map[credentials]bool
	checks map[credentials]*check
}

// credentials stand for a user, the hash and a password.
type credentials [sha256.Size]byte

// A check is one run of bcrypt, which all wait for that bring the same.
type check struct {
	done chan struct{}
	ok   bool // once it is done
}

func newVerifier(hashes map[string]string) *verifier {
	v := &verifier{hashes: hashes, known: make(map[credentials]bool), checks: make(map[credentials]*check)}
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

func (v *verifier) same(as *verifier) bool { return maps.Equal(v.hashes, as.hashes) }

// A verdict is the answer to a user and a password.
type verdict int

const (
	denied verdict = iota
	granted
	busy // too many are being checked
)

// verify checks a password. A user that doesn't exist takes as long as one that
// does.
func (v *verifier) verify(ctx context.Context, user, password string) verdict {
	hash, exists := v.hashes[user]
	if !exists {
		hash = v.dummy
	}
	key := v.credentials(user, hash, password)
	v.mu.Lock()
	if v.known[key] {
		v.mu.Unlock()
		return granted
	}
	c := v.checks[key]
	if c == nil {
		if len(v.checks) >= maxChecks {
			v.mu.Unlock()
			return busy
		}
		c = &check{done: make(chan struct{})}
		v.checks[key] = c
		// It goes on when the one who asked first has gone: others may wait for it.
		go v.run(c, key, hash, password, exists)
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

func (v *verifier) run(c *check, key credentials, hash, password string, exists bool) {
	slots() <- struct{}{}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	<-slots()
	c.ok = err == nil && exists
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.checks, key)
	if c.ok {
		for other := range v.known {
			if len(v.known) < maxKnown {
				break
			}
			delete(v.known, other)
		}
		v.known[key] = true
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
