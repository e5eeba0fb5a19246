package gateway

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"idlepolicy/worker/gateway/guard"
)

// passage follows one call through net/http, which may send a request more than once.
//
// Over HTTP/1.1 it does so only if nothing of the request was written. Over HTTP/2 it repeats a request without limit, and past the
// gate, if the server says that it did not process it. That cannot be turned off. passage allows one repetition on another connection,
// because many servers end a connection after a thousand requests, which is not a lack of room. It allows none on the same
// connection: there the server has refused the stream for lack of room, and the worker decides on the next attempt.
type passage struct {
	end     context.CancelFunc
	on      net.Conn    // where the request goes; nil: there is no connection yet
	wrote   atomic.Bool // its header was written there; set by a goroutine of the transport
	moved   bool        // it was sent on another connection before
	refused bool        // it would have been sent once more than it may
}

// watch makes the transport report to the passage. A cancelled context ends the call: nothing is written after that.
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

// take is called before the request is sent on a connection. A connection that turns out to be closed before anything is written does
// not count.
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
