//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/statvent/statvent/pkg/statvent"
)

// pipeDir returns a directory for pipes, in memory.
func pipeDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(memoryDir(t), "pipes")
}

// rowsExpression has the rows that can be seen, in order.
const rowsExpression = `[...document.querySelectorAll("#rows .row:not([hidden])")].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)`

// rows returns the names of the rows of the table.
func (tab *tab) rows() []string {
	tab.t.Helper()
	return evaluate[[]string](tab, rowsExpression+`.map((row) => row.querySelector("bdi").textContent)`)
}

// waitForRows waits until the table has exactly these rows.
func (tab *tab) waitForRows(names ...string) {
	tab.t.Helper()
	tab.until(fmt.Sprintf(`%s.map((row) => row.querySelector("bdi").textContent).join("\n") === %q`, rowsExpression, strings.Join(names, "\n")))
}

// cell returns an expression for the text of a cell of the row with that name.
func cell(name, class string) string {
	return fmt.Sprintf(`(%s.find((row) => row.querySelector("bdi").textContent === %q)?.querySelector(".%s").textContent)`, rowsExpression, name, class)
}

// click clicks with the mouse on the element that an expression is.
func (tab *tab) click(element string) {
	tab.t.Helper()
	at := evaluate[[]float64](tab, "((r) => [r.x + r.width / 2, r.y + r.height / 2])("+element+".getBoundingClientRect())")
	tab.do(chromedp.MouseClickXY(at[0], at[1]))
}

// colours returns an expression for how many colours a canvas has.
func colours(canvas string) string {
	return fmt.Sprintf(`((canvas) => {
		const copy = document.createElement("canvas");
		[copy.width, copy.height] = [canvas.width, canvas.height];
		const context = copy.getContext("2d", { willReadFrequently: true });
		context.drawImage(canvas, 0, 0);
		const { data } = context.getImageData(0, 0, copy.width, copy.height);
		const colours = new Set();
		for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 0) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
		return colours.size;
	})(document.querySelector(%q))`, canvas)
}

// A loop makes a puppet act again and again, until the test ends.
func keepActing(t *testing.T, act func()) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			act()
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// publishHere makes this process publish a registry of its own.
func publishHere(t *testing.T, dir string, registry *statvent.Registry) {
	t.Helper()
	recorder, err := statvent.StartRecorder(statvent.WithPipeDir(dir), statvent.WithRegistry(registry))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close() })
}

// The tests of the page share a browser, and what is held to a time has it for itself.
func TestPage(t *testing.T) {
	b := startBrowser(t)
	timed := []string{"tabs share collections", "5,000 stats stay smooth"}
	for name, test := range map[string]func(*testing.T, *browser){
		"shows what is there":             testPageShows,
		"keeps the view in the link":      testPageLink,
		"opens a stat":                    testPageOpens,
		"hostile names do nothing":        testPageHostileNames,
		"outlives the server":             testPageOutlivesServer,
		"tabs share collections":          testPageSharedCollections,
		"works behind a proxy":            testPageBehindProxy,
		"needs no mouse":                  testPageKeyboard,
		"has two colour schemes":          testPageSchemes,
		"fits every width":                testPageWidths,
		"stays whole when it is resized":  testPageResizes,
		"shows the sources":               testPageSources,
		"leaves as curl and JSON":         testPageLeaves,
		"computes rates":                  testPageRates,
		"5,000 stats stay smooth":         testPageSmooth,
		"works at a path of its own":      testPageOtherPath,
		"says where nothing is published": testPageEmpty,
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(timed, name) {
				t.Parallel()
			}
			test(t, &browser{t, b.ctx})
		})
	}
}

func testPageShows(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	p := startPuppet(t, dir)
	p.do("incr app.requests 10", "set app.users 7", "set app.load 0.25", "record app.latency.{0} 5 6 7", "start")
	tab := b.newTab(1200, 700)
	tab.open(serve.url + "/")
	tab.waitForRows("app.latency", "app.load", "app.requests", "app.users")
	tab.until(cell("app.requests", "value") + ` === "10"`)
	tab.until(cell("app.load", "value") + ` === "0.250"`)
	tab.until(cell("app.latency", "value") + ` === "5"`)
	tab.until(cell("app.latency", "which") + ` === "median"`)

	p.do("incr app.requests 1234567")
	tab.until(cell("app.requests", "value") + ` === "1,234,577"`)
	p.do("set app.users 4")
	tab.until(cell("app.users", "value") + ` === "4"`)
	tab.until(cell("app.users", "rate") + ` === "0/s"`) // a second later, nothing changes
	keepActing(t, func() { p.do("incr app.requests 5") })
	tab.until(`parseFloat(` + cell("app.requests", "rate") + `) > 20`)
	tab.until(colours("#rows .row:not([hidden]) canvas") + ` > 1`)

	tab.click(`document.querySelector("#search")`)
	tab.press("app. L")
	tab.waitForRows("app.latency", "app.load")
	tab.until(`document.querySelector("#count").textContent === "2 of 4 stats"`)
	tab.press(escape)
	tab.waitForRows("app.latency", "app.load", "app.requests", "app.users")

	sort := func(column, order string, names ...string) {
		t.Helper()
		tab.click(`document.querySelector("[data-sort=` + column + `] button")`)
		tab.until(`document.querySelector("[data-sort=` + column + `]").ariaSort === "` + order + `"`)
		tab.waitForRows(names...)
	}
	sort("value", "descending", "app.requests", "app.latency", "app.users", "app.load")
	sort("value", "ascending", "app.load", "app.users", "app.latency", "app.requests")
	sort("kind", "ascending", "app.requests", "app.latency", "app.load", "app.users")
	sort("name", "ascending", "app.latency", "app.load", "app.requests", "app.users")
	sort("name", "descending", "app.users", "app.requests", "app.load", "app.latency")

	// Nobody is asked while it pauses, and nothing moves.
	tab.click(`document.querySelector("#pause")`)
	tab.until(`document.body.dataset.state === "paused" && document.querySelector("#state-text").textContent.startsWith("paused at ")`)
	asked, value := tab.asked("/live"), tab.text(cell("app.requests", "value"))
	p.do("set app.users 99")
	tab.click(rowsExpression + `[0].querySelector("bdi")`)
	tab.until(`document.querySelector("#panel .note")?.textContent.startsWith("Paused: ") && !document.querySelector("#panel .note").hidden`)
	awaitCollections(t, serve, 3) // time in which it would have asked
	if now := tab.asked("/live"); now != asked || tab.text(cell("app.requests", "value")) != value {
		t.Errorf("while it pauses it asks %d times, and has %s after %s", now-asked, tab.text(cell("app.requests", "value")), value)
	}
	tab.click(`document.querySelector("#pause")`)
	tab.until(cell("app.users", "value") + ` === "99"`)
	tab.until(`document.querySelectorAll("#panel tbody tr").length === 1 && document.querySelector("#panel .note").hidden`)
	tab.staysCalm(serve.url)
}

