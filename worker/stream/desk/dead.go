package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// Letter is one dead letter: a change that failed or was rejected.
type Letter struct {
	Seq    uint64
	At     time.Time
	Agent  string // as in its subject; unknown where the message named none
	Result messages.Result
	Header map[string][]string
	Body   []byte // the original; nil in lists
}

// Cut tells whether the original did not fit.
func (l Letter) Cut() bool { return slices.Contains(l.Header[messages.CutHeader], "true") }

// DeadQuery says which dead letters are wanted; the zero DeadQuery wants all.
type DeadQuery struct {
	Agent        string
	Outcome      messages.Outcome
	Retcode      string
	Batch        string
	Since, Until time.Time
}

// ErrNoLetter is returned where there is no dead letter of a sequence.
var ErrNoLetter = errors.New("no dead letter")

// Dead tells of dead letters, oldest first, without their bodies.
func (d *Desk) Dead(ctx context.Context, q DeadQuery, each func(Letter) error) error {
	from := jetstream.OrderedConsumerConfig{
		HeadersOnly: true, FilterSubjects: []string{d.names.DeadAll()}, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if q.Agent != "" {
		from.FilterSubjects = []string{d.names.Dead(q.Agent)}
	}
	if !q.Since.IsZero() {
		from.DeliverPolicy, from.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Since
	}
	return d.read(ctx, reading{stream: d.names.DeadStream(), from: from}, func(i item) error {
		if !q.Until.IsZero() && i.at.After(q.Until) {
			return errEnough
		}
		l := d.letter(i)
		l.Body = nil
		if q.wants(l.Result) {
			return each(l)
		}
		return nil
	})
}

func (q DeadQuery) wants(r messages.Result) bool {
	return (q.Outcome == "" || r.Outcome == q.Outcome) && (q.Retcode == "" || r.Retcode == q.Retcode) &&
		(q.Batch == "" || r.BatchID == q.Batch)
}

func (d *Desk) letter(i item) Letter {
	l := Letter{Seq: i.seq, At: i.at, Header: i.header, Body: i.body}
	l.Agent = i.subject[min(len(i.subject), len(d.names.Dead(""))):]
	// Whatever somebody else has put there shows up without a result, and cannot be replayed.
	_ = json.Unmarshal([]byte(i.header.Get(messages.ResultHeader)), &l.Result)
	return l
}

// Letter returns one dead letter with its body.
func (d *Desk) Letter(ctx context.Context, seq uint64) (Letter, error) {
	s, err := d.stream(ctx, d.names.DeadStream())
	if err != nil {
		return Letter{}, err
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Letter{}, fmt.Errorf("%w %d", ErrNoLetter, seq)
	}
	if err != nil {
		return Letter{}, d.trouble("read a dead letter", "stream "+d.names.DeadStream(), err)
	}
	return d.letter(item{subject: m.Subject, header: m.Header, body: m.Data, seq: m.Sequence, at: m.Time}), nil
}

// LastLetter returns an agent's newest dead letter. Its error is an ErrNoLetter where there is none.
func (d *Desk) LastLetter(ctx context.Context, agent string) (Letter, error) {
	s, err := d.stream(ctx, d.names.DeadStream())
	if err != nil {
		return Letter{}, err
	}
	m, err := s.GetLastMsgForSubject(ctx, d.names.Dead(agent))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Letter{}, fmt.Errorf("%w of agent %s", ErrNoLetter, agent)
	}
	if err != nil {
		return Letter{}, d.trouble("read a dead letter", "stream "+d.names.DeadStream(), err)
	}
	return d.letter(item{subject: m.Subject, header: m.Header, body: m.Data, seq: m.Sequence, at: m.Time}), nil
}

// Purge deletes the dead letters of these sequences and tells how many there were. Letters that came later stay.
func (d *Desk) Purge(ctx context.Context, seqs []uint64) (deleted int, err error) {
	s, err := d.stream(ctx, d.names.DeadStream())
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		err := s.DeleteMsg(ctx, seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound), errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful):
			continue // somebody else was quicker
		case err != nil:
			return deleted, d.trouble("delete a dead letter", "stream "+d.names.DeadStream(), err)
		}
		deleted++
	}
	return deleted, nil
}
