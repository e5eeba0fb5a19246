package worker

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A message of which some changes had ended is restored: those stay ended, and nothing that waits is told again.
func TestRestoredMessageKeepsItsState(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.signIn("1001", "g", 1)
		s.publish(`{"agent_ids":["1001","1002","1003"],"flag":"f","id":"m","batch_id":"b"}`)
		s.crash()
		s.restored()
		s.start()
		s.publish(wish("1001", "g", `,"id":"new"`))
		s.signIn("1002", "g", 2)
		s.crash()
		s.restored()
		s.start()
		s.signIn("1003", "g", 3)
		s.wantNothingWaiting()
		want := []string{"applied 1001 m", "waiting 1002 m", "waiting 1003 m", "applied 1001 new", "applied 1002 m", "applied 1003 m"}
		got := s.told()
		slices.Sort(got[:3]) // of different agents
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// Older changes were restored beside newer results: what is published then has sequences that results tell of already.
func TestNewMessageWithAnOldSequence(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.signIn("1001", "g", 1)
		for _, id := range []string{"one", "two", "three"} {
			s.publish(wish("1001", "f", `,"id":"`+id+`"`))
		}
		s.crash()
		s.seq = 0
		s.restored()
		s.start()
		s.publish(wish("1001", "d", `,"id":"four"`))
		s.publish(wish("1001", "e", `,"id":"five"`+effective(time.Hour)))
		s.crash()
		s.start()
		s.publish(wish("1001", "f", `,"id":"six"`))
		s.pass(2 * time.Hour)
		s.wantNothingWaiting()
		s.wantTold("applied 1001 one", "applied 1001 two", "applied 1001 three", "applied 1001 four", "waiting 1001 five",
			"applied 1001 six", "applied 1001 five")
	})
}

// The stream went back without anybody's notice, so that nothing but the store times tells the new from the old.
func TestNewMessageWithAnOldPosition(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.signIn("1001", "g", 1)
		for range 3 {
			s.publish(wish("1001", "f", ""))
		}
		s.crash()
		s.seq = 0
		s.pass(time.Nanosecond)
		s.start()
		s.publish(wish("1001", "d", `,"id":"four"`))
		s.wantNothingWaiting()
		if told := s.told(); len(told) != 4 || !strings.HasSuffix(told[3], "1001 four") {
			t.Errorf("told %q", told)
		}
	})
}

// Two streams of the same name: what is told of the one that was deleted says nothing of the other.
func TestRecreatedStreamHasNoHistory(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.signIn("1001", "g", 1)
		s.publish(wish("1001", "a", `,"id":"one"`))
		s.crash()
		other := s.store(wish("1001", "b", `,"id":"other"`))
		d := s.waiting[other]
		s.seq, d.Seq, d.Stored = 1, 1, d.Stored-1 // published elsewhere, and before one was
		delete(s.waiting, other)
		s.waiting[1] = d
		s.restored()
		s.earlier = nil
		s.start()
		s.wantNothingWaiting()
		s.wantTold("applied 1001 one", "applied 1001 other")
	})
}

// Of a restored stream an older version of the worker knows nothing of the past, and carries nothing of it on. What it
// left open must not be taken for what has ended.
func TestOlderVersionAfterARestore(t *testing.T) {
	fields := regexp.MustCompile(` [tp]=\S+`)
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(`{"agent_ids":["1001","1002"],"flag":"f","id":"m"}`)
		s.publish(wish("1002", "f", `,"id":"n"`+effective(time.Hour)))
		s.crash()
		forget := func() {
			for i := range s.journal.records {
				s.journal.records[i].Ledger = fields.ReplaceAll(s.journal.records[i].Ledger, nil)
			}
		}
		earlier := []int64{s.incarnation}
		s.restored()
		s.earlier = nil // as the older version sees it
		forget()
		s.start()
		s.signIn("1001", "g", 1)
		s.crash()
		forget()
		s.earlier = earlier
		s.start()
		s.signIn("1002", "g", 2)
		s.pass(2 * time.Hour)
		s.wantNothingWaiting()
		endings := slices.DeleteFunc(s.told(), func(told string) bool { return strings.HasPrefix(told, "waiting") })
		if want := []string{"applied 1001 m", "applied 1002 m", "applied 1002 n"}; !slices.Equal(endings, want) {
			t.Errorf("got %q, want %q", endings, want)
		}
	})
}

// A result from before the restore is found only when the agent's next one is refused: the change that it ended is known.
func TestEndingOfAnEarlierIncarnationIsFoundLate(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.journal.lingers = time.Second
		s.start()
		s.signIn("1001", "g", 1)
		s.journal.set(func() { s.journal.takes = 100 * time.Millisecond })
		s.publish(wish("1001", "a", `,"id":"one"`))
		s.pass(50 * time.Millisecond)
		s.crash()
		s.restored()
		s.hold = 5 * time.Second
		s.start()
		s.pass(10 * time.Second)
		synctest.Wait()
		s.wantNothingWaiting()
		s.wantTold("applied 1001 one")
	})
}

// A change had taken effect before the restore, but of those before it not one had ended: they end in the order in which
// they took effect all the same, while the next term is still reading them.
func TestNewestChangeOfAnEarlierIncarnation(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.journal.set(func() { s.journal.takes = 6 * time.Second })
		s.publish(wish("1001", "f", `,"id":"zero"`))
		s.publish(wish("1001", "f", `,"id":"a"`))
		s.publish(wish("1001", "f", `,"id":"later"`+effective(3*time.Second)))
		s.publish(wish("1001", "f", `,"id":"b"`))
		s.pass(5 * time.Second)
		s.publish(wish("1001", "f", `,"id":"c"`))
		s.pass(8 * time.Second) // zero's ending is stored, and says that c is the newest
		s.crash()
		s.restored()
		s.journal.set(func() { s.journal.takes = 0 })
		s.reading = 10 * time.Millisecond
		s.start()
		s.signIn("1001", "g", 1)
		s.pass(time.Minute)
		s.wantNothingWaiting()
		s.wantTold("waiting 1001 zero", "superseded 1001 zero", "superseded 1001 a", "superseded 1001 b", "superseded 1001 later",
			"waiting 1001 c", "applied 1001 c")
	})
}
