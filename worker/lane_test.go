package worker

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// bubble runs f with a site in virtual time.
func bubble(t *testing.T, policy Policy, f func(s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, policy)
		f(s)
		if s.inbox != nil {
			s.crash()
		}
		if s.gateway.twice {
			t.Error("two calls were under way for one agent")
		}
	})
}

func wish(agent, flag, more string) string {
	return fmt.Sprintf(`{"agent_id":"%s","flag":"%s"%s}`, agent, flag, more)
}

func at(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339Nano) }

func TestChangeIsAppliedAndAcknowledged(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.wantTold("applied 1001 a")
		s.wantCalls("1001 false g1")
		s.wantNothingWaiting()
		if r := s.journal.all()[0]; r.Retcode != "0" || r.Message != "success" || r.Attempts != 1 || r.ChangeSeq != 1 {
			t.Errorf("result %+v", r)
		}
	})
}

func TestLatestWins(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		for i := range 5 {
			s.store(wish("1001", fmt.Sprint("f", i), fmt.Sprintf(`,"id":"c%d"`, i)))
		}
		s.gateway.takes = 100 * time.Millisecond
		s.start()
		s.pass(time.Second)
		// The first may be sent before the others are read, or not; here all five come before the loop's first turn ends.
		got := s.gateway.made()
		if len(got) > 2 || got[len(got)-1] != "1001 f4 g1" {
			t.Errorf("calls %q", got)
		}
		if told := s.told(); len(told) != 5 || told[4] != "applied 1001 c4" {
			t.Errorf("told %q", told)
		}
		s.wantNothingWaiting()
	})
}

func TestChangeOvertakenDuringItsCall(t *testing.T) {
	tests := []struct {
		name   string
		answer Answer
		want   string
	}{
		{"accepted", Answer{Class: Success, Retcode: "0"}, "applied 1001 old"},
		{"refused", Answer{Class: Refused, Retcode: "000-002"}, "superseded 1001 old"},
		{"passing", Answer{Class: Passing, Retcode: "100-007"}, "superseded 1001 old"},
		{"fault", Answer{Class: Unsound}, "superseded 1001 old"},
		{"no such session", Answer{Class: NoAgent, Retcode: "100-006"}, "superseded 1001 old"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g1", 1)
				s.start()
				s.gateway.takes = time.Second
				s.gateway.answer = func(c Call) Answer {
					if c.Flag == "old" {
						return test.answer
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.publish(wish("1001", "old", `,"id":"old"`))
				s.publish(wish("1001", "mid", `,"id":"mid"`))
				s.publish(wish("1001", "new", `,"id":"new"`))
				s.wantTold() // nothing ends before the call that is under way
				s.pass(10 * time.Second)
				s.wantTold(test.want, "superseded 1001 mid", "applied 1001 new")
				s.wantCalls("1001 old g1", "1001 new g1")
				if by := s.journal.all()[1].SupersededBy; by != "new" {
					t.Errorf("mid was superseded by %q", by)
				}
				s.wantNothingWaiting()
			})
		})
	}
}

func TestChangeWaitsForSignIn(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(time.Hour)
		s.wantTold("waiting 1001 a")
		s.wantCalls()
		s.signIn("1001", "g1", 1)
		s.wantTold("waiting 1001 a", "applied 1001 a")
		s.wantNothingWaiting()
	})
}

func TestSessionTroubleWaitsForAnotherSession(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "old", 1)
		s.gateway.answer = func(c Call) Answer {
			if c.Session.GUID == "old" {
				return Answer{Class: NoAgent, Retcode: "100-006", Message: "not signed in"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(firstSessionPause - time.Millisecond)
		s.wantCalls("1001 false old")
		s.rotate("1001", "old", 2) // written again with nothing new in it
		s.wantCalls("1001 false old")
		s.rotate("1001", "new", 3)
		s.wantCalls("1001 false old", "1001 false new")
		s.wantTold("waiting 1001 a", "applied 1001 a")
		if r := s.journal.all()[0]; r.Retcode != "100-006" || r.Message != "not signed in" {
			t.Errorf("waiting result %+v", r)
		}
	})
}

