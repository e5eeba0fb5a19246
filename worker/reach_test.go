package worker

import (
	"testing"
	"time"
)

func TestGateSaysWhatHoldsCallsBack(t *testing.T) {
	now := origin.Add(time.Minute)
	for name, test := range map[string]struct {
		policy Policy
		do     func(g *gate)
	}{
		"":            {Policy{MaxInFlight: 2}, func(*gate) {}},
		"rate":        {Policy{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *gate) { g.ask("1999", now) }},
		"in_flight":   {Policy{MaxInFlight: 1}, func(g *gate) { g.ask("1999", now) }},
		"paused":      {Policy{MaxInFlight: 2}, func(g *gate) { g.paused = true }},
		"retry_after": {Policy{MaxInFlight: 2}, func(g *gate) { g.shut = now.Add(time.Second) }},
		"breaker":     {Policy{MaxInFlight: 2}, func(g *gate) { pull(g, now.Add(-time.Second), now, fault) }},
		"slowed":      {Policy{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *gate) { g.pace.halve(10, now, now); g.ask("1999", now) }},
		"ramp":        {Policy{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *gate) { g.pace.ramp(now); g.ask("1999", now) }},
	} {
		g := newGate(test.policy, origin)
		test.do(&g)
		if ok, _ := g.ask("1999", now); ok != (name == "") || g.state(now).Holding != name {
			t.Errorf("want %q: let through %v, state %+v", name, ok, g.state(now))
		}
	}
}

func TestGateSaysOnceThatTheRateIsOutOfReach(t *testing.T) {
	g := newGate(Policy{Rate: 100, Burst: 10, MaxInFlight: 10}, origin)
	said := 0
	after := func(took time.Duration, answers int) int {
		for range answers {
			g.inFlight++
			g.tell("1001", Answer{Class: Success, Took: took}, origin, origin)
			said += number(g.outOfReach())
		}
		return said
	}
	if n := after(time.Second, enough-1); n != 0 {
		t.Errorf("said %d times after a few answers", n)
	}
	if n := after(time.Second, 200); n != 1 {
		t.Errorf("said %d times when each call took a second", n)
	}
	if n := after(10*time.Millisecond, 500); n != 1 {
		t.Errorf("said %d times when it was in reach", n)
	}
	if n := after(time.Second, 500); n != 2 {
		t.Errorf("said %d times when it was out of reach again", n)
	}
}
