package worker

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func few(total int, agents ...string) string {
	return fmt.Sprintf(`{"agent_ids":["%s"],"flag":"f","batch_id":"b","batch_total":%d}`, strings.Join(agents, `","`), total)
}

// A message that goes beyond the total belongs to the generation whole; what comes afterwards begins the next one.
func TestBatchWithTooSmallATotal(t *testing.T) {
	for crash := range 16 {
		bubble(t, Policy{}, func(s *site) {
			all := s.agents(9)
			var logged strings.Builder
			s.worker.Log = slog.New(slog.NewTextHandler(&logged, nil))
			s.journal.takes = 100 * time.Millisecond
			s.start()
			s.publish(few(3, all[:2]...))
			s.pass(time.Duration(crash) * 37 * time.Millisecond)
			s.publish(few(3, all[2:4]...))
			s.pass(time.Duration(crash) * 23 * time.Millisecond)
			s.crash()
			s.start()
			s.publish(few(3, all[4:6]...)) // the next generation
			s.publish(few(3, all[6]))
			s.pass(time.Duration(crash) * 17 * time.Millisecond)
			s.crash()
			s.start()
			s.pass(time.Minute)
			s.wantSummaries("b 4: 4 0 0 0 0", "b 3: 3 0 0 0 0")
			s.wantNothingWaiting()
			s.wantNoBatches()
			if n := strings.Count(logged.String(), "more changes than its batch_total"); n < 1 || !strings.Contains(logged.String(), "batch=b batch_total=3 changes=4") {
				t.Errorf("%d warnings in %s", n, logged.String())
			}
		})
	}
}

func TestBatchOfOneMessageBeyondItsTotal(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(6)
		s.start()
		s.publish(few(2, all[:5]...))
		s.pass(time.Minute)
		s.publish(few(1, all[5]))
		s.pass(time.Minute)
		s.wantSummaries("b 5: 5 0 0 0 0", "b 1: 1 0 0 0 0")
		s.wantNothingWaiting()
		s.wantNoBatches()
	})
}

// Two generations run at the same time, and those of the second one end first. Whenever a worker dies, the next one puts each
// message into the generation it was published in, also where all was restored from a backup meanwhile.
func TestBatchGenerationsOverlap(t *testing.T) {
	for run := range 16 {
		crash, backup := run/2, run%2 == 1
		bubble(t, Policy{}, func(s *site) {
			all := s.agents(2)
			s.journal.takes = 100 * time.Millisecond
			s.start()
			steps := []func(){
				func() { s.publish(few(3, all[0])) },
				func() { s.publish(few(3, "2001", "2002")) },
				func() { s.publish(few(2, all[1])) },
				func() { s.publish(few(2, "3")) },
				func() { s.signIn("2002", "g", 1) },
				func() { s.signIn("2001", "g", 1) },
			}
			for i, step := range steps {
				step()
				s.pass(time.Second)
				if i == crash || i == crash-4 {
					s.crash()
					if backup {
						s.restored()
					}
					s.start()
				}
			}
			s.pass(time.Minute)
			s.wantSummaries("b 3: 3 0 0 0 0", "b 2: 1 0 0 1 0")
			s.wantNothingWaiting()
			s.wantNoBatches()
		})
	}
}

// A message whose acknowledgement was lost comes again while the next generation goes on, and is no part of that.
func TestBatchMessageComesAgainAfterItsSummary(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(4)
		s.start()
		s.publish(few(2, all[0]))
		again := s.held()
		s.publish(few(2, all[1]))
		s.pass(time.Minute)
		s.publish(few(2, all[2]))
		s.pass(time.Minute)
		s.inbox.Deliver(again)
		s.pass(time.Minute)
		s.wantSummaries("b 2: 2 0 0 0 0")
		s.publish(few(2, all[3]))
		s.pass(time.Minute)
		s.wantSummaries("b 2: 2 0 0 0 0", "b 2: 2 0 0 0 0")
		s.wantNothingWaiting()
		s.wantNoBatches()
	})
}

// A message of the second generation ended before the restore and was acknowledged after the first one was summed up: only the
// results tell of it, under a position from before the last message of the first generation.
func TestBatchGenerationThatBeganBeforeARestore(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(2)
		s.start()
		s.publish(few(2, "2001"))
		s.publish(few(2, "2002"))
		s.publish(few(2, all[0]))
		s.crash()
		s.restored()
		s.start()
		s.signIn("2001", "g", 1)
		s.signIn("2002", "g", 1)
		s.pass(time.Minute)
		s.wantNothingWaiting()
		s.crash()
		s.start()
		s.publish(few(2, all[1]))
		s.pass(time.Minute)
		s.wantSummaries("b 2: 2 0 0 0 0", "b 2: 2 0 0 0 0")
		s.wantNoBatches()
	})
}