// A balancer or a failover refuses a good session for a moment: the same one is tried again with growing pauses.
func TestSessionThatWasRefusedIsTriedAgain(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.reply(Answer{Class: NoAgent, Retcode: "000-003", Message: "no permission"})
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(30 * time.Minute)
		for i, want := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
			if got := s.gateway.at()[i+1].Sub(s.gateway.at()[i]); got != seconds(want) {
				t.Errorf("pause %d was %v, want %v", i+1, got, seconds(want))
			}
		}
		if v, _ := s.worker.Agent(s.t.Context(), "1001"); v.Live.WaitsFor != view.Session || !v.Live.Next.After(time.Now()) || time.Until(v.Live.Next) > longestSessionPause {
			t.Errorf("explained as %+v", v.Live)
		}
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(longestSessionPause)
		s.wantTold("waiting 1001 a", "applied 1001 a")
		if r := s.journal.all()[1]; r.Attempts != 1 {
			t.Errorf("%d attempts", r.Attempts)
		}
	})
}

// The wait for another session goes on when the refused one is tried again and nothing is heard: it is told once.
func TestRefusedSessionTriedAgainWithoutAnAnswer(t *testing.T) {
	for name, takeover := range map[string]bool{"by the same owner": false, "after a takeover": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g", 1)
				s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
				s.start()
				s.publish(wish("1001", "false", `,"id":"a"`))
				s.pass(time.Second)
				if takeover {
					s.crash()
					s.start()
				}
				s.gateway.reply(Answer{Class: Unsound, Fault: "reset"})
				s.pass(firstSessionPause + time.Millisecond)
				s.gateway.reply(Answer{Class: NoAgent, Retcode: "100-006"})
				s.pass(time.Minute)
				s.wantTold("waiting 1001 a")
			})
		})
	}
}

// Sessions that were refused come behind everything else, and take a twentieth of the rate at most.
func TestRefusedSessionsTakeLittleOfTheRate(t *testing.T) {
	bubble(t, Policy{Rate: 100}, func(s *site) {
		all := s.agents(1000)
		s.gateway.answer = func(c Call) Answer {
			if c.Flag == "bad" {
				return Answer{Class: NoAgent, Retcode: "100-006"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		for _, agent := range all {
			s.publish(wish(agent, "bad", ""))
		}
		s.pass(11 * time.Second)
		before := len(s.gateway.made())
		s.pass(10 * time.Second)
		if n := len(s.gateway.made()) - before; n < 45 || n > 51 {
			t.Errorf("%d calls with refused sessions in 10 s at 100/s", n)
		}
		before = len(s.gateway.made())
		for _, agent := range all[:500] {
			s.publish(wish(agent, "good", ""))
		}
		s.pass(4 * time.Second)
		for _, call := range s.gateway.made()[before+1:] {
			if strings.Contains(call, "bad") {
				t.Fatal("a refused session went ahead of work that was due")
			}
		}
	})
}

func TestSessionRotatedDuringItsCallIsTriedAtOnce(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "old", 1)
		s.gateway.takes = time.Second
		s.gateway.answer = func(c Call) Answer {
			if c.Session.GUID == "old" {
				return Answer{Class: NoAgent, Retcode: "100-006"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.rotate("1001", "new", 2)
		s.pass(3 * time.Second)
		s.wantCalls("1001 false old", "1001 false new")
		s.wantTold("applied 1001 a")
	})
}

func TestRefusedChangeFails(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.gateway.reply(Answer{Class: Refused, Retcode: "000-002", Message: "bad"})
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.wantTold("failed 1001 a")
		if n := len(s.journal.letters); n != 1 {
			t.Errorf("%d dead letters", n)
		}
		s.wantNothingWaiting()
	})
}

func TestAttemptsAreUsedUpWithGrowingPauses(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 5}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.gateway.reply(Answer{Class: Passing, Retcode: "100-007", Message: "fault"})
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.pass(time.Hour)
		s.wantTold("failed 1001 a")
		if r := s.journal.all()[0]; r.Attempts != 5 || r.Retcode != "100-007" || r.Message != "fault" {
			t.Errorf("result %+v", r)
		}
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
			if got := s.gateway.at()[i+1].Sub(s.gateway.at()[i]); got != want {
				t.Errorf("pause %d was %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestOutageEndsNoChange(t *testing.T) {
	bubble(t, Policy{MaxAttempts: 2}, func(s *site) {
		for i := range 20 {
			s.signIn(strconv.Itoa(1001+i), "g", uint64(i+1))
		}
		s.gateway.reply(Answer{Class: Unsound, Fault: "connection refused"})
		s.start()
		for i := range 20 {
			s.publish(wish(strconv.Itoa(1001+i), "false", ""))
		}
		s.pass(2 * time.Second)
		if n := len(s.gateway.made()); n > 20 {
			t.Errorf("%d calls into an outage of 2 s", n)
		}
		s.pass(time.Hour)
		s.wantTold()
		s.gateway.reply(Answer{Class: Success, Retcode: "0"})
		s.pass(3 * time.Second)
		if n := len(s.told()); n != 20 {
			t.Errorf("%d of 20 applied after the outage", n)
		}
	})
}

func TestChangeExpiresAtItsInstant(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "false", `,"id":"a","valid_until":"`+at(time.Minute)+`"`))
		s.pass(time.Minute - time.Millisecond)
		s.wantTold("waiting 1001 a")
		s.pass(2 * time.Millisecond)
		s.wantTold("waiting 1001 a", "expired 1001 a")
		s.wantCalls()
		s.wantNothingWaiting()
	})
}

