// Package journaltest has the contract of [worker.Journal] as a test. The core's tests use a journal in memory, the product uses
// one in NATS, and both must pass it: otherwise the core would be tested against promises that nobody keeps.
//
// [worker.Journal.Ack] is left out, because only a message that was delivered can be acknowledged.
package journaltest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// Site is a journal without results, and what tests need beside it.
type Site struct {
	Journal     worker.Journal
	Incarnation int64                                            // of the stream of changes
	Publish     func(body string) (seq uint64, stored time.Time) // stores a message in the stream of changes
	Letters     func() []ledger.Position                         // of the changes that have a dead letter
	Summaries   func(id string) []messages.BatchSummary          // of batches with that ID
}

const (
	single  = `{"agent_id":"1001","flag":"f","id":"c1"}`
	batched = `{"agent_id":"1001","flag":"f","batch_id":"b","batch_total":2}`
)

// Run tests the journals that open returns, each of a new site.
func Run(t *testing.T, open func(t *testing.T) *Site) {
	t.Helper()
	for name, test := range map[string]func(s *site){
		"results of one agent follow each other":      testResultsFollow,
		"a result that is not expected is a conflict": testConflict,
		"one of two results at once is stored":        testConcurrentResults,
		"a ledger is read back as it was stored":      testReload,
		"an agent without results has a zero ledger":  testReloadNothing,
		"a change has one dead letter":                testBuryTwice,
		"a letter is made from a stored result":       testBuryStored,
		"a letter of a message that is not read":      testBuryUnread,
		"a batch of one message":                      testBatchOfOne,
		"a batch over several messages":               testBatchOverSeveral,
		"a batch ID that is used again":               testBatchAgain,
		"a copy of a message after its summary":       testBatchCopy,
		"progress is reported":                        testProgress,
	} {
		t.Run(name, func(t *testing.T) { test(&site{open(t), t}) })
	}
}

// site is a Site with the test that it is for.
type site struct {
	*Site
	t *testing.T
}

// change is a change that was published, and the ledger of its agent.
type change struct {
	pos    ledger.Position
	stored time.Time
	agent  string
}

func (s *site) publish(body string) change {
	seq, stored := s.Publish(body)
	return change{ledger.Position{Incarnation: s.Incarnation, Seq: seq}, stored, "1001"}
}

func (c change) of(agent string, index int) change {
	c.agent, c.pos.Index = agent, index
	return c
}

func (c change) result(o messages.Outcome) messages.Result {
	return messages.Result{
		Outcome: o, AgentID: c.agent, Retcode: "0", Message: "success", Flag: "f", ChangeID: "c1", ChangeSeq: c.pos.Seq, ChangeIndex: c.pos.Index,
		ReceivedAt: c.stored.UTC(), EffectiveAt: c.stored.UTC(), ValidUntil: c.stored.Add(time.Hour).UTC(), FinishedAt: c.stored.Add(time.Second).UTC(),
	}
}

func (c change) record(o messages.Outcome, expect uint64) worker.Record {
	l := ledger.Ledger{Done: c.pos, Stored: c.stored.UnixNano(), Newest: ledger.Effect{At: c.stored.UnixNano(), Pos: c.pos, ID: "c1"}}
	text, _ := l.AppendText(nil) // never fails
	return worker.Record{Result: c.result(o), Ledger: text, Expect: expect, Pos: c.pos}
}

// answer is what a Journal reported of a result.
type answer struct {
	seq  uint64
	kept worker.Kept
	err  error
}

func (s *site) store(rec worker.Record) answer {
	return wait(func(done func(answer)) {
		s.Journal.Store(rec, func(seq uint64, kept worker.Kept, err error) { done(answer{seq, kept, err}) })
	})
}

func (s *site) mustStore(rec worker.Record) uint64 {
	s.t.Helper()
	a := s.store(rec)
	if a.err != nil || a.kept != worker.KeptWhole || a.seq == 0 {
		s.t.Fatalf("result stored at %d, kept %d, %v", a.seq, a.kept, a.err)
	}
	return a.seq
}

func (s *site) reload(agent string) ledger.Ledger {
	return wait(func(done func(ledger.Ledger)) { s.Journal.Reload(agent, done) })
}

func (s *site) bury(letter worker.DeadLetter) worker.Kept {
	return wait(func(done func(worker.Kept)) { s.Journal.Bury(letter, done) })
}

func (s *site) count(q worker.BatchQuery) worker.BatchCount {
	return wait(func(done func(worker.BatchCount)) { s.Journal.Count(q, done) })
}

func (s *site) summarise(q worker.BatchQuery, sum messages.BatchSummary) {
	wait(func(done func(struct{})) { s.Journal.Summarise(q, sum, func() { done(struct{}{}) }) })
}

// wait calls f and returns what it reports through done. It does not return if f never reports anything.
func wait[T any](f func(done func(T))) T {
	reported := make(chan T, 1)
	f(func(x T) { reported <- x })
	return <-reported
}

