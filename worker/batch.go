package worker

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// BatchKey names a batch: all messages with its ID, or one message.
type BatchKey struct {
	ID  string
	Seq uint64 // of the one message; 0: over several messages, each time until the total is reached
}

// BatchQuery asks for what is known of one round of a batch.
type BatchQuery struct {
	Key   BatchKey
	Pos   ledger.Position // of its first message that is unfinished
	Since time.Time       // when the stream stored that message
	Last  Mark            // its last message so far
	Total int             // changes it shall have; 0: not known
	// Epochs in which that message may have had another position.
	Earlier []int64
}

// BatchCount is what results tell of a batch.
type BatchCount struct {
	Endings []Ending  // of its changes; of those of messages up to Before only those of epochs before that one
	UpTo    uint64    // sequence of the results up to which they go
	Before  Mark      // the last message of the last round that was summed up
	Started time.Time // when the stream stored the first message of the round; zero: not known
	Closed  bool      // the summary of the one message is stored
}

// Ending is that of one change.
type Ending struct {
	Pos     ledger.Position
	Stored  int64 // when the stream stored its message, in Unix nanoseconds; 0: an older version of the worker did not say
	Outcome messages.Outcome
}

func (e *Ending) mark() Mark {
	return Mark{ledger.Position{Incarnation: e.Pos.Incarnation, Seq: e.Pos.Seq}, e.Stored}
}

// Mark is a message: where it stands, and when the stream stored it. That tells which of two came first where one stands
// in an earlier epoch.
type Mark struct {
	Pos    ledger.Position
	Stored int64 // Unix nanoseconds; 0: an older version of the worker did not say
}

// Covers reports whether another message is this one or came before it.
func (m Mark) Covers(o Mark) bool {
	if m.Pos.Incarnation != o.Pos.Incarnation && m.Stored != 0 && o.Stored != 0 {
		return cmp.Or(cmp.Compare(o.Stored, m.Stored), cmp.Compare(o.Pos.Seq, m.Pos.Seq)) <= 0
	}
	return o.Pos.Compare(m.Pos) <= 0
}

// First is the first message of the round that is unfinished.
func (q *BatchQuery) First() Mark { return Mark{q.Pos, q.Since.UnixNano()} }

// Count adds the endings up, save those of rounds that were summed up.
func (c *BatchCount) Count() (sum messages.BatchSummary) {
	for i := range c.Endings {
		if e := &c.Endings[i]; !c.Before.Covers(e.mark()) {
			sum.Count(e.Outcome)
		}
	}
	return sum
}

// batch is a batch some of whose changes have not ended. Its counts come from the results themselves: those that this
// term has stored are added up as they are stored, those of the time before are counted there.
type batch struct {
	key      BatchKey
	shares   []*share // the messages of it that are here
	left     int      // shares that are there no longer
	rounds   []*round // the first one is summed up next, the others are waiting for that
	since    []tally  // stored while the results are being counted
	upTo     uint64   // results up to here are counted: they can be before we learn that they are stored
	doubt    bool     // endings from before this term, or from elsewhere, are not counted
	counting bool     // the results are being counted
	closing  bool     // the summary of the first round is on its way
	telling  bool     // its progress is on its way; what is told must not be stored after the summary

	cameAt time.Time // when something of it came last
	toldAt time.Time // when its progress was told last: a count tells it too
}

type tally struct {
	share   *share
	outcome messages.Outcome
	seq     uint64
}

// shareOf returns the share of a batch that a change of the message belongs to, or nil.
func (l *loop) shareOf(m *message, id string, total int) *share {
	if id == "" {
		return nil
	}
	key := BatchKey{ID: id}
	if total == 0 {
		key.Seq = m.receipt.Seq
	}
	b := l.batches[key]
	if b == nil {
		b = &batch{key: key, doubt: key.Seq == 0}
		l.batches[key] = b
	}
	b.cameAt = l.now
	if n := len(b.shares); n > 0 && b.shares[n-1].msg == m {
		b.shares[n-1].add(1)
		return b.shares[n-1]
	}
	s := &share{batch: b, msg: m, total: total, items: 1}
	b.shares, m.shares = append(b.shares, s), append(m.shares, s)
	l.join(s)
	return s
}

// recount has the results counted again after an ending was found that this term has not stored.
func (l *loop) recount(s *share) {
	if s != nil {
		s.mistrust()
		l.count(s.batch)
	}
}

// count has the results counted, because they tell of endings that this term knows nothing of.
func (l *loop) count(b *batch) {
	if b.counting || b.closing || !b.doubt || len(b.rounds) == 0 {
		return
	}
	b.doubt, b.counting = false, true
	q := b.rounds[0].query
	l.term.Journal.Count(q, func(c BatchCount) { l.mail.push(countedBatch{b, q, c}) })
}

