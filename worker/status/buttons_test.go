//go:build browser

package status

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// pageHost is a name for this machine that only the browser knows. Unlike localhost it is not trustworthy, so that the
// browser sends no Sec-Fetch-Site over plain HTTP.
const pageHost = "idle.example"

// named is an address with the host's name in it instead of the loopback address.
func named(address string) string { return strings.Replace(address, "127.0.0.1", pageHost, 1) }

// pressButton fills in the token and presses a button of the page at that address.
func (b *tab) pressButton(address, token, button string) string {
	b.Helper()
	b.visit(address, 1280, 800, "light")
	b.do(chromedp.SendKeys("#token", token))
	eval[bool](b, `(window.leaving = true)`)
	eval[bool](b, `([...document.querySelectorAll("form.action button")].find((e) => e.textContent === "`+button+`").click(), true)`)
	return b.arrived()
}

// arrived waits for the page that takes the place of one that is marked as left, and returns what it says.
func (b *tab) arrived() string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, waitTimeout)
	defer cancel()
	for {
		// Whatever runs while the page is replaced fails, and is asked again.
		says, err := chromedp.Run(ctx, chromedp.Evaluate[string](`!window.leaving && document.readyState === "complete" ? document.body.innerText : ""`))
		if err == nil && says != "" {
			return says
		}
		if ctx.Err() != nil {
			b.Fatalf("no page took the place of the one before: %v", err)
		}
	}
}

// The buttons work wherever the page is opened: by its address, by a name, and behind proxies that put it below a path.
func TestButtonsWorkUnderANameAndBehindAProxy(t *testing.T) {
	s := newStage()
	var paused, resumed atomic.Int32
	s.server.Actions = &Actions{
		Token:  "sesame",
		Pause:  func(context.Context) error { paused.Add(1); return nil },
		Resume: func(context.Context) error { resumed.Add(1); return nil },
	}
	s.open(t)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := func(rewrite func(*httputil.ProxyRequest)) string {
		p := httptest.NewServer(http.StripPrefix("/ops/idle", &httputil.ReverseProxy{Rewrite: rewrite}))
		t.Cleanup(p.Close)
		return p.URL + "/ops/idle/"
	}
	keepsHost := proxy(func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host })
	forwards := proxy(func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() })
	b := newTab(t, named(s.url))
	for i, address := range []string{s.url + "/", named(s.url) + "/", named(keepsHost), named(forwards)} {
		if says := b.pressButton(address, "sesame", "Pause"); !strings.Contains(says, "The gate is paused") || paused.Load() != int32(i+1) {
			t.Errorf("Pause at %s: %s", address, says)
		}
		if says := b.pressButton(address, "sesame", "Resume"); !strings.Contains(says, "resumed") || resumed.Load() != int32(i+1) {
			t.Errorf("Resume at %s: %s", address, says)
		}
	}
}

// A page of another origin may know the token and still is refused.
func TestButtonsOfAnotherOriginAreRefused(t *testing.T) {
	s := newStage()
	var paused atomic.Int32
	s.server.Actions = &Actions{Token: "sesame", Pause: func(context.Context) error { paused.Add(1); return nil }}
	s.open(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<form method="post" action="` + named(s.url) + `/actions/pause"><input name="token" value="sesame"></form>`))
	}))
	t.Cleanup(evil.Close)
	b := newTab(t, named(s.url))
	for _, address := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "evil.example", 1)} {
		b.visit(address, 1280, 800, "light")
		eval[bool](b, `(window.leaving = true, document.querySelector("form").submit(), true)`)
		if says := b.arrived(); !strings.Contains(says, "cross-origin") || paused.Load() != 0 {
			t.Errorf("from %s: %s", address, says)
		}
	}
}
