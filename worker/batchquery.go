package worker

import (
	"cmp"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// BatchKey identifies a batch: all messages with its ID, or one message.
type BatchKey struct {
	ID  string
	Seq uint64 // of the one message; 0: the batch is spread over several messages, and its ID may be used again
}

// BatchQuery asks what the results say about one generation of a batch.
type BatchQuery struct {
	Key     BatchKey
	Pos     ledger.Position // of its first unfinished message
	Since   time.Time       // when the stream stored that message
	Last    Cursor          // its last message so far
	Total   int             // changes that it is to have; 0: unknown
	Earlier []int64         // incarnations in which that message may have had another position
}

// First returns the first unfinished message of the generation.
func (q *BatchQuery) First() Cursor { return Cursor{q.Pos, q.Since.UnixNano()} }

// BatchCount is what the results say about a batch.
type BatchCount struct {
	Endings []Ending  // of its changes; for messages up to Before, only those of incarnations before that one's
	UpTo    uint64    // sequence of the last result that was read for this
	Before  Cursor    // the last message of the last generation that has a summary
	Started time.Time // when the stream stored the first message of the generation; zero: unknown
	Closed  bool      // the summary of the one message is stored
}

// Count adds up the endings, except those of generations that have a summary.
func (c *BatchCount) Count() (sum messages.BatchSummary) {
	for i := range c.Endings {
		if e := &c.Endings[i]; !c.Before.Covers(e.cursor()) {
			sum.Count(e.Outcome)
		}
	}
	return sum
}

// Ending is the ending of one change.
type Ending struct {
	Pos     ledger.Position
	Stored  int64 // when the stream stored its message, in Unix nanoseconds; 0: an older version of the worker did not record it
	Outcome messages.Outcome
}

func (e *Ending) cursor() Cursor {
	return Cursor{ledger.Position{Incarnation: e.Pos.Incarnation, Seq: e.Pos.Seq}, e.Stored}
}

// Cursor is the place of a message in the stream of changes. The store time orders two messages of different incarnations.
type Cursor struct {
	Pos    ledger.Position
	Stored int64 // Unix nanoseconds; 0: an older version of the worker did not record it
}

// Covers reports whether o is this message or an earlier one.
func (c Cursor) Covers(o Cursor) bool {
	if c.Pos.Incarnation != o.Pos.Incarnation && c.Stored != 0 && o.Stored != 0 {
		return cmp.Or(cmp.Compare(o.Stored, c.Stored), cmp.Compare(o.Pos.Seq, c.Pos.Seq)) <= 0
	}
	return o.Pos.Compare(c.Pos) <= 0
}

// later returns the later one of two cursors.
func later(a, b Cursor) Cursor {
	if a.Covers(b) {
		return a
	}
	return b
}
