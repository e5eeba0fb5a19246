package gateway

import (
	"testing"

	"idlepolicy/worker"
	"idlepolicy/worker/gateway/gatewaytest"
)

// BenchmarkSet is one call over TLS, with the simulator's part of the work.
func BenchmarkSet(b *testing.B) {
	for name, o := range map[string]gatewaytest.Options{
		"HTTP1": {ForgetCalls: true}, "HTTP2": {ForgetCalls: true, HTTP2: true},
	} {
		b.Run(name, func(b *testing.B) {
			g, err := gatewaytest.Start(o)
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			c := &Client{URL: g.URL()}
			if c.CA, err = g.WriteCA(b.TempDir()); err != nil {
				b.Fatal(err)
			}
			if err := c.Open(); err != nil {
				b.Fatal(err)
			}
			guid := g.SignIn("1001")
			b.ReportAllocs()
			for b.Loop() {
				if a := c.Set(b.Context(), callOf("1001", "false", guid)); a.Class != worker.Success {
					b.Fatalf("answer %+v", a)
				}
			}
		})
	}
}
