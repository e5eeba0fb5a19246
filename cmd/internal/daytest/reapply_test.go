package daytest

import (
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

const agent = "1001"

// inForce signs the agent in and has a change applied.
func (s *site) inForce(it item) messages.Session {
	s.t.Helper()
	it.Agent = agent
	session := s.signIn(agent)
	s.known(agent, session)
	seq := s.publish(it)
	s.wait("the change is applied", func() bool { return s.results.has(seq, messages.Applied) })
	return session
}

func (s *site) waitFlag(want string) {
	s.t.Helper()
	s.wait("the gateway has the flag "+want, func() bool { flag, _ := s.gateway.Flag(agent); return flag == want })
}

func (s *site) wantResults(want string) {
	s.t.Helper()
	if got := s.results.ofAgent(agent); got != want {
		s.t.Errorf("results:\n got %s\nwant %s", got, want)
	}
}

func (s *site) wantFlags(want string) {
	s.t.Helper()
	if got := s.flags(agent); got != want {
		s.t.Errorf("flags that were set: %s, want %s", got, want)
	}
}

// An agent signs in three times in a shift, once while no worker runs. The policy is in force after each, and when its
// time is over no more.
func TestThreeSignInsInAShift(t *testing.T) {
	eachWay(t, func(s *site) {
		end := s.begin()
		s.inForce(item{Flag: "false", ID: "shift"})
		s.signIn(agent)
		s.waitFlag("false")
		s.wait("it is told", func() bool { return len(s.results.pick(0, messages.Reapplied)) == 1 })

		end()
		s.signIn(agent)
		s.begin()
		s.waitFlag("false")
		s.wait("it is told", func() bool { return len(s.results.pick(0, messages.Reapplied)) == 2 })

		until, late := s.brieflyInForce(item{Flag: "brief", ID: "end"})
		s.wait("valid_until passes", func() bool { return time.Now().After(until) })
		s.signIn(agent)
		s.settled()
		s.wantFlags("[false false false brief]")
		s.wantResults("applied shift, reapplied shift, reapplied shift" + strings.Repeat(", expired end", late) + ", applied end")
		if flag, _ := s.gateway.Flag(agent); flag != "true" {
			s.t.Errorf("the flag is %s after the shift, want that of the sign-in", flag)
		}
	})
}

// brieflyInForce has a change applied that is in force for seconds: more of them the more often the machine was late.
func (s *site) brieflyInForce(it item) (until time.Time, late int) {
	s.t.Helper()
	it.Agent = agent
	for span := 2 * time.Second; ; span *= 2 {
		it.Until = time.Now().Add(span)
		seq := s.publish(it)
		s.wait("it has ended", func() bool { return s.results.has(seq, messages.Applied) || s.results.has(seq, messages.Expired) })
		if s.results.has(seq, messages.Applied) {
			return it.Until, late
		}
		late++
	}
}

// A new GUID is no new sign-in: not with the time of the sign-in, not without, and not when the worker was away.
func TestRotationAppliesNothingAnew(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	end := s.start()
	session := s.inForce(item{Flag: "false", ID: "shift"})
	for range 5 {
		session = s.rotate(agent, session)
	}
	s.settled()
	end()
	session = s.rotate(agent, session)
	s.start()
	session = s.rotate(agent, session)
	s.settled()
	session.SignedInAt = time.Time{}
	for range 5 {
		session = s.rotate(agent, session)
	}
	s.settled()
	s.wantFlags("[false]")
	s.wantResults("applied shift")
}

// Without signed_in_at a key that comes back after it was deleted is a new sign-in.
func TestKeyThatComesBackIsASignIn(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.start()
	guid := s.gateway.SignIn(agent)
	s.registerText(agent, "JSESSIONID="+guid)
	s.guids.add(guid)
	s.known(agent, messages.Session{})
	seq := s.publish(item{Agent: agent, Flag: "false", ID: "shift"})
	s.wait("the change is applied", func() bool { return s.results.has(seq, messages.Applied) })
	s.signOut(agent)
	s.wait("the worker has seen the sign-out", func() bool { // a key that is gone for a moment only may never be seen gone
		view, err := s.desk.Explain(s.t.Context(), agent)
		return err == nil && !view.SignedIn
	})
	guid = s.gateway.SignIn(agent)
	s.guids.add(guid)
	s.registerText(agent, guid)
	s.waitFlag("false")
	s.settled()
	s.wantResults("applied shift, reapplied shift")
}

func TestReapplyCanBeTurnedOff(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.config.Reapply = false
	end := s.start()
	s.inForce(item{Flag: "false", ID: "shift"})
	s.signIn(agent)
	s.settled()
	end()
	s.signIn(agent)
	s.start()
	s.settled()
	s.wantFlags("[false]")
	s.wantResults("applied shift")
}

// A change that was published while the agent was away is newer than what is in force: it is applied, and the older one
// is not. While a newer one is refused for now, the older one is not applied either.
func TestNewerChangeWinsOverApplyingAnew(t *testing.T) {
	eachWay(t, func(s *site) {
		end := s.begin()
		s.inForce(item{Flag: "false", ID: "early"})
		s.signOut(agent)
		seq := s.publish(item{Agent: agent, Flag: "late", ID: "late"})
		s.wait("the newer change waits", func() bool { return s.results.has(seq, messages.Waiting) })
		end()
		s.gateway.On(agent, gatewaytest.Rule{Times: 3, Retcode: "100-009", Message: "wrong state"})
		s.signIn(agent)
		s.begin()
		s.wait("the newer change is applied", func() bool { return s.results.has(seq, messages.Applied) })
		s.settled()
		s.wantFlags("[false late]")
		s.wantResults("applied early, waiting late, applied late")
	})
}
