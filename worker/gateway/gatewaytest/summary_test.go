package gatewaytest

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// The summary's running count must agree with the record's, also after quiet spells and when its ring grows.
func TestLastSecond(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	var second lastSecond
	var r Record
	for i := range 3000 {
		r = append(r, Call{At: now})
		if got, want := second.add(now), within(r, now); got != want {
			t.Fatalf("call %d: %d in the last second, want %d", i, got, want)
		}
		now = now.Add(time.Duration(random.Int64N(int64(20*time.Millisecond) / int64(1+i/500))))
		if i%700 == 0 {
			now = now.Add(time.Second)
		}
	}
}

func within(r Record, now time.Time) (n int) {
	for _, c := range r {
		if now.Sub(c.At) < time.Second {
			n++
		}
	}
	return n
}

// A long run opens very many connections: none may be kept after its end.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	g, err := Start(Options{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	conn, err := net.Dial("tcp", g.port.addr)
	if err != nil {
		t.Fatal(err)
	}
	wait := func(what string, ok func() bool) {
		for !ok() {
			select {
			case <-t.Context().Done():
				t.Fatalf("never: %s", what)
			case <-time.After(time.Millisecond):
			}
		}
	}
	wait("the connection is taken", func() bool { return g.Summary().Connections == 1 })
	conn.Close()
	wait("the connection is forgotten", func() bool {
		g.port.mu.Lock()
		defer g.port.mu.Unlock()
		return len(g.port.open) == 0
	})
}
