package worker

import (
	"time"

	"idlepolicy/worker/view"
)

// job is a call on its way to the gateway.
type job struct {
	change  *change
	call    Call
	session Session
	sent    time.Time
}

// call sends a change to the gateway with the agent's session as of now.
func (l *loop) call(c *change, session Session) {
	ln := c.lane
	ln.inFlight = c
	l.waitFor(c, view.Answer)
	c.tries().since = l.now.UnixNano()
	l.unschedule(c)
	c.rev = 0
	j := job{change: c, session: session, sent: l.now, call: Call{AgentID: ln.agent, Flag: c.flag, Session: session.Session}}
	if c.msg != nil && c.msg.trace != nil {
		j.call.TraceParent, j.call.TraceState = c.msg.trace.parent, c.msg.trace.state
	}
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
	if a.Class == NotSent {
		l.gate.notSent(a.Fault, a.sent, l.now)
	} else {
		l.gate.tell(a.about(), a.Answer, a.sent, l.now)
		l.speed.add(l.now)
	}
	l.remember(c, &a)
	switch {
	case !c.again() && ln.ledger.HasEnded(&l.term.Stream, l.published(c)):
		l.forget(c) // another owner's ending was found meanwhile
		l.store(ln)
	case !c.again(), !c.ended, a.Class == Success:
		l.judge(c, &a)
	}
	l.plan(ln)
}

// about names the agent that the answer tells of; none where nobody listens at the address that all agents share.
func (a *answered) about() string {
	if a.Connect && a.session.GatewayURL == "" {
		return everybodys
	}
	return a.change.lane.agent
}
