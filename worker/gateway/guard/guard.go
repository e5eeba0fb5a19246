// Package guard keeps net/http from taking a surplus answer for the answer to the next request.
//
// An answer of HTTP/1.1 does not say which request it is for. [http.Transport] gives a connection back before it looks at
// what has come behind an answer, so that a waiting request could take that for its own. A guard makes sure that nothing
// unread is left of the last answer before the next request takes the connection, and refuses what comes unasked.
//
// A dialer wraps the socket with [NewSocket], puts TLS above it if there is any, and returns [Socket.Guard] of that. Each
// request calls [Conn.Take] from the hook GotConn of [net/http/httptrace.ClientTrace].
package guard

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// ErrUnasked is returned by a connection's Read if something came before a request was written.
var ErrUnasked = errors.New("the gateway sent something that it was not asked for; the connection was closed")

// Conn is a connection of HTTP/1.1 as net/http sees it, above TLS.
type Conn struct {
	net.Conn
	socket *Socket
	asked  atomic.Bool // a request was written since the last one took the connection
}

// Take is called when a request has got the connection and before anything of it is written. It waits until all that came
// has been read: net/http reads ahead, and closes a connection on which it finds more than an answer.
func (c *Conn) Take() {
	c.asked.Store(false)
	c.socket.awaitReader()
}

// Asked reports whether the gateway may have seen something of the last request that took the connection.
func (c *Conn) Asked() bool { return c.asked.Load() }

// IsClosed reports whether the connection was closed at this end.
func (c *Conn) IsClosed() bool {
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	return c.socket.closed
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.asked.Store(true)
	n, err := c.Conn.Write(b)
	if n == 0 && err != nil {
		c.asked.Store(false) // a part of a TLS record at most, which nobody can read
	}
	return n, err
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.asked.Load() {
		return 0, ErrUnasked
	}
	return n, err
}

// Socket is a socket below TLS that knows whether somebody waits for what it receives.
type Socket struct {
	net.Conn

	mu      sync.Mutex // guards what follows
	reading bool       // a Read is under way, so that all that came before it has been consumed
	closed  bool
	changed *sync.Cond // either became true
}

// NewSocket returns a Socket on a connection.
func NewSocket(conn net.Conn) *Socket {
	s := &Socket{Conn: conn}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Guard returns the connection that net/http is to use: conn is TLS above the socket, or the socket itself.
func (s *Socket) Guard(conn net.Conn) *Conn { return &Conn{Conn: conn, socket: s} }

// Read implements net.Conn.
func (s *Socket) Read(b []byte) (int, error) {
	s.mu.Lock()
	s.reading = true
	s.changed.Broadcast()
	s.mu.Unlock()
	n, err := s.Conn.Read(b)
	s.mu.Lock()
	s.reading = false
	s.mu.Unlock()
	return n, err
}

// Close implements net.Conn.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	return s.Conn.Close()
}

// awaitReader returns when a Read is under way or the socket is closed; one of them is about to happen.
func (s *Socket) awaitReader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.reading && !s.closed {
		s.changed.Wait()
	}
}
