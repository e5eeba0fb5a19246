package worker

import (
	"testing"
	"time"

	"idlepolicy/messages"
)

// Only the owner that died had seen that the key was gone meanwhile. The next one cannot tell this sign-in from a rotation,
// or knows of none at all.
func TestHoldForAReapplyThatOnlyTheDeadOwnerKnew(t *testing.T) {
	for _, signedOut := range []bool{false, true} {
		bubble(t, Policy{}, func(s *site) {
			s.sessions.Put("1001", messages.Session{GUID: "g1"}, 1)
			s.start()
			s.publish(wish("1001", "old", `,"id":"a"`))
			s.gateway.set(func() { s.gateway.takes = 4 * time.Second })
			s.sessions.Delete("1001")
			s.sessions.Put("1001", messages.Session{GUID: "g2"}, 3)
			s.pass(time.Second)
			s.wantCalls("1001 old g1", "1001 old g2") // reapplying is under way
			s.crash()
			s.gateway.set(func() { s.gateway.takes = 0 })
			s.sessions = NewSessions()
			s.worker.Sessions = s.sessions
			if !signedOut {
				s.sessions.Put("1001", messages.Session{GUID: "g2"}, 3)
			}
			s.sessions.Synced(func(string) bool { return true })
			s.hold = 5 * time.Second
			s.start()
			s.publish(wish("1001", "new", `,"id":"b"`))
			s.sessions.Put("1001", messages.Session{GUID: "g3"}, 5)
			s.pass(4 * time.Second)
			s.wantCalls("1001 old g1", "1001 old g2") // that call may still land
			s.pass(2 * time.Second)
			s.wantCalls("1001 old g1", "1001 old g2", "1001 new g3")
		})
	}
}

// A rotation that the gateway was told of holds nobody.
func TestNoHoldWithoutAReapply(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.sessions.Put("1001", messages.Session{GUID: "g1"}, 1)
		s.start()
		s.publish(wish("1001", "old", `,"id":"a"`))
		s.crash()
		s.hold = 5 * time.Second
		s.start()
		s.publish(wish("1001", "new", `,"id":"b"`))
		s.pass(time.Second)
		s.wantCalls("1001 old g1", "1001 new g1")
	})
}

// A clock that is set is noticed soon: the loop does not sleep until the instant of the next change.
func TestWallClockIsCheckedWhileChangesWait(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "false", `,"id":"a","effective_at":"`+at(50*time.Minute)+`"`))
		s.inside(func(l *loop) {
			if d := l.untilNext(); d > clockLook {
				t.Errorf("the clock is looked at again after %v only", d)
			}
		})
	})
}
