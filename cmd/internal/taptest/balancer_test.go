package taptest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// balancer leads each connection to the next backend that can be reached, as one in TCP mode does.
type balancer struct {
	net.Listener
	next atomic.Int64
	work sync.WaitGroup

	mu       sync.Mutex // guards backends
	backends []string
}

func startBalancer(t *testing.T, backends ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: l, backends: backends}
	b.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.work.Go(func() { b.pass(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); b.work.Wait() })
	return b
}

// lead leads connections to these backends from now on.
func (b *balancer) lead(backends ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends = backends
}

func (b *balancer) pass(desktop net.Conn) {
	defer func() { _ = desktop.Close() }()
	first := int(b.next.Add(1))
	b.mu.Lock()
	backends := b.backends
	b.mu.Unlock()
	for i := range backends {
		at := backends[(first+i)%len(backends)]
		tap, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			continue
		}
		var both sync.WaitGroup
		for _, way := range [][2]net.Conn{{desktop, tap}, {tap, desktop}} {
			both.Go(func() {
				_, _ = io.Copy(way[1], way[0])
				_ = desktop.Close()
				_ = tap.Close()
			})
		}
		both.Wait()
		return
	}
}
