package gateway

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"idlepolicy/worker/gateway/guard"
)

// passage is the way of one call through net/http, which may send a request more than once.
//
// Over HTTP/1.1 it does so only if nothing of the request was written. Over HTTP/2 it sends a request again if the
// server says that it did not look at it, on and on and past the gate, and it cannot be told not to. Where the server
// ends a connection, as many do after a thousand requests, that is not a lack of room: what was on its way goes out on
// another one, once. On the same connection the server has refused the stream, because it has no room for it, and the next
// attempt is not the transport's.
type passage struct {
	end     context.CancelFunc
	on      net.Conn    // where the request goes; nil: there is no connection yet
	wrote   atomic.Bool // its header was written there; set by a goroutine of the transport
	moved   bool        // it was sent on another connection before
	refused bool        // it would have been sent once more than it may
}

// watch makes the transport report on the call. What ends it in time is the context: nothing is written once that has ended.
func (p *passage) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { p.take(got.Conn) }, WroteHeaders: func() { p.wrote.Store(true) },
	})
}

// sent reports whether the gateway may have seen the request.
func (p *passage) sent() bool {
	if g, ok := p.on.(*guard.Conn); ok {
		return g.Asked()
	}
	return p.on != nil && (p.wrote.Load() || p.moved)
}

// stale reports whether the call failed because its connection of HTTP/1.1 was closed before anything was written to it.
func (p *passage) stale(err error) bool {
	g, ok := p.on.(*guard.Conn)
	var dial *dialError
	return ok && !g.Asked() && !errors.As(err, &dial) && !errors.Is(err, errNoLease)
}

// take is called with each connection that the request is about to be sent on. A connection that turns out to be closed
// before anything is written does not count.
func (p *passage) take(conn net.Conn) {
	wrote := p.wrote.Swap(false)
	if g, ok := conn.(*guard.Conn); ok {
		g.Take()
	} else if wrote {
		if p.moved || conn == p.on {
			p.refused = true
			p.end()
			return
		}
		p.moved = true
	}
	p.on = conn
}
