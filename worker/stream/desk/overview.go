package desk

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// Overview is what the streams show without a worker's answer.
type Overview struct {
	Unfinished uint64    `json:"unfinished_messages"`
	Oldest     time.Time `json:"oldest_unfinished,omitzero"`
	Results    uint64    `json:"results"`
	Dead       uint64    `json:"dead_letters"`
	Sessions   uint64    `json:"sessions"`
	Owner      Owner     `json:"last_owner"`
	Last       []Event   `json:"-"`
}

// Owner is the last owner's record in the control bucket. That process may have died since.
type Owner struct {
	Name     string    `json:"name"` // empty: there was none yet
	Since    time.Time `json:"since,omitzero"`
	Released bool      `json:"released"` // it stopped cleanly
}

// lastResults is how many results an overview shows.
const lastResults = 5

// Overview reads the state of the site from its streams.
func (d *Desk) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	for _, look := range []struct {
		stream string
		note   func(jetstream.StreamState)
	}{ // the one that everybody knows comes first: it is the one that an error names
		{d.names.ChangesStream(), func(s jetstream.StreamState) {
			if o.Unfinished = s.Msgs; s.Msgs > 0 {
				o.Oldest = s.FirstTime
			}
		}},
		{d.names.ResultsStream(), func(s jetstream.StreamState) { o.Results = s.Msgs }},
		{d.names.DeadStream(), func(s jetstream.StreamState) { o.Dead = s.Msgs }},
		{"KV_" + d.names.SessionsBucket(), func(s jetstream.StreamState) { o.Sessions = s.Msgs }},
	} {
		s, err := d.stream(ctx, look.stream)
		if err != nil {
			return o, err
		}
		look.note(s.CachedInfo().State)
	}
	owner, err := d.owner(ctx)
	if err != nil {
		return o, err
	}
	o.Owner = owner
	err = d.Results(ctx, Query{Last: lastResults}, func(e Event) error {
		o.Last = append(o.Last, e)
		return nil
	})
	return o, err
}

func (d *Desk) owner(ctx context.Context) (Owner, error) {
	kv, err := d.bucket(ctx, d.names.ControlBucket())
	if err != nil {
		return Owner{}, err
	}
	record, err := d.record(ctx, kv, "owner")
	if err != nil || record == nil {
		return Owner{}, err
	}
	o := Owner{Name: "unknown"}
	_ = json.Unmarshal(record, &o) // written by hand: then nobody knows
	return o, nil
}

// InForce returns the last result of an agent that was applied; nil: there is none.
func (d *Desk) InForce(ctx context.Context, agent string) (*messages.Result, error) {
	kv, err := d.bucket(ctx, d.names.AppliedBucket())
	if err != nil {
		return nil, err
	}
	record, err := d.record(ctx, kv, agent)
	if err != nil || record == nil {
		return nil, err
	}
	var r messages.Result
	if err := json.Unmarshal(record, &r); err != nil {
		return nil, errors.New("bucket " + kv.Bucket() + ": the record of agent " + agent + " is not a result")
	}
	return &r, nil
}