// awaitCollections waits until somebody who asks as a page does had so many live
// collections.
func awaitCollections(t *testing.T, serve *service, n int) {
	t.Helper()
	var last struct {
		Timestamp json.Number `json:"timestamp"`
	}
	for range n {
		before := last.Timestamp
		body, _ := serve.get(t, "/live?after="+before.String())
		if err := json.Unmarshal(body, &last); err != nil {
			t.Fatal(err)
		}
		if last.Timestamp == before {
			t.Fatalf("the collection of %s is served again", before)
		}
	}
}

func testPageLink(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	startPublisher(t, dir, "a.one=1", "a.two=2", "a.three=3", "b.four=4")
	tab := b.newTab(1300, 700)
	tab.open(serve.url + "/")
	tab.waitForRows("a.one", "a.three", "a.two", "b.four")
	tab.until(`document.querySelector("#rows .pin").ariaPressed === "false"`)
	tab.press("j")
	tab.press("j")
	tab.press("j")
	tab.press("p")
	tab.waitForRows("a.two", "a.one", "a.three", "b.four")
	tab.until(`document.querySelector(".pinned .pin").ariaPressed === "true"`)
	tab.press("/")
	tab.press("a")
	tab.waitForRows("a.two", "a.one", "a.three")
	tab.press(enter)
	tab.press("s")
	tab.press("s")
	tab.waitForRows("a.two", "a.three", "a.one")
	tab.click(rowsExpression + `[2].querySelector("bdi")`)
	tab.until(`document.querySelector("#panel h2")?.textContent === "a.one"`)
	tab.until(`location.hash === "#q=a&sort=-value&pin=a.two&open=a.one"`)
	link := tab.text("location.href")

	other := b.newTab(1300, 700) // with no memory but the link
	other.open(link)
	other.waitForRows("a.two", "a.three", "a.one")
	other.until(`document.querySelector("#panel h2")?.textContent === "a.one" && document.querySelector("#search").value === "a"`)
	other.do(chromedp.Reload())
	other.waitForRows("a.two", "a.three", "a.one")
	other.until(`document.querySelector("#panel h2")?.textContent === "a.one"`)
	other.open(serve.url + "/#sort=nonsense&every=-3&open=nothing&x=%")
	other.do(chromedp.Reload())
	other.waitForRows("a.one", "a.three", "a.two", "b.four")
	tab.staysCalm(serve.url)
	other.staysCalm(serve.url)
}

func testPageOpens(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	one, two := startPuppet(t, dir), startPuppet(t, dir)
	for _, p := range []*puppet{one, two} {
		p.do("incr jobs 100", "record size.{0} 10 20 30 40 1000", "start")
	}
	keepActing(t, func() { one.do("incr jobs 1", "record size.{0} 20") })
	tab := b.newTab(1300, 900)
	tab.open(serve.url + "/#open=size.%7B0%7D")
	tab.until(`document.querySelectorAll("#panel .shares tbody tr").length === 2`)
	tab.until(`document.querySelectorAll("#panel .chart canvas").length === 2`)
	tab.until(`document.querySelector("#panel .facts").textContent.includes("median20")`)
	// The band has shades of its own: the lines alone have few.
	tab.until(colours("#panel .chart canvas") + ` > 8`)
	tab.until(`document.querySelector("#panel .shares thead").textContent === "Processmedian95th99th100thRate"`)
	tab.until(`[...document.querySelectorAll("#panel .shares .source")].map((e) => e.textContent).sort().join() === "` +
		joinSorted(one.Process.Pid, two.Process.Pid) + `"`)

	tab.open(serve.url + "/#open=jobs")
	tab.until(`document.querySelector("#panel h2").textContent === "jobs"`)
	tab.until(`document.querySelectorAll("#panel .shares tbody tr").length === 2`)
	tab.until(`[...document.querySelectorAll("#panel .shares tbody tr")].some((row) => row.cells[1].textContent === "100" && row.cells[2].textContent === "0/s")`)
	tab.until(`[...document.querySelectorAll("#panel .shares tbody tr")].some((row) => parseFloat(row.cells[2].textContent) > 2)`)
	lines := func() float64 {
		return evaluate[float64](tab, strings.Replace(colours("x"), `document.querySelector("x")`, `document.querySelectorAll("#panel .chart canvas")[1]`, 1))
	}
	waitUntil(t, "each process has a line", func() bool { return lines() > 3 })
	// The other numbers are as old, and the keyboard stays at the button.
	tab.click(`document.querySelectorAll("#panel .choice button")[1]`)
	is := func(expression string) {
		t.Helper()
		if !evaluate[bool](tab, expression) {
			t.Errorf("not true: %s", expression)
		}
	}
	is(`location.hash.includes("show=values")`)
	is(`document.querySelectorAll("#panel .shares tbody tr").length === 2`)
	is(`document.activeElement === document.querySelectorAll("#panel .choice button")[1]`)
	tab.press("t")
	is(`document.documentElement.dataset.theme === "dark"`)
	is(`document.activeElement === document.querySelectorAll("#panel .choice button")[1]`)
	is(`document.querySelectorAll("#panel .shares tbody tr").length === 2`)
	// What the pointer is at is said.
	tab.until(`document.querySelectorAll("#panel .u-over").length === 2`)
	over := evaluate[[]float64](tab, `((r) => [r.right - 4, r.y + r.height / 2])(document.querySelector("#panel .u-over").getBoundingClientRect())`)
	tab.do(chromedp.MouseEvent("mouseMoved", over[0]-20, over[1]), chromedp.MouseEvent("mouseMoved", over[0], over[1]))
	tab.until(`/^\d\d:\d\d:\d\d +\d+/.test(document.querySelector("#panel .readout").textContent)`)
	two.kill() // which leaves what it has counted
	tab.until(`document.querySelector("#panel .shares").textContent.includes("that have ended")`)
	tab.click(`document.querySelector("#panel .close")`)
	tab.until(`document.querySelector("#panel").hidden && !location.hash.includes("open")`)
	tab.staysCalm(serve.url)
}

