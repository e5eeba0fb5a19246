package worker

import (
	"fmt"
	"testing"
	"time"

	"idlepolicy/messages"
)

// startReadingSlowly begins a term in which some time passes from one unfinished message to the next.
func (s *site) startReadingSlowly() {
	s.reading = 100 * time.Millisecond
	s.start()
	s.reading = 0
}

func TestUnreadChangesStayOpen(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"soon","valid_until":"`+at(time.Minute)+`"`))
		s.publish(wish("1001", "b", `,"id":"late","effective_at":"`+at(time.Hour)+`"`))
		s.crash()
		s.pass(2 * time.Minute)
		s.startReadingSlowly() // the first one expires before the second one is read again
		s.wantTold("waiting 1001 soon", "waiting 1001 late", "expired 1001 soon")
		s.crash()
		s.start()
		s.signIn("1001", "g", 1)
		s.pass(time.Hour)
		s.wantTold("waiting 1001 soon", "waiting 1001 late", "expired 1001 soon", "applied 1001 late")
		s.wantNothingWaiting()
	})
}

func TestChangeThatTookEffectIsNotReplaced(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"x","effective_at":"`+at(time.Minute)+`"`))
		s.pass(2 * time.Minute)
		s.publish(wish("1001", "b", `,"id":"x","effective_at":"`+at(time.Hour)+`"`))
		s.crash()
		s.start() // the first one is in force although its instant passed before this term
		s.signIn("1001", "g", 1)
		s.wantCalls("1001 a g")
		s.pass(2 * time.Hour)
		s.wantCalls("1001 a g", "1001 b g")
		s.wantTold("waiting 1001 x", "waiting 1001 x", "waiting 1001 x", "applied 1001 x", "applied 1001 x")
	})
}

func TestOverdueChangesWaitUntilAllIsRead(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.store(wish("1001", "two", `,"id":"second","effective_at":"`+at(2*time.Hour)+`"`))
		s.store(wish("1001", "one", `,"id":"first","effective_at":"`+at(time.Hour)+`"`))
		s.pass(3 * time.Hour)
		s.startReadingSlowly()
		s.wantCalls("1001 two g1")
		s.wantTold("superseded 1001 first", "applied 1001 second")
		if r := s.journal.all()[0]; r.SupersededBy != "second" || r.Message != "a newer change for this agent took effect" {
			t.Errorf("result %+v", r)
		}
	})
}

func TestOverdueChangesTakeEffectBeforeAnImmediateOne(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.signIn("1002", "g1", 2)
		s.store(wish("1001", "l", `,"id":"late","effective_at":"`+at(time.Hour)+`"`))
		s.pass(2 * time.Hour)
		s.store(wish("1001", "n", `,"id":"now"`))
		s.store(wish("1002", "n", `,"id":"other"`))
		s.startReadingSlowly() // now is sent before other is read
		s.wantTold("superseded 1001 late", "applied 1001 now", "applied 1002 other")
	})
}

func TestChangeIsDueByTheStreamsClock(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.ahead = 50 * time.Millisecond
		s.start()
		s.publish(wish("1001", "l", `,"id":"late","effective_at":"`+at(time.Second)+`"`))
		s.pass(time.Second - 20*time.Millisecond)
		s.publish(wish("1001", "n", `,"id":"now"`)) // stored when late had taken effect
		s.pass(time.Minute)
		s.wantCalls("1001 n g1")
		s.wantTold("waiting 1001 late", "superseded 1001 late", "applied 1001 now")
	})
}

func TestNothingIsReappliedBeforeAllIsRead(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "old", `,"id":"a"`))
		s.finish()
		s.store(wish("1002", "x", ""))
		s.store(wish("1001", "new", `,"id":"b"`))
		s.pass(time.Minute)
		s.signIn("1001", "g2", 2)
		s.startReadingSlowly()
		s.wantCalls("1001 old g1", "1001 new g2")
	})
}

func TestHoldForAReapplyOutlastsAnotherSignIn(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.pass(time.Minute)
		s.gateway.takes = 3 * time.Second
		s.signIn("1001", "g2", 2)
		s.crash() // the call for g2 may still land
		s.hold = 5 * time.Second
		s.start()
		s.pass(time.Second)
		s.signIn("1001", "g3", 3)
		s.pass(4*time.Second - time.Millisecond)
		s.wantCalls("1001 f g1", "1001 f g2")
		s.pass(time.Millisecond)
		s.wantCalls("1001 f g1", "1001 f g2", "1001 f g3")
	})
}

func TestOlderEndingIsStoredBeforeTheNewerChangeIsSent(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.journal.takes = time.Second
		s.gateway.takes = time.Second
		s.start()
		s.publish(wish("1001", "old", `,"id":"old"`))
		s.publish(wish("1001", "new", `,"id":"new"`))
		s.pass(2*time.Second - time.Millisecond) // the ending is on its way
		s.wantCalls("1001 old g1")
		s.pass(time.Millisecond)
		s.wantTold("applied 1001 old")
		s.wantCalls("1001 old g1", "1001 new g1")
	})
}

