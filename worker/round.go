package worker

import (
	"cmp"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// round is one use of a batch's ID: the messages from one on until the total is reached. A message that goes beyond it
// still belongs to the round whole. A batch of one message has one round.
type round struct {
	query BatchQuery
	total int // changes it shall have, as its last message said; 0: of a batch of one message
	size  int // changes it has so far
	sum   messages.BatchSummary
	told  int // endings as of the last progress
}

// share is what one message has in a batch.
type share struct {
	batch *batch
	round *round // nil: it was summed up, with this message or without it
	msg   *message
	total int  // the message's batch_total
	items int  // changes of the message that count
	known int  // of them, that had ended before the message came
	told  bool // results tell of endings of it
	gone  bool
}

func (r *round) full() bool { return r.total > 0 && r.size >= r.total }

func (r *round) complete() bool {
	return r.size > 0 && r.sum.Ended() >= r.size && (r.full() || r.query.Key.Seq != 0)
}

// sofar is the summary while the round goes on.
func (r *round) sofar() messages.BatchSummary {
	sum := r.sum
	sum.Total = max(r.total, r.size)
	return sum
}

func (l *loop) mark(m *message) Mark {
	return Mark{ledger.Position{Incarnation: l.term.Stream.Incarnation, Seq: m.receipt.Seq}, m.receipt.Stored}
}

// join puts a message that came into the last round, or into a new one where that has all it should have. While the
// results are being counted nobody knows that yet: what is put wrong here, arrange puts right.
func (l *loop) join(s *share) {
	b := s.batch
	n := len(b.rounds)
	switch {
	case n > 0 && b.rounds[0].query.Last.Covers(l.mark(s.msg)):
		l.enlist(s, b.rounds[0]) // it comes again, or others of its round were finished by another owner
		return
	case n == 0, n == 1 && b.closing, b.rounds[n-1].full():
		b.rounds = append(b.rounds, &round{})
	}
	l.enlist(s, b.rounds[len(b.rounds)-1])
}

// enlist puts a message into a round.
func (l *loop) enlist(s *share, r *round) {
	if r.query.Since.IsZero() {
		r.query.Earlier = l.term.Stream.Earlier
		r.query.Key, r.query.Pos, r.query.Since = s.batch.key, l.mark(s.msg).Pos, time.Unix(0, s.msg.receipt.Stored).UTC()
	}
	if r.sum.StartedAt.IsZero() {
		r.sum.StartedAt = r.query.Since
	}
	r.query.Last = last(r.query.Last, l.mark(s.msg))
	r.sum.BatchID = s.batch.key.ID
	r.total, r.query.Total = s.total, s.total
	r.size += s.items
	s.round = r
}

// arrange puts the messages into their rounds again, now that it is known what has ended. A message that is here no longer
// belongs to the first round, because those of the later ones stay in the stream until it is summed up.
func (l *loop) arrange(b *batch, c *BatchCount) {
	here := b.muster()
	of := func(e *Ending) *share { return l.shareOfEnding(e, here) }
	first := &round{}
	first.sum.StartedAt = c.Started
	if len(b.rounds) > 0 {
		first.told = b.rounds[0].told
	}
	b.rounds = nil
	if c.Closed {
		return
	}
	for i := range c.Endings {
		e := &c.Endings[i]
		if s := of(e); s != nil {
			s.told = true
		} else if !c.Before.Covers(e.mark()) {
			first.sum.Count(e.Outcome)
			first.size++
			first.query.Last = last(first.query.Last, e.mark())
		}
	}
	for _, s := range b.shares {
		if c.Before.Covers(l.mark(s.msg)) || (s.known == s.items && !s.told && b.key.Seq == 0) {
			continue // it came again after its round was summed up
		}
		if b.rounds == nil {
			b.rounds = []*round{first}
		}
		l.join(s)
	}
	for i := range c.Endings {
		e := &c.Endings[i]
		if s := of(e); s != nil && s.round != nil {
			s.round.sum.Count(e.Outcome)
		}
	}
}

// shareOfEnding returns the share whose message an ending is of. After a restore a message may have the sequence of another
// one; what does not say when its message was stored may be of a stream that was deleted.
func (l *loop) shareOfEnding(e *Ending, here map[uint64]*share) *share {
	s := here[e.Pos.Seq]
	switch {
	case s == nil, e.Stored != 0 && e.Stored != s.msg.receipt.Stored:
		return nil
	case e.Stored == 0 && !l.term.Stream.Has(e.Pos.Incarnation):
		return nil
	}
	return s
}

// muster returns the shares by the sequences of their messages, and leaves them in that order and in no round.
func (b *batch) muster() map[uint64]*share {
	b.forgetGone()
	slices.SortStableFunc(b.shares, func(s, t *share) int { return cmp.Compare(s.msg.receipt.Seq, t.msg.receipt.Seq) })
	here := make(map[uint64]*share, len(b.shares))
	for _, s := range b.shares {
		s.round, s.told = nil, false
		here[s.msg.receipt.Seq] = s
	}
	return here
}

func (b *batch) forgetGone() {
	b.shares = slices.DeleteFunc(b.shares, func(s *share) bool { return s.gone })
	b.left = 0
}

func last(m, n Mark) Mark {
	if m.Covers(n) {
		return m
	}
	return n
}

// add counts changes of the message in, or out below 0.
func (s *share) add(n int) {
	s.items += n
	if s.round != nil {
		s.round.size += n
	}
}

// endedBefore notes that a change of the message had ended before the message came.
func (s *share) endedBefore() {
	if s != nil {
		s.known++
		s.mistrust()
	}
}

// mistrust notes that an ending of the batch is not counted.
func (s *share) mistrust() {
	if s != nil && s.round != nil {
		s.batch.doubt = true
	}
}

// holds reports whether a message whose changes have all ended must stay in the stream for the batch's sake.
func (s *share) holds() bool {
	b := s.batch
	switch {
	case b.key.Seq != 0:
		return s.round != nil
	case b.counting, b.doubt, b.closing:
		return true
	default:
		return s.round != nil && (s.round != b.rounds[0] || s.round.complete())
	}
}

// leave takes the share of a message that is acknowledged out of the batch.
func (s *share) leave() {
	b := s.batch
	s.gone = true
	if b.left++; b.left > len(b.shares)/2 { // each one at once would cost the square
		b.forgetGone()
	}
	if i := slices.Index(b.rounds, s.round); i >= 0 && s.round.size == 0 {
		b.rounds = slices.Delete(b.rounds, i, i+1) // nothing but copies of earlier messages
	}
}