func joinSorted(pids ...int) string {
	var names []string
	for _, pid := range pids {
		names = append(names, fmt.Sprint(pid))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func testPageHostileNames(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	names := map[string]string{ // as it is shown
		`<img src=x onerror=alert(1)>`:                    `<img src=x onerror=alert(1)>`,
		`"><script>alert(2)</script>`:                     `"><script>alert(2)</script>`,
		`</title><svg/onload=alert(3)>.{0}`:               `</title><svg/onload=alert(3)>`,
		`javascript:alert(4)`:                             `javascript:alert(4)`,
		"term\x1b[2J\x1b]0;x\x07":                         `term\u001b[2J\u001b]0;x\u0007`,
		"bidi\u202etxt.exe\u2066x":                        `bidi\u202etxt.exe\u2066x`,
		"zero\u200bwidth\ufeff":                           `zero\u200bwidth\ufeff`,
		"bytes \xff\xfe":                                  `bytes \xff\xfe`,
		`__proto__`:                                       `__proto__`,
		`constructor`:                                     `constructor`,
		`a b&c=d#e?f%41+g'h"i` + "`j":                     `a b&c=d#e?f%41+g'h"i` + "`j",
		"日本語.😀":                                           "日本語.😀",
		strings.Repeat("long", 500):                       strings.Repeat("long", 500),
		`{{constructor.constructor("alert(5)")()}} ${x}`:  `{{constructor.constructor("alert(5)")()}} ${x}`,
		`http_requests_total{method="GET",path="/a.b/c"}`: `http_requests_total{method="GET",path="/a.b/c"}`,
	}
	registry := statvent.NewRegistry()
	for name := range names {
		if strings.Contains(name, "{0}") {
			registry.Record(name, 1)
		} else {
			registry.IncrBy(name, 3)
		}
	}
	publishHere(t, dir, registry)
	tab := b.newTab(1300, 900)
	tab.open(serve.url + "/")
	tab.until(rowsExpression + fmt.Sprintf(`.length === %d`, len(names)))
	rows, pinned := tab.rows(), 0
	for name, shown := range names {
		if !slices.Contains(rows, shown) {
			t.Errorf("%q is not shown as %q", name, shown)
			continue
		}
		// It opens, and what each process says of it is found.
		tab.click(fmt.Sprintf(`%s.find((row) => row.querySelector("bdi").textContent === %q).querySelector(".kind")`, rowsExpression, shown))
		tab.until(fmt.Sprintf(`document.querySelector("#panel h2")?.textContent === %q && document.querySelectorAll("#panel tbody tr").length === 1`, shown))
		tab.press("p") // into the link
		tab.press("c") // as a command
		tab.press(escape)
		pinned++
		tab.until(fmt.Sprintf(`document.querySelector("#panel").hidden && document.querySelectorAll(".pinned:not([hidden])").length === %d`, pinned))
	}
	tab.do(chromedp.Reload())
	tab.until(`document.querySelectorAll(".pinned").length === ` + fmt.Sprint(len(names)))
	tab.press("/")
	tab.press("<img")
	tab.waitForRows(`<img src=x onerror=alert(1)>`)
	tab.press("<svg onload=alert(6)>")
	tab.until(`document.querySelector("#empty").textContent.includes("<svg onload=alert(6)>")`)
	if n := evaluate[float64](tab, `document.querySelectorAll("#rows img, #panel img, #empty svg, #rows script, iframe, body script").length`); n != 0 {
		t.Errorf("%v elements were made of names", n)
	}
	tab.staysCalm(serve.url)
}

func testPageOutlivesServer(t *testing.T, b *browser) {
	dir := pipeDir(t)
	address := freeAddress(t, "127.0.0.1")
	server := "http://" + address
	serve := startServe(t, dir, "--listen", address) // beside another
	p := startPuppet(t, dir)
	p.do("incr jobs 1", "start")
	tab := b.newTab(1300, 700)
	tab.open(server + "/#open=jobs")
	tab.until(cell("jobs", "value") + ` === "1"`)
	tab.until(`document.querySelectorAll("#panel tbody tr").length === 1`)

	_ = serve.Process.Kill()
	<-serve.exited
	tab.until(`document.body.dataset.state === "lost"`)
	tab.until(`document.querySelector("#state-text").textContent.startsWith("the server is gone since ")`)
	tab.until(`document.title.startsWith("⚠") && !document.querySelector("#retry").hidden`)
	tab.until(`getComputedStyle(document.querySelector("#rows")).opacity < 0.6`)
	tab.until(cell("jobs", "value") + ` === "1"`) // what was seen last
	p.do("incr jobs 1")

	again := startServe(t, dir, "--listen", address)
	tab.until(`document.body.dataset.state === "live"`)
	tab.until(cell("jobs", "value") + ` === "2"`)
	tab.until(`!document.title.startsWith("⚠") && document.querySelector("#retry").hidden`)
	p.do("incr jobs 1")
	tab.until(cell("jobs", "value") + ` === "3"`)
	tab.until(`document.querySelectorAll("#panel tbody tr")[0].cells[1].textContent === "3"`)

	// One that hangs is as good as gone: the page says so, and waits.
	_ = again.Process.Signal(syscall.SIGSTOP)
	tab.until(`document.body.dataset.state === "late" && document.querySelector("#state-text").textContent.startsWith("no answer since")`)
	_ = again.Process.Signal(syscall.SIGCONT)
	tab.until(`document.body.dataset.state === "live"`)
	tab.staysCalm(server, "net::ERR_")
}

func testPageSharedCollections(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	var made atomic.Int64
	registry := statvent.NewRegistry()
	registry.SetFunc("collections", func() float64 { return float64(made.Add(1)) })
	publishHere(t, dir, registry)

	one := b.newTab(800, 600)
	one.open(serve.url + "/")
	one.until(`parseFloat(` + cell("collections", "value") + `) >= 2`)
	// A collection each second, however many look at it.
	others := []*tab{b.newTab(800, 600), b.newTab(800, 600)}
	for _, tab := range others {
		tab.open(serve.url + "/")
		tab.until(`parseFloat(` + cell("collections", "value") + `) >= 2`)
	}
	before, begin := made.Load(), time.Now()
	asked := one.asked("/live")
	one.until(fmt.Sprintf(`parseFloat(%s) >= %d`, cell("collections", "value"), before+6))
	seconds := time.Since(begin).Seconds()
	if n := float64(made.Load() - before); n > seconds+2 {
		t.Errorf("%.0f collections in %.1f seconds, for three tabs", n, seconds)
	}
	for _, tab := range others {
		if n := tab.asked("/live"); n < 3 {
			t.Errorf("another tab asked %d times", n)
		}
	}
	if n := one.asked("/live") - asked; n > int(seconds)+2 {
		t.Errorf("a tab asks %d times in %.1f seconds", n, seconds)
	}

	// Nobody sees them: nobody asks.
	for _, tab := range append(others, one) {
		tab.see(false)
	}
	before = made.Load()
	asked = one.asked("/live")
	time.Sleep(3 * time.Second) // nothing happens, which nobody signals
	if n := made.Load() - before; n > 1 {
		t.Errorf("%d collections while no tab is seen", n)
	}
	if n := one.asked("/live") - asked; n != 0 {
		t.Errorf("a hidden tab asks %d times", n)
	}
	one.see(true)
	one.until(fmt.Sprintf(`parseFloat(%s) > %d`, cell("collections", "value"), before+1))
	one.staysCalm(serve.url)
}

// see makes the page believe that it is seen, or not: nobody sees a page of a headless
// browser, and it believes that somebody does.
func (tab *tab) see(seen bool) {
	tab.t.Helper()
	evaluate[bool](tab, fmt.Sprintf(`(() => {
		Object.defineProperty(document, "hidden", { configurable: true, value: %t });
		Object.defineProperty(document, "visibilityState", { configurable: true, value: %[1]t ? "hidden" : "visible" });
		return document.dispatchEvent(new Event("visibilitychange"));
	})()`, !seen))
}

func testPageBehindProxy(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	startPublisher(t, dir, "jobs=5")
	target, err := url.Parse(serve.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.StripPrefix("/sub/path", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}))
	t.Cleanup(proxy.Close)
	tab := b.newTab(1300, 700)
	tab.open(proxy.URL + "/sub/path/#open=jobs")
	tab.until(cell("jobs", "value") + ` === "5"`)
	tab.until(`document.querySelectorAll("#panel .chart canvas").length === 2`)
	tab.until(`document.querySelector("#download").href === "` + proxy.URL + `/sub/path/stats?match=jobs"`)
	for _, path := range []string{"/sub/path/live", "/sub/path/page/main.js", "/sub/path/page/vendor/uPlot.iife.min.js"} {
		if tab.asked(path) == 0 {
			t.Errorf("it doesn't ask for %s", path)
		}
	}
	tab.staysCalm(proxy.URL)
}

func testPageKeyboard(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	var stats []string
	for i := range 200 {
		stats = append(stats, fmt.Sprintf("stat.%03d=%d", i, i))
	}
	startPublisher(t, dir, stats...)
	tab := b.newTab(1300, 700)
	tab.open(serve.url + "/")
	tab.until(rowsExpression + `.length > 10`)
	active := func(name string) {
		t.Helper()
		tab.until(fmt.Sprintf(`document.getElementById(document.querySelector("#grid").getAttribute("aria-activedescendant"))?.querySelector("bdi").textContent === %q`, name))
	}
	for range 30 {
		if tab.text(`document.activeElement.id`) == "grid" {
			break
		}
		tab.press(tabKey)
	}
	// It is seen where the keyboard is, though no row has it yet.
	tab.until(`document.activeElement.id === "grid" && !/, 0\)$/.test(getComputedStyle(document.activeElement).outlineColor)`)
	tab.press(end)
	active("stat.199")
	tab.press(home)
	active("stat.000")
	tab.press(down)
	tab.press("j")
	active("stat.002")
	tab.press("k")
	active("stat.001")
	tab.press(enter)
	tab.until(`document.querySelector("#panel h2")?.textContent === "stat.001"`)
	tab.press(escape)
	tab.until(`document.querySelector("#panel").hidden`)
	tab.press(end)
	active("stat.199")
	tab.press("p")
	tab.until(`location.hash === "#pin=stat.199"`)
	tab.press(home)
	active("stat.199") // the pinned come first
	tab.press("/")
	tab.until(`document.activeElement.id === "search"`)
	// All is not silently what is got for too many, nor for none.
	tab.press("stat")
	tab.until(`document.querySelector("#count").textContent === "200 of 200 stats"`)
	tab.press(enter)
	tab.press("c")
	tab.until(`document.querySelector("#toast").textContent.startsWith("Of all 200 stats: too many match for one address. ")`)
	tab.until(`document.querySelector("#download").title.includes("too many match")`)
	tab.press("/")
	tab.press("nothing")
	tab.until(`document.querySelector("#count").textContent === "0 of 200 stats" && !document.querySelector("#download").href`)
	tab.press(enter)
	tab.press("c")
	tab.until(`document.querySelector("#toast").textContent.startsWith("No stat matches")`)
	tab.press("/")
	tab.press("stat.05")
	tab.until(`document.querySelector("#count").textContent === "10 of 200 stats"`)
	tab.press(down)
	tab.until(`document.activeElement.id === "grid"`)
	active("stat.050")
	tab.press(escape)
	tab.until(`document.querySelector("#count").textContent === "200 stats"`)
	tab.press("s")
	tab.until(`document.querySelector("[data-sort=kind]").ariaSort === "ascending"`)
	tab.press("S")
	tab.until(`document.querySelector("[data-sort=kind]").ariaSort === "descending"`)
	tab.press(" ")
	tab.until(`document.body.dataset.state === "paused"`)
	tab.press(" ")
	tab.until(`document.body.dataset.state === "live"`)
	tab.press("?")
	tab.until(`document.querySelector("#help").open`)
	tab.press(escape)
	tab.until(`!document.querySelector("#help").open`)
	tab.press("o")
	tab.until(`document.querySelectorAll("#panel .sources > li").length === 1`)
	tab.press("o")
	tab.until(`document.querySelector("#panel").hidden`)
	tab.press("t")
	tab.until(`document.documentElement.dataset.theme === "dark"`)

	// Everything that can be clicked can be reached, and says what it is.
	seen := make(map[string]bool)
	evaluate[bool](tab, `(document.activeElement.blur(), true)`)
	for range 40 {
		tab.press(tabKey)
		seen[tab.text(`document.activeElement.id || document.activeElement.closest("[data-sort]")?.dataset.sort || document.activeElement.tagName`)] = true
	}
	for _, id := range []string{"every", "pause", "sources-button", "curl", "download", "theme", "help-button", "search", "grid", "name", "kind", "value", "rate"} {
		if !seen[id] {
			t.Errorf("the tab key doesn't reach %s, but %v", id, seen)
		}
	}
	unnamed := tab.text(`[...document.querySelectorAll("button, a, input, select")].filter((e) => e.checkVisibility() &&
		!(e.ariaLabel || e.title || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML).join()`)
	if unnamed != "" {
		t.Errorf("without a name: %s", unnamed)
	}
	tab.staysCalm(serve.url)

	// What the panel covers, no key reaches; going back closes it.
	phone := b.newTab(400, 700)
	phone.open(serve.url + "/")
	for range 2 {
		phone.until(rowsExpression + `.length > 5`)
		phone.click(rowsExpression + `[3].querySelector("bdi")`)
		phone.until(`location.hash === "#open=stat.003" && document.activeElement.id === "panel"`)
		for range 12 {
			phone.press(tabKey)
			if outside := phone.text(`document.activeElement.closest("#panel, body > :not(main)") || document.activeElement === document.body ? "" : document.activeElement.outerHTML`); outside != "" {
				t.Fatalf("the tab key leads to %s, which is covered", outside)
			}
		}
		evaluate[bool](phone, `(history.back(), true)`)
		phone.until(`document.querySelector("#panel").hidden && location.hash === "" && document.activeElement.id === "grid"`)
	}
	phone.press(down)
	phone.press(enter)
	phone.until(`location.hash === "#open=stat.004"`)
	phone.press("p")
	phone.until(`location.hash === "#pin=stat.004&open=stat.004"`)
	phone.press(escape)
	phone.until(`document.querySelector("#panel").hidden && location.hash === "#pin=stat.004" && history.state.list`)
	phone.staysCalm(serve.url)
}

// Text stands out from what is behind it, as WCAG's level AA has it.
func testPageSchemes(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	startPublisher(t, dir, "app.jobs=5", "app.load=0.5")
	lightness := make(map[string]float64)
	for _, scheme := range []string{"light", "dark"} {
		tab := b.newTab(1300, 700)
		tab.prefer("color-scheme", scheme)
		tab.open(serve.url + "/#open=app.jobs")
		tab.until(`document.querySelectorAll("#panel tbody tr").length === 1`)
		going := startPuppet(t, dir)
		going.do("set app.going 1", "start")
		tab.until(cell("app.going", "value") + ` === "1"`)
		going.kill()
		tab.until(cell("app.going", "rate") + ` === "gone"`)
		worst := evaluate[[]string](tab, `(() => {
			const rgb = (color) => color.match(/[\d.]+/g).map(Number);
			const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
				.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
			const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3) return c; } return [255, 255, 255]; };
			const bad = [];
			const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
			while (walker.nextNode()) {
				const e = walker.currentNode.parentElement;
				if (!walker.currentNode.data.trim() || !e.checkVisibility({ visibilityProperty: true })) continue;
				const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
				const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
				if (contrast < 4.5) bad.push(walker.currentNode.data + " (" + e.className + "): " + contrast.toFixed(2));
			}
			return bad;
		})()`)
		if len(worst) > 0 {
			t.Errorf("%s: too little contrast: %v", scheme, worst)
		}
		lightness[scheme] = evaluate[float64](tab, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((a, b) => a + Number(b), 0)`)
		tab.staysCalm(serve.url)
	}
	if lightness["light"] < 600 || lightness["dark"] > 150 {
		t.Errorf("the paper is %v", lightness)
	}
}

func testPageWidths(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	startPublisher(t, dir, "app.jobs=123456789012", "app.large=-9999999999999", "app.largest=9223372036854775807", "app."+strings.Repeat("very.long.", 30)+"name=1.5", strings.Repeat("x", 300)+"=1")
	for _, width := range []int64{360, 400, 720, 1000, 1100, 1400, 2500} {
		tab := b.newTab(width, 800)
		tab.open(serve.url + "/")
		tab.until(rowsExpression + `.length === 5`)
		tab.until(colours("#rows .row:not([hidden]) canvas") + ` > 0`)
		for _, hash := range []string{"", "#open=app.jobs", "#sources"} {
			tab.open(serve.url + "/" + hash)
			tab.until(`document.querySelector("#panel").hidden === ` + fmt.Sprint(hash == ""))
			wide := tab.text(`[...document.querySelectorAll("body, .bar, .controls, .list, .tools, #panel, .panel-head, .panel-body, #rows .row, .head .row, #rows .value, #rows .rate")]
				.filter((e) => e.checkVisibility() && (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1))
				.map((e) => (e.id || e.className) + " " + e.scrollWidth + ">" + e.clientWidth).join()`)
			if wide != "" {
				t.Errorf("at %d pixels, with %q: %s", width, hash, wide)
			}
			// What is last in a name is there to its end, but for a name that is only long.
			cut := tab.text(`[...document.querySelectorAll("#rows .prefix:not(:empty) + .last")].filter((e) => {
				const text = document.createRange();
				text.selectNodeContents(e);
				return e.checkVisibility() && text.getBoundingClientRect().width > e.getBoundingClientRect().width + 0.01;
			}).map((e) => e.textContent).join()`)
			if cut != "" {
				t.Errorf("at %d pixels, with %q, the end is cut off: %s", width, hash, cut)
			}
		}
		tab.staysCalm(serve.url)
	}
}

// A window that becomes narrow has higher rows, and all of them.
func testPageResizes(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	registry := statvent.NewRegistry()
	for i := range 3000 {
		registry.IncrBy(fmt.Sprintf("stat.%04d", i), 1)
	}
	publishHere(t, dir, registry)
	tab := b.newTab(1300, 800)
	tab.open(serve.url + "/")
	tab.until(rowsExpression + `.length > 10`)
	for _, size := range []struct {
		width  int64
		height int // of a row
	}{{1300, 34}, {600, 54}, {1300, 34}} {
		tab.do(chromedp.EmulateViewport(size.width, 800))
		tab.until(fmt.Sprintf(`document.querySelector("#rows").offsetHeight === 3000 * %d`, size.height))
		evaluate[bool](tab, `(document.querySelector("#grid").scrollTop = 1e9, true)`)
		tab.until(fmt.Sprintf(`((rows, grid) => rows.at(-1).querySelector("bdi").textContent === "stat.2999" &&
			Math.abs(rows.at(-1).getBoundingClientRect().bottom - grid.getBoundingClientRect().bottom) < 2 &&
			rows.every((row, i) => i === 0 || row.getBoundingClientRect().top - rows[i - 1].getBoundingClientRect().top === %d))(%s, document.querySelector("#grid"))`,
			size.height, rowsExpression))
	}
	tab.staysCalm(serve.url)
}

func testPageSources(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir, "--deadline", "500ms")
	one, two := startPuppet(t, dir), startPuppet(t, dir)
	one.do("incr jobs 1", "start")
	two.do("incr jobs 1", "start")
	tab := b.newTab(1300, 700)
	tab.open(serve.url + "/")
	tab.until(`document.querySelector("#sources-text").textContent === "2 sources"`)
	_ = two.Process.Signal(syscall.SIGSTOP)
	tab.until(`document.querySelector("#sources-text").textContent === "2 sources, 1 error"`)
	tab.until(fmt.Sprintf(`document.querySelector("#trouble").textContent.startsWith("Source %d: ")`, two.Process.Pid))
	tab.open(serve.url + "/#open=jobs") // whose rate there nobody knows
	tab.until(`document.querySelector("#panel .shares .silent")?.cells[2].textContent === "–"`)
	tab.until(`/unresponsive, values of \d+ s ago$/.test(document.querySelector("#panel .shares .silent .command").textContent)`)
	evaluate[bool](tab, `(document.querySelector("#trouble").focus(), true)`)
	tab.press(enter)
	tab.until(`document.querySelectorAll("#panel .sources > li").length === 2 && document.activeElement.id === "panel"`)
	tab.press(escape)
	tab.click(`document.querySelector("#sources-button")`)
	tab.until(`document.querySelectorAll("#panel .sources > li").length === 2`)
	tab.until(fmt.Sprintf(`document.querySelector("#panel .state-unresponsive .source").textContent === "%d" && document.querySelector("#panel .state-unresponsive .source-error").textContent !== ""`, two.Process.Pid))
	tab.until(`document.querySelector("#panel .state-live .command").textContent !== ""`)
	_ = two.Process.Signal(syscall.SIGCONT)
	tab.until(`document.querySelector("#sources-text").textContent === "2 sources" && document.querySelector("#trouble").hidden`)
	one.kill()
	tab.until(`document.querySelectorAll("#panel .state-retained").length === 1`)
	tab.staysCalm(serve.url)
}

// What is copied works in a shell, whatever the names are.
func testPageLeaves(t *testing.T, b *browser) {
	curl := lookup(t, "curl")
	dir := pipeDir(t)
	serve := startServe(t, dir)
	registry := statvent.NewRegistry()
	names := []string{`it's $(id) *?[x] \ "q"`, "plain.name", "caf\xe9", `back\x41slash`}
	for _, name := range names {
		registry.IncrBy(name, 3)
	}
	registry.Record("size.{0}.bytes", 5)
	publishHere(t, dir, registry)
	tab := b.newTab(1300, 700)
	copied := func() string {
		t.Helper()
		tab.press("c")
		tab.until(`document.querySelector("#toast").textContent.includes("curl -s ")`)
		_, arguments, _ := strings.Cut(tab.text(`document.querySelector("#toast").textContent`), "curl -s ")
		return "curl -s " + arguments
	}
	run := func(command string) map[string]json.Number {
		t.Helper()
		out, err := exec.Command("sh", "-c", strings.Replace(command, "curl", curl, 1)).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return parseDocument(t, out)
	}
	tab.open(serve.url + "/")
	tab.until(rowsExpression + `.length === 5`)
	if stats := run(copied()); len(stats) != 9 {
		t.Errorf("all: %v", stats)
	}
	for index, shown := range tab.rows() {
		tab.open(serve.url + "/")
		tab.do(chromedp.Reload())
		tab.until(rowsExpression + `.length === 5`)
		tab.click(fmt.Sprintf(`%s[%d].querySelector(".kind")`, rowsExpression, index))
		tab.until(`!document.querySelector("#panel").hidden`)
		command := copied()
		want := 1
		if strings.Contains(shown, "size") {
			want = 5
		}
		if stats := run(command); len(stats) != want {
			t.Errorf("%s: %s has %v", shown, command, stats)
		}
		if href := tab.text(`document.querySelector("#download").href`); !strings.Contains(command, "'"+href+"'") {
			t.Errorf("the download is of %s, the command %s", href, command)
		}
	}
	tab.open(serve.url + "/#q=plain")
	tab.do(chromedp.Reload())
	tab.waitForRows("plain.name")
	if command := copied(); !strings.HasSuffix(command, "/stats?match=plain.name'") {
		t.Errorf("of a search: %s", command)
	}
	tab.staysCalm(serve.url)
}

// The rules of the numbers, in the page's own words.
func testPageRates(t *testing.T, b *browser) {
	serve := startServe(t, pipeDir(t))
	tab := b.newTab(800, 600)
	tab.open(serve.url + "/")
	is := func(expression, want string) {
		t.Helper()
		got := evaluate[string](tab, `(async () => {
			const { History } = await import("/page/history.js");
			const numbers = await import("/page/numbers.js");
			const { visible, present, asPattern } = await import("/page/names.js");
			const { order } = await import("/page/view.js");
			const { rateOf } = await import("/page/table.js");
			const { Detail, describe } = await import("/page/detail.js");
			const h = new History();
			const of = (kind, ...values) => { values.forEach(([t, v]) => t === "gap" ? h.gap() : h.add({ timestamp: t, stats: v === undefined ? [] : [{ name: "x", kind, ...(kind === "distribution" ? v : { value: v }) }] })); return h.stats.get("x"); };
			const trace = (values) => h.slots().map((slot) => values[slot]).map((v) => Number.isNaN(v) ? "-" : v).join(" ");
			return String(`+expression+`);
		})()`)
		if got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	is(`of("counter", [100, 10], [102, 30]).rate`, "10")
	is(`trace(of("counter", [100, 10], [101, 30], [102, 5], [103, 8]).rates)`, "- 20 - 3") // it began again
	is(`of("counter", [100, 10], [101, 30], [102, 5]).resetAt`, "102")
	is(`trace(of("counter", [100, 10], ["gap"], [110, 30], [111, 31]).rates)`, "- - 2 1")
	is(`trace(of("counter", [100, 10], [101], [102, 30]).values)`, "10 - 30")
	is(`of("counter", [100, 10], [101]).here`, "false")
	is(`of("gauge", [100, 10], [102, 4]).change`, "-6")
	is(`of("counter", [100, "9223372036854775000"], [101, "9223372036854775807"]).rate`, "807") // which floats don't have
	is(`numbers.value(of("counter", [100, "9223372036854775807"]).number, h.stats.get("x").text)`, "9,223,372,036,854,775,807")
	is(`((x) => numbers.value(x.number, x.text, x.float))(of("gauge", [100, 1234567890123456789]))`, "1.235e18") // a float has no more digits
	is(`((x) => numbers.inRow(x.number, x.text, x.float))(of("counter", [100, "9223372036854775807"]))`, "9.223e18")
	is(`((x) => numbers.inRow(x.number, x.text, x.float))(of("counter", [100, -9999999999999]))`, "−9,999,999,999,999")
	is(`numbers.value(of("gauge", [100, "nan"]).number, h.stats.get("x").text)`, "NaN")
	is(`numbers.value(of("gauge", [100, "-inf"]).number, h.stats.get("x").text)`, "−∞")
	is(`((x) => x.main + x.number + " " + x.rate)(of("distribution", [100, { count: 5, labels: [] }], [101, { count: 9, labels: [{ label: "mean", value: 3 }, { label: "mid", percentile: 50, value: 7 }] }]))`, "mid7 4")
	is(`(() => { // the columns of a distribution come with its first sample
		const take = (time, labels) => h.add({ timestamp: time, stats: [{ name: "d.{0}", kind: "distribution", count: labels.length, labels }] });
		take(100, []);
		const root = document.createElement("div");
		const detail = new Detail(root, h.stats.get("d.{0}"), h, { pinned: false, values: false }, { paused: () => false });
		const heads = () => { detail.update(); return root.querySelector("thead").textContent; };
		const before = heads();
		take(101, [{ label: "median", percentile: 50, value: 7 }]);
		const after = heads();
		detail.close();
		return before + " " + after;
	})()`, "ProcessRate ProcessmedianRate")
	// The values of a process that doesn't answer are old: nobody knows its rate.
	is(`(() => {
		h.follow(of("counter", [99, 0]));
		const take = (time, value, about) => h.add({ timestamp: time, stats: [{ name: "x", kind: "counter", value }],
			sources: [{ kind: "typed", name: "7", command: "a", state: "live", ...about }],
			detail: { name: "x", sources: [{ source: 0, stats: [{ kind: "counter", value }] }] } });
		const silent = (age) => ({ state: "unresponsive", error: "no answer", values_age_seconds: age });
		take(100, 10);
		take(101, 20);
		take(102, 20, silent(1));
		const [share] = h.sources.all.values();
		const said = rateOf(share, false) + " " + share.number + " " + describe(share.about);
		take(103, 20, silent(2));
		take(104, 50);
		return said + ", " + trace(share.rates);
	})()`, "– 20 a unresponsive, values of 1 s ago, - - 10 - - 10")
	// What has gone moves no more, and comes last.
	is(`((x) => [x.rate, x.change, x.here])(of("counter", [100, 10], [101, 30], [102]))`, "NaN,NaN,false")
	is(`((x) => [x.rate, x.change, x.here])(of("counter", [100, 10], [101, 30], ["gap"]))`, "20,20,true")
	is(`["value", "-value", "-rate"].map((sort) => order([
		{ id: "gone", haystack: "", number: 5, rate: NaN, here: false },
		{ id: "more", haystack: "", number: 9, rate: 2, here: true },
		{ id: "less", haystack: "", number: 1, rate: 1, here: true },
	], { search: "", pins: new Set(), sort: sort.replace("-", ""), descending: sort[0] === "-" }).list.map((s) => s.id)).join(" ")`,
		"less,more,gone more,less,gone more,less,gone")
	is(`rateOf(of("gauge", [100, 10], [105, 4]), false)`, "−1.20/s")
	is(`rateOf(of("gauge", [100, 10], [102, 16]), false)`, "+3.00/s")
	is(`(() => { for (let i = 0; i < 1000; i++) of("counter", [i, i * 3]); return h.slots().length + trace(h.stats.get("x").rates).slice(0, 5); })()`, "3013 3 3")
	is(`[0, 3, 1234567, -5, 1e15, 0.5, 12.34, 1234.5, 1e-7, 1e300].map((v) => numbers.value(v)).join(" ")`,
		"0 3 1,234,567 −5 1,000,000,000,000,000 0.500 12.34 1,234.5 1.000e−7 1.000e300")
	is(`visible("a\u0000b\u202ec\u200dd\u{e0041}")`, `a\u0000b\u202ec\u200dd\u{e0041}`)
	is(`JSON.stringify(present("a.b.{0}", true))`, `{"prefix":"a.","last":"b"}`)
	is(`asPattern("a*b.{0}", true)`, `a%5C%2Ab.*`)
	tab.staysCalm(serve.url)
}

func testPageSmooth(t *testing.T, b *browser) {
	const stats = 5000
	dir := pipeDir(t)
	serve := startServe(t, dir)
	registry := statvent.NewRegistry()
	var counters []*statvent.Counter
	for i := range stats {
		counters = append(counters, registry.NewCounter(fmt.Sprintf("app.part_%02d.counter_%04d", i%50, i)))
	}
	keepActing(t, func() {
		for i, counter := range counters {
			counter.IncrBy(int64(i % 7))
		}
	})
	publishHere(t, dir, registry)
	tab := b.newTab(1400, 900)
	tab.open(serve.url + "/#sort=-rate")
	tab.until(fmt.Sprintf(`document.querySelector("#count").textContent === "%d,000 stats"`, stats/1000))
	tab.until(`parseFloat(` + rowsExpression + `[0].querySelector(".rate").textContent) > 10`)
	// frames returns how long frames took, in ms, while something is done in each.
	frames := func(what, act string) {
		t.Helper()
		times := evaluate[[]float64](tab, fmt.Sprintf(`new Promise((resolve) => {
			const times = [];
			const grid = document.querySelector("#grid");
			let last = performance.now(), begin = last, n = 0;
			requestAnimationFrame(function frame() {
				const now = performance.now();
				times.push(now - last);
				last = now;
				%s;
				if (now - begin > 6000) resolve(times); else requestAnimationFrame(frame);
			});
		})`, act))
		slices.Sort(times)
		median, p95, most := times[len(times)/2], times[len(times)*95/100], times[len(times)-1]
		t.Logf("%s: %d frames in 6 s: median %.1f ms, 95th %.1f ms, longest %.1f ms", what, len(times), median, p95, most)
		if median > 100 || p95 > 500 {
			t.Errorf("%s: frames take %.1f ms, the 95th percentile %.1f ms", what, median, p95)
		}
		if n := evaluate[float64](tab, `document.querySelectorAll("#rows .row").length`); n > 60 {
			t.Errorf("%v rows are in the page", n)
		}
	}
	frames("while values move", "")
	frames("while it scrolls", "grid.scrollTop = (n += 170) % (grid.scrollHeight - grid.clientHeight)")
	tab.press("/")
	tab.press("counter_499")
	tab.until(`document.querySelector("#count").textContent === "10 of 5,000 stats"`)
	tab.staysCalm(serve.url)
}

func testPageOtherPath(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir, "--path", "/v1/numbers")
	startPublisher(t, dir, "jobs=5")
	tab := b.newTab(800, 600)
	tab.open(serve.url + "/")
	tab.waitForRows("jobs")
	tab.until(`document.querySelector("#download").href === "` + serve.url + `/v1/numbers"`)
	if _, stderr, code := runStatvent(t, dir, "serve", "--path", "/live"); code != 2 || !strings.Contains(stderr, "taken by something else") {
		t.Errorf("%d %s", code, stderr)
	}
	tab.staysCalm(serve.url)
}

func testPageEmpty(t *testing.T, b *browser) {
	dir := pipeDir(t)
	serve := startServe(t, dir)
	tab := b.newTab(800, 600)
	tab.open(serve.url + "/")
	tab.until(`document.querySelector("#empty").textContent.startsWith("No program publishes in ` + dir + ` yet.")`)
	command := tab.text(`document.querySelector("#empty pre").textContent`)
	if out, err := exec.Command("sh", "-c", strings.Replace(command, "statvent", binary, 1)).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", command, err, out)
	}
	tab.waitForRows("hello.world")
	tab.until(`document.querySelector("#empty").hidden`)
	tab.staysCalm(serve.url)

	// Where others are left out, it says so.
	startPublisher(t, dir, "jobs=1")
	picky := startServe(t, dir, "--owner", "12345678")
	other := b.newTab(800, 600)
	other.open(picky.url + "/")
	other.until(`/^No program that counts publishes in .*2 sources of \S+ are left out: --owner/.test(document.querySelector("#empty").textContent)`)
	other.press("o")
	other.until(`/2 sources of \S+ are left out: --owner/.test(document.querySelector("#panel .left-out").textContent)`)
	other.staysCalm(picky.url)
}
