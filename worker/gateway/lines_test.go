package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker"
	"idlepolicy/worker/gateway/gatewaytest"
)

// A gateway that goes away and comes back has closed what waits for the next call: that call must not pay for it.
func TestClosedConnectionsAreNotUsed(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for range 3 {
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
		if err := g.SetOutage(gatewaytest.Refusing); err != nil {
			t.Fatal(err)
		}
		if err := g.SetOutage(gatewaytest.NoOutage); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, func() bool { l, _ := c.lines.take(c.home); return l == nil })
	}
}

func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(never); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain")
		}
	}
}

// A deadline is that of a call, not of the connection.
func TestConnectionOutlivesTheTimeOfACall(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	for range 2 {
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
		if err := c.lines.idle[c.home][0].conn.SetDeadline(past); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.Summary().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestOldConnectionsAreClosed(t *testing.T) {
	g := start(t, gatewaytest.Options{})
	c := open(t, g, nil)
	guid := g.SignIn("1001")
	call := func() *line {
		if a := c.Set(t.Context(), callOf("1001", "f", guid)); a.Class != worker.Success {
			t.Fatalf("answer %+v", a)
		}
		return c.lines.idle[c.home][0]
	}
	first := call()
	first.used = first.used.Add(-idleTimeout)
	second := call()
	if first == second {
		t.Error("a connection that the gateway is about to close was used")
	}
	second.used = second.used.Add(-idleTimeout)
	c.lines.sweep()
	if n := len(c.lines.idle[c.home]); n != 0 {
		t.Errorf("%d old connections are left", n)
	}
}

// What a server sends beyond its answer must not be taken for the answer to the next call.
func TestWhatComesAfterAnAnswer(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"retcode\":\"0\"}"
	const other = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"retcode\":\"1\"}"
	for name, test := range map[string]struct {
		sends string
		keeps bool
	}{
		"nothing":            {answer, true},
		"early answers":      {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer, true},
		"chunks":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"retcode\":\"0\"}\r\n0\r\n\r\n", true},
		"another answer":     {answer + other, false},
		"connection closes":  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{\"retcode\":\"0\"}", false},
		"as HTTP/1.0 sends":  {"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n{\"retcode\":\"0\"}", false},
		"early without end":  {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50) + answer, false},
		"header without end": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + answer, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, peer := net.Pipe()
			defer server.Close()
			go func() {
				if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
					_, _ = io.WriteString(server, test.sends) // the client may have enough before the end
				}
			}()
			l := newLine(peer)
			a, err := l.call(t.Context(), time.Now().Add(never), parsed(t, "https://gw"), callOf("1001", "f", "guid"))
			if fine := err == nil && a.Class == worker.Success; fine != !strings.HasSuffix(name, "without end") {
				t.Errorf("answer %+v, %v", a, err)
			}
			if l.clear != test.keeps {
				t.Errorf("it serves the next call: %v", l.clear)
			}
		})
	}
}

func parsed(t *testing.T, raw string) server {
	t.Helper()
	s, err := parseServer(raw, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// No text from outside can become a second request or another path.
func TestNothingUncleanIsSent(t *testing.T) {
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
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
			if a := c.Set(t.Context(), call); a.Class != worker.Unsound || strings.Contains(a.Fault, unclean) || asked {
				t.Errorf("%q: answer %+v, asked %v", unclean, a, asked)
			}
		}
	}
}
