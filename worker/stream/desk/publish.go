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

// Stored is what the server said of one publication.
type Stored struct {
	Index     int    // of the publication, from 0
	Seq       uint64 // in the stream of changes
	Duplicate bool   // the stream had it before
}

const (
	// window is how many changes may be under way to the server: enough to hide the way there and back, and a bound
	// for what is remembered about them.
	window = 4096
	// patience is how long a silent server is asked again: a stream that lost its leader has a new one in 4 to 6 s.
	patience = 20 * time.Second
)

// Publish publishes messages, pipelined, and tells of each once it is stored, in order. What a silent server may not
// have got is sent again with the same ID, so nothing is doubled. A message about an agent that is still under way in an
// older one waits for that: else a repetition could put the older one behind the newer, and the last change wins.
func (d *Desk) Publish(ctx context.Context, msgs iter.Seq[Publication], stored func(Stored)) error {
	if err := d.lookUpChanges(ctx); err != nil {
		return err
	}
	return d.Store(ctx, msgs, stored)
}

// Store is Publish for those who know that the stream is there. It may be called by many at once.
func (d *Desk) Store(ctx context.Context, msgs iter.Seq[Publication], stored func(Stored)) error {
	p := &pipeline{desk: d, stored: stored, agents: map[string]struct{}{}}
	for m := range msgs {
		if p.send(ctx, m); p.failed != nil {
			break
		}
	}
	// What is under way is stored or not: the caller learns which, also after an interruption.
	p.drain(ctx, 0)
	return p.failed
}

// lookUpChanges tells whether the stream of changes is there, and the site's. A user who may do nothing but publish is
// denied the look: what it publishes is answered all the same.
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

// pipeline is what was sent and not confirmed, oldest first.
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
	if err != nil && !isSilence(err) {
		p.fail(p.next, err)
		return
	}
	p.queue = append(p.queue, underway{m, p.next, future})
	p.next++
	for _, agent := range m.Agents {
		p.agents[agent] = struct{}{}
	}
	for len(p.queue) > 0 && isAnswered(p.queue[0].future) { // so that progress is told as it happens
		p.settle(ctx)
	}
}

func (p *pipeline) isUnderWay(agents []string) bool {
	return slices.ContainsFunc(agents, func(agent string) bool { _, ok := p.agents[agent]; return ok })
}

// isAnswered looks without waiting and without taking the answer away.
func isAnswered(f jetstream.PubAckFuture) bool { return f != nil && len(f.Ok())+len(f.Err()) > 0 }

// drain waits until at most so many messages, and agents, are under way.
func (p *pipeline) drain(ctx context.Context, most int) {
	for len(p.queue) > most || len(p.queue) > 0 && len(p.agents) > most {
		p.settle(ctx)
	}
}

// settle learns what became of the oldest one under way.
func (p *pipeline) settle(ctx context.Context) {
	u := p.queue[0]
	p.queue = p.queue[1:]
	ack, err := u.wait()
	if err != nil && isSilence(err) && p.failed == nil {
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

// wait needs no context: a future without an answer fails by itself after requestFor.
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

// insist sends a message until the server has answered or patience ends.
func (d *Desk) insist(ctx context.Context, m Publication, err error) (*jetstream.PubAck, error) {
	until := time.Now().Add(patience)
	for isSilence(err) && d.denied() == nil && time.Now().Before(until) && ctx.Err() == nil {
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

// MaxPayload is how large a message the server takes.
func (d *Desk) MaxPayload() int { return int(d.nc.MaxPayload()) }

const pauseFor = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
