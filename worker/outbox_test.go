package worker

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"idlepolicy/messages"
)

// many is a message with n usable items of one agent, and what else is asked for.
func many(n int, more string) string {
	return `{"flag":"true","changes":[` + strings.Repeat(`{"agent_id":1001},`, n) + more + `]}`
}

const unusable = `{"agent_id":1001,"flag":"yes"}`

// longest returns the length of the longest ledger that was stored.
func (b *fakeJournal) longest() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, rec := range b.records {
		n = max(n, len(rec.Ledger))
	}
	return n
}

// The header of a result holds 64 KiB, and a ledger that does not fit is refused again and again.
func TestManyItemsOfOneAgentAndOneThatCannotBeUsed(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g", 1)
		s.start()
		s.seq = 1_000_000
		s.publish(many(8000, unusable))
		s.pass(time.Minute)
		if n := s.journal.longest(); n > 1<<10 {
			t.Errorf("a ledger of %d bytes", n)
		}
		s.wantNothingWaiting()
		s.wantCalls("1001 true g")
	})
}

// A result that waits for no call lists what it overtakes, so it may not overtake everything.
func TestResultsThatOvertakeACallAreBounded(t *testing.T) {
	for n, overtakes := range map[int]bool{maxOvertaken - 1: true, 8000: false} {
		bubble(t, Policy{}, func(s *site) {
			s.signIn("1001", "g", 1)
			s.gateway.takes = 5 * time.Second
			s.start()
			s.seq = 1_000_000
			s.publish(wish("1001", "f", `,"id":"first"`))
			s.publish(many(n, unusable))
			s.publish(wish("1001", "f", `,"id":"w"`+effective(time.Hour)))
			s.pass(4 * time.Second)
			if got := len(s.told()); (got == 2) != overtakes || (got == 0) == overtakes {
				t.Errorf("%d items: %d results during the call", n, got)
			}
			s.pass(time.Minute)
			if got := len(s.told()); got != n+3 {
				t.Errorf("%d items: %d results after the call", n, got)
			}
			if got := s.journal.longest(); got > 4<<10 {
				t.Errorf("%d items: a ledger of %d bytes", n, got)
			}
			s.crash()
			s.start()
			s.pass(2 * time.Hour)
			s.wantNothingWaiting()
			if got := len(s.told()); got != n+4 {
				t.Errorf("%d items: %d results in the end", n, got)
			}
		})
	}
}

// One message may have a hundred thousand items of one agent; the event loop has everybody else to look after.
func TestManyItemsOfOneAgentCostInProportion(t *testing.T) {
	cost := func(n int) time.Duration {
		began := processorTime(t)
		bubble(t, Policy{}, func(s *site) {
			s.signIn("1001", "g", 1)
			s.publish(wish("1001", "f", `,"id":"w"`+effective(time.Hour))) // stays below all others
			s.start()
			s.publish(many(n, unusable))
			s.pass(time.Second)
			if got := len(s.told()); got != n+2 {
				t.Errorf("%d results of %d items", got, n)
			}
		})
		return processorTime(t) - began
	}
	few := min(cost(5000), cost(5000), cost(5000))
	all := min(cost(20_000), cost(20_000))
	if all > 9*few { // four times as much would be right; the square is 16
		t.Errorf("5,000 items take %v, 20,000 take %v", few, all)
	}
}

// processorTime does not grow while others use the machine.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}

// What waits to be told is not told: after a crash, or a lost acknowledgement, it has to come again.
func TestWaitThatIsNotStoredIsNotRecorded(t *testing.T) {
	for _, lost := range []string{"crash", "acknowledgement"} {
		bubble(t, Policy{}, func(s *site) {
			s.start()
			s.publish(wish("1001", "a", `,"id":"c1"`+effective(time.Second)))
			s.journal.set(func() { s.journal.takes = 100 * time.Millisecond })
			s.pass(950 * time.Millisecond)
			s.publish(wish("1001", "b", `,"id":"c2"`+effective(time.Hour)))
			s.pass(10 * time.Millisecond)
			s.publish(wish("1001", "c", `,"id":"c3"`+effective(time.Hour)))
			s.pass(100 * time.Millisecond)
			if lost == "acknowledgement" {
				s.journal.set(func() { s.journal.failNext = 1 })
			}
			s.pass(95 * time.Millisecond)
			if lost == "crash" {
				s.crash()
				s.start()
			}
			s.pass(time.Minute)
			waits := map[string]int{}
			for _, r := range s.journal.all() {
				if r.Outcome == messages.Waiting {
					waits[fmt.Sprint(r.ChangeID, " ", r.Message)]++
				}
			}
			for _, want := range []string{
				"c1 waits for its effective_at", "c1 waits for the agent to sign in",
				"c2 waits for its effective_at", "c3 waits for its effective_at",
			} {
				if waits[want] != 1 {
					t.Errorf("%s: %q told %d times", lost, want, waits[want])
				}
			}
		})
	}
}
