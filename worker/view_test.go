package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/worker/view"
)

func TestView(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		if _, ok := s.worker.View(s.t.Context()); ok {
			t.Error("a view while no term runs")
		}
		s.signIn("1001", "g", 1)
		s.signIn("1002", "g", 2)
		s.gateway.answer = func(c Call) Answer { return Answer{Class: Passing, Retcode: "100-007", Message: "later"} }
		s.start()
		s.pass(time.Minute)
		s.publish(wish("1001", "f", `,"id":"a"`)) // is called at once and pauses
		s.publish(wish("1002", "f", `,"id":"b","batch_id":"x"`))
		s.publish(wish("1003", "f", `,"id":"c"`))
		s.publish(wish("1003", "f", `,"id":"d"`+effective(time.Hour)))
		v, ok := s.worker.View(s.t.Context())
		if !ok || v.Agents != 3 || v.Unfinished != 4 || v.Due != 1 || v.InFlight != 0 || v.Later != 1 || v.NotSignedIn != 1 ||
			v.Retrying != 1 || v.Storing != 0 || len(v.Batches) != 1 || v.Batches[0].ID != "x" || v.Batches[0].Progress.Total != 1 {
			t.Errorf("view %+v", v)
		}
		if e := v.Estimate; e.Due != 1 || e.Rate != 1 || e.End.Sub(v.At) != time.Second || e.Missed != 0 {
			t.Errorf("estimate %+v", e)
		}
	})
}

func TestAgentView(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.hold = 5 * time.Second
		s.store(wish("1001", "f", `,"id":"a"`))
		s.signIn("1001", "g", 1)
		s.start()
		began := time.Now()
		look := func() view.AgentView {
			v, ok := s.worker.Agent(s.t.Context(), "1001")
			if !ok {
				t.Error("no view")
			}
			return v
		}
		if v := look(); v.Live == nil || v.Live.WaitsFor != view.Hold || v.Live.Next.Sub(began) != s.hold || !v.SignedIn || v.Live.ID != "a" {
			t.Errorf("in the hold: %+v", v)
		}
		s.gateway.set(func() { s.gateway.takes = time.Second })
		s.gateway.reply(Answer{Class: Passing, Retcode: "100-007", Message: "later"})
		s.pass(s.hold)
		if v := look(); v.Live.WaitsFor != view.Answer || !v.CallSince.Equal(began.Add(s.hold)) {
			t.Errorf("during the first call: %+v", v)
		}
		s.pass(time.Second)
		if v := look(); v.Live.WaitsFor != view.Retry || time.Until(v.Live.Next) != 500*time.Millisecond || v.Live.Attempts != 1 ||
			v.Live.Retcode != "100-007" || v.Live.Message != "later" || !v.CallSince.IsZero() {
			t.Errorf("between calls: %+v", v)
		}
		s.pass(600 * time.Millisecond)
		if v := look(); !v.CallSince.Equal(began.Add(s.hold + 1500*time.Millisecond)) {
			t.Errorf("during the second call: %+v", v)
		}
		s.publish(wish("1001", "n", `,"id":"new"`))
		if v := look(); v.Live.ID != "new" || v.Live.WaitsFor != view.OlderCall {
			t.Errorf("overtaken: %+v", v)
		}
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.publish(wish("1001", "l", `,"id":"later"`+effective(2*time.Hour)))
		s.publish(wish("1001", "l", `,"id":"late"`+effective(time.Hour)))
		s.pass(time.Minute)
		if v := look(); v.Live != nil || v.InForce == nil || v.InForce.ChangeID != "new" || len(v.Later) != 2 || v.Later[0].ID != "late" ||
			v.Later[0].WaitsFor != view.Instant || !v.Later[0].Next.Equal(v.Later[0].EffectiveAt) {
			t.Errorf("applied: %+v", v)
		}
		s.sessions.Delete("1001")
		s.pass(2 * time.Hour)
		if v := look(); v.SignedIn || v.Live.WaitsFor != view.SignIn || len(v.Later) != 0 {
			t.Errorf("signed out: %+v", v)
		}
		s.pass(24 * time.Hour)
		if v := look(); v.InForce != nil || v.Live != nil {
			t.Errorf("after its time: %+v", v)
		}
		if v, ok := s.worker.Agent(s.t.Context(), "9999"); !ok || v.AgentID != "9999" || v.Live != nil {
			t.Errorf("of an unknown agent: %+v", v)
		}
	})
}

func TestEstimate(t *testing.T) {
	bubble(t, Policy{Rate: 10, Burst: 1}, func(s *site) {
		all := s.agents(50)
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		s.pass(time.Minute)
		for i, agent := range all {
			valid := time.Hour
			if i < 20 {
				valid = time.Second
			}
			s.publish(wish(agent, "f", until(valid)))
		}
		if e := s.estimateOfPaused(); e.Due != 50 || e.Rate != 10 || time.Until(e.End) != 5*time.Second || e.Missed != 10 {
			t.Errorf("estimate %+v", e)
		}
	})
}

func TestEstimateWithoutALimitGoesBySpeed(t *testing.T) {
	var v speed
	now := dawn
	for range 3 {
		for range 40 {
			v.add(now)
		}
		now = now.Add(time.Second)
	}
	if got := v.perSecond(now); got != 40 {
		t.Errorf("%v per second", got)
	}
	if got := v.perSecond(now.Add(5 * time.Second)); got != 0 {
		t.Errorf("%v per second, long after the last call", got)
	}
}

// Who asks and goes away must not read what the event loop writes then; the race detector looks at it.
func TestViewWhoseContextEnds(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		busy := make(chan struct{})
		go s.worker.ask(s.t.Context(), func(*loop) { <-busy })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		if v, ok := s.worker.View(ctx); ok || !v.At.IsZero() {
			t.Errorf("view %+v", v)
		}
		close(busy)
		synctest.Wait()
	})
}

func TestViewAsTheTermEnds(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		busy := make(chan struct{})
		go s.worker.ask(s.t.Context(), func(*loop) { <-busy })
		synctest.Wait()
		asked := make(chan bool)
		go func() {
			_, ok := s.worker.Agent(s.t.Context(), "1001")
			asked <- ok
		}()
		s.kill()
		close(busy)
		<-asked // answered or not, but it returns
		<-s.over
		s.inbox = nil
	})
}
