package gateway

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"idlepolicy/worker"
)

// proxy speaks HTTP/2 frame by frame, so that it can turn a request away as the servers of the library never do.
type proxy struct {
	t    *testing.T
	url  string
	turn func(n int, to *http2.Framer, stream uint32) error // the n-th request, from 1

	mu       sync.Mutex // guards what follows
	requests []string   // the connection of each, by the address it came from
	open     map[net.Conn]struct{}
}

// startProxy starts a proxy that does with each request what turn says.
func startProxy(t *testing.T, turn func(n int, to *http2.Framer, stream uint32) error) *proxy {
	t.Helper()
	made := httptest.NewUnstartedServer(nil)
	made.StartTLS() // for its certificate
	defer made.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: made.TLS.Certificates, NextProtos: []string{"h2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, url: "https://" + l.Addr().String(), turn: turn, open: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.open[conn] = struct{}{}
			p.mu.Unlock()
			running.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for conn := range p.open {
			_ = conn.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

func (p *proxy) client() *Client {
	p.t.Helper()
	c := &Client{URL: p.url, Timeout: never, Insecure: true}
	if err := c.Open(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// serve ends with its connection.
func (p *proxy) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	frames := http2.NewFramer(conn, conn)
	err := frames.WriteSettings()
	for err == nil {
		var f http2.Frame
		if f, err = frames.ReadFrame(); err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = frames.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			p.mu.Lock()
			p.requests = append(p.requests, conn.RemoteAddr().String())
			n := len(p.requests)
			p.mu.Unlock()
			err = p.turn(n, frames, f.StreamID)
		}
	}
}

// seen returns from where each request came.
func (p *proxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// succeed answers as the gateway does.
func succeed(to *http2.Framer, stream uint32) error {
	var head bytes.Buffer
	if err := hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "200"}); err != nil {
		return err
	}
	if err := to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return to.WriteData(stream, true, []byte(`{"message":"success","retcode":"0"}`))
}

// A stream that is refused for lack of room is a call like any other: the library would send it some times more, past the
// gate, just when that hurts most.
func TestRefusedStreamIsOneCall(t *testing.T) {
	p := startProxy(t, func(n int, to *http2.Framer, stream uint32) error {
		if n == 1 {
			return to.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		}
		return succeed(to, stream)
	})
	c := p.client()
	a := c.Set(t.Context(), callOf("1001", "false", "guid"))
	if a.Class != worker.Busy || a.RetryAfter != 0 || a.Connect || !strings.Contains(a.Fault, "asks for fewer calls") {
		t.Errorf("answer %+v", a)
	}
	if seen := p.seen(); len(seen) != 1 {
		t.Errorf("one call was %d requests", len(seen))
	}
	if a = c.Set(t.Context(), callOf("1001", "false", "guid")); a.Class != worker.Success {
		t.Errorf("the next call: %+v", a)
	}
	if seen := p.seen(); len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("requests on %q, want two on the same connection", seen)
	}
}

// A proxy that ends a connection, as many do after a thousand requests, says of those that were on their way that it did not
// look at them. They go out on another connection: that is not a lack of room.
func TestRequestOnAnEndingConnection(t *testing.T) {
	p := startProxy(t, func(n int, to *http2.Framer, stream uint32) error {
		if n == 1 {
			return to.WriteGoAway(0, http2.ErrCodeNo, nil)
		}
		return succeed(to, stream)
	})
	if a := p.client().Set(t.Context(), callOf("1001", "false", "guid")); a.Class != worker.Success {
		t.Errorf("answer %+v", a)
	}
	if seen := p.seen(); len(seen) != 2 || seen[0] == seen[1] {
		t.Errorf("requests on %q, want two on two connections", seen)
	}
}

// One that ends each connection gets a call no more than twice.
func TestEveryConnectionIsEnding(t *testing.T) {
	p := startProxy(t, func(_ int, to *http2.Framer, _ uint32) error { return to.WriteGoAway(0, http2.ErrCodeNo, nil) })
	if a := p.client().Set(t.Context(), callOf("1001", "false", "guid")); a.Class != worker.Busy {
		t.Errorf("answer %+v", a)
	}
	if seen := p.seen(); len(seen) != 2 {
		t.Errorf("one call was %d requests", len(seen))
	}
}
