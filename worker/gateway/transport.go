package gateway

import (
	"net/http"
	"time"
)

const (
	// Servlet containers close a connection that is silent for 20 s by default. Ours close before: a call on a connection
	// that the server is just closing looks like a fault.
	idleTimeout = 15 * time.Second
	// The gateway's answers have a handful of headers.
	maxHeader = 64 << 10
)

func (c *Client) newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            c.dialPlain,
		DialTLSContext:         c.dialTLS,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           0, // the gate bounds how many there are
		MaxIdleConnsPerHost:    c.InFlight,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true, // answers are 60 bytes long
		MaxResponseHeaderBytes: maxHeader,
		// All calls share one connection of HTTP/2: one that died silently must not take the next calls with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: c.Timeout, PingTimeout: c.Timeout},
	}
}

// transport returns the transport for the next call. A new one takes over when the connections of the old one may be at
// their greatest age: nothing else makes them follow a name that moved to another address while the old address lives.
// Calls under way end on their connections, which close then.
func (c *Client) transport(now time.Time) *http.Transport {
	c.mu.Lock()
	current, old := c.current, (*http.Transport)(nil)
	if now.Sub(c.replaced) >= c.ConnectionAge {
		current, old = c.newTransport(), current
		c.current, c.replaced = current, now
	}
	c.mu.Unlock()
	if old != nil {
		old.CloseIdleConnections()
	}
	return current
}
