//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/statvent/statvent/pkg/pipes"
)

// screenshotVariable is the path of the PNG that TestScreenshot writes; make
// screenshot sets it.
const screenshotVariable = "STATVENT_SCREENSHOT"

// TestScreenshot makes a picture of the page as it is after five minutes, if somebody
// wants it.
func TestScreenshot(t *testing.T) {
	path := os.Getenv(screenshotVariable)
	if path == "" {
		return
	}
	history := 5 * time.Minute
	if text := os.Getenv(screenshotVariable + "_HISTORY"); text != "" {
		var err error
		if history, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(memoryDir(t), "stats-pipe")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, role := range []string{"web-1", "web-2", "web-3", "mailer"} {
		cmd := exec.Command(self, "serve", fmt.Sprintf("--port=%d", 8081+i))
		cmd.Args[0] = "shop"
		if role == "mailer" {
			cmd.Args = []string{"mailer", "--smtp=relay:25"}
		}
		cmd.Env = append(os.Environ(), publishVariable+"="+asShop, shopVariable+"="+role, pipes.DirVariable+"="+dir)
		start(t, cmd)
	}
	serve := startServe(t, dir, "--deadline", "500ms")
	for range 3 {
		if _, _, code := runStatvent(t, dir, "emit", "backup.runs"); code != 0 {
			t.Fatal("emit fails")
		}
	}
	if _, stderr, code := runStatvent(t, dir, "emit", "--set", "backup.bytes", "48318382080"); code != 0 {
		t.Fatal(stderr)
	}
	width, height, query := int64(1400), int64(900), "#pin=shop.requests&pin=shop.response.milliseconds.%7B0%7D&pin=shop.orders&open=shop.response.milliseconds.%7B0%7D"
	shot := func(file, scheme string, width, height int64, hash string, scale float64) func() {
		tab := startBrowser(t).newTab(width, height)
		tab.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale)))
		tab.prefer("color-scheme", scheme)
		tab.open(serve.url + "/" + hash)
		return func() {
			picture := withFewColours(t, tab.picture())
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				t.Fatal(err)
			}
			tab.staysCalm(serve.url)
		}
	}
	take := []func(){shot(path, "light", width, height, query, 2)}
	if os.Getenv(screenshotVariable+"_ALL") != "" {
		base := strings.TrimSuffix(path, ".png")
		take = append(take,
			shot(base+"-dark.png", "dark", width, height, query, 1),
			shot(base+"-list.png", "light", width, height, "#sort=-rate", 1),
			shot(base+"-phone.png", "light", 400, 860, "", 2),
			shot(base+"-phone-open.png", "dark", 400, 860, "#open=shop.requests", 2),
			shot(base+"-wide.png", "dark", 2500, 1300, "#open=shop.requests&pin=shop.orders", 1),
			shot(base+"-sources.png", "light", 1200, 800, "#sources&q=shop", 1),
		)
	}
	time.Sleep(history) // it is the history that the picture shows
	for _, take := range take {
		take()
	}
}

// withFewColours returns a PNG with the 256 colours that are the most frequent, in a
// third of the space: most of a page is of a few.
func withFewColours(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[color.Color]int)
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[full.At(x, y)]++
		}
	}
	palette := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	few := image.NewPaletted(bounds, palette[:min(len(palette), 256)])
	nearest := make(map[color.Color]uint8)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := full.At(x, y)
			index, ok := nearest[c]
			if !ok {
				index = uint8(few.Palette.Index(c))
				nearest[c] = index
			}
			few.SetColorIndex(x, y, index)
		}
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, few); err != nil {
		t.Fatal(err)
	}
	return small.Bytes()
}
