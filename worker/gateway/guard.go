package gateway

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// errUnasked is returned by a connection's Read.
var errUnasked = errors.New("the gateway sent something that it was not asked for; the connection was closed")

// An answer of HTTP/1.1 does not say which request it is for. net/http gives a connection back before it looks at what
// has come behind an answer, so that a waiting call could take a surplus answer for its own. A guard makes sure that nothing
// unread is left of the last answer before the next call takes the connection, and refuses what comes unasked.

// guarded is a connection of HTTP/1.1 as net/http sees it, above TLS.
type guarded struct {
	net.Conn
	socket *leased     // below TLS
	asked  atomic.Bool // a request was written since the last call took the connection
}

// take is called when a call has got the connection and before anything of it is written. It waits until all that came has been
// read: net/http reads ahead, and closes a connection on which it finds more than an answer.
func (g *guarded) take() {
	g.asked.Store(false)
	g.socket.awaitReader()
}

func (g *guarded) Write(b []byte) (int, error) {
	g.asked.Store(true)
	n, err := g.Conn.Write(b)
	if n == 0 && err != nil {
		g.asked.Store(false) // a part of a TLS record at most, which nobody can read
	}
	return n, err
}

func (g *guarded) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 0 && !g.asked.Load() {
		return 0, errUnasked
	}
	return n, err
}

// leased is a socket that writes nothing without the lease.
type leased struct {
	net.Conn
	lease func() error

	mu      sync.Mutex // guards what follows
	reading bool       // a Read is under way, so that all that came before it has been consumed
	closed  bool
	changed *sync.Cond // either became true
}

func newLeased(conn net.Conn, lease func() error) *leased {
	l := &leased{Conn: conn, lease: lease}
	l.changed = sync.NewCond(&l.mu)
	return l
}

func (l *leased) Write(b []byte) (int, error) {
	if l.lease() != nil {
		return 0, errNoLease
	}
	return l.Conn.Write(b)
}

func (l *leased) Read(b []byte) (int, error) {
	l.mu.Lock()
	l.reading = true
	l.changed.Broadcast()
	l.mu.Unlock()
	n, err := l.Conn.Read(b)
	l.mu.Lock()
	l.reading = false
	l.mu.Unlock()
	return n, err
}

func (l *leased) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	return l.Conn.Close()
}

// awaitReader returns when a Read is under way or the socket is closed; one of them is about to happen.
func (l *leased) awaitReader() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.reading && !l.closed {
		l.changed.Wait()
	}
}
