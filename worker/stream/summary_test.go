package stream

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// The first worker is cut off from the server in the middle of both batches; the second one counts them to their end.
func TestBatchSummary(t *testing.T) {
	s := newSite(t)
	p := newProxy(t, s.server.ClientURL())
	s.via = p.url
	a := s.start("a")
	s.waitOwner(a)
	s.via = ""
	b := s.start("b")
	s.signIn("1001", "g1")
	s.publish(`{"batch_id":"b1","flag":"f","changes":[{"agent_id":"1001"},{"agent_id":"1002"},{"agent_id":"1003","flag":"yes"}]}`)
	s.wait("the first agent's has ended", func() bool { return s.ended("1001") == 1 })
	s.publish(`{"batch_id":"b2","batch_total":3,"flag":"f","agent_ids":["1001","1002"]}`)
	s.wait("its second one has, too", func() bool { return s.ended("1001") == 2 })
	p.setDown(true)
	s.waitOwner(b)
	p.setDown(false) // it comes back as a standby
	s.publish(`{"batch_id":"b2","batch_total":3,"flag":"f","agent_id":"1001"}`)
	s.signIn("1002", "g2")
	s.waitFinished()
	s.wantSummary("b1", messages.BatchSummary{Total: 3, Applied: 1, Superseded: 1, Rejected: 1})
	s.wantSummary("b2", messages.BatchSummary{Total: 3, Applied: 3})
}

func (s *site) ended(agent string) (n int) {
	s.t.Helper()
	for _, r := range s.results() {
		if r.AgentID == agent && r.Outcome.Ends() {
			n++
		}
	}
	return n
}

// wantSummary wants one summary of a batch, with these counts.
func (s *site) wantSummary(id string, want messages.BatchSummary) {
	s.t.Helper()
	var all []messages.BatchSummary
	names := s.layout.Names
	err := scan(s.t.Context(), s.js, names.ResultsStream(), names.Batch(id), jetstream.OrderedConsumerConfig{}, func(m jetstream.Msg, _ uint64) error {
		var sum messages.BatchSummary
		err := json.Unmarshal(m.Data(), &sum)
		all = append(all, sum)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(all) != 1 {
		s.t.Fatalf("batch %s has %d summaries: %+v", id, len(all), all)
	}
	got := all[0]
	if got.StartedAt.IsZero() || got.FinishedAt.Before(got.StartedAt) {
		s.t.Errorf("batch %s lasted from %v to %v", id, got.StartedAt, got.FinishedAt)
	}
	want.BatchID, want.StartedAt, want.FinishedAt = id, got.StartedAt, got.FinishedAt
	if got != want {
		s.t.Errorf("batch %s:\n got %+v\nwant %+v", id, got, want)
	}
}
