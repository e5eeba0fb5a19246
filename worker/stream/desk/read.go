package desk

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream"
)

// reading is one pass over a stream: live, or up to the last message at its beginning.
type reading struct {
	stream string
	from   jetstream.OrderedConsumerConfig
	live   bool
	began  func(pending uint64) // called with how many messages there are at first; may be nil
}

// errEnough is returned by a callback to end a reading without an error.
var errEnough = errors.New("enough")

const (
	lookAfter = time.Second      // without a message, whether there are any more to come
	deafFor   = 20 * time.Second // after which a server that sends nothing is given up; a live reading continues
)

// read reads messages one at a time, so memory does not grow with the stream. It recovers from reconnects and killed servers, and no
// publisher's header can stop it.
func (d *Desk) read(ctx context.Context, r reading, each func(stream.Message) error) error {
	if _, err := d.stream(ctx, r.stream); err != nil {
		return err
	}
	from, err := stream.OpenReader(ctx, d.js, r.stream, r.from)
	if err != nil {
		return d.readTrouble(ctx, r, err)
	}
	defer from.Stop() //nolint:contextcheck // it cleans up after ctx has ended too
	if r.began != nil {
		r.began(from.Pending())
	}
	if from.Pending() == 0 && !r.live {
		return nil
	}
	err = d.pass(ctx, r, from, each)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (d *Desk) pass(ctx context.Context, r reading, from *stream.Reader, each func(stream.Message) error) error {
	heard := time.Now()
	for {
		m, err := from.Next(ctx, lookAfter)
		switch {
		case errors.Is(err, stream.ErrQuiet) && r.live:
			continue
		case errors.Is(err, stream.ErrQuiet):
			// What was left may have been deleted while it was read.
			if pending, err := from.NumPending(ctx); err == nil && pending == 0 {
				return nil
			}
			continue
		case errors.Is(err, stream.ErrDeaf) && (r.live || time.Since(heard) < deafFor):
			continue
		case err != nil:
			return d.readTrouble(ctx, r, err)
		}
		heard = time.Now()
		if err := each(m); err != nil {
			return err
		}
		if m.Pending == 0 && !r.live {
			return nil
		}
	}
}

func (d *Desk) readTrouble(ctx context.Context, r reading, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.trouble("read stream "+r.stream, "stream "+r.stream, err)
}
