package worker

import (
	"testing"
	"time"
)

// broke is what a worker sees of a call whose connection broke a second after it was made.
var broke = Answer{Class: Unsound, Fault: "connection reset", Took: time.Second}

// breaksOnce has the connection of the first call break a second after it was made.
func (s *site) breaksOnce(a Answer) {
	s.gateway.set(func() {
		s.gateway.takes = time.Second
		s.gateway.answer = func(Call) Answer {
			s.gateway.set(func() { s.gateway.takes, s.gateway.answer = 0, nil })
			return a
		}
	})
}

func TestNewerFlagWaitsWhileAnUnansweredCallMayLand(t *testing.T) {
	later := 5*time.Second - time.Second // the time-out, from when the call was made
	for _, c := range []struct {
		name   string
		answer Answer
		flag   string
		waits  time.Duration
	}{
		{"its connection broke", broke, "new", later},
		{"a proxy answered with 502", Answer{Class: Unsound, Status: 502, Took: time.Second}, "new", later},
		{"a proxy answered with 503", Answer{Class: Busy, Status: 503, Took: time.Second}, "new", later},
		{"the newer flag is the same", broke, "old", 0},
		{"the gateway answered itself", Answer{Class: Passing, Retcode: "100-007", Took: time.Second}, "new", 0},
		{"it was never connected", Answer{Class: Unsound, Connect: true, Took: time.Second}, "new", 0},
		{"it was refused unseen", Answer{Class: Busy, Status: 429, Took: time.Second}, "new", 0},
		{"its time-out has passed", Answer{Class: Unsound, TimedOut: true, Took: 5 * time.Second}, "new", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g", 1)
				s.breaksOnce(c.answer)
				s.start()
				s.publish(wish("1001", "old", ""))
				s.publish(wish("1001", c.flag, ""))
				s.pass(time.Second)
				if c.waits > 0 {
					s.pass(c.waits - time.Millisecond)
					s.wantCalls("1001 old g")
					s.pass(time.Millisecond)
				}
				s.wantCalls("1001 old g", "1001 "+c.flag+" g")
				s.finish()
			})
		})
	}
}

// The change itself is tried again, and ends, before that time is over.
func TestUnansweredCallMayLandAfterItsChangeHasEnded(t *testing.T) {
	for _, crash := range []bool{false, true} {
		bubble(t, Policy{Backoff: Backoff{Initial: time.Second, Jitter: 0}}, func(s *site) {
			s.signIn("1001", "g", 1)
			s.breaksOnce(broke)
			s.start()
			s.publish(wish("1001", "old", `,"id":"a"`))
			s.pass(2 * time.Second)
			s.wantTold("applied 1001 a")
			if crash {
				s.crash()
				s.start()
			}
			s.publish(wish("1001", "new", `,"id":"b"`))
			s.pass(3*time.Second - time.Millisecond)
			s.wantCalls("1001 old g", "1001 old g")
			s.pass(time.Millisecond)
			s.wantCalls("1001 old g", "1001 old g", "1001 new g")
			s.finish()
		})
	}
}

func TestStopWaitsForUnansweredCalls(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.breaksOnce(broke)
		s.start()
		s.publish(wish("1001", "old", ""))
		s.pass(time.Second)
		began := time.Now()
		s.finish()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("it stopped after %v, want the 4s for which the call may still land", took)
		}
	})
}
