package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/statvent/statvent/internal/testcert"
	"github.com/statvent/statvent/internal/webconfig"
)

// hash is that of a password, as htpasswd makes it.
const hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"

const tlsOn = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"

// documents are of all keys, right and wrong.
var documents = []string{
	"", "# nothing\n", "---\n", "null\n", "{}\n", "[]\n", "text\n", "a: [\n", "\tx: 1\n", "\xff\n",
	"tls_server_config:\n", "http_server_config:\n", "basic_auth_users:\n", "rate_limit:\n",
	"tls_server_config: []\n", "http_server_config: x\n", "basic_auth_users: [a]\n", "rate_limit: 1\n",
	"unknown: 1\n", "TLS_server_config: {}\n", "tls_server_config: {unknown: 1}\n", "http_server_config: {unknown: 1}\n", "rate_limit: {unknown: 1}\n",
	"http_server_config: {}\nhttp_server_config: {}\n",

	tlsOn,
	"tls_server_config: {cert_file: server.pem}\n",
	"tls_server_config: {key_file: server.key}\n",
	"tls_server_config: {cert_file: '', key_file: ''}\n",
	"tls_server_config: {cert_file: , key_file: server.key}\n",
	"tls_server_config: {cert_file: nowhere, key_file: server.key}\n",
	"tls_server_config: {cert_file: server.pem, key_file: nowhere}\n",
	"tls_server_config: {cert_file: server.key, key_file: server.pem}\n",
	"tls_server_config: {cert_file: server.pem, key_file: other.key}\n",
	"tls_server_config: {cert_file: ., key_file: server.key}\n",
	"tls_server_config: {cert_file: 17, key_file: true}\n",
	"tls_server_config: {cert_file: [server.pem], key_file: server.key}\n",
	"tls_server_config: {cert: text, key: text}\n",
	"tls_server_config: {cert: INLINE_CERT, key: INLINE_KEY}\n",
	"tls_server_config: {cert: INLINE_CERT, key_file: server.key}\n",
	"tls_server_config: {cert_file: server.pem, key: INLINE_KEY}\n",
	"tls_server_config: {cert: text, cert_file: server.pem, key: text, key_file: server.key}\n", // the files count
	"tls_server_config: {cert: INLINE_CERT}\n",
	"tls_server_config: {key: INLINE_KEY}\n",
	"tls_server_config: {client_ca_file: ca.pem}\n",
	"tls_server_config: {client_ca: INLINE_CA}\n",
	"tls_server_config: {client_auth_type: NoClientCert}\n",
	"tls_server_config: {client_auth_type: nonsense}\n",
	"tls_server_config: {client_allowed_sans: [a]}\n",
	"tls_server_config: {min_version: TLS13}\n",

	tlsOn + "  client_auth_type: NoClientCert\n",
	tlsOn + "  client_auth_type: ''\n",
	tlsOn + "  client_auth_type: RequestClientCert\n",
	tlsOn + "  client_auth_type: RequireAnyClientCert\n",
	tlsOn + "  client_auth_type: RequireClientCert\n",
	tlsOn + "  client_auth_type: VerifyClientCertIfGiven\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n",
	tlsOn + "  client_auth_type: requireandverifyclientcert\n",
	tlsOn + "  client_auth_type: [RequireAndVerifyClientCert]\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: INLINE_CA\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: nowhere\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [a, 1]\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: []\n",
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: a\n",
	tlsOn + "  client_ca_file: ca.pem\n",
	tlsOn + "  client_ca: INLINE_CA\n",

	tlsOn + "  min_version: TLS10\n", tlsOn + "  min_version: TLS11\n", tlsOn + "  min_version: TLS12\n", tlsOn + "  min_version: TLS13\n",
	tlsOn + "  max_version: TLS12\n", tlsOn + "  min_version: TLS13\n  max_version: TLS13\n",
	tlsOn + "  min_version: SSL30\n", tlsOn + "  min_version: tls12\n", tlsOn + "  min_version: 1.2\n", tlsOn + "  max_version: ''\n",
	tlsOn + "  min_version:\n", tlsOn + "  max_version: ~\n", tlsOn + "  max_version: [TLS13]\n",
	tlsOn + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256]\n",
	tlsOn + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", tlsOn + "  cipher_suites: [tls_aes_128_gcm_sha256]\n",
	tlsOn + "  cipher_suites: [1]\n", tlsOn + "  cipher_suites: []\n", tlsOn + "  cipher_suites:\n", tlsOn + "  cipher_suites: TLS_AES_128_GCM_SHA256\n",
	tlsOn + "  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n", tlsOn + "  cipher_suites: ['']\n",
	tlsOn + "  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n", tlsOn + "  curve_preferences: [X25519MLKEM768]\n",
	tlsOn + "  curve_preferences: [P256]\n", tlsOn + "  curve_preferences: [29]\n", tlsOn + "  curve_preferences: []\n",
	tlsOn + "  prefer_server_cipher_suites: true\n", tlsOn + "  prefer_server_cipher_suites: no\n", tlsOn + "  prefer_server_cipher_suites: maybe\n",

	"http_server_config: {http2: true}\n", "http_server_config: {http2: false}\n", "http_server_config: {http2: yes}\n", "http_server_config: {http2: 1}\n",
	"http_server_config: {headers: {}}\n", "http_server_config: {headers: }\n", "http_server_config: {headers: []}\n",
	"http_server_config: {headers: {X-Frame-Options: deny}}\n", "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n",
	"http_server_config: {headers: {X-Frame-Options: DENY}}\n", "http_server_config: {headers: {X-Frame-Options: ''}}\n",
	"http_server_config: {headers: {X-Content-Type-Options: nosniff}}\n", "http_server_config: {headers: {X-Content-Type-Options: sniff}}\n",
	"http_server_config: {headers: {X-XSS-Protection: '0'}}\n", "http_server_config: {headers: {X-XSS-Protection: 0}}\n",
	"http_server_config: {headers: {Strict-Transport-Security: ''}}\n", "http_server_config: {headers: {Content-Security-Policy: \"default-src 'self'\"}}\n",
	"http_server_config: {headers: {x-frame-options: deny}}\n", "http_server_config: {headers: {Access-Control-Allow-Origin: '*'}}\n",

	"basic_auth_users: {}\n", "basic_auth_users: {alice: " + hash + "}\n", "basic_auth_users: {alice: " + hash + ", bob: secret}\n",
	"basic_auth_users: {alice: ''}\n", "basic_auth_users: {alice: }\n", "basic_auth_users: {1: " + hash + "}\n", "basic_auth_users: {'': " + hash + "}\n",
	"basic_auth_users: {alice: $2y$99$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n",
	"basic_auth_users: {alice: $1y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n",
	"basic_auth_users: {alice: $2y$10$short}\n", "basic_auth_users: {alice: [" + hash + "]}\n",
	"basic_auth_users: {alice: " + hash + ", alice: " + hash + "}\n",

	"rate_limit: {}\n", "rate_limit: {interval: 1s, burst: 20}\n", "rate_limit: {interval: 0}\n", "rate_limit: {interval: 0s, burst: 0}\n",
	"rate_limit: {interval: 1m30s}\n", "rate_limit: {interval: -1s}\n", "rate_limit: {interval: 1d}\n", "rate_limit: {interval: soon}\n",
	"rate_limit: {burst: 1.5}\n", "rate_limit: {burst: -1}\n", "rate_limit: {burst: x}\n", "rate_limit: {interval: }\n",
}

