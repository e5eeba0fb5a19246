package gateway

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// passage is the way of one call over HTTP/2. The transport sends a request again of which the server says that it did
// not look at it, on and on and past the gate, and it cannot be told not to.
//
// Where the server ends a connection, as many do after a thousand requests, that is no lack of room: what was on its
// way goes out on another one, once. On the same connection the server has refused the stream, because it has no room
// for it, and the next attempt is not the transport's.
type passage struct {
	end     context.CancelFunc
	on      net.Conn    // where the request goes
	sent    atomic.Bool // it went there; told by a goroutine of the transport
	moved   bool        // it was sent on another connection before
	refused bool        // it would have been sent once more than it may
}

// watch has the transport tell of the call. What ends it in time is the context: nothing is written once that has ended.
func (p *passage) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { p.goOn(got.Conn) }, WroteHeaders: func() { p.sent.Store(true) },
	})
}

// goOn is told of each connection that the request is about to be sent on. A connection that turns out to be closed
// before anything is written does not count.
func (p *passage) goOn(conn net.Conn) {
	if p.sent.Swap(false) {
		if p.moved || conn == p.on {
			p.refused = true
			p.end()
			return
		}
		p.moved = true
	}
	p.on = conn
}