func TestExpiredNewerChangeStillSupersedes(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "false", `,"id":"a"`))
		s.publish(wish("1001", "true", `,"id":"b","valid_until":"`+at(-time.Minute)+`"`))
		s.wantTold("waiting 1001 a", "superseded 1001 a", "expired 1001 b")
	})
}

func TestLaterChangeWaitsForItsInstant(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "l", `,"id":"late","effective_at":"`+at(time.Hour)+`"`))
		s.publish(wish("1001", "e", `,"id":"early","effective_at":"`+at(30*time.Minute)+`"`))
		s.publish(wish("1001", "n", `,"id":"now"`))
		s.wantTold("waiting 1001 late", "waiting 1001 early", "applied 1001 now")
		s.pass(30*time.Minute - time.Millisecond)
		s.wantCalls("1001 n g1")
		s.pass(time.Millisecond)
		s.wantCalls("1001 n g1", "1001 e g1")
		s.pass(time.Hour)
		s.wantTold("waiting 1001 late", "waiting 1001 early", "applied 1001 now", "applied 1001 early", "applied 1001 late")
		s.wantNothingWaiting()
	})
}

func TestLaterChangeIsReportedOnceOverARestart(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "l", `,"id":"late","effective_at":"`+at(time.Hour)+`"`))
		s.publish(wish("1001", "n", `,"id":"now"`))
		s.crash()
		s.start()
		s.pass(2 * time.Hour)
		s.wantTold("waiting 1001 late", "applied 1001 now", "applied 1001 late")
		s.wantNothingWaiting()
	})
}

func TestOverdueChangesTakeEffectInOrder(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.store(wish("1001", "two", `,"id":"second","effective_at":"`+at(2*time.Hour)+`"`))
		s.store(wish("1001", "one", `,"id":"first","effective_at":"`+at(time.Hour)+`"`))
		s.pass(3 * time.Hour)
		s.start()
		s.pass(time.Second)
		s.wantCalls("1001 two g1")
		s.wantTold("superseded 1001 first", "applied 1001 second")
	})
}

func TestSameIDReplacesTheWaitingChange(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "a", `,"id":"x","effective_at":"`+at(time.Hour)+`"`))
		s.publish(wish("1001", "b", `,"id":"x","effective_at":"`+at(2*time.Hour)+`"`))
		s.pass(3 * time.Hour)
		s.wantTold("waiting 1001 x", "superseded 1001 x", "waiting 1001 x", "applied 1001 x")
		s.wantCalls("1001 b g1")
		s.wantNothingWaiting()
	})
}

