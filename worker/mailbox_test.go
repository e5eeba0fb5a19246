package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
)

func TestMailboxKeepsTheOrderAndItsRoom(t *testing.T) {
	m := newMailbox()
	if len(m.take(nil)) != 0 {
		t.Error("an empty mailbox holds something")
	}
	for i := range 3 {
		m.push(sessionChanged(strconv.Itoa(i)))
	}
	<-m.signal
	first := m.take(nil)
	for i, e := range first {
		if e != sessionChanged(strconv.Itoa(i)) {
			t.Errorf("event %d is %v", i, e)
		}
	}
	m.push(sessionChanged("later"))
	second := m.take(first)
	if len(first) != 3 || first[0] != nil || len(second) != 1 || second[0] != sessionChanged("later") {
		t.Errorf("first %v, second %v", first, second)
	}
	m.push(sessionChanged("last"))
	if third := m.take(second); len(third) != 1 || &third[:1][0] != &first[:1][0] {
		t.Error("the room of an earlier answer is not used again")
	}
}

func waits(ctx context.Context, in *Inbox) (free bool, took time.Duration) {
	began := time.Now()
	free = in.WaitRoom(ctx, time.Minute)
	return free, time.Since(began)
}

func TestInboxRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewInbox()
		if free, took := waits(t.Context(), in); !free || took > 0 {
			t.Error("an empty inbox has no room")
		}
		many := make([]Delivery, 2)
		for i := range many {
			many[i].Message.Items = inboxRoom / 2
		}
		in.Deliver(many)
		if free, took := waits(t.Context(), in); free || took != time.Minute {
			t.Errorf("room in a full inbox: %v after %v", free, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if free, took := waits(ctx, in); free || took != time.Second {
			t.Errorf("room in a full inbox: %v after %v", free, took)
		}
		go func() {
			time.Sleep(2 * time.Second)
			in.add(1)
			in.add(-1)
			time.Sleep(time.Second)
			in.add(-1)
		}()
		if free, took := waits(t.Context(), in); !free || took != 3*time.Second {
			t.Errorf("no room after one change was stored: %v after %v", free, took)
		}
	})
}

// Tens of thousands of unusable items in one message keep nothing waiting while their letters are written; more than
// can be kept in memory do.
func TestManyDeadLettersLeaveRoom(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.journal.takes = 20 * time.Second
		s.start()
		unusable := func(from, to int) {
			var b strings.Builder
			for agent := from; agent < to; agent++ {
				fmt.Fprintf(&b, `,"%d"`, 100_000+agent)
			}
			s.publish(`{"flag":"yes","agent_ids":[` + b.String()[1:] + `]}`)
		}
		unusable(0, 20_000)
		if free, took := waits(context.Background(), s.inbox); !free || took > 0 {
			t.Errorf("room behind 20,000 unusable items: %v after %v", free, took)
		}
		s.publish(wish("1001", "f", ""))
		s.wantCalls("1001 f g")
		unusable(20_000, deadRoom)
		if free, took := waits(context.Background(), s.inbox); !free || took < 30*time.Second {
			t.Errorf("room beside more than can be kept: %v after %v", free, took)
		}
		s.pass(3 * time.Minute)
		s.wantNothingWaiting()
	})
}

func TestChangesThatWaitInLanesTakeNoRoom(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.journal.takes = time.Second
		s.start()
		for i := range 500 {
			s.store(fmt.Sprintf(`{"agent_ids":["1001","%d"],"flag":"f"}`, 2000+i))
		}
		s.crash()
		s.start()
		s.pass(10 * time.Minute) // one result of an agent after the other is stored
		s.inside(func(l *loop) {
			if l.term.Inbox.load != 0 || l.pipeline.results != 0 {
				t.Errorf("load %d, entries %d", l.term.Inbox.load, l.pipeline.results)
			}
		})
		if n := len(s.held()); n != 500 {
			t.Errorf("%d messages wait", n)
		}
	})
}

// What a lane holds back until an older ending is stored takes room, until the lane is stuck: pipeline_test.go has its bound.
func TestEndingsThatAreNotStoredTakeRoom(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.gateway.takes = time.Minute
		s.start()
		for range inboxRoom + 1 {
			s.store(wish("1001", "f", ""))
		}
		all := s.held()
		s.inbox.Deliver(all[:1])
		synctest.Wait()
		s.inbox.Deliver(all[1:])
		synctest.Wait()
		if s.inbox.WaitRoom(s.t.Context(), stuckAfter/2) {
			t.Error("there is room although no ending is stored")
		}
		s.pass(2 * time.Minute)
		if !s.inbox.WaitRoom(s.t.Context(), time.Second) {
			t.Error("there is no room although all endings are stored")
		}
	})
}

func TestMessageThatComesAgainTakesNoRoom(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.inbox.Deliver(s.held())
		s.inbox.Deliver([]Delivery{{Receipt: Receipt{Seq: 9}, Message: messages.Decode([]byte("{"), "9")}})
		synctest.Wait()
		s.inside(func(l *loop) {
			if l.term.Inbox.load != 0 {
				t.Errorf("load %d", l.term.Inbox.load)
			}
		})
		s.wantTold("waiting 1001 a", "rejected unknown 9")
	})
}