// Also where the older one was cancelled: after a crash it would else be sent before its cancel is read again.
func TestCancelledEndingIsStoredBeforeTheNewerChangeIsSent(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "old", `,"id":"old"`))
		s.journal.set(func() { s.journal.takes = time.Second })
		s.publish(`{"agent_id":"1001","id":"old","cancel":true}`)
		s.publish(wish("1001", "new", `,"id":"new"`))
		s.signIn("1001", "g1", 1)
		s.pass(time.Second - time.Millisecond) // the ending is on its way
		s.wantCalls()
		s.pass(time.Second)
		s.wantTold("waiting 1001 old", "superseded 1001 old")
		s.wantCalls("1001 new g1")
		s.pass(time.Minute)
	})
}

func TestKnownNewerChangeWinsBeforeItIsRead(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Hour
		s.start()
		s.publish(wish("1001", "old", `,"id":"old"`))
		s.publish(wish("1001", "new", `,"id":"new"`))
		s.publish(wish("1001", "late", `,"id":"late"`+effective(2*time.Hour))) // its result says that new took effect
		s.crash()
		s.gateway.takes = 0
		s.startReadingSlowly()
		s.wantCalls("1001 old g", "1001 new g")
		s.wantTold("waiting 1001 late", "superseded 1001 old", "applied 1001 new")
		if by := s.journal.all()[1].SupersededBy; by != "new" {
			t.Errorf("superseded by %q", by)
		}
	})
}

func TestSessionThatTheGatewayRefusedIsNotTriedAgainAtOnce(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "old", 1)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006", Message: "not signed in"})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.crash()
		s.start()
		s.pass(firstSessionPause - time.Second)
		s.wantCalls("1001 f old")
		s.pass(time.Hour)
		if len(s.gateway.made()) < 10 {
			t.Error("the session is never tried again")
		}
		s.wantTold("waiting 1001 a")
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.rotate("1001", "new", 2)
		s.wantTold("waiting 1001 a", "applied 1001 a")
	})
}

// What the lane knows of an open change is newer than what the ledger said of it as the term began.
func TestWaitIsReportedOnceWhileReading(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Hour
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.publish(wish("1001", "f", `,"id":"late"`+effective(3*time.Hour)))
		s.crash()
		s.sessions.Delete("1001")
		s.startReadingSlowly()
		s.crash()
		s.start()
		s.wantTold("waiting 1001 late", "waiting 1001 a")
	})
}

func TestSignInWhileReading(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "old", `,"id":"a"`))
		s.finish()
		s.store(wish("1002", "x", ""))
		s.store(wish("1001", "new", `,"id":"b"`))
		s.pass(time.Minute)
		go func() {
			time.Sleep(150 * time.Millisecond)
			s.signIn("1001", "g2", 2)
		}()
		s.startReadingSlowly()
		s.pass(time.Second)
		s.wantCalls("1001 old g1", "1001 new g2")
	})
}

// The registry's clock may be ahead, and its record may reach us late.
func TestHoldForAReapplyWhateverTheRegistrySays(t *testing.T) {
	for name, late := range map[string]bool{"clock ahead": false, "record late": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g1", 1)
				s.start()
				s.publish(wish("1001", "f", `,"id":"a"`))
				s.crash()
				s.pass(time.Minute)
				s.hold = 5 * time.Second
				next := messages.Session{GUID: "g2", SignedInAt: time.Now().Add(time.Second)}
				if late {
					next.SignedInAt = time.Now().Add(-time.Second)
				} else {
					s.sessions.Put("1001", next, 2)
				}
				s.start()
				s.sessions.Put("1001", next, 2)
				s.pass(s.hold - time.Millisecond)
				s.wantCalls("1001 f g1")
				s.pass(time.Millisecond)
				s.wantCalls("1001 f g1", "1001 f g2")
			})
		})
	}
}

func TestImmediateChangesAreOrderedByPublication(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		s.ahead = 100 * time.Millisecond
		s.publish(wish("1001", "one", `,"id":"one"`))
		s.ahead = 0 // another server stores now
		s.publish(wish("1001", "two", `,"id":"two"`))
		s.publish(wish("1001", "late", `,"id":"late"`+effective(50*time.Millisecond))) // before one, by its server's clock
		s.pass(time.Minute)
		s.wantTold("applied 1001 one", "applied 1001 two", "waiting 1001 late", "superseded 1001 late")
	})
}

// Three changes are overdue as a term begins, and the last one to take effect was published before another: it must be
// among those that the endings of the others call open.
func TestOverdueChangeIsOpenWhileOthersEnd(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i, in := range []time.Duration{time.Second, 3 * time.Second, 2 * time.Second} {
			s.publish(wish("1001", "f", fmt.Sprintf(`,"id":"c%d"%s`, i, effective(in))))
		}
		s.pass(1500 * time.Millisecond) // the first one has told that it waits for its agent
		s.crash()
		s.pass(time.Minute)
		s.start()
		s.crash()
		s.start()
		s.signIn("1001", "g", 1)
		s.wantNothingWaiting()
		if told := s.told(); told[len(told)-1] != "applied 1001 c1" {
			t.Errorf("told %q", told)
		}
	})
}

