package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/gateway/gatewaytest"
)

// never is a time-out for tests in which every call is answered.
const never = time.Minute

func start(t *testing.T, o gatewaytest.Options) *gatewaytest.Gateway {
	t.Helper()
	g, err := gatewaytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// open opens a client of the gateway, set up as the test wants it.
func open(t *testing.T, g *gatewaytest.Gateway, set func(c *Client)) *Client {
	t.Helper()
	c := &Client{URL: g.URL(), Timeout: never, Log: slog.New(slog.DiscardHandler)}
	if strings.HasPrefix(c.URL, "https") {
		file, err := g.WriteCA(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c.CA = file
	}
	if set != nil {
		set(c)
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func callOf(agent, flag, guid string) worker.Call {
	return worker.Call{AgentID: agent, Flag: flag, Session: messages.Session{GUID: guid}}
}

func TestSetCall(t *testing.T) {
	for name, o := range map[string]gatewaytest.Options{"HTTP/1.1": {}, "HTTP/2.0": {HTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			g := start(t, o)
			guid := g.SignIn("1001")
			g.RequireCookie("1001", "route=a")
			c := open(t, g, nil)
			call := callOf("1001", "false", guid)
			call.Session.Cookies = []string{"route=a", "x=y"}
			call.TraceParent, call.TraceState = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b"
			a := c.Set(t.Context(), call)
			if a.Class != worker.Success || a.Retcode != "0" || a.Message != "success" || a.Status != http.StatusOK || a.Took <= 0 {
				t.Errorf("answer %+v", a)
			}
			if flag, _ := g.Flag("1001"); flag != "false" {
				t.Errorf("the gateway has the flag %q", flag)
			}
			seen := g.Calls()
			if len(seen) != 1 {
				t.Fatalf("%d calls", len(seen))
			}
			got := seen[0]
			if got.Method != http.MethodPost || got.Path != "/agentgateway/resource/onlineagent/1001/autoenteridle/false" ||
				got.GUID != guid || got.Proto != name || got.Length > 0 {
				t.Errorf("call %+v", got)
			}
			for header, want := range map[string]string{
				"Cookie": "route=a; x=y", "Content-Type": "application/json; charset=UTF-8",
				"Traceparent": call.TraceParent, "Tracestate": "a=b",
			} {
				if v := got.Header.Get(header); v != want {
					t.Errorf("%s: %q, want %q", header, v, want)
				}
			}
		})
	}
}

// Some firewalls and servlet containers refuse a request that lacks one of these.
func TestHeadersOfEveryRequest(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		_, _ = io.WriteString(w, `{"retcode":"0"}`)
	}))
	defer s.Close()
	c := &Client{URL: s.URL, Insecure: true, Timeout: never}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if a := c.Set(t.Context(), callOf("1001", "f", "guid")); a.Class != worker.Success {
		t.Fatalf("answer %+v", a)
	}
	r := seen.Load()
	if r.Host != strings.TrimPrefix(s.URL, "https://") || r.Header.Get("Content-Length") != "0" {
		t.Errorf("host %q, length %q", r.Host, r.Header.Get("Content-Length"))
	}
	for header, want := range map[string]string{"Accept": "application/json, */*", "User-Agent": "idlepolicy", "Accept-Encoding": ""} {
		if got := r.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// What the gateway, or what stands in for it, can answer, over real sockets.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name    string
		rule    gatewaytest.Rule
		class   worker.Class
		retcode string
		fault   string // a part of it
	}{
		{"success", gatewaytest.Rule{}, worker.Success, "0", ""},
		{"number", gatewaytest.Rule{Retcode: "0", Number: true}, worker.Success, "0", ""},
		{"no result", gatewaytest.Rule{Result: gatewaytest.NoResult}, worker.Success, "0", ""},
		{"empty result", gatewaytest.Rule{Result: gatewaytest.EmptyText}, worker.Success, "0", ""},
		{"wrong type", gatewaytest.Rule{Fault: gatewaytest.WrongType}, worker.Success, "0", ""},
		{"refused", gatewaytest.Rule{Retcode: "000-002"}, worker.Refused, "000-002", ""},
		{"not signed in", gatewaytest.Rule{Retcode: "100-006"}, worker.NoAgent, "100-006", ""},
		{"passing", gatewaytest.Rule{Retcode: "100-007"}, worker.Passing, "100-007", ""},
		{"unknown", gatewaytest.Rule{Retcode: "999-999"}, worker.Passing, "999-999", ""},
		{"too many", gatewaytest.Rule{Status: 429}, worker.Busy, "", "429"},
		{"unavailable", gatewaytest.Rule{Status: 503}, worker.Busy, "", "503"},
		{"not found", gatewaytest.Rule{Status: 404}, worker.Unsound, "", "404"},
		{"forbidden", gatewaytest.Rule{Status: 403}, worker.Unsound, "", "403"},
		{"bad gateway", gatewaytest.Rule{Status: 502}, worker.Unsound, "", "502"},
		{"HTML", gatewaytest.Rule{Fault: gatewaytest.HTML}, worker.Unsound, "", "JSON"},
		{"empty", gatewaytest.Rule{Fault: gatewaytest.Empty}, worker.Unsound, "", "JSON"},
		{"half", gatewaytest.Rule{Fault: gatewaytest.CutJSON}, worker.Unsound, "", "JSON"},
		{"huge", gatewaytest.Rule{Fault: gatewaytest.Huge}, worker.Unsound, "", "JSON"},
		{"endless", gatewaytest.Rule{Fault: gatewaytest.Endless}, worker.Unsound, "", "JSON"},
		{"cut", gatewaytest.Rule{Fault: gatewaytest.Cut}, worker.Unsound, "", ""},
	}
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			guid := g.SignIn("1001")
			defer g.On("1001", test.rule)()
			before := g.NumCalls()
			a := c.Set(t.Context(), callOf("1001", "false", guid))
			if a.Class != test.class || a.Retcode != test.retcode || !strings.Contains(a.Fault, test.fault) || a.Connect {
				t.Errorf("answer %+v", a)
			}
			if (a.Fault == "") != a.Class.Answered() {
				t.Errorf("fault %q of the class %v", a.Fault, a.Class)
			}
			if n := g.NumCalls() - before; n != 1 {
				t.Errorf("the gateway saw %d calls", n)
			}
		})
	}
}

