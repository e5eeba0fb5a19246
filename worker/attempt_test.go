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
					s.inside(func(l *loop) { slowest = min(slowest, l.gate.CurrentRate(l.now)) })
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

func TestPolicyDefaults(t *testing.T) {
	p := Policy{Rate: 50}.withDefaults()
	if p.Burst != 5 || p.MaxInFlight != 32 || p.MaxAttempts != 8 || p.Validity != 12*time.Hour || p.Retention != 720*time.Hour {
		t.Errorf("%+v", p)
	}
	if b := p.Backoff; b.Initial != 500*time.Millisecond || b.Max != 30*time.Second || b.Multiplier != 2 || b.Jitter != 0 {
		t.Errorf("%+v", b)
	}
	if p := (Policy{Rate: 3}).withDefaults(); p.Burst != 1 {
		t.Errorf("burst %v at 3 per second", p.Burst)
	}
}

func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := range Class(numClass) {
		seen[c.String()] = true
	}
	if len(seen) != numClass || seen[""] {
		t.Errorf("names %v", seen)
	}
}

// A class that one of the tables forgets would be sent again without counting, or would count as an outage.
func TestEveryClassIsDecided(t *testing.T) {
	for c := range Class(numClass) {
		if (verdicts[c] == unsent) != (c == NotSent) {
			t.Errorf("%v: the verdicts say nothing about it", c)
		}
		if ours := c == NotSent || c == Busy || c == Unsound; c.Answered() == ours {
			t.Errorf("%v: Answered is %t", c, !ours)
		}
	}
}

// What an answer spends, and when the next call is made.
func TestAnswersThatCountAsAttempts(t *testing.T) {
	tests := []struct {
		name     string
		answer   Answer
		attempts int // of two answers of this kind before success
		atLeast  time.Duration
		atMost   time.Duration
	}{
		{"passing", Answer{Class: Passing, Retcode: "100-007"}, 3, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"busy", Answer{Class: Busy, Status: 503, Fault: "503"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"too many", Answer{Class: Busy, Status: 429, Fault: "429"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"retry after", Answer{Class: Busy, Status: 503, RetryAfter: 10 * time.Second}, 1, 20 * time.Second, 21 * time.Second},
		{"not sent", Answer{Class: NotSent}, 1, 200 * time.Millisecond, 200 * time.Millisecond},
		{"fault", Answer{Class: Unsound, Fault: "reset"}, 1, 1500 * time.Millisecond, 1500 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g", 1)
				n := 0
				s.gateway.answer = func(Call) Answer {
					if n++; n <= 2 {
						return test.answer
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.start()
				s.publish(wish("1001", "f", `,"id":"a"`))
				s.pass(time.Minute)
				s.wantTold("applied 1001 a")
				if r := s.journal.all()[0]; r.Attempts != test.attempts {
					t.Errorf("%d attempts, want %d", r.Attempts, test.attempts)
				}
				if took := s.gateway.at()[2].Sub(s.gateway.at()[0]); took < test.atLeast || took > test.atMost {
					t.Errorf("the third call came after %v", took)
				}
			})
		})
	}
}

func TestFirstAttemptsGoBeforeRetriesThenTheEarliestDeadline(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		s.agents(4)
		s.gateway.answer = func(c Call) Answer {
			if c.Flag == "bad" {
				return Answer{Class: Passing, Retcode: "100-007"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish("1001", "bad", until(time.Minute)))
		s.pass(time.Second)
		s.publish(wish("1002", "late", until(3*time.Hour)))
		s.publish(wish("1003", "soon", until(2*time.Hour)))
		s.publish(wish("1004", "soon", until(2*time.Hour)))
		s.pass(3500 * time.Millisecond)
		s.wantCalls("1001 bad g", "1003 soon g", "1004 soon g", "1002 late g")
		s.pass(time.Second)
		s.wantCalls("1001 bad g", "1003 soon g", "1004 soon g", "1002 late g", "1001 bad g")
	})
}

// What others were answered while an attempt hung says nothing about it: the gateway may have gone away behind them.
func TestOutageThatBeganDuringTheLastAttemptSpendsNone(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 1}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.signIn("1002", "g2", 1)
		s.gateway.set(func() { s.gateway.takes = 5 * time.Second })
		began := time.Now()
		s.gateway.set(func() {
			s.gateway.answer = func(c Call) Answer {
				if age := time.Since(began); c.AgentID == "1002" && age < 6*time.Second || age > time.Minute {
					return Answer{Class: Success, Retcode: "0"}
				}
				return Answer{Class: Unsound, Fault: "no answer within 5s"}
			}
		})
		s.start()
		s.publish(wish("1002", "false", `,"id":"b"`))
		s.pass(time.Millisecond)
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(2 * time.Minute)
		s.wantTold("applied 1002 b", "applied 1001 a")
	})
}
