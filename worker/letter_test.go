package worker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Results whose agents' last one may lack its dead letter wait for that letter and not for its change to be read: they
// take all the room there is for reading.
func TestReadingGoesOnWhereLettersMayLack(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		ids := make([]string, 2500)
		for i := range ids {
			ids[i] = fmt.Sprintf(`"%d"`, 1000+i)
		}
		all := strings.Join(ids, ",")
		s.publish(fmt.Sprintf(`{"agent_ids":[%s],"flag":"false","valid_until":%q}`, all, at(time.Hour))) // nobody is signed in
		s.publish(fmt.Sprintf(`{"agent_ids":[%s],"flag":"yes"}`, all))                                   // rejected
		s.publish(wish("9000", "false", `,"id":"other"`))
		s.pass(time.Minute)
		s.crash()
		s.pass(2 * time.Hour) // what waited has expired meanwhile
		s.signIn("9000", "g", 1)
		for _, d := range s.startUnread() {
			if !s.inbox.WaitRoom(context.Background(), time.Hour) {
				t.Fatalf("no room to read message %d; %d results", d.Seq, len(s.told()))
			}
			s.inbox.Deliver([]Delivery{d})
		}
		s.pass(time.Minute)
		s.wantNothingWaiting()
		if n := len(s.journal.letters); n != len(ids) {
			t.Errorf("%d dead letters, want one of each that was rejected", n)
		}
	})
}
