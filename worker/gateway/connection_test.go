package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"idlepolicy/worker"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/gateway/guard"
)

// A gateway that goes away and comes back has closed what waits for the next call: that call must not pay for it.
func TestClosedConnectionsAreNotUsed(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for range 3 {
		used := connOf(t, c, callOf("1001", "f", guid))
		if err := g.SetOutage(gatewaytest.Refusing); err != nil {
			t.Fatal(err)
		}
		if err := g.SetOutage(gatewaytest.NoOutage); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, used.IsClosed)
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
	}
}

// connOf makes a call and returns the connection that it went over.
func connOf(t *testing.T, c *Client, call worker.Call) *guard.Conn {
	t.Helper()
	once := &passage{}
	r, err := request(once.watch(t.Context()), c.home, call)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.transport(time.Now()).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	g, ok := once.on.(*guard.Conn)
	if !ok {
		t.Fatalf("a connection of type %T", once.on)
	}
	return g
}

func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(never); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain")
		}
	}
}

// Many calls at once over connections that are cut at random: the gateway sees each call once at most.
func TestCutConnectionsRepeatNoCall(t *testing.T) {
	seen := make([]atomic.Int32, 800)
	var n atomic.Int32
	c := rawServer(t, func(conn net.Conn, _ *corked) {
		requests := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(requests)
			if err != nil {
				return
			}
			agent := strings.Split(r.URL.Path, "/")[4]
			seen[number(t, agent)-1000].Add(1)
			count := n.Add(1)
			if count%7 == 0 {
				return // the request was seen and is not answered
			}
			if _, err := io.WriteString(conn, answerOf(`{"retcode":"0"}`)); err != nil || count%5 == 0 {
				return // the next call may meet a connection that is just being closed
			}
		}
	})
	var running sync.WaitGroup
	for caller := range 16 {
		running.Go(func() {
			for i := caller; i < len(seen); i += 16 {
				c.Set(t.Context(), callOf(strconv.Itoa(1000+i), "f", "guid"))
			}
		})
	}
	running.Wait()
	for i := range seen {
		if n := seen[i].Load(); n > 1 {
			t.Errorf("the gateway saw the call of agent %d %d times", 1000+i, n)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Error(err)
	}
	return n
}

// Whatever an answer ends with, the connection serves the next call only if nothing is left of it.
func TestSurplusBytesAfterAnAnswer(t *testing.T) {
	const body = `{"retcode":"0"}`
	for name, test := range map[string]struct {
		sends string
		keeps bool
		fails bool
	}{
		"nothing":            {answerOf(body), true, false},
		"early answers":      {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answerOf(body), true, false},
		"chunks":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + body + "\r\n0\r\n\r\n", true, false},
		"another answer":     {answerOf(body) + answerOf(`{"retcode":"1"}`), false, false},
		"connection closes":  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n" + body, false, false},
		"as HTTP/1.0 sends":  {"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n" + body, false, false},
		"header without end": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + answerOf(body), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			c := rawServer(t, func(conn net.Conn, _ *corked) {
				connections.Add(1)
				requests := bufio.NewReader(conn)
				for {
					if _, err := http.ReadRequest(requests); err != nil {
						return
					}
					if _, err := io.WriteString(conn, test.sends); err != nil {
						return
					}
				}
			})
			for range manyCalls {
				if a := c.Set(t.Context(), callOf("1001", "f", "guid")); (a.Class != worker.Success) != test.fails {
					t.Errorf("answer %+v", a)
				}
			}
			if n := connections.Load(); (n < manyCalls) != test.keeps {
				t.Errorf("%d connections for %d calls", n, manyCalls)
			}
		})
	}
}

// No text from outside can become a second request or another path.
func TestUncleanValuesAreNotSent(t *testing.T) {
	var asked atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer s.Close()
	c := &Client{URL: s.URL, Insecure: true}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, unclean := range []string{"a\r\nX: y", "a/b", "a b", "a?b", "é", "\x00", "%61"} {
		agent, flag, guid, cookie := callOf(unclean, "f", "g"), callOf("1001", unclean, "g"), callOf("1001", "f", "g"+"\n"+unclean), callOf("1001", "f", "g")
		cookie.Session.Cookies = []string{"a=b", "c=\r\n" + unclean}
		for _, call := range []worker.Call{agent, flag, guid, cookie} {
			if a := c.Set(t.Context(), call); a.Class != worker.Unsound || strings.Contains(a.Fault, unclean) || asked.Load() {
				t.Errorf("%q: answer %+v, asked %v", unclean, a, asked.Load())
			}
		}
	}
}

// A connection takes no call beyond its greatest age, however busy it is.
func TestConnectionsHaveAGreatestAge(t *testing.T) {
	for name, o := range map[string]gatewaytest.Options{"HTTP/1.1": {}, "HTTP/2": {HTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			g := start(t, o)
			c := open(t, g, func(c *Client) { c.ConnectionAge = time.Hour })
			guid := g.SignIn("1001")
			call := func() {
				if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
					t.Fatalf("answer %+v", a)
				}
			}
			for range manyCalls {
				call()
			}
			before := g.Summary().Connections
			if before >= manyCalls {
				t.Fatalf("%d connections", before)
			}
			c.replaced = c.replaced.Add(-time.Hour)
			for range manyCalls {
				call()
			}
			if n := g.Summary().Connections - before; n < 1 || n >= manyCalls {
				t.Errorf("%d new connections at the greatest age", n)
			}
		})
	}
}

// The name of the gateway moves to another address while the old address lives on: calls follow within the greatest age of a
// connection.
func TestCallsFollowANameThatMoves(t *testing.T) {
	before := start(t, gatewaytest.Options{HTTP2: true}) // whose connections serve the next call for sure
	_, port, err := net.SplitHostPort(strings.TrimPrefix(before.URL(), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	after := start(t, gatewaytest.Options{Addr: "127.0.0.2:" + port, HTTP2: true})
	var address atomic.Pointer[[4]byte]
	address.Store(&[4]byte{127, 0, 0, 1})
	c := open(t, before, func(c *Client) {
		c.URL, c.Insecure, c.ConnectionAge, c.resolver = "https://gw.test:"+port, true, time.Hour, nameServer(t, &address)
	})
	guids := map[*gatewaytest.Gateway]string{before: before.SignIn("1001"), after: after.SignIn("1001")}
	call := func(g *gatewaytest.Gateway) {
		t.Helper()
		if a := c.Set(t.Context(), callOf("1001", "f", guids[g])); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
	}
	call(before)
	address.Store(&[4]byte{127, 0, 0, 2})
	call(before) // its connection is young and lives
	c.replaced = c.replaced.Add(-time.Hour)
	call(after)
	if b, a := before.NumCalls(), after.NumCalls(); b != 2 || a != 1 {
		t.Errorf("%d calls to the old address and %d to the new one, want 2 and 1", b, a)
	}
}

// nameServer returns a resolver that finds every name at one address, asking a real name server over UDP.
func nameServer(t *testing.T, address *atomic.Pointer[[4]byte]) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for b := make([]byte, 512); ; {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: *address.Load()},
				}}
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		running.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
