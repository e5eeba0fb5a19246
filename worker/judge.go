package worker

import (
	"time"

	"idlepolicy/messages"
)

// judge turns the answer to a call into what becomes of its change: its ending, a wait for another session, or another
// attempt. This is the only place where attempts are counted.
func (l *loop) judge(c *change, a *answered) {
	t := c.tries()
	previous := t.back
	t.last, t.back, t.session, t.retry, t.fault = a.sent.UnixNano(), l.now.UnixNano(), a.session, 0, a.Fault
	if a.Class.Answered() {
		t.retcode, t.message, t.faults = a.Retcode, a.Message, 0
	}
	switch {
	case a.Class == Success:
		t.attempts++
		l.succeed(c, a)
	case t.cancelled:
		l.end(c, messages.Superseded, "cancelled", "") // nothing newer is sent before this is stored
	case t.overtaken != nil:
		l.end(c, messages.Superseded, "a newer change for this agent took effect", t.overtakenBy)
	case a.Class == Refused:
		t.attempts++
		l.fail(c, "")
	case a.Class == NoAgent:
		c.rev = a.session.Rev // plan waits for another session, or goes on at once if there is one already
	case a.Class == Passing:
		t.attempts++
		l.again(c, t.attempts, "")
	case previous != 0 && l.isAbout(c, a, time.Unix(0, previous)):
		t.faults++
		t.attempts++
		l.again(c, max(t.attempts, t.faults), a.Fault)
	case a.Class == Unsound, a.Class == Busy:
		t.faults++ // it lets others go first
		if !l.gate.holdsAfter(&a.Answer) {
			t.retry = l.now.Add(l.policy.Backoff.Pause(t.faults)).UnixNano()
		}
	}
	// NotSent spends nothing: the gate says when to go on.
}

// isAbout tells whether an answer that is not the gateway's own is about this very change: it was heard, and since the last
// attempt came back others have been answered properly; while it hung they may have been before the gateway went away.
// Where room is short, everybody can be refused now and then.
func (l *loop) isAbout(c *change, a *answered, previous time.Time) bool {
	switch a.Class {
	case Unsound:
		return !a.Connect && l.gate.answered.other(c.lane.agent, previous)
	case Busy:
		return a.RetryAfter == 0 && l.gate.aloneSince(c.lane.agent, previous)
	default:
		return false
	}
}

// succeed ends a change, or tells that a policy was applied anew.
func (l *loop) succeed(c *change, a *answered) {
	ln := c.lane
	signIn := a.session.signIn(a.sent.UnixNano())
	if !c.again() {
		e := l.decide(c, messages.Applied, "", "")
		e.result.Message = a.Message
		e.signIn = signIn
		l.put(e, ordered)
		return
	}
	ln.reapply = nil
	l.drop(c)
	f := ln.ledger.InForce
	if f == nil {
		return
	}
	r := f.Result
	r.Outcome, r.Retcode, r.Message = messages.Reapplied, a.Retcode, a.Message
	r.Attempts, r.FinishedAt = c.attempts(), l.now.UTC()
	l.put(&entry{change: c, result: r, signIn: signIn, inForce: f.Pos}, unordered)
}

// again has the change pause before its next attempt, or fail if it has used them up.
func (l *loop) again(c *change, n int, fault string) {
	if c.attempts() >= l.policy.MaxAttempts {
		l.fail(c, fault)
		return
	}
	c.try.retry = l.now.Add(l.policy.Backoff.Pause(n)).UnixNano()
}

// fail ends a change that the gateway refused for good or that has used up its attempts. fault is what the transport
// said, where the gateway did not answer the last attempt itself.
func (l *loop) fail(c *change, fault string) {
	if c.again() {
		ln := c.lane
		l.gaveUp[ln], ln.reapply = c.try.session.signIn(c.try.last), nil
		l.drop(c)
		l.log().Warn("policy in force could not be applied anew", "agent", ln.agent, "change", c.id,
			"retcode", c.try.retcode, "message", c.try.message, "fault", fault)
		return
	}
	e := l.decide(c, messages.Failed, "", "")
	if e.result.Message == "" {
		e.result.Message = fault
	}
	l.put(e, ordered)
}
