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
		if got := v.verify(t.Context(), client{}, "alice", password); got != want || len(v.known) != known {
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
	d.put(t, "web.yml", "basic_auth_users: {alice: "+f.current().users.hashes["alice"]+", bob: "+hashed(t, "three")+"}\n")
	f.look()
	if n := len(f.current().users.known); n != 1 {
		t.Errorf("%d are known after a change of somebody else", n)
	}
	is(f.current().users, "two", granted, 1)
}

func TestKnownPasswordsAreBounded(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	for i := range maxKnown {
		v.known[v.credentials(fmt.Sprint(i), "", "")] = fmt.Sprint(i)
	}
	if v.verify(t.Context(), client{}, "alice", "x") != granted || len(v.known) != maxKnown {
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
	if v.verify(t.Context(), client{}, "nobody", "x") != denied || v.verify(t.Context(), client{}, "", "") != denied {
		t.Error("nobody is let in")
	}
}

// While wrong passwords come in floods, few are checked at a time, and who is
// known doesn't wait.
func TestFloodOfWrongPasswords(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	if v.verify(t.Context(), client{}, "alice", "x") != granted {
		t.Fatal("alice is denied")
	}
	for range cap(slots()) { // nothing is checked until the flood is there
		slots() <- struct{}{}
	}
	results := make(chan verdict, 200)
	for i := range cap(results) {
		go func() {
			results <- v.verify(t.Context(), clientOf(fmt.Sprintf("192.0.2.%d:1", i)), "alice", fmt.Sprint(i))
		}()
	}
	for range cap(results) - maxChecks {
		if got := <-results; got != busy {
			t.Errorf("got %d, want busy", got)
		}
	}
	if v.verify(t.Context(), client{}, "alice", "x") != granted {
		t.Error("alice, who is known, is denied")
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if v.verify(gone, client{}, "alice", "x") != granted {
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

// One who guesses takes none of the checks that others need.
func TestFloodOfOneClientKeepsNobodyOut(t *testing.T) {
	v := newVerifier(map[string]string{"alice": hashed(t, "x")})
	flood := func(remote string, most int) {
		t.Helper()
		for range cap(slots()) {
			slots() <- struct{}{}
		}
		results := make(chan verdict, 100)
		for i := range cap(results) {
			go func() { results <- v.verify(t.Context(), clientOf(remote), "alice", fmt.Sprint(i)) }()
		}
		for range cap(results) - most {
			if got := <-results; got != busy {
				t.Errorf("%s: got %d, want busy", remote, got)
			}
		}
		right := make(chan verdict, 1)
		go func() { right <- v.verify(t.Context(), clientOf("198.51.100.1:1"), "alice", "x") }()
		for range cap(slots()) {
			<-slots()
		}
		if got := <-right; got != granted {
			t.Errorf("while %s guesses, alice got %d", remote, got)
		}
		for range most {
			if got := <-results; got != denied {
				t.Errorf("%s: got %d, want denied", remote, got)
			}
		}
		if len(v.checks)+len(v.clients) != 0 {
			t.Errorf("%d checks of %d clients are left", len(v.checks), len(v.clients))
		}
		clear(v.known)
	}
	flood("192.0.2.1:1234", maxClientChecks)
	flood("[2001:db8::1]:1234", maxClientChecks)
	flood("@", maxSocketChecks)
}

func TestClients(t *testing.T) {
	same := func(a, b string, want bool) {
		t.Helper()
		if got := clientOf(a) == clientOf(b); got != want {
			t.Errorf("%s and %s: got %v", a, b, got)
		}
	}
	same("192.0.2.1:1", "192.0.2.1:2", true)
	same("192.0.2.1:1", "[::ffff:192.0.2.1]:1", true)
	same("192.0.2.1:1", "192.0.2.2:1", false)
	same("[2001:db8::1]:1", "[2001:db8::2]:1", true)
	same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false)
	same("[fe80::1%eth0]:1", "[fe80::1]:1", true)
	same("@", "", true)
	same("@", "192.0.2.1:1", false)
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
			if got := v.verify(t.Context(), client{}, "alice", "x"); got != granted {
				t.Errorf("got %d", got)
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		n := len(v.checks)
		v.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("there are %d checks of one password", n)
			break // those that wait must end
		}
	}
	for range cap(slots()) {
		<-slots()
	}
	clients.Wait()
}
