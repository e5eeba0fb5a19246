package gatewaytest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"syscall"
	"testing"

	"idlepolicy/worker/gateway/gatewaytest"
)

func outage(t *testing.T, b *bench, o gatewaytest.Outage) {
	t.Helper()
	if err := b.SetOutage(o); err != nil {
		t.Fatal(err)
	}
}

func TestOutages(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			url := b.URL()
			for _, kind := range []gatewaytest.Outage{gatewaytest.Refusing, gatewaytest.Resetting, gatewaytest.Refusing} {
				if a := b.set(t.Context(), "1001", "up"); a.code() != "0" {
					t.Fatalf("before: got %+v", a)
				}
				outage(t, b, kind)
				for range 3 { // the first on the connection that was open
					a := b.set(t.Context(), "1001", "down")
					if a.err == nil || errors.Is(a.err, syscall.ECONNREFUSED) && kind == gatewaytest.Resetting {
						t.Errorf("%s: got %+v", kind, a)
					}
				}
				if a := b.set(t.Context(), "1001", "down"); kind == gatewaytest.Refusing && !errors.Is(a.err, syscall.ECONNREFUSED) {
					t.Errorf("%s: got %+v", kind, a)
				}
				wantFlag(t, b, "1001", "up")
				if conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true}); err == nil {
					t.Errorf("%s: a new connection gets through", kind)
					conn.Close()
				}
				outage(t, b, gatewaytest.NoOutage)
			}
			until(t, "it is there again", func() bool { return b.set(t.Context(), "1001", "again").code() == "0" })
			if b.URL() != url {
				t.Errorf("it was at %s and is at %s", url, b.URL())
			}
			if s := b.Summary(); s.Dropped == 0 || s.Connections <= s.Dropped {
				t.Errorf("%d of %d connections dropped", s.Dropped, s.Connections)
			}
		})
	}
}

func TestHanging(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			b.set(t.Context(), "1001", "up")
			outage(t, b, gatewaytest.Hanging)
			ended := make(chan answer)
			go func() { ended <- b.set(t.Context(), "1001", "open") }() // on the connection that was open
			until(t, "the call arrives", func() bool { return b.NumCalls() == 2 })
			fresh := &bench{Gateway: b.Gateway, client: clientOf(t, b.Gateway, gatewaytest.Options{}), guids: b.guids}
			ctx, leave := context.WithCancel(t.Context())
			go func() { ended <- fresh.set(ctx, "1002", "new") }()
			until(t, "the connection is taken", func() bool { return b.Summary().Dropped == 1 })
			leave()
			if a := <-ended; !errors.Is(a.err, context.Canceled) {
				t.Errorf("on a new connection: got %+v", a)
			}
			outage(t, b, gatewaytest.NoOutage)
			if a := <-ended; a.err == nil {
				t.Errorf("on the open connection: got %+v", a)
			}
			wantFlag(t, b, "1001", "up")
			if c := b.Calls()[1]; c.Fault != "hanging" || c.Status != 0 {
				t.Errorf("on record as %+v", c)
			}
		})
	}
}

// Calls that were there when the outage began take effect, and their answers are lost.
func TestOutageLosesAnswers(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	land := make(chan struct{})
	b.On("1001", gatewaytest.Rule{LandOn: land})
	ended := make(chan answer)
	go func() { ended <- b.set(t.Context(), "1001", "wrap") }()
	until(t, "the call arrives", func() bool { return b.NumCalls() == 1 })
	outage(t, b, gatewaytest.Refusing)
	if a := <-ended; a.err == nil {
		t.Errorf("got %+v", a)
	}
	wantFlag(t, b, "1001", "true")
	close(land)
	until(t, "the call lands", func() bool { return b.Calls()[0].Applied })
	wantFlag(t, b, "1001", "wrap")
	if c := b.Calls()[0]; c.Fault != "refusing" || c.Status != 0 || c.Retcode != "" {
		t.Errorf("on record as %+v", c)
	}
	outage(t, b, gatewaytest.NoOutage)
}

func TestOutageAndClose(t *testing.T) {
	for _, kind := range []gatewaytest.Outage{gatewaytest.Refusing, gatewaytest.Resetting, gatewaytest.Hanging} {
		b := start(t, gatewaytest.Options{})
		outage(t, b, kind)
		b.Close()
		outage(t, b, gatewaytest.NoOutage)
		if a := b.set(t.Context(), "1001", "x"); !errors.Is(a.err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %+v", kind, a)
		}
	}
}
