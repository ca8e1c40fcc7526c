package webconfig

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"github.com/statvent/statvent/internal/yamltext"
)

// A document is what can be written in the file.
type document struct {
	TLS   tlsSection        `yaml:"tls_server_config"`
	HTTP  httpSection       `yaml:"http_server_config"`
	Limit limitSection      `yaml:"rate_limit"`
	Users map[string]string `yaml:"basic_auth_users"`
}

type tlsSection struct {
	Cert         string   `yaml:"cert"`
	Key          string   `yaml:"key"`
	ClientCA     string   `yaml:"client_ca"`
	CertFile     string   `yaml:"cert_file"`
	KeyFile      string   `yaml:"key_file"`
	ClientCAFile string   `yaml:"client_ca_file"`
	ClientAuth   string   `yaml:"client_auth_type"`
	AllowedSANs  []string `yaml:"client_allowed_sans"`
	Ciphers      []cipher `yaml:"cipher_suites"`
	Curves       []curve  `yaml:"curve_preferences"`
	MinVersion   protocol `yaml:"min_version"`
	MaxVersion   protocol `yaml:"max_version"`

	PreferServerCiphers bool `yaml:"prefer_server_cipher_suites"` // Go chooses itself
}

// enabled reports whether TLS is asked for. The keys that only say how don't
// count, as with the exporters.
func (s *tlsSection) enabled() bool {
	return s.Cert != "" || s.CertFile != "" || s.Key != "" || s.KeyFile != "" ||
		s.ClientCA != "" || s.ClientCAFile != "" || s.ClientAuth != ""
}

type httpSection struct {
	HTTP2   bool              `yaml:"http2"` // there is none
	Headers map[string]string `yaml:"headers"`
}

type limitSection struct {
	Burst    int      `yaml:"burst"`
	Interval duration `yaml:"interval"`
}

// parse reads a document and checks what can be checked without other files.
func parse(text []byte) (*document, error) {
	d := &document{TLS: tlsSection{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(d); err != nil && !errors.Is(err, io.EOF) { // EOF: it is empty
		return nil, yamltext.Error(err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.HTTP.Headers)) {
		if err := checkHeader(name, d.HTTP.Headers[name]); err != nil {
			return nil, err
		}
	}
	for _, user := range slices.Sorted(maps.Keys(d.Users)) {
		if _, err := bcrypt.Cost([]byte(d.Users[user])); err != nil {
			return nil, fmt.Errorf("basic_auth_users: the password of %q is not a hash of bcrypt, such as 'htpasswd -nB' makes: %w", user, err)
		}
	}
	if d.TLS.MinVersion > d.TLS.MaxVersion {
		return nil, errors.New("tls_server_config: min_version is above max_version")
	}
	return d, nil
}

// The tables are functions: each start of the binary would pay for variables.

// headers are those that may be added, and their values where not all are taken.
func headers() map[string][]string {
	return map[string][]string{
		"Strict-Transport-Security": nil,
		"X-Content-Type-Options":    {"nosniff"},
		"X-Frame-Options":           {"deny", "sameorigin"},
		"X-XSS-Protection":          nil,
		"Content-Security-Policy":   nil,
	}
}

func checkHeader(name, value string) error {
	values, ok := headers()[name]
	switch {
	case !ok:
		return fmt.Errorf("http_server_config: the header %q can't be set (there are %s)",
			name, strings.Join(slices.Sorted(maps.Keys(headers())), ", "))
	case len(values) > 0 && !slices.Contains(values, value):
		return fmt.Errorf("http_server_config: %s is %s, not %q", name, strings.Join(values, " or "), value)
	}
	return nil
}

// A cipher is a cipher suite of TLS.
type cipher uint16

// UnmarshalYAML reads the name of one that is secure.
func (c *cipher) UnmarshalYAML(node *yaml.Node) error {
	for _, suite := range tls.CipherSuites() {
		if suite.Name == node.Value {
			*c = cipher(suite.ID)
			return nil
		}
	}
	return unknown(node, "cipher suite", "")
}

type curve tls.CurveID

func curves() map[string]curve {
	return map[string]curve{
		"CurveP256": curve(tls.CurveP256),
		"CurveP384": curve(tls.CurveP384),
		"CurveP521": curve(tls.CurveP521),
		"X25519":    curve(tls.X25519),
	}
}

// UnmarshalYAML reads a name of Go's.
func (c *curve) UnmarshalYAML(node *yaml.Node) error { return choose(c, node, "curve", curves()) }

// A protocol is a version of TLS.
type protocol uint16

func protocols() map[string]protocol {
	return map[string]protocol{
		"TLS10": tls.VersionTLS10,
		"TLS11": tls.VersionTLS11,
		"TLS12": tls.VersionTLS12,
		"TLS13": tls.VersionTLS13,
	}
}

// UnmarshalYAML reads a name such as TLS13.
func (p *protocol) UnmarshalYAML(node *yaml.Node) error {
	return choose(p, node, "TLS version", protocols())
}

// clientAuth are the policies for client certificates.
func clientAuth() map[string]tls.ClientAuthType {
	return map[string]tls.ClientAuthType{
		"":                           tls.NoClientCert,
		"NoClientCert":               tls.NoClientCert,
		"RequestClientCert":          tls.RequestClientCert,
		"RequireAnyClientCert":       tls.RequireAnyClientCert,
		"RequireClientCert":          tls.RequireAnyClientCert, // its name until 2021
		"VerifyClientCertIfGiven":    tls.VerifyClientCertIfGiven,
		"RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
	}
}

func choose[T any](into *T, node *yaml.Node, what string, known map[string]T) error {
	value, ok := known[node.Value]
	if !ok {
		return unknown(node, what, " (there are "+strings.Join(slices.Sorted(maps.Keys(known)), ", ")+")")
	}
	*into = value
	return nil
}

func unknown(node *yaml.Node, what, known string) error {
	return fmt.Errorf("line %d: unknown %s %q%s", node.Line, what, node.Value, known)
}

// A duration has a unit, but for 0.
type duration time.Duration

// UnmarshalYAML reads a time such as 1s.
func (d *duration) UnmarshalYAML(node *yaml.Node) error {
	value, err := time.ParseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is not a time, such as 1s", node.Line, node.Value)
	}
	*d = duration(value)
	return nil
}
