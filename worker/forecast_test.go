package worker

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/view"
)

// listen has the worker log into the buffer that it returns; it may be read while the worker waits.
func (s *site) listen() *bytes.Buffer {
	var b bytes.Buffer
	s.worker.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Equal(slog.String(slog.MessageKey, "result")) {
			return slog.Attr{} // there are too many of them to look at
		}
		return a
	}}))
	return &b
}

// estimateOfPaused is the estimate of what a pause has kept back, as if it were over. While it lasts there is none.
func (s *site) estimateOfPaused() (e view.Estimate) {
	s.t.Helper()
	if v, _ := s.worker.View(s.t.Context()); !v.Estimate.End.IsZero() || v.Estimate.Missed != 0 {
		s.t.Errorf("estimate %+v while calls are paused", v.Estimate)
	}
	s.inside(func(l *loop) {
		l.gate.SetPaused(false, l.now)
		e = l.forecast.estimate()
		l.gate.SetPaused(true, l.now)
	})
	return e
}

func TestEstimateOfRetriesComesAfterAllOthers(t *testing.T) {
	bubble(t, Policy{Rate: 10, Burst: 1, MaxInFlight: 1}, func(s *site) {
		all := s.agents(21)
		s.gateway.reply(Answer{Class: Passing, Retcode: "100-007"})
		s.start()
		s.pass(time.Second)
		s.publish(wish(all[0], "f", until(3*time.Second))) // is called at once
		s.worker.SetControls(Controls{Paused: true})
		s.pass(time.Second) // it would be tried again now
		for _, agent := range all[1:] {
			s.publish(wish(agent, "f", until(time.Hour)))
		}
		if e := s.estimateOfPaused(); e.Due != 21 || e.Missed != 1 {
			t.Errorf("estimate %+v: the retry has its turn after two seconds, and two are left", e)
		}
	})
}

func TestEstimateCountsFromTheEndOfARetryAfter(t *testing.T) {
	bubble(t, Policy{Rate: 10, Burst: 1}, func(s *site) {
		all := s.agents(11)
		s.gateway.reply(Answer{Class: Busy, Status: 503, RetryAfter: time.Minute})
		s.start()
		s.pass(time.Second)
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		v, _ := s.worker.View(s.t.Context())
		if e := v.Estimate; e.Due != 11 || e.End.Sub(v.At) < time.Minute+time.Second {
			t.Errorf("estimate %+v at %v", e, v.At)
		}
	})
}

func TestEstimateReckonsWithWhatIsInReach(t *testing.T) {
	bubble(t, Policy{Rate: 100, MaxInFlight: 2}, func(s *site) {
		log := s.listen()
		all := s.agents(200)
		s.gateway.set(func() {
			s.gateway.takes = 100 * time.Millisecond
			s.gateway.answer = func(Call) Answer { return Answer{Class: Success, Retcode: "0", Took: 100 * time.Millisecond} }
		})
		s.start()
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		s.pass(5 * time.Second)
		v, _ := s.worker.View(s.t.Context())
		if g := v.Gate; g.Holding != "in_flight" || g.Reach != 20 || g.Latency != 0.1 || v.Estimate.Rate != 20 {
			t.Errorf("gate %+v, estimate %+v", g, v.Estimate)
		}
		s.pass(5 * time.Second)
		if n := strings.Count(log.String(), "cannot be reached"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
	})
}

func TestEstimateIsUnknownWhileTheGateProbes(t *testing.T) {
	bubble(t, Policy{Rate: 10, Burst: 1}, func(s *site) {
		log := s.listen()
		all := s.agents(200)
		s.gateway.set(func() { s.gateway.answer = func(Call) Answer { return Answer{Class: Unsound, Fault: "nobody there"} } })
		s.start()
		for i, agent := range all {
			if i == 10 {
				s.pass(time.Minute) // the gate has noticed
			}
			s.publish(wish(agent, "f", until(time.Hour)))
		}
		s.pass(time.Minute)
		v, _ := s.worker.View(s.t.Context())
		if e := v.Estimate; v.Gate.State != "probing" || e.Due < 190 || !e.End.IsZero() {
			t.Errorf("gate %s, estimate %+v: nobody knows when the gateway answers again", v.Gate.State, e)
		}
		if strings.Contains(log.String(), "a wave of changes is due") {
			t.Errorf("the end of a wave is promised:\n%s", log)
		}
		s.gateway.set(func() { s.gateway.answer = nil })
		s.pass(10 * time.Second)
		v, _ = s.worker.View(s.t.Context())
		if e := v.Estimate; v.Gate.State != "open" || e.End.IsZero() {
			t.Errorf("gate %s, estimate %+v", v.Gate.State, e)
		}
		if n := strings.Count(log.String(), "a wave of changes is due"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
	})
}

func TestWaveIsReportedOnce(t *testing.T) {
	bubble(t, Policy{Rate: 10, Burst: 1}, func(s *site) {
		log := s.listen()
		all := s.agents(200)
		s.start()
		s.pass(time.Second) // there is a token
		for range 2 {       // waves
			for i, agent := range all {
				valid := time.Hour
				if i < 50 {
					valid = 3 * time.Second
				}
				s.publish(wish(agent, "f", until(valid)))
			}
			s.pass(time.Minute)
		}
		said := log.String()
		if n := strings.Count(said, "a wave of changes is due"); n != 2 || strings.Count(said, "due=190 per_second=10") != 2 ||
			strings.Count(said, "too_late=20") != 2 {
			t.Errorf("said %d times:\n%s", n, said)
		}
		s.publish(wish(all[0], "f", ""))
		s.pass(time.Minute)
		if strings.Count(log.String(), "a wave of changes is due") != 2 {
			t.Error("one change is not a wave")
		}
	})
}
