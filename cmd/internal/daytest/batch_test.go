package daytest

import (
	"slices"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// A batch comes in several messages; the worker ends twice while it runs. There is one summary, and its counts are those
// of the results.
func TestBatchOverSeveralMessages(t *testing.T) {
	eachWay(t, func(s *site) {
		all := agents(scaled(200, 5000))
		parts := 10
		for _, agent := range all {
			s.signIn(agent)
		}
		s.config.Rate, s.config.Burst = float64(len(all))/4, 10
		s.gateway.On(all[0], gatewaytest.Rule{Retcode: "000-002", Message: "parameter error"})
		part := func(n int) {
			m := item{Batch: "late-shift", BatchTotal: len(all) + 1, Flag: "false"}
			for _, agent := range all[n*len(all)/parts : (n+1)*len(all)/parts] {
				m.Changes = append(m.Changes, item{Agent: agent})
			}
			if n == 0 {
				m.Changes = append(m.Changes, item{Agent: all[1], Flag: "yes"}) // cannot be used, and counts
			}
			s.publish(m)
		}
		end := s.begin()
		for n := range parts / 2 {
			part(n)
		}
		s.wait("some have ended", func() bool { return len(s.results.pick(0, messages.Applied)) > len(all)/10 })
		end()
		end = s.begin()
		for n := parts / 2; n < parts; n++ {
			part(n)
		}
		s.wait("more have ended", func() bool { return len(s.results.pick(0, messages.Applied)) > len(all)/3 })
		end()
		s.config.Rate /= 10 // until it was told when the batch would end
		s.begin()
		s.wait("an end is expected", func() bool {
			return slices.ContainsFunc(s.results.progressOf("late-shift"), func(p messages.BatchProgress) bool { return !p.ExpectedEnd.IsZero() })
		})
		s.wait("a worker obeys", func() bool { _, err := s.desk.Rate(s.t.Context(), 1000); return err == nil })
		s.wait("the batch is summed up", func() bool { return len(s.results.summariesOf("late-shift")) > 0 })
		s.waitFinished()
		s.wantSummaries("late-shift", messages.BatchSummary{Total: len(all) + 1, Applied: len(all) - 1, Rejected: 1, Failed: 1})
		s.wantProgress("late-shift", len(all)+1, 3)
	})
}

func (s *site) wantSummaries(batch string, want ...messages.BatchSummary) {
	s.t.Helper()
	got := s.results.summariesOf(batch)
	if len(got) != len(want) {
		s.t.Fatalf("%d summaries of %s, want %d: %+v", len(got), batch, len(want), got)
	}
	for i, sum := range got {
		if sum.StartedAt.IsZero() || sum.FinishedAt.Before(sum.StartedAt) {
			s.t.Errorf("batch %s began at %v and ended at %v", batch, sum.StartedAt, sum.FinishedAt)
		}
		sum.StartedAt, sum.FinishedAt, sum.BatchID = time.Time{}, time.Time{}, ""
		if sum != want[i] {
			s.t.Errorf("summary %d of %s:\n got %+v\nwant %+v", i, batch, sum, want[i])
		}
	}
}

// wantProgress wants that it was told how far the batch was, at most once a second and a little more at the
// beginning of each term, and when it would end.
func (s *site) wantProgress(batch string, total, terms int) {
	s.t.Helper()
	told := s.results.progressOf(batch)
	if len(told) == 0 {
		s.t.Fatal("no progress was told")
	}
	ends := 0
	for i, p := range told {
		if p.Ended() > total || i > 1 && p.Ended() > 0 && p.Total != total {
			s.t.Errorf("progress %+v of a batch of %d", p, total)
		}
		if !p.ExpectedEnd.IsZero() {
			ends++
			if p.ExpectedEnd.Before(p.At) {
				s.t.Errorf("at %v the expected end is %v", p.At, p.ExpectedEnd)
			}
		}
	}
	lasted := told[len(told)-1].At.Sub(told[0].At)
	if most := int(lasted/time.Second) + 2*terms; len(told) > most {
		s.t.Errorf("progress was told %d times in %v, want once a second at most", len(told), lasted)
	}
	s.t.Logf("progress was told %d times, %d times with an expected end", len(told), ends)
	if ends == 0 {
		s.t.Errorf("no progress with an expected end: %+v", told)
	}
}

// Without a total each message is a batch of its own, and its ID may be used again.
func TestBatchIDsAreUsedAgain(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	end := s.start()
	all := agents(20)
	for _, agent := range all[:10] {
		s.signIn(agent)
	}
	s.publish(item{Agents: all[:10], Flag: "false", Batch: "nightly"})
	s.wait("the first is summed up", func() bool { return len(s.results.summariesOf("nightly")) == 1 })
	until := time.Now().Add(1500 * time.Millisecond)
	second := item{Flag: "true", Batch: "nightly"}
	for i, agent := range all {
		one := item{Agent: agent}
		if i >= 10 {
			one.Until = until // nobody signs them in
		}
		second.Changes = append(second.Changes, one)
	}
	s.publish(second)
	end()
	s.start()
	s.waitFinished()
	s.wantSummaries("nightly", messages.BatchSummary{Total: 10, Applied: 10}, messages.BatchSummary{Total: 20, Applied: 10, Expired: 10})
}
