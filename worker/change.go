package worker

import (
	"cmp"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// change is one change of one agent until its ending is stored. Thousands of them wait for hours, so what only attempts need is
// in try.
type change struct {
	lane       *lane
	msg        *message // nil: it is a policy in force that is reapplied
	member     *member  // of its batch; nil: it has none
	id         string
	flag       string
	reason     string
	source     string
	at         int64 // when it takes effect, in Unix nanoseconds
	until      int64 // its valid_until, in Unix nanoseconds
	wakesAt    int64 // the instant that it waits for, in Unix nanoseconds, while it does
	wakesAfter int64 // when its pause ends, in ticks, while it pauses
	try        *try  // nil: no call was made for it
	queue      *addressQueue
	rev        uint64
	index      int32
	ready      int32       // its place in its queue, from 1; 0: not there
	instant    int32       // its place in schedule.instants, from 1; 0: not there
	pause      int32       // its place in schedule.pauses, from 1; 0: not there
	reported   ledger.Told // waiting results that were made, stored or not
	recorded   ledger.Told // of them, those that are stored
	later      bool        // it waits for its instant, or did
	why        view.Reason // what it waits for; only waitFor sets it
	ended      bool        // it has its ending, stored or not
}

// try records the attempts of one change. The event loop writes it when a call is made and when it comes back.
type try struct {
	attempts    int        // answers about this very change
	faults      int        // faults and Busy answers since the last proper answer about it
	since       int64      // when the call under way was made, in Unix nanoseconds
	last        int64      // when the last call that came back was made, in Unix nanoseconds
	back        int64      // when that call came back, in Unix nanoseconds
	seen        gate.Tally // of its address at that time
	retry       int64      // when the next attempt may be made, in ticks
	retcode     string
	message     string
	fault       string  // why the last call got no proper answer; empty: it did
	session     Session // of the last call
	refusals    int     // how often in a row the gateway refused that session
	sessionNext int64   // when that session may be tried again, in ticks; 0: not known yet
	overtaken   *change // the newer change that took effect while the call was under way
	overtakenBy string
	place       *entry     // of its ending, which is not known until that call is answered
	cancels     []*message // cancels that wait for its ending
	cancelled   bool
	calls       []Attempt // for its trace; empty without a Tracer
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

// isReapply reports whether this is a policy in force that is reapplied, not a change from a message.
func (c *change) isReapply() bool { return c.msg == nil }

func (c *change) attempts() int {
	if c.try == nil {
		return 0
	}
	return c.try.attempts
}

// urgent reports whether a is called before b: first attempts before retries, then the earliest deadline, then the oldest. Changes
// with fewer faults go first, so that one agent whose calls always fail does not use up all the probes of an outage.
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

// number returns 1 for true and 0 for false.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
