package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// results reads all results that are stored.
func (s *site) results() []messages.Result {
	s.t.Helper()
	ctx := context.Background()
	var all []messages.Result
	err := scan(ctx, s.js, s.layout.Names.ResultsStream(), s.layout.Names.ResultsAll(), jetstream.OrderedConsumerConfig{}, func(m *Message) error {
		var r messages.Result
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return err
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// wantOneEndingEach compares the endings with the sequences of messages with one change each.
func (s *site) wantOneEndingEach(changes []uint64) {
	s.t.Helper()
	endings := map[uint64]int{}
	for _, r := range s.results() {
		if r.Outcome.Ends() {
			endings[r.ChangeSeq]++
		}
	}
	for _, seq := range changes {
		if endings[seq] != 1 {
			s.t.Errorf("change %d has %d endings", seq, endings[seq])
		}
	}
	if len(endings) > len(changes) {
		s.t.Errorf("%d changes have endings, %d were published", len(endings), len(changes))
	}
}

// wantResults compares all results; those of one agent are in an order of their own.
func (s *site) wantResults(want ...string) {
	s.t.Helper()
	var got []string
	for _, r := range s.results() {
		got = append(got, fmt.Sprintf("%s %s %s", r.Outcome, r.AgentID, r.ChangeID))
	}
	byAgent := func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) }
	slices.SortStableFunc(got, byAgent)
	slices.SortStableFunc(want, byAgent)
	if !slices.Equal(got, want) {
		s.t.Errorf("results:\n got %q\nwant %q", got, want)
	}
}

// wantEndings compares what ended, in any order of agents.
func (s *site) wantEndings(want ...string) {
	s.t.Helper()
	left := map[string]int{}
	for _, w := range want {
		left[w]++
	}
	for _, r := range s.results() {
		if r.Outcome.Ends() {
			left[string(r.Outcome)+" "+r.AgentID+" "+r.ChangeID]--
		}
	}
	for what, n := range left {
		if n != 0 {
			s.t.Errorf("%s: %+d endings too few", what, n)
		}
	}
}

func (s *site) inForce(agent string) string {
	s.t.Helper()
	kv, err := s.js.KeyValue(context.Background(), s.layout.Names.AppliedBucket())
	if err != nil {
		return ""
	}
	e, err := kv.Get(context.Background(), agent)
	if err != nil {
		return ""
	}
	var r messages.Result
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		s.t.Fatal(err)
	}
	return r.ChangeID
}

// told counts the results of a change.
func (s *site) told(o messages.Outcome, agent, id string) (n int) {
	s.t.Helper()
	for _, r := range s.results() {
		if r.Outcome == o && r.AgentID == agent && r.ChangeID == id {
			n++
		}
	}
	return n
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

// stored is how many results are stored.
func (s *site) stored() int {
	s.t.Helper()
	st, err := s.js.Stream(context.Background(), s.layout.Names.ResultsStream())
	if err != nil {
		s.t.Fatal(err)
	}
	return int(st.CachedInfo().State.Msgs)
}

func (s *site) summariesOf(id string) []messages.BatchSummary {
	s.t.Helper()
	var all []messages.BatchSummary
	names := s.layout.Names
	err := scan(s.t.Context(), s.js, names.ResultsStream(), names.Batch(id), jetstream.OrderedConsumerConfig{}, func(m *Message) error {
		var sum messages.BatchSummary
		err := json.Unmarshal(m.Data, &sum)
		all = append(all, sum)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// wantSummary wants one summary of a batch, with these counts.
func (s *site) wantSummary(id string, want messages.BatchSummary) {
	s.t.Helper()
	all := s.summariesOf(id)
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
