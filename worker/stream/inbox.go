package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// inbox takes messages from the stream of changes to the worker, as many as it has room for. Each pull also keeps the pin: the server
// unpins a client that stops pulling.
type inbox struct {
	from     *puller
	js       jetstream.JetStream
	stream   string // of changes
	pin      string
	to       *worker.Inbox
	batch    int // messages of one pull
	maxBytes int
	met      *troubles

	pulling chan struct{} // closed once the first pull was asked for
	pulled  atomic.Int64  // when the last one was, after the start of the lease
	seen    atomic.Uint64 // messages that came since the reset, by the consumer's count
	handed  atomic.Uint64 // sequence of the last of them
	ack     atomic.Pointer[ackSubject]
}

const (
	pullFor    = time.Second // well below the pinned TTL, or the pin flaps
	pullBeat   = pullFor / 2
	pullMany   = 512
	pullPause  = 50 * time.Millisecond
	waitRoom   = 400 * time.Millisecond
	handAtOnce = 64
)

// pull runs until the term ends, and returns nil, or is lost, and returns why.
func (i *inbox) pull(ctx context.Context, lease *Lease) error {
	for ctx.Err() == nil {
		n, most := i.batch, i.maxBytes
		if !i.to.WaitRoom(ctx, waitRoom) {
			n, most = 1, 1 // keeps the place and brings nothing: no message is so small
		}
		asked := time.Now()
		err := i.from.ask(pullRequest{Expires: pullFor, Heartbeat: pullBeat, Batch: n, MaxBytes: most, Pin: i.pin})
		if err == nil {
			if i.pulled.Swap(lease.since(asked)) == 0 {
				close(i.pulling)
			}
			err = i.hand(ctx, n)
		}
		if errors.Is(err, errTooLarge) && most > 1 {
			i.maxBytes *= 2 // it was stored when more was allowed
		}
		switch {
		case err == nil, errors.Is(err, errPullOver), errors.Is(err, errTooLarge):
			i.met.report(pulling, nil)
		case errors.Is(err, errDeposed), errors.Is(err, errMoved), errors.Is(err, errLostCount):
			return err
		case ctx.Err() == nil:
			i.met.report(pulling, err)
			pauseFor(ctx, pullPause)
		}
	}
	return nil
}

// pulling names the trouble that is reported while pulls fail.
const pulling = "cannot pull changes"

// hand delivers messages as they come, those that have arrived together in one batch. It returns when as many have come as were
// requested, or the server has said that no more will.
func (i *inbox) hand(ctx context.Context, left int) error {
	asked := left
	silence := time.NewTimer(2 * pullBeat)
	defer silence.Stop()
	for left > 0 {
		var batch []delivery
		var err error
		select {
		case m := <-i.from.replies:
			batch, err = i.add(nil, m)
		case <-silence.C:
			return nil // the request was lost: another one follows
		case <-ctx.Done():
			return nil
		}
		for more := true; more && err == nil && len(batch) < handAtOnce; {
			select {
			case m := <-i.from.replies:
				batch, err = i.add(batch, m)
			default:
				more = false
			}
		}
		left -= len(batch)
		if lost := i.decode(ctx, batch); lost != nil {
			return lost
		}
		i.deliver(batch)
		if errors.Is(err, errTooLarge) && left < asked {
			return nil // it fits the next time
		}
		if err != nil {
			return err
		}
		silence.Reset(2 * pullBeat)
	}
	return nil
}

func (i *inbox) deliver(came []delivery) {
	if len(came) == 0 {
		return
	}
	batch := make([]worker.Delivery, len(came))
	for n := range came {
		batch[n] = came[n].Delivery
	}
	i.to.Deliver(batch)
	last := batch[len(batch)-1].Receipt
	i.handed.Store(last.Seq)
	i.seen.Store(last.Token[1])
}

func (i *inbox) add(batch []delivery, m *nats.Msg) ([]delivery, error) {
	if !isDelivery(m) {
		return batch, i.from.onStatus(m)
	}
	d, err := i.place(m)
	if err != nil {
		return batch, err
	}
	before := i.seen.Load()
	if len(batch) > 0 {
		before = batch[len(batch)-1].Token[1]
	}
	// The consumer counts what it sends, from 1 after each reset. A message that is missing here would be delivered after later
	// ones whose results say that it has ended, and would get no result. A late reset by a standby is treated as a loss, too,
	// because the sequence that was delivered last then says nothing about the consumer.
	if count := d.Token[1]; count != before+1 {
		return batch, fmt.Errorf("%w: the consumer counts %d after %d", errLostCount, count, before)
	}
	return append(batch, delivery{d, m}), nil
}

// delivery is a message that came in, and what is left to read of it.
type delivery struct {
	worker.Delivery
	msg *nats.Msg
}

// place reads a message's place in the stream.
func (i *inbox) place(m *nats.Msg) (worker.Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return worker.Delivery{}, fmt.Errorf("read the place of a message: %w", plain(err))
	}
	d := worker.Delivery{Pending: meta.NumPending}
	d.Seq, d.Stored = meta.Sequence.Stream, meta.Timestamp.UnixNano()
	d.Token = [2]uint64{meta.NumDelivered, meta.Sequence.Consumer}
	if i.ack.Load() == nil {
		i.ack.Store(newAckSubject(m.Reply, d.Receipt))
	}
	return d, nil
}

// decode decodes the messages. The headers that the library could not decode are read back from the stream, all at once: a publisher
// may send thousands of them, and a client that is slow to pull loses its pin.
func (i *inbox) decode(ctx context.Context, batch []delivery) error {
	var undecoded []uint64
	for n := range batch {
		if isUndecoded(batch[n].msg) {
			undecoded = append(undecoded, batch[n].Seq)
		}
	}
	headers, err := readHeaders(ctx, i.js, i.stream, undecoded)
	if err != nil {
		return fmt.Errorf("%w: read headers back: %w", errLostCount, plain(err))
	}
	for n := range batch {
		d := &batch[n]
		h := d.msg.Header
		if isUndecoded(d.msg) {
			h = headers[d.Seq]
		}
		d.read(h, d.msg.Data)
	}
	return nil
}

func (d *delivery) read(h nats.Header, body []byte) {
	name := h.Get(nats.MsgIdHdr)
	d.MsgID = name
	if parent := h.Get(messages.TraceParentHeader); messages.ValidTraceParent(parent) {
		d.TraceParent = parent
		if state := h.Get(messages.TraceStateHeader); messages.ValidTraceState(state) {
			d.TraceState = state
		}
	}
	if !messages.ValidID(name) {
		name = strconv.FormatUint(d.Seq, 10)
	}
	d.Message = messages.Decode(body, name)
	d.msg = nil
}

// ackSubject makes the subjects on which messages are acknowledged, so that a waiting message need not keep its own.
type ackSubject struct{ head, tail string }

// ackNumbers returns the part of an acknowledgement's subject that differs between messages.
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
