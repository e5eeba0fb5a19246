package worker

import (
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
)

// judge turns the answer to a call into what becomes of its change: its ending, a wait for another session, or another
// attempt. This is the only place where attempts are counted.
func (l *loop) judge(c *change, a *answered) {
	t := c.tries()
	if a.Class == NotSent && !t.cancelled && t.overtaken == nil {
		c.rev, t.fault = a.rev, a.Fault
		return // as if it had not been tried: the gate says when to call
	}
	before, tally := *t, l.gate.Tally(a.address)
	t.seen = tally
	t.last, t.back, t.session, t.retry, t.fault = a.sent.UnixNano(), l.now.UnixNano(), a.session, 0, a.Fault
	if a.Class.Answered() {
		t.retcode, t.message, t.faults = a.Retcode, a.Message, 0
		if a.Class != NoAgent {
			t.refusals, t.sessionNext = 0, 0
		}
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
		l.sessionRefused(c, a, &before)
	case a.Class == Passing:
		t.attempts++
		l.again(c, t.attempts, "")
	case before.back != 0 && before.session.GatewayURL == a.session.GatewayURL && isAbout(a, before.seen, tally):
		t.faults++
		t.attempts++
		t.fault = alone(&a.Answer)
		l.again(c, max(t.attempts, t.faults), t.fault)
	case a.Class == Unsound, a.Class == Busy:
		t.faults++ // it lets others go first
		if !l.gate.Decides(a.address, l.now) {
			t.retry = l.pauseFor(l.policy.Backoff.Pause(t.faults))
		}
	}
}

// isAbout reports whether an answer that is not the gateway's own is about this very change: it was heard, and others
// were answered properly at the same address since its last attempt came back. The agent has only one call in flight, so all answers in
// between were others'. Where room is short, everybody can be refused now and then.
func isAbout(a *answered, then, now gate.Tally) bool {
	switch a.Class {
	case Unsound:
		return !a.Connect && now.Answered > then.Answered
	case Busy:
		return a.RetryAfter == 0 && now.Answered > then.Answered && now.Busy-then.Busy <= 1
	default:
		return false
	}
}

// alone says what a fault means that others do not have.
func alone(a *Answer) string {
	if !a.TimedOut {
		return a.Fault
	}
	return a.Fault + ", while calls for other agents were answered: the call may have taken effect; " +
		"if this agent's calls only take longer, raise IDLE_GATEWAY_TIMEOUT"
}

// sessionRefused has the change wait for another session of its agent, or go on at once if there is one. The same session is
// tried again with growing pauses, because a balancer or a failover refuses a good one for a moment.
func (l *loop) sessionRefused(c *change, a *answered, before *try) {
	t := c.try
	c.rev = a.session.Rev
	if before.refusals > 0 && !a.session.SameAs(before.session.Session) {
		t.refusals = 0
	}
	t.refusals++
	t.sessionNext = l.pauseFor(sessionPause(t.refusals))
}

func sessionPause(n int) time.Duration {
	return min(longestSessionPause, firstSessionPause<<min(n-1, 10))
}

const (
	firstSessionPause   = 5 * time.Second
	longestSessionPause = 5 * time.Minute
)

// succeed ends a change, or tells that a policy was reapplied.
func (l *loop) succeed(c *change, a *answered) {
	ln := c.lane
	signIn := a.session.signIn(a.sent.UnixNano())
	if !c.again() {
		e := l.finish(c, messages.Applied, "", "")
		e.result.Message = a.Message
		e.signIn = signIn
		l.enqueue(e, ordered)
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
	l.enqueue(&entry{change: c, result: r, signIn: signIn, inForce: f.Pos}, unordered)
}

// again has the change pause before its next attempt, or fail if it has used them up.
func (l *loop) again(c *change, n int, fault string) {
	if c.attempts() >= l.policy.MaxAttempts {
		l.fail(c, fault)
		return
	}
	c.try.retry = l.pauseFor(l.policy.Backoff.Pause(n))
}

// fail ends a change that the gateway refused for good or that has used up its attempts. fault is what the transport
// said, where the gateway did not answer the last attempt itself.
func (l *loop) fail(c *change, fault string) {
	if c.again() {
		ln := c.lane
		l.coverage.gaveUp[ln], ln.reapply = c.try.session.signIn(c.try.last), nil
		l.drop(c)
		l.log().Warn("policy in force could not be reapplied", "agent", ln.agent, "change", c.id,
			"retcode", c.try.retcode, "message", c.try.message, "fault", fault)
		return
	}
	e := l.finish(c, messages.Failed, "", "")
	if e.result.Message == "" {
		e.result.Message = fault
	}
	l.enqueue(e, ordered)
}
