package main

import (
	"context"
	"fmt"

	"idlepolicy/worker/stream/desk"
)

// prove reads all results anew, from the stream itself: every change has exactly one ending. And it asks the gateway:
// every agent has the flag that was applied to it last.
func (d *show) prove(ctx context.Context) error {
	again := newTally()
	for at := range d.tally.all {
		if _, open := d.tally.open[at]; !open { // with -serve some wait on
			again.expect(at, awaited{})
		}
	}
	err := d.desk.Results(ctx, desk.Query{Seq: d.mark + 1}, func(e desk.Event) error {
		again.add(e)
		return nil
	})
	if err != nil {
		return err
	}
	if err := again.wrong(); err != nil {
		return err
	}
	for agent, flag := range again.flags {
		if has, ok := d.gateway.Flag(agent); !ok || has != flag {
			return fmt.Errorf("agent %s has flag %q at the gateway, and %q was applied last", agent, has, flag)
		}
	}
	return nil
}
