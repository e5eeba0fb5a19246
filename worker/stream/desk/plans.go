package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream"
)

// PlanEntry is a value that is stored for a plan.
type PlanEntry struct {
	Key      string // one token of a subject
	Value    []byte // nothing: deleted
	Revision uint64 // 0: there was none
}

// ErrPlanChanged is returned if somebody else has stored an entry since it was read.
var ErrPlanChanged = errors.New("somebody else has changed it in the meantime")

// Plan returns everything that is stored for a plan; nothing if there is no bucket yet.
func (d *Desk) Plan(ctx context.Context, name string) ([]PlanEntry, error) {
	bucket := d.names.PlansBucket()
	_, err := d.js.Stream(ctx, "KV_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, d.trouble("look up bucket "+bucket, "bucket "+bucket, err)
	}
	prefix := "$KV." + bucket + "." + name + "."
	r := reading{stream: "KV_" + bucket, from: jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{prefix + "*"},
	}}
	var all []PlanEntry
	err = d.read(ctx, r, func(m stream.Message) error {
		e := PlanEntry{Key: m.Subject[len(prefix):], Revision: m.Seq}
		if m.Header.Get("KV-Operation") == "" {
			e.Value = bytes.Clone(m.Data)
		}
		all = append(all, e)
		return nil
	})
	return all, err
}

// StorePlan stores entries of a plan, pipelined, and sets their new revisions. It creates the bucket if it is missing. It
// returns an error that wraps ErrPlanChanged if somebody else has stored one of them since; the others may be stored then.
func (d *Desk) StorePlan(ctx context.Context, name string, all []PlanEntry) error {
	if err := d.createPlans(ctx); err != nil {
		return err
	}
	for first := 0; first < len(all); first += together {
		part := all[first:min(len(all), first+together)]
		futures := make([]jetstream.PubAckFuture, len(part))
		for i := range part {
			m := d.planMessage(name, &part[i])
			future, err := d.js.PublishMsgAsync(m, jetstream.WithExpectLastSequencePerSubject(part[i].Revision))
			if err != nil && !isTimeout(err) {
				return d.trouble("record the plan", "bucket "+d.names.PlansBucket(), err)
			}
			futures[i] = future // nil: it could not be sent yet
		}
		for i := range part {
			ack, err := underway{future: futures[i]}.wait()
			if err != nil {
				if ack, err = d.storeAgain(ctx, name, &part[i], err); err != nil {
					return err
				}
			}
			part[i].Revision = ack.Sequence
		}
	}
	return ctx.Err()
}

func (d *Desk) planMessage(name string, e *PlanEntry) *nats.Msg {
	m := nats.NewMsg("$KV." + d.names.PlansBucket() + "." + name + "." + e.Key)
	m.Data = e.Value
	if len(e.Value) == 0 {
		m.Header.Set("KV-Operation", "DEL")
	}
	return m
}

// storeAgain finds out what became of an entry that was not acknowledged: it may be stored nevertheless.
func (d *Desk) storeAgain(ctx context.Context, name string, e *PlanEntry, err error) (*jetstream.PubAck, error) {
	bucket := d.names.PlansBucket()
	m := d.planMessage(name, e)
	if isTimeout(err) {
		var ack *jetstream.PubAck
		asking, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		for again := err; isTimeout(again) && asking.Err() == nil && d.denied() == nil; pause(asking, pauseFor) {
			if ack, again = d.js.PublishMsg(asking, m, jetstream.WithExpectLastSequencePerSubject(e.Revision)); again == nil {
				return ack, nil
			}
			err = again
		}
	}
	if !isWrongRevision(err) {
		return nil, d.trouble("record the plan", "bucket "+bucket, err)
	}
	s, err := d.js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return nil, d.trouble("read the plan", "bucket "+bucket, err)
	}
	last, err := s.GetLastMsgForSubject(ctx, m.Subject)
	switch {
	case err == nil && last.Sequence > e.Revision && bytes.Equal(last.Data, m.Data):
		return &jetstream.PubAck{Sequence: last.Sequence}, nil
	case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, d.trouble("read the plan", "bucket "+bucket, err)
	}
	return nil, fmt.Errorf("plan %s: %w", name, ErrPlanChanged)
}

func isWrongRevision(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// createPlans creates the bucket of plans if it is missing.
func (d *Desk) createPlans(ctx context.Context) error {
	bucket := d.names.PlansBucket()
	if d.plans {
		return nil
	}
	s, err := d.js.Stream(ctx, "KV_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		var changes jetstream.Stream
		if changes, err = d.stream(ctx, d.names.ChangesStream()); err != nil {
			return err
		}
		err = stream.CreatePlans(ctx, d.js, d.names, changes.CachedInfo().Config)
		if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody was quicker
			s, err = d.js.Stream(ctx, "KV_"+bucket)
		}
	}
	if err != nil {
		return d.trouble("create bucket "+bucket, "bucket "+bucket, err)
	}
	d.plans = true
	return stream.Foreign(s.CachedInfo().Config, d.names)
}
