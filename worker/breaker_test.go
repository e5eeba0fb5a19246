package worker

import (
	"strconv"
	"testing"
	"time"
)

func fault(int) Answer { return Answer{Class: Unsound, Fault: "connection refused"} }

func TestBreakerLeavesADeadGatewayAlone(t *testing.T) {
	for _, answer := range []Answer{
		{Class: Unsound, Fault: "connection refused"}, {Class: Busy, Status: 503, Fault: "503"},
	} {
		g := newGate(Policy{Rate: 500, Burst: 50, MaxInFlight: 32}, origin)
		now := origin.Add(time.Minute)
		calls := pull(&g, now, now.Add(2*time.Second), func(int) Answer { return answer })
		if len(calls) > 5 {
			t.Errorf("%v: %d calls into an outage of 2 s", answer, len(calls))
		}
		if s := g.state(now); s.State != "probing" || s.Why != answer.Fault {
			t.Errorf("state %+v", s)
		}
		calls = pull(&g, now.Add(2*time.Second), now.Add(time.Minute), func(int) Answer { return answer })
		if len(calls) < 50 || len(calls) > 70 {
			t.Errorf("%v: %d probes in the rest of a minute", answer, len(calls))
		}
	}
}

func TestBreakerClosesWithTheFirstAnswer(t *testing.T) {
	for _, class := range []Class{Success, Refused, NoAgent, Passing} {
		g := newGate(Policy{Rate: 100, Burst: 10, MaxInFlight: 32}, origin)
		now := origin.Add(time.Minute)
		pull(&g, now, now.Add(10*time.Second), fault)
		end := now.Add(10 * time.Second)
		calls := pull(&g, end, end.Add(3*time.Second), func(int) Answer { return Answer{Class: class} })
		if len(calls) == 0 || calls[0].Sub(end) > time.Second {
			t.Fatalf("%v: no probe within a second", class)
		}
		if n := count(calls, calls[0], calls[0].Add(200*time.Millisecond)); n > 8 {
			t.Errorf("%v: %d calls in the first 200 ms", class, n)
		}
		if n := count(calls, calls[0].Add(time.Second), calls[0].Add(2*time.Second)); n < 99 {
			t.Errorf("%v: %d calls a second after the outage", class, n)
		}
	}
}

func TestBreakerOpensStepByStepWithoutALimitToo(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	pull(&g, origin, origin.Add(10*time.Second), fault)
	now := g.breaker.next
	g.ask("1999", now)
	g.tell("1999", sound(0), now, now)
	n := 0
	for at := now; at.Before(now.Add(100 * time.Millisecond)); at = at.Add(time.Millisecond) {
		if ok, _ := g.ask("1999", at); ok {
			g.tell("1999", sound(0), at, at)
			n++
		}
	}
	if n < 10 || n > 40 {
		t.Errorf("%d calls in the first 100 ms after an outage", n)
	}
	again := now.Add(time.Second)
	for range 32 {
		if ok, _ := g.ask("1999", again); !ok {
			t.Fatal("a second later there still is a limit")
		}
	}
}

func TestBreakerFirstFaultLetsOneThroughAtATime(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	g.ask("1999", origin)
	g.tell("1001", fault(0), origin, origin)
	if ok, _ := g.ask("1999", origin); !ok {
		t.Error("one fault of one agent keeps everybody out")
	}
	if ok, again := g.ask("1999", origin); ok || !again.IsZero() {
		t.Error("a second call goes out before the first was answered")
	}
	g.tell("1002", sound(0), origin, origin)
	g.ask("1999", origin)
	if ok, _ := g.ask("1999", origin); !ok {
		t.Error("the gate is not open again")
	}
}

func TestBreakerSlowCallsFromBeforeKeepNobodyWaiting(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	g.ask("1999", origin) // hangs
	g.ask("1999", origin)
	now := origin.Add(time.Second)
	g.tell("1001", fault(0), origin, now)
	if ok, _ := g.ask("1999", now); !ok {
		t.Error("a call that hangs keeps everybody out after one fault of another agent")
	}
	g.notSent("no lease", now, now)
	if ok, _ := g.ask("1999", now.Add(time.Second)); !ok {
		t.Error("a call that never left keeps everybody out")
	}
}

