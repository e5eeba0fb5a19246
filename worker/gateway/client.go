package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// Client makes calls to the gateway. Set the exported fields, then Open it; they must not change afterwards. Its methods
// may be called from many goroutines at once.
type Client struct {
	URL        string        // https://HOST:PORT; http only with Insecure
	Hosts      []string      // HOST:PORTs that a session's gateway_url may name
	Timeout    time.Duration // of one attempt, from looking for a connection to the last byte of the answer; default 5 s
	CA         string        // PEM file of the authorities to verify with; empty: the system's
	ServerName string        // the name to verify; empty: the host of the URL
	Cert, Key  string        // PEM files of the client certificate; empty: none
	Insecure   bool          // verifies nothing, and allows plain http
	InFlight   int           // connections kept for the next calls; default 32
	Lease      func() error  // returns an error while no call may be made; nil: calls may always be made
	Log        *slog.Logger  // nil: slog.Default

	home      server
	lines     lines
	transport *http.Transport // for gateways that speak HTTP/2
	files     files

	mu      sync.Mutex // guards ignored
	ignored map[string]struct{}
}

var _ worker.Gateway = (*Client)(nil)

// errNoLease marks what was refused in a connection's Write.
var errNoLease = errors.New("the lease is gone")

// Open prepares the client and looks its files over. Nothing is sent. Its errors name what is wrong.
func (c *Client) Open() error {
	home, err := parseServer(c.URL, c.Insecure)
	if err != nil {
		return fmt.Errorf("gateway %s: %w", c.URL, err)
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.InFlight == 0 {
		c.InFlight = 32
	}
	c.home, c.ignored = home, map[string]struct{}{}
	c.files = files{ca: c.CA, cert: c.Cert, key: c.Key, log: c.log()}
	if _, err := c.files.load(); err != nil {
		return err
	}
	c.transport = c.newTransport()
	return nil
}

// Close lets go of connections that are not in use.
func (c *Client) Close() {
	c.lines.closeAll()
	c.transport.CloseIdleConnections()
}

// Set makes one call. It implements worker.Gateway.
func (c *Client) Set(ctx context.Context, call worker.Call) worker.Answer {
	began := time.Now()
	if err := c.lease(); err != nil {
		return worker.Answer{Class: worker.NotSent, Fault: err.Error()}
	}
	a := c.send(ctx, began.Add(c.Timeout), call)
	a.Took = time.Since(began)
	return a
}

func (c *Client) send(ctx context.Context, until time.Time, call worker.Call) worker.Answer {
	to := c.serverFor(call.Session.GatewayURL)
	l, http2 := c.lines.take(to)
	if l == nil && !http2 {
		var err error
		if l, http2, err = c.connect(ctx, until, to); err != nil {
			return c.failure(err)
		}
	}
	if http2 {
		return c.share(ctx, until, to, call)
	}
	a, err := l.call(ctx, until, to, call)
	c.lines.give(to, l)
	if err != nil {
		return c.failure(err)
	}
	return a
}

// connect opens a line, unless the server turns out to speak HTTP/2: there all calls share one connection.
func (c *Client) connect(ctx context.Context, until time.Time, to server) (l *line, http2 bool, err error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	dial := c.dialTLS
	if to.scheme == "http" {
		dial = c.dial
	}
	conn, err := dial(ctx, "tcp", to.hostPort())
	if err != nil {
		return nil, false, err
	}
	if encrypted, ok := conn.(*tls.Conn); ok && encrypted.ConnectionState().NegotiatedProtocol == "h2" {
		_ = conn.Close() // the transport opens its own
		c.lines.speaksHTTP2(to)
		return nil, true, nil
	}
	return newLine(conn), false, nil
}

// share makes the call on the connection that all calls to the server share.
func (c *Client) share(ctx context.Context, until time.Time, to server, call worker.Call) worker.Answer {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	once := &passage{end: cancel}
	resp, err := c.transport.RoundTrip(request(to, call).WithContext(once.watch(ctx)))
	switch {
	case once.refused:
		return worker.Answer{Class: worker.Busy, Fault: "the gateway, or a proxy before it, did not look at the request: " +
			"it asks for fewer calls"}
	case err != nil:
		return c.failure(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp, call.Session, time.Now(), &memory{})
}

// request makes the request. The one header of ours that the gateway looks at is the agent's GUID; behind some load balancers
// it needs the cookies that the sign-in set as well.
func request(to server, call worker.Call) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: to.url(call.AgentID, call.Flag), Host: to.host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": contentType,
			"Guid":         {call.Session.GUID},
			"User-Agent":   userAgent,
		},
	}
	if len(call.Session.Cookies) > 0 {
		r.Header["Cookie"] = []string{strings.Join(call.Session.Cookies, "; ")}
	}
	if messages.ValidTraceParent(call.TraceParent) {
		r.Header["Traceparent"] = []string{call.TraceParent}
		if messages.ValidTraceState(call.TraceState) {
			r.Header["Tracestate"] = []string{call.TraceState}
		}
	}
	return r
}

var (
	contentType = []string{"application/json; charset=UTF-8"}
	userAgent   = []string{"idlepolicy"}
)

// failure says what a call without a response means.
func (c *Client) failure(err error) worker.Answer {
	if errors.Is(err, errNoLease) {
		return worker.Answer{Class: worker.NotSent, Fault: errNoLease.Error()}
	}
	a := worker.Answer{Class: worker.Unsound, Fault: inWords(err)}
	var dial *dialError
	switch {
	case errors.As(err, &dial):
		a.Connect = true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		a.Fault = "no answer within " + c.Timeout.String()
	}
	return a
}

func (c *Client) lease() error {
	if c.Lease == nil {
		return nil
	}
	return c.Lease()
}

func (c *Client) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}