func testResultsFollow(s *site) {
	c := s.publish(single)
	first := s.mustStore(c.record(messages.Waiting, 0))
	second := s.mustStore(c.record(messages.Applied, first))
	if second <= first {
		s.t.Errorf("the second result has sequence %d after %d", second, first)
	}
	if l := s.reload("1001"); l.Seq != second {
		s.t.Errorf("the ledger has sequence %d, want %d", l.Seq, second)
	}
}

func testConflict(s *site) {
	c := s.publish(single)
	first := s.mustStore(c.record(messages.Waiting, 0))
	for _, expect := range []uint64{0, first + 1} {
		if a := s.store(c.record(messages.Expired, expect)); !errors.Is(a.err, worker.ErrConflict) {
			s.t.Errorf("expecting %d: %v, want a conflict", expect, a.err)
		}
	}
	if l := s.reload("1001"); l.Seq != first || l.Last.Outcome != messages.Waiting {
		s.t.Errorf("after the conflicts the last result is %d, %s", l.Seq, l.Last.Outcome)
	}
	s.mustStore(c.of("1002", 1).record(messages.Applied, 0)) // other agents have sequences of their own
}

func testConcurrentResults(s *site) {
	c := s.publish(single)
	outcomes := []messages.Outcome{messages.Applied, messages.Failed, messages.Expired, messages.Superseded}
	errs := make([]error, len(outcomes))
	var all sync.WaitGroup
	for i, o := range outcomes {
		all.Go(func() { errs[i] = s.store(c.record(o, 0)).err })
	}
	all.Wait()
	stored := 0
	for i, err := range errs {
		switch {
		case err == nil:
			stored++
			if l := s.reload("1001"); l.Last.Outcome != outcomes[i] {
				s.t.Errorf("the last result is %s, want %s", l.Last.Outcome, outcomes[i])
			}
		case !errors.Is(err, worker.ErrConflict):
			s.t.Errorf("%s: %v, want a conflict", outcomes[i], err)
		}
	}
	if stored != 1 {
		s.t.Errorf("%d results are stored, want 1", stored)
	}
}

func testReload(s *site) {
	c := s.publish(single)
	applied := s.mustStore(c.record(messages.Applied, 0))
	next := s.publish(single)
	failed := s.mustStore(next.record(messages.Failed, applied))
	l := s.reload("1001")
	if l.Seq != failed || l.Last != (ledger.Last{Pos: next.pos, Outcome: messages.Failed}) || l.Done != next.pos || l.Newest.Pos != next.pos {
		s.t.Errorf("ledger %+v", l)
	}
	if l.InForce == nil || l.InForce.Pos != c.pos || l.InForce.Result.Outcome != messages.Applied {
		s.t.Errorf("in force is %+v, want what was applied at %v", l.InForce, c.pos)
	}
}

func testReloadNothing(s *site) {
	s.mustStore(s.publish(single).record(messages.Applied, 0))
	if l := s.reload("1002"); l.Seq != 0 || l.InForce != nil || l.Last != (ledger.Last{}) {
		s.t.Errorf("ledger %+v", l)
	}
}

func (s *site) wantLetters(want ...ledger.Position) {
	s.t.Helper()
	if got := s.Letters(); !slices.Equal(got, want) {
		s.t.Errorf("dead letters of %v, want %v", got, want)
	}
}

func testBuryTwice(s *site) {
	c := s.publish(single)
	seq := s.mustStore(c.record(messages.Failed, 0))
	r := c.result(messages.Failed)
	for range 2 {
		if kept := s.bury(worker.DeadLetter{Pos: c.pos, Agent: c.agent, Whole: true, Result: &r, Seq: seq}); kept != worker.KeptWhole {
			s.t.Errorf("the letter was kept in form %d", kept)
		}
	}
	s.wantLetters(c.pos)
}

func testBuryStored(s *site) {
	c := s.publish(single)
	seq := s.mustStore(c.record(messages.Failed, 0))
	for range 2 {
		s.bury(worker.DeadLetter{Pos: c.pos, Agent: c.agent, Whole: true, Seq: seq})
	}
	s.wantLetters(c.pos)
}

func testBuryUnread(s *site) {
	c := s.publish(single)
	seq := s.mustStore(c.record(messages.Failed, 0))
	s.bury(worker.DeadLetter{Pos: c.pos, Agent: c.agent, Seq: seq, Unread: true})
	gone := c.of("1002", 0) // its message is gone: another one has its sequence after a restore
	gone.pos.Incarnation, gone.stored = c.pos.Incarnation-1, c.stored.Add(-time.Hour)
	seq = s.mustStore(gone.record(messages.Failed, 0))
	s.bury(worker.DeadLetter{Pos: gone.pos, Agent: gone.agent, Seq: seq, Unread: true})
	s.wantLetters(c.pos)
}

// query returns the query for a generation of a batch that begins with the first message and so far ends with the last one.
func (s *site) query(key worker.BatchKey, first, last change, total int) worker.BatchQuery {
	return worker.BatchQuery{Key: key, Pos: first.pos, Since: first.stored.UTC(), Last: worker.Cursor{Pos: last.pos, Stored: last.stored.UnixNano()}, Total: total}
}