func TestCancel(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"x","effective_at":"`+at(time.Hour)+`"`))
		s.publish(wish("1001", "b", `,"id":"y"`))
		s.publish(`{"agent_id":"1001","id":"x","cancel":true}`)
		s.publish(`{"agent_id":"1001","id":"y","cancel":true}`)
		s.publish(`{"agent_id":"1001","id":"nothing","cancel":true}`)
		s.publish(`{"agent_id":"1009","id":"nothing","cancel":true}`)
		s.wantTold("waiting 1001 x", "waiting 1001 y", "superseded 1001 x", "superseded 1001 y")
		if m := s.journal.all()[2].Message; m != "cancelled" {
			t.Errorf("message %q", m)
		}
		s.wantNothingWaiting()
	})
}

func TestCancelDuringTheCall(t *testing.T) {
	for class, want := range map[Class]string{Success: "applied 1001 x", Passing: "superseded 1001 x"} {
		bubble(t, Policy{}, func(s *site) {
			s.signIn("1001", "g1", 1)
			s.gateway.takes = time.Second
			s.gateway.reply(Answer{Class: class, Retcode: "?"})
			s.start()
			s.publish(wish("1001", "a", `,"id":"x"`))
			s.publish(`{"agent_id":"1001","id":"x","cancel":true}`)
			s.wantTold()
			s.pass(time.Minute)
			s.wantTold(want)
			s.wantNothingWaiting()
		})
	}
}

func TestCancelOfAnOvertakenChangeDuringItsCall(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.gateway.takes = time.Second
		s.gateway.answer = func(c Call) Answer {
			if c.Flag == "a" {
				return Answer{Class: Passing, Retcode: "100-007"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.publish(wish("1001", "a", `,"id":"x"`))
		s.publish(wish("1001", "b", `,"id":"y"`))
		s.publish(`{"agent_id":"1001","id":"x","cancel":true}`)
		s.pass(time.Minute)
		s.wantTold("superseded 1001 x", "applied 1001 y")
		if r := s.journal.all()[0]; r.Message != "cancelled" || r.SupersededBy != "" {
			t.Errorf("result %+v", r)
		}
		s.wantNothingWaiting()
	})
}

func TestCancelThatComesAgainSparesLaterChanges(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(`{"agent_id":"1001","id":"x","cancel":true}`) // its acknowledgement is lost
		cancel := Delivery{Receipt: Receipt{Seq: s.seq}, Message: messages.Decode([]byte(`{"agent_id":"1001","id":"x","cancel":true}`), "1")}
		s.publish(wish("1001", "a", `,"id":"x"`))
		s.publish(wish("1001", "b", `,"id":"x"`+effective(time.Hour)))
		s.inbox.Deliver([]Delivery{cancel})
		synctest.Wait()
		s.wantTold("waiting 1001 x", "waiting 1001 x")
	})
}

func TestValidityOfChanges(t *testing.T) {
	policy := Policy{Validity: 10 * time.Hour, Retention: 24 * time.Hour}
	tests := []struct {
		name   string
		more   func() string
		policy Policy
		want   time.Duration // valid_until after the start
	}{
		{"default", func() string { return "" }, policy, 10 * time.Hour},
		{"default of a later one", func() string { return effective(time.Hour) }, policy, 11 * time.Hour},
		{"given", func() string { return until(12 * time.Hour) }, policy, 12 * time.Hour},
		{"cut", func() string { return until(100 * time.Hour) }, policy, 24 * time.Hour},
		{"cut, of a later one", func() string { return effective(time.Hour) + until(100*time.Hour) }, policy, 25 * time.Hour},
		{"default longer than the retention", func() string { return "" }, Policy{Validity: 48 * time.Hour, Retention: 24 * time.Hour}, 24 * time.Hour},
		{"effective in the past", func() string { return effective(-time.Hour) }, policy, 10 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.policy, func(s *site) {
				began := time.Now()
				s.start()
				s.publish(wish("1001", "f", test.more()))
				if got := s.journal.all()[0].ValidUntil.Sub(began); got != test.want {
					t.Errorf("valid until %v after the start, want %v", got, test.want)
				}
			})
		})
	}
}

func TestNewerChangeDuringAReapply(t *testing.T) {
	for _, class := range []Class{Success, Passing, Refused} {
		t.Run(class.String(), func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g1", 1)
				s.start()
				s.publish(wish("1001", "f", `,"id":"a"`))
				s.pass(time.Minute)
				s.gateway.answer = func(c Call) Answer {
					if c.Flag == "f" {
						return Answer{Class: class, Retcode: "?"}
					}
					return Answer{Class: Success, Retcode: "0"}
				}
				s.gateway.takes = time.Second
				s.signIn("1001", "g2", 2)
				s.publish(wish("1001", "g", `,"id":"b"`))
				s.pass(time.Minute)
				s.wantCalls("1001 f g1", "1001 f g2", "1001 g g2")
				if class == Success {
					s.wantTold("applied 1001 a", "reapplied 1001 a", "applied 1001 b")
				} else {
					s.wantTold("applied 1001 a", "applied 1001 b")
				}
			})
		})
	}
}

func TestReappliedResult(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a","reason":"why"`))
		s.pass(time.Minute)
		n := 0
		s.gateway.answer = func(Call) Answer {
			if n++; n == 1 {
				return Answer{Class: Passing, Retcode: "100-007"}
			}
			return Answer{Class: Success, Retcode: "0", Message: "again"}
		}
		s.signIn("1001", "g2", 2)
		s.pass(time.Minute)
		first, again := s.journal.all()[0], s.journal.all()[1]
		if again.Attempts != 2 || again.Message != "again" || !again.FinishedAt.Equal(first.FinishedAt.Add(time.Minute+500*time.Millisecond)) {
			t.Errorf("result %+v", again)
		}
		again.Outcome, again.Attempts, again.Message, again.FinishedAt = first.Outcome, first.Attempts, first.Message, first.FinishedAt
		if again != first {
			t.Errorf("got  %+v\nwant %+v", again, first)
		}
	})
}