// The gateway's own JSON behind 401 or 403 is trouble with this agent's session. A page is a closed door for all.
func TestGatewaysJSONBehindOtherStatuses(t *testing.T) {
	for name, test := range map[string]struct {
		status  int
		body    string
		class   worker.Class
		retcode string
	}{
		"401 with its JSON":        {401, `{"message":"no permission","retcode":"000-003"}`, worker.NoAgent, "000-003"},
		"403 with its JSON":        {403, "\ufeff" + `{"message":"not signed in","retcode":"100-006"}`, worker.NoAgent, "100-006"},
		"401 with another code":    {401, `{"retcode":"000-002"}`, worker.NoAgent, "000-002"},
		"401 that says success":    {401, `{"retcode":"0"}`, worker.Unsound, ""},
		"401 with somebody's JSON": {401, `{"error":"unauthorized"}`, worker.Unsound, ""},
		"403 with a page":          {403, `<html>Forbidden</html>`, worker.Unsound, ""},
		"500 with its JSON":        {500, `{"retcode":"0"}`, worker.Unsound, ""},
		"404 with its JSON":        {404, `{"retcode":"000-003"}`, worker.Unsound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, "HTTP/1.1 "+strconv.Itoa(test.status)+" Status\r\nContent-Type: text/html; charset=GBK\r\nContent-Length: "+
				strconv.Itoa(len(test.body))+"\r\n\r\n"+test.body)
			a := c.Set(t.Context(), callOf("1001", "f", "guid"))
			if a.Class != test.class || a.Retcode != test.retcode || a.Status != test.status || (a.Fault == "") != a.Class.Answered() {
				t.Errorf("answer %+v", a)
			}
		})
	}
}

