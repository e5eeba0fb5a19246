package desk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publication is one change message to publish.
type Publication struct {
	ID     string // its Nats-Msg-Id: the server stores it once, however often it is sent
	Body   []byte
	Agents []string // whom it is about
}

// Stored is the server's answer to one publication.
type Stored struct {
	Index     int    // of the publication, from 0
	Seq       uint64 // in the stream of changes
	Duplicate bool   // the stream had it before
}

const (
	// window is how many changes may be in flight to the server: enough to hide the round-trip time, and a bound for memory.
	window = 4096
	// patience is how long a request is repeated without an answer: a stream that lost its leader has a new one in 4 to 6 s.
	patience = 20 * time.Second
)

// Publish publishes messages, pipelined, and calls each for each message once it is stored, in order. A message without an answer is
// sent again with the same ID, so nothing is stored twice. A message about an agent waits until earlier ones about the same agent
// are stored: otherwise a repetition could put the older one after the newer, and the last change wins.
func (d *Desk) Publish(ctx context.Context, msgs iter.Seq[Publication], stored func(Stored)) error {
	if err := d.lookUpChanges(ctx); err != nil {
		return err
	}
	return d.Store(ctx, msgs, stored)
}

// Store is Publish without the check that the stream exists. It may be called by many goroutines at once.
func (d *Desk) Store(ctx context.Context, msgs iter.Seq[Publication], stored func(Stored)) error {
	p := &pipeline{desk: d, stored: stored, agents: map[string]struct{}{}}
	for m := range msgs {
		if p.send(ctx, m); p.failed != nil {
			break
		}
	}
	// The caller learns which messages are stored, even after an interruption.
	p.drain(ctx, 0)
	return p.failed
}

// lookUpChanges checks that the stream of changes exists and is the site's. A user who may only publish is denied that, but can publish
// nevertheless.
func (d *Desk) lookUpChanges(ctx context.Context) error {
	ctx, deny := context.WithCancelCause(ctx)
	defer deny(nil)
	told := d.nc.ErrorHandler()
	defer d.nc.SetErrorHandler(told)
	d.nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		switch {
		case errors.Is(err, nats.ErrPermissionViolation):
			deny(err)
		case told != nil:
			told(nc, sub, err)
		}
	})
	_, err := d.stream(ctx, d.names.ChangesStream())
	if denied := context.Cause(ctx); err != nil && errors.Is(denied, nats.ErrPermissionViolation) {
		d.spared = denied
		return nil
	}
	return err
}

// pipeline has the messages that were sent and not confirmed, oldest first.
type pipeline struct {
	desk   *Desk
	stored func(Stored)
	queue  []underway
	agents map[string]struct{} // whom the queue is about
	next   int
	failed error // the first failure: nothing more is sent
}

type underway struct {
	Publication
	index  int
	future jetstream.PubAckFuture // nil: it could not be sent yet
}

func (p *pipeline) send(ctx context.Context, m Publication) {
	most := max(0, window-max(1, len(m.Agents)))
	if p.isUnderWay(m.Agents) {
		most = 0
	}
	p.drain(ctx, most)
	if p.failed == nil {
		p.failed = ctx.Err()
	}
	if p.failed != nil {
		return
	}
	future, err := p.desk.js.PublishMsgAsync(p.desk.change(m))
	if err != nil && !isTimeout(err) {
		p.fail(p.next, err)
		return
	}
	p.queue = append(p.queue, underway{m, p.next, future})
	p.next++
	for _, agent := range m.Agents {
		p.agents[agent] = struct{}{}
	}
	for len(p.queue) > 0 && isAnswered(p.queue[0].future) { // so that progress is reported as it happens
		p.finish(ctx)
	}
}

func (p *pipeline) isUnderWay(agents []string) bool {
	return slices.ContainsFunc(agents, func(agent string) bool { _, ok := p.agents[agent]; return ok })
}

// isAnswered reports whether there is an answer, without waiting for it or consuming it.
func isAnswered(f jetstream.PubAckFuture) bool { return f != nil && len(f.Ok())+len(f.Err()) > 0 }

// drain waits until at most so many messages, and agents, are in flight.
func (p *pipeline) drain(ctx context.Context, most int) {
	for len(p.queue) > most || len(p.queue) > 0 && len(p.agents) > most {
		p.finish(ctx)
	}
}

// finish waits for the outcome of the oldest message in flight.
func (p *pipeline) finish(ctx context.Context) {
	u := p.queue[0]
	p.queue = p.queue[1:]
	ack, err := u.wait()
	if err != nil && isTimeout(err) && p.failed == nil {
		ack, err = p.desk.insist(ctx, u.Publication, err)
	}
	for _, agent := range u.Agents {
		delete(p.agents, agent)
	}
	if err != nil {
		p.fail(u.index, err)
		return
	}
	p.stored(Stored{Index: u.index, Seq: ack.Sequence, Duplicate: ack.Duplicate})
}

func (p *pipeline) fail(index int, err error) {
	if p.failed == nil {
		d := p.desk
		p.failed = d.trouble(fmt.Sprintf("publish message %d", index+1), "stream "+d.names.ChangesStream(), err)
	}
}

// wait waits for the answer. It needs no context, because a future fails by itself after requestFor.
func (u underway) wait() (*jetstream.PubAck, error) {
	if u.future == nil {
		return nil, nats.ErrDisconnected
	}
	select {
	case ack := <-u.future.Ok():
		return ack, nil
	case err := <-u.future.Err():
		return nil, err
	}
}

// insist sends a message until the server has answered or patience has passed.
func (d *Desk) insist(ctx context.Context, m Publication, err error) (*jetstream.PubAck, error) {
	until := time.Now().Add(patience)
	for isTimeout(err) && d.denied() == nil && time.Now().Before(until) && ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, requestFor)
		ack, again := d.js.PublishMsg(asking, d.change(m))
		cancel()
		if again == nil {
			return ack, nil
		}
		err = again
		pause(ctx, pauseFor) // without a connection the answer comes at once
	}
	return nil, err
}

func (d *Desk) change(m Publication) *nats.Msg {
	msg := nats.NewMsg(d.names.Changes())
	msg.Data = m.Body
	msg.Header.Set(nats.MsgIdHdr, m.ID)
	return msg
}

// MaxPayload returns the size of the largest message that the server accepts.
func (d *Desk) MaxPayload() int { return int(d.nc.MaxPayload()) }

const pauseFor = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