func TestReappliedAfterEachSignIn(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a","valid_until":"`+at(3*time.Hour)+`"`))
		s.pass(time.Minute)
		s.rotate("1001", "g1b", 2) // no new sign-in
		s.wantTold("applied 1001 a")
		s.pass(time.Minute)
		s.signIn("1001", "g2", 3)
		s.wantTold("applied 1001 a", "reapplied 1001 a")
		s.wantCalls("1001 f g1", "1001 f g2")
		s.finish()
		s.pass(time.Minute)
		s.signIn("1001", "g3", 4) // while no worker is running
		s.start()
		s.pass(time.Second)
		s.wantTold("applied 1001 a", "reapplied 1001 a", "reapplied 1001 a")
		s.crash()
		s.start()
		s.pass(4 * time.Hour)
		s.signIn("1001", "g4", 5) // after valid_until
		s.pass(time.Minute)
		s.wantCalls("1001 f g1", "1001 f g2", "1001 f g3")
	})
}

func TestSignInWithoutATime(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		put := func(guid string, rev uint64) {
			s.sessions.Put("1001", messages.Session{GUID: guid}, rev)
			synctest.Wait()
		}
		put("g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		put("g2", 2) // a rotation
		s.wantCalls("1001 f g1")
		s.sessions.Delete("1001")
		put("g3", 4)
		s.wantCalls("1001 f g1", "1001 f g3")
		s.wantTold("applied 1001 a", "reapplied 1001 a")
	})
}

func TestNewerChangeWinsOverReapplying(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.sessions.Delete("1001")
		s.pass(time.Minute)
		s.publish(wish("1001", "g", `,"id":"b"`))
		s.signIn("1001", "g2", 3)
		s.pass(time.Minute)
		s.wantCalls("1001 f g1", "1001 g g2")
		s.wantTold("applied 1001 a", "waiting 1001 b", "applied 1001 b")
	})
}

func TestNothingIsDoubledByACrash(t *testing.T) {
	for lost := range 3 {
		bubble(t, Policy{}, func(s *site) {
			s.signIn("1001", "g1", 1)
			s.journal.takes = 10 * time.Millisecond
			s.start()
			s.journal.failNext = lost // stored, but nobody hears of it
			s.publish(wish("1001", "f", `,"id":"a"`))
			s.pass(5 * time.Millisecond)
			if lost == 2 {
				s.pass(10 * time.Millisecond)
			}
			s.crash()
			s.start()
			s.pass(time.Second)
			s.wantTold("applied 1001 a")
			s.wantNothingWaiting()
		})
	}
}

