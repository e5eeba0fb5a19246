package worker

import (
	"cmp"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// change is one agent's wish on its way to its ending. Thousands of them wait for hours, so what only attempts need
// is in try.
type change struct {
	lane       *lane
	msg        *message // nil: it is a policy in force that is reapplied
	member     *member  // of its batch; nil: it has none
	id         string
	flag       string
	reason     string
	source     string
	at         int64 // it takes or took effect then, in Unix nanoseconds
	until      int64 // pointless after it, in Unix nanoseconds
	wakesAt    int64 // when its instant comes, in Unix nanoseconds, while that is waited for
	wakesAfter int64 // when its pause is over, in ticks, while that is waited for
	try        *try  // nil: no call was made for it
	queue      *addressQueue
	rev        uint64
	index      int32
	ready      int32       // its place among the ready ones, from 1; 0: not there
	instant    int32       // its place among those that wait for an instant, from 1; 0: not there
	pause      int32       // its place among those that pause, from 1; 0: not there
	told       ledger.Told // what is said of it, stored or not
	said       ledger.Told // what results say of it
	later      bool        // it waits for its instant, or had to
	why        view.Reason // what it waits for; only waitFor sets it
	ended      bool        // its ending is decided
}

// try is what the attempts of one change leave behind.
type try struct {
	attempts    int        // answers about this very change
	faults      int        // faults and refusals for lack of room since the last proper answer about it
	since       int64      // when the call under way was made, in Unix nanoseconds
	last        int64      // when the last call was made that was answered, in Unix nanoseconds
	back        int64      // when it came back, in Unix nanoseconds
	seen        gate.Tally // of its address as it came back
	retry       int64      // no attempt before it, in ticks
	retcode     string
	message     string
	fault       string  // what kept the last call from a proper answer; empty: nothing
	session     Session // of the last call
	refusals    int     // of that session by the gateway, one after the other
	sessionNext int64   // that session is not tried again before, in ticks; 0: not decided
	overtaken   *change // the newer change that took effect while the call was under way
	overtakenBy string
	place       *entry     // of its ending, which is not known until that call is answered
	cancels     []*message // cancels that wait for its ending
	cancelled   bool
	calls       []Attempt // for its story, where somebody wants to hear it
}

func (c *change) tries() *try {
	if c.try == nil {
		c.try = &try{}
	}
	return c.try
}

// date sets when the change takes effect and until when it is valid. It goes by the time at which the stream stored the
// message, so a change gets the same dates each time it is delivered.
func (c *change) date(mc *messages.Change, p *Policy) {
	c.at = c.msg.receipt.Stored
	if !mc.EffectiveAt.IsZero() && nanos(mc.EffectiveAt) > c.at {
		c.at, c.later = nanos(mc.EffectiveAt), true
	}
	c.until = c.at + int64(min(p.Validity, p.Retention))
	if !mc.ValidUntil.IsZero() {
		c.until = min(nanos(mc.ValidUntil), c.at+int64(p.Retention))
	}
}

func (c *change) pos(incarnation int64) ledger.Position {
	return ledger.Position{Incarnation: incarnation, Seq: c.msg.receipt.Seq, Index: int(c.index)}
}

func (c *change) published(s *ledger.Stream) ledger.Published {
	return ledger.Published{Pos: c.pos(s.Incarnation), Stored: c.msg.receipt.Stored}
}

func (c *change) again() bool { return c.msg == nil }

func (c *change) attempts() int {
	if c.try == nil {
		return 0
	}
	return c.try.attempts
}

// urgent orders the changes that are ready for a call: first attempts before retries, then the earliest deadline, then
// the oldest. Those whose calls ran into faults take turns, or one agent whose calls always do would keep all others
// behind it while single probes go out.
func urgent(a, b *change) bool {
	return cmp.Or(
		cmp.Compare(number(a.attempts() > 0 || a.faults() > 0), number(b.attempts() > 0 || b.faults() > 0)),
		cmp.Compare(a.faults(), b.faults()),
		cmp.Compare(a.until, b.until),
		cmp.Compare(a.at, b.at),
		cmp.Compare(a.seq(), b.seq()),
		cmp.Compare(a.index, b.index),
	) < 0
}

func (c *change) faults() int {
	if c.try == nil {
		return 0
	}
	return c.try.faults
}

func (c *change) seq() uint64 {
	if c.msg == nil {
		return 0
	}
	return c.msg.receipt.Seq
}

func (c *change) batchID() string {
	if c.member == nil {
		return ""
	}
	return c.member.batch.key.ID
}

func (c *change) result(o messages.Outcome, text string, now time.Time) messages.Result {
	r := messages.Result{
		Outcome: o, AgentID: c.lane.agent, Message: text, Flag: c.flag,
		ChangeID: c.id, ChangeSeq: c.seq(), ChangeIndex: int(c.index), Attempts: c.attempts(),
		ReceivedAt:  time.Unix(0, c.msg.receipt.Stored).UTC(),
		EffectiveAt: instant(c.at), ValidUntil: instant(c.until), FinishedAt: now.UTC(),
		Reason: c.reason, Source: c.source,
	}
	r.BatchID = c.batchID()
	if c.try != nil {
		r.Retcode = c.try.retcode
		if text == "" {
			r.Message = c.try.message
		}
	}
	return r
}

// number is 1 for true.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
