package desk

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reading is one way through a stream: live, or up to what it holds at the beginning.
type reading struct {
	stream string
	from   jetstream.OrderedConsumerConfig
	live   bool
	began  func(pending uint64) // told how many messages there are at first; may be nil
}

// item is one message of a stream.
type item struct {
	subject string
	header  nats.Header
	body    []byte
	seq     uint64
	at      time.Time
	pending uint64 // how many more there were when it was sent
}

// errEnough is what a reader returns to end a reading without an error.
var errEnough = errors.New("enough")

const (
	lookAfter    = time.Second      // without a message, whether there are any more to come
	readerIsGone = 30 * time.Second // after which the server forgets a reader
	leaveWithin  = time.Second
)

// read reads messages one at a time, so that nothing grows with the stream. An ordered consumer finds its way through
// reconnects and killed servers by itself.
func (d *Desk) read(ctx context.Context, r reading, each func(item) error) error {
	s, err := d.stream(ctx, r.stream)
	if err != nil {
		return err
	}
	r.from.InactiveThreshold = readerIsGone
	c, err := s.OrderedConsumer(ctx, r.from)
	if err != nil {
		return d.trouble("read stream "+r.stream, "stream "+r.stream, err)
	}
	defer d.leave(ctx, s, c)
	pending, err := d.pendingOf(ctx, c, r)
	if err != nil {
		return err
	}
	if r.began != nil {
		r.began(pending)
	}
	if pending == 0 && !r.live {
		return nil
	}
	it, err := c.Messages()
	if err != nil {
		return d.trouble("read stream "+r.stream, "stream "+r.stream, err)
	}
	// Next heeds the context while it waits for a message, but not while it waits for a server to come back.
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	err = d.pass(ctx, r, c, it, each)
	switch {
	case errors.Is(err, errEnough):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// leave has the server forget the reader at once: it bears so many only, and a script may ask again and again.
func (d *Desk) leave(ctx context.Context, s jetstream.Stream, c jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if info := c.CachedInfo(); info != nil {
		_ = s.DeleteConsumer(ctx, info.Name) // else it is forgotten after readerIsGone
	}
}

func (d *Desk) pendingOf(ctx context.Context, c jetstream.Consumer, r reading) (uint64, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return 0, d.trouble("read stream "+r.stream, "stream "+r.stream, err)
	}
	return info.NumPending, nil
}

func (d *Desk) pass(ctx context.Context, r reading, c jetstream.Consumer, it jetstream.MessagesContext, each func(item) error) error {
	for {
		m, err := it.Next(jetstream.NextMaxWait(lookAfter))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout) && r.live:
			continue
		case errors.Is(err, nats.ErrTimeout):
			// What was left may have been deleted while it was read.
			if pending, err := d.pendingOf(ctx, c, r); err != nil || pending == 0 {
				return err
			}
			continue
		case err != nil:
			return d.trouble("read stream "+r.stream, "stream "+r.stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		one := item{m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp, meta.NumPending}
		if err := each(one); err != nil {
			return err
		}
		if one.pending == 0 && !r.live {
			return nil
		}
	}
}
