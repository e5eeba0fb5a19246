package worker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
)

func (s *site) wantSummaries(want ...string) {
	s.t.Helper()
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	var got []string
	for _, b := range s.journal.summaries {
		got = append(got, fmt.Sprintf("%s %d: %d %d %d %d %d", b.BatchID, b.Total, b.Applied, b.Superseded, b.Expired, b.Rejected, b.Failed))
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("summaries:\n got %q\nwant %q", got, want)
	}
}

func (s *site) wantNoBatches() {
	s.t.Helper()
	s.inside(func(l *loop) {
		if len(l.batches.open) > 0 {
			s.t.Errorf("%d batches are still remembered", len(l.batches.open))
		}
	})
}

const two = `,"batch_id":"b","batch_total":2`

func TestBatchCountsEachOutcome(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.agents(2)
		s.gateway.answer = func(c Call) Answer {
			if c.Flag == "bad" {
				return Answer{Class: Refused, Retcode: "000-002"}
			}
			return Answer{Class: Success, Retcode: "0"}
		}
		s.start()
		s.pass(time.Second)
		began := time.Now()
		s.publish(`{"batch_id":"b","flag":"f","changes":[{"agent_id":"1001","flag":"bad"},{"agent_id":"1002"},{"agent_id":"5"},
			{"agent_id":"1003"},{"agent_id":"1003"},{"agent_id":"1001","flag":"bad","id":"x"` + effective(time.Minute) + `},
			{"agent_id":"1001","id":"x","cancel":true}]` + until(time.Hour) + `}`)
		s.pass(time.Minute)
		s.wantSummaries()
		s.pass(time.Hour)
		s.wantSummaries("b 6: 1 2 1 1 1")
		if b := s.journal.summaries[0]; !b.StartedAt.Equal(began) || b.FinishedAt.Sub(began) != time.Hour {
			t.Errorf("from %v to %v", b.StartedAt, b.FinishedAt)
		}
		s.wantNothingWaiting()
		s.wantNoBatches()
	})
}

func TestBatchIDOfOneMessageMayBeUsedAgain(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.agents(2)
		s.journal.takes = time.Second
		s.start()
		for i := range 3 {
			s.publish(wish(strconv.Itoa(1001+i%2), "f", `,"batch_id":"b"`))
		}
		s.pass(time.Minute)
		s.wantSummaries("b 1: 1 0 0 0 0", "b 1: 1 0 0 0 0", "b 1: 1 0 0 0 0")
		s.wantNoBatches()
	})
}

// The same ID again while the summary is on its way is another batch.
func TestBatchBegunWhileTheLastOneCloses(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(4)
		s.journal.takes = time.Second
		s.start()
		s.publish(wish(all[0], "f", two))
		s.publish(wish(all[1], "f", two))
		s.pass(1500 * time.Millisecond) // counted, stored, and the summary is on its way
		s.wantSummaries()
		s.publish(wish(all[2], "f", two))
		s.pass(time.Minute)
		s.wantSummaries("b 2: 2 0 0 0 0")
		s.wantNothingWaiting()
		s.publish(wish(all[3], "f", two))
		s.pass(time.Minute)
		s.wantSummaries("b 2: 2 0 0 0 0", "b 2: 2 0 0 0 0")
		s.wantNothingWaiting()
		s.wantNoBatches()
	})
}

func TestBatchOverSeveralTerms(t *testing.T) {
	for crash := range 12 {
		bubble(t, Policy{}, func(s *site) {
			all := s.agents(3)
			s.journal.takes = 100 * time.Millisecond
			s.start()
			for i, agent := range all {
				s.publish(wish(agent, "f", `,"batch_id":"b","batch_total":3`))
				if i == 1 {
					s.pass(time.Duration(crash) * 37 * time.Millisecond)
					s.crash()
					s.start()
				}
			}
			s.pass(time.Minute)
			s.wantSummaries("b 3: 3 0 0 0 0")
			s.wantNothingWaiting()
			s.wantNoBatches()
		})
	}
}