// What proxies say in their own way is named, with the way out.
func TestAnswersOfProxies(t *testing.T) {
	for name, test := range map[string]struct{ head, body, want string }{
		"no client certificate":    {"400 Bad Request", "<center>No required SSL certificate was sent</center><hr>nginx", "IDLE_GATEWAY_CERT"},
		"wrong client certificate": {"400 Bad Request", "<center>The SSL certificate error</center><hr>nginx", "IDLE_GATEWAY_CERT"},
		"plain to nginx":           {"400 Bad Request", "<center>The plain HTTP request was sent to HTTPS port</center>", "must begin with https"},
		"plain to Go":              {"400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n", "must begin with https"},
		"another 400":              {"400 Bad Request", "Bad Request", "is its address right?"},
		"redirect":                 {"302 Found\r\nLocation: https://elsewhere/login", "", "a redirect, which is not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, "HTTP/1.1 "+test.head+"\r\nContent-Length: "+strconv.Itoa(len(test.body))+"\r\n\r\n"+test.body)
			if a := c.Set(t.Context(), callOf("1001", "f", "guid")); a.Class != worker.Unsound || !strings.Contains(a.Fault, test.want) {
				t.Errorf("answer %+v, want %q", a, test.want)
			}
		})
	}
}

// Nobody is asked whether the address is right once the gateway has answered there.
func TestAddressIsNotDoubtedOnceTheGatewayHasAnswered(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for _, answered := range []bool{false, true} {
		remove := g.On("", gatewaytest.Rule{Status: 500})
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Status != 500 || strings.Contains(a.Fault, "is its address right?") == answered {
			t.Errorf("the gateway has answered: %v, and the call says %+v", answered, a)
		}
		remove()
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for name, test := range map[string]struct {
		rule gatewaytest.Rule
		want time.Duration
	}{
		"seconds": {gatewaytest.Rule{Status: 429, RetryAfter: 2 * time.Second}, 2 * time.Second},
		"capped":  {gatewaytest.Rule{Status: 503, RetryAfter: 48 * time.Hour}, maxRetryAfter},
		"none":    {gatewaytest.Rule{Status: 503}, 0},
	} {
		remove := g.On("", test.rule)
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.RetryAfter != test.want {
			t.Errorf("%s: %v, want %v", name, a.RetryAfter, test.want)
		}
		remove()
	}
}

func TestTimeout(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success { // there is a connection now, however slow this machine is
		t.Fatalf("answer %+v", a)
	}
	c.Timeout = 200 * time.Millisecond
	g.On("1001", gatewaytest.Rule{Fault: gatewaytest.Hang})
	a := c.Set(t.Context(), callOf("1001", "f", guid))
	for a.Connect { // the connection was not free yet, and another one took longer than that
		a = c.Set(t.Context(), callOf("1001", "f", guid))
	}
	if a.Class != worker.Unsound || a.Fault != "no answer within 200ms" || !a.TimedOut || a.Connect {
		t.Errorf("answer %+v", a)
	}
}

func TestRefusedConnection(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	if err := g.SetOutage(gatewaytest.Refusing); err != nil {
		t.Fatal(err)
	}
	a := c.Set(t.Context(), callOf("1001", "f", guid))
	if a.Class != worker.Unsound || !a.Connect || !strings.Contains(a.Fault, "refused") {
		t.Errorf("answer %+v", a)
	}
	if err := g.SetOutage(gatewaytest.NoOutage); err != nil {
		t.Fatal(err)
	}
	if a = c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
		t.Errorf("afterwards %+v", a)
	}
}

