package worker

import (
	"testing"
	"time"

	"idlepolicy/messages"
)

// Fault U: one of two gateway addresses was down, and the agents behind the other one got a seventh of what they get
// otherwise.
func TestOneAddressThatIsDownHoldsUpOnlyItsAgents(t *testing.T) {
	for name, down := range map[string]Answer{
		"503": {Class: Busy, Status: 503, Fault: "503"},
		"cut": {Class: Unsound, Fault: "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{Rate: 200}, func(s *site) {
				all := s.agents(600)
				for i, agent := range all {
					if i%2 == 1 {
						s.sessions.Put(agent, messages.Session{GUID: "g", GatewayURL: "https://node2:8043"}, uint64(1000+i))
					}
				}
				s.gateway.answer = func(c Call) Answer {
					if c.Session.GatewayURL != "" {
						return down
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.start()
				for _, agent := range all {
					s.publish(wish(agent, "f", ""))
				}
				s.pass(1700 * time.Millisecond) // alone, the 300 would take 1.5 s
				if n := len(s.told()); n < 285 {
					t.Errorf("%d of 300 applied in 1.7 s", n)
				}
				s.gateway.reply(Answer{Class: Success, Retcode: "0"})
				s.pass(4 * time.Second)
				if n := len(s.told()); n != 600 {
					t.Errorf("%d of 600 applied after the outage", n)
				}
			})
		})
	}
}

// A session that names another address moves the change that waits for it.
func TestChangeMovesWithItsSession(t *testing.T) {
	bubble(t, Policy{Rate: 200}, func(s *site) {
		all := s.agents(40)
		s.gateway.answer = func(c Call) Answer {
			if c.Session.GatewayURL != "" {
				return Answer{Class: Unsound, Connect: true, Fault: "refused"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		for i, agent := range all {
			s.sessions.Put(agent, messages.Session{GUID: "g", GatewayURL: "https://node2:8043"}, uint64(1000+i))
		}
		s.start()
		for _, agent := range all {
			s.publish(wish(agent, "f", ""))
		}
		s.pass(3 * time.Second)
		if n := len(s.told()); n != 0 {
			t.Errorf("%d applied at an address where nobody listens", n)
		}
		for i, agent := range all {
			s.signIn(agent, "g", uint64(2000+i))
		}
		s.pass(10 * time.Second)
		if n := len(s.told()); n != 40 {
			t.Errorf("%d of 40 applied at the other address", n)
		}
	})
}
