package server

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressFrom is the size from which an answer is compressed: what fits into a
// packet is sent as soon.
const compressFrom = 1400

var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for other levels only
	return w
}}

// write answers with a body that is whole already: compressed, if that pays and
// the request takes it.
func write(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept-Encoding")
	if len(body) < compressFrom || !takesGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body) // the client has gone
		return
	}
	header.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	compressor := compressors.Get().(*gzip.Writer)
	defer compressors.Put(compressor)
	compressor.Reset(w)
	_, _ = compressor.Write(body)
	_ = compressor.Close()
}

// takesGzip tells whether an Accept-Encoding header names gzip, and not to refuse
// it.
func takesGzip(accept string) bool {
	for encoding := range strings.SplitSeq(accept, ",") {
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

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	write(w, r, status, "application/json", body)
}

// fail answers with {"message": ..., "path": ...}.
func fail(w http.ResponseWriter, r *http.Request, status int, message string) {
	body, err := json.Marshal(struct {
		Message string `json:"message"`
		Path    string `json:"path"`
	}{message, r.URL.Path})
	if err != nil {
		body = []byte("{}") // strings always marshal
	}
	writeJSON(w, r, status, append(body, '\n'))
}
