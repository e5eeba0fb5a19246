package desk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// SessionEntry is one agent's record in the registry. For display, use stream.ShownKey of the key and the fingerprint of the GUID.
type SessionEntry struct {
	Agent    string
	Session  messages.Session
	Revision uint64
	Written  time.Time
	Trouble  error // why the worker cannot use it; nil: it can
}

// ErrNoSession is returned if an agent has no session to delete.
var ErrNoSession = errors.New("no session")

// PutSession signs in an agent and returns the revision of the record. It refuses a record that the worker could not use.
func (d *Desk) PutSession(ctx context.Context, agent string, s messages.Session) (uint64, error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	kv, err := d.bucket(ctx, d.names.SessionsBucket())
	if err != nil {
		return 0, err
	}
	rev, err := kv.Put(ctx, agent, messages.EncodeSession(s))
	if err != nil {
		return 0, d.trouble("write the session", "bucket "+kv.Bucket(), err)
	}
	return rev, nil
}

// together is how many sessions are written before their acknowledgements are waited for.
const together = 1000

// PutSessions signs in many agents, pipelined.
func (d *Desk) PutSessions(ctx context.Context, all iter.Seq2[string, messages.Session]) error {
	kv, err := d.bucket(ctx, d.names.SessionsBucket())
	if err != nil {
		return err
	}
	var sent []jetstream.PubAckFuture
	for agent, s := range all {
		if err := s.Check(); err != nil {
			return err
		}
		future, err := d.js.PublishAsync("$KV."+kv.Bucket()+"."+agent, messages.EncodeSession(s))
		if err != nil {
			return d.trouble("write the session", "bucket "+kv.Bucket(), err)
		}
		if sent = append(sent, future); len(sent) < together {
			continue
		}
		if err := d.stored(kv.Bucket(), sent); err != nil {
			return err
		}
		sent = sent[:0]
	}
	return d.stored(kv.Bucket(), sent)
}

// stored waits until all of these are stored. Each future has an answer or fails after requestFor.
func (d *Desk) stored(bucket string, sent []jetstream.PubAckFuture) error {
	for _, future := range sent {
		if _, err := (underway{future: future}).wait(); err != nil {
			return d.trouble("write the session", "bucket "+bucket, err)
		}
	}
	return nil
}

// Sessions calls each with all sessions, one at a time.
func (d *Desk) Sessions(ctx context.Context, each func(SessionEntry) error) error {
	kv, err := d.bucket(ctx, d.names.SessionsBucket())
	if err != nil {
		return err
	}
	prefix := "$KV." + kv.Bucket() + "."
	r := reading{stream: "KV_" + kv.Bucket(), from: jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{prefix + ">"},
	}}
	return d.read(ctx, r, func(m stream.Message) error {
		if isDeleted(m) {
			return nil
		}
		e := SessionEntry{Agent: m.Subject[len(prefix):], Revision: m.Seq, Written: m.At}
		if e.Session, e.Trouble = messages.DecodeSession(m.Data); e.Trouble == nil && !messages.ValidAgentID(e.Agent) {
			e.Trouble = errors.New("the key is not an agent ID: want 101 to 999999")
		}
		return each(e)
	})
}

// DeleteSession signs out an agent. It returns ErrNoSession if the agent was not signed in.
func (d *Desk) DeleteSession(ctx context.Context, agent string) error {
	kv, err := d.bucket(ctx, d.names.SessionsBucket())
	if err != nil {
		return err
	}
	record, err := d.record(ctx, kv, agent)
	if err != nil {
		return err
	}
	if record == nil {
		return fmt.Errorf("%w of agent %s", ErrNoSession, agent)
	}
	if err := kv.Delete(ctx, agent); err != nil {
		return d.trouble("delete the session", "bucket "+kv.Bucket(), err)
	}
	return nil
}
