package worker

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// While the gate is shut, whatever shut it, no change spends attempts, ends, or loses its place in line.
func TestChangesWaitWhileTheGateIsShut(t *testing.T) {
	answers := map[string]Answer{
		"429 that says how long": {Class: Busy, Status: 429, RetryAfter: 2 * time.Second, Fault: "429"},
		"429":                    {Class: Busy, Status: 429, Fault: "429"},
		"503":                    {Class: Busy, Status: 503, Fault: "503"},
		"transport":              {Class: Unsound, Fault: "reset"},
		"nobody there":           {Class: Unsound, Connect: true, Fault: "refused"},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{Rate: 50, MaxAttempts: 2}, func(s *site) {
				all := s.agents(100)
				s.gateway.reply(answer)
				s.start()
				for i, agent := range all { // the last one's deadline is the earliest
					s.publish(wish(agent, "f", until(2*time.Hour-time.Duration(i)*time.Second)))
				}
				s.pass(10 * time.Minute)
				tried := map[string]bool{}
				for _, call := range s.gateway.made() {
					tried[strings.Fields(call)[0]] = true
				}
				before := len(s.gateway.made())
				s.gateway.reply(Answer{Class: Success, Retcode: "0"})
				s.pass(time.Minute)
				results := s.journal.all()
				if len(results) != len(all) {
					t.Fatalf("%d results", len(results))
				}
				for _, r := range results {
					if r.Outcome != "applied" || r.Attempts != 1 {
						t.Errorf("result %+v", r)
					}
				}
				var untried, want []string                                // those that were never tried keep their order
				tried[strings.Fields(s.gateway.made()[before])[0]] = true // the probe, which may be for anybody
				for _, call := range s.gateway.made()[before:] {
					if agent := strings.Fields(call)[0]; !tried[agent] {
						untried = append(untried, agent)
					}
				}
				for _, agent := range slices.Backward(all) {
					if !tried[agent] {
						want = append(want, agent)
					}
				}
				if !slices.Equal(untried, want) {
					t.Errorf("order %v, want %v", untried, want)
				}
			})
		})
	}
}

// A pause and a rate of the operators', and the rate in every window, hold over takeovers.
func TestGateHoldsOverTakeovers(t *testing.T) {
	bubble(t, Policy{Rate: 500}, func(s *site) {
		all := s.agents(2000)
		fifty := 50.0
		s.worker.SetControls(Controls{Rate: &fifty})
		for _, agent := range all {
			s.store(wish(agent, "f", ""))
		}
		for range 20 {
			s.start()
			s.pass(370 * time.Millisecond)
			s.crash()
		}
		n := len(s.gateway.made())
		if most := mostIn(s.gateway.at(), time.Second); most > 55 || n < 200 {
			t.Errorf("%d calls, %d of them within one second", n, most)
		}
		s.worker.SetControls(Controls{Rate: &fifty, Paused: true})
		s.start()
		s.pass(time.Minute)
		if made := len(s.gateway.made()); made != n {
			t.Errorf("%d calls while paused", made-n)
		}
	})
}

// After it opens, the rate ramps up within a second.
func TestRateRampsUpAfterARetryAfter(t *testing.T) {
	bubble(t, Policy{Rate: 100}, func(s *site) {
		all := s.agents(600)
		s.gateway.reply(Answer{Class: Busy, Status: 503, RetryAfter: 2 * time.Second, Fault: "503"})
		s.start()
		s.pass(time.Minute)
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		refused := len(s.gateway.made())
		shut := time.Now()
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(1900 * time.Millisecond)
		if n := len(s.gateway.made()); n != refused {
			t.Errorf("%d calls in the silence", n-refused)
		}
		s.pass(3 * time.Second)
		open := shut.Add(2 * time.Second)
		calls := s.gateway.at()
		if n := between(calls, open, open.Add(200*time.Millisecond)); n > 10 {
			t.Errorf("%d calls in the first 200 ms", n)
		}
		if n := between(calls, open.Add(time.Second), open.Add(2*time.Second)); n < 95 || n > 105 {
			t.Errorf("%d calls in the second second", n)
		}
	})
}
