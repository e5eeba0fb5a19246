package worker

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTroubleOfOneAgentIsItsOwn(t *testing.T) {
	answers := map[string]Answer{
		"transport": {Class: Unsound, Fault: "its own node is down"},
		"503":       {Class: Busy, Status: 503, Fault: "503"},
		"429":       {Class: Busy, Status: 429, Fault: "429"},
		"later":     {Class: Busy, Status: 503, RetryAfter: time.Second, Fault: "503"},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{Rate: 50}, func(s *site) {
				all := s.agents(20)
				s.gateway.answer = func(Call) Answer { return answer }
				s.start()
				for i, agent := range all { // the first one's deadline is the earliest
					s.publish(wish(agent, "f", until(time.Hour+time.Duration(i)*time.Second)))
				}
				s.pass(5 * time.Minute) // all have been tried in vain
				s.gateway.set(func() {
					s.gateway.answer = func(c Call) Answer {
						if c.AgentID == all[0] {
							return answer
						}
						return Answer{Class: Success, Retcode: "0"}
					}
				})
				s.pass(time.Minute)
				if n := len(s.told()); n < 19 {
					t.Errorf("%d of 19 applied a minute after the outage", n)
				}
			})
		})
	}
}

func TestRefusedConnectionNeverEndsAChange(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 3}, func(s *site) {
		all := s.agents(2)
		s.gateway.answer = func(c Call) Answer {
			if c.AgentID == all[0] {
				return Answer{Class: Unsound, Connect: true, Fault: "connection refused"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish(all[0], "f", `,"id":"a"`))
		for range 600 {
			s.publish(wish(all[1], "f", ""))
			s.pass(time.Second)
		}
		for _, r := range s.journal.all() {
			if r.AgentID == all[0] {
				t.Errorf("result %+v", r)
			}
		}
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(time.Minute)
		if last := s.told()[len(s.told())-1]; last != "applied 1001 a" {
			t.Errorf("told last: %s", last)
		}
	})
}

func TestFaultCountsWhileOthersAreAnswered(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 3}, func(s *site) {
		all := s.agents(2)
		s.gateway.answer = func(c Call) Answer {
			if c.AgentID == all[0] {
				return Answer{Class: Unsound, Fault: "its own node is down"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish(all[0], "f", `,"id":"a"`))
		for range 60 {
			s.publish(wish(all[1], "f", ""))
			s.pass(time.Second)
		}
		var failed bool
		for _, r := range s.journal.all() {
			if r.AgentID == all[0] {
				failed = true
				if r.Outcome != "failed" || r.Retcode != "" || r.Message != "its own node is down" || r.Attempts != 3 {
					t.Errorf("result %+v", r)
				}
			}
		}
		if !failed {
			t.Error("it is still being tried")
		}
	})
}

func TestBusyAnswersOfOneAgent(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, Policy{Rate: 100, MaxAttempts: 10, Backoff: Backoff{Initial: time.Second, Max: time.Second}}, func(s *site) {
			all := s.agents(300)
			var calls atomic.Int64
			s.gateway.answer = func(c Call) Answer {
				if n := calls.Add(1); c.AgentID == all[0] || (!alone && n%2 == 0) {
					return Answer{Class: Busy, Status: 429, Fault: "429"}
				}
				return Answer{Class: Success, Retcode: "0"}
			}
			s.start()
			s.publish(wish(all[0], "f", ""))
			slowest := 100.0
			for i := range 600 {
				s.publish(wish(all[1+i%299], "f", ""))
				s.pass(100 * time.Millisecond)
				if i > 60 { // its first refusal may have been everybody's
					s.inside(func(l *loop) { slowest = min(slowest, l.gate.Pace(l.now)) })
				}
			}
			s.pass(time.Minute)
			failed := slices.ContainsFunc(s.told(), func(told string) bool { return strings.HasPrefix(told, "failed 1001") })
			if failed != alone || (slowest == 100) != alone {
				t.Errorf("alone: %v, failed: %v, down to %v calls per second", alone, failed, slowest)
			}
		})
	}
}

// An agent whose calls time out while others are answered is told as such: the call may have landed, and what to raise.
func TestTimeOutsOfOneAgentAloneAreExplained(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 3}, func(s *site) {
		all := s.agents(2)
		s.gateway.answer = func(c Call) Answer {
			if c.AgentID == all[0] {
				return Answer{Class: Unsound, TimedOut: true, Fault: "no answer within 5s"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish(all[0], "f", `,"id":"a"`))
		s.pass(100 * time.Millisecond)
		if v, _ := s.worker.Agent(s.t.Context(), all[0]); v.Live.Fault != "no answer within 5s" {
			t.Errorf("nobody else was called yet, but it is told %q", v.Live.Fault)
		}
		for range 60 {
			s.publish(wish(all[1], "f", ""))
			s.pass(time.Second)
		}
		failed := 0
		for _, r := range s.journal.all() {
			failed += number(r.Outcome == "failed")
			if r.AgentID == all[0] && (r.Outcome != "failed" || !strings.Contains(r.Message, "may have taken effect") || !strings.Contains(r.Message, "IDLE_GATEWAY_TIMEOUT")) {
				t.Errorf("result %+v", r)
			}
		}
		if failed != 1 {
			t.Errorf("%d changes failed", failed)
		}
	})
}
