package stream

import (
	"context"
	"errors"

	"idlepolicy/worker/gate"
)

// place is the record of this process as the owner in the control bucket. It is written by compare-and-set: once another process has
// taken over, the record is its own, and this process writes it no more.
type place struct {
	owner *Owner
	news  chan gate.Snapshot // the newest that is not stored
	mine  owners             // as it is to be, written by one goroutine at a time
	rev   uint64
}

// share stores a snapshot of the gate in the background. It replaces an older one that still waits, and never blocks. Only the event
// loop calls it.
func (r *place) share(s gate.Snapshot) {
	select {
	case <-r.news:
	default:
	}
	r.news <- s
}

// keep stores what is shared until ctx ends, and retries what cannot be stored.
func (r *place) keep(ctx context.Context) {
	for {
		select {
		case r.mine.Gateway = <-r.news:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			err := r.write(ctx, func(*owners) {})
			if err == nil || errors.Is(err, errDeposed) {
				break
			}
			r.owner.Log.Debug("what is known of the gateway is not stored yet", "err", err)
			pauseFor(ctx, lookEvery)
		}
	}
}

// write changes the record. It fails with errDeposed if another process has written it.
func (r *place) write(ctx context.Context, change func(mine *owners)) error {
	select {
	case r.mine.Gateway = <-r.news:
	default:
	}
	change(&r.mine)
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	rev, err := r.owner.writeOwners(ctx, r.mine, r.rev)
	if err == nil {
		r.rev = rev
		return nil
	}
	// The last one may have been stored although its acknowledgement was lost.
	now, rev, readErr := r.owner.readOwners(ctx)
	switch {
	case readErr != nil || rev == r.rev:
		return err
	case now.Pin != r.mine.Pin || now.Process != r.mine.Process:
		return errDeposed
	}
	rev, err = r.owner.writeOwners(ctx, r.mine, rev)
	if err == nil {
		r.rev = rev
	}
	return err
}
