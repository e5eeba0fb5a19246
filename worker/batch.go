package worker

import (
	"slices"
	"time"

	"idlepolicy/messages"
)

// BatchKey names a batch: all messages with its ID until the total is reached, or one message.
type BatchKey struct {
	ID  string
	Seq uint64 // of the one message; 0: over several messages
}

// BatchQuery asks for what is known of a batch.
type BatchQuery struct {
	Key   BatchKey
	Pos   Position  // of its first message that is unfinished
	Since time.Time // when the stream stored that message
	// Epochs in which that message may have had another position.
	Earlier []int64
}

// BatchCount is what results tell of a batch.
type BatchCount struct {
	Summary messages.BatchSummary // counts and the start; zero time: not known
	UpTo    uint64                // sequence of the results up to which the counts go
	Closed  bool                  // its summary is stored
}

// batch is a batch some of whose changes have not ended. Its counts come from the results themselves: those that this
// term has stored are added up as they are stored, those of the time before are counted there.
type batch struct {
	key      BatchKey
	total    int
	sum      messages.BatchSummary
	query    BatchQuery
	members  []*message // that are not acknowledged
	since    []tally    // stored while the results are being counted
	upTo     uint64     // results up to here are in sum: they can be counted before we learn that they are stored
	admitted bool       // its one message is in the lanes whole
	doubt    bool       // endings from before this term, or from elsewhere, are not in sum
	counting bool       // the results are being counted
	closing  bool       // its summary is on its way
	closed   bool
	after    *batch // the next batch of the same ID, begun while this one was closing
	told     int    // endings as of the last progress
}

type tally struct {
	outcome messages.Outcome
	seq     uint64
}

// batchOf returns the batch that a change of the message belongs to, or nil.
func (l *loop) batchOf(m *message, id string, total int) *batch {
	if id == "" {
		return nil
	}
	key := BatchKey{ID: id}
	if total == 0 {
		key.Seq = m.receipt.Seq
	}
	b := l.batches[key]
	if b == nil || b.closing || b.closed {
		b = l.newBatch(key, m, b)
	}
	if total > 0 {
		b.total = total
	} else {
		b.total++
	}
	if !slices.Contains(m.batches, b) {
		m.batches = append(m.batches, b)
		b.members = append(b.members, m)
	}
	return b
}

func (l *loop) newBatch(key BatchKey, m *message, before *batch) *batch {
	stored := time.Unix(0, m.receipt.Stored).UTC()
	b := &batch{key: key, query: BatchQuery{
		Key: key, Pos: Position{l.term.Epoch, m.receipt.Seq, 0}, Since: stored, Earlier: l.term.Earlier,
	}}
	b.sum.BatchID, b.sum.StartedAt = key.ID, stored
	b.admitted = key.Seq == 0
	l.batches[key] = b
	switch {
	case key.Seq != 0:
	case before != nil && !before.closed:
		before.after, b.counting = b, true
	default:
		b.doubt = true
		l.count(b)
	}
	return b
}

// count has the results counted, because they tell of endings that this term knows nothing of.
func (l *loop) count(b *batch) {
	if b.counting || b.closing || !b.doubt || !b.admitted {
		return
	}
	b.doubt, b.counting = false, true
	l.term.Journal.Count(b.query, func(c BatchCount) { l.mail.push(countedBatch{b, c}) })
}

type countedBatch struct {
	batch *batch
	count BatchCount
}

func (c countedBatch) apply(l *loop) {
	b := c.batch
	started := b.sum.StartedAt
	b.sum = c.count.Summary
	b.sum.BatchID, b.upTo = b.key.ID, c.count.UpTo
	if b.sum.StartedAt.IsZero() || (b.key.Seq != 0 && started.Before(b.sum.StartedAt)) {
		b.sum.StartedAt = started
	}
	for _, s := range b.since {
		if s.seq > b.upTo {
			b.sum.Count(s.outcome)
		}
	}
	b.counting, b.closed, b.since = false, c.count.Closed, nil
	l.count(b)
	l.closeIfComplete(b)
	l.ackMembers(b)
}

// counted adds an ending that this term has stored.
func (l *loop) counted(b *batch, o messages.Outcome, seq uint64) {
	if b.counting || b.doubt {
		b.since = append(b.since, tally{o, seq})
		return
	}
	if seq > b.upTo {
		b.sum.Count(o)
	}
	l.closeIfComplete(b)
}

// closeIfComplete stores the summary once the last change of the batch has ended; the messages that wait for it are
// acknowledged afterwards.
func (l *loop) closeIfComplete(b *batch) {
	if b.counting || b.doubt || b.closing || !b.admitted {
		return
	}
	if b.closed || (b.total <= 0 && b.key.Seq != 0) {
		l.closedBatch(b)
		return
	}
	if b.sum.Ended() < b.total {
		return
	}
	b.closing = true
	b.sum.Total, b.sum.FinishedAt = b.total, l.now.UTC()
	l.closings++
	l.term.Journal.Summarise(b.query, b.sum, func() { l.mail.push(summarised{b}) })
}

type summarised struct{ batch *batch }

func (s summarised) apply(l *loop) {
	l.closings--
	l.closedBatch(s.batch)
}

func (l *loop) closedBatch(b *batch) {
	b.closed, b.closing = true, false
	if l.batches[b.key] == b {
		delete(l.batches, b.key)
	}
	l.ackMembers(b)
	if next := b.after; next != nil {
		b.after, next.counting, next.doubt = nil, false, true
		l.count(next)
	}
}

func (l *loop) ackMembers(b *batch) {
	for _, m := range slices.Clone(b.members) {
		l.ackIfDone(m)
	}
}

// holds tells whether a message whose changes have all ended must stay in the stream for the batch's sake.
func (b *batch) holds() bool {
	if b.closed {
		return false
	}
	return b.key.Seq != 0 || b.counting || b.doubt || b.closing
}

// release takes one hold from a message: a change or a cancel of it is finished.
func (l *loop) release(m *message) {
	m.open--
	l.ackIfDone(m)
}

// ackIfDone acknowledges a message as soon as nothing of it is unfinished.
func (l *loop) ackIfDone(m *message) {
	if m.open > 0 || l.msgs[m.receipt.Seq] != m || slices.ContainsFunc(m.batches, (*batch).holds) {
		return
	}
	delete(l.msgs, m.receipt.Seq)
	for _, b := range m.batches {
		if i := slices.Index(b.members, m); i >= 0 {
			b.members = slices.Delete(b.members, i, i+1)
		}
		if len(b.members) == 0 && b.sum.Ended() == 0 && l.batches[b.key] == b {
			delete(l.batches, b.key) // a message came again after its batch had been summed up
		}
	}
	l.term.Journal.Ack(m.receipt)
}

// How often a batch's progress is told at most, and how much may be told at once.
const progressEvery = time.Second

// tellProgress tells how far the batches are that have moved since they last did.
func (l *loop) tellProgress() {
	if l.now.Sub(l.toldAt) < progressEvery {
		return
	}
	l.toldAt = l.now
	for _, b := range l.batches {
		ended := b.sum.Ended()
		if b.counting || b.closing || b.closed || ended == b.told {
			continue
		}
		b.told = ended
		sum := b.sum
		sum.Total = b.total
		l.term.Journal.Progress(b.query, l.progress(sum))
	}
}
