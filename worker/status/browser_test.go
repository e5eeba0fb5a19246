//go:build browser

package status

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// These tests need chromium, and axe-core for its rules of accessibility, which is not ours to copy into this repository:
//
//	AXE_CORE=FILE go test -tags browser ./worker/status [-args -shots FOLDER]
const axeVariable = "AXE_CORE"

var shots = flag.String("shots", "", "folder for pictures of the pages")

// A browser on a machine that is busy with other tests can take its time; only one that hangs is given up.
const (
	browserTimeout = 10 * time.Minute
	waitTimeout    = 5 * time.Minute
)

// tab is a page in a browser of its own, and what went wrong in it.
type tab struct {
	*testing.T
	ctx context.Context

	mu     sync.Mutex // guards what follows
	faults []string   // errors of scripts, violations of the policy, requests that failed or went elsewhere
	bytes  float64    // received since the last visit
}

// newTab starts a browser with a new profile, for pages of the one site.
func newTab(t *testing.T, site string) *tab {
	t.Helper()
	at, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{T: t, ctx: newBrowser(t)}
	if err := chromedp.Listen(b.ctx, func(event any) { b.note(event, at.Host) }); err != nil {
		t.Fatal(err)
	}
	// Only the page that has the system's focus shows where the focus is, and no window of this browser is seen by anybody.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func newBrowser(t *testing.T) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the tests of the page need the program chromium in PATH: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"),
		chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"),
	)
	ctx, cancel := context.WithTimeout(context.Background(), browserTimeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits for the browser, so that its profile can be removed
			t.Error(err)
		}
	})
	return ctx
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.Helper()
	answer, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

func (b *tab) note(event any, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("script: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.faults = append(b.faults, "browser: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if to, err := url.Parse(e.Request.URL); err != nil || to.Host != host {
			b.faults = append(b.faults, "a request to "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// visit loads a page as a screen of that size and scheme shows it.
func (b *tab) visit(address string, wide, high int64, scheme string) {
	b.Helper()
	b.mu.Lock()
	b.bytes = 0
	b.mu.Unlock()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: wide, Height: high, DeviceScaleFactor: 1, Mobile: wide < 600,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	b.do(chromedp.Navigate(address))
}

// clean reports what went wrong in the page.
func (b *tab) clean() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.Error(fault)
	}
}

// wait waits until a script's expression is true.
func (b *tab) wait(expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, waitTimeout)
	defer cancel()
	promise := `new Promise(done => { const look = () => (` + expression + `) ? done(true) : setTimeout(look, 20); look(); })`
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](promise, chromedp.EvalAwaitPromise)); err != nil {
		b.Fatalf("waited for %s: %v; the page says\n%s", expression, err, eval[string](b, `document.body.innerText`))
	}
}

// eval returns what a script's expression is.
func eval[V any](b *tab, expression string) V {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[V](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) shoot(name string) {
	b.Helper()
	if *shots == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o600); err != nil {
		b.Fatal(err)
	}
}

// screens are what the page has to look right on.
var screens = []struct {
	name       string
	wide, high int64
	scheme     string
}{
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
	{"small-phone", 320, 568, "light"},
	{"desktop-light", 1280, 800, "light"},
	{"desktop-dark", 1280, 800, "dark"},
}

// mostBytes is what the page may weigh with all that it loads.
const mostBytes = 200 << 10

func TestPageOnEveryScreen(t *testing.T) {
	s := newStage().busy().crowded().covering()
	s.server.Actions = &Actions{Token: "sesame"}
	s.open(t)
	b := newTab(t, s.url)
	for _, path := range []string{"/", "/agents/1001", "/agents?id=nobody", "/coverage?state=not_signed_in"} {
		for _, screen := range screens {
			name := strings.Trim(strings.Map(func(r rune) rune {
				if strings.ContainsRune("/?=", r) {
					return '-'
				}
				return r
			}, path), "-") + "-" + screen.name
			b.visit(s.url+path, screen.wide, screen.high, screen.scheme)
			if path == "/" {
				b.wait(`document.querySelectorAll("time").length > 0`)
			}
			if over := eval[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%s: %v pixels wider than the screen", name, over)
			}
			b.shoot(name)
			for _, fault := range accessibilityFaults(b) {
				t.Errorf("%s: %s", name, fault)
			}
			b.mu.Lock()
			if b.bytes > mostBytes || b.bytes == 0 {
				t.Errorf("%s: %v bytes", name, b.bytes)
			}
			b.mu.Unlock()
		}
	}
	b.faults = dropWanted(b.faults)
	b.clean()
}

// dropWanted leaves out what the browser says about the answer 400, which the search for nobody is to get.
func dropWanted(faults []string) (rest []string) {
	for _, f := range faults {
		if !strings.Contains(f, "400 (Bad Request)") {
			rest = append(rest, f)
		}
	}
	return rest
}
