package feed

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/statvent/statvent/internal/yamltext"
)

// HTTPConfig says how hosts are asked, and who asks: the part that concerns statvent
// of the file that Prometheus' own tools take as --http.config.file. The nil
// configuration is that of an empty file.
type HTTPConfig struct {
	document httpDocument
	client   *tls.Config
}

type httpDocument struct {
	BasicAuth struct {
		Username     string `yaml:"username"`
		Password     string `yaml:"password"`
		PasswordFile string `yaml:"password_file"`
	} `yaml:"basic_auth"`
	TLS struct {
		CAFile             string `yaml:"ca_file"`
		CertFile           string `yaml:"cert_file"`
		KeyFile            string `yaml:"key_file"`
		ServerName         string `yaml:"server_name"`
		InsecureSkipVerify bool   `yaml:"insecure_skip_verify"`
	} `yaml:"tls_config"`
}

// ReadHTTPConfig reads the file. The paths in it are relative to its directory.
func ReadHTTPConfig(path string) (*HTTPConfig, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &HTTPConfig{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c.document); err != nil && !errors.Is(err, io.EOF) { // EOF: it is empty
		return nil, fmt.Errorf("%s: %w", path, yamltext.Error(err))
	}
	if err := c.prepare(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// prepare checks the document, and reads the files that it names.
func (c *HTTPConfig) prepare(dir string) error {
	auth, t := &c.document.BasicAuth, &c.document.TLS
	for _, file := range []*string{&auth.PasswordFile, &t.CAFile, &t.CertFile, &t.KeyFile} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
	switch {
	case auth.Password != "" && auth.PasswordFile != "":
		return errors.New("basic_auth: there are both a password and a password_file")
	case auth.Username == "" && (auth.Password != "" || auth.PasswordFile != ""):
		return errors.New("basic_auth: there is no username")
	case (t.CertFile == "") != (t.KeyFile == ""):
		return errors.New("tls_config: cert_file and key_file come together")
	}
	c.client = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // whoever writes it there wants it
	}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("tls_config: %w", err)
		}
		c.client.RootCAs = x509.NewCertPool()
		if !c.client.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("tls_config: %s has no certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("tls_config: %w", err)
		}
		c.client.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// tls returns how TLS is spoken; each transport changes its own copy.
func (c *HTTPConfig) tls() *tls.Config {
	if c == nil {
		return nil
	}
	return c.client.Clone()
}

// authorize says in a request who asks. The password's file may change.
func (c *HTTPConfig) authorize(r *http.Request) error {
	if c == nil || c.document.BasicAuth.Username == "" {
		return nil
	}
	auth := c.document.BasicAuth
	if auth.PasswordFile != "" {
		text, err := os.ReadFile(auth.PasswordFile)
		if err != nil {
			return err
		}
		auth.Password = strings.TrimSpace(string(text))
	}
	r.SetBasicAuth(auth.Username, auth.Password)
	return nil
}
