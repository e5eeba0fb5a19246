package gateway

import (
	"net/http"
	"time"
)

const (
	// Servlet containers close an idle connection after 20 s by default. We close ours earlier, because a call on a connection
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
		// All calls share one HTTP/2 connection, so one that died silently must not be used for further calls.
		HTTP2: &http.HTTP2Config{SendPingTimeout: c.Timeout, PingTimeout: c.Timeout},
	}
}

// transport returns the transport for the next call. It replaces the transport when the oldest of its connections may have reached
// their greatest age: otherwise they would not follow a name that moved to another address while the old one still works. Calls under
// way finish on their connections, which close then.
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
