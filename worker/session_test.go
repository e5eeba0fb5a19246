package worker

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

func TestSessionsFollowTheRegistry(t *testing.T) {
	s := NewSessions()
	var told []string
	s.follow(func(agent string) { told = append(told, agent) })
	one := messages.Session{GUID: "g1"}
	s.Put("1001", one, 1)
	s.Put("1001", one, 1)                          // told again as the registry is read again
	s.Put("1001", messages.Session{GUID: "g2"}, 1) // by a registry that was made again
	s.Put("1002", messages.Session{GUID: "other"}, 2)
	select {
	case <-s.Ready():
		t.Error("ready before all was told")
	default:
	}
	s.Synced(func(agent string) bool { return agent == "1001" }) // the other one was deleted unseen
	<-s.Ready()
	if got, ok := s.Of("1001"); !ok || got.GUID != "g2" || s.Len() != 1 {
		t.Errorf("session %v %v of %d", got, ok, s.Len())
	}
	if _, ok := s.Of("1002"); ok {
		t.Error("1002 is still signed in")
	}
	if want := []string{"1001", "1001", "1002", "1002"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	s.Synced(func(string) bool { return true }) // after a reconnect
	s.follow(nil)
	s.Delete("1001")
	if len(told) != 4 {
		t.Errorf("told %q after nobody followed", told)
	}
}

// A record that cannot be used is remembered until there is another one or none, and is news once.
func TestSessionThatCannotBeUsed(t *testing.T) {
	s := NewSessions()
	held := map[string]bool{"1001": true}
	s.Synced(func(agent string) bool { return held[agent] })
	s.Put("1001", messages.Session{GUID: "g"}, 1)
	for i, want := range []bool{true, false, true} {
		if got := s.Reject("1001", []string{"no GUID", "no GUID", "no JSON"}[i]); got != want {
			t.Errorf("%d: news %t", i, got)
		}
	}
	if _, ok := s.Of("1001"); ok || s.Trouble("1001") != "no JSON" {
		t.Errorf("signed in: %t, trouble %q", ok, s.Trouble("1001"))
	}
	s.Put("1001", messages.Session{GUID: "g"}, 2)
	if got, ok := s.Of("1001"); !ok || s.Trouble("1001") != "" || got.CameBack != 2 {
		t.Errorf("session %v, trouble %q", got.CameBack, s.Trouble("1001"))
	}
	for _, end := range []func(){func() { s.Delete("1001") }, func() { held["1001"] = false; s.Synced(func(agent string) bool { return held[agent] }) }} {
		s.Reject("1001", "no GUID")
		end()
		if why := s.Trouble("1001"); why != "" {
			t.Errorf("trouble %q of a record that is gone", why)
		}
	}
	for i := range 2 * maxBad {
		s.Reject(strconv.Itoa(i), "no GUID")
		s.Reject("key of nobody "+strconv.Itoa(i), "no GUID")
	}
	if len(s.bad) > maxBad || len(s.gone) > 2*maxBad {
		t.Errorf("%d records remembered, %d gone", len(s.bad), len(s.gone))
	}
}

func TestSessionsComeBack(t *testing.T) {
	s := NewSessions()
	back := func() uint64 { got, _ := s.Of("1001"); return got.CameBack }
	s.Put("1001", messages.Session{GUID: "g1"}, 1)
	s.Put("1001", messages.Session{GUID: "g2"}, 2)
	if back() != 0 {
		t.Error("a rotated GUID is no new sign-in")
	}
	s.Delete("1001")
	s.Put("1001", messages.Session{GUID: "g3"}, 4)
	s.Put("1001", messages.Session{GUID: "g4"}, 5)
	if back() != 4 {
		t.Errorf("came back at %d, want 4", back())
	}
	s.Synced(func(string) bool { return false })
	s.Put("1001", messages.Session{GUID: "g5"}, 7)
	if back() != 7 {
		t.Errorf("came back at %d, want 7", back())
	}
	if len(s.gone) != 0 {
		t.Errorf("gone: %v", s.gone)
	}
}

func TestNewSince(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	ns := func(s int) int64 { return at(s).UnixNano() }
	tests := []struct {
		name    string
		session Session
		last    ledger.SignIn
		want    bool
	}{
		{"later time", Session{Session: messages.Session{SignedInAt: at(20)}, Rev: 5}, ledger.SignIn{At: ns(10), Rev: 1, Call: ns(11)}, true},
		{"same time, new GUID", Session{Session: messages.Session{SignedInAt: at(10)}, Rev: 5}, ledger.SignIn{At: ns(10), Rev: 1, Call: ns(11)}, false},
		{"earlier time", Session{Session: messages.Session{SignedInAt: at(5)}, Rev: 5}, ledger.SignIn{At: ns(10), Rev: 1, Call: ns(11)}, false},
		{"after the call, where the last time was in the future", Session{Session: messages.Session{SignedInAt: at(12)}, Rev: 5}, ledger.SignIn{At: ns(3600), Rev: 1, Call: ns(11)}, true},
		{"the same time, which was in the future", Session{Session: messages.Session{SignedInAt: at(3600)}, Rev: 5}, ledger.SignIn{At: ns(3600), Rev: 1, Call: ns(11)}, false},
		{"before the call, where the last time was in the future", Session{Session: messages.Session{SignedInAt: at(10)}, Rev: 5}, ledger.SignIn{At: ns(3600), Rev: 1, Call: ns(11)}, false},
		{"time where there was none, before the call", Session{Session: messages.Session{SignedInAt: at(10)}, Rev: 5}, ledger.SignIn{Rev: 1, Call: ns(11)}, false},
		{"time where there was none, after the call", Session{Session: messages.Session{SignedInAt: at(12)}, Rev: 5}, ledger.SignIn{Rev: 1, Call: ns(11)}, true},
		{"no time, came back", Session{Rev: 5, CameBack: 4}, ledger.SignIn{Rev: 3, Call: ns(11)}, true},
		{"no time, came back before the call", Session{Rev: 5, CameBack: 4}, ledger.SignIn{Rev: 4, Call: ns(11)}, false},
		{"no time, never gone", Session{Rev: 5}, ledger.SignIn{Rev: 3, Call: ns(11)}, false},
		{"no time, came back in another registry", Session{Rev: 3, CameBack: 2, Remade: ns(12)}, ledger.SignIn{Rev: 3, Call: ns(11)}, true},
		{"no time, came back in another registry before the call", Session{Rev: 3, CameBack: 2, Remade: ns(10)}, ledger.SignIn{Rev: 3, Call: ns(11)}, false},
		{"no time where there was one", Session{Rev: 5}, ledger.SignIn{At: ns(10), Rev: 3, Call: ns(11)}, false},
	}
	for _, test := range tests {
		if got := test.session.newSince(test.last); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestNoSignInIsWaitedForBeforeTheRegistryIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Policy{})
		s.sessions = NewSessions()
		s.worker.Sessions = s.sessions
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.signIn("1001", "g", 1)
		s.pass(time.Minute)
		s.wantCalls()
		s.wantTold() // nobody knows who is not signed in
		s.sessions.Synced(func(string) bool { return true })
		synctest.Wait()
		s.wantTold("applied 1001 a")
		s.crash()
	})
}

func TestStopBeforeTheRegistryIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, Policy{})
		s.worker.Sessions = NewSessions()
		s.start()
		began := time.Now()
		s.finish()
		if took := time.Since(began); took > 0 {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestSignOutBetweenPlanAndCall(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.inside(func(l *loop) { // before the loop hears of it, and in the turn in which the gate opens
			s.sessions.Delete("1001")
			l.gate.SetPaused(false, l.now)
		})
		s.wantCalls()
		s.wantTold("waiting 1001 a")
		s.signIn("1001", "g2", 2)
		s.wantCalls("1001 f g2")
	})
}

func TestEachWaitForASignInIsReported(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.worker.SetControls(Controls{Paused: true})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.signIn("1001", "g", 1)
		s.rotate("1001", "g2", 2)
		s.sessions.Delete("1001")
		s.pass(time.Minute)
		s.wantTold("waiting 1001 a", "waiting 1001 a")
	})
}

func TestReapplyGivesUpUntilTheNextSession(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.gateway.reply(Answer{Class: Refused, Retcode: "000-002"})
		s.pass(time.Minute)
		s.signIn("1001", "g2", 2)
		s.pass(time.Hour)
		s.wantCalls("1001 f g1", "1001 f g2")
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(time.Minute)
		s.signIn("1001", "g3", 3)
		s.wantCalls("1001 f g1", "1001 f g2", "1001 f g3")
		s.wantTold("applied 1001 a", "reapplied 1001 a")
	})
}

