package gatewaytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"idlepolicy/worker/gateway/gatewaytest"
)

// What ends a connection in one protocol may only end a stream in the other.
var protocols = map[string]gatewaytest.Options{"HTTP1": {}, "HTTP2": {HTTP2: true}}

func TestCut(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			for _, lands := range []bool{false, true} {
				b.signIn("1001")
				remove := b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Cut, Lands: lands})
				if a := b.set(t.Context(), "1001", "wrap"); !broken(a.err) {
					t.Errorf("got %+v", a)
				}
				remove()
				calls := b.CallsOf("1001")
				if c := calls[len(calls)-1]; c.Fault != "cut" || c.Status != 0 || c.Retcode != "" || c.Done.IsZero() {
					t.Errorf("on record as %+v", c)
				}
				wantLanded(t, b, lands)
				if a := b.set(t.Context(), "1001", "true"); a.code() != "0" {
					t.Errorf("after it: got %+v", a)
				}
			}
		})
	}
}

func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE)
}

func TestHang(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Hang, Lands: true})
			ctx, leave := context.WithCancel(t.Context())
			ended := make(chan answer)
			go func() { ended <- b.set(ctx, "1001", "wrap") }()
			until(t, "the call lands", func() bool { calls := b.Calls(); return len(calls) == 1 && calls[0].Applied })
			if a := b.set(t.Context(), "1002", "wrap"); a.code() != "0" {
				t.Errorf("another agent: got %+v", a)
			}
			leave()
			if a := <-ended; !errors.Is(a.err, context.Canceled) {
				t.Errorf("got %+v", a)
			}
			wantLanded(t, b, true)
		})
	}
}

func TestDamagedAnswers(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			for fault, ok := range map[gatewaytest.Fault]func(a answer) bool{
				gatewaytest.CutJSON: func(a answer) bool {
					return len(a.body) > 10 && strings.HasPrefix(success, a.body) && a.body != success
				},
				gatewaytest.WrongType: func(a answer) bool { return a.body == success && a.header.Get("Content-Type") == "text/plain" },
				gatewaytest.Huge: func(a answer) bool {
					return len(a.body) > 16<<20 && strings.HasPrefix(a.body, success[:20]) && a.code() == "0"
				},
			} {
				b.signIn("1001")
				remove := b.On("1001", gatewaytest.Rule{Fault: fault})
				if a := b.set(t.Context(), "1001", "wrap"); a.err != nil || a.status != 200 || !ok(a) {
					t.Errorf("%s: got %d bytes, %d, %v", fault, len(a.body), a.status, a.err)
				}
				remove()
				wantLanded(t, b, true)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	for _, status := range []int{0, 502} {
		remove := b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Empty, Status: status})
		if a := b.set(t.Context(), "1001", "wrap"); a.err != nil || a.status != max(status, 200) || a.body != "" {
			t.Errorf("got %+v", a)
		}
		remove()
		wantLanded(t, b, false)
	}
}

func TestEndless(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001", "1002")
			b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Endless})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL()+path("1001", "wrap"), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Guid", b.guids["1001"])
			resp, err := b.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, resp.Body, 1<<18); err != nil {
				t.Errorf("it ended after %d bytes: %v", n, err)
			}
			resp.Body.Close()
			wantLanded(t, b, true)
			b.Close() // waits for the end of the call, so it hangs where the gateway goes on writing
		})
	}
}
