package stream

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a worker's connection and the server, and does to it what networks do.
type proxy struct {
	url    string
	target string

	mu    sync.Mutex // guards what follows
	conns []net.Conn
	down  bool
	mute  bool          // nothing of what the server says comes through
	heard int           // bytes that the server said while mute
	held  chan struct{} // what either side says waits until it is closed; nil: it does not
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "nats://" + l.Addr().String(), target: u.Host}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); wg.Wait() })
	return p
}

func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	down := p.down
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	if down {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(waiting{server, p}, client); server.Close() })
	p.answer(client, server)
	client.Close()
	wg.Wait()
}

// answer carries what the server says, as long as the proxy is not mute.
func (p *proxy) answer(client, server net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		p.mu.Lock()
		mute := p.mute
		if mute {
			p.heard += n
		}
		p.mu.Unlock()
		if mute && err == nil {
			continue // for good: the connection is of no more use
		}
		if _, werr := (waiting{client, p}).Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// waiting writes as soon as the proxy lets it.
type waiting struct {
	io.Writer
	p *proxy
}

func (w waiting) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	held := w.p.held
	w.p.mu.Unlock()
	if held != nil {
		<-held
	}
	return w.Writer.Write(b)
}

// stall holds everything back, and loses nothing of it, until the function that it returns is called.
func (p *proxy) stall() (resume func()) {
	held := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = nil
		close(held)
	})
}

// cut ends all connections; new ones are carried.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = false
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// silence loses what the server says until the next cut.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute, p.heard = true, 0
}

// lostBytes is how much of what the server said was lost since silence.
func (p *proxy) lostBytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// isOpen reports whether anything comes through.
func (p *proxy) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.down && !p.mute && p.held == nil
}

// setDown refuses all connections, or takes them again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cut()
	}
}
