package stream

import (
	"errors"
	"sync/atomic"
	"time"
)

// Lease says whether this process may call the gateway now. Each confirmation by the server that it is the owner is valid for a while,
// counted from before the request was sent, so a process that was frozen finds its lease expired.
//
// Time is measured on two clocks, and the larger duration counts: the monotonic clock stops while the machine is suspended, and the
// wall clock may be set back.
type Lease struct {
	start time.Time
	until atomic.Int64 // on the monotonic clock: after start, in nanoseconds; 0: not held
	wall  atomic.Int64 // on the other one: Unix nanoseconds
	good  time.Duration
}

// ErrNoLease is returned if the server has not confirmed lately that this process is the owner.
var ErrNoLease = errors.New("not the owner, or not confirmed lately")

// leaseMargin is how much earlier than the server's pinned TTL the lease ends, so that no standby can have begun while the owner still
// relies on an answer that was on its way. The server counts from our last pull, which may have been sent that much before we asked
// it whether we are the owner.
const leaseMargin = pullFor + waitRoom + 2*pullPause

func newLease(takeover time.Duration) *Lease {
	return &Lease{start: time.Now(), good: takeover - leaseMargin}
}

// Check returns nil while the lease is valid. It may be called from any goroutine.
func (l *Lease) Check() error {
	now := time.Now()
	if int64(now.Sub(l.start)) >= l.until.Load() || now.UnixNano() >= l.wall.Load() {
		return ErrNoLease
	}
	return nil
}

// confirm counts the lease from the moment at which the server was asked, or from the last pull if that was so long
// before that the server counts from an earlier moment than the margin allows for. kept is how long the server keeps the
// place of a silent owner: if that is less than configured, it counts.
func (l *Lease) confirm(asked time.Time, pulled int64, kept time.Duration) {
	until := min(l.since(asked), pulled+int64(leaseMargin)) + int64(min(l.good, kept-leaseMargin))
	l.wall.Store(asked.UnixNano() + until - l.since(asked))
	l.until.Store(until)
}

// since returns the nanoseconds from the start of the lease until a time.
func (l *Lease) since(t time.Time) int64 { return int64(t.Sub(l.start)) }

func (l *Lease) drop() { l.until.Store(0) }