// A result can be read back before the worker learns that it is stored, and stored while others are read back.
func TestBatchCountsEachEndingOnce(t *testing.T) {
	for _, delays := range [][3]time.Duration{{0, time.Second, 0}, {0, 0, time.Second}, {300 * time.Millisecond, 0, time.Second}, {0, 2 * time.Second, time.Second}} {
		bubble(t, Policy{}, func(s *site) {
			all := s.agents(3)
			s.journal.takes, s.journal.answers, s.journal.countsFor = delays[0], delays[1], delays[2]
			s.start()
			for _, agent := range all {
				s.publish(wish(agent, "f", `,"batch_id":"b","batch_total":3`))
				s.pass(50 * time.Millisecond)
			}
			s.pass(time.Minute)
			s.wantSummaries("b 3: 3 0 0 0 0")
			s.wantNothingWaiting()
		})
	}
}

func TestBatchOfAMessageThatComesAgain(t *testing.T) {
	for _, batch := range []string{`,"batch_id":"b"`, `,"batch_id":"b","batch_total":1`} {
		bubble(t, Policy{}, func(s *site) {
			s.agents(1)
			s.start()
			s.publish(wish("1001", "f", batch), "m1")
			s.pass(time.Minute)
			s.publish(wish("1001", "f", batch), "m1")
			s.pass(time.Minute)
			s.wantTold("applied 1001 m1")
			s.wantSummaries("b 1: 1 0 0 0 0")
			s.wantNothingWaiting()
			s.wantNoBatches()
		})
	}
}

func TestBatchOfRejectionsAlone(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		s.publish(`{"batch_id":"b","changes":[{"agent_id":"1001"},{"agent_id":"1"}]}`)
		s.wantSummaries("b 2: 0 0 0 2 0")
		s.wantNothingWaiting()
	})
}

// The last message of a batch stays in the stream until the summary is stored: nothing else would bring it about.
func TestBatchHoldsItsLastMessage(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.agents(1)
		s.start()
		s.pass(time.Second)
		s.journal.takes = time.Second
		s.publish(wish("1001", "f", `,"batch_id":"b","batch_total":1`))
		s.pass(1500 * time.Millisecond)
		s.wantTold("applied 1001 1")
		if len(s.held()) != 1 {
			t.Error("the message is gone before the summary is stored")
		}
		s.crash()
		s.start()
		s.pass(time.Minute)
		s.wantSummaries("b 1: 1 0 0 0 0")
		s.wantNothingWaiting()
	})
}

func TestBatchProgress(t *testing.T) {
	bubble(t, Policy{Rate: 2, Burst: 1}, func(s *site) {
		all := s.agents(20)
		s.start()
		s.publish(fmt.Sprintf(`{"batch_id":"b","flag":"f","agent_ids":["%s"]}`, strings.Join(all, `","`)))
		s.pass(time.Minute)
		s.wantSummaries("b 20: 20 0 0 0 0")
		ended, at := 0, time.Time{}
		for _, p := range s.journal.progress {
			if p.BatchID != "b" || p.Total != 20 || p.Applied <= ended || p.At.Sub(at) < time.Second {
				t.Errorf("progress %+v after %d", p, ended)
			}
			if left := time.Duration(20-p.Applied) * time.Second / 2; p.ExpectedEnd.Sub(p.At) < left-time.Second || p.ExpectedEnd.Sub(p.At) > left+time.Second {
				t.Errorf("expected end in %v, want about %v", p.ExpectedEnd.Sub(p.At), left)
			}
			ended, at = p.Applied, p.At
		}
		if n := s.journal.progressTold(); n < 8 || n > 10 {
			t.Errorf("progress was told %d times", n)
		}
	})
}

// Each of two batches is told its own end, though they share the gate, and what of it comes too late.
func TestBatchProgressIsThatOfTheBatch(t *testing.T) {
	bubble(t, Policy{Rate: 2, Burst: 1}, func(s *site) {
		all := s.agents(20)
		s.start()
		s.pass(time.Second)
		publish := func(id string, agents []string, valid time.Duration) {
			s.publish(fmt.Sprintf(`{"batch_id":"%s","flag":"f","agent_ids":["%s"],"valid_until":"%s"}`, id, strings.Join(agents, `","`), at(valid)))
		}
		publish("far", all[:10], time.Hour)
		publish("near", all[10:], 4*time.Second)
		s.pass(time.Minute)
		told := map[string]bool{}
		want := map[string]struct {
			left   time.Duration
			missed int
		}{"near": {4500 * time.Millisecond, 3}, "far": {9 * time.Second, 0}} // nine are left of each, two in a second
		for _, p := range s.journal.progress {
			if told[p.BatchID] {
				continue
			}
			told[p.BatchID] = true
			if left := p.ExpectedEnd.Sub(p.At); p.Applied != 1 || left != want[p.BatchID].left || p.Missed != want[p.BatchID].missed {
				t.Errorf("what is due will be applied in %v, want %+v: %+v", left, want[p.BatchID], p)
			}
		}
		if !told["near"] || !told["far"] {
			t.Errorf("told of %v", told)
		}
		s.wantSummaries("near 10: 7 0 3 0 0", "far 10: 10 0 0 0 0")
	})
}

