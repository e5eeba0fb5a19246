package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// Client makes calls to the gateway. Set the exported fields, then call Open; the fields must not change afterwards. Its methods may be
// called from many goroutines at once.
type Client struct {
	URL           string        // https://HOST:PORT; http only with Insecure
	Hosts         []string      // HOST:PORTs that a session's gateway_url may name
	Timeout       time.Duration // of one attempt, from looking for a connection to the last byte of the answer; default 5 s
	ConnectionAge time.Duration // the greatest age at which a connection still takes a call; default 5 min
	CA            string        // PEM file of the authorities to verify with; empty: the system's
	ServerName    string        // the name to verify at the host of URL; empty: that host
	Cert, Key     string        // PEM files of the client certificate; empty: none
	Insecure      bool          // verifies nothing, and allows plain http
	InFlight      int           // connections kept for the next calls; default 32
	Lease         func() error  // returns an error while no call may be made; nil: calls may always be made
	Log           *slog.Logger  // nil: slog.Default

	home          server
	files         files
	resolver      *net.Resolver // nil: the system's; set by tests
	last          atomic.Pointer[parsed]
	proven        atomic.Bool // the gateway itself has answered at home
	noCertificate atomic.Bool // in the last handshake the gateway asked for a client certificate and got none

	mu       sync.Mutex // guards what follows
	current  *http.Transport
	replaced time.Time // when current was made
	ignored  map[string]struct{}
}

var _ worker.Gateway = (*Client)(nil)

var (
	// errNoLease is returned by a connection's Write.
	errNoLease = errors.New("the lease is gone")
	errUnclean = errors.New("the change or the session has characters that a request cannot have")
)

// Open prepares the client and reads its files. It sends nothing. Its errors name what is wrong.
func (c *Client) Open() error {
	home, err := parseServer(c.URL, c.Insecure)
	if err != nil {
		return fmt.Errorf("gateway %s: %w", c.URL, err)
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.ConnectionAge == 0 {
		c.ConnectionAge = 5 * time.Minute
	}
	if c.InFlight == 0 {
		c.InFlight = 32
	}
	c.home, c.ignored = home, map[string]struct{}{}
	c.files = files{ca: c.CA, cert: c.Cert, key: c.Key, log: c.log()}
	if _, err := c.files.load(); err != nil {
		return err
	}
	c.current, c.replaced = c.newTransport(), time.Now()
	DropQuotes()
	return nil
}

// Close closes idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	current.CloseIdleConnections()
}

// Set makes one call. It implements worker.Gateway.
func (c *Client) Set(ctx context.Context, call worker.Call) worker.Answer {
	began := time.Now()
	if err := c.lease(); err != nil {
		return worker.Answer{Class: worker.NotSent, Fault: err.Error()}
	}
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.Timeout))
	defer cancel()
	a := c.send(ctx, cancel, call)
	a.Took = time.Since(began)
	return a
}

// maxStale is how many connections that turn out to be closed one call may meet.
const maxStale = 3

func (c *Client) send(ctx context.Context, cancel context.CancelFunc, call worker.Call) worker.Answer {
	once := &passage{end: cancel}
	r, err := request(once.watch(ctx), c.serverFor(call.Session.GatewayURL), call)
	if err != nil {
		return worker.Answer{Class: worker.Unsound, Fault: err.Error()}
	}
	resp, err := c.transport(time.Now()).RoundTrip(r)
	for range maxStale {
		if err == nil || ctx.Err() != nil || !once.stale(err) {
			break
		}
		resp, err = c.transport(time.Now()).RoundTrip(r)
	}
	if err != nil {
		return c.failure(err, once)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := ctx.Err(); err != nil { // servers that see a client hang up finish the answer with whatever they have
		return c.failure(err, once)
	}
	a, err := c.read(resp, call.Session, time.Now())
	if err != nil {
		return c.failure(err, once)
	}
	return a
}

// request makes the request. The gateway only needs the agent's GUID, and some load balancers need the cookies that the sign-in set.
// Values from outside are checked where they come in. Those that could lead to another path or inject a second request are refused
// here as well.
func request(ctx context.Context, to server, call worker.Call) (*http.Request, error) {
	if !isWord(call.AgentID) || !isWord(call.Flag) || !isVisible(call.Session.GUID) {
		return nil, errUnclean
	}
	r := post.WithContext(ctx)
	r.URL, r.Host = to.url(call.AgentID, call.Flag), to.hostHeader()
	r.Header = http.Header{"Accept": accept, "Content-Type": contentType, "Guid": {call.Session.GUID}, "User-Agent": userAgent}
	if len(call.Session.Cookies) > 0 {
		cookies := strings.Join(call.Session.Cookies, "; ")
		if !isVisible(cookies) {
			return nil, errUnclean
		}
		r.Header["Cookie"] = []string{cookies}
	}
	if messages.ValidTraceParent(call.TraceParent) {
		r.Header["Traceparent"] = []string{call.TraceParent}
		if messages.ValidTraceState(call.TraceState) {
			r.Header["Tracestate"] = []string{call.TraceState}
		}
	}
	return r, nil
}

var (
	post        = &http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	accept      = []string{"application/json, */*"} // some firewalls refuse requests without it
	contentType = []string{"application/json; charset=UTF-8"}
	userAgent   = []string{"idlepolicy"}
)

// isWord reports whether s is made of letters, digits, "-" and "_" only.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// isVisible reports whether s can stand in a header.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// failure returns the Answer for a call without a usable response.
func (c *Client) failure(err error, once *passage) worker.Answer {
	switch {
	case errors.Is(err, errNoLease):
		return worker.Answer{Class: worker.NotSent, Fault: errNoLease.Error()}
	case once.refused:
		return worker.Answer{Class: worker.Busy, Fault: "the gateway, or a proxy before it, did not look at the request: " +
			"it asks for fewer calls"}
	}
	a := worker.Answer{Class: worker.Unsound, Fault: inWords(err), Connect: !once.sent() || isTurnedAway(err)}
	hint := hintOf(err)
	if hint == "" && c.noCertificate.Load() {
		hint = demandsCertificate // a gateway that closes the connection does not always get to say why
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		a.Fault = "no connection within " + c.Timeout.String()
		if !a.Connect {
			a.TimedOut = true // the worker explains it, because it knows how other calls do
			a.Fault = "no answer within " + c.Timeout.String()
		}
	case hint != "" && !errors.As(err, new(*dialError)): // which has its hint

		a.Fault += ": " + hint
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
