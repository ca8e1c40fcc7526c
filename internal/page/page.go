// Package page has the files of the live page that `statvent serve` shows.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// Prefix is what the paths of all files begin with, but for that of the page
// itself, which is "/".
const Prefix = "/page/"

// An Asset is a file of the page.
type Asset struct {
	Body   []byte
	Zipped []byte // the same, compressed with gzip
	Type   string // its Content-Type
	Tag    string // its ETag, which changes with the body
}

// Find returns the file at the path of a URL, if there is one. The file is shared:
// nothing in it may be changed.
func Find(urlPath string) (*Asset, bool) {
	asset, ok := assets()[urlPath]
	return asset, ok
}

//go:embed static
var files embed.FS

// contentType returns the type of a file that is served; empty for all others.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return ""
	}
}

// assets are the files by their path, compressed when the first is asked for:
// most commands never do.
var assets = sync.OnceValue(func() map[string]*Asset {
	const root = "static"
	found := make(map[string]*Asset)
	// What is embedded can be read.
	_ = fs.WalkDir(files, root, func(name string, _ fs.DirEntry, err error) error {
		mediaType := contentType(name)
		if err != nil || mediaType == "" {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		url := Prefix + strings.TrimPrefix(name, root+"/")
		if name == root+"/index.html" {
			url = "/"
		}
		sum := sha256.Sum256(body)
		found[url] = &Asset{Body: body, Zipped: zip(body), Type: mediaType, Tag: `W/"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	return found
})

func zip(body []byte) []byte {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write(body) // a buffer takes all
	_ = w.Close()
	return zipped.Bytes()
}
