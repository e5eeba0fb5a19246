package faulttest

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// address is a second address of the gateway, which can be down while the first one is well. Every other agent's session names
// it.
type address struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // guards what follows
	down  bool
	conns map[net.Conn]bool
}

func newAddress(t *testing.T, gatewayURL string) *address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{listener: l, to: strings.TrimPrefix(gatewayURL, "https://"), conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { a.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		a.set(true)
		serving.Wait()
	})
	return a
}

func (a *address) url() string { return "https://" + a.listener.Addr().String() }

// serve passes a connection on to the gateway, until either end closes it or the address goes down.
func (a *address) serve(from net.Conn) {
	to, err := net.Dial("tcp", a.to)
	if err != nil || !a.keep(from, to) {
		_ = from.Close()
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	both.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.conns, from)
	delete(a.conns, to)
}

// keep notes connections that end when the address goes down; false: it is down.
func (a *address) keep(conns ...net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range conns {
		if a.down {
			_ = c.Close()
			continue
		}
		a.conns[c] = true
	}
	return !a.down
}

func (a *address) set(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down = down; down {
		for c := range a.conns {
			_ = c.Close()
		}
	}
}

// gatewayFaults are what happens to the gateway and not to the workers or NATS.
func gatewayFaults() []fault {
	return []fault{
		{"one address down", func(s *site, r *rand.Rand) {
			s.second.set(true)
			time.Sleep(seconds(r, .5, 5))
			s.second.set(false)
		}},
		{"noisy gateway", func(s *site, r *rand.Rand) {
			rule := gatewaytest.Rule{Share: .3, Status: 503}
			if r.IntN(2) == 0 {
				rule = gatewaytest.Rule{Share: .3, Fault: gatewaytest.Cut}
			}
			quiet := s.gateway.On("", rule)
			time.Sleep(seconds(r, 1, 5))
			quiet()
		}},
		{"flapping gateway", func(s *site, r *rand.Rand) {
			for range 5 {
				for _, o := range []gatewaytest.Outage{gatewaytest.Resetting, gatewaytest.NoOutage} {
					if err := s.gateway.SetOutage(o); err != nil {
						s.t.Error(err)
					}
					time.Sleep(seconds(r, .1, .6))
				}
			}
		}},
	}
}
