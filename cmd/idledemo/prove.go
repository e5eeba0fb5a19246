package main

import (
	"context"
	"errors"
	"time"

	"idlepolicy/worker/stream/desk"
)

// prove reads all results again, from the stream itself: every change has exactly one ending. It also asks the gateway:
// every agent has the flag that was applied last.
func (d *show) prove(ctx context.Context) error {
	deadline := time.Now().Add(gatewayTimeout)
	for {
		err := d.proveOnce(ctx)
		var other *otherFlag
		if !errors.As(err, &other) || time.Now().After(deadline) {
			return err
		}
		// A call for somebody else's change may have landed whose result is not stored yet.
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *show) proveOnce(ctx context.Context) error {
	again := newTally()
	for at := range d.tally.all {
		if _, open := d.tally.open[at]; !open { // with -serve some wait on
			again.expect(at, awaited{})
		}
	}
	err := d.desk.Results(ctx, desk.Query{Seq: d.before + 1}, func(e desk.Event) error {
		again.add(e)
		return nil
	})
	if err != nil {
		return err
	}
	if err := again.wrong(); err != nil {
		return err
	}
	return again.compare(d.gateway.Flag)
}