func TestBreakerLeavesOneAgentsFaultsToItsBackoff(t *testing.T) {
	for name, answer := range map[string]Answer{"fault": fault(0), "503": {Class: Busy, Status: 503, Fault: "503"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				all := s.agents(2)
				s.gateway.answer = func(c Call) Answer {
					if c.AgentID == all[0] {
						return answer
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.start()
				s.publish(wish(all[0], "f", ""))
				s.pass(10 * time.Minute)
				if n := len(s.gateway.made()); n > 30 {
					t.Errorf("%d calls for one agent in ten minutes", n)
				}
				at := time.Now()
				s.publish(wish(all[1], "f", `,"id":"b"`))
				s.pass(time.Second)
				s.wantTold("applied 1002 b")
				if took := s.gateway.at[len(s.gateway.at)-1].Sub(at); took > 2*time.Millisecond {
					t.Errorf("the other agent's call waited %v", took)
				}
			})
		})
	}
}

func TestBreakerNobodyWaitsForAnAgentWhoseCallsHang(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(2)
		s.gateway.takes = 5 * time.Second
		s.gateway.answer = func(c Call) Answer {
			if c.AgentID == all[0] {
				return fault(0)
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish(all[0], "f", ""))
		s.pass(6 * time.Second) // its second call is under way
		s.wantCalls("1001 f g", "1001 f g")
		at := time.Now()
		s.gateway.set(func() { s.gateway.takes = 0 })
		s.publish(wish(all[1], "f", `,"id":"b"`))
		s.pass(time.Second)
		s.wantCalls("1001 f g", "1001 f g", "1002 f g")
		if took := s.gateway.at[len(s.gateway.at)-1].Sub(at); took > 2*time.Millisecond {
			t.Errorf("the other agent's call waited %v", took)
		}
	})
}

// Nobody listens at the address that all agents share: one agent is enough to find that out, and that somebody does again.
func TestBreakerWhereNobodyListens(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.agents(1)
		s.gateway.reply(Answer{Class: Unsound, Connect: true, Fault: "connection refused"})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.pass(10 * time.Minute)
		v, _ := s.worker.View(s.t.Context())
		if v.Gate.State != "probing" || v.Gate.Why != "connection refused" {
			t.Errorf("gate %+v", v.Gate)
		}
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(1100 * time.Millisecond)
		s.wantTold("applied 1001 a")
	})
}

func TestBreakerCallsFromBeforeItOpenedTellNothing(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	for range 10 {
		g.ask("1999", origin)
	}
	now := origin.Add(time.Second)
	for i := range 10 {
		g.tell(nth(i), fault(0), origin, now)
	}
	if g.breaker.faults != 2 || g.breaker.next.Sub(now) != firstProbe {
		t.Errorf("breaker %+v", g.breaker)
	}
}

func TestBreakerProbesOneAtATime(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	pull(&g, origin, origin.Add(time.Second), fault)
	now := g.breaker.next
	if ok, _ := g.ask("1999", now); !ok {
		t.Fatal("no probe")
	}
	if ok, again := g.ask("1999", now.Add(time.Minute)); ok || !again.IsZero() {
		t.Error("two probes at once")
	}
}

// agents signs n agents in and returns them.
func (s *site) agents(n int) []string {
	var all []string
	for i := range n {
		all = append(all, strconv.Itoa(1001+i))
		s.signIn(all[i], "g", uint64(i+1))
	}
	return all
}

// Nobody heard the call, whatever others are answered: a session may name a node of the gateway that is down.
func TestPauseAndRateByOperators(t *testing.T) {
	bubble(t, Policy{Rate: 100}, func(s *site) {
		all := s.agents(30)
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		s.pass(time.Hour)
		s.wantCalls()
		two := 2.0
		s.worker.SetControls(Controls{Rate: &two})
		s.pass(10 * time.Second)
		if n := len(s.gateway.made()); n < 19 || n > 20 {
			t.Errorf("%d calls in ten seconds at 2 per second", n)
		}
		s.worker.SetControls(Controls{})
		s.pass(time.Second)
		if n := len(s.gateway.made()); n != 30 {
			t.Errorf("%d calls after the rate is the old one again", n)
		}
	})
}

// One agent that is refused for lack of room again and again, while others are answered, slows nobody down for long, and
// uses up its attempts. Where others are refused too, none do.
