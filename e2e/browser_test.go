//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A browser is a headless Chromium with nothing of anybody in it; it ends with
// the test.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(lookup(t, "chromium")),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("hide-scrollbars", true),
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return &browser{t, ctx}
}

// A tab is a page of the browser, and what it did that a page may not do.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	errors   []string // on the console: exceptions, and what the policy forbids
	requests []string // URLs
	dialogs  []string
}

// newTab opens a tab with storage of its own.
func (b *browser) newTab(width, height int64) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	tab := &tab{t: b.t, ctx: ctx}
	if err := chromedp.Listen(ctx, tab.note); err != nil {
		b.t.Fatal(err)
	}
	tab.do(chromedp.EmulateViewport(width, height))
	ask(tab, network.Enable, network.EnableParams{})
	ask(tab, log.Enable, cdp.Empty{})
	return tab
}

func (tab *tab) note(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		tab.errors = append(tab.errors, fmt.Sprintf("%s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			tab.errors = append(tab.errors, fmt.Sprintf("console.%s: %v", e.Type, e.Args))
		}
	case *log.EventEntryAdded:
		tab.errors = append(tab.errors, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		tab.requests = append(tab.requests, e.Request.URL)
	case *page.EventJavascriptDialogOpening:
		tab.dialogs = append(tab.dialogs, e.Message)
	}
}

// soon bounds one action.
func (tab *tab) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(tab.ctx, time.Minute)
}

// do does something in the tab.
func (tab *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := tab.soon()
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		tab.t.Fatal(err)
	}
}

// ask runs a command of the browser's protocol.
func ask[P, R any](tab *tab, command cdp.Command[P, R], params P) R {
	tab.t.Helper()
	ctx, cancel := tab.soon()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		tab.t.Fatal(err)
	}
	return result
}

// evaluate returns what an expression, or the promise that it makes, is.
func evaluate[T any](tab *tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := tab.soon()
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
	return result
}

func (tab *tab) open(url string) {
	tab.t.Helper()
	tab.do(chromedp.Navigate(url))
}

// text returns what an expression is, as text.
func (tab *tab) text(expression string) string {
	tab.t.Helper()
	return evaluate[string](tab, "String("+expression+")")
}

// prefer makes the system prefer something: "color-scheme", "dark".
func (tab *tab) prefer(feature, value string) {
	tab.t.Helper()
	ask(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-" + feature, Value: value}},
	})
}

// until waits until an expression is true.
func (tab *tab) until(expression string) {
	tab.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !evaluate[bool](tab, "Boolean("+expression+")") {
		if time.Now().After(deadline) {
			tab.t.Fatalf("waited in vain until %s; the page says\n%s\nand on the console: %v", expression, tab.text("document.body.innerText"), tab.errors)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-tab.t.Context().Done():
			tab.t.FailNow()
		}
	}
}

// picture returns a PNG of what is seen.
func (tab *tab) picture() []byte {
	tab.t.Helper()
	ctx, cancel := tab.soon()
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		tab.t.Fatal(err)
	}
	return picture
}

// press types keys: text, or those below. The browser itself makes the text of a key,
// as it does for a person, unless the page has taken the key for itself.
func (tab *tab) press(keys string) {
	tab.t.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		for _, event := range events {
			if event.Type == input.DispatchKeyEventTypeChar {
				events[0].Type, events[0].Text, events[0].UnmodifiedText = input.DispatchKeyEventTypeKeyDown, event.Text, event.UnmodifiedText
			}
		}
		for _, event := range events {
			if event.Type != input.DispatchKeyEventTypeChar {
				ask(tab, input.DispatchKeyEvent, *event)
			}
		}
	}
}

// Keys that have no text.
const (
	enter  = kb.Enter
	escape = kb.Escape
	down   = kb.ArrowDown
	home   = kb.Home
	end    = kb.End
	tabKey = kb.Tab
)

// staysCalm says what the tab did that it may not do: complain, or ask somebody
// else than this server.
func (tab *tab) staysCalm(server string, but ...string) {
	tab.t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, text := range tab.errors {
		if !slices.ContainsFunc(but, func(expected string) bool { return strings.Contains(text, expected) }) {
			tab.t.Errorf("on the console: %s", text)
		}
	}
	for _, dialog := range tab.dialogs {
		tab.t.Errorf("a dialog: %s", dialog)
	}
	if len(tab.requests) == 0 {
		tab.t.Error("no request was seen")
	}
	for _, request := range tab.requests {
		u, err := url.Parse(request)
		if err != nil || u.Scheme+"://"+u.Host != server {
			tab.t.Errorf("it asks for %s", request)
		}
	}
}

// asked counts the requests for a path.
func (tab *tab) asked(path string) int {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	n := 0
	for _, request := range tab.requests {
		if u, err := url.Parse(request); err == nil && u.Path == path {
			n++
		}
	}
	return n
}