// stricter are the documents that the exporters take, and that can't be meant.
var stricter = []string{
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key\n", // no certificate in it: nobody gets in
	tlsOn + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: text\n",
	tlsOn + "  client_allowed_sans: [a]\n",                 // without asking for a certificate
	tlsOn + "  min_version: TLS13\n  max_version: TLS12\n", // nobody can connect
	"rate_limit: {interval: 5}\n",                          // nanoseconds
}

func TestWebConfigTakesWhatTheExportersTake(t *testing.T) {
	dir, ca := t.TempDir(), testcert.NewCA(t)
	server, other := ca.Issue(t, "localhost"), ca.Issue(t, "other")
	server.Write(t, dir, "server")
	other.Write(t, dir, "other")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("ca.pem", string(ca.PEM()))
	quote := func(text []byte) string { return `"` + strings.ReplaceAll(string(text), "\n", `\n`) + `"` }
	inline := strings.NewReplacer("INLINE_CERT", quote(server.Cert), "INLINE_KEY", quote(server.Key), "INLINE_CA", quote(ca.PEM()))

	path := filepath.Join(dir, "web.yml")
	check := func(document string) (ours, theirs error) {
		put("web.yml", inline.Replace(document))
		return webconfig.Check(path), web.Validate(path)
	}
	taken := 0
	for _, document := range documents {
		ours, theirs := check(document)
		if (ours == nil) != (theirs == nil) {
			t.Errorf("here: %v; there: %v, of\n%s", ours, theirs, document)
		}
		if theirs == nil {
			taken++
		}
	}
	for _, document := range stricter {
		ours, theirs := check(document)
		if ours == nil || theirs != nil {
			t.Errorf("here: %v; there: %v, of\n%s", ours, theirs, document)
		}
	}
	t.Logf("%d documents are right, %d are wrong, %d are wrong here alone", taken, len(documents)-taken, len(stricter))
}