func TestRepeatedMessageGetsNoSecondResult(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "f", ""), "m1")
		s.pass(time.Minute)
		s.publish(wish("1001", "f", ""), "m1")
		s.wantTold("applied 1001 m1")
		s.wantNothingWaiting()
		s.pass(10 * time.Minute)
		s.publish(wish("1001", "f", ""), "m1") // too late to be the same
		s.wantTold("applied 1001 m1", "applied 1001 m1")
	})
}

func TestBatchHasOneSummary(t *testing.T) {
	body := `{"batch_id":"b","flag":"f","changes":[{"agent_id":"1001"},{"agent_id":"1002"},{"agent_id":"1003"},{"agent_id":"1003","flag":"g"}]}`
	for _, crash := range []time.Duration{0, 5 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond, 35 * time.Millisecond, 45 * time.Millisecond} {
		bubble(t, Policy{}, func(s *site) {
			for i, a := range []string{"1001", "1002", "1003"} {
				s.signIn(a, "g", uint64(i+1))
			}
			s.journal.takes = 10 * time.Millisecond
			s.start()
			s.publish(body)
			s.pass(crash)
			s.crash()
			s.start()
			s.pass(time.Second)
			if n := len(s.journal.summaries); n != 1 {
				t.Fatalf("crash after %v: %d summaries, told %q", crash, n, s.told())
			}
			sum := s.journal.summaries[0]
			if sum.Total != 4 || sum.Applied != 3 || sum.Superseded != 1 {
				t.Errorf("crash after %v: %+v", crash, sum)
			}
			s.wantNothingWaiting()
		})
	}
}

func TestBatchOverSeveralMessages(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.signIn("1002", "g", 2)
		s.start()
		s.publish(wish("1001", "f", `,"batch_id":"b","batch_total":2`))
		s.pass(time.Second)
		s.wantNothingWaiting()
		s.crash()
		s.start()
		s.publish(wish("1002", "f", `,"batch_id":"b","batch_total":2`))
		s.pass(time.Second)
		if n := len(s.journal.summaries); n != 1 || s.journal.summaries[0].Applied != 2 {
			t.Fatalf("summaries %+v", s.journal.summaries)
		}
		s.wantNothingWaiting()
	})
}

func TestHoldAfterATakeover(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.hold = 5 * time.Second
		s.signIn("1001", "g", 1)
		s.signIn("1002", "g", 2)
		s.store(wish("1001", "f", ""))
		s.start()
		s.publish(wish("1001", "g", ""))
		s.publish(wish("1002", "f", ""))
		s.wantCalls("1002 f g")
		s.pass(5*time.Second - time.Millisecond)
		s.wantCalls("1002 f g")
		s.pass(time.Millisecond)
		s.wantCalls("1002 f g", "1001 g g")
	})
}

func TestCleanStopFinishesWhatIsUnderWay(t *testing.T) {
	bubble(t, Policy{MaxInFlight: 1}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.signIn("1002", "g", 2)
		s.gateway.takes = time.Second
		s.start()
		s.publish(wish("1001", "f", ""))
		s.publish(wish("1002", "f", ""))
		s.finish()
		s.wantTold("applied 1001 1")
		s.wantCalls("1001 f g")
	})
}

func TestLaterChangesOfOneAgentAreBounded(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i := range maxLater {
			s.store(wish("1001", "f", fmt.Sprintf(`,"id":"c%d"%s`, i, effective(time.Hour))))
		}
		s.crash()
		s.start()
		s.publish(wish("1001", "f", `,"id":"too many"`+effective(time.Hour)))
		s.publish(wish("1001", "f", `,"id":"now"`))
		s.publish(wish("1001", "f", `,"id":"c7"`+effective(2*time.Hour))) // makes room for itself
		told := s.told()[maxLater:]
		if len(told) != 4 || told[0] != "rejected 1001 too many" || len(s.journal.letters) != 1 {
			t.Fatalf("told %q, %d letters", told, len(s.journal.letters))
		}
		for _, rec := range s.journal.records {
			if len(rec.Ledger) > 32<<10 {
				t.Fatalf("a ledger of %d bytes", len(rec.Ledger))
			}
		}
		s.signIn("1001", "g", 1)
		s.crash()
		s.start()
		s.pass(3 * time.Hour)
		s.wantNothingWaiting()
		if n := len(s.gateway.made()); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}