// A standby's reset that comes late has messages come twice in the midst of the reading. What was not read yet is open all
// the same.
func TestMessagesThatComeTwiceWhileReading(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"now"`))
		s.publish(wish("1002", "f", `,"id":"b"`))
		s.publish(wish("1003", "f", `,"id":"c"`))
		s.publish(wish("1001", "g", fmt.Sprintf(`,"id":"later","effective_at":%q`, at(time.Hour))))
		s.pass(time.Second)
		s.crash()
		s.signIn("1001", "g2", 2)
		unread := s.startUnread() // three messages: the first is no longer there
		for _, i := range []int{0, 1, 0, 1, 2} {
			s.inbox.Deliver(unread[i : i+1])
			s.pass(100 * time.Millisecond) // what is in force is reapplied as soon as all was read
		}
		s.pass(2 * time.Hour)
		s.wantTold("applied 1001 now", "waiting 1002 b", "waiting 1003 c", "waiting 1001 later", "reapplied 1001 now",
			"applied 1001 later")
	})
}

// The owner died after it had stored a rejected one's result and before its dead letter was made. The next owner stores
// nothing of that agent before the letter, whether or not it has read that message by then.
func TestDeadLetterOfAnOwnerThatDied(t *testing.T) {
	for _, agent := range []string{"1001", "1002"} {
		bubble(t, Policy{}, func(s *site) {
			s.start()
			s.publish(wish("1001", "a", `,"id":"a"`))
			s.publish(wish(agent, "yes", `,"id":"bad"`))
			s.journal.set(func() { s.journal.takes = 100 * time.Millisecond })
			s.publish(wish("1001", "yes", `,"id":"worse"`))
			s.pass(150 * time.Millisecond)
			s.crash()
			s.journal.set(func() { s.journal.takes = 10 * time.Millisecond })
			s.signIn("1001", "g", 1)
			s.reading = 40 * time.Millisecond
			s.journal.stuck = true
			s.start()
			s.pass(time.Minute)
			s.crash() // and this one while it makes the letter
			s.journal.stuck = false
			s.start()
			s.pass(time.Minute)
			s.wantNothingWaiting()
			s.wantTold("waiting 1001 a", "rejected "+agent+" bad", "rejected 1001 worse", "applied 1001 a")
			if n := len(s.journal.letters); n != 2 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// The last owner died while it waited for the calls of the one before it. What these were for may have ended since: a
// change that was published after that waits as well.
func TestOwnerThatDiedDuringItsHold(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		s.gateway.set(func() { s.gateway.takes = time.Minute })
		s.publish(wish("1001", "a", `,"id":"a"`+until(time.Second)))
		s.crash()
		s.gateway.set(func() { s.gateway.takes = 0 })
		s.hold = 5 * time.Second
		s.start()
		s.pass(2 * time.Second)
		s.wantTold("expired 1001 a")
		s.crash()
		s.holdAll = true
		s.start()
		began := time.Now()
		s.publish(wish("1001", "b", `,"id":"b"`))
		s.pass(time.Minute)
		s.wantTold("expired 1001 a", "applied 1001 b")
		if wait := s.gateway.at()[1].Sub(began); wait != s.hold {
			t.Errorf("called after %v, want after %v", wait, s.hold)
		}
	})
}

// A policy that the dead owner may be reapplying can still land: what is published after the takeover waits too.
func TestHoldForAReapplyAlsoBeforeANewChange(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.publish(wish("1002", "x", `,"id":"waits"`)) // unfinished at the takeover: not signed in
		s.pass(time.Minute)
		s.publish(wish("1003", "x", `,"id":"gone","valid_until":"`+at(time.Second)+`"`))
		s.pass(2 * time.Second)
		s.gateway.takes = 3 * time.Second
		s.signIn("1001", "g2", 2)
		s.crash() // the call for g2 with f may still land
		s.hold = 5 * time.Second
		unread := s.startUnread()
		s.store(wish("1001", "n", `,"id":"new"`))
		unread[0].Pending = 1 // stored before the first pull
		s.inbox.Deliver(unread[:1])
		held := s.held()
		s.inbox.Deliver(held[len(held)-1:])
		s.pass(5*time.Second - time.Millisecond)
		s.wantCalls("1001 f g1", "1001 f g2")
		s.pass(time.Second)
		s.wantCalls("1001 f g1", "1001 f g2", "1001 n g2")
	})
}

// The newer one is sent only once the ending of the one before it is stored, also where that was cancelled during its call.
func TestEndingOfAChangeCancelledDuringItsCallIsStoredFirst(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.journal.takes = time.Second
		s.gateway.takes = time.Second
		s.gateway.reply(Answer{Class: Passing, Retcode: "000-004"})
		s.start()
		s.publish(wish("1001", "old", `,"id":"old"`))
		s.publish(`{"agent_id":"1001","id":"old","cancel":true}`)
		s.pass(1100 * time.Millisecond) // answered; its ending is on its way
		s.publish(wish("1001", "new", `,"id":"new"`))
		if n := len(s.told()); n == 0 {
			s.wantCalls("1001 old g1")
		}
		s.pass(time.Minute)
	})
}
