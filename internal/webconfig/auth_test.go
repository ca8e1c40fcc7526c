package webconfig

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// ask asks with a user and a password, unless both are empty.
func ask(t *testing.T, url, user, password string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" || password != "" {
		r.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestUsers(t *testing.T) {
	d := newDesk(t)
	url := serve(t, d.open(t, "basic_auth_users:\n  alice: "+hashed(t, "secret")+"\n  'b:ob': "+hashed(t, "")+"\n  carol: "+hashed(t, "päss:word")+"\n"))
	gets := func(user, password string, want int) {
		t.Helper()
		for range 2 { // the second time from what is known
			if got := ask(t, url, user, password); got != want {
				t.Errorf("%q %q: got %d, want %d", user, password, got, want)
			}
		}
	}
	gets("", "", 401)
	gets("alice", "secret", 200)
	gets("alice", "Secret", 401)
	gets("alice", "", 401)
	gets("Alice", "secret", 401)
	gets("dave", "secret", 401)
	gets("carol", "päss:word", 200)
	gets("b", "ob", 401) // a user has no colon in the header
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("WWW-Authenticate"); got != `Basic realm="statvent", charset="UTF-8"` {
		t.Errorf("got %q", got)
	}
}

func TestRightPasswordsAreKnownUntilTheyChange(t *testing.T) {
	d := newDesk(t)
	f := d.open(t, "basic_auth_users: {alice: "+hashed(t, "one")+"}\n")
	v := f.current().users
	is := func(v *verifier, password string, want verdict, known int) {
		t.Helper()
		if got := v.verify(t.Context(), "alice", password); got != want || len(v.known) != known {
			t.Errorf("%s: got %d, %d are known, want %d", password, got, len(v.known), known)
		}
	}
	is(v, "one", granted, 1)
	is(v, "one", granted, 1)
	is(v, "two", denied, 1)
	d.put(t, "web.yml", "basic_auth_users: {alice: "+v.hashes["alice"]+"}\nrate_limit: {interval: 1ms, burst: 1}\n")
	f.look()
	if f.current().users != v {
		t.Error("who was known is forgotten by a change of something else")
	}
	d.put(t, "web.yml", "basic_auth_users: {alice: "+hashed(t, "two")+"}\n")
	f.look()
	is(f.current().users, "one", denied, 0)
	is(f.current().users, "two", granted, 1)
}

func TestKnownPasswordsAreBounded(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	for i := range maxKnown {
		v.known[v.credentials(fmt.Sprint(i), "", "")] = true
	}
	if v.verify(t.Context(), "alice", "x") != granted || len(v.known) != maxKnown {
		t.Errorf("%d are known", len(v.known))
	}
}

// A user that isn't there costs as much as one that is.
func TestUnknownUserCostsABcrypt(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost+1)
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(map[string]string{"alice": string(h), "bob": hashed(t, "x")})
	if cost, err := bcrypt.Cost([]byte(v.dummy)); err != nil || cost != bcrypt.MinCost+1 {
		t.Errorf("the cost is %d, %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(v.dummy), []byte("x")); err != bcrypt.ErrMismatchedHashAndPassword { //nolint:errorlint // that is what it returns
		t.Errorf("got %v", err)
	}
	if v.verify(t.Context(), "nobody", "x") != denied || v.verify(t.Context(), "", "") != denied {
		t.Error("nobody is let in")
	}
}

// While wrong passwords come in floods, few are checked at a time, and who is
// known doesn't wait.
func TestFloodOfWrongPasswords(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	if v.verify(t.Context(), "alice", "x") != granted {
		t.Fatal("alice is denied")
	}
	for range cap(slots()) { // nothing is checked until the flood is there
		slots() <- struct{}{}
	}
	results := make(chan verdict, 200)
	for i := range cap(results) {
		go func() { results <- v.verify(t.Context(), "alice", fmt.Sprint(i)) }()
	}
	for range cap(results) - maxChecks {
		if got := <-results; got != busy {
			t.Errorf("got %d, want busy", got)
		}
	}
	if v.verify(t.Context(), "alice", "x") != granted {
		t.Error("alice, who is known, is denied")
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if v.verify(gone, "alice", "x") != granted {
		t.Error("alice is denied")
	}
	for range cap(slots()) {
		<-slots()
	}
	for range maxChecks {
		if got := <-results; got != denied {
			t.Errorf("got %d, want denied", got)
		}
	}
	if len(v.checks) != 0 || len(v.known) != 1 {
		t.Errorf("%d checks are left, and %d are known", len(v.checks), len(v.known))
	}
}

// A browser opens several connections at once, each with the same password.
func TestSamePasswordIsCheckedOnce(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	for range cap(slots()) {
		slots() <- struct{}{}
	}
	var clients sync.WaitGroup
	for range 10 * maxChecks {
		clients.Go(func() {
			if got := v.verify(t.Context(), "alice", "x"); got != granted {
				t.Errorf("got %d", got)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		n := len(v.checks)
		v.mu.Unlock()
		if n == 1 || time.Now().After(deadline) {
			break
		}
	}
	for range cap(slots()) {
		<-slots()
	}
	clients.Wait()
}
