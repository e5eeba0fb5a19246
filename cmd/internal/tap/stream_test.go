package tap

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Each piece of a body comes through before the next one is sent, in both directions at once, though the tap looks at it.
func TestStreamsAreNotBuffered(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out := http.NewResponseController(w)
			_ = out.EnableFullDuplex() // not of HTTP/2
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			_ = out.Flush()
			b := make([]byte, 100)
			for {
				n, err := r.Body.Read(b)
				_, _ = w.Write(b[:n])
				_ = out.Flush()
				if err != nil {
					return
				}
			}
		}))
		gateway.EnableHTTP2 = http2
		gateway.StartTLS()
		tap := startProxy(t, gateway.URL, http2)
		in, out := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tap.URL, in)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Guid", knownGUID)
		resp, err := clientFor(t, http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		for range 100 {
			_, _ = io.WriteString(out, "ping")
			if n, err := io.ReadFull(resp.Body, b[:4]); err != nil || string(b[:n]) != "ping" {
				t.Fatalf("%q, %v", b[:n], err)
			}
		}
		_ = out.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("then %q, %v", rest, err)
		}
		_ = resp.Body.Close()
		tap.Close()
		gateway.Close()
	}
}

// The head of an answer comes before its body, and half a body before the other half, though its length is known.
func TestAnswerInPieces(t *testing.T) {
	goOn := make(chan struct{})
	gateway := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := http.NewResponseController(w)
		w.Header().Set("Content-Length", "4")
		_ = out.Flush()
		<-goOn
		_, _ = io.WriteString(w, "{}")
		_ = out.Flush()
		<-goOn
		_, _ = io.WriteString(w, "  ")
	}))
	t.Cleanup(gateway.Close)
	tap := startProxy(t, gateway.URL, false)
	resp, err := clientFor(t, false).Get(tap.URL + "/agentgateway/resource/agentevent/1001")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	goOn <- struct{}{}
	b := make([]byte, 2)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "{}" {
		t.Fatalf("%q, %v", b, err)
	}
	goOn <- struct{}{}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "  " {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestUpgrade(t *testing.T) {
	gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Key") != "abc" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
		_ = both.Flush()
		_, _ = io.Copy(conn, both)
	}))
	gateway.EnableHTTP2 = true // an upgrade needs HTTP/1.1 all the same
	gateway.StartTLS()
	t.Cleanup(gateway.Close)
	tap := httptest.NewServer(newProxy(t, gateway.URL))
	t.Cleanup(tap.Close)
	conn, err := net.Dial("tcp", tap.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil) //nolint:bodyclose // a switch of protocols has none
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("%+v, %v", resp, err)
	}
	for range 10 {
		_, _ = io.WriteString(conn, "frame\n")
		if line, err := in.ReadString('\n'); err != nil || line != "frame\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// A body that the gateway does not want is never sent.
func TestExpectContinue(t *testing.T) {
	gateway := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	}))
	t.Cleanup(gateway.Close)
	tap := startProxy(t, gateway.URL, false)
	body := &counted{Reader: strings.NewReader("secret")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, tap.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 6
	r.Header.Set("Expect", "100-continue")
	client := clientFor(t, false)
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusExpectationFailed {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if body.reads > 0 {
		t.Error("the body was sent")
	}
}

type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(b []byte) (int, error) { c.reads++; return c.Reader.Read(b) }

func TestGatewayThatCannotBeReached(t *testing.T) {
	const nobody = "127.0.0.1:1" // listens there
	cutting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cutting.Close)
	for _, test := range []struct {
		gateway, why string
		status       int
		dial         func(context.Context, string, string) (net.Conn, error)
	}{
		{"http://" + nobody, "nobody listens", http.StatusBadGateway, nil},
		{cutting.URL, "closed the connection", http.StatusBadGateway, nil},
		{"https" + strings.TrimPrefix(cutting.URL, "http"), "does not speak TLS", http.StatusBadGateway, nil},
		{cutting.URL, "no connection in time", http.StatusGatewayTimeout, func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
		}},
		{cutting.URL, "is not HTTP", http.StatusBadGateway, func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("malformed HTTP response with a GUID in it")
		}},
	} {
		p := newProxy(t, test.gateway)
		if test.dial != nil {
			p.Transport = &http.Transport{DialContext: test.dial}
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/agentgateway/resource/agentevent/1001", http.NoBody))
		if body := w.Body.String(); w.Code != test.status || !strings.Contains(body, test.why) || strings.Count(body, "\n") != 1 || strings.Contains(body, "GUID") {
			t.Errorf("%s: status %d, %q; want %d, %q", test.gateway, w.Code, body, test.status, test.why)
		}
	}
}
