package worker

import (
	"time"

	"idlepolicy/worker/gate"
	"idlepolicy/worker/view"
)

// job is a call on its way to the gateway.
type job struct {
	change  *change
	rev     uint64 // the change's, before the call
	call    Call
	session Session
	address string // what the gate knows the gateway by
	sent    time.Time
}

// call sends a change to the gateway with the agent's session as of now.
func (l *loop) call(c *change, session Session, address string) {
	ln := c.lane
	ln.inFlight = c
	l.waitFor(c, view.Answer)
	c.tries().since = l.now.UnixNano()
	l.unschedule(c)
	j := job{change: c, rev: c.rev, session: session, address: address, sent: l.now, call: Call{AgentID: ln.agent, Flag: c.flag, Session: session.Session}}
	if c.msg != nil && c.msg.trace != nil {
		j.call.TraceParent, j.call.TraceState = c.msg.trace.parent, c.msg.trace.state
	}
	c.rev = 0
	l.calls <- j // never blocks: the gate lets no more through than the channel holds
}

// caller makes calls until there are none left to make.
func (l *loop) caller() {
	for j := range l.calls {
		l.mail.push(answered{j, l.Gateway.Set(l.ctx, j.call)})
	}
}

// answered is the event that a call has come back.
type answered struct {
	job
	Answer
}

func (a answered) apply(l *loop) {
	c := a.change
	ln := c.lane
	ln.inFlight = nil
	if l.Watch != nil {
		l.Watch.Called(&a.Answer)
	}
	l.gate.Report(a.report(), l.now)
	if a.Class != NotSent {
		l.forecast.speed.add(l.now)
	}
	l.remember(c, &a)
	if a.MayLand() {
		l.doubts.note(ln, c.flag, l.pauseFor(l.policy.Timeout-a.Took))
	} else if l.doubts.of(ln) <= l.ticks() {
		delete(l.doubts, ln)
	}
	switch {
	case !c.again() && ln.ledger.HasEnded(&l.term.Stream, c.published(&l.term.Stream)):
		l.forget(c) // another owner's ending was found meanwhile
		l.store(ln)
	case !c.again(), !c.ended, a.Class == Success:
		l.judge(c, &a)
	}
	l.plan(ln)
}

// report is what the gate must know of the answer.
func (a *answered) report() gate.Report {
	return gate.Report{
		Address: a.address, Agent: a.change.lane.agent, Sent: a.sent, Kind: kindOf(a.Class),
		RetryAfter: a.RetryAfter, Took: a.Took, Connect: a.Connect, Why: a.Fault,
	}
}

func kindOf(c Class) gate.Kind {
	switch {
	case c.Answered():
		return gate.Answered
	case c == Busy:
		return gate.Busy
	case c == NotSent:
		return gate.NotSent
	default:
		return gate.Fault
	}
}
