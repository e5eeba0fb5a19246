package worker

import (
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/view"
)

// job is a call to the gateway.
type job struct {
	change  *change
	rev     uint64 // the change's, before the call
	call    Call
	session Session
	address string // the name by which the gate knows the gateway
	sent    time.Time
}

// call calls the gateway for a change, with the agent's current session.
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

// caller makes calls until the channel is closed.
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
	case !c.isReapply() && ln.ledger.HasEnded(&l.term.Stream, c.published(&l.term.Stream)):
		l.forget(c) // the ledger was read again meanwhile, and has another owner's ending
		l.store(ln)
	case !c.isReapply(), !c.ended, a.Class == Success:
		l.judge(c, &a)
	}
	l.plan(ln)
}

// report returns what the gate must know about the answer.
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

// verdict says what becomes of a change after the answer to its call.
type verdict uint8

const (
	unsent         verdict = iota // as if it had not been tried
	accepted                      // it ends as applied
	refused                       // it ends as failed
	sessionTrouble                // it waits for another session of its agent
	agentTrouble                  // it is tried again after a pause, and fails after MaxAttempts
	gatewayTrouble                // it is tried again when the gate allows, which costs no attempt
)

// verdicts is the table that decides whether a change is tried again. A fault is the gateway's trouble unless isAbout shows that
// it concerns this change alone.
var verdicts = [numClass]verdict{
	NotSent: unsent,
	Success: accepted,
	Refused: refused,
	NoAgent: sessionTrouble,
	Passing: agentTrouble,
	Busy:    gatewayTrouble,
	Unsound: gatewayTrouble,
}

// judge decides what becomes of a change after the answer to its call. This is the only place where attempts are counted.
func (l *loop) judge(c *change, a *answered) {
	t, v := c.tries(), verdicts[a.Class]
	if v == unsent && !t.cancelled && t.overtaken == nil {
		c.rev, t.fault = a.rev, a.Fault
		return
	}
	before, tally := *t, l.gate.Tally(a.address)
	t.seen = tally
	t.last, t.back, t.session, t.retry, t.fault = a.sent.UnixNano(), l.now.UnixNano(), a.session, 0, a.Fault
	if a.Class.Answered() {
		t.retcode, t.message, t.faults = a.Retcode, a.Message, 0
		if v != sessionTrouble {
			t.refusals, t.sessionNext = 0, 0
		}
	}
	if v == gatewayTrouble && before.back != 0 && before.session.GatewayURL == a.session.GatewayURL && isAbout(a, before.seen, tally) {
		v = agentTrouble
	}
	switch {
	case v == accepted:
		t.attempts++
		l.succeed(c, a)
	case t.cancelled:
		l.end(c, messages.Superseded, "cancelled", "") // this is stored before a newer change is sent
	case t.overtaken != nil:
		l.end(c, messages.Superseded, "a newer change for this agent took effect", t.overtakenBy)
	case v == refused:
		t.attempts++
		l.fail(c, "")
	case v == sessionTrouble:
		l.sessionRefused(c, a, &before)
	case v == agentTrouble:
		if !a.Class.Answered() {
			t.faults++
			t.fault = alone(&a.Answer)
		}
		t.attempts++
		l.retry(c, max(t.attempts, t.faults), t.fault)
	default:
		t.faults++ // others go first
		if !l.gate.Decides(a.address, l.now) {
			t.retry = l.pauseFor(l.policy.Backoff.Pause(t.faults))
		}
	}
}

// isAbout reports whether a fault or a Busy answer concerns this change alone: since its last attempt came back, the gateway has
// properly answered others at the same address. The agent has only one call in flight, so all those answers were others'. A
// Busy answer does so only if no other agent got one: an overloaded gateway refuses agents at random.
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

// alone explains a fault that only this change has.
func alone(a *Answer) string {
	if !a.TimedOut {
		return a.Fault
	}
	return a.Fault + ", while calls for other agents were answered: the call may have taken effect; " +
		"if this agent's calls only take longer, raise IDLE_GATEWAY_TIMEOUT"
}

// retry lets the change pause before its next attempt, or fails it if no attempts are left. n is the number of the pause, from 1.
func (l *loop) retry(c *change, n int, fault string) {
	if c.attempts() >= l.policy.MaxAttempts {
		l.fail(c, fault)
		return
	}
	c.try.retry = l.pauseFor(l.policy.Backoff.Pause(n))
}

// sessionRefused makes the change wait for another session of its agent. The same session is also tried again with growing pauses,
// because a balancer or a failover may refuse a good session for a moment.
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
