package stream

import (
	"context"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker"
)

// asksForRest has the gateway answer one call with a Retry-After, and returns functions that tell when it did and when the
// next call came; zero: not yet.
func (s *site) asksForRest(pause time.Duration) (asked, next func() time.Time) {
	var mu sync.Mutex
	var first, second time.Time
	s.gateway.answer = func(worker.Call) worker.Answer {
		mu.Lock()
		defer mu.Unlock()
		if first.IsZero() {
			first = time.Now()
			return worker.Answer{Class: worker.Busy, Status: 429, RetryAfter: pause, Fault: "429 Too Many Requests"}
		}
		if second.IsZero() {
			second = time.Now()
		}
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	get := func(t *time.Time) func() time.Time {
		return func() time.Time { mu.Lock(); defer mu.Unlock(); return *t }
	}
	return get(&first), get(&second)
}

// Fault F: a NATS connection that was cut, or a dead owner, made calls come early although the gateway had asked for rest.
func TestRetryAfterHoldsOverAReconnectAndATakeover(t *testing.T) {
	for name, lose := range map[string]func(s *site, a *replica){
		"server restarted": func(s *site, _ *replica) { s.restartServer() },
		"owner killed": func(s *site, a *replica) {
			a.owner.Conn.Close()
			s.startOwner("b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			const pause = 8 * time.Second
			asked, next := s.asksForRest(pause)
			a := s.startOwner("a")
			s.signIn("1001", "g")
			s.signIn("1002", "g")
			s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
			s.wait("the gateway asks for rest", func() bool { return !asked().IsZero() })
			s.wait("that is stored", func() bool {
				o, _, err := a.owner.readOwners(context.Background())
				return err == nil && o.Gateway.HoldUntil.After(time.Now())
			})
			lose(s, a)
			s.publish(`{"agent_id":"1002","flag":"f","id":"c2"}`)
			s.waitFinished()
			if early := pause - next().Sub(asked()); early > 10*time.Millisecond {
				t.Errorf("a call came %v early", early)
			}
		})
	}
}

// What an operator says ends a Retry-After from before, and none that comes later.
func TestResumeEndsARetryAfter(t *testing.T) {
	s := newSite(t)
	asked, _ := s.asksForRest(time.Hour)
	a := s.startOwner("a")
	s.signIn("1001", "g")
	service := s.operator(a)
	ctx, over := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over()
	wg.Go(func() { service.followControls(ctx) })
	s.set(service, "resume", nil)
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("the gateway asks for rest", func() bool { return !asked().IsZero() })
	s.wait("the gate is shut", func() bool { return s.gateOf(a).State == "shut" })
	s.set(service, "resume", nil)
	s.waitFinished()
	s.wantResults("applied 1001 c1")
}
