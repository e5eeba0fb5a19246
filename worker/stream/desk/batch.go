package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// BatchNow returns what was stored last about a batch, its summary or its progress, as stored; nil: nothing.
func (d *Desk) BatchNow(ctx context.Context, id string) ([]byte, error) {
	var last stream.Message
	for _, subject := range []string{d.names.Batch(id), d.names.BatchProgress(id)} {
		m, err := stream.GetLastMsg(ctx, d.js, d.names.ResultsStream(), subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return nil, d.trouble("read about the batch", "stream "+d.names.ResultsStream(), err)
		case m.Seq > last.Seq && json.Valid(m.Data):
			last = m
		}
	}
	return last.Data, nil
}

// Batch waits for a batch's summary and returns it. A summary that is the last message of the ID is returned at once; one that is
// followed by progress belongs to an earlier batch with the same ID. If nothing is stored about the batch, Batch calls nothing and
// waits, because the batch may still come.
func (d *Desk) Batch(ctx context.Context, id string, nothing func(), progress func(messages.BatchProgress)) (messages.BatchSummary, error) {
	var sum messages.BatchSummary
	var atFirst uint64
	r := reading{
		stream: d.names.ResultsStream(), live: true,
		from: jetstream.OrderedConsumerConfig{
			DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
			FilterSubjects: []string{d.names.Batch(id), d.names.BatchProgress(id)},
		},
		began: func(pending uint64) {
			if atFirst = pending; pending == 0 {
				nothing()
			}
		},
	}
	seen := uint64(0)
	err := d.read(ctx, r, func(m stream.Message) error {
		seen++
		if m.Subject == d.names.Batch(id) {
			if seen < atFirst {
				return nil
			}
			if err := json.Unmarshal(m.Data, &sum); err != nil {
				return fmt.Errorf("read the summary of batch %s: %w", id, err)
			}
			return errEnough
		}
		var p messages.BatchProgress
		if err := json.Unmarshal(m.Data, &p); err != nil {
			return fmt.Errorf("read the progress of batch %s: %w", id, err)
		}
		progress(p)
		return nil
	})
	return sum, err
}
