package worker

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/worker/view"
)

func TestRateOfOperatorsKeepsABurstThatWasSet(t *testing.T) {
	for set, want := range map[float64]float64{0: 30, 1: 1} {
		bubble(t, Policy{Rate: 100, Burst: set}, func(s *site) {
			s.start()
			rate := 300.0
			s.worker.SetControls(Controls{Rate: &rate})
			s.inside(func(l *loop) {
				if l.gate.Limit() != rate || l.gate.Burst() != want {
					t.Errorf("burst %v set: rate %v with a burst of %v, want %v", set, l.gate.Limit(), l.gate.Burst(), want)
				}
			})
		})
	}
}

// An operator's rate outlives the process: a later term says that the configured one does not hold.
func TestRateOfOperatorsIsMarked(t *testing.T) {
	rate := 7.0
	for set, limit := range map[*float64]float64{nil: 100, &rate: rate} {
		bubble(t, Policy{Rate: 100}, func(s *site) {
			var log strings.Builder
			s.worker.Log = slog.New(slog.NewTextHandler(&log, nil))
			s.worker.SetControls(Controls{Rate: set})
			s.start()
			gate := func() (g view.GateState) {
				s.inside(func(l *loop) { g = l.view().Gate })
				return g
			}
			if g := gate(); g.Limit != limit || g.ByOperator != (set != nil) {
				t.Errorf("the gate is %+v, want the limit %v", g, limit)
			}
			s.worker.SetControls(Controls{})
			synctest.Wait()
			if g := gate(); g.Limit != 100 || g.ByOperator {
				t.Errorf("without a rate of operators the gate is %+v", g)
			}
			s.finish()
			if said := strings.Contains(log.String(), "level=WARN msg=\"an operator's rate holds"); said != (set != nil) {
				t.Errorf("the log of a term with limit %v:\n%s", limit, log.String())
			}
		})
	}
}

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

// One line when a state of the gate begins and one when it ends, but only a few a minute while the gateway flaps.
func TestFlappingGateIsLoggedSparingly(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var g gateLog
	lines := func() int { return strings.Count(log.String(), "\n") }
	open, shut := view.GateState{State: "open"}, view.GateState{State: "probing", Why: "it does not answer"}
	g.note(logger, &open, dawn)
	if lines() != 0 {
		t.Errorf("an open gate is news at the start:\n%s", log.String())
	}
	g.note(logger, &shut, dawn)
	g.note(logger, &shut, dawn.Add(time.Second))
	g.note(logger, &open, dawn.Add(2*time.Second))
	if lines() != 2 || !strings.Contains(log.String(), "after=2s") {
		t.Errorf("one state that began and ended:\n%s", log.String())
	}
	now := dawn.Add(2 * time.Second)
	for range 300 { // ten minutes
		now = now.Add(time.Second)
		g.note(logger, &shut, now)
		now = now.Add(time.Second)
		g.note(logger, &open, now)
	}
	if n := lines(); n > 11*gateLines || n < 9*gateLines || !strings.Contains(log.String(), "changes_left_out") {
		t.Errorf("%d lines in ten minutes of flapping", n)
	}
}
