package webconfig

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A version is what the file, and the files that it names, said at one time.
type version struct {
	sum     [sha256.Size]byte // of all that was read
	tls     *tls.Config       // nil without TLS
	headers map[string]string
	limit   *limiter // nil if there is none
	users   *verifier
}

// empty reports whether a version asks for nothing.
func (v *version) empty() bool {
	return v.tls == nil && len(v.headers) == 0 && v.limit == nil && len(v.users.hashes) == 0
}

// drops says what the version before asks for that this one doesn't, so that
// strangers come in. TLS isn't switched off while it runs.
func (v *version) drops(before *version) error {
	switch {
	case v.empty() && !before.empty():
		return errors.New("it is empty")
	case len(v.users.hashes) == 0 && len(before.users.hashes) > 0:
		return errors.New("it has no users")
	case v.tls != nil && before.tls != nil && asks(v.tls) < asks(before.tls):
		return errors.New("it asks for less of a client's certificate")
	}
	return nil
}

// asks returns how much is asked of a client's certificate.
func asks(config *tls.Config) int {
	much := 2 * int(config.ClientAuth)
	if config.VerifyConnection != nil {
		much++ // it has one of some names
	}
	return much
}

// load is read, but for an empty path, which asks for nothing.
func load(path string) (*version, stamps, error) {
	if path == "" {
		return &version{users: newVerifier(nil)}, nil, nil
	}
	return read(path)
}

// read reads a version of the file at path. The stamps are of all files that it
// depends on, also where it fails.
func read(path string) (*version, stamps, error) {
	r := &reader{dir: filepath.Dir(path), digest: sha256.New()}
	v, err := r.version(path)
	if err != nil {
		return nil, r.stamps, fmt.Errorf("%s: %w", path, err)
	}
	return v, r.stamps, nil
}

// A reader keeps account of what it reads.
type reader struct {
	dir    string // that relative paths begin at
	digest hash.Hash
	stamps stamps
}

func (r *reader) version(path string) (*version, error) {
	text, err := r.file(path)
	if err != nil {
		return nil, err
	}
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	config, err := r.tls(&d.TLS)
	if err != nil {
		return nil, fmt.Errorf("tls_server_config: %w", err)
	}
	return &version{
		sum:     [sha256.Size]byte(r.digest.Sum(nil)),
		tls:     config,
		headers: d.HTTP.Headers,
		limit:   newLimiter(time.Duration(d.Limit.Interval), d.Limit.Burst),
		users:   newVerifier(d.Users),
	}, nil
}

// maxFileSize is far beyond what a bundle of certificates has.
const maxFileSize = 4 << 20

// file returns what is in a file. A pipe would be waited for.
func (r *reader) file(path string) ([]byte, error) {
	stamp := newStamp(path) // before it is read: what changes meanwhile is read again
	r.stamps = append(r.stamps, stamp)
	if stamp.err != nil {
		return nil, bare(stamp.err)
	}
	if !stamp.info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("it has more than %d MiB", maxFileSize>>20)
	}
	fmt.Fprintf(r.digest, "%d\n%s", len(text), text)
	return text, nil
}

// bare takes away the path, which is said already.
func bare(err error) error {
	if pathErr := new(os.PathError); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// pem returns what is in the file that the key names, or else the inline text.
func (r *reader) pem(key, path, inline string) ([]byte, error) {
	if path == "" {
		return []byte(inline), nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	text, err := r.file(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", key, path, err)
	}
	return text, nil
}

// tls returns the configuration that the section asks for; nil if it asks for
// none.
func (r *reader) tls(s *tlsSection) (*tls.Config, error) {
	switch {
	case !s.enabled():
		return nil, nil
	case s.Cert == "" && s.CertFile == "":
		return nil, errors.New("cert or cert_file is missing")
	case s.Key == "" && s.KeyFile == "":
		return nil, errors.New("key or key_file is missing")
	}
	policy, ok := clientAuth()[s.ClientAuth]
	if !ok {
		return nil, fmt.Errorf("unknown client_auth_type %q (there are %s)", s.ClientAuth, slices.Sorted(maps.Keys(clientAuth()))[1:])
	}
	cert, certErr := r.pem("cert_file", s.CertFile, s.Cert)
	key, keyErr := r.pem("key_file", s.KeyFile, s.Key)
	ca, caErr := r.pem("client_ca_file", s.ClientCAFile, s.ClientCA)
	if err := errors.Join(certErr, keyErr, caErr); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate and its key: %w", err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   uint16(s.MinVersion),
		MaxVersion:   uint16(s.MaxVersion),
		ClientAuth:   policy,
		NextProtos:   []string{"http/1.1"},
		// What a resumed session has shown was checked by the version before.
		SessionTicketsDisabled: policy != tls.NoClientCert,
	}
	for _, c := range s.Ciphers {
		config.CipherSuites = append(config.CipherSuites, uint16(c))
	}
	for _, c := range s.Curves {
		config.CurvePreferences = append(config.CurvePreferences, tls.CurveID(c))
	}
	if s.ClientCA != "" || s.ClientCAFile != "" {
		if policy == tls.NoClientCert {
			return nil, errors.New("a client CA has no use without a client_auth_type, such as RequireAndVerifyClientCert")
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("there is no certificate in the client CA")
		}
	}
	if s.AllowedSANs != nil {
		if policy == tls.NoClientCert {
			return nil, errors.New("client_allowed_sans has no use without a client_auth_type, such as RequireAndVerifyClientCert")
		}
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return checkSANs(state.PeerCertificates, s.AllowedSANs)
		}
	}
	return config, nil
}

// checkClient says why a connection that was made, perhaps while another version was
// in force, would not be let in by this one for its client's certificate. crypto/tls
// has checked it once, when the connection was made; doing so again takes a fraction
// of what an answer takes, and sees as well when a certificate expires.
func (v *version) checkClient(state *tls.ConnectionState) error {
	if v.tls == nil || state == nil {
		return nil
	}
	chain := state.PeerCertificates
	switch v.tls.ClientAuth {
	case tls.RequireAnyClientCert, tls.RequireAndVerifyClientCert:
		if len(chain) == 0 {
			return errors.New("the client has shown no certificate")
		}
	}
	if v.tls.ClientAuth >= tls.VerifyClientCertIfGiven && len(chain) > 0 {
		options := x509.VerifyOptions{
			Roots:         v.tls.ClientCAs,
			Intermediates: x509.NewCertPool(),
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		for _, certificate := range chain[1:] {
			options.Intermediates.AddCert(certificate)
		}
		if _, err := chain[0].Verify(options); err != nil {
			return err
		}
	}
	if v.tls.VerifyConnection != nil {
		return v.tls.VerifyConnection(*state)
	}
	return nil
}

// checkSANs says whether the client's certificate has one of the allowed names.
func checkSANs(chain []*x509.Certificate, allowed []string) error {
	if len(chain) == 0 {
		return errors.New("the client shows no certificate, and client_allowed_sans asks for one")
	}
	names := slices.Concat(chain[0].DNSNames, chain[0].EmailAddresses)
	for _, ip := range chain[0].IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range chain[0].URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if slices.Contains(allowed, name) {
			return nil
		}
	}
	return fmt.Errorf("client_allowed_sans has none of the names of the client's certificate: %q", names)
}
