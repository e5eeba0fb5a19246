package gatewaytest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestConcurrent(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001", "1002", "1003")
	b.On("1001", gatewaytest.Rule{Times: 1, Latency: time.Hour})
	b.On("1002", gatewaytest.Rule{Times: 1, Latency: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan answer, 2)
	for _, agent := range []string{"1001", "1002"} {
		go func() { ended <- b.set(ctx, agent, "wrap") }()
	}
	until(t, "two calls are under way", func() bool { return b.NumCalls() == 2 })
	b.SetCapacity(gatewaytest.Capacity{Concurrent: 2, Status: 429, RetryAfter: 3 * time.Second})
	a := b.set(t.Context(), "1003", "wrap")
	if a.status != 429 || a.header.Get("Retry-After") != "3" {
		t.Errorf("got %+v", a)
	}
	if c := b.Calls()[2]; c.Fault != gatewaytest.FaultCapacity || c.Applied || c.Retcode != "" {
		t.Errorf("on record as %+v", c)
	}
	leave()
	<-ended
	<-ended
	until(t, "there is room again", func() bool { return b.set(t.Context(), "1003", "wrap").code() == "0" })
}

// However slowly the calls come, no window of a second has more than so many that were taken.
func TestPerSecond(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	b.SetCapacity(gatewaytest.Capacity{PerSecond: 3})
	for b.Summary().Statuses[http.StatusOK] < 5 {
		b.set(t.Context(), "1001", "wrap")
	}
	var taken gatewaytest.Record
	for _, c := range b.Calls() {
		switch c.Status {
		case http.StatusOK:
			taken = append(taken, c)
		case http.StatusServiceUnavailable:
			if len(taken) < 3 {
				t.Errorf("refused after %d", len(taken))
			}
		default:
			t.Errorf("status %d", c.Status)
		}
	}
	if n := taken.MaxInWindow(time.Second); n > 3 {
		t.Errorf("%d calls were taken within a second", n)
	}
	b.SetCapacity(gatewaytest.Capacity{})
	for range 10 {
		if a := b.set(t.Context(), "1001", "wrap"); a.code() != "0" {
			t.Errorf("without a limit: got %+v", a)
		}
	}
}
