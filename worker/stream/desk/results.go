package desk

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// Event is one stored result.
type Event struct {
	messages.Result
	Seq uint64
	At  time.Time // when it was stored
	Raw []byte    // the JSON
}

// Query selects results. Without Seq, Since, Last and All it selects only new ones.
type Query struct {
	Agent    string // empty: all
	Outcomes []messages.Outcome
	Batch    string

	Seq   uint64    // from this sequence on
	Since time.Time // from this instant on
	Last  int       // the last so many that match; with Since, of those from that instant on
	All   bool      // all that are stored

	Live bool // continue with new ones
}

// Results calls each with the selected results in the order in which they were stored, until there are no more or, if the query is
// live, until ctx ends or each returns an error.
func (d *Desk) Results(ctx context.Context, q Query, each func(Event) error) error {
	if q.Last > 0 {
		last, upTo, err := d.tail(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range last {
			if err := each(e); err != nil {
				return err
			}
		}
		if !q.Live {
			return nil
		}
		q.Seq, q.Last = upTo+1, 0
	}
	return d.read(ctx, d.readingOf(q), func(m stream.Message) error {
		if e, ok := q.match(m); ok {
			return each(e)
		}
		return nil
	})
}

func (d *Desk) readingOf(q Query) reading {
	from := jetstream.OrderedConsumerConfig{FilterSubjects: d.subjectsOf(q)}
	switch {
	case q.Seq > 0:
		from.DeliverPolicy, from.OptStartSeq = jetstream.DeliverByStartSequencePolicy, q.Seq
	case !q.Since.IsZero():
		from.DeliverPolicy, from.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Since
	case q.All:
		from.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		from.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return reading{stream: d.names.ResultsStream(), from: from, live: q.Live}
}

// subjectsOf returns the subjects with which the server selects by agent and outcome.
func (d *Desk) subjectsOf(q Query) []string {
	agent := q.Agent
	switch {
	case agent == "" && len(q.Outcomes) == 0:
		return []string{d.names.ResultsAll()}
	case agent == "":
		agent = "*"
	case len(q.Outcomes) == 0:
		return []string{d.names.AgentResults(agent)}
	}
	var subjects []string
	for _, o := range q.Outcomes {
		subjects = append(subjects, d.names.Result(o, agent))
	}
	return slices.Compact(slices.Sorted(slices.Values(subjects)))
}

func (q Query) match(m stream.Message) (Event, bool) {
	e := Event{Seq: m.Seq, At: m.At, Raw: m.Data}
	if json.Unmarshal(m.Data, &e.Result) != nil {
		return e, false // not of this worker
	}
	return e, q.Batch == "" || e.BatchID == q.Batch
}

// tailFirst is how many sequences are searched at first for each result that is wanted.
const tailFirst = 4

// tail finds the last results that match by searching further and further back, so that it reads few of the millions that there may
// be.
func (d *Desk) tail(ctx context.Context, q Query) (found []Event, upTo uint64, err error) {
	s, err := d.stream(ctx, d.names.ResultsStream())
	if err != nil {
		return nil, 0, err
	}
	state := s.CachedInfo().State
	want, back := q.Last, uint64(q.Last)*tailFirst
	q.Last, q.Live = 0, false
	if !q.Since.IsZero() {
		found, err = d.lastOf(ctx, q, want, state.LastSeq)
		return found, state.LastSeq, err
	}
	for {
		q.Seq = max(state.FirstSeq, 1)
		if q.Seq+back < state.LastSeq {
			q.Seq = state.LastSeq - back
		}
		found, err = d.lastOf(ctx, q, want, state.LastSeq)
		if err != nil || len(found) == want || q.Seq <= max(state.FirstSeq, 1) {
			return found, state.LastSeq, err
		}
		back *= 8
	}
}

func (d *Desk) lastOf(ctx context.Context, q Query, want int, upTo uint64) ([]Event, error) {
	var kept []Event
	err := d.Results(ctx, q, func(e Event) error {
		if e.Seq > upTo {
			return errEnough
		}
		if len(kept) == want {
			kept = kept[1:]
		}
		kept = append(kept, e)
		return nil
	})
	return kept, err
}

// LastSeq returns the sequence of the last stored result.
func (d *Desk) LastSeq(ctx context.Context) (uint64, error) {
	s, err := d.stream(ctx, d.names.ResultsStream())
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq, nil
}