type countedBatch struct {
	batch *batch
	query BatchQuery
	count BatchCount
}

func (c countedBatch) apply(l *loop) {
	b := c.batch
	b.counting, b.upTo, b.toldAt = false, c.count.UpTo, l.now
	l.arrange(b, &c.count)
	for _, t := range b.since {
		if t.seq > b.upTo && t.share.round != nil {
			t.share.round.sum.Count(t.outcome)
		}
	}
	b.since = nil
	// A message of a round that was summed up opens none.
	b.doubt = len(b.rounds) > 0 && (b.doubt || b.key.Seq == 0 && c.count.Before.Covers(c.query.First()))
	l.count(b)
	l.closeIfComplete(b)
	l.ackShares(b)
	l.dropIfEmpty(b)
}

// counted adds an ending that this term has stored.
func (l *loop) counted(s *share, o messages.Outcome, seq uint64) {
	b := s.batch
	switch {
	case s.round == nil:
		return // its round was summed up without it
	case b.counting || b.doubt:
		b.since = append(b.since, tally{s, o, seq})
		return
	case seq > b.upTo:
		s.round.sum.Count(o)
	}
	l.closeIfComplete(b)
}

// closeIfComplete stores the summary once the last change of the round has ended; the messages that wait for it are
// acknowledged afterwards. What was not read yet may belong to it, if there is more of it than its total says.
func (l *loop) closeIfComplete(b *batch) {
	if len(b.rounds) == 0 || b.counting || b.doubt || b.closing || b.telling {
		return
	}
	r := b.rounds[0]
	if b.key.Seq != 0 && r.size == 0 {
		l.closedRound(b)
		return
	}
	if !r.complete() || (b.key.Seq == 0 && l.behind) {
		return
	}
	if b.key.Seq == 0 && r.size > r.total {
		l.log().Warn("a batch has more changes than its batch_total", "batch", b.key.ID, "batch_total", r.total, "changes", r.size)
	}
	b.closing = true
	r.sum.Total, r.sum.FinishedAt = r.size, l.now.UTC()
	l.closings++
	l.term.Journal.Summarise(r.query, r.sum, func() { l.mail.push(summarised{b}) })
}

type summarised struct{ batch *batch }

func (s summarised) apply(l *loop) {
	l.closings--
	l.pipeline.moved = l.now
	l.closedRound(s.batch)
}

type progressTold struct{ batch *batch }

func (p progressTold) apply(l *loop) {
	l.closings--
	l.pipeline.moved = l.now
	p.batch.telling = false
	l.closeIfComplete(p.batch)
}

// closedRound goes on with the next round, whose endings are counted now: it may have begun in an earlier term.
func (l *loop) closedRound(b *batch) {
	for _, s := range b.shares {
		if s.round == b.rounds[0] {
			s.round = nil
		}
	}
	b.rounds = b.rounds[1:]
	b.closing, b.doubt = false, len(b.rounds) > 0
	l.count(b)
	l.ackShares(b)
	l.dropIfEmpty(b)
}

func (l *loop) dropIfEmpty(b *batch) {
	if len(b.rounds) == 0 && !b.counting && l.batches[b.key] == b {
		delete(l.batches, b.key)
	}
}

func (l *loop) ackShares(b *batch) {
	for _, s := range slices.Clone(b.shares) {
		l.ackIfDone(s.msg)
	}
}

// How often a batch's progress is told at most, and how much may be told at once.
const progressEvery = time.Second

// batchRests is how long a batch is kept of which nothing is here: the rest of its total may never come.
const batchRests = 10 * time.Minute

// tellProgress tells how far the batches are that have moved since they last did.
func (l *loop) tellProgress() {
	if l.now.Sub(l.toldAt) < progressEvery {
		return
	}
	l.toldAt = l.now
	prospects := sync.OnceValue(l.prospects) // most of the time no batch has moved
	for _, b := range l.batches {
		if len(b.rounds) == 0 || b.counting || b.doubt || b.closing || b.telling || l.now.Sub(b.toldAt) < progressEvery {
			continue
		}
		r := b.rounds[0]
		if ended := r.sum.Ended(); ended != r.told {
			r.told, b.toldAt = ended, l.now
			b.telling = true
			l.closings++
			l.term.Journal.Progress(r.query, l.progress(r.sofar(), prospects()[b]), func() { l.mail.push(progressTold{b}) })
		} else if b.left == len(b.shares) && l.now.Sub(b.cameAt) > batchRests {
			delete(l.batches, b.key) // what comes of it later has its endings counted again
		}
	}
}
