package worker

import "idlepolicy/worker/view"

// considerReapply starts to reapply what is in force if the agent signed in since the gateway was last told.
func (l *loop) considerReapply(ln *lane) {
	f := ln.ledger.InForce
	if ln.reapply != nil || f == nil || l.policy.NoReapply || l.stopping || l.backlog.behind || ln.skipped {
		return // what the stream still holds may be newer
	}
	session, ok := l.Sessions.Of(ln.agent)
	if !ok || !session.newSince(l.gaveUp[ln]) || !session.newSince(ln.ledger.SignIn) {
		return
	}
	if until := f.Result.ValidUntil; !until.After(l.now) {
		ln.ledger.InForce = nil
		return
	}
	if !ln.out.empty() || ln.inFlight != nil {
		return // the ledger is about to say more; plan is asked again then
	}
	ln.reapply = &change{
		lane: ln, id: f.Result.ChangeID, flag: f.Result.Flag,
		at: f.Result.EffectiveAt.UnixNano(), until: f.Result.ValidUntil.UnixNano(),
	}
	ln.held = ln.held || !session.SignedInAt.After(l.began)
}

// drop forgets a change that is reapplied; a call of it under way goes on and finds nobody waiting.
func (l *loop) drop(c *change) {
	if c != nil {
		c.ended = true
		l.waitFor(c, view.None)
		l.unschedule(c)
	}
}

// signedIn looks at an agent again because its session has changed.
func (l *loop) signedIn(agent string) {
	if ln := l.lanes[agent]; ln != nil {
		l.plan(ln)
	}
}
