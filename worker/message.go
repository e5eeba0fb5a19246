package worker

import (
	"slices"
	"time"
)

// message is one unfinished message of the stream of changes: some of its changes have not ended, or the summary of its batch
// is not stored. Its bytes are not kept.
type message struct {
	receipt Receipt
	hash    uint64 // of its Nats-Msg-Id; 0: it has none
	holders int32  // changes and cancels that are not finished, dead letters that are made from it, and 1 while it is being admitted
	items   int32
	members []*member     // of batches
	trace   *traceContext // nil: none
}

// traceContext is the W3C trace context of a message.
type traceContext struct{ parent, state string }

// hold adds a holder: the message stays in the stream until all of them have released it, see [backlog.release].
func (m *message) hold() { m.holders++ }

// backlog holds the unfinished messages that this term has read, and records how far it has read.
type backlog struct {
	journal   Journal
	messages  map[uint64]*message // by sequence
	behind    bool                // messages from before the term may still be unread
	readTo    uint64              // messages before this one were read
	overdue   []*change           // their instants passed while it was behind: older ones may still come
	oldestSeq uint64              // of the oldest message, as of the last call of oldest
}

// release removes one holder of a message.
func (b *backlog) release(m *message) {
	m.holders--
	b.ackIfDone(m)
}

// ackIfDone acknowledges a message as soon as nothing of it is unfinished. This is the only place where messages are
// acknowledged.
func (b *backlog) ackIfDone(m *message) {
	if m.holders > 0 || b.messages[m.receipt.Seq] != m || slices.ContainsFunc(m.members, (*member).holds) {
		return
	}
	delete(b.messages, m.receipt.Seq)
	for _, mb := range m.members {
		mb.leave()
	}
	b.journal.Ack(m.receipt)
}

// oldest returns when the stream stored the oldest message; zero: there is none. It looks at all messages only once the
// message that it last found is finished, because hundreds of thousands can wait for hours.
func (b *backlog) oldest() time.Time {
	m := b.messages[b.oldestSeq]
	if m == nil {
		for seq, other := range b.messages {
			if m == nil || seq < b.oldestSeq {
				m, b.oldestSeq = other, seq
			}
		}
	}
	if m == nil {
		return time.Time{}
	}
	return instant(m.receipt.Stored)
}
