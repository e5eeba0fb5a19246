package worker

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"idlepolicy/worker/view"
)

// A backlog that only repeats itself costs each agent hardly more than one call.
func TestDebounceIsWaitedFor(t *testing.T) {
	bubble(t, Policy{Rate: 500}, func(s *site) {
		all := s.agents(200)
		s.start()
		for round := range 100 {
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, agent := range all {
				s.publish(wish(agent, "f"+strconv.Itoa(round), ""))
			}
			s.pass(60 * time.Millisecond)
		}
		early := len(s.gateway.made())
		s.pass(2 * time.Second)
		if n := len(s.gateway.made()); n > early+len(all) || n > 2*len(all) {
			t.Errorf("%d calls for %d agents, %d of them in vain", n, len(all), early)
		}
		s.wantNothingWaiting()
	})
}

// The same if results are stored slowly: most agents of a flood then wait for that, and not for the end of their run. A run
// of one agent afterwards is bounded as if there had been no flood.
func TestDebounceOfManyIsLongIfResultsAreStoredSlowly(t *testing.T) {
	bubble(t, Policy{Rate: 500}, func(s *site) {
		all := s.agents(200)
		s.start()
		s.journal.set(func() { s.journal.takes = 90 * time.Millisecond })
		for round := range 100 {
			for _, agent := range all {
				s.publish(wish(agent, "f"+strconv.Itoa(round), ""))
			}
			s.pass(100 * time.Millisecond)
		}
		s.pass(2 * time.Second)
		if n := len(s.gateway.made()); n > 3*len(all) {
			t.Errorf("%d calls for %d agents", n, len(all))
		}
		s.wantNothingWaiting()

		before, began := len(s.gateway.made()), time.Now()
		for time.Since(began) < time.Minute {
			s.publish(wish(all[0], "g", ""))
			s.pass(debouncePause / 8)
		}
		if n := len(s.gateway.made()) - before; n < 15 {
			t.Errorf("%d calls in a minute for the one agent of a run without end", n)
		}
	})
}

// One agent's debounce is its own, and its call comes even if it never ends.
func TestDebounceIsBoundedAndHoldsUpNoOtherAgent(t *testing.T) {
	bubble(t, Policy{Rate: 1}, func(s *site) {
		all := s.agents(2)
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		for range 3 { // its first change would be called at once, and nothing would wait
			s.publish(wish(all[0], "f", ""))
		}
		s.worker.SetControls(Controls{})
		s.publish(wish(all[1], "f", ""))
		began := time.Now()
		for time.Since(began) < time.Minute {
			s.publish(wish(all[0], "f", ""))
			s.pass(debouncePause / 2)
			if n := len(s.gateway.made()); time.Since(began) < debounceLeast && n > 1 {
				t.Fatalf("%d calls after %v", n, time.Since(began))
			}
		}
		if n := len(s.gateway.made()); n < 15 {
			t.Errorf("%d calls in a minute: a run without end keeps its agent from being called", n)
		}
	})
}

// An agent whose changes keep replacing each other is counted like everybody else.
func TestDebouncedChangeIsInTheView(t *testing.T) {
	bubble(t, Policy{Rate: 1, Burst: 1}, func(s *site) {
		all := s.agents(2)
		s.start()
		s.publish(wish(all[0], "f", "")) // has the only token
		for range 20 {
			s.publish(wish(all[1], "f", `,"id":"c"`))
			s.pass(100 * time.Millisecond)
		}
		v, _ := s.worker.View(s.t.Context())
		if v.Unfinished != 1 || v.Changes != 1 || v.Waiting[view.Debounce] != 1 || v.Waiting.All() != 1 {
			t.Errorf("view %+v", v)
		}
		if len(v.Waits) != 1 || v.Waits[0].AgentID != all[1] || v.Waits[0].Change.WaitsFor != view.Debounce || !v.Waits[0].Change.Next.After(v.At) {
			t.Errorf("waits %+v", v.Waits)
		}
	})
}
