package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// inbox takes messages from the stream of changes to the worker, as many as it has room for. Each pull also keeps our
// place: the server lets go of an owner that has stopped pulling.
type inbox struct {
	consumer jetstream.Consumer
	to       *worker.Inbox
	maxBytes int
	log      *slog.Logger
	ack      atomic.Pointer[ackSubject]
}

const (
	pullFor    = time.Second // well below the pinned TTL, else the pin flaps
	pullBeat   = pullFor / 2
	pullMany   = 512
	waitRoom   = 400 * time.Millisecond
	handAtOnce = 64
)

// pull runs until the term ends or is lost; the error says how.
func (i *inbox) pull(ctx context.Context) error {
	for ctx.Err() == nil {
		n := 1 // keeps the place while the worker has no room
		if i.to.WaitRoom(ctx, waitRoom) {
			n = pullMany
		}
		batch, err := i.consumer.Fetch(n, jetstream.FetchMaxWait(pullFor), jetstream.FetchHeartbeat(pullBeat),
			jetstream.FetchPriorityGroup(priorityGroup), jetstream.FetchMaxBytes(i.maxBytes))
		if err == nil {
			i.hand(ctx, batch.Messages())
			err = batch.Error()
		}
		switch {
		case errors.Is(err, jetstream.ErrPinIDMismatch):
			return errDeposed
		case err != nil && ctx.Err() == nil:
			i.log.Debug("pull", "err", err)
			pauseFor(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

// hand hands messages over as they come, those that are there already together.
func (i *inbox) hand(ctx context.Context, from <-chan jetstream.Msg) {
	for {
		var batch []worker.Delivery
		select {
		case m, ok := <-from:
			if !ok {
				return
			}
			batch = i.add(batch, m)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(batch) < handAtOnce; {
			select {
			case m, ok := <-from:
				if ok {
					batch = i.add(batch, m)
				}
				more = ok
			default:
				more = false
			}
		}
		i.to.Deliver(batch)
	}
}

func (i *inbox) add(batch []worker.Delivery, m jetstream.Msg) []worker.Delivery {
	d, err := i.delivery(m)
	if err != nil {
		i.log.Error("message without its place in the stream", "err", err) // cannot be, and cannot be answered
		return batch
	}
	return append(batch, d)
}

func (i *inbox) delivery(m jetstream.Msg) (worker.Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return worker.Delivery{}, fmt.Errorf("read metadata: %w", err)
	}
	d := worker.Delivery{Pending: meta.NumPending}
	d.Seq, d.Stored = meta.Sequence.Stream, meta.Timestamp.UnixNano()
	d.Token = [2]uint64{meta.NumDelivered, meta.Sequence.Consumer}
	if i.ack.Load() == nil {
		i.ack.Store(newAckSubject(m.Reply(), d.Receipt))
	}
	name := ""
	if h := m.Headers(); h != nil {
		name = h.Get(nats.MsgIdHdr)
		d.MsgID = name
		d.TraceParent, d.TraceState = h.Get(messages.TraceParentHeader), h.Get(messages.TraceStateHeader)
	}
	if !messages.ValidID(name) {
		name = strconv.FormatUint(d.Seq, 10)
	}
	d.Message = messages.Decode(m.Data(), name)
	return d, nil
}

// ackSubject makes the subjects on which messages are acknowledged, so that each waiting message need not keep its own.
type ackSubject struct{ head, tail string }

// numbers are the part of an acknowledgement's subject that differs from message to message.
func ackNumbers(r worker.Receipt) string {
	b := make([]byte, 0, 64)
	for _, n := range [...]uint64{r.Token[0], r.Seq, r.Token[1], uint64(r.Stored)} {
		b = strconv.AppendUint(append(b, '.'), n, 10)
	}
	return string(append(b, '.'))
}

func newAckSubject(reply string, r worker.Receipt) *ackSubject {
	head, rest, ok := strings.Cut(reply, ackNumbers(r))
	if !ok {
		return &ackSubject{}
	}
	tail := "0"
	if _, token, more := strings.Cut(rest, "."); more {
		tail += "." + token
	}
	return &ackSubject{head, tail}
}

func (a *ackSubject) of(r worker.Receipt) string { return a.head + ackNumbers(r) + a.tail }
