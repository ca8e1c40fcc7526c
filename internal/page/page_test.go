package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Every file that another one names is there.
func TestFilesNameEachOther(t *testing.T) {
	t.Parallel()
	names := map[string]*regexp.Regexp{
		"/":   regexp.MustCompile(`(?:src|href)="([^"#]+)"`),
		".js": regexp.MustCompile(`from "([^"]+)"`),
	}
	for url, asset := range assets() {
		pattern := names[path.Ext(url)]
		if url == "/" {
			pattern = names["/"]
		}
		if pattern == nil || strings.Contains(url, "/vendor/") {
			continue
		}
		for _, match := range pattern.FindAllSubmatch(asset.Body, -1) {
			name := string(match[1])
			if name == "stats" { // which the server has
				continue
			}
			if _, ok := Find(path.Join(path.Dir(url), name)); !ok || path.IsAbs(name) {
				t.Errorf("%s names %s", url, name)
			}
		}
	}
}

// The policy of the server forbids what is inline, and what is elsewhere.
func TestNothingIsInline(t *testing.T) {
	t.Parallel()
	index, ok := Find("/")
	if !ok {
		t.Fatal("there is no page")
	}
	for _, forbidden := range []string{`style="`, `<style`, `<script>`, `javascript:`, `//`} {
		if bytes.Contains(index.Body, []byte(forbidden)) {
			t.Errorf("the page has %s", forbidden)
		}
	}
	if match := regexp.MustCompile(`\son[a-z]+="`).Find(index.Body); match != nil {
		t.Errorf("the page has%s", match)
	}
	for url, asset := range assets() {
		if path.Ext(url) != ".js" {
			continue
		}
		if match := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|cssText`).Find(asset.Body); match != nil {
			t.Errorf("%s has %s", url, match)
		}
	}
}

func TestZippedIsTheSame(t *testing.T) {
	t.Parallel()
	tags := make(map[string]string)
	for url, asset := range assets() {
		r, err := gzip.NewReader(bytes.NewReader(asset.Zipped))
		if err != nil {
			t.Fatal(url, err)
		}
		if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, asset.Body) {
			t.Errorf("%s: %d bytes, %v", url, len(body), err)
		}
		if other, ok := tags[asset.Tag]; ok {
			t.Errorf("%s has the tag of %s", url, other)
		}
		tags[asset.Tag] = url
	}
}

// What is embedded has its licence beside it, and the source of its version.
func TestVendoredFilesHaveTheirLicence(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"LICENSE": "Permission is hereby granted", "VERSION": "uPlot"} {
		text, err := fs.ReadFile(files, "static/vendor/"+name)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
