package daytest

import (
	"errors"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/desk"
)

// letters returns the dead letters that match, once there are as many.
func (s *site) letters(n int, q desk.DeadQuery) []desk.Letter {
	s.t.Helper()
	var found []desk.Letter
	s.wait("there are dead letters", func() bool {
		found = nil
		err := s.desk.Dead(s.t.Context(), q, func(l desk.Letter) error {
			found = append(found, l)
			return nil
		})
		return err == nil && len(found) >= n
	})
	if len(found) != n {
		s.t.Errorf("%d dead letters, want %d", len(found), n)
	}
	return found
}

// The gateway refuses some changes of a batch for good. When what was wrong is mended they are replayed, but not over a
// newer change.
func TestDeadLettersAreReplayed(t *testing.T) {
	eachWay(t, func(s *site) {
		end := s.begin()
		all := agents(6)
		for _, agent := range all {
			s.signIn(agent)
		}
		for _, agent := range all[:2] {
			s.gateway.On(agent, gatewaytest.Rule{Retcode: "000-002", Message: "parameter error"})
		}
		began := time.Now()
		s.publish(item{Agents: all, Flag: "false", ID: "shift", Batch: "b-7"})
		s.waitFinished()
		end()
		s.begin()
		letters := s.letters(2, desk.DeadQuery{Retcode: "000-002", Outcome: messages.Failed, Batch: "b-7", Since: began})
		if n := len(s.letters(1, desk.DeadQuery{Agent: all[1]})); n != 1 {
			s.t.Errorf("%d dead letters of agent %s", n, all[1])
		}
		s.gateway.ClearRules()
		newer := s.publish(item{Agent: letters[1].Agent, Flag: "true", ID: "newer"})
		s.wait("the newer change is applied", func() bool { return s.results.has(newer, messages.Applied) })

		s.replay(letters[0], false, "false")
		var refused *desk.Refused
		if _, err := s.desk.PlanReplay(s.t.Context(), letters[1].Seq, false); !errors.As(err, &refused) || !refused.Forceable {
			s.t.Errorf("a replay over a newer change: %v, want it refused", err)
		}
		s.replay(letters[1], true, "false")
	})
}

// replay publishes a dead letter anew, and wants it applied once, under a name that tells of the old one.
func (s *site) replay(l desk.Letter, force bool, flag string) {
	s.t.Helper()
	plan, err := s.desk.PlanReplay(s.t.Context(), l.Seq, force)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.desk.Replay(s.t.Context(), &plan); err != nil {
		s.t.Fatal(err)
	}
	s.results.expect(plan.Seq)
	s.wait("the replay is applied", func() bool { return s.results.has(plan.Seq, messages.Applied) })
	if r := s.results.pick(plan.Seq, messages.Applied)[0]; r.ChangeID != plan.ID || r.BatchID != "" || r.AgentID != l.Agent {
		s.t.Errorf("the replay of %+v ended as %+v", l.Result, r.Result)
	}
	if got, _ := s.gateway.Flag(l.Agent); got != flag {
		s.t.Errorf("agent %s has the flag %s after the replay", l.Agent, got)
	}
	if n := len(s.results.summariesOf(l.Result.BatchID)); n != 1 {
		s.t.Errorf("%d summaries of the old batch, want the one", n)
	}
}
