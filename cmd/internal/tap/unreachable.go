package tap

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outage logs once when requests no longer reach the gateway, and once when they do again, however many fail in between.
type outage struct {
	open atomic.Bool // the last request that ended did not reach the gateway; read for each answer

	mu     sync.Mutex // guards what follows
	began  time.Time
	last   time.Time // when a request failed last
	failed int       // requests since it began
	warned time.Time // when it was logged last, this outage or an earlier one
	logged bool      // this outage was logged, so its end is too
}

// warnAgain is the least time between two warnings, so that a gateway that answers every other request does not fill the log.
const warnAgain = time.Minute

// report records that a request did not reach the gateway at that address.
func (o *outage) report(log *slog.Logger, address, why string) {
	now := time.Now()
	o.mu.Lock()
	if !o.open.Swap(true) {
		o.began, o.failed, o.logged = now, 0, false
	}
	o.last = now
	o.failed++
	warn := !o.logged && (o.warned.IsZero() || now.Sub(o.warned) >= warnAgain)
	if warn {
		o.logged, o.warned = true, now
	}
	o.mu.Unlock()
	if warn {
		log.Warn("the gateway cannot be reached", "address", address, "why", why)
	}
}

// over records an answer to a request sent at that time. Answers to requests from before the last failure prove nothing.
func (o *outage) over(log *slog.Logger, address string, sent time.Time) {
	if !o.open.Load() {
		return
	}
	o.mu.Lock()
	if !o.open.Load() || sent.Before(o.last) {
		o.mu.Unlock()
		return
	}
	o.open.Store(false)
	logged, lasted, failed := o.logged, time.Since(o.began), o.failed
	o.mu.Unlock()
	if logged {
		log.Info("the gateway can be reached again", "address", address, "after", lasted.Round(time.Millisecond).String(), "requests_failed", failed)
	}
}
