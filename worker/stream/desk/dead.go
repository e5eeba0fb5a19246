package desk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// Letter is one dead letter: a change that failed or was rejected.
type Letter struct {
	Seq    uint64
	At     time.Time
	Agent  string // as in its subject; unknown where the message named none
	Result messages.Result
	Header map[string][]string // of the letter; those of the original are in Original
	Body   []byte              // the original; nil in lists
}

// Cut reports whether the original did not fit.
func (l Letter) Cut() bool { return slices.Contains(l.Header[messages.CutHeader], "true") }

// DeadQuery selects dead letters; the zero DeadQuery selects all.
type DeadQuery struct {
	Agent        string
	Outcome      messages.Outcome
	Retcode      string
	Batch        string
	Since, Until time.Time
}

// ErrNoLetter is returned if there is no dead letter with a sequence.
var ErrNoLetter = errors.New("no dead letter")

// Dead calls each with the selected dead letters, oldest first, without their bodies.
func (d *Desk) Dead(ctx context.Context, q DeadQuery, each func(Letter) error) error {
	from := jetstream.OrderedConsumerConfig{FilterSubjects: []string{d.names.DeadAll()}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if q.Agent != "" {
		from.FilterSubjects = []string{d.names.Dead(q.Agent)}
	}
	if !q.Since.IsZero() {
		from.DeliverPolicy, from.OptStartTime = jetstream.DeliverByStartTimePolicy, &q.Since
	}
	return d.read(ctx, reading{stream: d.names.DeadStream(), from: from}, func(m stream.Message) error {
		if !q.Until.IsZero() && m.At.After(q.Until) {
			return errEnough
		}
		l := d.letter(m)
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

func (d *Desk) letter(m stream.Message) Letter {
	l := Letter{Seq: m.Seq, At: m.At, Header: m.Header, Body: m.Data}
	l.Agent = m.Subject[min(len(m.Subject), len(d.names.Dead(""))):]
	// A message that is not a worker's is shown without a result, and cannot be replayed.
	_ = json.Unmarshal([]byte(m.Header.Get(messages.ResultHeader)), &l.Result)
	return l
}

// Letter returns one dead letter with its body.
func (d *Desk) Letter(ctx context.Context, seq uint64) (Letter, error) {
	m, err := stream.GetMsg(ctx, d.js, d.names.DeadStream(), seq)
	return d.found(m, err, strconv.FormatUint(seq, 10))
}

// LastLetter returns an agent's newest dead letter, or ErrNoLetter.
func (d *Desk) LastLetter(ctx context.Context, agent string) (Letter, error) {
	m, err := stream.GetLastMsg(ctx, d.js, d.names.DeadStream(), d.names.Dead(agent))
	return d.found(m, err, "of agent "+agent)
}

// nextLetter returns an agent's first dead letter from a sequence on.
func (d *Desk) nextLetter(ctx context.Context, agent string, seq uint64) (Letter, error) {
	m, err := stream.GetNextMsg(ctx, d.js, d.names.DeadStream(), d.names.Dead(agent), seq)
	return d.found(m, err, "of agent "+agent)
}

func (d *Desk) found(m stream.Message, err error, which string) (Letter, error) {
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Letter{}, fmt.Errorf("%w %s", ErrNoLetter, which)
	case err != nil:
		return Letter{}, d.trouble("read a dead letter", "stream "+d.names.DeadStream(), err)
	}
	return d.letter(m), nil
}

// Original returns the headers of the message that became the letter, as far as they can be read.
func (l Letter) Original() map[string][]string {
	block, err := base64.StdEncoding.DecodeString(nats.Header(l.Header).Get(messages.HeadersHeader))
	if err == nil && len(block) > 0 {
		return stream.ParseHeader(block)
	}
	h := map[string][]string{}
	for name, values := range l.Header {
		switch own, renamed := strings.CutPrefix(name, "Idle-"); {
		case name == messages.ResultHeader, name == messages.CutHeader, name == messages.HeadersHeader, name == messages.MsgIDHeader:
		case renamed:
			h[own] = values
		default:
			h[name] = values
		}
	}
	return h
}

// Purge deletes the dead letters of these sequences and returns how many there were. Letters that came later stay.
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
