package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A body is what an answer consists of. It is compressed once for all who share
// it, when the first wants that.
type body struct {
	plain  []byte
	zip    sync.Once
	zipped []byte
}

// compressed returns the gzip form, made in little time rather than little space.
func (b *body) compressed() []byte {
	b.zip.Do(func() {
		var zipped bytes.Buffer
		w, err := gzip.NewWriterLevel(&zipped, gzip.BestSpeed)
		if err == nil { // it is for levels that there aren't
			_, _ = w.Write(b.plain) // a buffer takes all
			_ = w.Close()
		}
		b.zipped = zipped.Bytes()
	})
	return b.zipped
}

// compressFrom is the size from which an answer is compressed: what fits into a
// packet is sent as soon.
const compressFrom = 1400

// encoded returns the body as the request gets it, compressed if that pays and it
// takes that, and the name of its encoding.
func (b *body) encoded(r *http.Request) (text []byte, encoding string) {
	if len(b.plain) >= compressFrom && takesGzip(r) {
		return b.compressed(), "gzip"
	}
	return b.plain, ""
}

// write answers with a body.
func write(w http.ResponseWriter, r *http.Request, status int, contentType string, b *body) {
	text, encoding := b.encoded(r)
	send(w, status, contentType, text, encoding)
}

func send(w http.ResponseWriter, status int, contentType string, text []byte, encoding string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept-Encoding")
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	header.Set("Content-Length", strconv.Itoa(len(text))) // for HEAD as well
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client has gone
}

// takesGzip tells whether the request names gzip, and not to refuse it.
func takesGzip(r *http.Request) bool {
	for encoding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(encoding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || err == nil && q > 0
	}
	return false
}

const (
	jsonType  = "application/json"
	typedType = "text/plain; charset=utf-8"
)

func writeJSON(w http.ResponseWriter, r *http.Request, status int, text []byte) {
	write(w, r, status, jsonType, &body{plain: text})
}

// fail answers with {"message": ..., "path": ...}.
func fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	text, err := json.Marshal(struct {
		Message string `json:"message"`
		Path    string `json:"path"`
	}{message, r.URL.Path})
	if err != nil {
		text = []byte("{}") // strings always marshal
	}
	writeJSON(w, r, status, append(text, '\n'))
}