func TestNoReapply(t *testing.T) {
	bubble(t, Policy{NoReapply: true}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", ""))
		s.pass(time.Minute)
		s.signIn("1001", "g2", 2)
		s.crash()
		s.start()
		s.pass(time.Minute)
		s.wantCalls("1001 f g1")
	})
}

func TestRotatedGUIDDoesNotReapplyARefusedPolicy(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", ""))
		s.pass(time.Second)
		s.gateway.reply(Answer{Class: Refused, Retcode: "000-002"})
		s.signIn("1001", "g2", 2)
		s.pass(time.Minute)
		for i := range 10 {
			s.rotate("1001", fmt.Sprint("r", i), uint64(3+i))
			s.pass(time.Minute)
		}
		s.wantCalls("1001 f g1", "1001 f g2")
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.signIn("1001", "g3", 20)
		s.pass(time.Minute)
		s.wantCalls("1001 f g1", "1001 f g2", "1001 f g3")
	})
}

func TestSameRevisionInARecreatedRegistryIsAnotherSession(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 7)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.start()
		s.publish(wish("1001", "f", ""))
		s.pass(time.Second)
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.sessions.Delete("1001")
		s.pass(time.Second)
		s.signIn("1001", "g2", 7)
		s.pass(time.Hour)
		s.wantCalls("1001 f g1", "1001 f g2")
	})
}

// Its revisions begin again, and may even be the same ones.
func TestSessionComesBackInARecreatedRegistry(t *testing.T) {
	for _, rev := range []uint64{1, 7} {
		bubble(t, Policy{}, func(s *site) {
			put := func(guid string, rev uint64) { s.sessions.Put("1001", messages.Session{GUID: guid}, rev) } // without a time
			put("g1", 7)
			s.start()
			s.publish(wish("1001", "f", `,"id":"a"`))
			s.pass(time.Second)
			s.sessions.Delete("1001")
			put("g2", rev)
			s.pass(time.Minute)
			put("g3", rev+1)
			s.pass(time.Minute)
			s.wantCalls("1001 f g1", "1001 f g2")
			s.wantTold("applied 1001 a", "reapplied 1001 a")
			s.sessions.Delete("1001")
			put("g4", rev+3)
			s.pass(time.Minute)
			s.wantCalls("1001 f g1", "1001 f g2", "1001 f g4")
		})
	}
}

// A writer that does not know of the sign-in leaves its time out, and another one puts it back: it is the same sign-in.
func TestTimeOfTheSignInIsLostAndFound(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		signedIn := messages.Session{GUID: "g1", SignedInAt: time.Now()}
		s.sessions.Put("1001", signedIn, 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.pass(time.Minute)
		s.sessions.Put("1001", messages.Session{GUID: "g2"}, 2)
		s.pass(time.Minute)
		s.publish(wish("1001", "w", `,"id":"b"`))
		s.pass(time.Minute)
		signedIn.GUID = "g3"
		s.sessions.Put("1001", signedIn, 3)
		s.pass(time.Minute)
		s.wantCalls("1001 f g1", "1001 w g2")
		s.wantTold("applied 1001 a", "applied 1001 b")
		s.signIn("1001", "g4", 4)
		s.pass(time.Minute)
		s.wantCalls("1001 f g1", "1001 w g2", "1001 w g4")
		s.wantTold("applied 1001 a", "applied 1001 b", "reapplied 1001 b")
	})
}

// A call that did not leave says nothing about the session that it was for, even after the gateway had refused the one before.
func TestCallThatWasNotSentRefusesNoSession(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.wantTold("waiting 1001 a")
		s.gateway.reply(Answer{Class: NotSent, Fault: "the lease is gone"})
		s.signIn("1001", "g2", 2)
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(time.Second)
		s.wantTold("waiting 1001 a", "applied 1001 a")
	})
}

// The same session is tried again after a takeover. If that call does not leave, the session is still the refused one.
func TestCallThatWasNotSentLeavesTheRefusalOfATakeover(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.crash()
		s.start()
		s.gateway.reply(Answer{Class: NotSent, Fault: "the lease is gone"})
		s.pass(firstSessionPause + time.Second)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
		s.pass(10 * time.Minute)
		s.wantTold("waiting 1001 a")
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(longestSessionPause)
		s.wantTold("waiting 1001 a", "applied 1001 a")
	})
}
