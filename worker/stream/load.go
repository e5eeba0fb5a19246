package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// Reload implements worker.Journal. It reads from the leader of the stream, because replicas may be behind.
func (j *journal) Reload(agent string, done func(ledger.Ledger)) {
	j.reads.add(job{do: func(ctx context.Context, _ int) error {
		if j.ill.Load() != 0 {
			pauseFor(ctx, retryPause) // what follows is that it is stored once more
		}
		l, err := readLedger(ctx, j.js, j.names, agent)
		if err == nil {
			done(l)
		}
		return err
	}})
}

func readLedger(ctx context.Context, js jetstream.JetStream, names messages.Names, agent string) (ledger.Ledger, error) {
	all := newLedgers(names)
	for _, subject := range []string{
		names.Result(messages.Applied, agent), names.Result(messages.Reapplied, agent), names.AgentResults(agent),
	} {
		m, err := GetLastMsg(ctx, js, names.ResultsStream(), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return ledger.Ledger{}, err
		}
		all.add(&m)
	}
	if err := all.lookBehind(ctx, js); err != nil {
		return ledger.Ledger{}, err
	}
	if l := all.of[agent]; l != nil {
		return *l, nil
	}
	return ledger.Ledger{}, nil
}

// ledgers gathers the ledgers of agents from their last results, in any order.
//
// Anybody who may publish on the subject of a result can put anything there. A stranger's message says nothing, but its sequence is
// what the agent's next result must expect, and it hides the worker's last result, which must be looked up.
type ledgers struct {
	names messages.Names
	of    map[string]*ledger.Ledger
	over  map[string]uint64 // by agent: sequence of a stranger's message
}

func newLedgers(names messages.Names) *ledgers {
	return &ledgers{names: names, of: map[string]*ledger.Ledger{}, over: map[string]uint64{}}
}

func (l *ledgers) add(m *Message) {
	agent, ok := l.agentOf(m.Subject)
	if !ok {
		return
	}
	outcome, _, ok := l.names.ParseResultSubject(m.Subject)
	if !ok || !l.addResult(agent, outcome, m) {
		l.over[agent] = max(l.over[agent], m.Seq)
	}
}

// agentOf returns the agent for whose results the server counts a message, whatever its outcome.
func (l *ledgers) agentOf(subject string) (agent string, ok bool) {
	rest, ours := strings.CutPrefix(subject, l.names.Prefix+".result.")
	_, agent, ok = strings.Cut(rest, ".")
	return agent, ours && ok && (messages.ValidAgentID(agent) || agent == messages.UnknownAgent)
}

// addResult reports whether a message is a result of a worker.
func (l *ledgers) addResult(agent string, outcome messages.Outcome, m *Message) bool {
	pos, _, err := ledger.CutPosition(m.Header.Get(nats.MsgIdHdr))
	if err != nil {
		return false
	}
	next := ledger.Ledger{}
	if text := m.Header.Get(ledgerHeader); text == "" || next.Read(text) != nil {
		return false
	}
	if outcome == messages.Applied || outcome == messages.Reapplied {
		var r messages.Result
		if json.Unmarshal(m.Data, &r) != nil {
			return false
		}
		have := l.agent(agent)
		if have.InForce == nil || have.InForce.Seq < m.Seq { // a policy that was applied again repeats the change's position
			have.InForce = &ledger.InForce{Pos: pos, Seq: m.Seq, Result: r}
		}
	}
	if have := l.agent(agent); m.Seq > have.Seq {
		next.Seq, next.Last, next.InForce = m.Seq, ledger.Last{Pos: pos, Outcome: outcome}, have.InForce
		*have = next
	}
	return true
}

// agent returns what is known of an agent so far.
func (l *ledgers) agent(agent string) *ledger.Ledger {
	have := l.of[agent]
	if have == nil {
		have = &ledger.Ledger{}
		l.of[agent] = have
	}
	return have
}

// oneByOne is for how many agents the results are read separately; for more, all results are read.
const oneByOne = 8

// lookBehind finds the last results of agents behind strangers' messages.
func (l *ledgers) lookBehind(ctx context.Context, js jetstream.JetStream) error {
	var subjects []string
	for agent := range l.over {
		subjects = append(subjects, l.names.AgentResults(agent))
	}
	if len(subjects) > oneByOne {
		subjects = []string{l.names.ResultsAll()}
	}
	for _, subject := range subjects {
		err := scan(ctx, js, l.names.ResultsStream(), subject, jetstream.OrderedConsumerConfig{}, func(m *Message) error {
			agent, ok := l.agentOf(m.Subject)
			outcome, _, known := l.names.ParseResultSubject(m.Subject)
			if _, hidden := l.over[agent]; ok && known && hidden {
				l.addResult(agent, outcome, m)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for agent, seq := range l.over {
		have := l.agent(agent)
		have.Seq = max(have.Seq, seq)
	}
	clear(l.over)
	return nil
}

// loadLedgers reads the ledgers of all agents, at least as of the moment of the call.
func loadLedgers(ctx context.Context, js jetstream.JetStream, names messages.Names) (map[string]*ledger.Ledger, error) {
	all := newLedgers(names)
	last := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	err := scan(ctx, js, names.ResultsStream(), names.ResultsAll(), last, func(m *Message) error {
		all.add(m)
		return nil
	})
	if err == nil {
		err = all.lookBehind(ctx, js)
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledgers: %w", err)
	}
	return all.of, nil
}
