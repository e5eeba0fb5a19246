package gatewaytest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// port is the gateway's address on the network. It outlives the listeners on it, because outages close them.
type port struct {
	server  *http.Server
	plain   bool
	addr    string         // of the first listener, kept for the next ones
	serving sync.WaitGroup // one for each listener
	state   atomic.Int32   // the Outage
	turn    sync.Mutex     // held while an outage begins or ends, so that they do not mix

	mu       sync.Mutex // guards what follows
	listener net.Listener
	closed   bool
	open     map[*socket]struct{}
	accepted int
	dropped  int
}

// listen opens the port. For a moment after it was closed somebody else's outgoing connection may hold it, so it tries
// for a minute; the first time there is nothing to wait for.
func (p *port) listen(addr string) error {
	var listening net.ListenConfig
	listener, err := listening.Listen(context.Background(), "tcp", addr)
	for n := 0; err != nil && p.addr != "" && n < 3000; n++ {
		time.Sleep(20 * time.Millisecond)
		listener, err = listening.Listen(context.Background(), "tcp", addr)
	}
	if err != nil {
		return err
	}
	if p.addr == "" {
		p.addr = listener.Addr().String()
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.serving.Go(func() { p.serve(&door{Listener: listener, port: p}) })
	return nil
}

// serve ends when its listener is closed, which is the only error it can end with.
func (p *port) serve(d *door) {
	if p.plain {
		_ = p.server.Serve(d)
		return
	}
	_ = p.server.ServeTLS(d, "", "")
}

func (p *port) stopListening() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close() // closing it twice does no harm
}

// close waits for an outage that is just beginning or ending, else that one could open the port again.
func (p *port) close() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stopListening()
	p.resetAll()
}

func (p *port) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// resetAll goes over a copy: a socket that closes takes itself out of the table.
func (p *port) resetAll() {
	p.mu.Lock()
	sockets := make([]*socket, 0, len(p.open))
	for s := range p.open {
		sockets = append(sockets, s)
	}
	p.mu.Unlock()
	for _, s := range sockets {
		s.reset()
	}
}

// connections returns how many connections were taken, and how many of them were reset at once or left in silence.
func (p *port) connections() (accepted, dropped int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, p.dropped
}

// socketKey finds a request's socket in its context.
type socketKey struct{}

func withSocket(ctx context.Context, conn net.Conn) context.Context {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	return context.WithValue(ctx, socketKey{}, conn)
}

// cutOff resets the connection that a request came on. With HTTP/2 other calls on it are lost too.
func cutOff(r *http.Request) {
	if s, ok := r.Context().Value(socketKey{}).(*socket); ok {
		s.reset()
	}
}
