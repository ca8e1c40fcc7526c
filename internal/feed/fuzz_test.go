package feed

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzHTTPConfig reads a file, and says in a request who asks.
func FuzzHTTPConfig(f *testing.F) {
	for _, text := range []string{
		"", "# nothing\n", "---\n", "null\n", "{}\n", "[]\n", "\xff", "unknown: 1\n", "basic_auth: {username: a, password: b}\n", "basic_auth: {password: b}\n",
		"basic_auth: {username: a, password: b, password_file: c}\n", "basic_auth: {username: a, password_file: none}\n", "basic_auth: {username: 1, password: 0x10}\n",
		"tls_config: {ca_file: none}\n", "tls_config: {cert_file: a}\n", "tls_config: {server_name: a, insecure_skip_verify: true}\n", "tls_config: {insecure_skip_verify: maybe}\n",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "statvent-feed-"); err == nil {
		dir = shm
		f.Cleanup(func() { _ = os.RemoveAll(shm) })
	}
	path := filepath.Join(dir, "http.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "_file") && strings.ContainsAny(string(text), "/.") {
			return // of somebody else's
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := ReadHTTPConfig(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: the error is %q", text, err)
			}
			return
		}
		if c.tls() == nil || c.tls().InsecureSkipVerify != c.document.TLS.InsecureSkipVerify {
			t.Errorf("%q: TLS is spoken with %+v", text, c.tls())
		}
		r, err := http.NewRequest(http.MethodGet, "http://localhost/typed", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		auth := c.document.BasicAuth
		if err := c.authorize(r); err != nil {
			if auth.PasswordFile == "" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		user, password, given := r.BasicAuth()
		if given != (auth.Username != "") {
			t.Errorf("%q: somebody is named: %v", text, given)
		}
		if given && !strings.Contains(auth.Username, ":") && auth.PasswordFile == "" && (user != auth.Username || password != auth.Password) {
			t.Errorf("%q: %q asks with %q", text, user, password)
		}
	})
}
