package worker

import (
	"slices"
	"time"
)

// message is one message of the stream that is unfinished: some of its changes have not ended, or the summary of its
// batch is not stored. Its bytes are not kept.
type message struct {
	receipt Receipt
	hash    uint64 // of its Nats-Msg-Id; 0: it has none
	holders int32  // changes and cancels that are not finished, dead letters that are made from it, and 1 while it is being admitted
	items   int32
	shares  []*share // in batches
	trace   *trace   // nil: none
}

type trace struct{ parent, state string }

// hold counts a holder in: the message stays in the stream until all of them have let go of it. loop.release counts out.
func (m *message) hold() { m.holders++ }

// release lets go of a message for one of its holders.
func (l *loop) release(m *message) {
	m.holders--
	l.ackIfDone(m)
}

// ackIfDone acknowledges a message as soon as nothing of it is unfinished. This is the only place where that is done.
func (l *loop) ackIfDone(m *message) {
	if m.holders > 0 || l.msgs[m.receipt.Seq] != m || slices.ContainsFunc(m.shares, (*share).holds) {
		return
	}
	delete(l.msgs, m.receipt.Seq)
	for _, s := range m.shares {
		s.leave()
		l.dropIfEmpty(s.batch)
	}
	l.term.Journal.Ack(m.receipt)
}

// oldest looks at all messages only when the one it found last is finished: hundreds of thousands can wait for hours.
func (l *loop) oldest() time.Time {
	m := l.msgs[l.oldestSeq]
	if m == nil {
		for seq, other := range l.msgs {
			if m == nil || seq < l.oldestSeq {
				m, l.oldestSeq = other, seq
			}
		}
	}
	if m == nil {
		return time.Time{}
	}
	return instant(m.receipt.Stored)
}
