package stream

import (
	"errors"
	"sync/atomic"
	"time"
)

// Lease says whether this process may call the gateway at this very moment. The server's word that it is the owner is
// good for a while, counted on the local monotonic clock from before the question was sent, so that a process that was
// frozen finds its lease gone.
type Lease struct {
	start time.Time
	until atomic.Int64 // after start, in nanoseconds; 0: not held
	good  time.Duration
}

// ErrNoLease is returned where the server has not confirmed lately that this process is the owner.
var ErrNoLease = errors.New("not the owner, or not confirmed lately")

// leaseMargin is by how much the lease ends before the server lets go of a silent owner: a standby cannot have begun
// while an answer that the owner counts on was still on its way.
const leaseMargin = 1500 * time.Millisecond

func newLease(takeover time.Duration) *Lease {
	return &Lease{start: time.Now(), good: takeover - leaseMargin}
}

// Check returns nil while the lease is held. It may be called from anywhere.
func (l *Lease) Check() error {
	if int64(time.Since(l.start)) >= l.until.Load() {
		return ErrNoLease
	}
	return nil
}

func (l *Lease) confirm(asked time.Time) { l.until.Store(int64(asked.Sub(l.start) + l.good)) }

func (l *Lease) drop() { l.until.Store(0) }
