package worker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanStopStoresTheLastEndingsAndSummaries(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Second
		s.start()
		s.pass(time.Second)
		s.journal.set(func() { s.journal.takes = time.Second })
		s.publish(wish("1001", "f", `,"id":"a","batch_id":"b"`))
		began := time.Now()
		s.finish()
		if took := time.Since(began); took != 3*time.Second { // the call, its result, the summary
			t.Errorf("the stop took %v", took)
		}
		s.wantTold("applied 1001 a")
		s.wantSummaries("b 1: 1 0 0 0 0")
		s.wantNothingWaiting()
	})
}

func TestCleanStopReadsAndReportsNothingMore(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Second
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		close(s.stop)
		synctest.Wait()
		s.publish(wish("1002", "f", ""))
		s.publish("{")
		<-s.over
		s.kill()
		s.inbox = nil
		s.wantTold()
		s.wantCalls("1001 f g")
		if n := len(s.held()); n != 3 {
			t.Errorf("%d messages wait for the next owner", n)
		}
	})
}

func TestCrashDropsEverythingAtOnce(t *testing.T) {
	bubble(t, Policy{Rate: 1}, func(s *site) {
		for _, agent := range s.agents(50) {
			s.store(wish(agent, "f", ""))
		}
		s.gateway.takes = time.Hour
		s.start()
		s.pass(10 * time.Second)
		began := time.Now()
		s.crash()
		if took := time.Since(began); took > 0 {
			t.Errorf("the end of the term took %v", took)
		}
	})
}

func TestNoMoreInFlightThanAllowed(t *testing.T) {
	bubble(t, Policy{MaxInFlight: 3}, func(s *site) {
		all := s.agents(10)
		s.gateway.takes = time.Second
		s.start()
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		for i := range 4 {
			s.pass(100 * time.Millisecond)
			if n := len(s.gateway.made()); n != min(10, 3*(i+1)) {
				t.Errorf("%d calls in round %d", n, i)
			}
			s.pass(900 * time.Millisecond)
		}
	})
}

func TestItemsEndInTheirOrder(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(`[{"agent_id":"1001","flag":"yes"},{"agent_id":"1001","flag":"f"},{"agent_id":"1001","flag":"yes"}]`)
		var got []string
		for _, r := range s.journal.all() {
			got = append(got, fmt.Sprint(r.Outcome, " ", r.ChangeIndex))
		}
		if fmt.Sprint(got) != "[rejected 0 waiting 1 rejected 2]" {
			t.Errorf("told %q", got)
		}
	})
}

// A result whose agent's last one lacks its dead letter is stored before a stop, though the message of that letter is not
// read any more.
func TestStopWhileReadingBehindADeadLetter(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"a"`))
		s.journal.stuck = true
		s.publish(wish("1001", "yes", `,"id":"bad"`))
		s.crash()
		s.journal.stuck = false
		s.signIn("1001", "g", 1)
		first := s.startUnread()[0]
		s.inbox.Deliver([]Delivery{first})
		s.pass(time.Second)
		s.wantCalls("1001 a g")
		s.finish()
		s.wantTold("waiting 1001 a", "rejected 1001 bad", "applied 1001 a")
		if n := len(s.journal.letters); n != 1 {
			t.Errorf("%d dead letters before the next term", n)
		}
		s.start()
		s.pass(time.Minute)
		s.wantTold("waiting 1001 a", "rejected 1001 bad", "applied 1001 a")
		if n := len(s.journal.letters); n != 1 {
			t.Errorf("%d dead letters", n)
		}
		s.wantNothingWaiting()
	})
}
