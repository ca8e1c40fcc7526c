package webconfig

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzFile reads a web configuration that names no file that is there. The error, where
// it is none, is one line that names the file; where it is one, it asks for nothing less
// than itself, whatever comes before and after it in the file.
func FuzzFile(f *testing.F) {
	const hash = "$2y$04$OZmAuHQW1x5cJoR3ZpiZ2eHQ1qXzn5TLbnUGmYVzp1Kx4O0cLrBgy"
	for _, text := range []string{
		"", "# nothing\n", "---\n", "null\n", "{}\n", "[]\n", "a: [\n", "\tx: 1\n", "\xff\n", "unknown: 1\n",
		"tls_server_config: {cert_file: server.pem, key_file: server.key}\n", "tls_server_config: {cert: text, key: text}\n", "tls_server_config: {min_version: TLS13, max_version: TLS12}\n",
		"tls_server_config: {cipher_suites: [TLS_AES_128_GCM_SHA256], curve_preferences: [X25519]}\n", "tls_server_config: {client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]}\n",
		"http_server_config: {http2: true, headers: {X-Frame-Options: deny}}\n", "http_server_config: {headers: {X-Evil: a}}\n",
		"basic_auth_users: {alice: " + hash + "}\n", "basic_auth_users: {alice: x}\n", "basic_auth_users: &a {alice: " + hash + "}\nrate_limit: {burst: 1, interval: 1s}\n",
		"rate_limit: {burst: -1, interval: 1}\n", "rate_limit: {interval: 0}\n",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "statvent-web-"); err == nil {
		dir = shm
		f.Cleanup(func() { _ = os.RemoveAll(shm) })
	}
	path := filepath.Join(dir, "web.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("_file")) && bytes.ContainsAny(text, "/.") {
			return // of somebody else's
		}
		d, err := parse(text)
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r == '\n' }) {
			t.Errorf("%q: the error has several lines: %q", text, err)
		}
		r := &reader{dir: dir, digest: sha256.New()}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		v, versionErr := r.version(path)
		if err != nil && versionErr == nil {
			t.Errorf("%q is wrong, %v, and in force", text, err)
		}
		if versionErr != nil {
			return
		}
		if (v.tls != nil) != d.TLS.enabled() {
			t.Errorf("%q: TLS is %v", text, v.tls)
		}
		if err := v.drops(v); err != nil {
			t.Errorf("%q lets in more than itself: %v", text, err)
		}
		for user := range d.Users {
			if strings.ContainsFunc(user, unicode.IsControl) {
				continue
			}
			if v.users == nil {
				t.Errorf("%q: %q may come without a password", text, user)
			}
		}
	})
}