// The count that opens a batch over several messages tells its first progress: the next one comes a second later.
func TestProgressAfterTheFirst(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(2)
		s.start()
		s.pass(700 * time.Millisecond)
		s.publish(few(3, all[0]))
		s.pass(900 * time.Millisecond)
		s.publish(few(3, "2001"))
		s.pass(90 * time.Millisecond)
		if n := s.journal.progressTold(); n > 0 {
			t.Errorf("%d within a second", n)
		}
		s.pass(time.Second)
		if n := s.journal.progressTold(); n != 1 {
			t.Errorf("%d after two seconds", n)
		}
	})
}

// What comes in every moment keeps no progress from being told.
func TestProgressWhileMoreComes(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(50)
		s.start()
		for _, agent := range all {
			s.publish(few(100, agent))
			s.pass(100 * time.Millisecond)
		}
		if n := s.journal.progressTold(); n != 5 {
			t.Errorf("told %d times in five seconds", n)
		}
	})
}

// A batch whose total is never reached is not kept for ever; where the rest comes after all, everything counts.
func TestBatchWhoseRestNeverComes(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		all := s.agents(4)
		s.start()
		s.publish(few(3, all[0]))
		s.pass(time.Minute)
		s.publish(few(3, all[1]))
		s.pass(batchRests + time.Minute)
		s.wantNoBatches()
		s.wantSummaries()
		s.publish(few(3, all[2]))
		s.pass(time.Minute)
		s.wantSummaries("b 3: 3 0 0 0 0")
		s.wantNothingWaiting()
		s.publish(few(1, all[3]))
		s.pass(time.Minute)
		s.wantSummaries("b 3: 3 0 0 0 0", "b 1: 1 0 0 0 0")
		s.wantNoBatches()
	})
}

func TestProgressIsNotComputedEachTurn(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.start()
		for i := range 100 {
			s.publish(wish(strconv.Itoa(1001+i), "f", `,"batch_id":"b`+strconv.Itoa(i)+`"`))
		}
		s.pass(time.Minute)
		if n := s.journal.progressTold(); n > 0 {
			t.Errorf("%d times of progress without any", n)
		}
	})
}

func TestBatchOfManyMessagesTakesLinearTime(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		const n = 3000
		for i := range n {
			s.store(wish(strconv.Itoa(1001+i), "f", fmt.Sprintf(`,"batch_id":"b","batch_total":%d`, n)))
		}
		s.start()
		for i := range n {
			s.sessions.Put(strconv.Itoa(1001+i), messages.Session{GUID: "g"}, uint64(i+1))
		}
		s.pass(time.Minute)
		s.wantSummaries(fmt.Sprintf("b %d: %d 0 0 0 0", n, n))
		s.wantNothingWaiting()
	})
}

func TestProgressIsNeverStoredAfterTheSummary(t *testing.T) {
	bubble(t, Policy{Rate: 2, Burst: 1}, func(s *site) {
		all := s.agents(4)
		s.journal.set(func() { s.journal.tells = 5 * time.Second })
		s.start()
		s.publish(`{"agent_ids":["` + strings.Join(all, `","`) + `"],"flag":"f","batch_id":"b"}`)
		s.pass(time.Minute)
		if len(s.journal.summaries) != 1 || len(s.journal.progress) == 0 || s.journal.outOfTurn {
			t.Errorf("%d summaries, %d progress messages, out of turn: %v", len(s.journal.summaries), len(s.journal.progress), s.journal.outOfTurn)
		}
		s.wantNothingWaiting()
	})
}
