package worker

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// fakeJournal is a journal in memory. TestFakeJournalKeepsTheContract compares it with what the real one promises. Of a term that
// was lost, it keeps only what was stored.
type fakeJournal struct {
	mu        sync.Mutex
	records   []Record
	at        []time.Time  // when the records were stored
	late      map[int]bool // of the records those that came after their term had died
	last      map[string]uint64
	letters   []DeadLetter
	buried    map[ledger.Position]bool // those that have one
	stuck     bool                     // letters are under way for ever
	refuses   func(agent string) bool  // whose results are refused; nil: nobody's
	gives     func(agent string) Kept  // in what form letters are kept; nil: whole
	deaf      func(agent string) bool  // whose letters are under way for ever; nil: nobody's
	summaries []messages.BatchSummary
	summed    []BatchKey            // whose summaries these are
	opened    map[string]BatchQuery // the generations of batches over several messages that were begun last
	before    map[string]Cursor     // the last messages of those that were summed up last
	progress  []messages.BatchProgress
	acked     func(seq uint64)
	holds     func(seq uint64, stored time.Time) bool
	acks      []uint64
	dead      bool
	takes     time.Duration // to store a result
	answers   time.Duration // so long after a result was stored the worker learns of it
	tells     time.Duration // to store progress
	outOfTurn bool          // progress of a batch was stored after its summary
	countsFor time.Duration // after it was looked up a count is on its way that long
	lingers   time.Duration // so long after a death what was on its way arrives nevertheless; 0: it is lost
	failNext  int           // results whose acknowledgement is lost although they are stored
	age       int           // terms so far
}

func newFakeJournal() *fakeJournal {
	return &fakeJournal{last: map[string]uint64{}, opened: map[string]BatchQuery{}, before: map[string]Cursor{}, late: map[int]bool{}, buried: map[ledger.Position]bool{}}
}

// set changes how the journal behaves.
func (b *fakeJournal) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *fakeJournal) revive() { b.mu.Lock(); b.dead = false; b.age++; b.mu.Unlock() }
func (b *fakeJournal) die()    { b.mu.Lock(); b.dead = true; b.mu.Unlock() }

// later does what a server does after a while, and tells the worker of it, unless the term has died.
func (b *fakeJournal) later(do func() (tell func())) {
	b.mu.Lock()
	age, takes, lingers := b.age, b.takes, b.lingers
	b.mu.Unlock()
	gone := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.dead || age != b.age
	}
	go func() {
		time.Sleep(takes)
		dead := gone()
		if dead && lingers == 0 {
			return
		}
		if dead {
			time.Sleep(lingers)
		}
		if tell := do(); !dead && !gone() {
			tell()
		}
	}()
}

func (b *fakeJournal) Store(rec Record, done func(uint64, Kept, error)) {
	rec.Ledger = slices.Clone(rec.Ledger)
	b.mu.Lock()
	age, answers := b.age, b.answers
	b.mu.Unlock()
	b.later(func() func() {
		seq, err := b.store(rec, age)
		time.Sleep(answers)
		return func() { done(seq, KeptWhole, err) }
	})
}

func (b *fakeJournal) store(rec Record, age int) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	agent := rec.Result.AgentID
	if b.refuses != nil && b.refuses(agent) {
		return 0, errors.New("maximum payload exceeded")
	}
	if b.last[agent] != rec.Expect {
		return 0, ErrConflict
	}
	b.late[len(b.records)] = b.dead || age != b.age
	b.records, b.at = append(b.records, rec), append(b.at, time.Now())
	b.last[agent] = uint64(len(b.records))
	if b.failNext > 0 {
		b.failNext--
		return 0, errors.New("no answer")
	}
	return b.last[agent], nil
}

func (b *fakeJournal) Reload(agent string, done func(ledger.Ledger)) {
	b.later(func() func() {
		l := b.ledger(agent)
		return func() { done(l) }
	})
}

func (b *fakeJournal) ledger(agent string) ledger.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	var l ledger.Ledger
	var force *ledger.InForce
	for i, rec := range b.records {
		if rec.Result.AgentID != agent {
			continue
		}
		if o := rec.Result.Outcome; o == messages.Applied || o == messages.Reapplied {
			force = &ledger.InForce{Pos: rec.Pos, Result: rec.Result}
		}
		if err := l.UnmarshalText(rec.Ledger); err != nil {
			panic(err) // this goroutine is not the test's
		}
		l.Seq, l.Last, l.InForce = uint64(i+1), ledger.Last{Pos: rec.Pos, Outcome: rec.Result.Outcome}, force
	}
	return l
}

