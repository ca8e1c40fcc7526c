//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/statvent/statvent/pkg/pipes"
)

// tooLong is how long a reading may take: the deadline, and as much as a busy machine
// with a dozen of programs on it may take on top.
const tooLong = chaosDeadline + 6*time.Second

// documents are those of a serve that are asked for.
var documents = []string{"/stats", "/sources?stats=1", "/metrics", "/typed"}

// askWithoutEnd is what a client of a serve does.
func (c *chaos) askWithoutEnd(find func() *server, r *rand.Rand) {
	for !isClosed(c.silence) {
		s := find()
		path, stalls, settles := documents[r.IntN(len(documents))], r.IntN(10) == 0, r.IntN(2) == 0
		pause := time.Duration(r.Int64N(int64(60 * time.Millisecond)))
		switch {
		case s == nil:
		case stalls:
			c.askAndStall(s, 10*pause)
		default:
			if settles {
				c.settle(s)
			}
			c.ask(s, path)
		}
		time.Sleep(pause)
	}
}

// ask asks a serve for one of its documents, and checks it.
func (c *chaos) ask(s *server, path string) {
	s.asking.RLock()
	h := &hearing{who: s.name + " " + path, from: s, tell: s.told.Load()}
	h.least, h.before = h.tell.least(), s.before.Load()
	began := time.Now()
	body, err := s.get(path)
	took := time.Since(began)
	s.asking.RUnlock()
	h.after = c.look()
	switch {
	case err != nil && s.main && c.main.Load() != s: // it was ended
		return
	case err != nil:
		c.complain("%s: after %v: %v", h.who, took, err)
		return
	}
	c.noteTime(h.who, took)
	switch path {
	case "/stats":
		err = h.parseStats(body)
	case "/sources?stats=1":
		err = h.parseSources(c, body)
	case "/metrics":
		err = h.parseMetrics(body)
	case "/typed":
		err = h.parseTyped(string(body))
	}
	if err != nil {
		c.complain("%s: %v in %s", h.who, err, body)
		return
	}
	c.check(h)
}

func (c *chaos) noteTime(who string, took time.Duration) {
	raise(&c.tally.longest, int64(took))
	if took > tooLong {
		c.complain("%s: it took %v", who, took)
	}
}

func (s *server) request(path string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8")
	return s.clients.Do(req)
}

func (s *server) get(path string) ([]byte, error) {
	resp, err := s.request(path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}

// askAndStall reads a little and nothing more for a while, and leaves.
func (c *chaos) askAndStall(s *server, pause time.Duration) {
	s.asking.RLock()
	resp, err := s.request("/stats")
	s.asking.RUnlock()
	if err != nil {
		return // it was ended, or ask says so
	}
	_, _ = resp.Body.Read(make([]byte, 10))
	time.Sleep(pause)
	_ = resp.Body.Close()
}

func (h *hearing) parseStats(body []byte) error {
	var document struct {
		Stats map[string]json.Number `json:"stats"`
	}
	err := json.Unmarshal(body, &document)
	h.values = document.Stats
	return err
}

// parseSources adds up what the sources say, and notes who has answered.
func (h *hearing) parseSources(c *chaos, body []byte) error {
	var document struct {
		Sources []sourceJSON `json:"sources"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return err
	}
	h.values = make(map[string]json.Number)
	ids := make(map[string]bool)
	for _, s := range document.Sources {
		if s.ID != "" && ids[s.ID] {
			c.complain("%s: recorder %s is there twice", h.who, s.ID)
		}
		ids[s.ID] = true
		if h.from != nil && len(s.Values) > 0 {
			h.from.read.Store(s.ID, true)
		}
		for name, value := range s.Values {
			if isLabel(name) {
				continue // they can't be added
			}
			sum, err := add(h.values[name], value)
			if err != nil {
				return err
			}
			h.values[name] = sum
		}
	}
	h.hearSources(func(yield func(pid int, state string) bool) {
		for _, s := range document.Sources {
			if s.Kind == string(pipes.TypedSource) && !yield(s.PID, s.State) {
				return
			}
		}
	})
	return nil
}

// isLabel tells whether the name is that of a label of a distribution.
func isLabel(name string) bool {
	for _, family := range []string{"size.", "mine.", "emit.size."} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

func add(a, b json.Number) (json.Number, error) {
	if a == "" {
		return b, nil
	}
	i, errA := a.Int64()
	j, errB := b.Int64()
	if errors.Join(errA, errB) == nil {
		return json.Number(strconv.FormatInt(i+j, 10)), nil
	}
	x, errA := a.Float64()
	y, errB := b.Float64()
	return json.Number(strconv.FormatFloat(x+y, 'g', -1, 64)), errors.Join(errA, errB)
}

// parseMetrics reads the lines NAME VALUE and {"NAME"} VALUE, and leaves out what is
// serve's own, and percentiles.
func (h *hearing) parseMetrics(body []byte) error {
	h.values, h.sizes = make(map[string]json.Number), make(map[string]sizes)
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSuffix(line, "\n")
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "statvent_") || strings.Contains(line, `",quantile="`) {
			continue
		}
		if space < 0 {
			return fmt.Errorf("line %q", line)
		}
		name, value := strings.TrimSuffix(strings.TrimPrefix(line[:space], `{"`), `"}`), json.Number(line[space+1:])
		if !isLabel(name) {
			h.values[strings.TrimSuffix(name, "_total")] = value
			continue
		}
		base, _, _ := strings.Cut(name, "_")
		of := h.sizes[base+".{0}"]
		var err error
		switch {
		case strings.HasSuffix(name, "_count"):
			of.count, err = value.Int64()
		case strings.HasSuffix(name, "_sum"):
			of.sum, err = value.Int64()
		}
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		h.sizes[base+".{0}"] = of
	}
	return nil
}
