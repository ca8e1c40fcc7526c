package server

import (
	"net/http"
	"strings"

	"github.com/statvent/statvent/internal/page"
)

// servePage serves a file of the live page. A browser asks each time whether it
// has changed, and is told so by its tag: a newer statvent has a newer page.
func servePage(w http.ResponseWriter, r *http.Request, asset *page.Asset) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Add("Vary", "Accept-Encoding")
	header.Set("ETag", asset.Tag)
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimSpace(tag) == asset.Tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	header.Set("Content-Type", asset.Type)
	body := asset.Body
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body = asset.Zipped
	}
	_, _ = w.Write(body) // the client has gone
}
