package feed

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/statvent/statvent/internal/host"
	"github.com/statvent/statvent/pkg/format"
	"github.com/statvent/statvent/pkg/pipes"
)

// Host is another host, or this one, as its statvent serve tells.
type Host struct {
	name   string
	base   *url.URL
	client *http.Client
	config *HTTPConfig
	agent  string
}

// defaultPort is where statvent serves.
const defaultPort = "7828"

// NewHost returns the host at an address: a URL; HOST or HOST:PORT; or unix:PATH, as
// serve listens. A user and a password in the URL win over those of the configuration.
func NewHost(address, version string, config *HTTPConfig) (*Host, error) {
	h := &Host{config: config, agent: "statvent/" + version}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       config.tls(),
		TLSHandshakeTimeout:   requestTimeout,
		ResponseHeaderTimeout: requestTimeout,
		IdleConnTimeout:       5 * time.Minute, // longer than the longest interval
	}
	h.client = &http.Client{Transport: transport, Timeout: requestTimeout}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		h.name, h.base = address, &url.URL{Scheme: "http", Host: "localhost"}
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return h, nil
	}
	base, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	h.base = base
	h.name = base.Host + strings.TrimSuffix(base.Path, "/")
	return h, nil
}

func parseAddress(address string) (*url.URL, error) {
	short := !strings.Contains(address, "://")
	if short {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil {
		if urlError := new(url.Error); errors.As(err, &urlError) {
			err = urlError.Err // without what may have a password in it
		}
		return nil, err
	}
	switch {
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("%s is neither http nor https", base.Scheme)
	case base.Hostname() == "":
		return nil, errors.New("it names no host")
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("it has more than a path")
	}
	if short && base.Port() == "" {
		base.Host = net.JoinHostPort(base.Hostname(), defaultPort)
	}
	return base, nil
}

// Name is the host's, without what is secret.
func (h *Host) Name() string { return h.name }

// requestTimeout bounds a request: serve itself waits for its sources.
const requestTimeout = 30 * time.Second

// read asks for the host's total and its sources. The requests come together, so that
// they share one collection.
func (h *Host) read(ctx context.Context, eachSource bool) (*said, error) {
	s := &said{}
	var report host.Report
	var each []*format.Document
	asked, ctx := errgroup.WithContext(ctx)
	asked.Go(func() error {
		documents, err := h.typed(ctx, "typed")
		for _, d := range documents {
			s.snapshots = append(s.snapshots, d.Snapshot)
		}
		return err
	})
	asked.Go(func() error {
		return h.get(ctx, "sources", func(body io.Reader) error {
			return json.NewDecoder(body).Decode(&report)
		})
	})
	if eachSource {
		asked.Go(func() (err error) {
			each, err = h.typed(ctx, "typed?sources=1")
			return err
		})
	}
	if err := asked.Wait(); err != nil {
		return nil, err
	}
	type key struct{ name, id string }
	snapshots := make(map[key]*format.Snapshot, len(each))
	for _, d := range each {
		snapshots[key{d.Source, d.ID}] = d.Snapshot
	}
	for _, about := range report.Sources {
		source := pipes.Source{
			Name: about.Name, ID: about.ID, Kind: about.Kind, PID: about.PID, State: about.State,
			Snapshot: snapshots[key{about.Name, about.ID}],
		}
		if about.Error != "" {
			source.Err = errors.New(about.Error)
		}
		s.add(source, about)
	}
	s.limits = report.LimitTexts()
	return s, nil
}

// What a host may answer with: more than a source, of which it has many.
const (
	maxAnswer      = 256 << 20
	maxAnswerStats = 1_000_000
)

// typed asks for documents.
func (h *Host) typed(ctx context.Context, path string) (documents []*format.Document, err error) {
	err = h.get(ctx, path, func(body io.Reader) error {
		p := format.TypedParser{MaxStats: maxAnswerStats}
		if n, err := io.Copy(&p, body); err != nil || n == 0 {
			return err
		}
		documents, err = p.Documents()
		return err
	})
	return documents, err
}

// get asks for what is at a path below the address.
func (h *Host) get(ctx context.Context, path string, read func(body io.Reader) error) error {
	path, query, _ := strings.Cut(path, "?")
	target := h.base.JoinPath(path)
	target.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", h.agent)
	if h.base.User == nil {
		if err := h.config.authorize(request); err != nil {
			return err
		}
	}
	response, err := h.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	body := &io.LimitedReader{R: response.Body, N: maxAnswer + 1}
	if response.StatusCode != http.StatusOK {
		return refusal(response, body)
	}
	switch err = read(body); {
	case body.N == 0:
		return fmt.Errorf("it answers with more than %d bytes", maxAnswer)
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("it answers as no statvent serve does: /%s: %w", path, err)
	default:
		return err
	}
}

// withoutURL returns what went wrong: of the URL, the host is named anyway.
func withoutURL(err error) error {
	urlError, certificate := new(url.Error), new(tls.CertificateVerificationError)
	switch {
	case errors.As(err, &certificate):
		return fmt.Errorf("%w: tls_config of --http-config says whom to trust", certificate.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: 'statvent serve' answers its own host alone, unless --listen says otherwise")
	case !errors.As(err, &urlError):
		return err
	case urlError.Timeout():
		return fmt.Errorf("no answer within %v", requestTimeout)
	default:
		return urlError.Err
	}
}

// refusal says why there is no answer, as the host says it where that is serve.
func refusal(response *http.Response, body io.Reader) error {
	var document struct {
		Message string `json:"message"`
	}
	const most = 4 << 10
	_ = json.NewDecoder(io.LimitReader(body, most)).Decode(&document)
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return errors.New("it wants a user and a password: --http-config has them, or the URL")
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s is not found: is it the address of a statvent serve, of this version?", response.Request.URL.Path)
	case document.Message != "":
		return fmt.Errorf("%s: %s", response.Status, document.Message)
	default:
		return errors.New(response.Status)
	}
}
