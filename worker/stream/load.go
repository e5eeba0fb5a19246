package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// Reload implements worker.Journal. It reads from the leader of the stream, which alone cannot be behind.
func (j *journal) Reload(agent string, done func(ledger.Ledger)) {
	j.reads.add(func(ctx context.Context) error {
		if j.ill.Load() != 0 {
			pauseFor(ctx, errandPause) // what follows is that it is stored once more
		}
		l, err := readLedger(ctx, j.js, j.names, agent)
		if err == nil {
			done(l)
		}
		return err
	})
}

func readLedger(ctx context.Context, js jetstream.JetStream, names messages.Names, agent string) (ledger.Ledger, error) {
	s, err := js.Stream(ctx, names.ResultsStream())
	if err != nil {
		return ledger.Ledger{}, err
	}
	all := ledgers{names: names, of: map[string]ledger.Ledger{}}
	for _, subject := range []string{
		names.Result(messages.Applied, agent), names.Result(messages.Reapplied, agent), names.AgentResults(agent),
	} {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return ledger.Ledger{}, err
		}
		if err := all.add(m.Subject, m.Sequence, m.Header, m.Data); err != nil {
			return ledger.Ledger{}, err
		}
	}
	return all.of[agent], nil
}

// ledgers gathers the ledgers of agents from their last results, in any order.
type ledgers struct {
	names messages.Names
	of    map[string]ledger.Ledger
}

func (l *ledgers) add(subject string, seq uint64, h nats.Header, body []byte) error {
	outcome, agent, ok := l.names.ParseResultSubject(subject)
	if !ok {
		return nil // somebody else's
	}
	have := l.of[agent]
	pos, _, err := ledger.CutPosition(h.Get(nats.MsgIdHdr))
	if err != nil {
		return unreadable(seq, agent, err)
	}
	if outcome == messages.Applied || outcome == messages.Reapplied {
		if err := putInForce(&have, pos, body, seq); err != nil {
			return unreadable(seq, agent, err)
		}
	}
	if seq > have.Seq {
		next := ledger.Ledger{}
		if err := next.UnmarshalText([]byte(h.Get(ledgerHeader))); err != nil {
			return unreadable(seq, agent, err)
		}
		next.Seq, next.Last, next.InForce = seq, ledger.Last{Pos: pos, Outcome: outcome}, have.InForce
		have = next
	}
	l.of[agent] = have
	return nil
}

// errUnreadable is returned where a result tells nothing to this version of the worker. Going on without it would end
// changes twice.
var errUnreadable = errors.New("cannot be read")

func unreadable(seq uint64, agent string, err error) error {
	return fmt.Errorf("result %d of agent %s %w: %w", seq, agent, errUnreadable, err)
}

// putInForce keeps the later of the applied results: that of the change that was published last, which a policy that
// was applied anew repeats.
func putInForce(l *ledger.Ledger, pos ledger.Position, body []byte, seq uint64) error {
	if l.InForce != nil && l.InForce.Seq > seq {
		return nil
	}
	var r messages.Result
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read it: %w", err)
	}
	l.InForce = &ledger.InForce{Pos: pos, Seq: seq, Result: r}
	return nil
}

// loadLedgers reads the ledgers of all agents, at least as of the moment of the call.
func loadLedgers(ctx context.Context, js jetstream.JetStream, names messages.Names) (map[string]ledger.Ledger, error) {
	all := ledgers{names: names, of: map[string]ledger.Ledger{}}
	err := scan(ctx, js, names.ResultsStream(), names.ResultsAll(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	}, func(m jetstream.Msg, seq uint64) error {
		return all.add(m.Subject(), seq, m.Headers(), m.Data())
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledgers: %w", err)
	}
	return all.of, nil
}

const (
	scanQuiet    = time.Second // after which it is looked whether anything is still to come
	scanPatience = 10          // such looks without a message in between, until a scan is given up
	// By default the server keeps a scan's consumer for five minutes: a thousand batches would run into its limit.
	scanForgotten = 10 * time.Second
)

// errScan is returned where a stream does not send what its leader says it has. Half a ledger is worse than none.
var errScan = errors.New("the server does not send all of it")

// scan reads what a stream held of a subject at the time of the call, as its leader knows it: the replica that serves the
// messages may be behind, or slow.
func scan(ctx context.Context, js jetstream.JetStream, stream, subject string, cfg jetstream.OrderedConsumerConfig,
	each func(m jetstream.Msg, seq uint64) error,
) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return plain(err)
	}
	last, stored, err := lastOf(ctx, s, subject)
	if err != nil {
		return err
	}
	if last == 0 || last < cfg.OptStartSeq || (cfg.OptStartTime != nil && stored.Before(*cfg.OptStartTime)) {
		return nil
	}
	cfg.FilterSubjects = []string{subject}
	cfg.InactiveThreshold = scanForgotten
	c, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return plain(err)
	}
	from, err := c.Messages(jetstream.PullMaxMessages(4096))
	if err != nil {
		return plain(err)
	}
	defer func() {
		from.Stop()
		if info := c.CachedInfo(); info != nil && ctx.Err() == nil {
			_ = s.DeleteConsumer(ctx, info.Name) // else the server lets go of it a little later
		}
	}()
	defer context.AfterFunc(ctx, from.Stop)()
	return readUpTo(ctx, from, last, each, func() (uint64, error) {
		last, _, err := lastOf(ctx, s, subject)
		return last, err
	})
}

// readUpTo reads until the message at last was seen. That one may be deleted meanwhile: whatever is the last one then
// will do.
func readUpTo(ctx context.Context, from jetstream.MessagesContext, last uint64,
	each func(m jetstream.Msg, seq uint64) error, again func() (uint64, error),
) error {
	seen, patience := uint64(0), scanPatience
	for seen < last {
		m, err := from.Next(jetstream.NextMaxWait(scanQuiet))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, nats.ErrTimeout) && patience > 0:
			patience--
			if last, err = again(); err != nil {
				return err
			}
			continue
		case errors.Is(err, nats.ErrTimeout):
			return errScan
		case err != nil:
			return plain(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return plain(err)
		}
		if err := each(m, meta.Sequence.Stream); err != nil {
			return err
		}
		seen, patience = meta.Sequence.Stream, scanPatience
	}
	return nil
}

// lastOf returns the sequence and time of a subject's last message, from the leader of the stream; 0 where there is
// none.
func lastOf(ctx context.Context, s jetstream.Stream, subject string) (uint64, time.Time, error) {
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, plain(err)
	}
	return m.Sequence, m.Time, nil
}
