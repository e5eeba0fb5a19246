package worker

import (
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// elsewhere stores as another owner would: an ending of a change that is ours.
func (s *site) elsewhere(o messages.Outcome, agent string, seq uint64) {
	s.t.Helper()
	l := s.journal.ledger(agent)
	pos := ledger.Position{Incarnation: s.incarnation, Seq: seq}
	if pos.Compare(l.Done) > 0 {
		l.Done = pos
	}
	for i, open := range l.Open {
		if open.Pos == pos {
			l.Open = append(l.Open[:i:i], l.Open[i+1:]...)
		}
	}
	text, _ := l.AppendText(nil)
	rec := Record{Result: messages.Result{Outcome: o, AgentID: agent, ChangeSeq: seq, ChangeID: "elsewhere"}, Ledger: text, Expect: l.Seq, Pos: pos}
	if _, err := s.journal.store(rec, s.journal.age); err != nil {
		s.t.Error(err)
	}
}

// later publishes a change whose waiting result finds out that another owner stored something.
func (s *site) findsOut(agent string) {
	s.publish(wish(agent, "w", `,"id":"later","effective_at":"`+at(time.Hour)+`"`))
}

func TestChangeEndedElsewhereWhileItWaited(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"a"`))
		s.elsewhere(messages.Expired, "1001", 1)
		s.findsOut("1001")
		s.wantTold("waiting 1001 a", "expired 1001 elsewhere", "waiting 1001 later")
		s.signIn("1001", "g", 1)
		s.wantCalls()
		if len(s.held()) != 1 {
			t.Errorf("%d messages wait, want the later one", len(s.held()))
		}
	})
}

func TestChangeEndedElsewhereDuringItsCall(t *testing.T) {
	for class, calls := range map[Class]int{Success: 1, Refused: 1, Passing: 1, Unsound: 1} {
		t.Run(class.String(), func(t *testing.T) {
			bubble(t, Policy{}, func(s *site) {
				s.signIn("1001", "g", 1)
				s.gateway.takes = time.Second
				s.gateway.reply(Answer{Class: class})
				s.start()
				s.publish(wish("1001", "a", `,"id":"a"`))
				s.elsewhere(messages.Applied, "1001", 1)
				s.findsOut("1001")
				s.pass(time.Minute)
				s.wantTold("applied 1001 elsewhere", "waiting 1001 later")
				if n := len(s.gateway.made()); n != calls {
					t.Errorf("%d calls", n)
				}
				if len(s.held()) != 1 || len(s.journal.letters) > 0 {
					t.Errorf("%d messages wait, want the later one; %d dead letters", len(s.held()), len(s.journal.letters))
				}
			})
		})
	}
}

func TestOvertakenChangeEndedElsewhereDuringItsCall(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Second
		s.start()
		s.publish(wish("1001", "a", `,"id":"a"`))
		s.publish(wish("1001", "b", `,"id":"b"`))
		s.elsewhere(messages.Applied, "1001", 1)
		s.findsOut("1001")
		s.pass(time.Minute)
		s.wantTold("applied 1001 elsewhere", "waiting 1001 later", "applied 1001 b")
		s.wantCalls("1001 a g", "1001 b g")
	})
}

func TestNoCallWhileTheLedgerIsReadAgain(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"a"`))
		s.elsewhere(messages.Expired, "1001", 1)
		s.journal.set(func() { s.journal.takes = time.Second })
		s.findsOut("1001")
		s.pass(1500 * time.Millisecond)
		s.signIn("1001", "g", 1)
		s.pass(time.Minute)
		s.wantCalls()
	})
}

func TestWaitIsReportedBeforeTheEndingAfterAConflict(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.journal.takes = time.Second
		s.start()
		s.publish(wish("1001", "w", `,"id":"x"`+effective(time.Hour)))
		s.elsewhere(messages.Waiting, "1001", 0)
		s.publish(`{"agent_id":"1001","id":"x","cancel":true}`)
		s.pass(time.Minute)
		s.wantTold("waiting 1001 elsewhere", "waiting 1001 x", "superseded 1001 x")
		s.wantNothingWaiting()
	})
}

func TestNewerChangeOfAnotherOwnerSupersedes(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "a", `,"id":"a"`))
		l := s.journal.ledger("1001")
		l.Newest = ledger.Effect{At: time.Now().UnixNano(), Pos: ledger.Position{Incarnation: s.incarnation, Seq: 7}, ID: "seven"}
		text, _ := l.AppendText(nil)
		result := messages.Result{Outcome: messages.Waiting, AgentID: "1001", ChangeID: "seven"}
		if _, err := s.journal.store(Record{Result: result, Ledger: text, Expect: l.Seq}, s.journal.age); err != nil {
			t.Error(err)
		}
		s.findsOut("1001")
		s.wantTold("waiting 1001 a", "waiting 1001 seven", "waiting 1001 later", "superseded 1001 a")
		if by := s.journal.all()[3].SupersededBy; by != "seven" {
			t.Errorf("superseded by %q", by)
		}
	})
}

// A dead letter that the last term stored the result for, but could not bury.
func TestDeadLetterOfACrash(t *testing.T) {
	for _, lost := range []string{"crash", "answer"} {
		bubble(t, Policy{}, func(s *site) {
			s.journal.takes = time.Second
			s.start()
			if lost == "answer" {
				s.journal.set(func() { s.journal.failNext = 1 })
			}
			s.publish(wish("1001", "yes", `,"id":"a"`))
			s.pass(1500 * time.Millisecond)
			if lost == "crash" {
				s.crash()
				s.start()
			}
			s.pass(time.Minute)
			s.wantTold("rejected 1001 a")
			if len(s.journal.letters) != 1 || !s.journal.letters[0].Whole {
				t.Errorf("%s: letters %+v", lost, s.journal.letters)
			}
			s.wantNothingWaiting()
		})
	}
}

// A change that replaces one that still waited as it was published, and is read only after that took effect, wins.
func TestChangeReplacedByOneThatIsReadLate(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "old", `,"id":"x"`+effective(10*time.Second)))
		s.pass(9900 * time.Millisecond)
		s.store(wish("1001", "new", `,"id":"x"`))
		s.pass(200 * time.Millisecond)
		held := s.held()
		s.inbox.Deliver(held[len(held)-1:])
		s.pass(time.Minute)
		s.wantCalls("1001 old g1", "1001 new g1")
		s.wantNothingWaiting()
	})
}