func (b *fakeJournal) ledgers(t *testing.T) map[string]*ledger.Ledger {
	t.Helper()
	all := map[string]*ledger.Ledger{}
	b.mu.Lock()
	agents := slices.Collect(maps.Keys(b.last))
	b.mu.Unlock()
	for _, agent := range agents {
		l := b.ledger(agent)
		all[agent] = &l
	}
	return all
}

func (b *fakeJournal) Bury(letter DeadLetter, done func(Kept)) {
	b.mu.Lock()
	deaf, kept := b.stuck || b.deaf != nil && b.deaf(letter.Agent), KeptWhole
	if b.gives != nil {
		kept = b.gives(letter.Agent)
	}
	b.mu.Unlock()
	if deaf {
		return // until the term is over
	}
	told := func() { done(kept) }
	b.later(func() func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if letter.Unread && !b.holds(letter.Pos.Seq, b.records[letter.Seq-1].Result.ReceivedAt) {
			return told
		}
		if !b.buried[letter.Pos] && kept != KeptNot {
			b.letters = append(b.letters, letter)
		}
		b.buried[letter.Pos] = true
		return told
	})
}

func (b *fakeJournal) Count(q BatchQuery, done func(BatchCount)) {
	b.mu.Lock()
	countsFor := b.countsFor
	b.mu.Unlock()
	b.later(func() func() {
		c := b.count(q)
		time.Sleep(countsFor)
		return func() { done(c) }
	})
}

// count counts as the real one does: a batch over several messages goes on until its summary, after which its ID serves
// for another generation.
func (b *fakeJournal) count(q BatchQuery) BatchCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := BatchCount{UpTo: uint64(len(b.records)), Before: b.before[q.Key.ID]}
	if q.Key.Seq != 0 {
		c.Before, c.Closed = Cursor{}, slices.Contains(b.summed, q.Key)
	}
	for _, rec := range b.records {
		known := rec.Pos.Incarnation == c.Before.Pos.Incarnation && rec.Pos.Seq <= c.Before.Pos.Seq
		if rec.Batch == q.Key && rec.Result.Outcome.Ends() && !known {
			c.Endings = append(c.Endings, Ending{rec.Pos, rec.Result.ReceivedAt.UnixNano(), rec.Result.Outcome})
		}
	}
	if q.Key.Seq != 0 || c.Before.Covers(q.First()) {
		return c
	}
	sofar := c.Count()
	if opened, ok := b.opened[q.Key.ID]; ok && !c.Before.Covers(opened.First()) && sofar.Ended() > 0 {
		c.Started = opened.Since
	} else {
		b.opened[q.Key.ID] = q
	}
	return c
}

func (b *fakeJournal) Summarise(q BatchQuery, sum messages.BatchSummary, done func()) {
	b.later(func() func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		known := q.Key.Seq != 0 && slices.Contains(b.summed, q.Key) || q.Key.Seq == 0 && b.before[q.Key.ID].Covers(q.Last)
		if !known {
			b.summaries, b.summed = append(b.summaries, sum), append(b.summed, q.Key)
		}
		if q.Key.Seq == 0 {
			b.before[q.Key.ID] = later(q.Last, b.before[q.Key.ID])
		}
		return done
	})
}

func (b *fakeJournal) Progress(_ BatchQuery, p messages.BatchProgress, done func()) {
	b.mu.Lock()
	tells := b.tells
	b.mu.Unlock()
	b.later(func() func() {
		time.Sleep(tells)
		b.set(func() {
			b.progress = append(b.progress, p)
			for _, sum := range b.summaries {
				b.outOfTurn = b.outOfTurn || sum.BatchID == p.BatchID && sum.StartedAt.Equal(p.StartedAt)
			}
		})
		return done
	})
}

// progressTold is how often progress was told so far.
func (b *fakeJournal) progressTold() (n int) {
	b.set(func() { n = len(b.progress) })
	return n
}

func (b *fakeJournal) Ack(r Receipt) {
	b.acks = append(b.acks, r.Seq)
	b.acked(r.Seq)
}

func (b *fakeJournal) all() []messages.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []messages.Result
	for _, rec := range b.records {
		all = append(all, rec.Result)
	}
	return all
}
