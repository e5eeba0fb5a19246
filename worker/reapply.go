package worker

// considerReapply starts to reapply the policy in force if the agent has signed in since the last call that set it.
func (l *loop) considerReapply(ln *lane) {
	f := ln.ledger.InForce
	if ln.reapply != nil || f == nil || l.policy.NoReapply || l.stopping || l.backlog.behind || ln.skipped {
		return // while the backlog is being read, a newer change may still come
	}
	session, ok := l.Sessions.Of(ln.agent)
	if !ok || !session.newSince(l.coverage.gaveUp[ln]) || !session.newSince(ln.ledger.SignIn) {
		return
	}
	if until := f.Result.ValidUntil; !until.After(l.now) {
		ln.ledger.InForce = nil
		return
	}
	if !ln.out.empty() || ln.inFlight != nil {
		return // the ledger is about to change; plan is called then
	}
	ln.reapply = &change{
		lane: ln, id: f.Result.ChangeID, flag: f.Result.Flag,
		at: f.Result.EffectiveAt.UnixNano(), until: f.Result.ValidUntil.UnixNano(),
	}
	ln.held = ln.held || !session.SignedInAt.After(l.start)
}

// signedIn is called when an agent's session has changed.
func (l *loop) signedIn(agent string) {
	if ln := l.lanes[agent]; ln != nil {
		l.plan(ln)
	}
}

// wakeReapplies plans the agents that may have signed in while no worker was running. It waits until the backlog has been read,
// because a newer change may be in it.
func (l *loop) wakeReapplies() {
	if l.policy.NoReapply || l.backlog.behind {
		return
	}
	for _, ln := range l.lanes {
		if ln.ledger.InForce == nil {
			continue
		}
		if ln.live == nil {
			l.considerReapply(ln)
			ln.held = ln.held || ln.reapply != nil // the last owner may have made the call
		}
		l.plan(ln)
	}
}