// endBatch stores the ending of one of a batch's changes.
func (s *site) endBatch(key worker.BatchKey, c change, o messages.Outcome) uint64 {
	s.t.Helper()
	rec := c.record(o, s.reload(c.agent).Seq)
	rec.Batch = key
	return s.mustStore(rec)
}

func (s *site) wantCount(q worker.BatchQuery, want messages.BatchSummary) worker.BatchCount {
	s.t.Helper()
	c := s.count(q)
	if got := c.Count(); got != want {
		s.t.Errorf("counted %+v, want %+v", got, want)
	}
	return c
}

func testBatchOfOne(s *site) {
	c := s.publish(`{"agent_ids":["1001","1002"],"flag":"f","batch_id":"b"}`)
	key := worker.BatchKey{ID: "b", Seq: c.pos.Seq}
	q := s.query(key, c, c, 0)
	waiting := c.record(messages.Waiting, 0)
	waiting.Batch = key
	s.mustStore(waiting) // ends nothing
	s.endBatch(key, c, messages.Applied)
	seq := s.endBatch(key, c.of("1002", 1), messages.Expired)
	s.endBatch(worker.BatchKey{ID: "b", Seq: c.pos.Seq + 1}, c.of("1003", 0), messages.Applied) // another batch of the same ID
	count := s.wantCount(q, messages.BatchSummary{Applied: 1, Expired: 1})
	if count.UpTo < seq || count.Closed {
		s.t.Errorf("counted up to %d, closed %v; the last ending is at %d", count.UpTo, count.Closed, seq)
	}
	if e := count.Endings[1]; e.Pos != c.of("1002", 1).pos || e.Stored != c.stored.UnixNano() || e.Outcome != messages.Expired {
		s.t.Errorf("the second ending is %+v", e)
	}
	for range 2 {
		s.summarise(q, messages.BatchSummary{BatchID: "b", Total: 2, Applied: 1, Expired: 1})
	}
	if n := len(s.Summaries("b")); n != 1 {
		s.t.Errorf("%d summaries, want 1", n)
	}
	if !s.count(q).Closed {
		s.t.Error("the batch is not closed by its summary")
	}
}

func testBatchOverSeveral(s *site) {
	first, second := s.publish(batched), s.publish(batched)
	key := worker.BatchKey{ID: "b"}
	if c := s.wantCount(s.query(key, first, second, 2), messages.BatchSummary{}); c.Closed || c.Before != (worker.Cursor{}) {
		s.t.Errorf("a new batch was closed before: %+v", c)
	}
	s.endBatch(key, first, messages.Applied)
	// A new owner finds only the second message.
	c := s.wantCount(s.query(key, second, second, 2), messages.BatchSummary{Applied: 1})
	if !c.Started.Equal(first.stored) {
		s.t.Errorf("the batch began at %v, want %v", c.Started, first.stored)
	}
	s.endBatch(key, second.of("1002", 0), messages.Failed)
	s.wantCount(s.query(key, second, second, 2), messages.BatchSummary{Applied: 1, Failed: 1})
	for range 2 {
		s.summarise(s.query(key, second, second, 2), messages.BatchSummary{BatchID: "b", Total: 2, Applied: 1, Failed: 1})
	}
	if n := len(s.Summaries("b")); n != 1 {
		s.t.Errorf("%d summaries, want 1", n)
	}
}

func testBatchAgain(s *site) {
	key := worker.BatchKey{ID: "b"}
	var before change
	for i := range 3 {
		c := s.publish(batched)
		q := s.query(key, c, c, 1)
		count := s.wantCount(q, messages.BatchSummary{})
		if i > 0 && count.Before.Pos != before.pos {
			s.t.Errorf("the last message with a summary is %v, want %v", count.Before.Pos, before.pos)
		}
		s.endBatch(key, c, messages.Applied)
		s.wantCount(q, messages.BatchSummary{Applied: 1})
		s.summarise(q, messages.BatchSummary{BatchID: "b", Total: 1, Applied: 1})
		before = c
	}
	if n := len(s.Summaries("b")); n != 3 {
		s.t.Errorf("%d summaries, want 3", n)
	}
}

func testBatchCopy(s *site) {
	key := worker.BatchKey{ID: "b"}
	c := s.publish(batched)
	q := s.query(key, c, c, 1)
	s.count(q)
	s.endBatch(key, c, messages.Applied)
	s.summarise(q, messages.BatchSummary{BatchID: "b", Total: 1, Applied: 1})
	if count := s.count(q); !count.Before.Covers(q.First()) || len(count.Endings) > 0 {
		s.t.Errorf("a message that has a summary opened a batch: %+v", count)
	}
}

func testProgress(s *site) {
	c := s.publish(batched)
	q := s.query(worker.BatchKey{ID: "b"}, c, c, 2)
	s.count(q) // opens it
	wait(func(done func(struct{})) {
		s.Journal.Progress(q, messages.BatchProgress{BatchSummary: messages.BatchSummary{BatchID: "b", Total: 2}}, func() { done(struct{}{}) })
	})
}
