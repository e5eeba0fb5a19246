package worker

import (
	"slices"
	"testing"
	"time"

	"idlepolicy/worker/view"
)

// setClockBack sets the wall clock back since the term began, as far as anything inside can tell: the other clock, on which
// pauses and holds are counted, is ahead of it by as much. Bubbles have one clock only.
func (s *site) setClockBack(by time.Duration) {
	s.inside(func(l *loop) {
		l.ticks0 += int64(by)
		l.holdUntil += int64(by)
	})
}

func TestClockSetBackDelaysNoRetry(t *testing.T) {
	bubble(t, Policy{Backoff: Backoff{Initial: time.Second}}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.reply(Answer{Class: Passing, Retcode: "100-007", Message: "later"})
		s.start()
		s.setClockBack(10 * time.Minute)
		s.publish(wish("1001", "f", ""))
		v, _ := s.worker.Agent(s.t.Context(), "1001")
		if v.Live.WaitsFor != view.Retry || time.Until(v.Live.Next) != time.Second {
			t.Errorf("waits for %v until %v", v.Live.WaitsFor, v.Live.Next)
		}
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(time.Second)
		s.wantTold("applied 1001 1")
	})
}

func TestClockSetBackDelaysNoHold(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.hold = 5 * time.Second
		s.store(wish("1001", "f", `,"id":"a"`))
		s.signIn("1001", "g", 1)
		s.start()
		s.setClockBack(10 * time.Minute)
		if v, _ := s.worker.Agent(s.t.Context(), "1001"); v.Live.WaitsFor != view.Hold || time.Until(v.Live.Next) != s.hold {
			t.Errorf("waits for %v until %v", v.Live.WaitsFor, v.Live.Next)
		}
		s.pass(s.hold)
		s.wantTold("applied 1001 a")
	})
}

func TestClockSetBackEndsNoDebounce(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		s.setClockBack(10 * time.Minute)
		for range 3 {
			s.publish(wish("1001", "f", ""))
		}
		s.worker.SetControls(Controls{})
		s.pass(0)
		if v, _ := s.worker.Agent(s.t.Context(), "1001"); v.Live == nil || v.Live.WaitsFor != view.Debounce {
			t.Errorf("%+v", v)
		}
		s.pass(debouncePause)
		if told := s.told(); !slices.Contains(told, "applied 1001 3") {
			t.Errorf("told %q", told)
		}
	})
}

// What a message names is an instant, and waits for the wall clock.
func TestClockSetBackDelaysInstants(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		s.setClockBack(10 * time.Minute)
		s.publish(wish("1001", "f", `,"id":"a"`+effective(time.Minute)))
		s.pass(59 * time.Second)
		s.wantTold("waiting 1001 a")
		s.pass(time.Second)
		s.wantTold("waiting 1001 a", "applied 1001 a")
	})
}

func TestPauseNeverExceedsItsMaximum(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 1} {
		b := Backoff{Initial: 500 * time.Millisecond, Max: 10 * time.Second, Multiplier: 2, Jitter: jitter}.withDefaults()
		for n := range 2000 {
			if p := b.Pause(n%12 + 1); p > b.Max || p < 0 {
				t.Fatalf("jitter %v: the pause after attempt %d is %v", jitter, n%12+1, p)
			}
		}
	}
}
