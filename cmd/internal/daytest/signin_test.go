package daytest

import (
	"testing"
	"time"

	"idlepolicy/messages"
)

// The schedule comes before the agents. Some have no session at all, some an old one that the gateway no longer knows;
// then they arrive one by one, and some never do.
func TestChangesWaitForSignIns(t *testing.T) {
	eachWay(t, func(s *site) {
		s.config.GatewayTimeout = 5 * time.Second // no machine is so slow that a call is given up, and made again
		end := s.begin()
		all := agents(scaled(200, 2000))
		for i, agent := range all {
			if i%2 == 0 {
				session := s.signIn(agent)
				s.gateway.SignOut(agent) // and the record stays behind
				session.SignedInAt = session.SignedInAt.Add(-time.Hour)
				s.register(agent, session)
			}
		}
		s.settled()
		s.gateway.Reset()
		never := all[:len(all)/10]
		comers := all[len(all)/10:]
		seq := s.publish(item{Agents: comers, Flag: "false", ID: "early"})
		s.wait("each change waits", func() bool { return len(s.results.pick(seq, messages.Waiting)) == len(comers) })
		s.wantOneRefusal()

		held := s.publish(item{Agent: "903", Flag: "false"})
		s.wait("one more waits", func() bool { return s.results.has(held, messages.Waiting) })
		end()
		s.begin()
		s.signIn("903")
		s.settled() // the takeover is over
		// Short enough for the test not to wait long, and long enough for all of them to be told that they wait.
		until := time.Now().Add(20 * time.Second)
		lost := s.publish(item{Agents: never, Flag: "false", ID: "lost", Until: until})
		s.wait("each change that will expire waits", func() bool { return len(s.results.pick(lost, messages.Waiting)) == len(never) })
		s.wait("no call of a killed worker can land any more", func() bool { return s.results.has(held, messages.Applied) })

		arrived := map[string]time.Time{}
		for _, agent := range comers {
			arrived[agent] = time.Now()
			s.signIn(agent)
		}
		s.waitFinished()
		s.wantAfterSignIn(seq, arrived)
		s.wantExpired(lost, len(never), until)
		s.wantOneRefusal()
		if n := len(s.results.pick(seq, messages.Waiting)) + len(s.results.pick(lost, messages.Waiting)); n != len(all) {
			s.t.Errorf("%d times it was told that a change waits, want once for each of %d", n, len(all))
		}
	})
}

// wantOneRefusal wants that no session was used again soon that the gateway had said it does not know. The second call after
// one that was given up is none of these: the worker never heard what was said to the first.
func (s *site) wantOneRefusal() {
	s.t.Helper()
	const notBefore = 5 * time.Second
	refused, again := map[string]time.Time{}, 0
	for _, c := range s.gateway.Calls() {
		if c.Retcode == "0" || c.Done.Sub(c.At) > s.config.GatewayTimeout/2 {
			continue
		}
		if last, was := refused[c.GUID]; was && c.At.Sub(last) < notBefore {
			again++
		}
		refused[c.GUID] = c.At
	}
	if again > 0 {
		s.t.Errorf("%d calls were made with a session that the gateway had said it does not know, within 5s", again)
	}
}

// wantAfterSignIn wants that each change was applied soon after its agent signed in.
func (s *site) wantAfterSignIn(seq uint64, arrived map[string]time.Time) {
	s.t.Helper()
	applied := s.results.pick(seq, messages.Applied)
	if len(applied) != len(arrived) {
		s.t.Errorf("%d applied, want %d", len(applied), len(arrived))
	}
	var slowest time.Duration
	for _, e := range applied {
		at := arrived[e.AgentID]
		slowest = max(slowest, e.FinishedAt.Sub(at)-s.stalls.Within(at, e.FinishedAt))
		if e.FinishedAt.Before(arrived[e.AgentID]) {
			s.t.Errorf("agent %s: applied before the sign-in", e.AgentID)
		}
	}
	s.t.Logf("applied at most %v after the sign-in", slowest.Round(time.Millisecond))
	if *full && slowest > time.Second {
		s.t.Errorf("applied %v after the sign-in, want a second at most", slowest)
	}
}

// wantExpired wants that so many changes ended when their time was over, and not later.
func (s *site) wantExpired(seq uint64, n int, until time.Time) {
	s.t.Helper()
	expired := s.results.pick(seq, messages.Expired)
	if len(expired) != n {
		s.t.Errorf("%d expired, want %d", len(expired), n)
	}
	var latest time.Duration
	for _, e := range expired {
		latest = max(latest, e.FinishedAt.Sub(until))
		if e.FinishedAt.Before(until) {
			s.t.Errorf("agent %s: expired at %v, before %v", e.AgentID, e.FinishedAt, until)
		}
	}
	s.t.Logf("expired at most %v after valid_until", latest.Round(time.Millisecond))
	if *full && latest > 100*time.Millisecond+s.stalls.Within(until, until.Add(latest)) {
		s.t.Errorf("expired %v after valid_until, want that instant", latest)
	}
}
