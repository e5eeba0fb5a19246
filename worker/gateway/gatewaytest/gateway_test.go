package gatewaytest_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestProtocols(t *testing.T) {
	for name, test := range map[string]struct {
		options gatewaytest.Options
		proto   string
		scheme  string
	}{
		"HTTP/1.1 over TLS": {gatewaytest.Options{}, "HTTP/1.1", "https://"},
		"HTTP/2 over TLS":   {gatewaytest.Options{HTTP2: true}, "HTTP/2.0", "https://"},
		"plain HTTP/1.1":    {gatewaytest.Options{PlainHTTP: true}, "HTTP/1.1", "http://"},
		"plain HTTP/2":      {gatewaytest.Options{PlainHTTP: true, HTTP2: true}, "HTTP/2.0", "http://"},
		"IPv6 or a port":    {gatewaytest.Options{Addr: "localhost:0"}, "HTTP/1.1", "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, test.options)
			b.signIn("1001")
			if a := b.set(t.Context(), "1001", "false"); a.status != 200 || a.body != success || a.header.Get("Content-Type") != "application/json;charset=UTF-8" {
				t.Errorf("got %+v", a)
			}
			wantFlag(t, b, "1001", "false")
			if c := b.Calls()[0]; c.Proto != test.proto || !strings.HasPrefix(b.URL(), test.scheme) {
				t.Errorf("got %s at %s", c.Proto, b.URL())
			}
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001", "1002")
	b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Hang})
	b.On("1002", gatewaytest.Rule{LandAfter: time.Hour})
	ended := make(chan answer, 2)
	for _, agent := range []string{"1001", "1002"} {
		go func() { ended <- b.set(context.Background(), agent, "false") }()
	}
	until(t, "both calls arrive", func() bool { return b.NumCalls() == 2 })
	b.Close()
	for range 2 {
		if a := <-ended; a.err == nil {
			t.Errorf("answered: %+v", a)
		}
	}
	b.Close() // again does nothing
	var refused *net.OpError
	if a := b.set(t.Context(), "1001", "false"); !errors.As(a.err, &refused) {
		t.Errorf("got %+v", a)
	}
	calls := b.Calls()
	if len(calls) != 2 || calls[0].Done.IsZero() || calls[1].Done.IsZero() {
		t.Errorf("on record: %+v", calls)
	}
}