// An answer that is lost after the gateway did its work is not asked for again in here: the next attempt passes the gate.
func TestClientRetriesNothing(t *testing.T) {
	for name, o := range map[string]gatewaytest.Options{"HTTP/1.1": {}, "HTTP/2": {HTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			g := start(t, o)
			c := open(t, g, nil)
			guid := g.SignIn("1001")
			if a := c.Set(t.Context(), callOf("1001", "a", guid)); a.Class != worker.Success {
				t.Fatalf("answer %+v", a)
			}
			g.On("1001", gatewaytest.Rule{Fault: gatewaytest.Cut, Lands: true})
			if a := c.Set(t.Context(), callOf("1001", "b", guid)); a.Class != worker.Unsound {
				t.Errorf("answer %+v", a)
			}
			if n := g.NumCalls(); n != 2 {
				t.Errorf("the gateway saw %d calls, want 2", n)
			}
		})
	}
}

// manyCalls in turn share connections: [http.Transport] uses one again unless the machine is so busy that for 50 ms nothing notes that
// the request was written, which does not happen every time.
const manyCalls = 20

func TestConnectionsServeManyCalls(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for _, status := range []int{0, 404} {
		defer g.On("1001", gatewaytest.Rule{Status: status})()
		before := g.Summary().Connections
		for range manyCalls {
			c.Set(t.Context(), callOf("1001", "f", guid))
		}
		if n := g.Summary().Connections - before; n >= manyCalls {
			t.Errorf("status %d: %d new connections for %d calls in turn", status, n, manyCalls)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for _, status := range []int{301, 302, 303, 307, 308} {
		remove := g.On("1001", gatewaytest.Rule{Status: status, Location: elsewhere.URL})
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Unsound {
			t.Errorf("%d: answer %+v", status, a)
		}
		remove()
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestNoCallWithoutTheLease(t *testing.T) {
	gone := errors.New("gone")
	for name, o := range map[string]gatewaytest.Options{"HTTP/1.1": {}, "HTTP/2": {HTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			g := start(t, o)
			guid := g.SignIn("1001")
			var looks, good atomic.Int32 // the lease holds for so many looks
			c := open(t, g, func(c *Client) {
				c.Lease = func() error {
					if looks.Add(1) > good.Load() {
						return gone
					}
					return nil
				}
			})
			if a := c.Set(t.Context(), callOf("1001", "a", guid)); a.Class != worker.NotSent || a.Fault != "gone" {
				t.Errorf("answer %+v", a)
			}
			good.Store(1 << 20)
			if a := c.Set(t.Context(), callOf("1001", "b", guid)); a.Class != worker.Success {
				t.Fatalf("answer %+v", a)
			}
			looks.Store(0)
			good.Store(1) // it goes between the look before the call and the connection's Write
			if a := c.Set(t.Context(), callOf("1001", "c", guid)); a.Class != worker.NotSent {
				t.Errorf("answer %+v", a)
			}
			if n := g.NumCalls(); n != 1 {
				t.Errorf("the gateway saw %d calls, want 1", n)
			}
		})
	}
}

// The credentials are in nothing that a call leaves behind, even where the gateway quotes them.
func TestNoCredentialsAreShown(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	var log bytes.Buffer
	c := open(t, g, func(c *Client) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	guid := g.SignIn("1001")
	call := callOf("1001", "f", guid)
	call.Session.Cookies = []string{"route=very-secret"}
	call.Session.GatewayURL = "https://user:" + guid + "@elsewhere:8043/very-secret"
	for _, rule := range []gatewaytest.Rule{
		{Retcode: "100-007", Message: "bad session " + guid + " with route=very-secret"}, {Fault: gatewaytest.Cut}, {Fault: gatewaytest.HTML}, {Status: 500},
	} {
		remove := g.On("1001", rule)
		a := c.Set(t.Context(), call)
		remove()
		for _, text := range []string{a.Message, a.Fault, log.String()} {
			if strings.Contains(text, guid) || strings.Contains(text, "very-secret") {
				t.Errorf("shown: %q", text)
			}
		}
	}
	if !strings.Contains(log.String(), "elsewhere") {
		t.Errorf("log %q does not tell of the address that was ignored", log.String())
	}
}
